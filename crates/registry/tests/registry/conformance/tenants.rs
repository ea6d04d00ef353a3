//! Tenants, classes and the first start.

use std::io;
use std::time::Duration;

use model::Clock;
use registry::{ClassSettings, Paging, Registry, Right, TenantRef};
use serde_json::{Value, json};

use crate::world::{NOW, World, code, failure, new_device, patch, tenant_settings};

fn class(value: Value) -> ClassSettings {
    serde_json::from_value(value).unwrap()
}

pub async fn a_tenant_is_found_by_id_and_by_name(world: World) {
    let by_name = world.registry.tenant(&TenantRef::from("acme")).await.unwrap();
    let by_id = world.registry.tenant(&TenantRef::from(world.tenant.to_string().as_str())).await.unwrap();
    assert_eq!(by_name, by_id);
    assert_eq!(
        serde_json::to_value(by_id).unwrap(),
        json!({
            "tenant_id": world.tenant, "name": "acme", "created_at": NOW,
            "limits": {"messages_per_second": null, "bytes_per_second": null, "connections": null, "devices": null,
                       "classes": null, "dead_letter_bytes": null}, "units": {}, "metadata": {}
        })
    );
    let (code, text) = failure(world.registry.tenant(&TenantRef::from("nobody")).await);
    assert_eq!(code, "tenant-unknown");
    assert_eq!(text, "there is no tenant `nobody` here: list the tenants to see which there are");
}

pub async fn a_name_is_taken_until_its_tenant_is_deleted(world: World) {
    let registry = &world.registry;
    assert_eq!(code(registry.create_tenant(tenant_settings("acme")).await), "tenant-conflict");
    let other = registry.create_tenant(tenant_settings("other")).await.unwrap();
    let rename = registry.update_tenant(&TenantRef::Id(other.tenant_id), patch(json!({"name": "acme"}))).await;
    assert_eq!(code(rename), "tenant-conflict");
    registry.delete_tenant(&TenantRef::from("acme")).await.unwrap();
    assert_eq!(code(registry.delete_tenant(&TenantRef::Id(world.tenant)).await), "tenant-unknown");
    let again = registry.create_tenant(tenant_settings("acme")).await.unwrap();
    assert_ne!(again.tenant_id, world.tenant);
}

pub async fn a_patch_changes_what_it_names(world: World) {
    let (registry, acme) = (&world.registry, TenantRef::from("acme"));
    registry.update_tenant(&acme, patch(json!({"limits": {"devices": 5, "connections": 7}}))).await.unwrap();
    let changed = registry.update_tenant(&acme, patch(json!({"limits": {"devices": null}}))).await.unwrap();
    assert_eq!((changed.settings.limits.devices, changed.settings.limits.connections), (None, Some(7)));
    assert_eq!(registry.tenant(&acme).await.unwrap(), changed);
    for wrong in [json!({"colour": 1}), json!({"limits": {"devices": "many"}}), json!({"name": "a/b"})] {
        assert_eq!(code(registry.update_tenant(&acme, patch(wrong)).await), "invalid-value");
    }
}

pub async fn built_in_tenants_stay(world: World) {
    world.registry.bootstrap(|_| Ok(())).await.unwrap();
    for name in ["default", "dev"] {
        let tenant = TenantRef::from(name);
        assert_eq!(code(world.registry.delete_tenant(&tenant).await), "tenant-conflict");
        let rename = world.registry.update_tenant(&tenant, patch(json!({"name": "mine"}))).await;
        assert_eq!(code(rename), "tenant-conflict");
        world.registry.update_tenant(&tenant, patch(json!({"limits": {"devices": 5}}))).await.unwrap();
    }
}

pub async fn the_first_start_gives_one_admin_key(world: World) {
    let mut written = String::new();
    let deliver = |key: &registry::Secret| {
        written = key.expose().to_owned();
        Ok(())
    };
    let first = world.registry.bootstrap(deliver).await.unwrap();
    let key = first.admin_key.unwrap();
    assert_eq!(written, key.expose());
    let auth = world.registry.authenticate_key(key.expose()).await.unwrap();
    assert_eq!(auth.tenant, first.default_tenant);
    assert!(auth.operator && auth.allows(Right::Ingest));
    let second = world.registry.bootstrap(|_| panic!("there is an admin already")).await.unwrap();
    assert!(second.admin_key.is_none());
    assert_eq!((second.default_tenant, second.dev_tenant), (first.default_tenant, first.dev_tenant));
}

