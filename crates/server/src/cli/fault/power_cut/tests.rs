use super::*;

fn simulate(seed: u64, rounds: u64) -> Report {
    power_cut::run::<SimulatedLine>(&Options { seed, rounds, ..Options::default() }, |_| true)
}

/// Fails with what a person needs to find out why.
fn expect_whole(report: &Report) {
    if let Some(failure) = &report.failure {
        panic!("{}\nseed {}, life {}: {}", failure.trace.join("\n"), failure.seed, failure.life, failure.what);
    }
}

#[test]
fn nothing_is_lost_or_twice_however_the_power_goes() {
    let report = simulate(1, 6);
    expect_whole(&report);
    // What is to happen does happen.
    assert!(report.cuts_in_recovery > 20 && report.cuts_in_a_row >= 3, "{report:?}");
    let counts = [report.segments_trimmed, report.blocks_removed, report.snapshots, report.kills, report.stops];
    assert!(counts.iter().all(|count| *count > 0), "{report:?}");
    assert!(report.duplicates > 0 && report.dead_letters > 0 && report.acknowledged > 1000, "{report:?}");
}

#[test]
fn a_seed_gives_the_same_operations_again() {
    let (one, other) = (simulate(7, 1), simulate(7, 1));
    assert_eq!(one.digest, other.digest);
    assert_ne!(one.digest, simulate(8, 1).digest);
}
