//! `paymesh-payments-bench ROW FOLDER --out FILE`: measures one row and writes what came of it.

use std::{error::Error, fs, num::NonZeroU32, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use paymesh_payments::bench::{Known, Length, Row, measure};
use rustix::process::{Resource, getrlimit, setrlimit};

/// How many files this process and each that it starts may have open, if the system allows it: a
/// payment under way is a connection.
const FILES: u64 = 65_536;

/// Measures the payment services, or PostgreSQL alone.
#[derive(Parser)]
#[command(version)]
struct Words {
    /// What is measured.
    #[arg(value_enum)]
    row: Row,
    /// Where everything is kept meanwhile. It must not exist yet, and stays when the row fails.
    folder: PathBuf,
    /// Where the outcome is written, as JSON.
    #[arg(long)]
    out: PathBuf,
    /// Seconds of a step to the knee.
    #[arg(long)]
    step: u64,
    /// Seconds that all steps may take.
    #[arg(long)]
    search: u64,
    /// Seconds before the windows.
    #[arg(long)]
    warm_up: u64,
    /// Seconds of a window.
    #[arg(long)]
    window: u64,
    /// How many windows.
    #[arg(long)]
    windows: usize,
    /// How many primaries are lost.
    #[arg(long, default_value_t = 30)]
    losses: usize,
    /// How many rows a ledger has that has grown.
    #[arg(long, default_value_t = 10_000_000)]
    ledger: u64,
    /// The knee, if it is known.
    #[arg(long)]
    knee: Option<u32>,
    /// Commits a second of `pgbench-rate`.
    #[arg(long)]
    rate: Option<NonZeroU32>,
    /// No more than this is sent a second in windows.
    #[arg(long)]
    most: Option<u32>,
    /// Seconds after which the row is given up, and everything ended.
    #[arg(long)]
    limit: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Words::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn allow_files() -> Result<(), Box<dyn Error>> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < FILES) {
        limit.current = Some(limit.maximum.map_or(FILES, |most| most.min(FILES)));
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

async fn run(words: Words) -> Result<(), Box<dyn Error>> {
    allow_files()?;
    let folder = &words.folder;
    if folder.exists() {
        return Err(format!("{} is left from an earlier run", folder.display()).into());
    }
    let length = Length {
        step: words.step,
        search: words.search,
        warm_up: words.warm_up,
        window: words.window,
        windows: words.windows,
        losses: words.losses,
        ledger: words.ledger,
    };
    let known = Known {
        knee: words.knee,
        rate: words.rate,
        most: words.most,
    };
    let measured = Box::pin(measure(words.row, folder, length, known));
    let outcome = tokio::time::timeout(Duration::from_secs(words.limit), measured).await;
    let outcome = outcome.map_err(|_| format!("it took longer than {} s", words.limit))??;
    fs::write(&words.out, serde_json::to_vec_pretty(&outcome)?)?;
    fs::remove_dir_all(folder)?;
    Ok(())
}
