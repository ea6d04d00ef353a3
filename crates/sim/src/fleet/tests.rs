//! The fleet against the null server, over the loopback interface.

use model::TenantId;

use super::*;
use crate::null::NullServer;

fn credentials(device: &Device) -> Credentials {
    Credentials { device_id: device.id(), tenant_id: TenantId::random(), auth_token: Some("twd_x".into()) }
}

fn config(mqtt: SocketAddr) -> FleetConfig {
    FleetConfig {
        mqtt,
        devices: 5,
        interval: Duration::from_secs(60),
        history: Duration::from_secs(3600),
        duration: Some(Duration::from_secs(600)),
        outages_per_day: 0.0,
        ..FleetConfig::default()
    }
}

/// Plays until the history is acknowledged.
fn play_history(gateway: bool, newest: Option<Duration>) -> FleetReport {
    let server = NullServer::open().unwrap();
    let config = FleetConfig { gateway, ..config(server.mqtt_address().unwrap()) };
    let clock = Clock::system();
    let devices: Vec<Device> = devices(&config).collect();
    let credentials: Vec<Credentials> = devices.iter().map(credentials).collect();
    let newest = newest.map(|ago| clock.now_ms() - ago.as_millis() as i64);
    let links = links(&config, &clock, &devices, &credentials, &[newest; 5]);
    let (stop, served) = (Stop::default(), Stop::default());
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| server.run(&served).unwrap());
        let mut progress = |report: &FleetReport| {
            if report.acked >= report.history {
                stop.stop();
            }
        };
        let report = play(&config, &clock, &stop, links, &mut progress).unwrap();
        served.stop();
        thread.join().unwrap();
        report
    })
}

#[test]
fn every_device_sends_its_history_and_has_it_acknowledged() {
    let report = play_history(false, None);
    // An hour of minutes for five devices, give or take the place within the minute.
    assert!((295..=310).contains(&report.history), "{report:?}");
    assert!(report.acked >= report.history && report.acked == report.sent, "{report:?}");
    assert_eq!((report.devices, report.connected, report.reconnects, report.refused), (5, 5, 0, 0));
}

#[test]
fn a_gateway_speaks_for_all_devices_on_one_connection() {
    let report = play_history(true, None);
    assert!((295..=310).contains(&report.history), "{report:?}");
    assert_eq!((report.devices, report.connected, report.acked), (5, 1, report.sent));
}

#[test]
fn a_fleet_that_is_started_again_goes_on_where_it_ended() {
    let report = play_history(false, Some(Duration::from_secs(600)));
    assert!((40..=55).contains(&report.history), "ten minutes for five devices: {report:?}");
}

#[test]
fn a_server_that_is_away_is_tried_again_and_the_end_is_not_delayed() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = config(nobody);
    let clock = Clock::system();
    let devices: Vec<Device> = devices(&config).collect();
    let credentials: Vec<Credentials> = devices.iter().map(credentials).collect();
    let links = links(&config, &clock, &devices, &credentials, &[None; 5]);
    let stop = Stop::default();
    let mut progress = |report: &FleetReport| {
        if report.trouble.is_some() {
            stop.stop();
        }
    };
    let report = play(&config, &clock, &stop, links, &mut progress).unwrap();
    assert_eq!((report.sent, report.connected), (0, 0));
}

#[test]
fn the_example_is_a_device_that_is_there_for_a_while() {
    // A device that was away was shown, and its answer did not grow.
    let config = FleetConfig { devices: 5, outages_per_day: 12.0, ..FleetConfig::default() };
    let (mut passed_over, start) = (0, 1_700_000_000_000);
    for hour in 0..48 {
        let now = start + hour * 60 * MINUTE;
        let device = example(&config, now).unwrap();
        passed_over += device.number;
        let away = (0..=30).any(|minute| device.outage(now + minute * MINUTE, 12.0).is_some());
        assert!(!away || device.number == 0, "{} at {now}", device.name());
    }
    assert!(passed_over > 0);
}
