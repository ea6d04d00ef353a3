use journal::{Figures, Topic};
use pipeline::Counts;

use super::*;

#[test]
#[allow(clippy::field_reassign_with_default, reason = "an Output has a private part")]
fn what_was_counted_is_in_the_text() {
    let metrics = Metrics::new();
    metrics.mqtt.connections.set(3);
    metrics.http.received.inc_by(5);
    metrics.http.refused("device-inactive", 2);
    metrics.http.durable_after(Duration::from_millis(1));
    metrics.request("/v1/devices/{device_id}", 404);
    let counts = Counts { messages: 7, accepted: 4, duplicates: 3, ..Counts::default() };
    let mut output = Output::default();
    output.counts = counts;
    metrics.ingested(&output);
    let figures = Figures { commits: 9, ..Figures::default() };
    let text = metrics.scrape(&Sample {
        logs: vec![(Topic::Raw, figures)],
        lag_bytes: 11,
        rows_merged: 12,
        ..Sample::default()
    });
    for line in [
        "tidewater_connections{protocol=\"mqtt\"} 3",
        "tidewater_received_payloads_total{protocol=\"http\"} 5",
        "tidewater_refused_total{protocol=\"http\",code=\"device-inactive\"} 2",
        "tidewater_durable_seconds_count{protocol=\"http\"} 1",
        "tidewater_http_requests_total{route=\"/v1/devices/{device_id}\",status=\"4xx\"} 1",
        "tidewater_messages_accepted_total 4",
        "tidewater_messages_duplicate_total 3",
        "tidewater_messages_rejected_total{reason=\"not-well-formed\"} 0",
        "tidewater_journal_commits_total{topic=\"raw\"} 9",
        "tidewater_lag_bytes 11",
        "tidewater_rows_merged_total 12",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("tidewater_process_resident_memory_bytes "));
}
