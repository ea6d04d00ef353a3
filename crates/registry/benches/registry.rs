//! What a look-up, a registration and an import cost. `cargo bench -p registry`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Duration;

use model::{Clock, DeviceId, TenantId};
use registry::{NewDevice, Registry, Secret, TenantSettings};

const LOOK_UPS: u32 = 1_000_000;
const REGISTRATIONS: u32 = 500;
const IMPORTED: u32 = 100_000;
const SEEN: u32 = 10_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(run());
}

async fn run() {
    let directory = tempfile::TempDir::new().expect("a temporary directory can be made");
    let url = format!("sqlite:{}", directory.path().join("registry.db").display());
    let registry = Registry::open(&url, Clock::system()).await.expect("a new registry opens");
    let settings = TenantSettings::defaults("bench");
    let tenant = registry.create_tenant(settings).await.expect("the tenant is new").tenant_id;
    let (device, token) = registrations(&registry, tenant).await;
    look_ups(&registry, device, &token).await;
    import(&registry, tenant).await;
    registry.close().await.expect("it closes");
}

async fn registrations(registry: &Registry, tenant: TenantId) -> (DeviceId, Secret) {
    let clock = Clock::system();
    let mut last = None;
    for _ in 0..REGISTRATIONS {
        last = Some(registry.create_device(tenant, NewDevice::default()).await.expect("ids are random"));
    }
    print("register one device, durable", clock.monotonic(), REGISTRATIONS);
    let created = last.expect("there was one registration at least");
    (created.device.device_id, created.token.expect("it was new"))
}

async fn look_ups(registry: &Registry, device: DeviceId, token: &Secret) {
    registry.authenticate_device(device, token.expose()).await.expect("the token is the device's");
    let clock = Clock::system();
    for _ in 0..LOOK_UPS {
        black_box(registry.cached_device_auth(black_box(device), black_box(token.expose())));
    }
    print("authenticate a device from the cache", clock.monotonic(), LOOK_UPS);
    let clock = Clock::system();
    for _ in 0..SEEN {
        let unknown = registry.authenticate_device(DeviceId::random(), token.expose()).await;
        assert!(unknown.is_err());
    }
    print("refuse an unknown device from the database", clock.monotonic(), SEEN);
}

async fn import(registry: &Registry, tenant: TenantId) {
    let clock = Clock::system();
    let fleet: Vec<_> =
        (0..IMPORTED).map(|_| NewDevice { device_id: Some(DeviceId::random()), ..NewDevice::default() }).collect();
    let made = registry.import_devices(tenant, fleet).await.expect("the database works");
    print("import a device", clock.monotonic(), IMPORTED);
    look_up_many(registry, tenant, &made).await;
    let clock = Clock::system();
    let devices = made.iter().take(SEEN as usize).map(|made| made.as_ref().expect("ids are random").device.device_id);
    registry.touch(devices.map(|device| (device, 1)));
    registry.flush().await.expect("the database works");
    print("write last_seen_at of a device", clock.monotonic(), SEEN);
}

/// As when an API key publishes for devices that the server has not heard of yet.
async fn look_up_many(registry: &Registry, tenant: TenantId, made: &[registry::Result<registry::Created>]) {
    let id = |made: &registry::Result<registry::Created>| made.as_ref().expect("ids are random").device.device_id;
    // A stride that is prime to their number, so that neighbours are far apart in the database.
    let ids: Vec<DeviceId> = (0..made.len()).map(|n| id(&made[n * 7919 % made.len()])).collect();
    for together in [1, 100, 1000] {
        let asked = &ids[..ids.len().min(together * 1000)];
        // What the cache knows is forgotten.
        registry.update_class(tenant, "default", Default::default()).await.expect("a class");
        let clock = Clock::system();
        for part in asked.chunks(together) {
            registry.learn(part).await.expect("the database works");
        }
        print(&format!("look up a device, {together} at a time"), clock.monotonic(), asked.len() as u32);
        let found =
            asked.iter().filter(|id| matches!(registry.cached_device_of(tenant, **id), registry::Cached::Hit(_)));
        assert_eq!(found.count(), asked.len());
    }
}

fn print(what: &str, took: Duration, times: u32) {
    println!("{what:<45} {:>10.0} ns", took.as_nanos() as f64 / f64::from(times));
}
