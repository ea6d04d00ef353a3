//! What a server says about itself at `/metrics`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use ureq::Agent;

/// The operations listener of one server.
pub struct Gauges {
    agent: Agent,
    url: String,
}

/// One reading of all of them, by name with labels, as in the text.
#[derive(Clone, Default, Debug)]
pub struct Reading(HashMap<String, f64>);

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

impl Gauges {
    /// `operations` as `host:port`.
    pub fn new(operations: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(ANSWER_WAIT_MAX)).proxy(None).build();
        Self { agent: config.into(), url: format!("http://{operations}/metrics") }
    }

    pub fn read(&self) -> Result<Reading> {
        let mut answer = self.agent.get(&self.url).call().with_context(|| format!("{} does not answer", self.url))?;
        Ok(Reading::parse(&answer.body_mut().read_to_string()?))
    }
}

impl Reading {
    /// OpenMetrics text: `name{labels} value` a line.
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(lines.filter_map(value).collect())
    }

    /// 0 if there is none of that name: a server of another version has fewer.
    pub fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_with_its_labels_and_a_value() {
        let text = "# TYPE tidewater_lag_bytes gauge\ntidewater_lag_bytes 42\ntidewater_journal_bytes{topic=\"raw\"} 1.5e3\n# EOF\n";
        let reading = Reading::parse(text);
        assert_eq!(reading.of("tidewater_lag_bytes"), 42.0);
        assert_eq!(reading.of("tidewater_journal_bytes{topic=\"raw\"}"), 1500.0);
        assert_eq!(reading.of("tidewater_blocks"), 0.0);
    }
}
