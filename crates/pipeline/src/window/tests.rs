use std::collections::{HashMap, HashSet, VecDeque};

use model::limits::DEDUP_RECENT_MAX;
use proptest::prelude::*;

use super::runs::morning;
use super::*;

/// The rules as plainly as they can be written, without bound and without forgetting.
#[derive(Default)]
struct Naive {
    boots: HashSet<(u32, u64)>,
    epochs: Vec<NaiveEpoch>,
    clockless: VecDeque<u128>,
    seqless: VecDeque<u128>,
}

#[derive(Default)]
struct NaiveEpoch {
    /// Falls in it: a ts greater than this, up to the next epoch's.
    after: Option<i64>,
    latest: i64,
    seqs: HashSet<u64>,
}

impl Naive {
    fn admit(&mut self, identity: &Identity) -> bool {
        match *identity {
            Identity::Boot { boot, seq } => self.boots.insert((boot, seq)),
            Identity::Ts { ts, seq } => {
                let reset = self.epochs.last().filter(|newest| {
                    ts > newest.latest && newest.seqs.iter().max().is_some_and(|highest| seq < *highest)
                });
                match reset.map(|newest| newest.latest) {
                    Some(latest) => {
                        self.epochs.push(NaiveEpoch { after: Some(latest), latest: ts, ..NaiveEpoch::default() });
                    }
                    None if self.epochs.is_empty() => {
                        self.epochs.push(NaiveEpoch { latest: ts, ..NaiveEpoch::default() });
                    }
                    None => {}
                }
                let falls = |epoch: &&mut NaiveEpoch| epoch.after.is_none_or(|after| ts > after);
                let epoch = self.epochs.iter_mut().rev().find(falls).expect("the first takes every ts");
                let fresh = epoch.seqs.insert(seq);
                epoch.latest = if fresh { epoch.latest.max(ts) } else { epoch.latest };
                fresh
            }
            Identity::Payload(hash) => remember(&mut self.clockless, hash),
            Identity::Values(hash) => remember(&mut self.seqless, hash),
            Identity::None => true,
        }
    }
}

fn remember(recent: &mut VecDeque<u128>, hash: u128) -> bool {
    if recent.contains(&hash) {
        return false;
    }
    recent.push_back(hash);
    if recent.len() > DEDUP_RECENT_MAX {
        recent.pop_front();
    }
    true
}

fn encoded(windows: &Windows) -> Vec<u8> {
    let mut bytes = Vec::new();
    windows.encode(&mut bytes);
    bytes
}

fn windows() -> Windows {
    let mut windows = Windows::default();
    windows.open();
    windows.turn(0);
    windows
}

/// Turns the windows' clock by hours, as batches would that come every half hour.
fn pass(windows: &mut Windows, hours: i64) {
    let start = windows.received.expect("turned once");
    (1..=hours * 2).for_each(|step| windows.turn(start + step * 1_800_000));
}

fn boot(boot: u32, seq: u64) -> Identity {
    Identity::Boot { boot, seq }
}

fn ts(ts: i64, seq: u64) -> Identity {
    Identity::Ts { ts, seq }
}

/// Sends messages of one device and compares which are new.
fn check(messages: &[Identity], expect: &[bool]) {
    let mut windows = windows();
    let found: Vec<bool> = messages.iter().map(|message| windows.admit(0, message)).collect();
    assert_eq!(found, expect);
}

#[test]
fn boot_and_seq_alone_decide() {
    check(
        &[boot(1, 5), boot(1, 5), boot(2, 5), boot(2, 4), boot(1, 4), boot(2, 5)],
        &[true, false, true, true, true, false],
    );
}

#[test]
fn the_extremes_of_seq_and_boot_are_seen_exactly() {
    let (low, high) = (boot(0, 0), boot(u32::MAX, u64::MAX));
    check(&[low, high, low, high, boot(u32::MAX, 0), boot(0, u64::MAX)], &[true, true, false, false, true, true]);
    let (low, high) = (ts(i64::MIN, 0), ts(i64::MAX, u64::MAX));
    check(&[low, high, low, high], &[true, true, false, false]);
}

