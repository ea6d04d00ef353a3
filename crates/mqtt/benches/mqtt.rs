//! Nanoseconds and allocations per message: decode and acknowledge on the server, encode on the client.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Clock;
use mqtt::client::{self, ConnectOptions, PublishTemplate};
use mqtt::{Action, Grant, Offer, Property, PropertyId, Qos, Session, Value, Version};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code, reason = "counts allocations and passes every call on unchanged")]
// SAFETY: every call goes to the system allocator with the arguments that the caller vouches for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: see above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TOPIC: &str = "tenant/0192a5f0-5d3c-7a57-9e3b-2f6d1c0a8b11/device/0192a5f0-5d3c-7a57-9e3b-2f6d1c0a8b12/data";
const PAYLOAD: &[u8] = br#"{"ts":1700000000000,"seq":10042,"metrics":{"temperature":23.4,"humidity":61.2}}"#;
const WINDOW: u16 = 100;
const ROUNDS: u32 = 20_000;

fn main() {
    println!("{:<44} {:>8} {:>12}", "", "ns", "allocations");
    server("decode + acknowledge, QoS 0, 3.1.1", Version::V3, Qos::AtMostOnce, &[TOPIC]);
    server("decode + acknowledge, QoS 1, 3.1.1", Version::V3, Qos::AtLeastOnce, &[TOPIC]);
    server("decode + acknowledge, QoS 1, 5.0", Version::V5, Qos::AtLeastOnce, &[TOPIC]);
    let topics: Vec<String> = (0..WINDOW).map(|n| TOPIC.replace("0a8b12", &format!("{n:06x}"))).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    server("the same, another topic each time", Version::V5, Qos::AtLeastOnce, &topics);
    server_with_alias();
    server("decode + hold + acknowledge, QoS 2, 5.0", Version::V5, Qos::ExactlyOnce, &[TOPIC]);
    encode();
}

fn session(version: Version) -> Session {
    let (mut connect, mut out) = (Vec::new(), Vec::new());
    client::connect(&mut connect, &ConnectOptions { version, client_id: "bench", ..ConnectOptions::default() });
    let mut session = Session::new(Offer::default());
    let step = session.step(&connect, &mut out);
    assert!(matches!(step.action, Action::Connect(_)));
    session.accept(Grant::default(), &mut out).expect("the client takes a CONNACK");
    session
}

fn server(name: &str, version: Version, qos: Qos, topics: &[&str]) {
    let templates = topics.iter().map(|topic| PublishTemplate::new(version, topic, qos, &[]));
    let mut input = Vec::new();
    for (packet_id, template) in (1..=WINDOW).zip(templates.collect::<Vec<_>>().iter().cycle()) {
        template.encode(&mut input, packet_id, PAYLOAD);
        if qos == Qos::ExactlyOnce {
            client::pubrel(&mut input, packet_id);
        }
    }
    run_server(name, version, &input);
}

fn server_with_alias() {
    let alias = Property { id: PropertyId::TopicAlias, value: Value::Two(1) };
    let mut input = Vec::new();
    let first = PublishTemplate::new(Version::V5, TOPIC, Qos::AtLeastOnce, &[alias]);
    let next = PublishTemplate::new(Version::V5, "", Qos::AtLeastOnce, &[alias]);
    first.encode(&mut input, 1, PAYLOAD);
    (2..=WINDOW).for_each(|packet_id| next.encode(&mut input, packet_id, PAYLOAD));
    run_server("decode + acknowledge, QoS 1, 5.0, alias", Version::V5, &input);
}

fn run_server(name: &str, version: Version, input: &[u8]) {
    let mut session = session(version);
    let mut out = Vec::with_capacity(64 << 10);
    let mut round = || {
        out.clear();
        let mut at = 0;
        while at < input.len() {
            let step = session.step(black_box(&input[at..]), &mut out);
            at += step.used;
            match step.action {
                Action::Publish(publish) => {
                    black_box(publish.payload);
                    if let Some(ack) = publish.ack() {
                        session.acknowledge(black_box(ack), &mut out);
                    }
                }
                Action::Release(ack) => session.acknowledge(ack, &mut out),
                other => panic!("unexpected {other:?}"),
            }
        }
        black_box(&out);
    };
    measure(name, &mut round);
}

fn encode() {
    let template = PublishTemplate::new(Version::V5, TOPIC, Qos::AtLeastOnce, &[]);
    let mut out = Vec::with_capacity(64 << 10);
    measure("encode on the client, QoS 1, 5.0", &mut || {
        out.clear();
        for packet_id in 1..=WINDOW {
            template.encode(black_box(&mut out), packet_id, PAYLOAD);
        }
    });
}

/// Runs `round`, which handles [`WINDOW`] messages, and prints the cost of one.
fn measure(name: &str, round: &mut dyn FnMut()) {
    round();
    let clock = Clock::system();
    let (allocations, start) = (ALLOCATIONS.load(Ordering::Relaxed), clock.monotonic());
    (0..ROUNDS).for_each(|_| round());
    let messages = f64::from(ROUNDS) * f64::from(WINDOW);
    let nanos = (clock.monotonic() - start).as_nanos() as f64 / messages;
    let allocations = (ALLOCATIONS.load(Ordering::Relaxed) - allocations) as f64 / messages;
    println!("{name:<44} {nanos:>8.1} {allocations:>12.2}");
}
