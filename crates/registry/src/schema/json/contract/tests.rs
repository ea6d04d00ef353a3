use model::contract::{Bound, Contract, Field, Kind, Others, Part, Root, Rule, TsUnit, Value as Constant};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::schema::{Json, ReferencedText};

fn contract(schema: &Value) -> Result<Root, String> {
    let schema = Json::parse(&schema.to_string(), &[]).map_err(|invalid| format!("invalid: {invalid}"))?;
    schema.contract().map(|Contract { mut roots, .. }| roots.remove(0)).map_err(|unusable| unusable.why)
}

fn check(schema: Value) -> Root {
    contract(&schema).unwrap_or_else(|why| panic!("{schema}: {why}"))
}

#[track_caller]
fn check_unusable(schema: Value, part: &str) {
    let why = contract(&schema).expect_err(&schema.to_string());
    assert!(!why.starts_with("invalid"), "{why}");
    assert!(why.contains(part), "{part} is not in: {why}");
}

fn rule_of(property: Value) -> Rule {
    check(json!({"type": "object", "properties": {"a": property}})).fields.remove(0).rule
}

fn field<'r>(root: &'r Root, name: &str) -> &'r Field {
    root.fields.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("no {name} in {root:?}"))
}

#[test]
fn a_flat_message() {
    let root = check(json!({
        "title": "Reading",
        "type": "object",
        "required": ["temp", "ts"],
        "properties": {
            "ts": {"type": "integer", "ts_unit": "us"},
            "seq": {"type": "integer"},
            "buffered": {"type": "boolean"},
            "temp": {"type": "number", "minimum": -40, "exclusiveMaximum": 85.5, "unit": "Cel", "description": "outside"},
            "state": {"enum": ["on", "off"], "default": "on"},
            "motor": {"type": "object", "properties": {"rpm": {"type": ["integer", "null"], "multipleOf": 5}}},
            "tags": {"type": "object", "properties": {"line": {"type": "string"}}},
            "raw": {"type": "array", "items": {"type": "number"}},
        }
    }));
    assert_eq!((root.name.as_str(), root.whole, &root.others), ("Reading", false, &Others::Class));
    let names: Vec<_> = root.fields.iter().map(|field| (field.name.as_str(), field.part, field.required)).collect();
    assert_eq!(
        names,
        [
            ("buffered", Part::Buffered, false),
            ("motor.rpm", Part::Metric, false),
            ("raw", Part::Metric, false),
            ("seq", Part::Seq, false),
            ("state", Part::Metric, false),
            ("line", Part::Tag, false),
            ("temp", Part::Metric, true),
            ("ts", Part::Ts(Some(TsUnit::Microseconds)), true),
        ]
    );
    let temp = field(&root, "temp");
    assert_eq!(temp.description.as_deref(), Some("outside"));
    assert_eq!(
        temp.rule,
        Rule {
            kinds: vec![Kind::Double],
            min: Some(Bound { value: -40.0, exclusive: false }),
            max: Some(Bound { value: 85.5, exclusive: true }),
            unit: Some("Cel".to_owned()),
            ..Rule::default()
        }
    );
    assert_eq!(field(&root, "state").default, Some(Constant::Text("on".to_owned())));
    let rpm = field(&root, "motor.rpm");
    assert_eq!(rpm.path, ["motor", "rpm"]);
    assert_eq!(rpm.rule, Rule { kinds: vec![Kind::Long], nullable: true, multiple_of: Some(5.0), ..Rule::default() });
    assert_eq!(field(&root, "raw").rule, Rule::default());
}

#[test]
fn a_whole_message() {
    let root = check(json!({
        "type": "object",
        "required": ["metrics"],
        "properties": {
            "ts": {"type": "string", "format": "date-time"},
            "metrics": {
                "type": "object",
                "properties": {"t": {"type": "number"}, "motor": {"type": "object", "properties": {"rpm": {"type": "integer"}}, "additionalProperties": {"type": "number"}}},
                "additionalProperties": {"type": "number"}
            }
        }
    }));
    assert!(root.whole);
    assert_eq!(root.others, Others::Like(Box::new(Rule { kinds: vec![Kind::Double], ..Rule::default() })));
    assert_eq!(field(&root, "ts").part, Part::Ts(Some(TsUnit::Iso8601)));
    assert_eq!(field(&root, "motor.rpm").path, ["metrics", "motor", "rpm"]);
    assert_eq!(field(&root, "t").path, ["metrics", "t"]);
}

