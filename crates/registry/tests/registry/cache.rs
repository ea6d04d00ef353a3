//! The cache: what it answers without waiting, and that it never outlives a change.

use std::sync::Arc;
use std::time::Duration;

use model::DeviceId;
use registry::{Cached, Denial, DeviceAuth, Right, Secret, SecretKind, TenantRef};
use serde_json::json;

use crate::world::{World, code, new_device, patch, tenant_settings};

fn hit(cached: Cached<Arc<DeviceAuth>>) -> Arc<DeviceAuth> {
    match cached {
        Cached::Hit(auth) => auth,
        other => panic!("expected a hit, found {other:?}"),
    }
}

#[tokio::test]
async fn a_miss_becomes_a_hit_and_ages() {
    let world = World::sqlite().await;
    let (device, token) = world.device().await;
    assert_eq!(world.registry.cached_device_auth(device, token.expose()), Cached::Miss);
    let auth = world.registry.authenticate_device(device, token.expose()).await.unwrap();
    assert_eq!(hit(world.registry.cached_device_auth(device, token.expose())), auth);
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(world.registry.cached_device_auth(device, token.expose()), Cached::Miss);
}

#[tokio::test]
async fn wrong_and_unknown_are_one_answer() {
    let world = World::sqlite().await;
    let (device, token) = world.device().await;
    let (stranger, other) = (DeviceId::random(), Secret::random(SecretKind::Device));
    let denied = Cached::Denied(Denial::Credential);
    for (device, token) in [(device, other.expose()), (stranger, token.expose())] {
        let error = world.registry.authenticate_device(device, token).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the credential is not valid: check that it was copied whole, that it was not replaced or deleted, and \
             that a device token comes with its own device id"
        );
        assert_eq!(world.registry.cached_device_auth(device, token), denied);
    }
    // A typing mistake is seen before any look-up.
    let mistyped = token.expose().replace("twd_", "twk_");
    assert_eq!(world.registry.cached_device_auth(device, &mistyped), denied);
    assert_eq!(world.registry.cached_key(token.expose()), Cached::Denied(Denial::Credential));
}

#[tokio::test]
async fn a_device_that_comes_to_exist_is_no_longer_unknown() {
    let world = World::sqlite().await;
    let device = DeviceId::random();
    let nobody = world.registry.device_of(world.tenant, device).await;
    assert_eq!(code(nobody), "device-unknown");
    assert_eq!(world.registry.cached_device_of(world.tenant, device), Cached::Denied(Denial::Unknown));
    world.registry.create_device(world.tenant, new_device(json!({"device_id": device}))).await.unwrap();
    assert_eq!(world.registry.cached_device_of(world.tenant, device), Cached::Miss);
    world.registry.device_of(world.tenant, device).await.unwrap();
    hit(world.registry.cached_device_of(world.tenant, device));
}

#[tokio::test]
async fn a_key_speaks_for_the_devices_of_its_tenant_only() {
    let world = World::sqlite().await;
    let (device, token) = world.device().await;
    let other = world.registry.create_tenant(tenant_settings("other")).await.unwrap().tenant_id;
    world.registry.device_of(world.tenant, device).await.unwrap();
    assert_eq!(code(world.registry.device_of(other, device).await), "device-unknown");
    assert_eq!(world.registry.cached_device_of(other, device), Cached::Denied(Denial::Unknown));
    world.registry.update_device(world.tenant, device, patch(json!({"status": "inactive"}))).await.unwrap();
    assert_eq!(code(world.registry.device_of(world.tenant, device).await), "device-inactive");
    assert_eq!(
        world.registry.cached_device_auth(device, token.expose()),
        Cached::Denied(Denial::Inactive),
        "who has the token may know why"
    );
    let wrong = Secret::random(SecretKind::Device);
    assert_eq!(world.registry.cached_device_auth(device, wrong.expose()), Cached::Denied(Denial::Credential));
}

