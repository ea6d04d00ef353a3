//! The baseline: scores that were measured and committed, and how a run compares with them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Better, Score, Section};

/// What was committed.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// For people: where the scores come from.
    pub measured_on: String,
    pub scores: BTreeMap<String, f64>,
}

/// How one score compares.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    pub key: String,
    pub value: f64,
    /// None if the baseline does not know it.
    pub baseline: Option<f64>,
    pub better: Better,
    pub margin: f64,
    /// Worse than the baseline by more than the margin.
    pub slower: bool,
}

impl Baseline {
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a baseline", path.display()))
    }

    /// Replaces the scores that were measured; the others stay.
    pub fn renew(&mut self, measured_on: String, sections: &[Section]) {
        self.measured_on = measured_on;
        let scores = sections.iter().flat_map(|section| &section.scores);
        self.scores.extend(scores.map(|score| (score.key.clone(), rounded(score.value))));
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn compare(&self, sections: &[Section]) -> Vec<Comparison> {
        sections.iter().flat_map(|section| &section.scores).map(|score| self.compare_one(score)).collect()
    }

    fn compare_one(&self, score: &Score) -> Comparison {
        let baseline = self.scores.get(&score.key).copied();
        let slower = baseline.is_some_and(|baseline| match score.better {
            Better::Higher => score.value < baseline * (1.0 - score.margin),
            Better::Lower => score.value > baseline * (1.0 + score.margin),
        });
        let Score { key, value, better, margin } = score.clone();
        Comparison { key, value, baseline, better, margin, slower }
    }
}

/// Three significant digits: more would be noise in the file.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().expect("a number was just written")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn section(key: &str, value: f64, better: Better) -> Section {
        Section {
            title: String::new(),
            headings: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
            scores: vec![Score { key: key.to_owned(), value, better, margin: 0.2 }],
            data: Value::Null,
        }
    }

    #[test]
    fn worse_by_more_than_the_margin_is_slower() {
        let baseline = Baseline { measured_on: String::new(), scores: [("a".to_owned(), 1.0)].into() };
        let slower = |value, better| baseline.compare(&[section("a", value, better)])[0].slower;
        assert_eq!([0.79, 0.81, 1.5].map(|value| slower(value, Better::Higher)), [true, false, false]);
        assert_eq!([0.5, 1.19, 1.21].map(|value| slower(value, Better::Lower)), [false, false, true]);
        let unknown = &baseline.compare(&[section("b", 0.0, Better::Higher)])[0];
        assert_eq!((unknown.baseline, unknown.slower), (None, false));
    }

    #[test]
    fn renewing_keeps_what_was_not_measured() {
        let mut baseline = Baseline { measured_on: String::new(), scores: [("a".to_owned(), 1.0)].into() };
        baseline.renew("here".to_owned(), &[section("b", 0.123_456, Better::Higher)]);
        assert_eq!(baseline.scores, [("a".to_owned(), 1.0), ("b".to_owned(), 0.123)].into());
    }
}
