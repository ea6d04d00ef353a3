use model::contract::{Field, Kind, Language, Others, Place, Root, Rule, SchemaRecord};
use model::rules::{CanonicalUnit, Computed};

use super::*;

const A: Uuid = Uuid::from_bytes([1; 16]);
const B: Uuid = Uuid::from_bytes([2; 16]);

fn rule(unit: Option<&str>) -> Rule {
    Rule { kinds: vec![Kind::Double], unit: unit.map(str::to_owned), ..Rule::default() }
}

fn schema(id: u32, schema_id: Uuid, version: u32, fields: &[(&str, Option<&str>)], others: Others) -> SchemaRecord {
    let field = |(name, unit): &(&str, Option<&str>)| Field {
        path: vec![(*name).to_owned()],
        name: (*name).to_owned(),
        part: Part::Metric,
        rule: rule(*unit),
        required: false,
        default: None,
        description: None,
    };
    let root = Root {
        indexes: Vec::new(),
        name: String::new(),
        whole: false,
        fields: fields.iter().map(field).collect(),
        others,
        layout: None,
    };
    let contract = Verdict::Usable(Contract { language: Language::Json, roots: vec![root] });
    SchemaRecord { id, places: vec![Place { subject: "s".to_owned(), version, major: 1, schema_id }], contract }
}

fn class(schema_id: Option<Uuid>, units: &[(&str, &str)], computed: &[(&str, Option<&str>)]) -> ClassRules {
    let canonical = |(metric, unit): &(&str, &str)| CanonicalUnit {
        metric: (*metric).to_owned(),
        unit: (*unit).to_owned(),
        from: Vec::new(),
    };
    let made = |(metric, unit): &(&str, Option<&str>)| Computed {
        metric: (*metric).to_owned(),
        expression: "t * 2".to_owned(),
        unit: unit.map(str::to_owned),
    };
    let (units, computed) = (units.iter().map(canonical).collect(), computed.iter().map(made).collect());
    ClassRules { schema_id, units, computed, ..ClassRules::default() }
}

#[test]
fn what_is_nearer_to_the_stored_value_goes_first() {
    let others = Others::Like(Box::new(rule(Some("m"))));
    let rules = TenantRules {
        schemas: vec![
            // Versions may come in any order.
            schema(2, A, 2, &[("t", Some("[degF]")), ("p", Some("kPa"))], Others::Class),
            schema(1, A, 1, &[("t", Some("[degF]")), ("p", Some("bar"))], Others::Class),
            schema(3, B, 1, &[("t", Some("K")), ("bare", None)], others),
        ],
        classes: vec![
            ("pump".into(), class(Some(A), &[("t", "Cel"), ("w", "kW")], &[("w", Some("W")), ("x", None)])),
            ("fan".into(), class(None, &[], &[])),
        ],
    };
    let units = MetricUnits::of(&rules);
    let check = |class: &str, schema_id: Option<Uuid>, metric: &str, expect: Option<&str>| {
        assert_eq!(units.unit(class, schema_id, metric), expect, "{class} {schema_id:?} {metric}");
    };
    check("pump", None, "t", Some("Cel"));
    check("pump", Some(B), "t", Some("Cel"));
    check("pump", None, "p", Some("kPa"));
    check("pump", None, "w", Some("W"));
    check("pump", None, "x", None);
    check("pump", None, "unheard", None);
    check("fan", None, "t", None);
    check("fan", Some(A), "t", Some("[degF]"));
    check("fan", Some(B), "t", Some("K"));
    check("fan", Some(B), "unheard", Some("m"));
    check("fan", Some(B), "bare", None);
    check("gone", None, "t", None);
    assert!(!units.is_empty());
}

#[test]
fn rules_without_units_take_nothing() {
    let rules = TenantRules {
        schemas: vec![schema(1, A, 1, &[("t", None)], Others::Class)],
        classes: vec![("pump".into(), class(Some(A), &[], &[("x", None)]))],
    };
    assert!(MetricUnits::of(&rules).is_empty());
}