#[test]
fn a_counter_reset_opens_an_epoch_and_the_old_one_is_kept() {
    let run = [ts(10, 7), ts(20, 8), ts(30, 0), ts(40, 1), ts(20, 8), ts(30, 0), ts(50, 7), ts(15, 7)];
    check(&run, &[true, true, true, true, false, false, true, false]);
}

#[test]
fn an_older_ts_does_not_open_an_epoch() {
    check(&[ts(10, 7), ts(20, 9), ts(15, 8), ts(15, 8)], &[true, true, true, false]);
}

#[test]
fn a_message_without_seq_is_compared_with_the_last_128() {
    let mut windows = windows();
    assert!((0..=128).all(|n| windows.admit(0, &Identity::Values(n))));
    assert!(!windows.admit(0, &Identity::Values(1)), "the 128th before is remembered");
    assert!(windows.admit(0, &Identity::Values(0)), "the 129th before is not");
    assert!(windows.admit(0, &Identity::None) && windows.admit(0, &Identity::None));
}

#[test]
fn a_regular_device_stays_packed_with_a_gap_and_over_days() {
    let mut windows = windows();
    for seq in 0..200 {
        pass(&mut windows, 1);
        assert!(seq == 150 || windows.admit(0, &ts(seq as i64, seq)), "{seq}");
    }
    assert_eq!(windows.slots[0].kind(), Kind::Packed, "{:?}", windows.slots[0]);
    assert!(windows.admit(0, &ts(150, 150)) && !windows.admit(0, &ts(150, 150)));
}

#[test]
fn a_message_is_remembered_for_a_day_and_forgotten_after_two() {
    for message in [boot(1, 5), ts(7, 5), Identity::Payload(5), Identity::Values(5)] {
        let mut windows = windows();
        pass(&mut windows, 23);
        assert!(windows.admit(0, &message));
        pass(&mut windows, 24);
        assert!(!windows.admit(0, &message), "{message:?} after a day");
        pass(&mut windows, 24);
        assert!(windows.admit(0, &message), "{message:?} after two");
    }
}

#[test]
fn a_jump_of_the_clock_forgets_nothing() {
    let mut windows = windows();
    assert!(windows.admit(0, &boot(1, 5)));
    windows.turn(i64::MAX);
    windows.turn(i64::MIN);
    windows.turn(0);
    assert!(!windows.admit(0, &boot(1, 5)));
}

#[test]
fn what_is_taken_out_again_leaves_the_others() {
    for message in [boot(1, 5), ts(7, 5), Identity::Payload(5), Identity::Values(5)] {
        let mut windows = windows();
        let others = [boot(1, 4), boot(1, 6), ts(6, 4), ts(8, 6), Identity::Payload(6), Identity::Values(6)];
        others.iter().for_each(|other| assert!(windows.admit(0, other)));
        for _ in 0..2 {
            assert!(windows.admit(0, &message));
            windows.retract(0, &message);
        }
        others.iter().for_each(|other| assert!(!windows.admit(0, other), "{other:?} was forgotten with {message:?}"));
    }
}

#[test]
fn silent_devices_give_their_memory_back() {
    let mut windows = windows();
    for n in 0..10 {
        windows.admit(0, &boot(n, 5));
    }
    windows.open();
    windows.admit(1, &boot(1, 1));
    assert_eq!(windows.runs, 10);
    pass(&mut windows, 48);
    assert_eq!((windows.runs, &windows.slots[..]), (0, &[Slot::EMPTY, Slot::EMPTY][..]));
}

#[test]
fn random_seqs_have_bounded_memory_and_lose_nothing() {
    let mut windows = windows();
    let seqs = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sent = 3 * DEDUP_RUNS_PER_DEVICE_MAX as u64;
    assert!((0..sent).all(|n| windows.admit(0, &boot(1, seqs(n)))), "different messages are kept");
    assert!(!windows.admit(0, &boot(1, seqs(sent - 1))), "a recent re-send is seen");
    assert!(windows.runs <= DEDUP_RUNS_PER_DEVICE_MAX);
}

