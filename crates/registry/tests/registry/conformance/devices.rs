//! Devices and their tokens.

use std::time::Duration;

use model::{DeviceId, ErrorKind, Profile};
use registry::{Change, DeviceFilter, NewDevice, Paging, Status, TenantRef};
use serde_json::json;

use crate::world::{NOW, World, code, failure, new_device, patch, tenant_settings};

const ID: &str = "5f0c2a3e-0000-4000-8000-000000000001";

pub async fn a_device_has_every_field(world: World) {
    let schema = world.schema("pump-v1", "Cel").await;
    let new =
        new_device(json!({"device_id": ID, "device_class": "pump", "schema_id": schema, "metadata": {"site": 7}}));
    let made = world.registry.create_device(world.tenant, new).await.unwrap();
    let shown = json!({
        "device_id": ID, "tenant_id": world.tenant, "device_class": "pump", "schema_id": schema, "status": "active",
        "registered_at": NOW, "last_seen_at": null, "metadata": {"site": 7}
    });
    assert_eq!(serde_json::to_value(&made.device).unwrap(), shown);
    let read = world.registry.device(world.tenant, made.device.device_id).await.unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), shown);
    let auth = world.registry.authenticate_device(read.device_id, made.token.unwrap().expose()).await.unwrap();
    assert_eq!((auth.tenant, auth.device, &*auth.class), (world.tenant, read.device_id, "pump"));
    assert_eq!(*auth.profile.profile, Profile { schema_id: Some(schema), tags: vec![] });
    let unknown = json!({"schema_id": ID});
    for wrong in [json!({"device_class": "a/b"}), json!({"metadata": {"x": "y".repeat(20_000)}}), unknown] {
        assert_eq!(code(world.registry.create_device(world.tenant, new_device(wrong)).await), "invalid-value");
    }
}

pub async fn an_unknown_class_is_created(world: World) {
    let (device, token) = world.device().await;
    assert_eq!(world.registry.device(world.tenant, device).await.unwrap().settings.device_class, "default");
    world.registry.class(world.tenant, "default").await.unwrap();
    let class = patch(json!({"format": "cbor", "free_topics": true}));
    world.registry.update_class(world.tenant, "default", class).await.unwrap();
    let auth = world.registry.authenticate_device(device, token.expose()).await.unwrap();
    assert_eq!((auth.format, auth.free_topics), (Some(model::Format::Cbor), true));
}

pub async fn the_same_content_again_is_no_error(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let new = || new_device(json!({"device_id": ID, "metadata": {"b": 1, "a": 2}}));
    let first = registry.create_device(tenant, new()).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let again = registry.create_device(tenant, new()).await.unwrap();
    assert_eq!((&again.device, again.token.is_none()), (&first.device, true));
    registry.authenticate_device(first.device.device_id, first.token.unwrap().expose()).await.unwrap();
    registry.update_device(tenant, first.device.device_id, patch(json!({"status": "inactive"}))).await.unwrap();
    let again = registry.create_device(tenant, new()).await.unwrap();
    assert_eq!(again.device.settings.status, Status::Inactive);
    let other = new_device(json!({"device_id": ID, "metadata": {"a": 2}}));
    let (code_, text) = failure(registry.create_device(tenant, other).await);
    assert_eq!(code_, "device-conflict");
    assert_eq!(text, format!("device `{ID}` exists with other content: change it with PATCH"));
    let other = new_device(json!({"device_id": ID, "metadata": {"b": 1, "a": 2}, "status": "active"}));
    assert_eq!(code(registry.create_device(tenant, other).await), "device-conflict");
}

