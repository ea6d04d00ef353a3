use model::{Clock, DeviceIndex, Reason};
use registry::NewDevice;
use store::Event;

use std::sync::Arc;

use super::*;
use crate::line::Line;

const AT: i64 = 1_800_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_flagged_device_gets_an_event_and_the_status_once() {
    let directory = tempfile::TempDir::new().expect("a temporary directory can be made");
    let clock = Clock::manual(AT);
    let url = format!("sqlite:{}", directory.path().join("registry.db").display());
    let registry = Registry::open(&url, clock.clone()).await.expect("a new registry opens");
    let tenant = registry.bootstrap(|_| Ok(())).await.expect("it takes its tenants").dev_tenant;
    let device = registry.create_device(tenant, NewDevice::default()).await.expect("a device is made");
    let device = device.device.device_id;
    let (line, _, store) = Line::in_memory(directory.path(), clock);
    let quarantine = Quarantine { registry: registry.clone(), store: store.clone(), intake: line.intake.clone() };
    let (flags, flagged) = mpsc::channel(FLAGGED_WAITING_MAX);
    let (stopping, stop) = watch::channel(false);
    let follower = tokio::spawn(quarantine.follow(flagged, stop));

    let source = Source::Device { tenant, device, class: "default".into() };
    let (index, reason) = (DeviceIndex(0), Reason::WrongType);
    let flag = Flagged { device: index, source, at: AT, messages: 10, rejected: 6, reason, quarantine: false };
    let events = async |count: usize| loop {
        let scope = Scope::Device(device);
        let (from, to, budget) = (AT - 10, AT + 10, Budget::default());
        let query = EventQuery { tenant, scope, event_type: None, from, to, limit: 10, cursor: None, budget };
        let found: Vec<Event> = store.events(&query).expect("the store answers").events;
        if found.len() >= count {
            return found
                .iter()
                .map(|event| (event.ts, event.event_type.clone(), event.data.clone()))
                .collect::<Vec<_>>();
        }
        tokio::task::yield_now().await;
    };
    let status = async || registry.device(tenant, device).await.expect("it exists").settings.status;

    flags.send(flag.clone()).await.expect("it is followed");
    let data: Arc<str> = serde_json::json!({"messages": 10, "rejected": 6, "reason": "wrong-type",
        "why": format!("6 of 10 messages were rejected, the last one because: {}", reason.sentence())})
    .to_string()
    .into();
    assert_eq!(events(1).await, [(AT, "device-flagged".into(), Some(data.clone()))]);
    assert_eq!(status().await, Status::Active);

    let harder = Flagged { at: AT + 1, quarantine: true, ..flag };
    flags.send(harder.clone()).await.expect("it is followed");
    assert_eq!(events(2).await[1], (AT + 1, "device-quarantined".into(), Some(data)));
    assert_eq!(status().await, Status::Quarantined);

    // Somebody has looked at it. Deriving again does not undo that.
    let active = Patch::from_iter([("status".to_owned(), "active".into())]);
    registry.update_device(tenant, device, active).await.expect("it exists");
    flags.send(harder.clone()).await.expect("it is followed");
    flags.send(Flagged { at: AT + 2, ..harder }).await.expect("it is followed");
    assert_eq!(events(3).await.len(), 3);
    assert_eq!(status().await, Status::Quarantined);
    stopping.send_replace(true);
    follower.await.expect("it ends");
    tokio::task::spawn_blocking(move || line.stop()).await.expect("it ends");
}
