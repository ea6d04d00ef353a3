//! What classes and tenants say about messages, and the profiles of devices.

use std::sync::Arc;

use model::contract::{Language, TsUnit};
use model::rules::{Computed, Quarantine};
use model::{ClassRules, Profile, UnknownFields};
use registry::{Change, Judge, NewSchema, Registry, TenantRef, TenantRules};
use serde_json::{Value, json};

use crate::world::{World, failure, new_device, patch};

async fn class(world: &World, settings: Value) -> registry::Result<registry::Class> {
    world.registry.create_class(world.tenant, serde_json::from_value(settings).unwrap()).await
}

/// The rules of a class.
async fn rules(world: &World, name: &str) -> ClassRules {
    let TenantRules { classes, .. } = world.registry.rules_of(world.tenant).await.unwrap();
    classes.into_iter().find(|(class, _)| **class == *name).unwrap().1
}

pub async fn a_class_says_what_becomes_of_messages(world: World) {
    let settings = json!({
        "name": "pump", "unknown_fields": "reject", "ts_unit": "us", "units": {"temperature": "Cel"},
        "computed": [{"metric": "power", "expression": "voltage * current", "unit": "W"}],
        "quarantine": {"messages": 100, "rejected_percent": 50.0, "quarantine": true},
        "tags": ["site", "class.vendor", "tenant.region"]
    });
    let made = class(&world, settings.clone()).await.unwrap();
    let shown = serde_json::to_value(&made).unwrap();
    for (name, value) in settings.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let expected = ClassRules {
        unknown_fields: UnknownFields::Reject,
        ts_unit: TsUnit::Microseconds,
        computed: vec![Computed {
            metric: "power".to_owned(),
            expression: "voltage * current".to_owned(),
            unit: Some("W".to_owned()),
        }],
        quarantine: Some(Quarantine { messages: 100, rejected_percent: 50.0, quarantine: true }),
        ..ClassRules::default()
    };
    let found = rules(&world, "pump").await;
    assert_eq!((found.units[0].metric.as_str(), found.units[0].unit.as_str()), ("temperature", "Cel"));
    assert_eq!(ClassRules { units: vec![], ..found }, expected);
    let back = patch(json!({"unknown_fields": null, "ts_unit": null, "units": null, "computed": null,
                            "quarantine": null, "tags": null}));
    world.registry.update_class(world.tenant, "pump", back).await.unwrap();
    assert_eq!(rules(&world, "pump").await, ClassRules::default());
}

pub async fn what_a_class_cannot_mean_is_refused(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    class(&world, json!({"name": "pump"})).await.unwrap();
    let cases = [
        (
            json!({"units": {"temperature": "degC"}}),
            "`units.temperature` does not fit: `degC` is not a UCUM code: write `Cel`",
        ),
        (json!({"units": {"": "Cel"}}), "`units.` must be a metric's name, of 1 to 128 bytes"),
        (
            json!({"ts_unit": "minutes"}),
            "`patch` does not fit: `minutes` is not a unit of time: s, ms, us, ns or iso8601",
        ),
        (json!({"computed": [{"metric": "x", "expression": "a *"}]}), "`computed[0].expression` does not fit: "),
        (
            json!({"computed": [{"metric": "x", "expression": "1"}, {"metric": "x", "expression": "2"}]}),
            "`computed[1].metric` `x` is made twice: give each a name of its own",
        ),
        (json!({"computed": [{"metric": "x", "expression": "1", "unit": "rpm"}]}), "`computed[0].unit` does not fit: "),
        (json!({"quarantine": {"messages": 0, "rejected_percent": 1.0}}), "`quarantine.messages` must be 1 to 65535"),
        (json!({"quarantine": {"messages": 9, "rejected_percent": 100.0}}), "`quarantine.rejected_percent` must be 0"),
        (json!({"tags": ["site", "site"]}), "`tags` has `site` twice"),
        (json!({"tags": ["class."]}), "`tags` has `class.`: name what the device's metadata has"),
        (json!({"tags": (0..17).map(|n| n.to_string()).collect::<Vec<_>>()}), "`tags` has 17 names: at most 16"),
        (json!({"schema_id": "5f0c2a3e-0000-4000-8000-00000000000a"}), "`schema_id` names no schema here"),
    ];
    for (change, expected) in cases {
        let (code, text) = failure(registry.update_class(tenant, "pump", patch(change)).await);
        assert_eq!(code, "invalid-value");
        assert!(text.starts_with(expected), "{text}");
    }
    let (_, text) =
        failure(registry.update_tenant(&TenantRef::Id(tenant), patch(json!({"units": {"t": "x y"}}))).await);
    assert!(text.starts_with("`units.t` does not fit: `x y` is not a UCUM code"), "{text}");
}

