//! Prints what one message costs in the pipeline, in ns, and what one device costs in memory, in bytes.
//!
//! Messages are spread over the devices in turn, one payload per group, as on an API key's connection; with 1,000
//! devices everything is in the cache, with 1,000,000 nothing is. `cargo bench -p pipeline -- CBOR` runs the cases whose
//! name has that word.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

use std::fmt::Write;

use model::batch::Batch;
use model::{
    BatchPool, BatchView, Clock, Control, DeviceId, DeviceIndex, Format, GroupFlags, GroupKey, Partition, PayloadKind,
    TenantId,
};
use pipeline::{Output, Pipeline, Plan};

mod schemas;

use schemas::Under;

const BATCH_PAYLOADS: u64 = 400;
/// Few, so that on a busy machine some rounds are not disturbed.
const ROUND_BATCHES: u64 = 5;
const MESSAGES: u64 = 2_000_000;
const START: i64 = 1_700_000_000_000;

/// Writes the payload of message number `seq` of a device.
type Payload = fn(u64, u64, &mut Vec<u8>);

/// What is measured: a payload, and what it is read under.
struct Case {
    name: &'static str,
    format: Format,
    under: Under,
    payload: Payload,
}

const fn case(name: &'static str, format: Format, under: Under, payload: Payload) -> Case {
    Case { name, format, under, payload }
}

const CASES: [Case; 19] = [
    case("JSON, 2 metrics, 78 bytes", Format::Json, Under::Nothing, two_metrics),
    case("  with a schema", Format::Json, Under::Two, two_metrics),
    case("JSON, 12 metrics", Format::Json, Under::Nothing, twelve_metrics),
    case("  with a schema", Format::Json, Under::Twelve, twelve_metrics),
    case("  and units, tags", Format::Json, Under::TwelveAndAll, twelve_metrics),
    case("JSON, 12 metrics, flat", Format::Json, Under::Nothing, twelve_flat),
    case("  with a schema, flat", Format::Json, Under::TwelveFlat, twelve_flat),
    case("JSON, 2 metrics with tags", Format::Json, Under::Nothing, with_tags),
    case("JSON, 2 metrics, no seq", Format::Json, Under::Nothing, without_seq),
    case("MessagePack, 2 metrics", Format::MessagePack, Under::Nothing, message_pack),
    case("  with a schema", Format::MessagePack, Under::Two, message_pack),
    case("CBOR, 2 metrics", Format::Cbor, Under::Nothing, cbor),
    case("  with a schema", Format::Cbor, Under::Two, cbor),
    case("Avro, 2 metrics", Format::Avro, Under::TwoAvro, avro),
    case("  in the wire format", Format::Avro, Under::TwoAvro, avro_wire),
    case("Avro, 12 metrics", Format::Avro, Under::TwelveAvro, avro_twelve),
    case("Protobuf, 2 metrics", Format::Protobuf, Under::TwoProtobuf, protobuf),
    case("  in the wire format", Format::Protobuf, Under::TwoProtobuf, protobuf_wire),
    case("Protobuf, 12 metrics", Format::Protobuf, Under::TwelveProtobuf, protobuf_twelve),
];

fn main() {
    // As a test target it has nothing to say.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut name = "";
    for (number, case) in CASES.iter().enumerate() {
        name = if case.name.starts_with(' ') { name } else { case.name };
        if name.contains(&only) {
            for devices in [1_000, 1_000_000] {
                let pipeline = run(case, devices);
                if number == 0 {
                    snapshot(&pipeline);
                }
            }
        }
    }
}

fn snapshot(pipeline: &Pipeline) {
    let (clock, mut bytes) = (Clock::system(), Vec::new());
    // The second goes into the memory of the first, as on the line.
    pipeline.snapshot(&mut bytes);
    bytes.clear();
    let began = clock.monotonic();
    pipeline.snapshot(&mut bytes);
    let written = clock.monotonic() - began;
    let began = clock.monotonic();
    let restored = Pipeline::restore(&bytes).expect("a snapshot that was just made");
    let read = clock.monotonic() - began;
    assert_eq!(restored.position(), pipeline.position());
    let bytes = bytes.len() as f64 / 1e6;
    println!("  its snapshot: {bytes:.1} MB, written in {:.0} ms, restored in {:.0} ms", ms(written), ms(read));
}

