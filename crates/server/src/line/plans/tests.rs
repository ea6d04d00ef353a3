use model::BatchView;
use model::contract::{Contract, Field, Kind, Language, Others, Part, Place, Root, Rule};
use registry::TenantSettings;
use serde_json::{Value, json};

use super::*;
use crate::line::{Line, Restored};

struct World {
    registry: Registry,
    tenant: TenantId,
    raw: Arc<RawLog>,
    plans: Plans,
    clock: Clock,
    _line: Line,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Clock::manual(1_800_000_000_000);
    let url = format!("sqlite:{}", dir.path().join("registry.db").display());
    let registry = Registry::open(&url, clock.clone()).await.expect("opens");
    let tenant = registry.create_tenant(TenantSettings::defaults("acme")).await.expect("creates").tenant_id;
    let (line, Restored { rules, .. }, _) = Line::in_memory(dir.path(), clock.clone());
    let raw = line.raw.clone();
    let plans = Plans::new(registry.clone(), raw.clone(), rules, clock.clone());
    World { registry, tenant, raw, plans, clock, _line: line, _dir: dir }
}

impl World {
    async fn create(&self, class: Value) {
        let settings = serde_json::from_value(class).expect("settings");
        self.registry.create_class(self.tenant, settings).await.expect("creates");
    }

    async fn patch(&self, class: &str, patch: Value) {
        let patch = serde_json::from_value(patch).expect("a patch");
        self.registry.update_class(self.tenant, class, patch).await.expect("changes");
    }

    /// Every control record of the log, in a few words.
    fn records(&self) -> Vec<String> {
        let mut records = Vec::new();
        for frame in self.raw.log().read(0, 1 << 30).expect("reads") {
            let view = BatchView::parse(frame.batch.body()).expect("parses");
            records.extend(view.controls().map(|control| match control.expect("decodes") {
                Control::Schema { record, .. } => format!("schema {}", record.id),
                Control::Class { class, rules, .. } => format!("class {class} {:?}", rules.unknown_fields),
                other => format!("{other:?}"),
            }));
        }
        records
    }
}

#[tokio::test]
async fn only_what_differs_is_written() {
    let world = world().await;
    world.create(json!({"name": "usual"})).await;
    world.create(json!({"name": "strict", "unknown_fields": "reject"})).await;
    world.plans.settle_all().await.expect("settles");
    assert_eq!(world.records(), ["class strict Reject"], "nobody need be told what is usual");
    world.plans.settled(world.tenant).await.expect("settles");
    world.patch("strict", json!({"retention": {"hot": "7d"}})).await;
    world.plans.settled(world.tenant).await.expect("settles");
    assert_eq!(world.records().len(), 1, "nothing changed that concerns messages");
    world.patch("usual", json!({"unknown_fields": "drop"})).await;
    world.patch("strict", json!({"unknown_fields": null})).await;
    world.plans.settled(world.tenant).await.expect("settles");
    assert_eq!(world.records(), ["class strict Reject", "class strict Keep", "class usual Drop"]);
    assert!(world.raw.log().durable() >= world.raw.log().end());
}

#[tokio::test]
async fn a_class_that_comes_again_is_told_that_it_is_as_usual() {
    let world = world().await;
    world.create(json!({"name": "pump", "unknown_fields": "reject"})).await;
    world.plans.settled(world.tenant).await.expect("settles");
    world.registry.delete_class(world.tenant, "pump").await.expect("deletes");
    world.plans.settled(world.tenant).await.expect("settles");
    world.create(json!({"name": "pump"})).await;
    world.plans.devices_settled(world.tenant, ["pump"]).await.expect("settles");
    assert_eq!(world.records().len(), 1, "its devices are the ones that it knows; its change is another's to wait for");
    world.plans.settled(world.tenant).await.expect("settles");
    assert_eq!(world.records(), ["class pump Reject", "class pump Keep"]);
}

