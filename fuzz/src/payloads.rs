//! Payloads through a pipeline of their own, and what must hold of the outcome whatever they are.

use std::cell::RefCell;

use model::{
    BatchPool, BatchView, Control, DeviceId, DeviceIndex, Format, GroupFlags, GroupKey, Partition, PayloadKind, Source,
    TenantId,
};
use pipeline::{Defect, Output, Pipeline, Plan};

pub const RECEIVED: i64 = 1_700_000_000_000;
/// More show nothing new.
pub const PAYLOADS_MAX: usize = 8;
const CLASS: &str = "pump";

thread_local! {
    /// Buffers go round, so that a run costs what the payloads cost.
    static POOL: BatchPool = BatchPool::default();
    static OUTPUT: RefCell<Output> = RefCell::default();
}

pub fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

/// A pipeline under this plan with a device bound for each payload, all of one class.
pub fn pipeline(mut plan: Plan, rules: model::ClassRules) -> Pipeline {
    plan.set_rules(tenant(), CLASS.into(), rules);
    let mut pipeline = Pipeline::new(Partition(0), plan);
    let controls: Vec<Control> = (0..PAYLOADS_MAX as u32)
        .map(|number| {
            let device = DeviceId::from_bytes([number as u8 + 1; 16]);
            Control::bind(DeviceIndex(number), Source::Device { tenant: tenant(), device, class: CLASS.into() })
        })
        .collect();
    feed(&mut pipeline, &controls, &[], |_| ());
    pipeline
}

/// The key of a payload from a device.
pub fn key(number: usize, kind: PayloadKind, format: Format) -> GroupKey {
    GroupKey { device: DeviceIndex(number as u32), kind, format, flags: GroupFlags::default() }
}

/// Feeds one batch and checks what holds for every one: no stage failed, and nothing vanished.
pub fn feed(pipeline: &mut Pipeline, controls: &[Control], payloads: &[(GroupKey, &[u8])], look: impl FnOnce(&Output)) {
    let mut builder = POOL.with(BatchPool::builder);
    controls.iter().for_each(|control| builder.control(control));
    for (key, payload) in payloads {
        builder.push(*key, payload);
    }
    let batch = builder.seal(RECEIVED);
    let view = BatchView::parse(batch.body()).expect("a batch that was made here");
    OUTPUT.with_borrow_mut(|output| {
        pipeline.process(pipeline.position(), view, output);
        assert_eq!(output.defects, [], "a stage failed");
        check(output);
        assert!(output.counts.messages >= least(payloads), "a payload vanished");
        look(output);
    });
}

/// The messages that there must be at least: a payload that cannot be read counts as one.
fn least(payloads: &[(GroupKey, &[u8])]) -> u64 {
    payloads.iter().map(|(key, payload)| pipeline::check(key.format, payload).unwrap_or(1) as u64).sum()
}

/// Feeds a batch to a pipeline of which nothing is known: no stage fails, and it adds up.
pub fn go_on(pipeline: &mut Pipeline, payloads: &[(GroupKey, &[u8])]) {
    let mut builder = POOL.with(BatchPool::builder);
    for (key, payload) in payloads {
        builder.push(*key, payload);
    }
    let batch = builder.seal(RECEIVED);
    let view = BatchView::parse(batch.body()).expect("a batch that was made here");
    let mut output = Output::default();
    pipeline.process(pipeline.position(), view, &mut output);
    let failed = output.defects.iter().any(|defect| matches!(defect, Defect::Poison { .. }));
    assert!(!failed, "a stage failed: {:?}", output.defects);
    check(&output);
}

/// What holds of every outcome: it adds up, and every text is UTF-8.
pub fn check(output: &Output) {
    let counts = output.counts;
    assert_eq!(counts.messages, counts.accepted + counts.duplicates + counts.rejected, "a message vanished");
    assert_eq!(counts.accepted, output.rows.iter().map(|rows| rows.len() as u64).sum::<u64>(), "a row vanished");
    for rows in &output.rows {
        let columns = rows.layout.columns.iter().zip(&rows.columns);
        for (key, column) in columns {
            assert_eq!(column.rows.len(), column.bits.len());
            assert!(column.rows.is_sorted() && column.rows.iter().all(|row| (*row as usize) < rows.len()));
            for bits in &column.bits {
                match key.kind {
                    model::ValueKind::F64 => assert!(f64::from_bits(*bits).is_finite(), "{} is not finite", key.name),
                    model::ValueKind::Bool => assert!(*bits < 2),
                    model::ValueKind::Str => assert!(rows.text_of(*bits).len() <= model::limits::PAYLOAD_BYTES_MAX),
                    model::ValueKind::I64 => {}
                }
            }
        }
        for bits in &rows.tags.bits {
            let tags = rows.text_of(*bits);
            let read: Result<std::collections::BTreeMap<String, String>, _> = serde_json::from_str(tags);
            assert!(read.is_ok(), "tags that are no JSON: {tags}");
        }
    }
}
