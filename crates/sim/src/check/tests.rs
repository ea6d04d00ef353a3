//! A clean run, and for each count a run that is broken in just that way.

use std::sync::Arc;

use super::*;
use crate::acked::{LoggedStream, Run};

const TS: Millis = 1_700_000_000_000;
const BOOT: u32 = 3;
const RUN: Run = Run { seed: 7, boot: BOOT, shape: Shape::Two, started: TS };

fn tenant(byte: u8) -> TenantId {
    TenantId::from_bytes([byte; 16])
}

fn device() -> DeviceId {
    DeviceId::from_bytes([1; 16])
}

fn ranges(ranges: &[(u64, u64)]) -> Ranges {
    ranges.iter().copied().collect()
}

/// Seqs 1 to 10 sent, 1 to 8 acknowledged, 9 refused.
fn logged() -> Logged {
    let stream = LoggedStream {
        run: RUN,
        tenant: tenant(9),
        first_seq: 1,
        devices: Arc::new([device()]),
        sent: ranges(&[(0, 10)]),
        acked: ranges(&[(0, 8)]),
        refused: ranges(&[(8, 9)]),
    };
    Logged { streams: vec![stream], torn_bytes: 0, next_boot: BOOT + 1 }
}

fn expected() -> Expected {
    expectations(&logged()).remove(0)
}

fn point(metric: usize, seq: u64) -> Point {
    let ts = TS + seq as i64;
    let value = f64::from(tenths(Shape::Two, metric, device_key(RUN.seed, device(), BOOT), seq, ts)) / 10.0;
    Point { ts, seq: Some(seq), boot: Some(BOOT), value }
}

fn raw(offset: u64, seq: u64) -> RawMessage {
    RawMessage { address: (0, offset, 0), tenant: tenant(9), seq: Some(seq), boot: Some(BOOT), digest: seq }
}

/// What a sound server kept.
fn evidence() -> Evidence {
    Evidence {
        stored: (0..2).map(|metric| (1..=8).map(|seq| point(metric, seq)).collect()).collect(),
        dead: BTreeSet::new(),
        raw: Some((1..=8).map(|seq| raw(seq, seq)).collect()),
        foreign: Some(0),
    }
}

fn clean() -> Counts {
    Counts {
        devices: 1,
        sent: 10,
        acked: 8,
        stored: 8,
        unseen: Some(0),
        inconsistent: Some(0),
        reordered: Some(0),
        wrong_tenant: Some(0),
        ..Counts::default()
    }
}

#[track_caller]
fn broken(change: impl FnOnce(&mut Evidence), expect: Counts) {
    let mut evidence = evidence();
    change(&mut evidence);
    let counts = check(&expected(), &evidence);
    assert_eq!(counts, expect);
    assert!(!counts.clean());
}

fn remove(evidence: &mut Evidence, seq: u64) {
    evidence.stored.iter_mut().for_each(|points| points.retain(|point| point.seq != Some(seq)));
}

#[test]
fn a_sound_server_has_zeros() {
    let counts = check(&expected(), &evidence());
    assert_eq!(counts, clean());
    assert!(counts.clean());
}

#[test]
fn what_was_sent_and_never_acknowledged_may_be_stored_or_not() {
    let mut evidence = evidence();
    (0..2).for_each(|metric| evidence.stored[metric].push(point(metric, 10)));
    assert_eq!(check(&expected(), &evidence), Counts { stored: 9, ..clean() });
}

#[test]
fn an_acknowledged_message_that_is_nowhere_is_lost() {
    let change = |evidence: &mut Evidence| {
        remove(evidence, 4);
        evidence.raw.as_mut().unwrap().retain(|message| message.seq != Some(4));
    };
    broken(change, Counts { stored: 7, lost: 1, ..clean() });
}

#[test]
fn without_the_journal_what_is_not_stored_is_lost() {
    let change = |evidence: &mut Evidence| {
        remove(evidence, 4);
        (evidence.raw, evidence.foreign) = (None, None);
    };
    let unchecked = Counts { unseen: None, inconsistent: None, reordered: None, wrong_tenant: None, ..clean() };
    broken(change, Counts { stored: 7, lost: 1, ..unchecked });
}

#[test]
fn an_acknowledged_message_that_is_only_in_the_journal_is_unseen() {
    broken(|evidence| remove(evidence, 4), Counts { stored: 7, unseen: Some(1), ..clean() });
}

#[test]
fn an_acknowledged_message_may_be_a_dead_letter_instead() {
    let mut evidence = evidence();
    remove(&mut evidence, 4);
    evidence.dead.insert((BOOT, 4));
    let counts = check(&expected(), &evidence);
    assert_eq!(counts, Counts { stored: 7, dead_lettered: 1, ..clean() });
    assert!(counts.clean());
}

