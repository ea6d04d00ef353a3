//! A batch of `raw` as a disk gives it back: groups and control records, into a pipeline.
//!
//! Holds: no panic, and none that a stage had to catch; the counts add up; control records that were read are written back
//! to what reads the same; and the snapshot of the state that came of it gives the same state.

use model::{BatchPool, BatchView, Control, Partition, limits};
use pipeline::{Defect, Output, Pipeline, Plan};

use crate::payloads;

/// Indices are given out from 0 on, and what is known of them is kept in arrays: a greater one is within its limit, takes
/// memory, and shows nothing new.
const INDEX_MAX: u32 = 1 << 12;

pub fn run(bytes: &[u8]) {
    let Ok(view) = BatchView::parse(bytes) else { return };
    for control in view.controls().map_while(Result::ok) {
        let limit = limits::DEVICE_INDICES_MAX;
        if control.bindings().any(|(index, _)| (INDEX_MAX..limit).contains(&index.0)) {
            return;
        }
        written_back(&control);
    }
    let (mut pipeline, mut output) = (Pipeline::new(Partition(0), Plan::default()), Output::default());
    // Twice: what a batch binds holds for the next one.
    for _ in 0..2 {
        pipeline.process(pipeline.position(), view, &mut output);
        for defect in &output.defects {
            assert!(!matches!(defect, Defect::Poison { .. }), "{defect:?}");
        }
        payloads::check(&output);
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    pipeline.snapshot(&mut before);
    let restored = Pipeline::restore(&before).expect("a snapshot that was just made");
    restored.snapshot(&mut after);
    assert!(before == after, "a snapshot changes what it holds");
}

fn written_back(control: &Control) {
    let mut builder = BatchPool::default().builder();
    builder.control(control);
    let batch = builder.seal(0);
    let view = BatchView::parse(batch.body()).expect("a batch that was made here");
    let read: Vec<Control> = view.controls().map_while(Result::ok).collect();
    assert_eq!(read, std::slice::from_ref(control));
}
