use proptest::prelude::*;
use serde_json::{Value, json};

use crate::schema::Json;

fn instance() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..6_i64).prop_map(Value::from),
        (-4..12_i64).prop_map(|n| Value::from(n as f64 / 2.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!(list)),
            prop::collection::btree_map("[abx]", inner, 0..3).prop_map(|object| json!(object)),
        ]
    })
}

/// Schemas of all keywords that are compared, small enough to be alike by chance.
fn schema() -> impl Strategy<Value = Value> {
    let types = || prop::sample::select(vec!["null", "boolean", "integer", "number", "string", "array", "object"]);
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Value::from),
        4 => types().prop_map(|kind| json!({"type": kind})),
        1 => prop::collection::btree_set(types(), 2..4).prop_map(|kinds| json!({"type": kinds})),
        1 => (0..4_i64).prop_map(|n| json!({"type": "number", "minimum": n})),
        1 => (0..4_i64).prop_map(|n| json!({"type": "integer", "exclusiveMaximum": n})),
        1 => (0..3_i64).prop_map(|n| json!({"maxLength": n})),
        1 => (0..3_i64).prop_map(|n| json!({"type": "string", "minLength": n})),
        1 => prop::sample::select(vec![0.5, 1.0, 2.0, 1.5]).prop_map(|n| json!({"type": "number", "multipleOf": n})),
        1 => prop::collection::vec(instance(), 1..3).prop_map(|list| json!({"enum": list})),
        1 => instance().prop_map(|value| json!({"const": value})),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let named = || prop::collection::btree_map("[abx]", inner.clone(), 0..3);
        let required = prop::collection::btree_set("[ab]", 0..2);
        let some = |value: BoxedStrategy<Value>| prop::option::weighted(0.3, value);
        let object = (
            named(),
            required,
            some(inner.clone().boxed()),
            some(named().prop_map(|map| json!(map)).boxed()),
            any::<bool>(),
        );
        let object = object.prop_map(|(properties, required, additional, patterns, typed)| {
            let mut schema = json!({"properties": properties, "required": required});
            if typed {
                schema["type"] = json!("object");
            }
            if let Some(additional) = additional {
                schema["additionalProperties"] = additional;
            }
            if let Some(patterns) = patterns {
                schema["patternProperties"] = patterns;
            }
            schema
        });
        let list =
            (inner.clone(), any::<bool>(), prop::collection::vec(inner.clone(), 0..3), some(inner.clone().boxed()));
        let list = list.prop_map(|(one, tuple, first, rest)| {
            let mut schema = json!({"type": "array", "items": if tuple { json!(first) } else { one }});
            if let Some(rest) = rest {
                schema["additionalItems"] = rest;
            }
            schema
        });
        let members = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            4 => object,
            2 => list,
            1 => members().prop_map(|members| json!({"anyOf": members})),
            1 => members().prop_map(|members| json!({"oneOf": members})),
            1 => members().prop_map(|members| json!({"allOf": members})),
            1 => inner.clone().prop_map(|schema| json!({"not": schema})),
            1 => inner.clone().prop_map(|schema| json!({"type": "array", "contains": schema})),
            1 => inner.clone().prop_map(|schema| json!({"type": "object", "propertyNames": schema})),
            1 => (inner.clone(), inner.clone()).prop_map(|(one, two)| json!({"if": one, "then": two})),
            1 => (inner.clone(), inner.clone()).prop_map(|(mut one, two)| {
                if one.is_object() {
                    one["anyOf"] = json!([two, {"type": "null"}]);
                }
                one
            }),
            1 => inner.clone().prop_map(|schema| json!({"type": "object", "dependencies": {"a": schema, "b": ["x"]}})),
        ]
    })
}

/// A schema and one that is like it: some part replaced.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    (schema(), schema(), any::<prop::sample::Index>(), any::<bool>()).prop_map(|(old, other, at, remove)| {
        let mut new = old.clone();
        let mut places = Vec::new();
        collect(&new, String::new(), &mut places);
        let place = &places[at.index(places.len())];
        if remove && !place.is_empty() {
            let (parent, key) = place.rsplit_once('/').expect("a pointer");
            if let Some(object) = new.pointer_mut(parent).and_then(Value::as_object_mut) {
                object.remove(key);
            }
        } else if let Some(part) = new.pointer_mut(place) {
            *part = other;
        }
        (old, new)
    })
}

fn collect(value: &Value, path: String, places: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| collect(value, format!("{path}/{key}"), places)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| collect(value, format!("{path}/{at}"), places))
        }
        _ => {}
    }
    places.push(path);
}

fn parse(schema: &Value) -> Option<Json> {
    Json::parse(&schema.to_string(), &[]).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_can_be_read_is_read((old, new) in pair(), instances in prop::collection::vec(instance(), 24)) {
        let (Some(before), Some(now)) = (parse(&old), parse(&new)) else { return Ok(()) };
        if !now.cannot_read(&before).is_empty() {
            return Ok(());
        }
        let (before, now) = (jsonschema::draft7::new(&old).expect("checked"), jsonschema::draft7::new(&new).expect("checked"));
        for instance in instances {
            prop_assert!(!before.is_valid(&instance) || now.is_valid(&instance), "{} under {} and {}", instance, old, new);
        }
    }

    #[test]
    fn every_schema_reads_itself(schema in schema()) {
        let Some(one) = parse(&schema) else { return Ok(()) };
        let other = parse(&schema).expect("once more");
        prop_assert_eq!(one.cannot_read(&other), []);
        prop_assert_eq!(one.beyond_additions_to(&other), []);
        prop_assert!(parse(&json!(true)).expect("a schema").cannot_read(&one).is_empty());
    }

    #[test]
    fn identity_does_not_depend_on_spelling(schema in schema()) {
        let Some(one) = parse(&schema) else { return Ok(()) };
        let canonical = one.canonical();
        let spread = Json::parse(&backwards(&schema), &[]).expect("the same");
        prop_assert_eq!(spread.canonical(), canonical.clone());
        prop_assert_eq!(Json::parse(&canonical, &[]).expect("canonical").canonical(), canonical);
    }

    #[test]
    fn no_text_makes_it_panic(schema in schema(), edits in prop::collection::vec((any::<prop::sample::Index>(), ".{0,3}"), 0..4)) {
        let mut text = schema.to_string();
        for (at, edit) in edits {
            let at = at.index(text.len() + 1);
            let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = text[at..].char_indices().nth(edit.chars().count()).map_or(text.len(), |(offset, _)| at + offset);
            text.replace_range(at..end, &edit);
        }
        if let Ok(schema) = Json::parse(&text, &[]) {
            drop((schema.contract(), schema.cannot_read(&parse(&json!({"type": "object"})).expect("a schema"))));
        }
    }
}

/// The same value with its keys in reverse and much white space.
fn backwards(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let entries = object.iter().rev().map(|(key, value)| format!("\n {} : {}", json!(key), backwards(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::Array(list) => format!("[ {} ]", list.iter().map(backwards).collect::<Vec<_>>().join(" ,\t")),
        other => other.to_string(),
    }
}