#[test]
fn an_address_with_two_contents_is_inconsistent() {
    let change = |evidence: &mut Evidence| {
        let raw = evidence.raw.as_mut().unwrap();
        raw.push(RawMessage { digest: 99, ..raw[3].clone() });
        // Read again unchanged: that is what a second dump looks like.
        raw.push(raw[4].clone());
    };
    broken(change, Counts { inconsistent: Some(1), ..clean() });
}

#[test]
fn a_second_row_of_one_message_is_a_duplicate() {
    let change = |evidence: &mut Evidence| (0..2).for_each(|metric| evidence.stored[metric].push(point(metric, 5)));
    broken(change, Counts { stored: 9, duplicated: 1, ..clean() });
}

#[test]
fn two_messages_of_a_device_that_changed_places_are_reordered() {
    let change = |evidence: &mut Evidence| {
        let raw = evidence.raw.as_mut().unwrap();
        let (third, fourth) = (raw[2].address, raw[3].address);
        (raw[2].address, raw[3].address) = (fourth, third);
    };
    broken(change, Counts { reordered: Some(1), ..clean() });
}

#[test]
fn a_resend_behind_later_messages_is_no_reordering() {
    let mut evidence = evidence();
    evidence.raw.as_mut().unwrap().push(raw(9, 2));
    assert_eq!(check(&expected(), &evidence), clean());
}

#[test]
fn a_wrong_value_is_corrupt() {
    broken(|evidence| evidence.stored[1][2].value += 0.1, Counts { corrupt: 1, ..clean() });
}

#[test]
fn a_value_under_another_time_is_corrupt() {
    // The last metric's noise depends on ts: one of eight times agrees by chance, so several are shifted.
    let mut evidence = evidence();
    evidence.stored[1].iter_mut().for_each(|point| point.ts += 60_000);
    assert!(check(&expected(), &evidence).corrupt >= 4);
}

#[test]
fn a_row_without_all_its_metrics_is_corrupt() {
    let change = |evidence: &mut Evidence| {
        evidence.stored[1].remove(2);
    };
    broken(change, Counts { corrupt: 1, ..clean() });
}

#[test]
fn a_row_that_was_never_sent_is_counted() {
    let change = |evidence: &mut Evidence| evidence.stored[0].push(point(0, 11));
    broken(change, Counts { stored: 9, never_sent: 1, ..clean() });
    let change = |evidence: &mut Evidence| evidence.stored[0].push(Point { boot: Some(BOOT + 1), ..point(0, 1) });
    broken(change, Counts { stored: 9, never_sent: 1, ..clean() });
    let change = |evidence: &mut Evidence| evidence.stored[0].push(Point { seq: None, ..point(0, 1) });
    broken(change, Counts { stored: 9, never_sent: 1, ..clean() });
}

#[test]
fn a_message_under_another_tenant_is_counted() {
    let change = |evidence: &mut Evidence| evidence.raw.as_mut().unwrap()[0].tenant = tenant(8);
    broken(change, Counts { wrong_tenant: Some(1), ..clean() });
    broken(|evidence| evidence.foreign = Some(2), Counts { wrong_tenant: Some(2), ..clean() });
}

#[test]
fn a_refused_message_that_is_stored_is_counted_and_allowed() {
    let mut evidence = evidence();
    (0..2).for_each(|metric| evidence.stored[metric].push(point(metric, 9)));
    let counts = check(&expected(), &evidence);
    assert_eq!(counts, Counts { stored: 9, refused_but_stored: 1, ..clean() });
    assert!(counts.clean());
}

#[test]
fn runs_of_one_device_are_told_apart_by_boot() {
    let mut logged = logged();
    let next = LoggedStream { run: Run { boot: BOOT + 1, ..RUN }, ..logged.streams[0].clone() };
    logged.streams.push(next);
    let expected = expectations(&logged);
    assert_eq!((expected.len(), expected[0].boots.len()), (1, 2));
    let counts = check(&expected[0], &evidence());
    assert_eq!((counts.acked, counts.lost), (16, 8));
}

#[test]
fn counts_add_up_and_what_was_not_checked_stays_absent() {
    let mut sum = Counts { lost: 1, unseen: None, ..Counts::default() };
    sum += Counts { lost: 2, unseen: Some(3), ..Counts::default() };
    sum += Counts::default();
    assert_eq!((sum.lost, sum.unseen, sum.reordered), (3, Some(3), None));
}