#[test]
fn references_and_all_of_are_merged() {
    let other = ReferencedText {
        name: "unit.json".to_owned(),
        text: r##"{"definitions": {"p": {"type": "number", "minimum": 0}}, "type": "object", "properties": {"p": {"$ref": "#/definitions/p"}}}"##.to_owned(),
    };
    let text = r#"{"type": "object", "allOf": [{"$ref": "unit.json"}], "properties": {"p": {"maximum": 5}, "q": {"$ref": "unit.json#/definitions/p"}}}"#;
    let schema = Json::parse(text, &[other]).expect("valid");
    let root = schema.contract().expect("usable").roots.remove(0);
    let p = &field(&root, "p").rule;
    assert_eq!((p.min.map(|min| min.value), p.max.map(|max| max.value)), (Some(0.0), Some(5.0)));
    assert_eq!(field(&root, "q").rule.min.map(|min| min.value), Some(0.0));
}

#[test]
fn rules_of_values() {
    assert_eq!(
        rule_of(json!({"oneOf": [{"type": "null"}, {"type": "string", "maxLength": 3}]})),
        Rule { kinds: vec![Kind::Text], nullable: true, chars_max: Some(3), ..Rule::default() }
    );
    assert_eq!(rule_of(json!({"type": ["number", "string"]})).kinds, [Kind::Double, Kind::Text]);
    assert!(rule_of(json!({"type": ["string", "null"], "enum": ["a", null]})).nullable);
    assert!(!rule_of(json!({"type": ["string", "null"], "enum": ["a"]})).nullable);
    assert_eq!(
        rule_of(json!({"type": "integer", "enum": [1, 2.0, 2.5, "x"]})).one_of,
        [Constant::Long(1), Constant::Long(2)]
    );
    assert_eq!(
        rule_of(json!({"const": true})),
        Rule { kinds: vec![Kind::Bool], one_of: vec![Constant::Bool(true)], ..Rule::default() }
    );
    assert_eq!(rule_of(json!({"type": "string", "pattern": "^\\d+$"})).pattern.as_deref(), Some("^[0-9]+$"));
    assert_eq!(rule_of(json!({"description": "anything"})), Rule::default());
    assert_eq!(
        rule_of(json!({"type": "string", "format": "email"})),
        Rule { kinds: vec![Kind::Text], ..Rule::default() }
    );
    let old = check(json!({"$schema": "http://json-schema.org/draft-04/schema#", "type": "object",
        "properties": {"a": {"type": "number", "minimum": 1, "exclusiveMinimum": true}}}));
    assert_eq!(old.fields[0].rule.min, Some(Bound { value: 1.0, exclusive: true }));
}

