//! Schemas: ids, versions, majors, deletions, settings. What languages say is compatible is tested with the languages.

use registry::{
    ClassSettings, Compatibility, Deleted, Judge, NewSchema, Registered, SchemaMode, SchemaReference, VersionRef,
};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, code, failure, new_device, patch};
use model::contract::Language;

const LEVEL: Judge = Judge::Level { force: false, normalize: false, id: None, version: None };
const ADDITIVE: Judge = Judge::Additive { major: false };
const NEXT_MAJOR: Judge = Judge::Additive { major: true };

/// A record with fields of type double, or of the type behind a colon; `?` makes a field optional.
fn avro(fields: &[&str]) -> NewSchema {
    let field = |field: &&str| {
        let (name, kind) = field.split_once(':').unwrap_or((field, "double"));
        match name.strip_suffix('?') {
            Some(name) => json!({"name": name, "type": ["null", kind], "default": null}),
            None => json!({"name": name, "type": kind}),
        }
    };
    let fields: Vec<_> = fields.iter().map(field).collect();
    NewSchema::new(Language::Avro, json!({"type": "record", "name": "R", "fields": fields}).to_string())
}

async fn register(world: &World, subject: &str, new: NewSchema, judge: Judge) -> registry::Result<Registered> {
    world.registry.register_schema(world.tenant, subject, new, judge).await
}

/// (id, version, major) of what is registered.
async fn registered(world: &World, subject: &str, new: NewSchema, judge: Judge) -> (u32, u32, u32) {
    let place = register(world, subject, new, judge).await.unwrap().version.place;
    (place.id, place.place.version, place.place.major)
}

