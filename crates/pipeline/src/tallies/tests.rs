use super::*;

fn rule(messages: u16, rejected_percent: f64) -> Quarantine {
    Quarantine { messages, rejected_percent, quarantine: false }
}

/// The runs that were past the limit, as messages and rejected, for messages that are good (`.`) or rejected (`x`).
fn runs(messages: &str, rule: &Quarantine) -> Vec<(u16, u16)> {
    let mut tallies = Tallies::default();
    let decided = messages.chars().filter_map(|message| tallies.count(3, message == 'x', rule));
    decided.map(|run| (run.messages, run.rejected)).collect()
}

#[test]
fn a_run_past_the_limit_is_told_as_soon_as_it_is_certain() {
    assert_eq!(runs("..x.x.x...", &rule(10, 20.0)), [(7, 3)]);
    assert_eq!(runs("..x.x.....x.x.......", &rule(10, 20.0)), []);
    assert_eq!(runs("xxxx", &rule(2, 50.0)), [(2, 2), (2, 2)]);
    assert_eq!(runs("xx", &rule(10, 0.0)), [(1, 1), (1, 1)]);
    assert_eq!(runs("xxxx", &rule(4, 100.0)), []);
}

#[test]
fn the_stored_form_is_read_again() {
    let mut tallies = Tallies::default();
    tallies.count(2, true, &rule(10, 50.0));
    let mut bytes = Vec::new();
    tallies.encode(&mut bytes);
    let restored = Tallies::decode(&mut Reader(&bytes), 3).expect("what was just written");
    assert_eq!(restored.list, tallies.list);
    assert!(Tallies::decode(&mut Reader(&bytes), 2).is_err());
    assert!(Tallies::decode(&mut Reader(&bytes[..9]), 3).is_err());
}
