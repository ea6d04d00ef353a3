//! Rejected messages and what must never happen: nothing vanishes without a dead letter.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use model::batch::Group;
use model::dead_letter::{Entry, Rejection, Replayed};
use model::{Address, DeadLetter, Offset, PayloadKind, Reason, Source, TenantId};

use super::{Payload, Pipeline, Stage};
use crate::draft::Fault;
use crate::output::{Defect, Flagged, Output};

/// Of what a panic says: it may quote the message.
const CAUSE_CHARS_MAX: usize = 200;

impl Pipeline {
    /// A payload of which nothing is accepted.
    pub(super) fn reject_payload(
        &mut self,
        payload: &Payload<'_>,
        reason: Reason,
        detail: String,
        output: &mut Output,
    ) {
        let fault = Fault { reason, path: String::new(), detail };
        self.work.drafts.clear();
        self.reject(payload, 0, 0..payload.body().len(), fault, output);
    }

    /// One message of a payload: its bytes are this part of the payload's body.
    #[cold]
    pub(super) fn reject(
        &mut self,
        payload: &Payload<'_>,
        index: u32,
        bytes: Range<usize>,
        fault: Fault,
        output: &mut Output,
    ) {
        output.counts.messages += 1;
        output.counts.rejected += 1;
        self.tally(payload, Some(fault.reason), output);
        let Fault { reason, path, detail } = fault;
        if payload.origin.is_some() && self.work.drafts.messages.len() <= 1 {
            self.work.rejection = Some(Rejection { reason, path, detail });
            return;
        }
        let table = &self.tables.list[payload.group.table as usize];
        let lane = payload.lane.and_then(|lane| table.lanes.get(lane as usize));
        output.dead.push(Entry::Letter(DeadLetter {
            address: Address { partition: self.partition, offset: payload.offset, index },
            source: self.source(payload.group.device).expect("only payloads of bound indices get here"),
            kind: payload.group.kind,
            format: payload.group.format,
            reason,
            detail,
            path,
            schema: lane.and_then(|lane| lane.schema),
            received: payload.group.received,
            // What names the schema stays in front, so that the letter can be read again.
            payload: [&payload.bytes[..payload.head], &payload.body()[bytes]].concat(),
        }));
    }

    /// The payload was read, and each of its messages accepted or rejected: says so of a dead letter.
    #[inline]
    pub(super) fn end_payload(&mut self, payload: &Payload<'_>, output: &mut Output) {
        let Some(origin) = payload.origin else { return };
        output.dead.push(Entry::Replayed(Replayed {
            origin,
            address: Address { partition: self.partition, offset: payload.offset, index: 0 },
            tenant: self.tables.list[payload.group.table as usize].tenant,
            bytes: payload.bytes.len() as u32,
            at: payload.group.received,
            rejected: self.work.rejection.take(),
        }));
    }

    /// Counts a message of a device whose class flags devices for what they send. What is tried again does not count: it was
    /// counted when it was sent. Nor does what a registry that is out of reach is the cause of.
    #[inline]
    pub(super) fn tally(&mut self, payload: &Payload<'_>, rejected: Option<Reason>, output: &mut Output) {
        let facts = payload.group;
        let Some(rule) = &self.tables.list[facts.table as usize].rules.quarantine else { return };
        if payload.origin.is_some() || matches!(rejected, Some(Reason::Quarantined | Reason::SchemaUnavailable)) {
            return;
        }
        let decided = self.tallies.count(facts.route.slot, rejected.is_some(), rule);
        if let (Some(run), Some(reason)) = (decided, rejected) {
            output.flagged.push(Flagged {
                device: facts.device,
                source: self.source(facts.device).expect("only payloads of bound indices get here"),
                at: facts.received,
                messages: run.messages,
                rejected: run.rejected,
                reason,
                quarantine: rule.quarantine,
            });
        }
    }

    /// Makes the message that panicked a dead letter and sets out to go on behind it. `cause` is what the panic carried.
    pub(super) fn isolate(
        &mut self,
        cause: &(dyn Any + Send),
        current: &mut Option<Payload<'_>>,
        stage: &mut Stage,
        output: &mut Output,
    ) {
        let payload = current.expect("a panic comes from a payload");
        let (index, bytes) = match *stage {
            Stage::Reading => (0, 0..payload.body().len()),
            Stage::Accepting(number) => (number as u32, self.work.drafts.messages[number].bytes.clone()),
        };
        output.repair();
        // Only what was accepted is a duplicate when it comes again, as it does with a replay.
        if let Some(identity) = self.work.accept.admitted.take() {
            self.windows.retract(payload.group.route.slot, &identity);
        }
        output.defects.push(Defect::Poison { offset: payload.offset, index });
        let fault = Fault { reason: Reason::Poison, path: String::new(), detail: cause_of(cause) };
        if *stage == Stage::Reading {
            self.work.drafts.clear();
        }
        self.reject(&payload, index, bytes, fault, output);
        match stage {
            Stage::Reading => {
                *current = None;
                self.end_payload(&payload, output);
            }
            Stage::Accepting(number) => *number += 1,
        }
    }

    /// Payloads under an index that the log never bound: only a defect or damage makes them, and they are kept.
    pub(super) fn take_unbound(&self, group: &Group<'_>, first: Offset, received: i64, output: &mut Output) {
        let index = group.key.device;
        if group.key.kind == PayloadKind::Free {
            output.counts.free += u64::from(group.count);
            return;
        }
        output.defects.push(Defect::Unbound { index, offset: first });
        let topic: Arc<str> = format!("unbound device index {}", index.0).into();
        for (offset, payload) in (first..).zip(group.payloads()) {
            output.counts.messages += 1;
            output.counts.rejected += 1;
            output.dead.push(Entry::Letter(DeadLetter {
                address: Address { partition: self.partition, offset, index: 0 },
                source: Source::Topic { tenant: TenantId::from_bytes([0; 16]), topic: topic.clone() },
                kind: group.key.kind,
                format: group.key.format,
                reason: Reason::Poison,
                detail: "the log does not say who sent this".to_owned(),
                path: String::new(),
                schema: None,
                received,
                payload: payload.to_vec(),
            }));
        }
    }
}

/// What a panic said, in a letter's detail.
fn cause_of(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("it did not say why");
    let detail: String = text.chars().take(CAUSE_CHARS_MAX).collect();
    format!("a panic in the pipeline: {detail}")
}
