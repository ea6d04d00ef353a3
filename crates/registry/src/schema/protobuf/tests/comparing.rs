use super::*;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    old: String,
    new: String,
    backward: bool,
    forward: bool,
    why: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

#[test]
fn compatibility_is_that_of_the_cases() {
    let cases = cases();
    assert_eq!(cases.len(), 77);
    for case in cases {
        let (old, new) = (parsed(&case.old), parsed(&case.new));
        let (backward, forward) = (new.cannot_read(&old), old.cannot_read(&new));
        assert_eq!(backward.is_empty(), case.backward, "{}: {} {backward:?}", case.name, case.why);
        assert_eq!(forward.is_empty(), case.forward, "{} forward: {} {forward:?}", case.name, case.why);
    }
}

#[test]
fn every_schema_reads_itself_and_is_no_addition_to_itself() {
    for case in cases() {
        for schema in [parsed(&case.old), parsed(&case.new)] {
            assert_eq!(schema.cannot_read(&schema), [], "{}", case.name);
            assert_eq!(schema.beyond_additions_to(&schema), [], "{}", case.name);
        }
    }
}
