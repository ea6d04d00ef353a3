//! Tenants are walls: every verb, from the wrong side, finds nothing and changes nothing.

use model::contract::Language;
use registry::{ClassSettings, Deleted, DeviceFilter, Judge, NewSchema, Paging, Right, SchemaReference, VersionRef};
use serde_json::json;

use crate::world::{World, code, new_device, patch, tenant_settings};

#[tokio::test]
async fn every_verb_from_the_wrong_side_finds_nothing() {
    let world = World::sqlite().await;
    let (registry, mine) = (&world.registry, world.tenant);
    let theirs = registry.create_tenant(tenant_settings("other")).await.unwrap().tenant_id;
    let (device, _) = world.device().await;
    let key = world.key(&[Right::Query]).await.key.key_id;
    let class = registry.create_class(mine, ClassSettings::defaults("pump")).await.unwrap();
    let before = registry.device(mine, device).await.unwrap();

    assert_eq!(code(registry.device(theirs, device).await), "device-unknown");
    let status = patch(json!({"status": "inactive"}));
    assert_eq!(code(registry.update_device(theirs, device, status).await), "device-unknown");
    assert_eq!(code(registry.rotate_token(theirs, device, None).await), "device-unknown");
    assert_eq!(code(registry.delete_device(theirs, device).await), "device-unknown");
    assert_eq!(code(registry.device_of(theirs, device).await), "device-unknown");
    // Same content, even: the id is taken, and that is all that the other side learns.
    assert_eq!(code(registry.create_device(theirs, new_device(json!({"device_id": device}))).await), "device-conflict");

    assert_eq!(code(registry.key(theirs, key).await), "key-unknown");
    assert_eq!(code(registry.update_key(theirs, key, patch(json!({"rights": ["admin"]}))).await), "key-unknown");
    assert_eq!(code(registry.delete_key(theirs, key).await), "key-unknown");

    assert_eq!(code(registry.class(theirs, "pump").await), "class-unknown");
    assert_eq!(code(registry.update_class(theirs, "pump", patch(json!({}))).await), "class-unknown");
    assert_eq!(code(registry.delete_class(theirs, "pump").await), "class-unknown");

    let all = Paging::default();
    assert!(registry.devices(theirs, &DeviceFilter::default(), &all).await.unwrap().rows.is_empty());
    assert!(registry.keys(theirs, &all).await.unwrap().rows.is_empty());
    assert!(registry.classes(theirs, &all).await.unwrap().rows.is_empty());

    assert_eq!(registry.device(mine, device).await.unwrap(), before);
    assert_eq!(registry.class(mine, "pump").await.unwrap(), class);
}

#[tokio::test]
async fn names_of_classes_are_each_tenants_own() {
    let world = World::sqlite().await;
    let registry = &world.registry;
    let other = registry.create_tenant(tenant_settings("other")).await.unwrap().tenant_id;
    registry.create_class(world.tenant, ClassSettings::defaults("pump")).await.unwrap();
    registry.create_class(other, ClassSettings::defaults("pump")).await.unwrap();
    registry.update_class(other, "pump", patch(json!({"free_topics": true}))).await.unwrap();
    assert!(!registry.class(world.tenant, "pump").await.unwrap().settings.free_topics);
}

#[tokio::test]
async fn schemas_are_each_tenants_own() {
    const LEVEL: Judge = Judge::Level { force: false, normalize: false, id: None, version: None };
    let world = World::sqlite().await;
    let (registry, mine) = (&world.registry, world.tenant);
    let theirs = registry.create_tenant(tenant_settings("other")).await.unwrap().tenant_id;
    let schema = || NewSchema::new(Language::Avro, r#"{"type":"record","name":"R","fields":[]}"#);
    let registered = registry.register_schema(mine, "s", schema(), LEVEL).await.unwrap().version;
    let (schema_id, guid) = (registered.place.place.schema_id, registered.text.guid);
    registry.change_schema_config(mine, None, |config| config.normalize = Some(true)).await.unwrap();

    assert_eq!(code(registry.schema_text(theirs, registered.place.id).await), "schema-unknown");
    assert_eq!(code(registry.schema_text_by_guid(theirs, guid).await), "schema-unknown");
    assert_eq!(code(registry.places_of_schema(theirs, registered.place.id, Deleted::With).await), "schema-unknown");
    assert_eq!(code(registry.schema_major(theirs, schema_id).await), "schema-unknown");
    assert_eq!(registry.find_major(theirs, schema_id).await.unwrap(), None);
    assert_eq!(code(registry.delete_schema_major(theirs, schema_id).await), "schema-unknown");
    assert_eq!(code(registry.subject_versions(theirs, "s", Deleted::With).await), "subject-unknown");
    assert_eq!(code(registry.schema_version(theirs, "s", VersionRef::Latest, Deleted::With).await), "subject-unknown");
    assert_eq!(code(registry.find_schema(theirs, "s", schema(), false, Deleted::With).await), "subject-unknown");
    assert_eq!(code(registry.delete_subject(theirs, "s", false).await), "subject-unknown");
    assert_eq!(code(registry.delete_schema_version(theirs, "s", VersionRef::Latest, true).await), "subject-unknown");
    assert_eq!(registry.schema_config(theirs, None).await.unwrap(), None);
    assert!(registry.subjects(theirs, "", Deleted::With).await.unwrap().is_empty());
    assert!(registry.schema_majors(theirs, None).await.unwrap().is_empty());
    assert!(registry.schema_records(theirs).await.unwrap().is_empty());
    let name = "R".to_owned();
    let refers = NewSchema {
        references: vec![SchemaReference { name, subject: "s".to_owned(), version: 1 }],
        ..NewSchema::new(Language::Avro, "\"R\"")
    };
    assert_eq!(code(registry.register_schema(theirs, "t", refers, LEVEL).await), "schema-invalid");
    // Ids are each tenant's own numbers.
    let other = registry.register_schema(theirs, "s", schema(), LEVEL).await.unwrap().version.place;
    assert_eq!((other.id, other.place.version), (1, 1));
    assert_ne!(other.place.schema_id, schema_id);
    registry.delete_subject(theirs, "s", false).await.unwrap();
    let read = registry.schema_version(mine, "s", VersionRef::Latest, Deleted::Without).await.unwrap();
    assert_eq!(read, registered);
}