fn ms(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn run(case: &Case, devices: u64) -> Pipeline {
    let Case { name, format, payload, .. } = *case;
    let mut pipeline = Pipeline::new(Partition(0), Plan::default());
    let mut output = Output::default();
    bind(&mut pipeline, case.under, devices, &mut output);
    let clock = Clock::system();
    // Rounds alternate between making batches and timing them, so that the batches stay small in memory.
    let (pool, mut next, mut rounds, mut accepted) = (BatchPool::default(), 0, Vec::new(), 0);
    let warm_up = devices.min(MESSAGES);
    while next < warm_up + MESSAGES {
        let batches: Vec<Batch> =
            (0..ROUND_BATCHES).map(|_| batch(&pool, format, payload, devices, &mut next)).collect();
        let start = clock.monotonic();
        for batch in &batches {
            let view = BatchView::parse(batch.body()).expect("a batch that was just made");
            pipeline.process(pipeline.position(), view, &mut output);
            accepted += output.counts.accepted;
        }
        let spent = (clock.monotonic() - start).as_nanos() as f64;
        if next > warm_up {
            rounds.push(spent / (ROUND_BATCHES * BATCH_PAYLOADS) as f64);
        }
    }
    assert_eq!(accepted, next, "every message is accepted");
    rounds.sort_by(f64::total_cmp);
    let (best, median) = (rounds[0], rounds[rounds.len() / 2]);
    let state = pipeline.state_bytes() as f64 / devices as f64;
    println!(
        "{name:26} {devices:9} devices {median:7.1} ns median {best:7.1} ns best {state:7.1} bytes of state a device"
    );
    pipeline
}

fn bind(pipeline: &mut Pipeline, under: Under, devices: u64, output: &mut Output) {
    let mut builder = BatchPool::default().builder();
    let device = |index: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&index.to_le_bytes());
        (DeviceIndex(index), DeviceId::from_bytes(id))
    };
    let (tenant, class) = (TenantId::from_bytes([1; 16]), "pump".into());
    let (profile, controls) = under.controls(tenant, &class);
    controls.iter().for_each(|control| builder.control(control));
    builder.control(&Control::BindDevices {
        tenant,
        class,
        profile: profile.into(),
        devices: (0..devices as u32).map(device).collect(),
    });
    let batch = builder.seal(START);
    pipeline.process(0, BatchView::parse(batch.body()).expect("a batch that was just made"), output);
}

fn batch(pool: &BatchPool, format: Format, payload: Payload, devices: u64, next: &mut u64) -> Batch {
    let mut builder = pool.builder();
    let mut bytes = Vec::new();
    for _ in 0..BATCH_PAYLOADS {
        // A stride that is prime to both fleets, so that neighbours in a batch are far apart in memory.
        let device = *next % devices * 7919 % devices;
        bytes.clear();
        payload(device, *next / devices, &mut bytes);
        let key = GroupKey {
            device: DeviceIndex(device as u32),
            kind: PayloadKind::Data,
            format,
            flags: GroupFlags::default(),
        };
        builder.push(key, &bytes);
        *next += 1;
    }
    builder.seal(START + *next as i64 / 1000)
}

