use model::Clock;
use registry::{KeySettings, NewDevice, Rights};

use super::super::topic::parse;
use super::*;

struct World {
    registry: Registry,
    tenant: TenantId,
    device: DeviceId,
    token: String,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", dir.path().join("registry.db").display());
    let registry = Registry::open(&url, Clock::manual(0)).await.expect("opens");
    let tenant = registry.bootstrap(|_| Ok(())).await.expect("bootstraps").default_tenant;
    let created = registry.create_device(tenant, NewDevice::default()).await.expect("creates");
    let token = created.token.expect("a new device has a token").expose().to_owned();
    World { registry, tenant, device: created.device.device_id, token, _dir: dir }
}

async fn key(world: &World, rights: &[Right]) -> Identity {
    let settings = KeySettings { name: "k".into(), rights: rights.iter().copied().collect::<Rights>() };
    let key = world.registry.create_key(world.tenant, settings).await.expect("creates");
    let credential = Credential::read(Some(KEY_USER), Some(key.token.expose().as_bytes())).expect("reads");
    world.registry.authenticate_key(key.token.expose()).await.expect("is right");
    known(&credential, &world.registry)
}

fn known(credential: &Credential, registry: &Registry) -> Identity {
    match credential.cached(registry) {
        Cached::Hit(identity) => identity,
        other => panic!("expected a hit, found {other:?}"),
    }
}

fn data(tenant: TenantId, device: DeviceId) -> String {
    format!("tenant/{tenant}/device/{device}/data")
}

#[tokio::test]
async fn a_device_speaks_for_itself_only() {
    let world = world().await;
    let user = world.device.to_string();
    let credential = Credential::read(Some(&user), Some(world.token.as_bytes())).expect("reads");
    world.registry.learn(&[world.device]).await.expect("the registry answers");
    let identity = known(&credential, &world.registry);
    let judge = |topic: &str| identity.judge(parse(topic), &world.registry);
    assert!(matches!(judge(&data(world.tenant, world.device)), Verdict::Accept(_)));
    assert!(matches!(judge(&data(world.tenant, DeviceId::random())), Verdict::Refuse(_)));
    assert!(matches!(judge(&data(TenantId::random(), world.device)), Verdict::Refuse(_)));
    assert!(matches!(judge("free/topic"), Verdict::Refuse(_)), "the default class allows none");
}

#[tokio::test]
async fn a_key_speaks_for_its_tenants_devices_if_it_has_the_right() {
    let world = world().await;
    let topic = data(world.tenant, world.device);
    let reader = key(&world, &[Right::Query]).await;
    assert!(matches!(reader.judge(parse(&topic), &world.registry), Verdict::Refuse(_)));

    let gateway = key(&world, &[Right::Ingest]).await;
    world.registry.device_of(world.tenant, world.device).await.expect("there");
    assert!(matches!(gateway.judge(parse(&topic), &world.registry), Verdict::Accept(_)));
    let elsewhere = data(TenantId::random(), world.device);
    assert!(matches!(gateway.judge(parse(&elsewhere), &world.registry), Verdict::Refuse(_)));
    let unknown = DeviceId::random();
    assert_eq!(gateway.judge(parse(&data(world.tenant, unknown)), &world.registry), Verdict::LookUp(unknown));
}

#[tokio::test]
async fn one_client_id_is_another_session_for_another_identity() {
    let world = world().await;
    let anonymous = Identity::Anonymous { tenant: world.tenant };
    let gateway = key(&world, &[Right::Ingest]).await;
    assert_ne!(anonymous.session("a"), gateway.session("a"));
    assert_ne!(gateway.session("a"), gateway.session("b"));
    assert_eq!(gateway.session("a"), gateway.clone().session("a"));
}

#[test]
fn what_cannot_be_a_credential_is_none() {
    assert!(Credential::read(None, Some(b"x")).is_none());
    assert!(Credential::read(Some("key"), None).is_none());
    assert!(Credential::read(Some("pump-1"), Some(b"x")).is_none());
    assert!(Credential::read(Some("key"), Some(&[0xFF])).is_none());
}
