//! Every committed input through its target: what a fuzzer once found stays mended, on a stable compiler and in every run
//! of the tests.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};

fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The committed inputs of a target, by name.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let dir = corpus(target);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("a directory that can be listed");
            (
                entry.file_name().to_string_lossy().into_owned(),
                std::fs::read(entry.path()).expect("an input that can be read"),
            )
        })
        .collect();
    inputs.sort();
    inputs
}

/// The inputs that a target panics at.
fn failures(target: &Target) -> Vec<String> {
    let fails = |bytes: &[u8]| catch_unwind(|| (target.run)(bytes)).is_err();
    inputs(target).into_iter().filter(|(_, bytes)| fails(bytes)).map(|(name, _)| name).collect()
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut corpora: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    corpora.sort();
    let mut targets: Vec<_> = TARGETS.iter().map(|target| std::ffi::OsString::from(target.name)).collect();
    targets.sort();
    assert_eq!(corpora, targets);
    for target in TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() >= 5, "{}: {} inputs", target.name, inputs.len());
        assert!(inputs.iter().all(|(_, bytes)| bytes.len() <= target.bytes_max), "{}", target.name);
    }
}

#[cfg(not(feature = "sabotage"))]
#[test]
fn no_committed_input_breaks_a_property() {
    let broken: Vec<_> = TARGETS.iter().map(|target| (target.name, failures(target))).collect();
    let broken: Vec<_> = broken.into_iter().filter(|(_, inputs)| !inputs.is_empty()).collect();
    assert!(broken.is_empty(), "corpus/TARGET/INPUT: {broken:#?}");
}

/// The negative control: a panic, a wrong value and damage taken for an end are planted; each corpus shows its own.
#[cfg(feature = "sabotage")]
#[test]
fn the_corpora_find_each_planted_bug() {
    let found: Vec<_> =
        TARGETS.iter().filter(|target| !failures(target).is_empty()).map(|target| target.name).collect();
    assert_eq!(found, ["mqtt-client", "json", "journal"]);
}
