//! Ten thousand payloads of each format, good ones and ones that are wrong in a known way: each becomes a row with exactly
//! the value that was meant, or a dead letter with the reason that was meant, and the counts add up.
//!
//! The oracle is the generator: it makes a message, does one thing to it, and knows what has to come of it.

use std::collections::BTreeMap;

use model::ClassRules;
use model::contract::*;

use super::contracts::*;
use super::*;

const PAYLOADS: u64 = 10_000;
const BATCH: u64 = 500;

/// What comes of a payload: the parts of its row in order, or the reason and path of its dead letter.
#[derive(PartialEq, Debug)]
enum Outcome {
    Row(Vec<String>),
    Dead(&'static str, String),
}

fn dead(code: &'static str, path: &str) -> Outcome {
    Outcome::Dead(code, path.to_owned())
}

/// xorshift64*: the same payloads each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }
}

const STATES: [&str; 3] = ["idle", "run", "off"];

/// A value as each encoder writes it.
#[derive(Clone, PartialEq, Debug)]
enum Sent {
    Integer(i128),
    Double(f64),
    Bool(bool),
    Text(String),
    Null,
    Object,
}

/// A message before anything is done to it.
#[derive(Clone, Debug)]
struct Meant {
    ts: i64,
    seq: u64,
    temp: f64,
    count: i64,
    on: bool,
    state: usize,
    pressure: f64,
}

impl Meant {
    fn random(number: u64, random: &mut Random) -> Self {
        Self {
            ts: 1_700_000_000_000 + number as i64,
            seq: number,
            temp: (random.below(16_501) as f64 - 4000.0) / 100.0,
            count: random.below(1 << 30) as i64 * 931,
            on: random.below(2) == 1,
            state: random.below(3) as usize,
            pressure: random.below(1 << 20) as f64 / 64.0,
        }
    }

