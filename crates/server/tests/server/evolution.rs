//! Promise: a schema grows and is replaced while its devices stream. No message is lost, doubled or refused, what was
//! sent under each version stays queryable, no session ends and nothing restarts; and all of it reads the same after a
//! kill, where it is derived again, and after an orderly restart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use mqtt::Version;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::{Api, Device, Point};
use super::client::*;
use super::program::Program;
use super::wait::{until, until_equal};
use super::world::metric;

/// Messages of each device between two steps of the drill.
const MESSAGES: u64 = 25;
const METRICS: [&str; 3] = ["flow", "level", "rate"];

#[test]
fn nothing_is_lost_while_a_schema_grows_and_is_replaced() {
    let dir = TempDir::new().unwrap();
    let program = Program::start(dir.path(), "");
    let schemas =
        [Language::Json, Language::Avro, Language::Protobuf].map(|language| Schema::new(&program.api, language));
    let devices = [4, 3, 3].iter().zip(&schemas).flat_map(|(count, schema)| vec![schema; *count]);
    let mut streams: Vec<_> = devices.map(|schema| Stream::new(&program, schema)).collect();
    drill(&program, &schemas, &mut streams);
    expect_everything(&program.api, &streams);

    // Nothing was sealed: every message is derived again, each under the schema that held when it was sent.
    program.kill();
    let program = Program::start(dir.path(), "");
    expect_everything(&program.api, &streams);
    // The rules go on from where they were.
    streams.iter_mut().for_each(|stream| stream.reconnect(&program));
    expect_everything(&program.api, &streams);

    program.terminate();
    assert!(program.wait().success());
    let program = Program::start(dir.path(), "");
    expect_everything(&program.api, &streams);
}

/// Streams from every device while the schemas change.
fn drill(program: &Program, schemas: &[Schema; 3], streams: &mut [Stream]) {
    let progress: Vec<AtomicU64> = streams.iter().map(|_| AtomicU64::new(0)).collect();
    let all_go_on = || {
        let reached: Vec<u64> = progress.iter().map(|sent| sent.load(Ordering::Acquire) + MESSAGES).collect();
        until("every device goes on", || {
            let done = progress.iter().zip(&reached).all(|(sent, end)| sent.load(Ordering::Acquire) >= *end);
            done.then_some(())
        });
        assert_eq!(metric(program.listen.operations, "tidewater_connections{protocol=\"mqtt\"}"), 10);
    };
    let languages: Vec<Language> = streams.iter().map(|stream| stream.language).collect();
    std::thread::scope(|scope| {
        let mut orders = Vec::new();
        for (stream, progress) in streams.iter_mut().zip(&progress) {
            let (sender, receiver) = sync_channel(1);
            let api = program.api.clone();
            scope.spawn(move || stream.run(&api, &receiver, progress));
            orders.push(sender);
        }
        all_go_on();

        // An optional field comes; the last device is never told of it.
        let grown = schemas.each_ref().map(|schema| schema.grow(&program.api));
        all_go_on();
        for (order, language) in orders.iter().zip(&languages).take(9) {
            tell(order, Order::Speak(Speech { stage: Stage::Grown, id: grown[*language as usize] }));
        }
        all_go_on();

        // A new major comes, and at first nobody moves.
        let replaced = schemas.each_ref().map(|schema| schema.replace(&program.api));
        all_go_on();
        // Two devices move by themselves, three with their class: what they send until they are told names its schema.
        let (avro, next) = (Language::Avro as usize, &replaced[Language::Avro as usize]);
        program.api.patch(&format!("/v1/classes/{}", schemas[avro].name()), &json!({"schema_id": next.0}));
        all_go_on();
        for (at, order) in orders.iter().enumerate() {
            let (major, id) = &replaced[languages[at] as usize];
            let speech = Speech { stage: Stage::Replaced, id: *id };
            match languages[at] {
                Language::Json if at < 2 => tell(order, Order::Move(major.clone(), speech)),
                Language::Avro => tell(order, Order::Speak(speech)),
                Language::Json | Language::Protobuf => {}
            }
        }
        all_go_on();
        orders.iter().for_each(|order| tell(order, Order::End));
    });
}

fn tell(order: &SyncSender<Order>, what: Order) {
    order.send(what).unwrap();
}

/// Every stream reads exactly as it was sent, and nothing was rejected.
#[track_caller]
fn expect_everything(api: &Api, streams: &[Stream]) {
    for stream in streams {
        for metric in METRICS {
            until_equal(&stream.sent(metric), || api.points(&stream.device, metric));
        }
    }
    assert_eq!(api.get("/v1/dead-letters")["dead_letters"], json!([]));
    let stages =
        |stage: Stage| streams.iter().filter(|stream| stream.said.iter().any(|(said, _)| *said == stage)).count();
    assert_eq!([Stage::First, Stage::Grown, Stage::Replaced].map(stages), [10, 9, 5]);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Language {
    Json,
    Avro,
    Protobuf,
}

/// What a message has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// `flow`.
    First,
    /// `flow`, and `level`, which is optional.
    Grown,
    /// `rate` instead of `flow`, and `level`.
    Replaced,
}

impl Stage {
    fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::First => &["flow"],
            Self::Grown => &["flow", "level"],
            Self::Replaced => &["rate", "level"],
        }
    }
}

/// The schema of a class, which rejects whatever the schema does not name.
struct Schema {
    language: Language,
    first: u32,
}

impl Schema {
    fn new(api: &Api, language: Language) -> Self {
        let schema = Self { language, first: 0 };
        let (schema_id, first) = api.register(&schema.text(Stage::First, false));
        let class = json!({"name": schema.name(), "schema_id": schema_id, "unknown_fields": "reject"});
        assert_eq!(api.call("POST", "/v1/classes", Some(&class)).0, 201);
        Self { first, ..schema }
    }