#[test]
fn a_forgotten_epoch_is_not_taken_for_its_neighbour() {
    let mut windows = windows();
    assert!(windows.admit(0, &ts(100, 500)));
    pass(&mut windows, 30);
    assert!(windows.admit(0, &ts(200, 1)), "reset");
    pass(&mut windows, 30);
    assert!(windows.admit(0, &ts(300, 2)), "the first epoch is past");
    assert!(windows.admit(0, &ts(50, 1)), "another message with a seq of the second epoch");
    assert!(!windows.admit(0, &ts(50, 1)));
}

#[derive(Clone, Debug)]
enum Step {
    Send(Identity),
    Resend(prop::sample::Index),
    Hours(u8),
    Restore,
}

fn identity() -> impl Strategy<Value = Identity> {
    let near = prop_oneof![0..60_u64, Just(u64::MAX), (u64::MAX - 3)..u64::MAX, any::<u64>()];
    let times = prop_oneof![-5..100_i64, any::<i64>()];
    prop_oneof![
        4 => (prop_oneof![0..3_u32, any::<u32>()], near.clone()).prop_map(|(boot, seq)| Identity::Boot { boot, seq }),
        6 => (times, near).prop_map(|(ts, seq)| Identity::Ts { ts, seq }),
        1 => (0..200_u128).prop_map(Identity::Payload),
        1 => (0..200_u128).prop_map(Identity::Values),
        1 => Just(Identity::None),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => identity().prop_map(Step::Send),
        6 => any::<prop::sample::Index>().prop_map(Step::Resend),
        1 => (0..3_u8).prop_map(Step::Hours),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec(step, 0..150)
}

/// What a device really does: counts up, loses some, sends late, resets counter or boot, re-sends.
fn regular_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..100_u8, any::<prop::sample::Index>(), any::<bool>());
    prop::collection::vec(step, 0..150).prop_map(|steps| {
        let (mut seq, mut clock, mut boots) = (1000, 5000, 0);
        let sent = steps.into_iter().map(|(choice, index, with_boot)| {
            clock += 10;
            seq += 1;
            match choice {
                0..3 => (seq, boots) = (0, boots + 1),
                3..8 => seq += 2,
                8..25 => return Step::Resend(index),
                25..28 => return Step::Restore,
                28..35 => return Step::Send(Identity::Ts { ts: clock - 100, seq: seq - 10_u64.min(seq) }),
                _ => {}
            }
            Step::Send(if with_boot && choice % 2 == 0 { boot(boots, seq) } else { ts(clock, seq) })
        });
        sent.collect()
    })
}

/// Within a day, whenever it begins, the windows and the plain rules agree on every message.
fn agrees(steps: Vec<Step>, start_hour: i64) -> Result<(), TestCaseError> {
    let (mut windows, mut naive, mut sent, mut hours) = (windows(), Naive::default(), Vec::new(), 0);
    pass(&mut windows, start_hour);
    for step in steps {
        let message = match step {
            Step::Send(message) => message,
            Step::Resend(_) if sent.is_empty() => continue,
            Step::Resend(index) => *index.get(&sent),
            Step::Hours(more) => {
                let more = i64::from(more).min(23 - hours);
                hours += more;
                pass(&mut windows, more);
                continue;
            }
            Step::Restore => {
                let mut bytes = Vec::new();
                windows.encode(&mut bytes);
                windows = Windows::decode(&mut Reader(&bytes)).expect("decodes");
                continue;
            }
        };
        sent.push(message);
        prop_assert_eq!(windows.admit(0, &message), naive.admit(&message), "{:?}", message);
    }
    Ok(())
}

