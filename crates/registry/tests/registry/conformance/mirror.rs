//! Copies of an external registry's schemas.

use model::contract::{Language, SchemaSource};
use registry::{Judge, Mirrored, NewSchema, Registry, VersionRef};

use crate::world::{World, code, failure};

fn avro(fields: &str) -> NewSchema {
    NewSchema::new(Language::Avro, format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#))
}

const X: &str = r#"{"name":"x","type":"double"}"#;
const X_Y: &str = r#"{"name":"x","type":"double"},{"name":"y","type":["null","double"],"default":null}"#;
const Y: &str = r#"{"name":"y","type":"double"}"#;

/// (id, version, major, whether it is new).
async fn mirror(world: &World, subject: &str, id: u32, version: u32, fields: &str) -> (u32, u32, u32, bool) {
    let mirrored = Mirrored { id, version, schema: avro(fields), major: false };
    let made = world.registry.mirror_schema(world.tenant, subject, mirrored).await.unwrap();
    (made.version.place.id, made.version.place.place.version, made.version.place.place.major, made.created)
}

pub async fn a_copy_keeps_id_and_version(world: World) {
    assert_eq!(mirror(&world, "a", 700, 1, X).await, (700, 1, 1, true));
    assert_eq!(mirror(&world, "a", 700, 1, X).await, (700, 1, 1, false));
    assert_eq!(mirror(&world, "a", 705, 3, X_Y).await, (705, 3, 1, true));
    assert_eq!(mirror(&world, "a", 710, 4, Y).await, (710, 4, 2, true), "more than additions");
    assert_eq!(mirror(&world, "b", 700, 1, X).await, (700, 1, 1, true), "an id is one text under many subjects");
    // What says the same is two schemas if it has two ids there.
    assert_eq!(mirror(&world, "b", 701, 2, X).await, (701, 2, 1, true));
    // The subject was removed there and begins again.
    assert_eq!(mirror(&world, "a", 900, 1, Y).await, (900, 5, 2, true));
    let latest = world.registry.schema_version(world.tenant, "a", VersionRef::Latest, Default::default()).await;
    assert_eq!(latest.unwrap().text.id, 900);
    let major = Mirrored { id: 901, version: 6, schema: avro(Y), major: true };
    let opened = world.registry.mirror_schema(world.tenant, "a", major).await.unwrap();
    assert_eq!(opened.version.place.place.major, 3);
    let taken = Mirrored { id: 700, version: 7, schema: avro(X_Y), major: false };
    assert_eq!(code(world.registry.mirror_schema(world.tenant, "c", taken).await), "schema-id-conflict");
}

pub async fn a_registration_elsewhere_is_weighed_here(world: World) {
    mirror(&world, "a", 700, 1, X).await;
    let weigh = async |fields, major| world.registry.weigh_schema(world.tenant, "a", avro(fields), major).await;
    assert_eq!(weigh(X, false).await.unwrap().map(|version| version.place.id), Some(700));
    assert_eq!(weigh(X_Y, false).await.unwrap(), None);
    assert_eq!(failure(weigh(Y, false).await).0, "schema-not-additive");
    assert_eq!(weigh(Y, true).await.unwrap(), None);
    assert_eq!(code(weigh("{", false).await), "schema-invalid");
    assert_eq!(world.registry.schema_majors(world.tenant, None).await.unwrap().len(), 1, "nothing was written");
}

pub async fn schemas_come_from_one_place(world: World) {
    let registry = &world.registry;
    registry.take_schemas_from(SchemaSource::BuiltIn).await.unwrap();
    registry.take_schemas_from(SchemaSource::External).await.unwrap();
    registry.take_schemas_from(SchemaSource::BuiltIn).await.unwrap();
    registry.register_schema(world.tenant, "a", avro(X), Judge::Additive { major: false }).await.unwrap();
    let (code, text) = failure(registry.take_schemas_from(SchemaSource::External).await);
    assert_eq!(code, "schema-source");
    assert!(text.contains("tenant `acme` has 1") && text.contains("builtin:"), "{text}");
    registry.take_schemas_from(SchemaSource::BuiltIn).await.unwrap();

    let other = World::sqlite().await;
    other.registry.take_schemas_from(SchemaSource::External).await.unwrap();
    mirror(&other, "a", 700, 1, X).await;
    let again = Registry::open(&other.url, other.clock.clone()).await.unwrap();
    again.take_schemas_from(SchemaSource::External).await.unwrap();
    let (code, text) = failure(again.take_schemas_from(SchemaSource::BuiltIn).await);
    assert_eq!(code, "schema-source");
    assert!(text.contains("external registry"), "{text}");
}