/// A crash or a full disk between the two must not lock everybody out.
pub async fn a_key_that_could_not_be_handed_over_does_not_exist(world: World) {
    let mut seen = String::new();
    let fail = |key: &registry::Secret| {
        seen = key.expose().to_owned();
        Err(io::Error::from(io::ErrorKind::StorageFull))
    };
    assert_eq!(code(world.registry.bootstrap(fail).await), "registry-unavailable");
    assert_eq!(code(world.registry.authenticate_key(&seen).await), "credential-invalid");
    assert!(world.registry.bootstrap(|_| Ok(())).await.unwrap().admin_key.is_some());
}

pub async fn classes_have_defaults_and_keep_their_names(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let made = registry.create_class(tenant, class(json!({"name": "pump", "retention": {"hot": "7d"}}))).await.unwrap();
    assert_eq!(made.settings.retention.hot, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(registry.class(tenant, "pump").await.unwrap(), made);
    assert_eq!(code(registry.create_class(tenant, class(json!({"name": "pump"}))).await), "class-conflict");
    let changed = registry.update_class(tenant, "pump", patch(json!({"retention": {"warm": "90d"}}))).await.unwrap();
    assert_eq!(changed.settings.retention.hot, made.settings.retention.hot);
    assert_eq!(registry.class(tenant, "pump").await.unwrap(), changed);
    let renamed = registry.update_class(tenant, "pump", patch(json!({"name": "valve"}))).await;
    assert_eq!(code(renamed), "invalid-value");
    assert_eq!(code(registry.update_class(tenant, "valve", patch(json!({}))).await), "class-unknown");
    let names = registry.classes(tenant, &Paging::default()).await.unwrap().rows;
    assert_eq!(names, [changed]);
}

pub async fn a_class_with_devices_stays(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let device = new_device(json!({"device_class": "pump"}));
    let device = registry.create_device(tenant, device).await.unwrap().device.device_id;
    let (code_, text) = failure(registry.delete_class(tenant, "pump").await);
    assert_eq!((code_, text.as_str()), ("class-conflict", "class `pump` still has devices: move or delete them first"));
    registry.delete_device(tenant, device).await.unwrap();
    registry.delete_class(tenant, "pump").await.unwrap();
    assert_eq!(code(registry.class(tenant, "pump").await), "class-unknown");
    registry.create_class(tenant, class(json!({"name": "pump", "free_topics": true}))).await.unwrap();
    assert!(registry.class(tenant, "pump").await.unwrap().settings.free_topics);
}

pub async fn a_deleted_class_still_has_a_retention(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    registry.create_class(tenant, class(json!({"name": "pump", "retention": {"cold": "30d"}}))).await.unwrap();
    registry.delete_class(tenant, "pump").await.unwrap();
    let retentions = registry.retentions().await.unwrap();
    assert_eq!(retentions.len(), 1);
    let (of, name, retention) = &retentions[0];
    assert_eq!((*of, name.as_str(), retention.cold), (tenant, "pump", Some(Duration::from_secs(30 * 86_400))));
}

pub async fn the_limit_on_classes_holds(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    registry.update_tenant(&TenantRef::Id(tenant), patch(json!({"limits": {"classes": 1}}))).await.unwrap();
    registry.create_class(tenant, class(json!({"name": "a"}))).await.unwrap();
    let (code_, text) = failure(registry.create_class(tenant, class(json!({"name": "b"}))).await);
    assert_eq!(code_, "class-limit");
    assert_eq!(text, "the tenant has reached its limit of 1 classes: delete some or have its limits raised");
    let device = registry.create_device(tenant, new_device(json!({"device_class": "b"}))).await;
    assert_eq!(code(device), "class-limit");
    registry.delete_class(tenant, "a").await.unwrap();
    registry.create_device(tenant, new_device(json!({"device_class": "b"}))).await.unwrap();
}

pub async fn what_was_answered_survives_a_restart(world: World) {
    let (device, token) = world.device().await;
    let key = world.key(&[Right::Query]).await;
    world.registry.close().await.unwrap();
    let registry = Registry::open(&world.url, Clock::manual(NOW)).await.unwrap();
    assert_eq!(registry.authenticate_device(device, token.expose()).await.unwrap().tenant, world.tenant);
    assert_eq!(registry.authenticate_key(key.token.expose()).await.unwrap().key, key.key.key_id);
}