pub async fn the_same_text_has_one_id(world: World) {
    let first = register(&world, "a", avro(&["x"]), LEVEL).await.unwrap();
    assert!(first.created);
    let again = register(&world, "a", avro(&["x"]), LEVEL).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.version, first.version);
    assert_eq!(registered(&world, "b", avro(&["x"]), LEVEL).await, (1, 1, 1));
    assert_eq!(registered(&world, "b", avro(&["x", "y?"]), LEVEL).await, (2, 2, 1));
    let places = world.registry.places_of_schema(world.tenant, 1, Deleted::Without).await.unwrap();
    assert_eq!(places.iter().map(|place| place.place.subject.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(code(world.registry.schema_text(world.tenant, 3).await), "schema-unknown");
    let by_guid = world.registry.schema_text_by_guid(world.tenant, first.version.text.guid).await.unwrap();
    assert_eq!(by_guid, first.version.text);
}

pub async fn a_version_is_additions_or_a_new_major(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    assert_eq!(registered(&world, "s", avro(&["x"]), ADDITIVE).await, (1, 1, 1));
    assert_eq!(registered(&world, "s", avro(&["x", "y?"]), ADDITIVE).await, (2, 2, 1));
    let (code, text) = failure(register(&world, "s", avro(&["y?"]), ADDITIVE).await);
    assert_eq!(code, "schema-not-additive");
    assert!(text.contains("version 2") && text.contains("\"major\": true"), "{text}");
    assert_eq!(registered(&world, "s", avro(&["y?"]), NEXT_MAJOR).await, (3, 3, 2));
    // What the level allows and is no addition opens a major by itself.
    assert_eq!(registered(&world, "s", avro(&[]), LEVEL).await, (4, 4, 3));
    let majors = registry.schema_majors(tenant, Some("s")).await.unwrap();
    let versions = |major: &registry::SchemaMajor| major.versions.iter().map(|place| place.place.version).collect();
    assert_eq!(majors.iter().map(versions).collect::<Vec<Vec<u32>>>(), [vec![1, 2], vec![3], vec![4]]);
    assert_eq!(registry.find_major(tenant, majors[1].schema_id).await.unwrap(), Some(("s".to_owned(), 2)));
    assert_eq!(registry.schema_major(tenant, majors[1].schema_id).await.unwrap(), majors[1]);
    assert_eq!(registry.find_major(tenant, Uuid::nil()).await.unwrap(), None);
}

pub async fn a_level_decides(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    registered(&world, "s", avro(&["x"]), LEVEL).await;
    let incompatible = register(&world, "s", avro(&["x", "y"]), LEVEL).await;
    let (code_, text) = failure(incompatible);
    assert_eq!(code_, "schema-incompatible");
    assert!(text.contains("READER_FIELD_MISSING_DEFAULT_VALUE") && text.contains("oldSchemaVersion: 1"), "{text}");
    assert_eq!(registered(&world, "s", avro(&["x", "y?"]), LEVEL).await, (2, 2, 1));
    let set =
        |level| registry.change_schema_config(tenant, Some("s"), move |config| config.compatibility = Some(level));
    set(Compatibility::Forward).await.unwrap();
    assert_eq!(registered(&world, "s", avro(&["x", "y?", "z"]), LEVEL).await.1, 3);
    assert_eq!(code(register(&world, "s", avro(&["y?", "z"]), LEVEL).await), "schema-incompatible");
    set(Compatibility::None).await.unwrap();
    assert_eq!(registered(&world, "s", avro(&["x:string"]), LEVEL).await, (4, 4, 3));
    set(Compatibility::BackwardTransitive).await.unwrap();
    let test = |new| registry.test_schema(tenant, "s", None, new, false);
    assert_eq!(test(avro(&["x:string"])).await.unwrap().messages.len(), 4);
    let alone = registry.test_schema(tenant, "s", Some(VersionRef::Latest), avro(&["x:string"]), false).await.unwrap();
    assert!(alone.messages.is_empty());
    let unknown = registry.test_schema(tenant, "s", Some(VersionRef::Number(9)), avro(&["x"]), false).await;
    assert_eq!(code(unknown), "schema-version-unknown");
    assert!(registry.test_schema(tenant, "new", None, avro(&["x"]), false).await.unwrap().messages.is_empty());
}

pub async fn a_deletion_is_soft_and_then_permanent(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let number = VersionRef::Number;
    registered(&world, "s", avro(&["x"]), LEVEL).await;
    registered(&world, "s", avro(&["x", "y?"]), LEVEL).await;
    assert_eq!(code(registry.delete_schema_version(tenant, "s", number(1), true).await), "schema-not-deleted");
    assert_eq!(registry.delete_schema_version(tenant, "s", number(1), false).await.unwrap(), 1);
    assert_eq!(code(registry.delete_schema_version(tenant, "s", number(1), false).await), "schema-deleted");
    assert_eq!(registry.schema_text(tenant, 1).await.unwrap().id, 1);
    assert_eq!(code(registry.schema_version(tenant, "s", number(1), Deleted::Without).await), "schema-version-unknown");
    assert!(registry.schema_version(tenant, "s", number(1), Deleted::With).await.unwrap().place.deleted);
    assert_eq!(registry.delete_schema_version(tenant, "s", number(1), true).await.unwrap(), 1);
    assert_eq!(code(registry.schema_text(tenant, 1).await), "schema-unknown");
    assert_eq!(code(registry.delete_subject(tenant, "s", true).await), "schema-not-deleted");
    assert_eq!(registry.delete_subject(tenant, "s", false).await.unwrap(), [2]);
    assert_eq!(code(registry.delete_subject(tenant, "s", false).await), "schema-deleted");
    assert_eq!(code(registry.subject_versions(tenant, "s", Deleted::Without).await), "subject-unknown");
    assert_eq!(registry.subjects(tenant, "", Deleted::Only).await.unwrap(), ["s"]);
    // The same schema again: the same id, the next number, the row of before is gone.
    assert_eq!(registered(&world, "s", avro(&["x", "y?"]), LEVEL).await, (2, 3, 1));
    assert_eq!(registry.subject_versions(tenant, "s", Deleted::With).await.unwrap().len(), 1);
    registry.delete_subject(tenant, "s", false).await.unwrap();
    assert_eq!(registry.delete_subject(tenant, "s", true).await.unwrap(), [3]);
    assert_eq!(code(registry.delete_subject(tenant, "s", true).await), "subject-unknown");
    // An id is never given twice.
    assert_eq!(registered(&world, "s", avro(&["x"]), LEVEL).await, (3, 1, 1));
    assert_eq!(registry.schema_id_max(tenant).await.unwrap(), 3);
}

pub async fn what_is_in_use_stays(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let schema_id = register(&world, "s", avro(&["x"]), ADDITIVE).await.unwrap().version.place.place.schema_id;
    registry.create_class(tenant, ClassSettings::defaults("pump")).await.unwrap();
    registry.update_class(tenant, "pump", patch(json!({"schema_id": schema_id}))).await.unwrap();
    let device = registry.create_device(tenant, new_device(json!({"schema_id": schema_id}))).await.unwrap().device;
    let (code_, text) = failure(registry.delete_schema_major(tenant, schema_id).await);
    assert_eq!(code_, "schema-in-use");
    assert!(text.contains("class `pump`") && text.contains(&device.device_id.to_string()), "{text}");
    assert_eq!(registry.schema_major(tenant, schema_id).await.unwrap().versions.len(), 1);
    // Softly it may go, for its id stays readable; for good it may not.
    registry.delete_subject(tenant, "s", false).await.unwrap();
    assert_eq!(code(registry.delete_subject(tenant, "s", true).await), "schema-in-use");
    registry.update_class(tenant, "pump", patch(json!({"schema_id": null}))).await.unwrap();
    registry.update_device(tenant, device.device_id, patch(json!({"schema_id": null}))).await.unwrap();
    registry.delete_subject(tenant, "s", true).await.unwrap();
    let again = register(&world, "s", avro(&["x"]), ADDITIVE).await.unwrap().version.place.place.schema_id;
    assert_ne!(again, schema_id);
    registry.delete_schema_major(tenant, again).await.unwrap();
    assert_eq!(code(registry.schema_major(tenant, again).await), "schema-unknown");
}

pub async fn references_hold_what_they_name(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let inner = json!({"type": "record", "name": "Inner", "fields": [{"name": "v", "type": "double"}]}).to_string();
    registered(&world, "inner", NewSchema::new(Language::Avro, inner), LEVEL).await;
    let outer = |version| NewSchema {
        references: vec![SchemaReference { name: "Inner".to_owned(), subject: "inner".to_owned(), version }],
        ..NewSchema::new(
            Language::Avro,
            json!({"type": "record", "name": "O", "fields": [{"name": "i", "type": "Inner"}]}).to_string(),
        )
    };
    let (code_, text) = failure(register(&world, "outer", outer(2), LEVEL).await);
    assert_eq!(code_, "schema-invalid");
    assert!(text.contains("No schema reference found for subject \"inner\" and version 2"), "{text}");
    let latest = register(&world, "outer", outer(-1), LEVEL).await.unwrap().version;
    assert_eq!(latest.text.references[0].version, 1);
    assert_eq!(registered(&world, "outer", outer(1), LEVEL).await.0, latest.place.id);
    let referrers = registry.schema_referrers(tenant, "inner", VersionRef::Number(1), Deleted::Without).await.unwrap();
    assert_eq!(referrers, [latest.place.id]);
    assert_eq!(code(registry.delete_subject(tenant, "inner", false).await), "schema-referenced");
    registry.delete_subject(tenant, "outer", false).await.unwrap();
    registry.delete_subject(tenant, "inner", false).await.unwrap();
    assert_eq!(code(registry.delete_subject(tenant, "inner", true).await), "schema-referenced");
    assert_eq!(code(register(&world, "outer", outer(1), LEVEL).await), "schema-invalid");
    registry.delete_subject(tenant, "outer", true).await.unwrap();
    registry.delete_subject(tenant, "inner", true).await.unwrap();
}

pub async fn modes_hold(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    registered(&world, "s", avro(&["x"]), LEVEL).await;
    registry.set_schema_mode(tenant, None, SchemaMode::ReadOnly, false).await.unwrap();
    assert_eq!(code(register(&world, "s", avro(&["x", "y?"]), LEVEL).await), "schema-read-only");
    assert_eq!(code(registry.delete_subject(tenant, "s", false).await), "schema-read-only");
    assert_eq!(code(registry.change_schema_config(tenant, Some("s"), |_| {}).await), "schema-read-only");
    registry.set_schema_mode(tenant, Some("s"), SchemaMode::ReadWrite, false).await.unwrap();
    registered(&world, "s", avro(&["x", "y?"]), LEVEL).await;
    assert_eq!(registry.delete_schema_mode(tenant, None).await.unwrap(), SchemaMode::ReadOnly);

    let import = |id, version| Judge::Level { force: false, normalize: false, id: Some(id), version };
    assert_eq!(code(register(&world, "i", avro(&["x"]), import(70, None)).await), "schema-import");
    assert_eq!(code(registry.set_schema_mode(tenant, Some("s"), SchemaMode::Import, false).await), "schema-import");
    registry.set_schema_mode(tenant, Some("i"), SchemaMode::Import, false).await.unwrap();
    assert_eq!(code(register(&world, "i", avro(&["a"]), LEVEL).await), "schema-import");
    assert_eq!(registered(&world, "i", avro(&["a"]), import(70, Some(1))).await, (70, 1, 1));
    assert_eq!(code(register(&world, "i", avro(&["b"]), import(70, Some(2))).await), "schema-id-conflict");
    assert_eq!(code(register(&world, "i", avro(&["a"]), import(71, None)).await), "schema-id-conflict");
    registry.delete_schema_mode(tenant, Some("i")).await.unwrap();
    assert_eq!(registered(&world, "i", avro(&["a", "c?"]), LEVEL).await.0, 71);
}

pub async fn settings_are_merged(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    assert_eq!(registry.schema_config(tenant, Some("s")).await.unwrap(), None);
    registry.change_schema_config(tenant, None, |config| config.normalize = Some(true)).await.unwrap();
    let level = Some(Compatibility::Full);
    registry.change_schema_config(tenant, Some("s"), move |config| config.compatibility = level).await.unwrap();
    let config = registry.schema_config_in_force(tenant, "s").await.unwrap();
    assert_eq!((config.compatibility, config.normalize), (level, Some(true)));
    assert_eq!(registry.delete_schema_config(tenant, Some("s")).await.unwrap().compatibility, level);
    assert_eq!(code(registry.delete_schema_config(tenant, Some("s")).await), "subject-unknown");
    registered(&world, "target", avro(&["x"]), LEVEL).await;
    let alias = Some("target".to_owned());
    registry.change_schema_config(tenant, Some("alias"), move |config| config.alias = alias).await.unwrap();
    let read = registry.schema_version(tenant, "alias", VersionRef::Latest, Deleted::Without).await.unwrap();
    assert_eq!(read.place.place.subject, "target");
    for wrong in ["", "__GLOBAL", ":.other:s", "a\nb"] {
        assert_eq!(code(register(&world, wrong, avro(&["x"]), LEVEL).await), "subject-invalid", "{wrong:?}");
    }
}

pub async fn records_are_told_to_the_pipeline(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let mut changes = registry.changes();
    registered(&world, "a", avro(&["x"]), LEVEL).await;
    assert_eq!(changes.try_recv().unwrap(), registry::Change::Schema(tenant));
    registered(&world, "a", avro(&["x"]), LEVEL).await;
    assert!(changes.try_recv().is_err());
    registered(&world, "b", avro(&["x"]), LEVEL).await;
    registered(&world, "b", avro(&["x", "y?"]), LEVEL).await;
    registry.delete_subject(tenant, "a", false).await.unwrap();
    let records = registry.schema_records(tenant).await.unwrap();
    let places = |record: &model::contract::SchemaRecord| {
        let places = record.places.iter().map(|place| format!("{}/{}", place.subject, place.version));
        (record.id, places.collect::<Vec<_>>().join(" "))
    };
    let places: Vec<_> = records.iter().map(places).collect();
    assert_eq!(places, [(1, "a/1 b/1".to_owned()), (2, "b/2".to_owned())]);
}

pub async fn many_at_once_get_ids_of_their_own(world: World) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let (registry, tenant, new) = (world.registry.clone(), world.tenant, avro(&[&format!("f{}", number % 8)]));
        let subject = format!("s{number}");
        tasks.spawn(async move {
            let registered = registry.register_schema(tenant, &subject, new, LEVEL).await.unwrap();
            (number % 8, registered.version.place.id)
        });
    }
    let mut ids = tasks.join_all().await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "the same text, the same id: {ids:?}");
    ids.sort_unstable_by_key(|(_, id)| *id);
    assert_eq!(ids.iter().map(|(_, id)| *id).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
}
