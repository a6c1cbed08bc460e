//! Runs the crash matrix: `paymesh-crash inside`, `paymesh-crash real`; `points` records only, and
//! lists the points of the scenarios that `ONLY` names.
//!
//! `SEED` chooses the draws; `BUDGET` the minutes of the real tier (8); `FULL=1` asks for all of
//! it; `PAIRS` for so many pairs of cuts on each cloud; `ONLY` for scenarios of that name; `STOPS=1`
//! to end at the first failure, as it is wanted of a provider with bugs put in.

use std::{env, process::ExitCode, time::Duration};

use paymesh_crash::{inside, real};

fn main() -> ExitCode {
    let number = |name: &str, usual: u64| {
        let text = env::var(name).unwrap_or_default();
        text.parse().unwrap_or(usual)
    };
    let is_full = env::var("FULL").is_ok_and(|value| value == "1");
    let stops = env::var("STOPS").is_ok_and(|value| value == "1");
    let tier = env::args().nth(1).unwrap_or_default();
    let failures = match tier.as_str() {
        "inside" | "points" => inside::run(&inside::Order {
            seed: number("SEED", 1),
            pairs: u32::try_from(number("PAIRS", 20)).unwrap_or(u32::MAX),
            records: tier == "points",
            full: is_full,
            only: env::var("ONLY").unwrap_or_default(),
            stops,
        }),
        "real" => real::run(&real::Order {
            seed: number("SEED", 1),
            budget: Duration::from_secs(number("BUDGET", 8) * 60),
            full: is_full,
        }),
        _ => {
            eprintln!("paymesh-crash: which tier? `inside`, `real`, or `points` for the golden");
            return ExitCode::from(2);
        }
    };
    for failure in &failures {
        println!("\nRED  {failure}");
    }
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
