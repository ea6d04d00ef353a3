//! Whether the server should be sent traffic, and if not, why.

use model::limits;
use serde::Serialize;

use super::Sample;

/// Something that stands in the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Obstacle {
    /// Stable, for programs.
    pub code: &'static str,
    /// What it is and what to do, for a person.
    pub detail: String,
}

/// Everything that stands in the way; empty when the server is ready.
pub fn obstacles(sample: &Sample) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut add = |code, detail| found.push(Obstacle { code, detail });
    if sample.stopping {
        add("stopping", "The server is shutting down.".to_owned());
    }
    if let Some(cause) = &sample.poisoned {
        let advice = "Nobody knows what that disk has lost, so it is not tried again: see to the disk, run \
                      `tidewater journal check`, then restart. What was acknowledged is served meanwhile";
        add("journal-poisoned", format!("The journal takes nothing more: {cause}. {advice}."));
    }
    if let Some(obstacle) = &sample.journal_blocked {
        let advice = "Free space on that disk, or raise the limit of open files if they ran out";
        let detail = format!("The journal cannot take more: {obstacle}. {advice}; no restart is needed.");
        add("journal-blocked", detail);
    }
    if sample.free_bytes < limits::DISK_RESERVE_BYTES {
        let (free, reserve) = (sample.free_bytes >> 20, limits::DISK_RESERVE_BYTES >> 20);
        let detail = format!(
            "{free} MiB of disk are free, below the reserve of {reserve} MiB. Free space or shorten a class's retention."
        );
        add("disk-full", detail);
    }
    if let Some(why) = &sample.store_failure {
        let detail = format!("Rows cannot be sealed into blocks: {why}. What is acknowledged is safe in the journal.");
        add("store-failing", detail);
    }
    if sample.lag_bytes > limits::LAG_BYTES_MAX {
        let lag = sample.lag_bytes >> 20;
        add("lag", format!("{lag} MiB of the journal are not queryable yet; ingest is slowed until they are."));
    }
    if found.is_empty() && !sample.ingest_held.is_empty() {
        let detail = format!("Ingest is held up: {}.", sample.ingest_held);
        found.push(Obstacle { code: "ingest-held", detail });
    }
    found
}

/// What does not stand in the way and wants a person all the same: the rest is served.
pub fn warnings(sample: &Sample) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if !sample.damage.is_empty() {
        let detail = format!(
            "The journal is damaged: {}. What stood there cannot be read; all else is served. Run `tidewater journal check`.",
            sample.damage.join("; ")
        );
        found.push(Obstacle { code: "journal-damaged", detail });
    }
    if sample.blocks_damaged > 0 {
        let detail = format!(
            "{} blocks are damaged and are not served; the log names them. Restore them from a copy of the data directory.",
            sample.blocks_damaged
        );
        found.push(Obstacle { code: "blocks-damaged", detail });
    }
    if let Some(outage) = &sample.schemas_outage {
        let (seconds, why) = (outage.lasts.as_secs(), &outage.why);
        let detail = format!("For {seconds} s now {why}");
        found.push(Obstacle { code: "schema-registry-unavailable", detail });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::external::Outage;

    fn check(sample: Sample, expect: &[&str]) {
        let codes: Vec<_> = obstacles(&sample).into_iter().map(|obstacle| obstacle.code).collect();
        assert_eq!(codes, expect);
    }

    #[test]
    fn damage_is_said_and_does_not_stand_in_the_way() {
        let sample = Sample {
            free_bytes: u64::MAX,
            blocks_damaged: 1,
            damage: vec!["raw: offsets".into()],
            ..Sample::default()
        };
        let codes: Vec<_> = warnings(&sample).into_iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["journal-damaged", "blocks-damaged"]);
        check(sample, &[]);
    }

    #[test]
    fn each_obstacle_has_its_code() {
        let fine = Sample { free_bytes: u64::MAX, ..Sample::default() };
        check(fine.clone(), &[]);
        check(Sample { stopping: true, ..fine.clone() }, &["stopping"]);
        check(Sample { poisoned: Some("EIO".into()), ..fine.clone() }, &["journal-poisoned"]);
        check(Sample { journal_blocked: Some("full".into()), ..fine.clone() }, &["journal-blocked"]);
        check(Sample { free_bytes: 0, ingest_held: "the disk is nearly full".into(), ..fine.clone() }, &["disk-full"]);
        check(Sample { store_failure: Some("ENOSPC".into()), ..fine.clone() }, &["store-failing"]);
        check(Sample { lag_bytes: limits::LAG_BYTES_MAX + 1, ..fine.clone() }, &["lag"]);
        check(Sample { ingest_held: "the store is sealing".into(), ..fine.clone() }, &["ingest-held"]);
        let outage = Outage { lasts: std::time::Duration::from_secs(90), why: "the registry is out of reach.".into() };
        let silent = Sample { schemas_outage: Some(outage), ..fine.clone() };
        check(silent.clone(), &[]);
        let expect = "For 90 s now the registry is out of reach.".to_owned();
        assert_eq!(warnings(&silent), [Obstacle { code: "schema-registry-unavailable", detail: expect }]);
        assert_eq!(warnings(&fine), []);
    }
}