#[test]
fn what_is_not_checked_is_named() {
    let with = |property: Value| json!({"type": "object", "properties": {"a": property}});
    let cases = [
        (json!({"type": "number", "not": {"const": 5}}), "`not` at `#/properties/a`"),
        (json!({"oneOf": [{"type": "number"}, {"type": "string"}]}), "`oneOf` at `#/properties/a`"),
        (json!({"anyOf": [{"type": "number"}]}), "`anyOf` at `#/properties/a`"),
        (json!({"oneOf": [{"type": "null"}, {"type": ["null", "number"]}]}), "take null"),
        (json!({"if": {"type": "number"}, "then": {"minimum": 3}, "type": "number"}), "`if` at"),
        (json!({"type": "array", "minItems": 1}), "`minItems` at"),
        (json!({"type": "array", "items": {"type": "number", "minimum": 1}}), "`items` at"),
        (json!({"type": ["array", "number"]}), "as well as something else"),
        (json!({"minimum": 5}), "`minimum` at"),
        (json!({"type": "object", "minProperties": 1}), "`minProperties` at"),
        (json!({"type": "object", "patternProperties": {"^a": {"type": "number"}}}), "`patternProperties` at"),
        (json!({"type": "object", "propertyNames": {"maxLength": 5}}), "`propertyNames` at"),
        (json!({"type": ["object", "null"], "properties": {}}), "something else"),
        (
            json!({"type": "object", "properties": {}, "additionalProperties": false}),
            "`additionalProperties` at `#/properties/a`",
        ),
        (
            json!({"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]}),
            "may be left out and has required",
        ),
        (json!({"type": "string", "allOf": [{"pattern": "a"}, {"pattern": "b"}]}), "two patterns"),
        (json!({"type": "string", "allOf": [{"type": "number"}]}), "no value can be valid"),
        (json!({"type": "number", "default": "x"}), "`default` at"),
        (json!({"type": "number", "minimum": 5, "default": 3}), "`default` at"),
        (json!({"type": "number", "unit": 5}), "`unit` at"),
        (
            json!({"type": "number", "unit": "degC"}),
            "`unit` at `#/properties/a`: `degC` is not a UCUM code: write `Cel`",
        ),
        (json!({"type": "string", "unit": "Cel"}), "`unit` at `#/properties/a` is of numbers"),
        (json!({"type": "number", "minimum": 9007199254740993_u64}), "does not hold exactly"),
        (json!(false), "`false`"),
        (json!({"$ref": "#"}), "leads back to itself"),
    ];
    for (property, part) in cases {
        check_unusable(with(property), part);
    }
    check_unusable(json!({"type": "number"}), "object");
    check_unusable(json!({"type": "object", "required": ["z"]}), "`z` is required");
    check_unusable(json!({"type": "object", "dependentRequired": {"a": ["b"]}}), "`dependentRequired`");
    check_unusable(
        json!({"type": "object", "properties": {"metrics": {"type": "object"}}, "additionalProperties": false}),
        "unknown_fields",
    );
    check_unusable(
        json!({"type": "object", "properties": {"ts": {"type": "boolean"}, "metrics": {"type": "object"}}}),
        "`#/properties/ts`",
    );
    check_unusable(
        json!({"type": "object", "properties": {"a.b": {"type": "number"}, "a": {"type": "object", "properties": {"b": {"type": "number"}}}}}),
        "another metric",
    );
}

#[test]
fn recursion_and_size_are_bounded() {
    check_unusable(
        json!({"type": "object", "properties": {"v": {"type": "number"}, "next": {"$ref": "#"}}}),
        "leads back",
    );
    let inner = |count: usize| {
        (0..count).map(|n| (format!("p{n}"), json!({"type": "number"}))).collect::<serde_json::Map<_, _>>()
    };
    check_unusable(
        json!({"type": "object", "properties": {"a": {"type": "object", "properties": inner(700)}, "b": {"type": "object", "properties": inner(700)}}}),
        "more than 1024 fields",
    );
    // Each definition holds the next one twice: 2^30 fields, if one went on.
    let mut definitions = serde_json::Map::new();
    for n in 0..30 {
        let next = json!({"$ref": format!("#/definitions/d{}", n + 1)});
        definitions.insert(format!("d{n}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
    }
    definitions.insert("d30".to_owned(), json!({"type": "number"}));
    check_unusable(
        json!({"type": "object", "definitions": definitions, "properties": {"d": {"$ref": "#/definitions/d0"}}}),
        "more than",
    );
    let mut definitions = serde_json::Map::new();
    for n in 0..30 {
        let next = json!({"$ref": format!("#/definitions/d{}", n + 1)});
        definitions.insert(format!("d{n}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d30".to_owned(), json!({"type": "number"}));
    let merged =
        json!({"type": "object", "definitions": definitions, "properties": {"d": {"$ref": "#/definitions/d18"}}});
    check_unusable(merged, "more than 256");
}

/// What a contract says of a message: a reading of the contract that is as plain as can be.
fn accepts(root: &Root, message: &Value) -> bool {
    for field in &root.fields {
        let mut at = message;
        let mut found = true;
        for name in &field.path {
            match at {
                Value::Object(object) => match object.get(name) {
                    Some(value) => at = value,
                    None => {
                        found = false;
                        break;
                    }
                },
                _ => return false,
            }
        }
        if !found && field.required && field.default.is_none() {
            return false;
        }
        if found && !fits(&field.rule, at) {
            return false;
        }
    }
    others(root, message, &mut Vec::new())
}

fn others(root: &Root, value: &Value, path: &mut Vec<String>) -> bool {
    let Value::Object(object) = value else { return false };
    object.iter().all(|(name, value)| {
        path.push(name.clone());
        let exact = root.fields.iter().any(|field| field.path == *path);
        let within = root.fields.iter().any(|field| field.path.starts_with(path));
        let good = match &root.others {
            _ if exact => true,
            _ if within => others(root, value, path),
            Others::Class => true,
            Others::Reject => false,
            Others::Like(rule) => fits(rule, value),
        };
        path.pop();
        good
    })
}

fn fits(rule: &Rule, value: &Value) -> bool {
    let constant = |one: bool| rule.one_of.is_empty() || one;
    if rule.kinds.is_empty() {
        return true;
    }
    match value {
        Value::Null => rule.nullable,
        Value::Bool(flag) => rule.kinds.contains(&Kind::Bool) && constant(rule.one_of.contains(&Constant::Bool(*flag))),
        Value::Number(number) => {
            let number = number.as_f64().expect("small");
            let kind =
                rule.kinds.contains(&Kind::Double) || (rule.kinds.contains(&Kind::Long) && number.fract() == 0.0);
            let listed = rule.one_of.iter().any(|one| match one {
                Constant::Double(one) => *one == number,
                Constant::Long(one) => *one as f64 == number,
                _ => false,
            });
            kind && constant(listed)
                && rule.min.is_none_or(|min| number > min.value || (number == min.value && !min.exclusive))
                && rule.max.is_none_or(|max| number < max.value || (number == max.value && !max.exclusive))
                && rule.multiple_of.is_none_or(|step| number % step == 0.0)
        }
        Value::String(text) => {
            let chars = text.chars().count() as u32;
            rule.kinds.contains(&Kind::Text)
                && constant(rule.one_of.contains(&Constant::Text(text.clone())))
                && rule.chars_min.is_none_or(|least| chars >= least)
                && rule.chars_max.is_none_or(|most| chars <= most)
                && rule
                    .pattern
                    .as_ref()
                    .is_none_or(|pattern| regex_automata::meta::Regex::new(pattern).expect("translated").is_match(text))
        }
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-4..8_i64).prop_map(Value::from),
        (-8..16_i64).prop_map(|n| Value::from(n as f64 / 2.0)),
        "[ab1]{0,3}".prop_map(Value::from),
    ]
}

fn types() -> impl Strategy<Value = Value> {
    let one = || prop::sample::select(vec!["null", "boolean", "integer", "number", "string"]);
    prop_oneof![4 => one().prop_map(Value::from), 1 => prop::collection::btree_set(one(), 1..3).prop_map(|set| json!(set))]
}

/// Keywords of a value, each there or not; most say the type.
fn value_schema() -> impl Strategy<Value = Value> {
    let keyword = |name: &'static str, value: BoxedStrategy<Value>| {
        prop::option::weighted(0.25, value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let whole = || (-3..5_i64).prop_map(Value::from).boxed();
    let length = || (0..4_i64).prop_map(Value::from).boxed();
    let plain = (
        prop::option::weighted(0.9, types()).prop_map(|types| types.map(|types| ("type".to_owned(), types))),
        keyword("minimum", whole()),
        keyword("exclusiveMaximum", whole()),
        keyword("multipleOf", prop::sample::select(vec![json!(0.5), json!(1), json!(2)]).boxed()),
        keyword(
            "enum",
            prop::collection::vec(scalar(), 1..4)
                .prop_map(|mut list| {
                    list.dedup();
                    json!(list)
                })
                .boxed(),
        ),
        keyword("const", scalar().boxed()),
        keyword("minLength", length()),
        keyword("maxLength", length()),
        keyword("pattern", prop::sample::select(vec!["a", "^b", "1$", "^[ab]*$", "\\d"]).prop_map(Value::from).boxed()),
    );
    let plain = plain.prop_map(|(a, b, c, d, e, f, g, h, i)| {
        Value::Object([a, b, c, d, e, f, g, h, i].into_iter().flatten().collect())
    });
    let plain = plain.boxed();
    prop_oneof![
        6 => plain.clone(),
        1 => plain.clone().prop_map(|schema| json!({"oneOf": [{"type": "null"}, schema]})),
        1 => plain.clone().prop_map(|schema| json!({"anyOf": [schema, {"type": "null"}]})),
        1 => (plain.clone(), plain.clone()).prop_map(|(one, two)| json!({"allOf": [one, two]})),
        1 => (plain.clone(), plain).prop_map(|(mut one, two)| {
            one["allOf"] = json!([two]);
            one
        }),
    ]
}

fn object_schema(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    let additional = prop_oneof![3 => Just(None), 1 => Just(Some(json!(false))), 1 => value_schema().prop_map(Some)];
    (prop::collection::btree_map(name(), inner, 0..4), prop::collection::btree_set(name(), 0..3), additional).prop_map(
        |(properties, required, additional)| {
            let required: Vec<_> = required.into_iter().filter(|name| properties.contains_key(name)).collect();
            let mut schema = json!({"type": "object", "properties": properties, "required": required});
            if let Some(additional) = additional {
                schema["additionalProperties"] = additional;
            }
            schema
        },
    )
}

fn message() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let value = prop_oneof![
        5 => scalar(),
        1 => prop::collection::btree_map(name(), scalar(), 0..3).prop_map(|object| json!(object)),
        1 => Just(json!([1])),
    ];
    prop::collection::btree_map(name(), value, 0..4).prop_map(|object| json!(object))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_contract_means_what_its_schema_means(
        schema in prop_oneof![
            3 => object_schema(value_schema().boxed()),
            1 => object_schema(prop_oneof![2 => value_schema(), 1 => object_schema(value_schema().boxed())].boxed()),
            1 => (object_schema(value_schema().boxed()), object_schema(value_schema().boxed()))
                .prop_map(|(one, two)| json!({"type": "object", "allOf": [one, two]})),
        ],
        messages in prop::collection::vec(message(), 24),
    ) {
        let Ok(root) = contract(&schema) else { return Ok(()) };
        let oracle = jsonschema::draft7::new(&schema).expect("checked");
        for message in messages {
            prop_assert_eq!(accepts(&root, &message), oracle.is_valid(&message), "{} under {}: {:?}", message, schema, root);
        }
    }
}