    fn fields(&self) -> Vec<(String, Sent)> {
        let fields = [
            ("ts", Sent::Integer(self.ts.into())),
            ("seq", Sent::Integer(self.seq.into())),
            ("temp", Sent::Double(self.temp)),
            ("count", Sent::Integer(self.count.into())),
            ("on", Sent::Bool(self.on)),
            ("state", Sent::Text(STATES[self.state].to_owned())),
            ("pressure", Sent::Double(self.pressure)),
        ];
        fields.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// The row, without the fields that are named, and with this pressure.
    fn row_with(&self, pressure: Option<f64>, without: &[&str]) -> Outcome {
        let celsius = (self.temp + -32.0) * 5.0 / 9.0;
        let mut parts = vec![
            format!("count={}l", self.count),
            format!("on={}", self.on),
            format!("state={:?}", STATES[self.state]),
            format!("temp={celsius:?}"),
        ];
        parts.extend(pressure.map(|pressure| format!("pressure={pressure:?}")));
        parts.retain(|part| !without.iter().any(|name| part.starts_with(&format!("{name}="))));
        let ts = if without.contains(&"ts") { format!("ts={RECEIVED}*") } else { format!("ts={}", self.ts) };
        parts.push(ts);
        if !without.contains(&"seq") {
            parts.push(format!("seq={}", self.seq));
        }
        parts.sort();
        Outcome::Row(parts)
    }

    fn row(&self) -> Outcome {
        self.row_with(Some(self.pressure), &[])
    }
}

/// The value of `pressure` where it is missing.
const PRESSURE: f64 = 101.5;

fn fields() -> Vec<Field> {
    let fahrenheit = Rule { unit: Some("[degF]".to_owned()), ..ranged(-40.0, 125.0, rule(Kind::Double)) };
    let states = STATES.map(|state| Value::Text(state.to_owned())).to_vec();
    vec![
        field("ts", Part::Ts(Some(TsUnit::Milliseconds)), rule(Kind::Long)),
        field("seq", Part::Seq, rule(Kind::Long)),
        required(metric("temp", fahrenheit)),
        metric("count", ranged(0.0, 1e12, rule(Kind::Long))),
        metric("on", rule(Kind::Bool)),
        metric("state", Rule { one_of: states, ..rule(Kind::Text) }),
        default(metric("pressure", Rule { nullable: true, ..rule(Kind::Double) }), Value::Double(PRESSURE)),
    ]
}

fn check(
    format: Format,
    language: Language,
    layout: Option<Layout>,
    mut next: impl FnMut(u64, &mut Random) -> (Vec<u8>, Outcome),
) {
    let indexes = if language == Language::Protobuf { vec![0] } else { Vec::new() };
    let root = Root { indexes, layout, others: Others::Reject, ..root(false, fields()) };
    let mut pipeline = Pipeline::new(Partition(3), Plan::default());
    let class = ClassRules { schema_id: Some(PUMP), units: vec![celsius("temp")], ..ClassRules::default() };
    let controls = [bind(0, device(1, "pump")), schema(7, vec![place("pump", 1, PUMP)], language, root), rules(class)];
    process(&mut pipeline, &batch(RECEIVED, &controls, &[]), &mut Output::default());
    let (mut random, mut output) = (Random(0x5EED), Output::default());
    let mut seen = BTreeMap::new();
    for first in (0..PAYLOADS).step_by(BATCH as usize) {
        let base = pipeline.position();
        let made: Vec<_> = (first..first + BATCH).map(|number| next(number, &mut random)).collect();
        let payloads: Vec<_> = made.iter().map(|(bytes, _)| (GroupKey { format, ..key(0) }, bytes.clone())).collect();
        process(&mut pipeline, &batch(RECEIVED, &[], &payloads), &mut output);
        assert_eq!(output.defects, []);
        let counts = output.counts;
        assert_eq!((counts.messages, counts.duplicates), (BATCH, 0));
        assert_eq!(counts.accepted + counts.rejected, BATCH);
        let mut became = outcomes(&output);
        for (offset, (bytes, expect)) in (base..).zip(&made) {
            let became = became.remove(&offset).expect("every payload becomes something");
            assert_eq!(became, *expect, "{}", String::from_utf8_lossy(bytes));
            let kind = match became {
                Outcome::Row(_) => "row",
                Outcome::Dead(code, _) => code,
            };
            *seen.entry(kind).or_insert(0) += 1;
        }
        assert!(became.is_empty());
    }
    assert!(seen["row"] > PAYLOADS / 5 && seen.len() > 3, "{seen:?}");
}

/// What each offset became.
fn outcomes(output: &Output) -> BTreeMap<Offset, Outcome> {
    let letters =
        letters(output).map(|letter| (letter.address.offset, Outcome::Dead(letter.reason.code(), letter.path.clone())));
    let lines = lines(output);
    let rows = lines.iter().filter(|line| line.contains(" d0 ts=")).map(|line| {
        let mut parts = line.split(' ');
        let address = parts.next().expect("an address").split('-').next().expect("an offset");
        let mut parts: Vec<_> = parts.skip(1).map(str::to_owned).collect();
        parts.sort();
        (address.parse().expect("a number"), Outcome::Row(parts))
    });
    rows.chain(letters).collect()
}

/// A message for the formats that name their fields: what is sent, and what comes of it if it is well-formed.
fn named(number: u64, random: &mut Random) -> (Vec<(String, Sent)>, Outcome) {
    let mut meant = Meant::random(number, random);
    let mutation = random.below(28);
    if mutation == 0 {
        meant.temp = if random.below(2) == 0 { -40.0 } else { 125.0 };
    }
    let mut fields = meant.fields();
    let at = |name: &str| meant.fields().iter().position(|(other, _)| other == name).expect("a field");
    let mut set = |name: &str, value: Sent| fields[at(name)].1 = value;
    let outcome = match mutation {
        1 => {
            set("temp", Sent::Double([125.000_1, -40.5, 1e300][random.below(3) as usize]));
            dead("out-of-range", "/temp")
        }
        2 => {
            set(
                "temp",
                [Sent::Text("20".to_owned()), Sent::Bool(true), Sent::Null, Sent::Object][random.below(4) as usize]
                    .clone(),
            );
            dead("wrong-type", "/temp")
        }
        3 => {
            fields.remove(at("temp"));
            dead("required-missing", "/temp")
        }
        4 => {
            set("count", Sent::Double(1.5));
            dead("wrong-type", "/count")
        }
        5 => {
            set("count", Sent::Integer([-1, 1_000_000_000_001, 1 << 63, (1 << 64) - 1][random.below(4) as usize]));
            dead("out-of-range", "/count")
        }
        6 => {
            set("on", Sent::Integer(1));
            dead("wrong-type", "/on")
        }
        7 => {
            set("state", Sent::Text("broken".to_owned()));
            dead("value-not-allowed", "/state")
        }
        8 => {
            fields.insert(random.below(8) as usize, ("extra".to_owned(), Sent::Integer(1)));
            dead("unknown-field", "/extra")
        }
        9 => {
            let again = fields[random.below(7) as usize].clone();
            let path = format!("/{}", again.0);
            fields.push(again);
            dead("duplicate-field", &path)
        }
        10 => {
            set("pressure", Sent::Null);
            meant.row_with(None, &[])
        }
        11 => {
            fields.remove(at("pressure"));
            meant.row_with(Some(PRESSURE), &[])
        }
        12 => {
            set("ts", Sent::Text("now".to_owned()));
            dead("ts-invalid", "/ts")
        }
        13 => {
            set("seq", Sent::Integer(-1));
            dead("seq-invalid", "/seq")
        }
        14 => {
            set("temp", Sent::Double(f64::INFINITY));
            dead("number-not-finite", "/temp")
        }
        15 => {
            set("temp", Sent::Integer((1 << 53) + 1));
            dead("number-not-exact", "/temp")
        }
        16 => {
            set("count", Sent::Double(meant.count as f64));
            meant.row()
        }
        17 => {
            let name = ["count", "on", "state"][random.below(3) as usize];
            fields.remove(at(name));
            meant.row_with(Some(meant.pressure), &[name])
        }
        18 => {
            fields.reverse();
            meant.row()
        }
        _ => meant.row(),
    };
    (fields, outcome)
}

/// What is done to the bytes of one payload in eight: cut, or longer.
fn bytes(mut bytes: Vec<u8>, outcome: Outcome, random: &mut Random) -> (Vec<u8>, Outcome) {
    match random.below(16) {
        0 => {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
            (bytes, dead("not-well-formed", ""))
        }
        1 => {
            bytes.push(b'0');
            (bytes, dead("not-well-formed", ""))
        }
        _ => (bytes, outcome),
    }
}

fn json(fields: &[(String, Sent)], random: &mut Random) -> Vec<u8> {
    let space = ["", " ", "\n\t"][random.below(3) as usize];
    let exponents = random.below(8) == 0;
    let member = |(name, value): &(String, Sent)| {
        let value = match value {
            Sent::Integer(value) => value.to_string(),
            Sent::Double(value) if value.is_infinite() => "1e999".to_owned(),
            Sent::Double(value) if exponents => format!("{value:e}"),
            Sent::Double(value) => format!("{value:?}"),
            Sent::Bool(value) => value.to_string(),
            Sent::Text(value) => format!("{value:?}"),
            Sent::Null => "null".to_owned(),
            Sent::Object => "{\"x\":[1]}".to_owned(),
        };
        format!("\"{name}\":{space}{value}")
    };
    let members: Vec<_> = fields.iter().map(member).collect();
    format!("{{{}}}", members.join(&format!(",{space}"))).into_bytes()
}

#[test]
fn json_payloads() {
    check(Format::Json, Language::Json, None, |number, random| {
        let (fields, outcome) = named(number, random);
        let text = json(&fields, random);
        match random.below(12) {
            0 => (format!("[{}]", String::from_utf8_lossy(&text)).into_bytes(), outcome),
            1 => ([&[0, 0, 0, 0, 7][..], &text].concat(), outcome),
            _ => bytes(text, outcome, random),
        }
    });
}

#[test]
fn message_pack_payloads() {
    use rmp::encode::{write_bool, write_f64, write_map_len, write_nil, write_sint, write_str, write_uint};
    check(Format::MessagePack, Language::Json, None, |number, random| {
        let (fields, outcome) = named(number, random);
        let mut out = Vec::new();
        write_map_len(&mut out, fields.len() as u32).expect("written");
        for (name, value) in &fields {
            write_str(&mut out, name).expect("written");
            match value {
                Sent::Integer(value) if *value >= 0 => drop(write_uint(&mut out, *value as u64).expect("written")),
                Sent::Integer(value) => drop(write_sint(&mut out, *value as i64).expect("written")),
                Sent::Double(value) => write_f64(&mut out, *value).expect("written"),
                Sent::Bool(value) => write_bool(&mut out, *value).expect("written"),
                Sent::Text(value) => write_str(&mut out, value).expect("written"),
                Sent::Null => write_nil(&mut out).expect("written"),
                Sent::Object => drop(write_map_len(&mut out, 0).expect("written")),
            }
        }
        bytes(out, outcome, random)
    });
}

#[test]
fn cbor_payloads() {
    check(Format::Cbor, Language::Json, None, |number, random| {
        let (fields, outcome) = named(number, random);
        let mut out = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut out);
        encoder.map(fields.len() as u64).expect("written");
        for (name, value) in &fields {
            encoder.str(name).expect("written");
            let written = match value {
                Sent::Integer(value) if *value >= 0 => encoder.u64(*value as u64),
                Sent::Integer(value) => encoder.i64(*value as i64),
                Sent::Double(value) => encoder.f64(*value),
                Sent::Bool(value) => encoder.bool(*value),
                Sent::Text(value) => encoder.str(value),
                Sent::Null => encoder.null(),
                Sent::Object => encoder.map(0),
            };
            written.expect("written");
        }
        bytes(out, outcome, random)
    });
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zig_zag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[test]
fn avro_payloads() {
    let symbols = STATES.map(str::to_owned).to_vec();
    let nodes = vec![
        AvroNode::Record(vec![1, 2, 3, 4, 5, 6, 7]),
        AvroNode::Long(Some(0)),
        AvroNode::Long(Some(1)),
        AvroNode::Double(Some(2)),
        AvroNode::Long(Some(3)),
        AvroNode::Boolean(Some(4)),
        AvroNode::Enum(symbols, Some(5)),
        AvroNode::Union(vec![8, 9]),
        AvroNode::Null,
        AvroNode::Double(Some(6)),
    ];
    let layout = Layout::Avro(AvroLayout { nodes, fingerprint: 0x1122_3344_5566_7788 });
    check(Format::Avro, Language::Avro, Some(layout), |number, random| {
        let mut meant = Meant::random(number, random);
        let mutation = random.below(16);
        let (mut on, mut state, mut union) = (vec![u8::from(meant.on)], meant.state as i64, vec![2]);
        union.extend_from_slice(&meant.pressure.to_le_bytes());
        let outcome = match mutation {
            0 => {
                meant.temp = [125.1, -41.0][random.below(2) as usize];
                dead("out-of-range", "/temp")
            }
            1 => {
                meant.temp = [f64::NAN, f64::NEG_INFINITY][random.below(2) as usize];
                dead("number-not-finite", "/temp")
            }
            2 => {
                meant.count = [-1, i64::MIN, i64::MAX][random.below(3) as usize];
                dead("out-of-range", "/count")
            }
            3 => {
                on[0] = 2 + random.below(254) as u8;
                dead("not-well-formed", "")
            }
            4 => {
                state = [3, -1, i64::MAX][random.below(3) as usize];
                dead("not-well-formed", "")
            }
            5 => {
                union[0] = 4;
                dead("not-well-formed", "")
            }
            6 => {
                union = vec![0];
                meant.row_with(None, &[])
            }
            7 => {
                on = [&[0xFF; 9][..], &[0x7F]].concat();
                dead("not-well-formed", "")
            }
            _ => meant.row(),
        };
        let mut out = Vec::new();
        varint(zig_zag(meant.ts), &mut out);
        varint(zig_zag(meant.seq as i64), &mut out);
        out.extend_from_slice(&meant.temp.to_le_bytes());
        varint(zig_zag(meant.count), &mut out);
        out.extend_from_slice(&on);
        varint(zig_zag(state), &mut out);
        out.extend_from_slice(&union);
        match random.below(8) {
            0 => ([&[0, 0, 0, 0, 7][..], &out].concat(), outcome),
            1 => ([&[0xC3, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11][..], &out].concat(), outcome),
            _ => bytes(out, outcome, random),
        }
    });
}

#[test]
fn protobuf_payloads() {
    let states = (0..).zip(STATES).map(|(number, state)| (number, state.to_owned())).collect();
    let kinds = vec![
        ProtobufKind::Int64(Some(0)),
        ProtobufKind::Uint64(Some(1)),
        ProtobufKind::Double(Some(2)),
        ProtobufKind::Sint64(Some(3)),
        ProtobufKind::Bool(Some(4)),
        ProtobufKind::Enum(states, Some(5)),
        ProtobufKind::Double(Some(6)),
    ];
    let fields = (1..).zip(kinds).map(|(number, kind)| ProtobufField { number, kind, implicit: false, oneof: None });
    let layout = Layout::Protobuf(ProtobufLayout { messages: vec![fields.collect()] });
    check(Format::Protobuf, Language::Protobuf, Some(layout), |number, random| {
        let mut meant = Meant::random(number, random);
        let mutation = random.below(16);
        match mutation {
            0 => meant.temp = 125.1,
            1 => meant.temp = f64::NAN,
            2 => meant.count = -1,
            _ => {}
        }
        let mut fields = protobuf_fields(&meant);
        let outcome = match mutation {
            0 => dead("out-of-range", "/temp"),
            1 => dead("number-not-finite", "/temp"),
            2 => dead("out-of-range", "/count"),
            3 => {
                fields.remove(2);
                dead("required-missing", "/temp")
            }
            4 => {
                fields[5] = vec![6 << 3, 9];
                dead("value-not-allowed", "/state")
            }
            5 => {
                fields.push(vec![0x9B, 0x06, 0x08, 0x01, 0x9C, 0x06]);
                dead("unknown-field", "/99")
            }
            6 => {
                let mut before = meant.clone();
                (before.temp, before.count, before.state) = (-500.0, -5, 0);
                fields = [protobuf_fields(&before), fields].concat();
                meant.row()
            }
            7 => {
                fields[2] = vec![3 << 3, 5];
                dead("wrong-type", "/temp")
            }
            8 => {
                fields.remove(6);
                meant.row_with(Some(PRESSURE), &[])
            }
            9 => {
                fields.push(vec![[0x07, 0x06, 0x04, 0x00][random.below(4) as usize]]);
                dead("not-well-formed", "")
            }
            10 => {
                fields.reverse();
                meant.row()
            }
            11 => return protobuf_cut(&meant, &fields, random),
            _ => meant.row(),
        };
        let head: &[u8] = if random.below(4) == 0 { &[0, 0, 0, 0, 7, 0] } else { &[] };
        ([head, &fields.concat()].concat(), outcome)
    });
}

fn protobuf_fields(meant: &Meant) -> Vec<Vec<u8>> {
    let integer = |number: u8, value: u64| {
        let mut out = vec![number << 3];
        varint(value, &mut out);
        out
    };
    let double = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
    vec![
        integer(1, meant.ts as u64),
        integer(2, meant.seq),
        double(3, meant.temp),
        integer(4, zig_zag(meant.count)),
        integer(5, meant.on.into()),
        integer(6, meant.state as u64),
        double(7, meant.pressure),
    ]
}

/// A message that is cut: between two fields it is a message of those before, elsewhere it is none.
fn protobuf_cut(meant: &Meant, fields: &[Vec<u8>], random: &mut Random) -> (Vec<u8>, Outcome) {
    let mut bytes = fields.concat();
    let cut = random.below(bytes.len() as u64) as usize;
    bytes.truncate(cut);
    let names = ["ts", "seq", "temp", "count", "on", "state"];
    let whole = (0..7).find(|whole| fields[..*whole].iter().map(Vec::len).sum::<usize>() == cut);
    let outcome = match whole {
        None => dead("not-well-formed", ""),
        Some(0..=2) => dead("required-missing", "/temp"),
        Some(whole) => meant.row_with(Some(PRESSURE), &names[whole..6]),
    };
    (bytes, outcome)
}