pub async fn a_schema_without_a_contract_is_given_to_nobody(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let register = async |text: Value, judge| {
        let new = NewSchema::new(Language::Json, text.to_string());
        registry.register_schema(tenant, "pump", new, judge).await.map(|made| made.version.place.place)
    };
    let one_of = json!({"oneOf": [{"type": "number"}, {"type": "string"}]});
    let unusable = json!({"type": "object", "properties": {"x": one_of.clone()}});
    let id = register(unusable, Judge::Additive { major: false }).await.unwrap().schema_id;
    let why = "`schema_id` names a schema that messages cannot be checked by (version 1 of `pump`): `oneOf` at `#/properties/x` ";
    let refused = |result: (&'static str, String)| {
        assert_eq!(result.0, "invalid-value");
        assert!(result.1.starts_with(why), "{}", result.1);
    };
    refused(failure(class(&world, json!({"name": "pump", "schema_id": id})).await));
    class(&world, json!({"name": "pump"})).await.unwrap();
    refused(failure(registry.update_class(tenant, "pump", patch(json!({"schema_id": id}))).await));
    refused(failure(registry.create_device(tenant, new_device(json!({"schema_id": id}))).await));
    let device = registry.create_device(tenant, new_device(json!({}))).await.unwrap().device.device_id;
    refused(failure(registry.update_device(tenant, device, patch(json!({"schema_id": id}))).await));

    // Nor does a major lose its contract by what is added to it: over Confluent's API such a version opens the next one.
    let usable = json!({"type": "object", "properties": {"x": {"type": "number"}}});
    let two = register(usable.clone(), Judge::Additive { major: true }).await.unwrap();
    class(&world, json!({"name": "fan", "schema_id": two.schema_id})).await.unwrap();
    let mut added = usable;
    added["properties"]["y"] = one_of;
    let (code, text) = failure(register(added.clone(), Judge::Additive { major: false }).await);
    assert_eq!(code, "schema-not-additive");
    assert!(text.contains("messages could no longer be checked by this major: `oneOf` at `#/properties/y`"), "{text}");
    let three = register(added, Judge::Level { force: true, normalize: false, id: None, version: None }).await.unwrap();
    assert_eq!((two.major, three.major), (2, 3));
}

pub async fn a_class_goes_before_its_tenant(world: World) {
    let (registry, tenant) = (&world.registry, TenantRef::Id(world.tenant));
    let units = json!({"units": {"temperature": "[degF]", "pressure": "kPa"}});
    registry.update_tenant(&tenant, patch(units)).await.unwrap();
    class(&world, json!({"name": "pump", "units": {"temperature": "Cel"}})).await.unwrap();
    class(&world, json!({"name": "valve"})).await.unwrap();
    let units = async |name| {
        let rules = rules(&world, name).await;
        rules.units.into_iter().map(|unit| format!("{} {}", unit.metric, unit.unit)).collect::<Vec<_>>()
    };
    assert_eq!(units("pump").await, ["pressure kPa", "temperature Cel"]);
    assert_eq!(units("valve").await, ["pressure kPa", "temperature [degF]"]);
}

