//! `tidewater journal dump`: the records of one log, a line each.

use std::collections::HashMap;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use journal::inspect::{self, DumpedFrame};
use journal::{Frame, Topic};
use model::contract::SchemaSource;
use model::dead_letter::{Entry, Replayed};
use model::{BatchView, Control, DeviceIndex, GroupFlags, Offset, Partition, Replay, Source};
use serde_json::{Value, json};

use super::Place;
use crate::cli::output;
use crate::http::times;

/// Print the records of one log, a line each.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater journal dump --limit 10
  tidewater journal dump --topic dead-letter --json")]
pub struct Dump {
    #[command(flatten)]
    place: Place,
    /// raw, normalized, dead-letter or commands.
    #[arg(long, default_value = "raw")]
    topic: Topic,
    #[arg(long, default_value_t = 0)]
    partition: u16,
    /// The first offset.
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    from: Offset,
    /// Records at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Prints a JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Dump {
    pub fn run(self) -> Result<()> {
        let dir = self.place.dir()?;
        let mut reader = Reader { bindings: HashMap::new(), from: self.from, left: self.limit, json: self.json };
        let log = (self.topic, Partition(self.partition));
        // From the start, since a segment binds the device indices that the records behind it use.
        let mut visit = |dumped: DumpedFrame| {
            match self.topic {
                Topic::Raw => reader.raw(&dumped.frame),
                Topic::DeadLetter => reader.dead_letters(&dumped.frame),
                Topic::Normalized | Topic::Commands => reader.opaque(&dumped),
            }
            reader.left > 0
        };
        inspect::dump(&disk::RealDisk, &dir, log, 0, &mut visit)?;
        Ok(())
    }
}

struct Reader {
    bindings: HashMap<DeviceIndex, Source>,
    from: Offset,
    left: usize,
    json: bool,
}

impl Reader {
    fn raw(&mut self, frame: &Frame) {
        let Ok(view) = BatchView::parse(frame.batch.body()) else {
            return self.print(frame.base, json!({"unreadable": "the batch's parts do not add up"}), None);
        };
        for control in view.controls().map_while(Result::ok) {
            self.bindings.extend(control.bindings());
            for document in control_documents(&control) {
                self.print(frame.base, document, None);
            }
        }
        let mut offset = frame.base;
        for group in view.groups().map_while(Result::ok) {
            let replayed = group.key.flags.contains(GroupFlags::REPLAYED);
            for mut payload in group.payloads() {
                let replay = if replayed { Replay::decode(&mut payload).ok() } else { None };
                let mut document = match self.bindings.get(&group.key.device) {
                    Some(Source::Device { device, class, .. }) => json!({"device_id": device, "class": class.as_ref()}),
                    Some(Source::Topic { topic, .. }) => json!({"topic": topic.as_ref()}),
                    None => json!({"unbound": group.key.device.0}),
                };
                document["received"] = times::iso(view.received).into();
                document["kind"] = format!("{:?}", group.key.kind).to_lowercase().into();
                document["format"] = format!("{:?}", group.key.format).to_lowercase().into();
                if let Some(Replay { origin }) = replay {
                    document["replays"] = origin.to_string().into();
                }
                self.print(offset, document, Some(payload));
                offset += 1;
            }
        }
    }

    fn dead_letters(&mut self, frame: &Frame) {
        let mut body = frame.batch.body();
        for offset in frame.base..frame.end() {
            let letter = match Entry::decode(&mut body) {
                Ok(Entry::Letter(letter)) => letter,
                Ok(Entry::Replayed(replayed)) => {
                    self.print(offset, replayed_document(&replayed), None);
                    continue;
                }
                Err(_) => return self.print(offset, json!({"unreadable": "the entry's parts do not add up"}), None),
            };
            let document = json!({
                "id": letter.address.to_string(), "device_id": letter.source.device(), "reason": letter.reason.code(),
                "detail": letter.detail, "path": letter.path, "received": times::iso(letter.received),
            });
            self.print(offset, document, Some(&letter.payload));
        }
    }

    fn opaque(&mut self, dumped: &DumpedFrame) {
        let bytes = dumped.frame.batch.body().len();
        let document = json!({"count": dumped.frame.batch.count(), "bytes": bytes, "segment": dumped.segment});
        self.print(dumped.frame.base, document, None);
    }

    fn print(&mut self, offset: Offset, mut document: Value, payload: Option<&[u8]>) {
        if offset < self.from || self.left == 0 {
            return;
        }
        self.left -= 1;
        let text = payload.map(|payload| std::str::from_utf8(payload).map_err(|_| STANDARD.encode(payload)));
        if self.json {
            document["offset"] = offset.into();
            match text {
                Some(Ok(text)) => document["payload"] = text.into(),
                Some(Err(base64)) => document["payload_base64"] = base64.into(),
                None => {}
            }
            return output::line(document.to_string());
        }
        let fields = document.as_object().into_iter().flatten();
        let fields = fields.map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
        let payload = match text {
            Some(Ok(text)) => text.to_owned(),
            Some(Err(base64)) => format!("base64:{base64}"),
            None => String::new(),
        };
        output::line(format!("{offset} {} {payload}", fields.collect::<Vec<_>>().join(" ")).trim_end());
    }
}

fn replayed_document(replayed: &Replayed) -> Value {
    let mut document = json!({
        "replayed": replayed.origin.to_string(), "at": replayed.address.to_string(), "time": times::iso(replayed.at),
        "passed": replayed.rejected.is_none(),
    });
    if let Some(rejection) = &replayed.rejected {
        document["reason"] = rejection.reason.code().into();
        document["detail"] = rejection.detail.as_str().into();
        document["path"] = rejection.path.as_str().into();
    }
    document
}

fn binding_document(index: DeviceIndex, source: &Source) -> Value {
    let mut document = json!({"control": "bind", "index": index.0, "tenant_id": source.tenant()});
    match source {
        Source::Device { device, class, .. } => {
            document["device_id"] = device.to_string().into();
            document["class"] = class.as_ref().into();
        }
        Source::Topic { topic, .. } => document["topic"] = topic.as_ref().into(),
    }
    document
}

/// A record in documents: a binding has one for each index that it binds.
fn control_documents(control: &Control) -> Vec<Value> {
    let document = match control {
        Control::BindDevices { .. } | Control::BindTopic { .. } => {
            return control.bindings().map(|(index, source)| binding_document(index, &source)).collect();
        }
        Control::SchemaSource(source) => {
            json!({"control": "schema source", "external": *source == SchemaSource::External})
        }
        Control::Schema { tenant, record } => json!({"control": "schema", "tenant_id": tenant, "schema": record}),
        Control::Class { tenant, class, rules } => {
            json!({"control": "class", "tenant_id": tenant, "class": class, "rules": rules})
        }
        Control::Held { session, packet_id, .. } => {
            json!({"control": "held", "session": format!("{:032x}", session.0), "packet_id": packet_id})
        }
        Control::Released { session, packet_id } => {
            json!({"control": "released", "session": format!("{:032x}", session.0), "packet_id": packet_id})
        }
        Control::SessionEnded { session } => {
            json!({"control": "session-ended", "session": format!("{:032x}", session.0)})
        }
    };
    vec![document]
}
