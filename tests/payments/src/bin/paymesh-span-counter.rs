//! `paymesh-span-counter PORT`: takes the spans of services on loopback while a row is measured.

use std::process::ExitCode;

use paymesh_payments::bench::count_spans;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let port = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let Some(port) = port else {
        eprintln!("paymesh-span-counter PORT");
        return ExitCode::from(2);
    };
    match count_spans(port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("span-counter: {reason}");
            ExitCode::FAILURE
        }
    }
}