/// Every change of a device forgets what the cache knew, before it is announced.
#[tokio::test]
async fn changes_of_a_device_are_seen_at_once() {
    let world = World::sqlite().await;
    let (registry, tenant) = (&world.registry, world.tenant);
    let (device, token) = world.device().await;
    let cached = || registry.cached_device_auth(device, token.expose());
    let fill = async || registry.authenticate_device(device, token.expose()).await.unwrap();
    fill().await;
    registry.update_device(tenant, device, patch(json!({"status": "quarantined"}))).await.unwrap();
    assert_eq!(cached(), Cached::Miss);
    assert!(fill().await.quarantined());
    registry.update_class(tenant, "default", patch(json!({"durability": "memory"}))).await.unwrap();
    assert_eq!(cached(), Cached::Miss);
    fill().await;
    registry.rotate_token(tenant, device, Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(cached(), Cached::Miss);
    fill().await;
    registry.delete_device(tenant, device).await.unwrap();
    assert_eq!(cached(), Cached::Miss);
    assert_eq!(code(registry.authenticate_device(device, token.expose()).await), "credential-invalid");
    assert_eq!(cached(), Cached::Denied(Denial::Credential));
}

#[tokio::test]
async fn changes_of_a_key_are_seen_at_once() {
    let world = World::sqlite().await;
    let (registry, tenant) = (&world.registry, world.tenant);
    let made = world.key(&[Right::Ingest]).await;
    let cached = || registry.cached_key(made.token.expose());
    let fill = async || registry.authenticate_key(made.token.expose()).await.unwrap();
    assert_eq!(cached(), Cached::Miss);
    let auth = fill().await;
    assert_eq!(cached(), Cached::Hit(auth));
    let mut changes = registry.changes();
    registry.update_key(tenant, made.key.key_id, patch(json!({"rights": ["query"]}))).await.unwrap();
    assert_eq!(cached(), Cached::Miss);
    assert!(!fill().await.allows(Right::Ingest));
    registry.delete_key(tenant, made.key.key_id).await.unwrap();
    assert_eq!(cached(), Cached::Miss);
    for _ in 0..2 {
        assert_eq!(changes.try_recv().unwrap(), registry::Change::Key(made.key.key_id));
    }
    let second = world.key(&[Right::Ingest]).await;
    registry.authenticate_key(second.token.expose()).await.unwrap();
    registry.delete_tenant(&TenantRef::Id(tenant)).await.unwrap();
    assert_eq!(registry.cached_key(second.token.expose()), Cached::Miss);
}

/// A caller that goes away (a closed HTTP connection) must not leave a change half announced.
#[tokio::test]
async fn a_change_is_announced_even_if_its_caller_goes_away() {
    let world = World::sqlite().await;
    let (device, token) = world.device().await;
    world.registry.authenticate_device(device, token.expose()).await.unwrap();
    let mut changes = world.registry.changes();
    let delete = world.registry.delete_device(world.tenant, device);
    let mut delete = Box::pin(delete);
    // Polled once, so it has begun; then dropped.
    std::future::poll_fn(|context| {
        assert!(delete.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(delete);
    assert_eq!(changes.recv().await.unwrap(), registry::Change::Device(device));
    assert_eq!(world.registry.cached_device_auth(device, token.expose()), Cached::Miss);
    assert_eq!(code(world.registry.device(world.tenant, device).await), "device-unknown");
}

/// Many are asked for together, and then nothing waits: neither those that are there nor those that are not.
#[tokio::test]
async fn many_devices_are_learned_together() {
    let world = World::sqlite().await;
    let other = world.registry.create_tenant(tenant_settings("other")).await.unwrap().tenant_id;
    let new = |n: usize| new_device(json!({"device_class": format!("class {}", n % 3)}));
    let made = world.registry.import_devices(world.tenant, (0..3000).map(new)).await.unwrap();
    let made: Vec<_> = made.into_iter().map(|made| made.unwrap()).collect();
    let foreign = world.registry.create_device(other, new(0)).await.unwrap().device.device_id;
    let (inactive, deleted) = (made[0].device.device_id, made[1].device.device_id);
    world.registry.update_device(world.tenant, inactive, patch(json!({"status": "inactive"}))).await.unwrap();
    world.registry.delete_device(world.tenant, deleted).await.unwrap();
    let rotated = made[2].device.device_id;
    let token = world.registry.rotate_token(world.tenant, rotated, Some(Duration::from_secs(60))).await.unwrap().token;
    let unknown = DeviceId::random();

    let mut asked: Vec<DeviceId> = made.iter().map(|made| made.device.device_id).collect();
    asked.extend([foreign, unknown]);
    world.registry.learn(&asked).await.unwrap();
    let cached = |device| world.registry.cached_device_of(world.tenant, device);
    for (n, made) in made.iter().enumerate().skip(2) {
        let auth = hit(cached(made.device.device_id));
        assert_eq!((auth.device, auth.tenant), (made.device.device_id, world.tenant));
        assert_eq!(*auth.class, format!("class {}", n % 3));
        let token = made.token.as_ref().unwrap().expose();
        assert_eq!(hit(world.registry.cached_device_auth(made.device.device_id, token)), auth);
    }
    assert_eq!(hit(world.registry.cached_device_auth(rotated, token.expose())).device, rotated);
    assert_eq!(cached(inactive), Cached::Denied(Denial::Inactive));
    for absent in [deleted, unknown, foreign] {
        assert_eq!(cached(absent), Cached::Denied(Denial::Unknown));
    }
    hit(world.registry.cached_device_of(other, foreign));
}