pub async fn a_deleted_id_is_never_given_again(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let new = || new_device(json!({"device_id": ID}));
    let made = registry.create_device(tenant, new()).await.unwrap();
    let id = made.device.device_id;
    assert_eq!(registry.delete_device(tenant, id).await.unwrap(), made.device);
    assert_eq!(code(registry.device(tenant, id).await), "device-unknown");
    assert_eq!(code(registry.delete_device(tenant, id).await), "device-unknown");
    assert_eq!(code(registry.rotate_token(tenant, id, None).await), "device-unknown");
    assert_eq!(code(registry.update_device(tenant, id, patch(json!({}))).await), "device-unknown");
    assert_eq!(code(registry.authenticate_device(id, made.token.unwrap().expose()).await), "credential-invalid");
    let (code_, text) = failure(registry.create_device(tenant, new()).await);
    assert_eq!(code_, "device-conflict");
    assert!(text.ends_with("is taken and is never given again: choose another device_id"), "{text}");
    let page = registry.devices(tenant, &DeviceFilter::default(), &Paging::default()).await.unwrap();
    assert!(page.rows.is_empty());
}

pub async fn lists_are_filtered_and_paged(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let mut ids = Vec::new();
    for n in 0..12 {
        let class = if n % 2 == 0 { "even" } else { "odd" };
        let status = if n % 3 == 0 { "quarantined" } else { "active" };
        let new = new_device(json!({"device_class": class, "status": status}));
        ids.push((registry.create_device(tenant, new).await.unwrap().device.device_id, n));
    }
    ids.sort();
    let ids = &ids;
    let check = async |class: Option<&str>, status: Option<Status>, keep: fn(i32) -> bool| {
        let filter = DeviceFilter { class: class.map(str::to_owned), status };
        let mut paging = Paging { cursor: None, limit: Some(5) };
        let mut found: Vec<DeviceId> = Vec::new();
        loop {
            let page = registry.devices(tenant, &filter, &paging).await.unwrap();
            assert!(page.rows.len() == 5 || page.next.is_none());
            found.extend(page.rows.iter().map(|device| device.device_id));
            paging.cursor = page.next;
            if paging.cursor.is_none() {
                break;
            }
        }
        let expect: Vec<_> = ids.iter().filter(|(_, n)| keep(*n)).map(|(id, _)| *id).collect();
        assert_eq!(found, expect);
    };
    check(None, None, |_| true).await;
    check(Some("even"), None, |n| n % 2 == 0).await;
    check(None, Some(Status::Quarantined), |n| n % 3 == 0).await;
    check(Some("odd"), Some(Status::Active), |n| n % 2 == 1 && n % 3 != 0).await;
    check(Some("none"), None, |_| false).await;
}

pub async fn the_limit_on_devices_holds(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    registry.update_tenant(&TenantRef::Id(tenant), patch(json!({"limits": {"devices": 2}}))).await.unwrap();
    let (first, _) = world.device().await;
    registry.create_device(tenant, new_device(json!({"device_id": ID}))).await.unwrap();
    let refused = registry.create_device(tenant, NewDevice::default()).await;
    assert_eq!(refused.as_ref().unwrap_err().kind(), ErrorKind::Limited);
    assert_eq!(code(refused), "device-limit");
    // What is there already does not need room.
    registry.create_device(tenant, new_device(json!({"device_id": ID}))).await.unwrap();
    registry.delete_device(tenant, first).await.unwrap();
    world.device().await;
    assert_eq!(code(registry.create_device(tenant, NewDevice::default()).await), "device-limit");
}

pub async fn a_patch_of_a_device(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let (device, token) = world.device().await;
    let mut changes = registry.changes();
    let changed = registry.update_device(tenant, device, patch(json!({"metadata": {"a": 1, "b": 2}}))).await.unwrap();
    assert_eq!(registry.device(tenant, device).await.unwrap(), changed);
    let changed = registry.update_device(tenant, device, patch(json!({"metadata": {"a": null}}))).await.unwrap();
    assert_eq!(serde_json::to_value(&changed.settings.metadata).unwrap(), json!({"b": 2}));
    assert_eq!((changes.try_recv(), changes.try_recv()), (Ok(Change::Profile(device)), Ok(Change::Profile(device))));
    registry.update_device(tenant, device, patch(json!({"device_class": "new"}))).await.unwrap();
    assert_eq!(changes.try_recv().unwrap(), Change::Rules(tenant, Some("new".into())));
    assert_eq!(changes.try_recv().unwrap(), Change::Device(device));
    assert_eq!(&*registry.authenticate_device(device, token.expose()).await.unwrap().class, "new");
    for (status, expect) in [("quarantined", None), ("inactive", Some("device-inactive")), ("active", None)] {
        registry.update_device(tenant, device, patch(json!({"status": status}))).await.unwrap();
        let auth = registry.authenticate_device(device, token.expose()).await;
        assert_eq!(auth.as_ref().err().map(registry::Error::code), expect);
        assert_eq!(auth.is_ok_and(|auth| auth.quarantined()), status == "quarantined");
    }
    for wrong in [json!({"status": "asleep"}), json!({"device_id": ID}), json!({"registered_at": 0})] {
        assert_eq!(code(registry.update_device(tenant, device, patch(wrong)).await), "invalid-value");
    }
}