proptest! {
    #[test]
    fn windows_follow_the_rules_under_any_traffic(steps in steps(), start_hour in 0..60_i64) {
        agrees(steps, start_hour)?;
    }

    #[test]
    fn windows_follow_the_rules_under_real_traffic(steps in regular_steps(), start_hour in 0..60_i64) {
        agrees(steps, start_hour)?;
    }

    #[test]
    fn over_days_the_last_one_is_always_seen(
        steps in prop::collection::vec((0..6_i64, any::<bool>(), 0..3_u32, 0..60_u64, any::<bool>()), 0..200),
    ) {
        let (mut windows, mut restored) = (windows(), windows());
        let (mut admitted, mut hour) = (HashMap::new(), 0);
        for (hours, with_boot, choice, number, restore) in steps {
            if restore {
                let mut bytes = Vec::new();
                restored.encode(&mut bytes);
                restored = Windows::decode(&mut Reader(&bytes)).expect("decodes");
            }
            [&mut windows, &mut restored].into_iter().for_each(|windows| pass(windows, hours));
            hour += hours;
            let message = if with_boot { boot(choice, number) } else { ts(number as i64, number) };
            let fresh = windows.admit(0, &message);
            prop_assert_eq!(restored.admit(0, &message), fresh);
            let before = admitted.get(&message).copied();
            prop_assert!(fresh || before.is_some(), "{:?} was never sent", message);
            prop_assert!(!fresh || before.is_none_or(|before| hour - before > 24), "{:?} is not a day old", message);
            if fresh {
                admitted.insert(message, hour);
            }
        }
        prop_assert_eq!(encoded(&windows), encoded(&restored));
    }

    #[test]
    fn packing_loses_nothing(seqs in prop::collection::vec(0..12_u64, 1..12), late in prop::collection::vec(0..12_u64, 0..6)) {
        let mut wide = Wide::default();
        for (seqs, now) in [(seqs, 0), (late, morning(1))] {
            for seq in seqs {
                wide.admit(&ts(seq as i64, seq), now, usize::MAX);
            }
        }
        if let Some(packed) = Packed::pack(&wide) {
            prop_assert!(packed.is_sound());
            prop_assert_eq!(packed.unpack(), wide);
        }
    }

    #[test]
    fn arbitrary_state_bytes_never_panic(bytes: Vec<u8>, message in identity()) {
        if let Ok(mut windows) = Windows::decode(&mut Reader(&bytes)) {
            windows.open();
            for slot in 0..windows.len().min(100) {
                windows.admit(slot as u32, &message);
            }
            windows.turn(1);
        }
    }
}

#[test]
fn slots_that_contradict_themselves_are_refused() {
    let mut windows = windows();
    windows.open();
    for message in [boot(1, 1), boot(1, 2), boot(2, 1), ts(7, 7)] {
        windows.admit(0, &message);
    }
    windows.admit(1, &boot(1, 9));
    assert_eq!((windows.slots[0].kind(), windows.slots[1].kind()), (Kind::Wide, Kind::Packed));
    let bytes = encoded(&windows);
    let decode = |bytes: &[u8]| Windows::decode(&mut Reader(bytes)).is_ok();
    assert!(decode(&bytes));
    let (wide, packed) = (bytes.len() - 64, bytes.len() - 32);
    // The kind, the byte beside it, and the place of a wide one; the kind, the length and the number of runs of a packed one.
    for (at, value) in [
        (wide + 30, 1),
        (wide + 30, 0),
        (wide + 31, 1),
        (wide, 1),
        (packed + 30, 2),
        (packed + 20, 0),
        (packed + 29, 3),
    ] {
        let mut wrong = bytes.clone();
        wrong[at] = value;
        assert!(!decode(&wrong), "{} at {at}", value);
    }
}

/// A window that forgets too early must not pass the comparison.
#[test]
fn the_comparison_sees_a_window_that_forgets() {
    let mut naive = Naive::default();
    let mut windows = windows();
    assert_eq!(windows.admit(0, &boot(1, 1)), naive.admit(&boot(1, 1)));
    windows.slots[0] = Slot::EMPTY;
    assert_ne!(windows.admit(0, &boot(1, 1)), naive.admit(&boot(1, 1)));
}