/// A number that changes from message to message.
fn reading(device: u64, seq: u64, metric: u64) -> f64 {
    let hash = (device ^ seq << 20 ^ metric << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
    hash as f64 / 10.0
}

fn text(out: &mut Vec<u8>, write: impl FnOnce(&mut String)) {
    let mut text = String::new();
    write(&mut text);
    out.extend_from_slice(text.as_bytes());
}

fn two_metrics(device: u64, seq: u64, out: &mut Vec<u8>) {
    let (ts, a, b) = (START + seq as i64 * 1000, reading(device, seq, 0), reading(device, seq, 1));
    text(out, |text| {
        write!(text, r#"{{"ts":{ts},"metrics":{{"temperature":{a},"humidity":{b}}},"seq":{seq}}}"#).expect("text");
    });
}

fn twelve_metrics(device: u64, seq: u64, out: &mut Vec<u8>) {
    let ts = START + seq as i64 * 1000;
    text(out, |text| {
        write!(text, r#"{{"ts":{ts},"seq":{seq},"metrics":{{"#).expect("text");
        for metric in 0..12 {
            let comma = if metric == 0 { "" } else { "," };
            write!(text, r#"{comma}"metric_{metric}":{}"#, reading(device, seq, metric)).expect("text");
        }
        text.push_str("}}");
    });
}

fn twelve_flat(device: u64, seq: u64, out: &mut Vec<u8>) {
    let ts = START + seq as i64 * 1000;
    text(out, |text| {
        write!(text, r#"{{"ts":{ts},"seq":{seq}"#).expect("text");
        for metric in 0..12 {
            write!(text, r#","metric_{metric}":{}"#, reading(device, seq, metric)).expect("text");
        }
        text.push('}');
    });
}

fn with_tags(device: u64, seq: u64, out: &mut Vec<u8>) {
    let (ts, a, b) = (START + seq as i64 * 1000, reading(device, seq, 0), reading(device, seq, 1));
    let line = device % 7;
    text(out, |text| {
        let head = format!(r#"{{"ts":{ts},"metrics":{{"temperature":{a},"humidity":{b}}},"seq":{seq},"#);
        write!(text, r#"{head}"boot":3,"buffered":false,"tags":{{"line":"L{line}"}}}}"#).expect("text");
    });
}

fn without_seq(device: u64, seq: u64, out: &mut Vec<u8>) {
    let (ts, a, b) = (START + seq as i64 * 1000, reading(device, seq, 0), reading(device, seq, 1));
    text(out, |text| {
        write!(text, r#"{{"ts":{ts},"metrics":{{"temperature":{a},"humidity":{b}}}}}"#).expect("text");
    });
}

fn message_pack(device: u64, seq: u64, out: &mut Vec<u8>) {
    use rmp::encode::{write_f64, write_map_len, write_str, write_uint};
    write_map_len(out, 3).expect("written");
    write_str(out, "ts").expect("written");
    write_uint(out, START as u64 + seq * 1000).expect("written");
    write_str(out, "metrics").expect("written");
    write_map_len(out, 2).expect("written");
    for (metric, name) in ["temperature", "humidity"].into_iter().enumerate() {
        write_str(out, name).expect("written");
        write_f64(out, reading(device, seq, metric as u64)).expect("written");
    }
    write_str(out, "seq").expect("written");
    write_uint(out, seq).expect("written");
}

fn cbor(device: u64, seq: u64, out: &mut Vec<u8>) {
    let mut encoder = minicbor::Encoder::new(out);
    let written = encoder
        .map(3)
        .and_then(|e| e.str("ts")?.i64(START + seq as i64 * 1000))
        .and_then(|e| e.str("metrics")?.map(2))
        .and_then(|e| e.str("temperature")?.f64(reading(device, seq, 0)))
        .and_then(|e| e.str("humidity")?.f64(reading(device, seq, 1)))
        .and_then(|e| e.str("seq")?.u64(seq));
    written.expect("a vector takes every write");
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn avro_of(metrics: u64, device: u64, seq: u64, out: &mut Vec<u8>) {
    varint((START as u64 + seq * 1000) << 1, out);
    (0..metrics).for_each(|metric| out.extend_from_slice(&reading(device, seq, metric).to_le_bytes()));
    varint(seq << 1, out);
}

fn avro(device: u64, seq: u64, out: &mut Vec<u8>) {
    avro_of(2, device, seq, out);
}

fn avro_wire(device: u64, seq: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 0, 1]);
    avro_of(2, device, seq, out);
}

fn avro_twelve(device: u64, seq: u64, out: &mut Vec<u8>) {
    avro_of(12, device, seq, out);
}

fn protobuf_of(metrics: u64, device: u64, seq: u64, out: &mut Vec<u8>) {
    varint(1 << 3, out);
    varint(START as u64 + seq * 1000, out);
    varint(2 << 3, out);
    varint(seq, out);
    for metric in 0..metrics {
        varint((metric + 3) << 3 | 1, out);
        out.extend_from_slice(&reading(device, seq, metric).to_le_bytes());
    }
}

fn protobuf(device: u64, seq: u64, out: &mut Vec<u8>) {
    protobuf_of(2, device, seq, out);
}

fn protobuf_wire(device: u64, seq: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 0, 1, 0]);
    protobuf_of(2, device, seq, out);
}

fn protobuf_twelve(device: u64, seq: u64, out: &mut Vec<u8>) {
    protobuf_of(12, device, seq, out);
}