pub async fn a_rotated_token_ends_at_once(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let (device, old) = world.device().await;
    let mut changes = registry.changes();
    let new = registry.rotate_token(tenant, device, None).await.unwrap();
    assert_eq!(new.previous_until, None);
    assert_eq!(changes.try_recv().unwrap(), Change::Device(device));
    assert_eq!(code(registry.authenticate_device(device, old.expose()).await), "credential-invalid");
    registry.authenticate_device(device, new.token.expose()).await.unwrap();
}

pub async fn a_rotated_token_ends_after_its_overlap(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let (device, old) = world.device().await;
    let mut changes = registry.changes();
    let new = registry.rotate_token(tenant, device, Some(Duration::from_secs(20))).await.unwrap();
    assert_eq!(new.previous_until, Some(NOW + 20_000));
    for token in [&old, &new.token] {
        registry.authenticate_device(device, token.expose()).await.unwrap();
    }
    world.clock.advance(Duration::from_millis(19_999));
    registry.flush().await.unwrap();
    registry.authenticate_device(device, old.expose()).await.unwrap();
    assert!(changes.try_recv().is_err(), "both tokens are good: no session ends");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(code(registry.authenticate_device(device, old.expose()).await), "credential-invalid");
    registry.flush().await.unwrap();
    assert_eq!(changes.try_recv().unwrap(), Change::Device(device));
    registry.flush().await.unwrap();
    assert!(changes.try_recv().is_err(), "an overlap ends once");
    registry.authenticate_device(device, new.token.expose()).await.unwrap();
    let too_long = registry.rotate_token(tenant, device, Some(Duration::from_secs(31 * 86_400))).await;
    assert_eq!(code(too_long), "invalid-value");
}

pub async fn last_seen_is_written_in_batches_and_never_goes_back(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let (device, _) = world.device().await;
    let seen = async || registry.device(tenant, device).await.unwrap().last_seen_at;
    registry.touch([(device, NOW + 5), (device, NOW + 3), (DeviceId::random(), NOW)]);
    assert_eq!(seen().await, None);
    registry.flush().await.unwrap();
    assert_eq!(seen().await, Some(NOW + 5));
    registry.touch([(device, NOW + 4)]);
    registry.flush().await.unwrap();
    assert_eq!(seen().await, Some(NOW + 5));
}

pub async fn a_deleted_tenant_revokes_everything(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let (device, token) = world.device().await;
    let key = world.key(&[registry::Right::Admin]).await;
    registry.authenticate_device(device, token.expose()).await.unwrap();
    registry.authenticate_key(key.token.expose()).await.unwrap();
    let mut changes = registry.changes();
    registry.delete_tenant(&TenantRef::Id(tenant)).await.unwrap();
    assert_eq!(changes.try_recv().unwrap(), Change::Tenant(tenant));
    assert_eq!(code(registry.authenticate_device(device, token.expose()).await), "credential-invalid");
    assert_eq!(code(registry.authenticate_key(key.token.expose()).await), "credential-invalid");
    assert_eq!(code(registry.create_device(tenant, NewDevice::default()).await), "tenant-unknown");
    let other = registry.create_tenant(tenant_settings("other")).await.unwrap().tenant_id;
    let taken = new_device(json!({"device_id": device}));
    assert_eq!(code(registry.create_device(other, taken).await), "device-conflict");
}
