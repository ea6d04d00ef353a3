//! The pipeline of one partition: a batch in, rows and dead letters out, the state moved on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use model::batch::Group;
use model::dead_letter::{Rejection, Replay};
use model::wire::Short;
use model::{
    Address, BatchView, Control, DeviceIndex, Format, GroupFlags, Offset, Partition, PayloadKind, Profile, Reason,
    Source, limits,
};

use crate::binary::{self, Cbor, MessagePack};
use crate::devices::{Devices, NO_COHORT, Route};
use crate::draft::{Drafts, Failure, Reading, Sink};
use crate::encoded;
use crate::json;
use crate::lane::Lane;
use crate::output::{Defect, Output};
use crate::plan::Plan;
#[cfg(any(test, feature = "sabotage"))]
use crate::sabotage;
use crate::tables::{ClassTable, Tables};
use crate::tallies::Tallies;
use crate::window::Windows;

mod accept;
mod choose;
mod dead;
mod normalise;
mod snapshot;
#[cfg(test)]
mod tests;

pub use snapshot::RestoreError;

/// Plan and state of one partition: who each index is, what columns each table has, which messages were seen.
#[derive(Debug)]
pub struct Pipeline {
    partition: Partition,
    position: Offset,
    plan: Plan,
    devices: Devices,
    tables: Tables,
    windows: Windows,
    tallies: Tallies,
    /// Counts batches of this process; no state.
    batch: u64,
    /// Memory that is kept from payload to payload; no state.
    work: Work,
}

#[derive(Debug, Default)]
struct Work {
    drafts: Drafts,
    json: json::Scratch,
    binary: binary::Scratch,
    encoded: encoded::Scratch,
    accept: accept::Scratch,
    /// Tables with open rows in this batch.
    open_tables: Vec<u32>,
    /// Why a dead letter that is tried again is rejected again.
    rejection: Option<Rejection>,
}

/// One payload and all that is known about it.
#[derive(Clone, Copy, Debug)]
struct Payload<'a> {
    bytes: &'a [u8],
    offset: Offset,
    group: &'a GroupFacts,
    /// The dead letter that it was.
    origin: Option<Address>,
    /// Bytes in front of the message that name its schema.
    head: usize,
    /// How it is read, once that is known.
    lane: Option<u32>,
}

impl<'a> Payload<'a> {
    fn body(&self) -> &'a [u8] {
        &self.bytes[self.head..]
    }
}

/// What the payloads of a group have in common.
#[derive(Clone, Copy, Debug)]
struct GroupFacts {
    device: DeviceIndex,
    route: Route,
    table: u32,
    kind: PayloadKind,
    format: Format,
    received: i64,
}

/// How far a payload is, so that a panic in one message leaves the others alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Reading,
    /// Accepting this message of the drafts.
    Accepting(usize),
}

impl Pipeline {
    /// An empty state at offset 0.
    pub fn new(partition: Partition, plan: Plan) -> Self {
        Self {
            partition,
            position: 0,
            plan,
            devices: Devices::default(),
            tables: Tables::default(),
            windows: Windows::default(),
            tallies: Tallies::default(),
            batch: 0,
            work: Work::default(),
        }
    }

    /// A pipeline under the same plan that has seen nothing: to try out what would become of messages.
    pub fn without_state(&self) -> Self {
        Self::new(self.partition, self.plan.clone())
    }

    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The next offset to process.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What an index stands for.
    pub fn source(&self, index: DeviceIndex) -> Option<Source> {
        self.devices.source(index, &self.tables)
    }

    /// What holds for a device's index beside its class.
    pub fn profile(&self, index: DeviceIndex) -> Option<&Arc<Profile>> {
        let route = self.devices.route(index).filter(|route| route.cohort != NO_COHORT)?;
        Some(&self.devices.cohorts.get(route.cohort).profile)
    }

