//! The generator against the null server, over the loopback interface.

use super::*;
use crate::acked::{self, Run};
use crate::null::NullServer;

struct World {
    mqtt: SocketAddr,
    http: SocketAddr,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        let server = NullServer::open().unwrap();
        let (mqtt, http) = (server.mqtt_address().unwrap(), server.http_address().unwrap());
        let stop = Stop::default();
        let thread = Some(std::thread::spawn({
            let stop = stop.clone();
            move || server.run(&stop).unwrap()
        }));
        Self { mqtt, http, stop, thread }
    }

    fn mqtt(&self, version: Version, qos: Qos) -> Target {
        Target::Mqtt { address: self.mqtt, version, qos }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.stop();
        self.thread.take().map(|thread| thread.join());
    }
}

fn config(target: Target, connections: usize, devices: usize) -> LoadConfig {
    let ids: Arc<[DeviceId]> = (0..devices).map(|_| DeviceId::random()).collect();
    let credential = match devices == connections {
        true => Credential::Tokens((0..devices).map(|number| format!("twd_{number}")).collect()),
        false => Credential::Key("twk_x".into()),
    };
    LoadConfig {
        target,
        senders: Senders { tenant: TenantId::random(), devices: ids, credential },
        connections,
        window: 50,
        rate: None,
        shape: Shape::Two,
        seed: 1,
        boot: Some(1),
        times: Times::Now,
        begun: Arc::default(),
        messages: Some(4_000),
        duration: None,
        threads: 1,
        reconnect: false,
        drain_max: Duration::from_secs(10),
    }
}

#[track_caller]
fn check(config: &LoadConfig) -> LoadReport {
    let progress = Progress::default();
    let report = run(config, &Clock::system(), &Stop::default(), &progress, None).unwrap();
    let expect = config.messages.unwrap();
    assert_eq!((report.sent, report.acked), (expect, expect));
    assert_eq!((report.ack_us.len(), progress.acked()), (expect, expect));
    assert_eq!((report.resent, report.refused, report.reconnects), (0, 0, 0));
    report
}

#[test]
fn every_quality_of_service_of_both_versions_is_acknowledged() {
    let world = World::new();
    for version in [Version::V3, Version::V5] {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            check(&config(world.mqtt(version, qos), 4, 4));
        }
    }
}

#[test]
fn one_key_speaks_for_many_devices() {
    let world = World::new();
    check(&config(world.mqtt(Version::V5, Qos::AtLeastOnce), 2, 300));
    check(&config(Target::Http { address: world.http, array: 10 }, 2, 300));
}

#[test]
fn requests_carry_one_message_or_many() {
    let world = World::new();
    check(&config(Target::Http { address: world.http, array: 1 }, 4, 4));
    check(&LoadConfig { shape: Shape::Twelve, ..config(Target::Http { address: world.http, array: 100 }, 4, 4) });
}

#[test]
fn several_threads_share_the_connections() {
    let world = World::new();
    check(&LoadConfig { threads: 3, ..config(world.mqtt(Version::V3, Qos::AtLeastOnce), 5, 5) });
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let world = World::new();
    let config = config(world.mqtt(Version::V5, Qos::AtLeastOnce), 4, 4);
    for rate in [10_000.0, 40_000.0] {
        let report = check(&LoadConfig { rate: Some(rate), ..config.clone() });
        // The last message is due then; how much later it is sent is the machine's affair.
        assert!(report.elapsed.as_secs_f64() >= 0.99 * 4_000.0 / rate, "{:?}", report.elapsed);
    }
}

#[test]
fn a_run_goes_on_where_the_one_before_ended() {
    let world = World::new();
    for rate in [None, Some(40_000.0)] {
        let first = LoadConfig { rate, ..config(world.mqtt(Version::V5, Qos::AtLeastOnce), 4, 12) };
        let report = check(&first);
        assert_eq!(report.begun, [1_000; 4]);
        let report = check(&LoadConfig { begun: report.begun.into(), threads: 2, ..first });
        assert_eq!(report.begun, [2_000; 4]);
    }
}

#[test]
fn a_past_has_one_interval_between_the_messages_of_a_device() {
    let past = Times::Past { first: 1_000, interval: 50 };
    assert_eq!([1, 2, 12].map(|seq| past.of(seq, 7)), [1_000, 1_050, 1_550]);
    assert_eq!(Times::Now.of(12, 7), 7);
}

#[test]
fn a_run_leaves_an_exact_log() {
    let world = World::new();
    let config = config(world.mqtt(Version::V5, Qos::AtLeastOnce), 4, 8);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acked.log");
    let clock = Clock::system();
    let about = Run { seed: config.seed, boot: 1, shape: config.shape, started: clock.now_ms() };
    let log = AckedLog::open(&path, about, config.senders.tenant, &streams(&config)).unwrap();
    run(&config, &clock, &Stop::default(), &Progress::default(), Some(&log)).unwrap();
    log.close().unwrap();
    let logged = acked::read(&path).unwrap();
    assert_eq!(logged.streams.iter().map(|stream| stream.sent.count()).sum::<u64>(), 4_000);
    assert_eq!(logged.streams.iter().map(|stream| stream.acked.count()).sum::<u64>(), 4_000);
}

#[test]
fn a_stopped_run_waits_for_what_is_in_flight() {
    let world = World::new();
    let config = LoadConfig {
        messages: None,
        duration: Some(Duration::from_secs(600)),
        ..config(world.mqtt(Version::V5, Qos::AtLeastOnce), 2, 2)
    };
    let (stop, progress) = (Stop::default(), Progress::default());
    let report = std::thread::scope(|scope| {
        let load = scope.spawn(|| run(&config, &Clock::system(), &stop, &progress, None).unwrap());
        while progress.acked() == 0 {
            std::thread::yield_now();
        }
        stop.stop();
        load.join().unwrap()
    });
    assert!(report.acked > 0 && report.acked == report.sent);
}

#[test]
fn mistakes_are_told_before_anything_is_sent() {
    let world = World::new();
    let good = config(world.mqtt(Version::V5, Qos::AtLeastOnce), 4, 4);
    let fails = |config: &LoadConfig| {
        run(config, &Clock::system(), &Stop::default(), &Progress::default(), None).unwrap_err().to_string()
    };
    assert!(fails(&LoadConfig { connections: 5, ..good.clone() }).contains("as many devices"));
    assert!(fails(&LoadConfig { connections: 2, ..good.clone() }).contains("an API key"));
    assert!(fails(&LoadConfig { messages: None, ..good.clone() }).contains("an end"));
    assert!(fails(&LoadConfig { rate: Some(0.0), ..good }).contains("greater than zero"));
}

#[test]
fn connections_share_the_devices_evenly() {
    let slices: Vec<_> = (0..3).map(|number| slice_of(8, 3, number)).collect();
    assert_eq!(slices, [0..3, 3..6, 6..8]);
}
