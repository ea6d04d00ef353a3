//! Rejected messages and what must never happen: nothing vanishes without a dead letter.

use std::ops::Range;
use std::sync::Arc;

use model::batch::Group;
use model::dead_letter::{Entry, Rejection};
use model::{Address, DeadLetter, Offset, PayloadKind, Reason, Replayed, Source, TenantId};

use super::{Payload, Pipeline, Stage};
use crate::draft::Fault;
use crate::output::{Defect, Output};

impl Pipeline {
    /// A payload of which nothing is accepted.
    pub(super) fn reject_payload(&self, payload: &Payload<'_>, reason: Reason, detail: String, output: &mut Output) {
        let fault = Fault { reason, path: String::new(), detail };
        self.reject(payload, 0, 0..payload.bytes.len(), fault, output);
    }

    /// One message of a payload: its bytes are this part of it.
    pub(super) fn reject(
        &self,
        payload: &Payload<'_>,
        index: u32,
        bytes: Range<usize>,
        fault: Fault,
        output: &mut Output,
    ) {
        output.counts.messages += 1;
        output.counts.rejected += 1;
        output.dead.push(Entry::Letter(DeadLetter {
            address: Address { partition: self.partition, offset: payload.offset, index },
            source: self.source(payload.group.device).expect("only payloads of bound indices get here"),
            kind: payload.group.kind,
            format: payload.group.format,
            reason: fault.reason,
            detail: fault.detail,
            path: fault.path,
            schema: None,
            received: payload.group.received,
            payload: payload.bytes[bytes].to_vec(),
        }));
    }

    /// Says what became of a payload that is tried again. What was rejected of a single message is said there; messages of
    /// an array that are rejected are letters of their own.
    pub(super) fn conclude(&self, payload: &Payload<'_>, messages: usize, output: &mut Output) {
        let Some(origin) = payload.origin else { return };
        let source = self.source(payload.group.device).expect("only payloads of bound indices get here");
        let again = output.dead[self.work.dead_before..].last().and_then(Entry::letter).filter(|_| messages == 1);
        let rejected = again.map(|letter| {
            let (path, detail) = (letter.path.clone(), letter.detail.clone());
            Rejection { reason: letter.reason, path, detail }
        });
        if rejected.is_some() {
            output.dead.pop();
        }
        output.dead.push(Entry::Replayed(Replayed {
            origin,
            address: Address { partition: self.partition, offset: payload.offset, index: 0 },
            tenant: source.tenant(),
            bytes: payload.bytes.len() as u32,
            at: payload.group.received,
            rejected,
        }));
    }

    /// Makes the message that panicked a dead letter and sets out to go on behind it.
    pub(super) fn isolate(&mut self, current: &mut Option<Payload<'_>>, stage: &mut Stage, output: &mut Output) {
        let payload = current.expect("a panic comes from a payload");
        let (index, bytes) = match *stage {
            Stage::Reading => (0, 0..payload.bytes.len()),
            Stage::Accepting(number) => (number as u32, self.work.drafts.messages[number].bytes.clone()),
        };
        output.repair();
        output.defects.push(Defect::Poison { offset: payload.offset, index });
        let fault = Fault { reason: Reason::Poison, path: String::new(), detail: String::new() };
        self.reject(&payload, index, bytes, fault, output);
        match stage {
            Stage::Reading => {
                *current = None;
                self.conclude(&payload, 1, output);
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