    /// Every binding, for whoever rebuilds the device table after a restore.
    pub fn bindings(&self) -> impl Iterator<Item = (DeviceIndex, Source)> + '_ {
        self.devices.indices().filter_map(|index| Some((index, self.source(index)?)))
    }

    /// Devices that have a window.
    pub fn devices(&self) -> usize {
        self.windows.len()
    }

    /// Bytes of state, about: windows, and what is known about devices.
    pub fn state_bytes(&self) -> usize {
        self.windows.bytes() + self.devices.bytes() + self.tallies.bytes()
    }

    /// Forgets every message before: a guard that is broken on purpose, for a negative control.
    #[cfg(feature = "sabotage")]
    pub fn forget_windows(&mut self) {
        let devices = self.windows.len();
        self.windows = Windows::default();
        (0..devices).for_each(|_| {
            self.windows.open();
        });
    }

    /// Derives one batch of `raw` whose first payload has offset `base`. A message that makes the pipeline panic is
    /// isolated: it becomes a dead letter (`poison`) that says why, a [`Defect`] is reported, and the batch goes on behind
    /// it. One try is all: from the same state the same bytes panic again.
    pub fn process(&mut self, base: Offset, batch: BatchView<'_>, output: &mut Output) {
        output.begin();
        self.batch += 1;
        self.take_controls(&batch, output);
        self.windows.turn(batch.received);
        let mut offset = base;
        for group in batch.groups() {
            let Ok(group) = group else {
                output.defects.push(Defect::UnreadableGroup { offset });
                break;
            };
            self.take_group(&group, offset, batch.received, output);
            offset += Offset::from(group.count);
        }
        // A batch of controls only takes one offset.
        self.position = offset.max(base + 1);
        self.close_tables(output);
    }

    fn take_controls(&mut self, batch: &BatchView<'_>, output: &mut Output) {
        for control in batch.controls() {
            match control {
                Ok(Control::BindDevices { tenant, class, profile, mut devices }) => {
                    devices.retain(|(index, _)| {
                        let good = index.0 < limits::DEVICE_INDICES_MAX;
                        if !good {
                            output.defects.push(Defect::IndexOutOfRange { index: *index });
                        }
                        good
                    });
                    let table = self.tables.open(tenant, &class, &self.plan);
                    self.devices.bind(table, &profile, &devices, &mut self.windows, |index, device| {
                        output.bindings.push((index, Source::Device { tenant, device, class: class.clone() }));
                    });
                }
                Ok(Control::BindTopic { index, .. }) if index.0 >= limits::DEVICE_INDICES_MAX => {
                    output.defects.push(Defect::IndexOutOfRange { index });
                }
                Ok(Control::BindTopic { index, tenant, topic }) => {
                    let source = Source::Topic { tenant, topic };
                    if self.devices.bind_topic(index, &source) {
                        output.bindings.push((index, source));
                    }
                }
                Ok(Control::Schema { tenant, record }) => {
                    self.plan.set_schema(tenant, *record);
                    self.tables.follow(tenant, &self.plan);
                }
                Ok(Control::SchemaSource(source)) => self.plan.set_source(source),
                Ok(Control::Class { tenant, class, rules }) => {
                    self.plan.set_rules(tenant, class, *rules);
                    self.tables.follow(tenant, &self.plan);
                }
                Ok(other) => output.controls.push(other),
                Err(Short) => output.defects.push(Defect::UnreadableControl),
            }
        }
    }

    fn take_group(&mut self, group: &Group<'_>, first: Offset, received: i64, output: &mut Output) {
        let key = group.key;
        let Some(route) = self.devices.route(key.device) else {
            return self.take_unbound(group, first, received, output);
        };
        if key.kind == PayloadKind::Free || route.cohort == NO_COHORT {
            output.counts.free += u64::from(group.count);
            return;
        }
        let table = self.devices.cohorts.get(route.cohort).table;
        let facts = GroupFacts { device: key.device, route, table, kind: key.kind, format: key.format, received };
        let replayed = key.flags.contains(GroupFlags::REPLAYED);
        let payload = |(offset, mut bytes)| {
            let replay = if replayed { Replay::decode(&mut bytes).ok() } else { None };
            let origin = replay.map(|replay| replay.origin);
            Payload { bytes, offset, group: &facts, origin, head: 0, lane: None }
        };
        let mut payloads = (first..).zip(group.payloads()).map(payload);
        if key.flags.contains(GroupFlags::QUARANTINED) {
            for payload in payloads {
                self.reject_payload(&payload, Reason::Quarantined, String::new(), output);
                self.end_payload(&payload, output);
            }
            return;
        }
        let mut current = None;
        let mut stage = Stage::Reading;
        loop {
            let run = AssertUnwindSafe(|| self.take_payloads(&mut payloads, &mut current, &mut stage, output));
            let Err(cause) = catch_unwind(run) else { return };
            self.isolate(&*cause, &mut current, &mut stage, output);
        }
    }

    /// Goes on with the current payload from its stage, then takes the others.
    fn take_payloads<'a>(
        &mut self,
        payloads: &mut impl Iterator<Item = Payload<'a>>,
        current: &mut Option<Payload<'a>>,
        stage: &mut Stage,
        output: &mut Output,
    ) {
        loop {
            let mut payload = match current.take() {
                Some(payload) => payload,
                None => match payloads.next() {
                    Some(payload) => payload,
                    None => return,
                },
            };
            *current = Some(payload);
            if *stage == Stage::Reading && self.read(&mut payload, output) {
                *stage = Stage::Accepting(0);
                *current = Some(payload);
            }
            if let Stage::Accepting(first) = *stage {
                for number in first..self.work.drafts.messages.len() {
                    *stage = Stage::Accepting(number);
                    self.accept(&payload, number, output);
                }
            }
            *stage = Stage::Reading;
            *current = None;
            self.end_payload(&payload, output);
        }
    }

    /// Reads a payload into the drafts; `false` if it was rejected whole.
    fn read(&mut self, payload: &mut Payload<'_>, output: &mut Output) -> bool {
        #[cfg(any(test, feature = "sabotage"))]
        sabotage::panic_if_marked(sabotage::READING, payload.bytes);
        let format = match self.choose(payload) {
            Ok(format) => format,
            Err((reason, detail)) => {
                self.reject_payload(payload, reason, detail, output);
                return false;
            }
        };
        let work = &mut self.work;
        let ClassTable { rules, names, lanes, .. } = &mut self.tables.list[payload.group.table as usize];
        let Some(lane) = payload.lane.and_then(|lane| lanes.get_mut(lane as usize)) else { return false };
        let Lane { form, encoded, slot_names, shapes, .. } = lane;
        let form = form.as_ref();
        let reading = Reading {
            kind: payload.group.kind,
            unknown_fields: rules.unknown_fields,
            ts_unit: rules.ts_unit,
            form,
            slot_names,
            encoded: matches!(format, Format::Avro | Format::Protobuf),
        };
        let mut sink = Sink::new(&mut work.drafts, names, reading);
        let body = payload.body();
        let outcome = match format {
            Format::Json => json::read(body, &mut work.json, shapes, &mut sink),
            Format::MessagePack => binary::read(MessagePack::new(body), &mut work.binary, &mut sink),
            Format::Cbor => binary::read(Cbor::new(body), &mut work.binary, &mut sink),
            Format::Avro | Format::Protobuf => match (encoded, form) {
                (Some(encoded), Some(form)) => encoded.read(body, &mut work.encoded, &mut sink, form),
                _ => {
                    let detail = "the schema does not say how it is encoded".to_owned();
                    self.reject_payload(payload, Reason::SchemaUnusable, detail, output);
                    return false;
                }
            },
        };
        if let Err(Failure { reason, offset, what }) = outcome {
            let detail = format!("{what} at byte {}", payload.head + offset);
            self.reject_payload(payload, reason, detail, output);
            return false;
        }
        true
    }

    /// Ends the batch: rows get the layout that has all their columns.
    fn close_tables(&mut self, output: &mut Output) {
        for number in self.work.open_tables.drain(..) {
            let table = &mut self.tables.list[number as usize];
            table.refresh_layout();
            if let Some(at) = table.open_readings.take() {
                output.rows[at].layout = table.readings.clone();
            }
            table.open_events = None;
        }
    }
}
