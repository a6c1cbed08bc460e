//! Runs the crash matrix: `paymesh-crash inside`, `paymesh-crash real`; `points` and `points-real`
//! record only, each for its golden, and the first lists the points of the scenarios that `ONLY`
//! names.
//!
//! `SEED` chooses the draws; `BUDGET` the minutes of a tier: without it the first tries every case
//! and the second draws for 45; `FULL=1` asks for all of the second; `PAIRS` for so many pairs of
//! cuts on each cloud; `ONLY` for scenarios of that name; `CASE` for cases of the first tier with
//! these words, as one that was red is repeated; `STOPS=1` to end at the first failure, as it is
//! wanted of a provider with bugs put in.

use std::{env, process::ExitCode, time::Duration};

use paymesh_crash::{inside, real};

fn main() -> ExitCode {
    let number = |name: &str, usual: u64| {
        env::var(name).map_or(usual, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is a number"))
        })
    };
    let budget = env::var("BUDGET").ok().map(|text| {
        let minutes: f64 = text.parse().expect("BUDGET is a number of minutes");
        Duration::from_secs_f64(minutes * 60.0)
    });
    let is_full = env::var("FULL").is_ok_and(|value| value == "1");
    let stops = env::var("STOPS").is_ok_and(|value| value == "1");
    let tier = env::args().nth(1).unwrap_or_default();
    let failures = match tier.as_str() {
        "inside" | "points" => inside::run(&inside::Order {
            seed: number("SEED", 1),
            budget,
            pairs: u32::try_from(number("PAIRS", 20)).unwrap_or(u32::MAX),
            records: tier == "points",
            full: is_full,
            only: env::var("ONLY").unwrap_or_default(),
            case: env::var("CASE").unwrap_or_default(),
            stops,
        }),
        "real" | "points-real" => real::run(&real::Order {
            seed: number("SEED", 1),
            budget,
            full: is_full,
            records: tier == "points-real",
            only: env::var("ONLY").unwrap_or_default(),
        }),
        _ => {
            eprintln!(
                "paymesh-crash: which tier? `inside`, `real`, or `points`, `points-real` for their goldens"
            );
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
