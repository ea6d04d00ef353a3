use proptest::prelude::*;

use super::*;

/// A schema of any shape. Names differ by their place, so that none is defined twice.
fn any_schema() -> impl Strategy<Value = Value> {
    let primitive = prop::sample::select(vec!["null", "boolean", "int", "long", "float", "double", "bytes", "string"]);
    let leaf = prop_oneof![
        primitive.clone().prop_map(|word| json!(word)),
        primitive.prop_map(|word| json!({"type": word, "unit": "Cel", "precision": 0.1})),
        Just(json!({"type": "long", "logicalType": "timestamp-millis"})),
        (1_u32..20).prop_map(|size| json!({"type": "fixed", "name": "N", "size": size})),
        (1_usize..4).prop_map(|count| json!({"type": "enum", "name": "N", "symbols": &["A", "B", "C"][..count]})),
    ];
    let nested = leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| json!({"type": "array", "items": of})),
            inner.clone().prop_map(|of| json!({"type": "map", "values": of})),
            inner.clone().prop_map(|of| json!(["null", {"type": "array", "items": of}])),
            prop::collection::vec(inner, 0..4).prop_map(|types| {
                let fields: Vec<Value> = types.iter().enumerate()
                    .map(|(n, of)| json!({"name": format!("f{n}"), "type": of, "doc": "d", "aliases": [format!("g{n}")]})).collect();
                json!({"type": "record", "name": "N", "fields": fields})
            }),
        ]
    });
    nested.prop_map(|mut value| {
        number_names(&mut value, &mut 0);
        value
    })
}

fn number_names(value: &mut Value, count: &mut usize) {
    match value {
        Value::Object(object) => {
            if object.get("name") == Some(&json!("N")) {
                *count += 1;
                object.insert("name".to_owned(), json!(format!("n{}.N{count}", *count % 3)));
            }
            object.values_mut().for_each(|value| number_names(value, count));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| number_names(value, count)),
        _ => {}
    }
}

/// An optional field at the front of every record.
fn add_fields(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(add_fields);
            if let Some(Value::Array(fields)) = object.get_mut("fields") {
                fields.insert(0, json!({"name": "added", "type": ["null", "int"], "default": null}));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(add_fields),
        _ => {}
    }
}

/// The same JSON with the members of every object in the opposite order.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let members: Vec<String> = object
                .iter()
                .rev()
                .map(|(name, value)| format!("{} :\n{}", Value::from(name.as_str()), reversed(value)))
                .collect();
            format!("{{ {} }}", members.join(" , "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(reversed).collect::<Vec<_>>().join(",\t")),
        _ => value.to_string(),
    }
}

proptest! {
    #[test]
    fn forms_are_stable_and_a_schema_reads_itself(value in any_schema()) {
        let schema = schema(&value);
        let canonical = schema.canonical();
        let again = Avro::parse(&canonical, &[]).unwrap();
        prop_assert_eq!(&again.canonical(), &canonical);
        prop_assert_eq!(&again.normalized(), &schema.normalized());
        prop_assert_eq!(Avro::parse(&schema.normalized(), &[]).unwrap().normalized(), schema.normalized());
        prop_assert_eq!(again.fingerprint, schema.fingerprint);
        prop_assert_eq!(Avro::parse(&reversed(&value), &[]).unwrap().canonical(), canonical);
        prop_assert!(schema.cannot_read(&again).is_empty());
        prop_assert!(schema.beyond_additions_to(&again).is_empty());
        drop(schema.contract());
    }

    /// The rule within a major is the stricter one: with optional fields added each can read the other.
    #[test]
    fn additions_can_be_read_both_ways(before in any_schema()) {
        let mut now = before.clone();
        add_fields(&mut now);
        let (now, before) = (schema(&now), schema(&before));
        prop_assert_eq!(now.beyond_additions_to(&before), Vec::new());
        prop_assert_eq!(now.cannot_read(&before), Vec::new());
        prop_assert_eq!(before.cannot_read(&now), Vec::new());
        let grown = now.canonical() != before.canonical();
        prop_assert_eq!(!before.beyond_additions_to(&now).is_empty(), grown);
    }

    /// What parses after bytes were changed has all forms and answers; nothing panics.
    #[test]
    fn mutated_texts_never_panic(value in any_schema(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut text = value.to_string().into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            match byte {
                0..=63 => { text.remove(at); text.push(b' '); }
                64..=127 => text.insert(at, b"{}[],:\"0aN"[usize::from(byte) % 10]),
                _ => text[at] = byte & 0x7f,
            }
        }
        if let Ok(schema) = Avro::parse(&String::from_utf8_lossy(&text), &[]) {
            drop(schema.cannot_read(&schema));
            prop_assert_eq!(Avro::parse(&schema.canonical(), &[]).unwrap().canonical(), schema.canonical());
            drop(schema.contract());
        }
    }
}
