//! A message that makes the pipeline panic becomes a dead letter, wherever it does so, and leaves no other trace.

use super::*;
use crate::Counts;
use crate::sabotage::{ACCEPTING, READING, WRITING};

fn message(metric: &str, seq: u64) -> String {
    format!(r#"{{"ts":{seq},"seq":{seq},"metrics":{{"{metric}":1}},"tags":{{"t":"x"}}}}"#)
}

#[test]
fn a_payload_is_isolated_between_others() {
    for mark in [READING, ACCEPTING, WRITING] {
        let mut pipeline = pipeline(UnknownFields::Drop);
        let mut output = Output::default();
        let payloads = [message("a", 1), message(mark, 2), message("a", 3)].map(|text| (key(0), text.into_bytes()));
        process(&mut pipeline, &batch(RECEIVED, &[], &payloads), &mut output);
        let letter = format!("2-0 poison | a panic in the pipeline: {mark} | {}", message(mark, 2));
        let row = |seq| format!(r#"{seq}-0 d0 ts={seq} seq={seq} a=1.0 tags={{"t":"x"}}"#);
        assert_eq!(lines(&output), [row(1), row(3), letter]);
        assert_eq!(output.defects, [Defect::Poison { offset: 2, index: 0 }]);
        assert_eq!(output.counts, Counts { messages: 3, accepted: 2, rejected: 1, ..Counts::default() });
    }
}

#[test]
fn an_element_is_isolated_between_others() {
    for mark in [ACCEPTING, WRITING] {
        let mut pipeline = pipeline(UnknownFields::Drop);
        let mut output = Output::default();
        let array = format!("[{},{},{}]", message("a", 1), message(mark, 2), message("a", 3));
        process(&mut pipeline, &batch(RECEIVED, &[], &[(key(0), array.into_bytes())]), &mut output);
        let letter = format!("1-1 poison | a panic in the pipeline: {mark} | {}", message(mark, 2));
        let row = |seq: u64| format!(r#"1-{} d0 ts={seq} seq={seq} a=1.0 tags={{"t":"x"}}"#, seq - 1);
        assert_eq!(lines(&output), [row(1), row(3), letter]);
        assert_eq!(output.defects, [Defect::Poison { offset: 1, index: 1 }]);
    }
}

/// The window remembered a message whose row was never whole: the replay of its letter was dropped as a duplicate.
#[test]
fn it_is_no_duplicate_when_it_comes_again() {
    for message in [message(WRITING, 2), format!(r#"{{"ts":9,"metrics":{{"{WRITING}":1}}}}"#)] {
        let mut pipeline = pipeline(UnknownFields::Drop);
        let mut output = Output::default();
        for number in 1..=2 {
            process(&mut pipeline, &batch(RECEIVED, &[], &[(key(0), message.clone().into_bytes())]), &mut output);
            assert_eq!((output.counts.rejected, output.counts.duplicates), (1, 0), "time {number} of {message}");
        }
    }
}