#[tokio::test]
async fn what_the_line_restored_is_not_written_again() {
    let world = world().await;
    world.create(json!({"name": "pump", "unknown_fields": "reject", "units": {"t": "Cel"}})).await;
    world.plans.settled(world.tenant).await.expect("settles");
    let mut pipeline = pipeline::Pipeline::new(model::Partition(0), pipeline::Plan::default());
    for frame in world.raw.log().read(0, 1 << 30).expect("reads") {
        let view = BatchView::parse(frame.batch.body()).expect("parses");
        pipeline.process(frame.base, view, &mut pipeline::Output::default());
    }
    let known = KnownRules::of(pipeline.plan());
    let again = Plans::new(world.registry.clone(), world.raw.clone(), known, world.clock.clone());
    again.settle_all().await.expect("settles");
    assert_eq!(world.records().len(), 1);
    let forgetful = Plans::new(world.registry.clone(), world.raw.clone(), KnownRules::default(), world.clock.clone());
    forgetful.settle_all().await.expect("settles");
    assert_eq!(world.records().len(), 2, "what nobody knows of is written");
}

fn schema(id: u32, fields: usize) -> SchemaRecord {
    let field = |number: usize| Field {
        path: vec![format!("metric-{number}")],
        name: format!("metric-{number}"),
        part: Part::Metric,
        rule: Rule { kinds: vec![Kind::Double], ..Rule::default() },
        required: false,
        default: None,
        description: Some("x".repeat(500)),
    };
    let root = Root {
        indexes: vec![],
        name: "R".to_owned(),
        whole: false,
        fields: (0..fields).map(field).collect(),
        others: Others::Class,
        layout: None,
    };
    let place =
        Place { subject: "s".to_owned(), version: id, major: 1, schema_id: uuid::Uuid::from_u128(u128::from(id)) };
    let contract = Verdict::Usable(Contract { language: Language::Json, roots: vec![root] });
    SchemaRecord { id, places: vec![place], contract }
}

#[test]
fn many_records_are_split_over_batches() {
    let tenant = TenantId::from_bytes([1; 16]);
    let rules = TenantRules { schemas: (1..=20).map(|id| schema(id, 1000)).collect(), classes: vec![] };
    let missing = KnownRules::default().missing(tenant, rules);
    let batches = batches(missing.records, 0);
    assert!(batches.len() > 1, "20 records of half a megabyte do not fit one");
    let mut ids = Vec::new();
    for batch in &batches {
        assert!(batch.frame().len() <= limits::BATCH_BYTES_MAX + RECORD_BYTES, "{} bytes", batch.frame().len());
        let view = BatchView::parse(batch.body()).expect("parses");
        ids.extend(view.controls().map(|control| match control.expect("decodes") {
            Control::Schema { record, .. } => record.id,
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_record_that_no_batch_can_hold_is_told_to_be_unusable() {
    let (_, bytes, record) = bounded(schema(1, 10_000));
    assert!(bytes < 1000, "{bytes}");
    assert!(matches!(record.contract, Verdict::Unusable(why) if why.contains("too many for one record of the log")));
    let small = schema(2, 10);
    assert_eq!(bounded(small.clone()).2, small);
}

#[tokio::test]
async fn what_is_said_of_an_id_is_said_once_and_gives_way_to_a_schema() {
    let world = world().await;
    let verdict = |id, contract| SchemaRecord { id, places: Vec::new(), contract };
    let tell = async |record| world.plans.tell(world.tenant, vec![record]).await.expect("tells");
    for source in [SchemaSource::BuiltIn, SchemaSource::External, SchemaSource::External] {
        world.plans.follow_source(source).await.expect("follows");
    }
    assert_eq!(world.records(), ["SchemaSource(External)"], "what is usual need not be said");
    assert!(!world.plans.knows_schema(world.tenant, 1));
    tell(verdict(1, Verdict::Unknown)).await;
    tell(verdict(1, Verdict::Unknown)).await;
    assert!(world.plans.knows_schema(world.tenant, 1));
    assert_eq!(world.records().len(), 2);
    tell(verdict(1, Verdict::Unusable("why".to_owned()))).await;
    assert_eq!(world.records().len(), 3, "what is unknown may come to be known");
    tell(verdict(1, Verdict::Unknown)).await;
    tell(verdict(1, Verdict::Unusable("another why".to_owned()))).await;
    assert_eq!(world.records().len(), 3);
    let text = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"double"}]}"#;
    let mirrored =
        registry::Mirrored { id: 1, version: 1, schema: registry::NewSchema::new(Language::Avro, text), major: false };
    world.registry.mirror_schema(world.tenant, "s", mirrored).await.expect("it is a schema");
    world.plans.settled(world.tenant).await.expect("settles");
    tell(verdict(1, Verdict::Unusable("too late".to_owned()))).await;
    assert_eq!(world.records().len(), 4, "a schema is what it is");
}