pub async fn a_profile_has_the_tags_that_the_class_names(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    registry.update_tenant(&TenantRef::Id(tenant), patch(json!({"metadata": {"region": "eu"}}))).await.unwrap();
    let tags = ["site", "floor", "missing", "list", "class.vendor", "tenant.region"];
    class(&world, json!({"name": "pump", "metadata": {"vendor": "acme"}, "tags": tags})).await.unwrap();
    let metadata = json!({"site": "north", "floor": 3, "list": [1], "other": "x", "vendor": "not the class's"});
    let device = new_device(json!({"device_class": "pump", "metadata": metadata}));
    let made = registry.create_device(tenant, device).await.unwrap();
    let (device, token) = (made.device.device_id, made.token.unwrap());
    let expected = |site: &str, region: &str| Profile {
        schema_id: None,
        tags: [("class.vendor", "acme"), ("floor", "3"), ("site", site), ("tenant.region", region)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    };
    // After each change it is newer than before.
    let mut last = None;
    let mut profile = async |registry: &Registry| {
        let auth = registry.authenticate_device(device, token.expose()).await.unwrap();
        let before = last.replace(auth.profile.revision);
        assert!(before.is_none_or(|before| before.is_older_than(auth.profile.revision)));
        auth.profile.profile.clone()
    };
    assert_eq!(*profile(registry).await, expected("north", "eu"));
    registry.update_device(tenant, device, patch(json!({"metadata": {"site": "south"}}))).await.unwrap();
    assert_eq!(*profile(registry).await, expected("south", "eu"));
    registry.update_tenant(&TenantRef::Id(tenant), patch(json!({"metadata": {"region": "us"}}))).await.unwrap();
    assert_eq!(*profile(registry).await, expected("south", "us"));
    // Many at once are read in another way.
    let other = registry.create_device(tenant, new_device(json!({"device_class": "other"}))).await.unwrap();
    registry.update_class(tenant, "pump", patch(json!({"format": "cbor"}))).await.unwrap();
    registry.learn(&[device, other.device.device_id]).await.unwrap();
    let registry::Cached::Hit(learnt) = registry.cached_device_of(tenant, device) else { panic!("it was learnt") };
    assert_eq!(*learnt.profile.profile, expected("south", "us"));
    let other = registry.device_of(tenant, other.device.device_id).await.unwrap();
    assert_eq!(*other.profile.profile, Profile::default());
    registry.update_class(tenant, "pump", patch(json!({"tags": null}))).await.unwrap();
    assert_eq!(*profile(registry).await, Profile::default());
}

pub async fn a_change_says_whether_sessions_end(world: World) {
    let (registry, tenant) = (&world.registry, world.tenant);
    let mut changes = registry.changes();
    let pump: Arc<str> = "pump".into();
    let rules = || Change::Rules(tenant, Some(pump.clone()));
    class(&world, json!({"name": "pump"})).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(rules()));
    let quiet = [
        json!({"units": {"t": "Cel"}}),
        json!({"computed": [{"metric": "x", "expression": "1"}]}),
        json!({"unknown_fields": "reject"}),
        json!({"tags": ["site"]}),
        json!({"ts_unit": "s"}),
        json!({"quarantine": {"messages": 10, "rejected_percent": 50.0}}),
        json!({"metadata": {"vendor": "acme"}}),
        json!({"retention": {"hot": "7d"}}),
        json!({"format": "cbor"}),
    ];
    for change in quiet {
        registry.update_class(tenant, "pump", patch(change.clone())).await.unwrap();
        assert_eq!(changes.try_recv(), Ok(rules()), "{change}");
        if ["tags", "metadata", "format"].iter().any(|field| change.get(field).is_some()) {
            assert_eq!(changes.try_recv(), Ok(Change::Profiles(tenant)), "{change}");
        }
    }
    let loud =
        [json!({"durability": "memory"}), json!({"free_topics": true}), json!({"limits": {"messages_per_second": 5}})];
    for change in loud {
        registry.update_class(tenant, "pump", patch(change.clone())).await.unwrap();
        assert_eq!(changes.try_recv(), Ok(Change::Class(tenant, pump.clone())), "{change}");
    }
    let acme = TenantRef::Id(tenant);
    registry.update_tenant(&acme, patch(json!({"units": {"t": "Cel"}, "metadata": {"a": 1}}))).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(Change::Profiles(tenant)));
    assert_eq!(changes.try_recv(), Ok(Change::Rules(tenant, None)));
    registry.update_tenant(&acme, patch(json!({"limits": {"devices": 5}}))).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(Change::Tenant(tenant)));
    let device = registry.create_device(tenant, new_device(json!({"device_class": "fan"}))).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(Change::Rules(tenant, Some("fan".into()))));
    registry.create_device(tenant, new_device(json!({"device_class": "fan"}))).await.unwrap();
    let id = device.device.device_id;
    registry.update_device(tenant, id, patch(json!({"metadata": {"site": "n"}}))).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(Change::Profile(id)));
    registry.update_device(tenant, id, patch(json!({"device_class": "pump"}))).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(rules()));
    assert_eq!(changes.try_recv(), Ok(Change::Device(id)));
    assert!(changes.try_recv().is_err());
}
