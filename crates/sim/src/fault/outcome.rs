//! What came of a scenario, as counts and in one line.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::check::Counts;
use crate::load::LoadReport;

/// Whether the promises held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Kept,
    Broken(Vec<String>),
    /// It could not run here.
    Skipped(String),
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub name: String,
    pub seed: u64,
    pub rounds: u64,
    pub verdict: Verdict,
    /// Of the acked-set checker; none where there was no generator.
    pub counts: Option<Counts>,
    pub ack_ms: Option<[f64; 3]>,
    /// The longest start after a fault.
    pub restart_max_seconds: Option<f64>,
    /// From the first to the last look at the server.
    pub memory_drift_bytes: Option<i64>,
    pub descriptor_drift: Option<i64>,
    /// What else this scenario counts.
    pub numbers: Vec<(String, u64)>,
    pub seconds: f64,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            name: String::new(),
            seed: 0,
            rounds: 0,
            verdict: Verdict::Kept,
            counts: None,
            ack_ms: None,
            restart_max_seconds: None,
            memory_drift_bytes: None,
            descriptor_drift: None,
            numbers: Vec::new(),
            seconds: 0.0,
        }
    }
}

impl Outcome {
    pub fn skipped(why: String) -> Self {
        Self { verdict: Verdict::Skipped(why), ..Self::default() }
    }

    /// A promise is broken.
    pub fn breaks(mut self, how: String) -> Self {
        match &mut self.verdict {
            Verdict::Broken(all) => all.push(how),
            other => *other = Verdict::Broken(vec![how]),
        }
        self
    }

    /// Broken unless `holds`.
    pub fn expects(self, holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if holds { self } else { self.breaks(otherwise()) }
    }

    pub fn rounds(mut self, rounds: u64) -> Self {
        self.rounds = rounds;
        self
    }

    /// One more count of this scenario's own.
    pub fn with(mut self, name: &str, number: u64) -> Self {
        self.numbers.push((name.to_owned(), number));
        self
    }

    /// Adds what the checker counted; what must be zero and is not breaks the scenario.
    pub fn counted(mut self, counts: Counts) -> Self {
        let wrong =
            counts.must_be_zero().into_iter().filter_map(|(name, count)| Some((name, count.filter(|n| *n > 0)?)));
        let wrong: Vec<String> = wrong.map(|(name, count)| format!("{count} {name}")).collect();
        let mut sum = self.counts.unwrap_or_default();
        sum += counts;
        self.counts = Some(sum);
        wrong.into_iter().fold(self, Self::breaks)
    }

    /// Adds the latencies of the generators.
    pub fn measured(mut self, reports: &[LoadReport]) -> Self {
        let mut all: Option<Histogram<u64>> = None;
        for report in reports {
            match &mut all {
                Some(all) => all.add(&report.ack_us).expect("all histograms have the same bounds"),
                None => all = Some(report.ack_us.clone()),
            }
        }
        let ms = |us: u64| us as f64 / 1e3;
        self.ack_ms = all.map(|all| [ms(all.value_at_quantile(0.5)), ms(all.value_at_quantile(0.99)), ms(all.max())]);
        self
    }

    pub fn is_broken(&self) -> bool {
        matches!(self.verdict, Verdict::Broken(_))
    }

    /// Everything in one line.
    pub fn line(&self) -> String {
        let verdict = match &self.verdict {
            Verdict::Kept => "kept",
            Verdict::Broken(_) => "BROKEN",
            Verdict::Skipped(_) => "SKIPPED",
        };
        let mut line = format!("{:10} {verdict:7} ", self.name);
        match &self.verdict {
            Verdict::Skipped(why) => return line + why,
            Verdict::Broken(how) => line += &format!("{}: ", how.join("; ")),
            Verdict::Kept => {}
        }
        line + &self.figures() + &format!(" (seed {}, {:.1} s)", self.seed, self.seconds)
    }

    /// The counts and figures.
    pub fn figures(&self) -> String {
        let mut parts = vec![format!("{} {}", self.rounds, if self.rounds == 1 { "round" } else { "rounds" })];
        parts.extend(self.numbers.iter().map(|(name, number)| format!("{number} {name}")));
        if let Some(counts) = &self.counts {
            parts.push(format!("{} acked", counts.acked));
            let checked = counts.must_be_zero().into_iter().filter_map(|(name, count)| Some((name, count?)));
            parts.extend(checked.map(|(name, count)| format!("{count} {name}")));
            parts.push(format!("{} refused but stored", counts.refused_but_stored));
        }
        if let Some([middle, late, most]) = self.ack_ms {
            parts.push(format!("ack p50 {middle:.1} p99 {late:.1} max {most:.0} ms"));
        }
        parts.extend(self.restart_max_seconds.map(|seconds| format!("restart at most {seconds:.2} s")));
        parts.extend(
            self.memory_drift_bytes.map(|bytes| format!("memory {:+.1} MiB", bytes as f64 / f64::from(1 << 20))),
        );
        parts.extend(self.descriptor_drift.map(|count| format!("descriptors {count:+}")));
        parts.join(", ")
    }
}

/// The longest of some durations, in seconds.
pub fn longest(durations: &[Duration]) -> Option<f64> {
    durations.iter().max().map(Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_zero_and_is_not_breaks() {
        let sound = Counts { acked: 5, lost: 0, ..Counts::default() };
        assert_eq!(Outcome::default().counted(sound).verdict, Verdict::Kept);
        let lossy = Counts { acked: 5, lost: 2, unseen: Some(1), ..Counts::default() };
        let outcome = Outcome::default().counted(sound).counted(lossy);
        assert_eq!(outcome.verdict, Verdict::Broken(vec!["2 lost".to_owned(), "1 unseen after drain".to_owned()]));
        assert_eq!(outcome.counts.map(|counts| counts.acked), Some(10));
    }

    #[test]
    fn a_line_says_everything() {
        let outcome = Outcome { name: "kill".to_owned(), seed: 7, ..Outcome::default() };
        let outcome = outcome.rounds(3).with("kills", 3).counted(Counts { acked: 9, lost: 1, ..Counts::default() });
        let line = outcome.line();
        assert!(line.starts_with("kill       BROKEN  1 lost: 3 rounds, 3 kills, 9 acked, 1 lost, "), "{line}");
        assert!(line.ends_with("0 refused but stored (seed 7, 0.0 s)"), "{line}");
        assert!(Outcome::skipped("no strace".to_owned()).line().ends_with("SKIPPED no strace"));
    }
}