    /// Of its subject and its class.
    fn name(&self) -> &'static str {
        match self.language {
            Language::Json => "json",
            Language::Avro => "avro",
            Language::Protobuf => "protobuf",
        }
    }

    fn grow(&self, api: &Api) -> u32 {
        api.register(&self.text(Stage::Grown, false)).1
    }

    fn replace(&self, api: &Api) -> (String, u32) {
        api.register(&self.text(Stage::Replaced, true))
    }

    fn text(&self, stage: Stage, major: bool) -> Value {
        let (required, optional) = match stage.metrics() {
            [required, optional] => (*required, Some(*optional)),
            metrics => (metrics[0], None),
        };
        let text = match self.language {
            Language::Json => {
                let mut properties = json!({"ts": {"type": "integer"}, "seq": {"type": "integer"}});
                for name in stage.metrics() {
                    properties[*name] = json!({"type": "number"});
                }
                let required = ["ts", "seq", required];
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            }
            Language::Avro => {
                let mut fields = vec![json!({"name": "ts", "type": "long"}), json!({"name": "seq", "type": "long"})];
                fields.push(json!({"name": required, "type": "double"}));
                let optional = optional.map(|name| json!({"name": name, "type": ["null", "double"], "default": null}));
                fields.extend(optional);
                json!({"type": "record", "name": "Pump", "fields": fields})
            }
            Language::Protobuf => {
                let optional = optional.map_or(String::new(), |name| format!("optional double {name} = 4;"));
                let fields = format!("int64 ts = 1; int64 seq = 2; double {required} = 3; {optional}");
                json!(format!("syntax = \"proto3\"; message Pump {{ {fields} }}"))
            }
        };
        json!({"subject": self.name(), "type": self.name(), "schema": text, "major": major})
    }
}

/// How a device speaks now.
#[derive(Clone, Copy, Debug)]
struct Speech {
    stage: Stage,
    /// Of its schema, for who names it.
    id: u32,
}

/// What the drill tells a device between two of its messages.
enum Order {
    Speak(Speech),
    /// Takes this major for its own first.
    Move(String, Speech),
    End,
}

/// A device on one connection.
struct Stream {
    language: Language,
    device: Device,
    client: Client,
    speech: Speech,
    /// What was sent and acknowledged: message n has seq n.
    said: Vec<(Stage, u64)>,
}

impl Stream {
    fn new(program: &Program, schema: &Schema) -> Self {
        let device = program.api.device_of(schema.name());
        let client = Client::device(program.listen.mqtt, Version::V5, &device);
        let speech = Speech { stage: Stage::First, id: schema.first };
        Self { language: schema.language, device, client, speech, said: Vec::new() }
    }

    fn run(&mut self, api: &Api, orders: &Receiver<Order>, progress: &AtomicU64) {
        loop {
            match orders.try_recv() {
                Ok(Order::Speak(speech)) => self.speech = speech,
                Ok(Order::Move(schema_id, speech)) => {
                    api.patch(&format!("/v1/devices/{}", self.device.id), &json!({"schema_id": schema_id}));
                    self.speech = speech;
                }
                Ok(Order::End) => return self.client.expect_alive(),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
            self.say();
            progress.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn say(&mut self) {
        let seq = self.said.len() as u64;
        let payload = self.payload(seq);
        self.client.publish_bytes(&self.device.topic, (seq % 60_000) as u16 + 1, &payload);
        self.said.push((self.speech.stage, seq));
    }

    /// Says one message more on a new connection.
    fn reconnect(&mut self, program: &Program) {
        self.client = Client::device(program.listen.mqtt, Version::V5, &self.device);
        self.say();
    }

    fn payload(&self, seq: u64) -> Vec<u8> {
        let (ts, seq_signed) = (ts(seq), seq as i64);
        let values = self.speech.stage.metrics().iter().map(|metric| value(metric, seq));
        let mut out = vec![0];
        out.extend(self.speech.id.to_be_bytes());
        match self.language {
            Language::Json => {
                let mut message = json!({"ts": ts, "seq": seq});
                for metric in self.speech.stage.metrics() {
                    message[*metric] = json!(value(metric, seq));
                }
                return message.to_string().into_bytes();
            }
            Language::Avro => {
                [ts, seq_signed].iter().for_each(|number| varint(&mut out, (number << 1 ^ number >> 63) as u64));
                for (at, value) in values.enumerate() {
                    // The optional one is the second branch of its union.
                    out.extend((at > 0).then_some(2));
                    out.extend(value.to_le_bytes());
                }
            }
            Language::Protobuf => {
                // The first message type; fields 1 and 2 are varints, those behind them doubles.
                out.extend([0, 0x08]);
                varint(&mut out, ts as u64);
                out.push(0x10);
                varint(&mut out, seq);
                for (tag, value) in [0x19, 0x21].into_iter().zip(values) {
                    out.push(tag);
                    out.extend(value.to_le_bytes());
                }
            }
        }
        out
    }

    /// What the query must answer about a metric.
    fn sent(&self, metric: &str) -> Vec<Point> {
        let with_it = self.said.iter().filter(|(stage, _)| stage.metrics().contains(&metric));
        with_it.map(|(_, seq)| (ts(*seq), Some(*seq), json!(value(metric, *seq)))).collect()
    }
}

fn ts(seq: u64) -> i64 {
    1_700_000_000_000 + seq as i64
}

/// Exact in a double, and different for each metric and message.
fn value(metric: &str, seq: u64) -> f64 {
    let place = METRICS.iter().position(|name| *name == metric).unwrap();
    seq as f64 * 4.0 + place as f64 / 4.0
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
