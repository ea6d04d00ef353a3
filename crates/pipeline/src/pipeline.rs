//! The pipeline of one partition: a batch in, rows and dead letters out, the state moved on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::batch::Group;
use model::wire::Short;
use model::{
    Address, BatchView, Control, DeviceIndex, Format, GroupFlags, Offset, Partition, PayloadKind, Reason, Replay,
    Source, limits,
};

use crate::binary::{self, Cbor, MessagePack};
use crate::devices::{Devices, NO_TABLE, Route};
use crate::draft::{Drafts, Failure, Sink};
use crate::json;
use crate::output::{Defect, Output};
use crate::plan::{ClassPlan, Plan};
use crate::tables::Tables;
use crate::window::Windows;

mod accept;
mod dead;
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
    /// Memory that is kept from payload to payload; no state.
    work: Work,
    /// A payload or message with these bytes makes a test's pipeline panic.
    #[cfg(test)]
    poison: Option<&'static [u8]>,
}

#[derive(Debug, Default)]
struct Work {
    drafts: Drafts,
    json: json::Scratch,
    binary: binary::Scratch,
    accept: accept::Scratch,
    /// Tables with open rows in this batch.
    open_tables: Vec<u32>,
    /// Entries that the batch had before the current payload.
    dead_before: usize,
}

/// One payload and all that is known about it.
#[derive(Clone, Copy, Debug)]
struct Payload<'a> {
    bytes: &'a [u8],
    offset: Offset,
    group: &'a GroupFacts,
    /// The dead letter that is tried again with it.
    origin: Option<Address>,
}

/// What the payloads of a group have in common.
#[derive(Clone, Copy, Debug)]
struct GroupFacts {
    device: DeviceIndex,
    route: Route,
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
            work: Work::default(),
            #[cfg(test)]
            poison: None,
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
        self.windows.bytes() + self.devices.bytes()
    }

    /// Derives one batch of `raw` whose first payload has offset `base`. A message that makes the pipeline panic is
    /// isolated: it becomes a dead letter (`poison`), a [`Defect`] is reported, and the batch goes on behind it.
    pub fn process(&mut self, base: Offset, batch: BatchView<'_>, output: &mut Output) {
        output.begin();
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
                Ok(Control::BindDevices { tenant, class, devices, .. }) => {
                    let table = self.tables.open(tenant, &class, &self.plan);
                    for (index, device) in devices {
                        if index.0 >= limits::DEVICE_INDICES_MAX {
                            output.defects.push(Defect::IndexOutOfRange { index });
                        } else if self.devices.bind(index, device, table, &mut self.windows) {
                            output.bindings.push((index, Source::Device { tenant, device, class: class.clone() }));
                        }
                    }
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
                Ok(Control::Schema { .. }) => {}
                Ok(Control::Class { tenant, class, rules }) => {
                    self.plan.classes.insert((tenant, class), ClassPlan { unknown_fields: rules.unknown_fields });
                    self.tables.follow(&self.plan);
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
        if key.kind == PayloadKind::Free || route.table == NO_TABLE {
            output.counts.free += u64::from(group.count);
            return;
        }
        let facts = GroupFacts { device: key.device, route, kind: key.kind, format: key.format, received };
        let replayed = key.flags.contains(GroupFlags::REPLAYED);
        let payload = |(offset, mut bytes)| {
            let replay = if replayed { Replay::decode(&mut bytes).ok() } else { None };
            Payload { bytes, offset, group: &facts, origin: replay.map(|replay| replay.origin) }
        };
        let mut payloads = (first..).zip(group.payloads()).map(payload);
        if key.flags.contains(GroupFlags::QUARANTINED) {
            for payload in payloads {
                self.work.dead_before = output.dead.len();
                self.reject_payload(&payload, Reason::Quarantined, String::new(), output);
                self.conclude(&payload, 1, output);
            }
            return;
        }
        let mut current = None;
        let mut stage = Stage::Reading;
        loop {
            let run = AssertUnwindSafe(|| self.take_payloads(&mut payloads, &mut current, &mut stage, output));
            if catch_unwind(run).is_ok() {
                return;
            }
            self.isolate(&mut current, &mut stage, output);
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
            let payload = match current.take() {
                Some(payload) => payload,
                None => match payloads.next() {
                    Some(payload) => payload,
                    None => return,
                },
            };
            *current = Some(payload);
            let mut messages = 1;
            if *stage == Stage::Reading {
                self.work.dead_before = output.dead.len();
                if self.read(&payload, output) {
                    *stage = Stage::Accepting(0);
                }
            }
            if let Stage::Accepting(first) = *stage {
                messages = self.work.drafts.messages.len();
                for number in first..messages {
                    *stage = Stage::Accepting(number);
                    self.accept(&payload, number, output);
                }
            }
            self.conclude(&payload, messages, output);
            *stage = Stage::Reading;
            *current = None;
        }
    }

    /// Reads a payload into the drafts; `false` if it was rejected whole.
    fn read(&mut self, payload: &Payload<'_>, output: &mut Output) -> bool {
        #[cfg(test)]
        self.panic_on_poison(payload.bytes);
        let table = &mut self.tables.list[payload.group.route.table as usize];
        let work = &mut self.work;
        let mut sink = Sink::new(&mut work.drafts, &mut table.names, payload.group.kind, table.plan.unknown_fields);
        let outcome = match payload.group.format {
            Format::Json => json::read(payload.bytes, &mut work.json, &mut table.shapes, &mut sink),
            Format::MessagePack => binary::read(MessagePack::new(payload.bytes), &mut work.binary, &mut sink),
            Format::Cbor => binary::read(Cbor::new(payload.bytes), &mut work.binary, &mut sink),
            Format::Avro | Format::Protobuf => {
                self.reject_payload(payload, Reason::FormatUnsupported, String::new(), output);
                return false;
            }
        };
        if let Err(Failure { reason, offset, what }) = outcome {
            self.reject_payload(payload, reason, format!("{what} at byte {offset}"), output);
            return false;
        }
        true
    }

    #[cfg(test)]
    fn panic_on_poison(&self, bytes: &[u8]) {
        assert_ne!(self.poison, Some(bytes), "poison");
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
