//! What schemas that mean harm cost: parsing, the contract, and a comparison with themselves, the slowest last.
//! `cargo bench -p registry --bench hostile`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;

use model::Clock;
use registry::language_from_name;
use registry::schema::{ReferencedText, Schema};

#[path = "../tests/registry/hostile/cases.rs"]
mod cases;

fn main() {
    let clock = Clock::system();
    let mut costs: Vec<_> = cases::cases().into_iter().map(|case| (cost(&clock, &case), case)).collect();
    costs.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (millis, case) in costs {
        println!("{millis:>9.3} ms  {:<9} {:>7} bytes  {}", case.language, case.text.len(), case.name);
    }
}

/// In milliseconds.
fn cost(clock: &Clock, case: &cases::Case) -> f64 {
    let language = language_from_name(case.language).expect("a language");
    let reference = |(name, text): &(String, String)| ReferencedText { name: name.clone(), text: text.clone() };
    let references: Vec<_> = case.references.iter().map(reference).collect();
    let started = clock.monotonic();
    if let Ok(schema) = Schema::parse(language, &case.text, &references) {
        black_box(schema.contract().is_ok());
        black_box(schema.normalized());
        // Another one of the same text: equal, and not the same.
        let other = Schema::parse(language, &format!("{}\n", case.text), &references).expect("the same text");
        black_box((schema.cannot_read(&other), schema.beyond_additions_to(&other)));
    }
    (clock.monotonic() - started).as_secs_f64() * 1e3
}
