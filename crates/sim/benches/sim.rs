//! What the generator costs: it has to be far below the server that it measures.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, DeviceId, TenantId};
use mqtt::{Qos, Version};
use sim::Stop;
use sim::load::payload::{Shape, Template, device_key};
use sim::load::{self, Credential, LoadConfig, Progress, Senders, Target, Times};
use sim::null::NullServer;
use sim::process;

const MESSAGES: u64 = 4_000_000;

fn main() {
    let clock = Clock::system();
    for shape in [Shape::Two, Shape::Twelve] {
        let key = device_key(1, DeviceId::random(), 1);
        let mut template = Template::new(shape, None, 1_000_000);
        let start = clock.monotonic();
        for seq in 1_000_000..1_000_000 + MESSAGES {
            template.fill(key, black_box(seq), 1_700_000_000_000);
            black_box(&template.bytes);
        }
        print(&format!("fill a payload of {} metrics", shape as u8), clock.monotonic() - start, MESSAGES);
    }
    for (connections, window, qos) in [
        (16, 100, Qos::AtLeastOnce),
        (200, 100, Qos::AtLeastOnce),
        (16, 100, Qos::AtMostOnce),
        (16, 100, Qos::ExactlyOnce),
    ] {
        against_null(&clock, connections, window, qos);
    }
}

/// Wall time and the generator's share of the CPU, with the null server on a thread of the same process.
fn against_null(clock: &Clock, connections: usize, window: u32, qos: Qos) {
    let server = NullServer::open().expect("a free port");
    let address = server.mqtt_address().expect("it listens");
    let stop = Stop::default();
    let thread = std::thread::spawn({
        let stop = stop.clone();
        move || server.run(&stop)
    });
    let devices = (0..connections).map(|_| DeviceId::random()).collect();
    let credential = Credential::Tokens((0..connections).map(|_| "twd_x".to_owned()).collect());
    let config = LoadConfig {
        target: Target::Mqtt { address, version: Version::V5, qos },
        senders: Senders { tenant: TenantId::random(), devices, credential },
        connections,
        window,
        rate: None,
        shape: Shape::Two,
        seed: 1,
        boot: None,
        times: Times::Now,
        begun: Arc::default(),
        messages: Some(MESSAGES),
        duration: None,
        threads: 1,
        reconnect: false,
        drain_max: Duration::from_secs(10),
    };
    let before = process::cpu_seconds(std::process::id()).expect("proc is there");
    let report =
        load::run(&config, clock, &Stop::default(), &Progress::default(), None).expect("the null server answers");
    let cpu = process::cpu_seconds(std::process::id()).expect("proc is there") - before;
    let what = format!("{connections} × {window}, QoS {}", qos as u8);
    print(&format!("{what}: wall"), report.elapsed, report.acked);
    print(&format!("{what}: CPU of generator and null server"), Duration::from_secs_f64(cpu), report.acked);
    stop.stop();
    thread.join().expect("the null server does not panic").expect("the null server serves");
}

#[allow(clippy::print_stdout, reason = "a benchmark prints")]
fn print(what: &str, took: Duration, messages: u64) {
    println!("{what:50} {:8.1} ns per message", took.as_nanos() as f64 / messages as f64);
}
