//! `/schema-registry`: every call of Confluent's API that clients make, and every error code.

use std::io::ErrorKind;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use disk::{Faults, InjectedDisk, Operation, RealDisk};
use serde_json::{Value, json};

use super::{Answer, Running, Setup};

const V1: &str = "application/vnd.schemaregistry.v1+json";
const MODERN: (&str, &str) = ("confluent-accept-unknown-properties", "true");

impl Running {
    /// A call as Confluent's clients make it: status and body.
    fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", V1), ("accept", V1)];
        let answer = self.request(method, &format!("/schema-registry{path}"), &self.key, &headers, body.as_bytes());
        assert_eq!(answer.headers["content-type"], V1, "{}", answer.text());
        (answer.status, answer.json())
    }

    /// A call that must succeed.
    fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Status, code and text of a call that must fail.
    fn fails(&self, method: &str, path: &str, body: Value) -> (u16, i64, String) {
        let (status, answer) = self.call(method, path, body);
        let code = answer["error_code"].as_i64().unwrap_or_else(|| panic!("{method} {path}: {status} {answer}"));
        (status, code, answer["message"].as_str().unwrap().to_owned())
    }

    /// A call that must fail with this code; the status follows from it.
    fn code(&self, method: &str, path: &str, body: Value, expected: i64) -> String {
        let (status, code, text) = self.fails(method, path, body);
        let expected_status = if expected < 1000 { expected } else { expected / 100 };
        assert_eq!((i64::from(status), code), (expected_status, expected), "{method} {path}: {text}");
        text
    }

    fn with(&self, headers: &[(&str, &str)], method: &str, path: &str, token: &str, body: &str) -> Answer {
        self.request(method, &format!("/schema-registry{path}"), token, headers, body.as_bytes())
    }
}

/// A closed JSON Schema with these properties, each of this type.
fn schema(properties: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> =
        properties.iter().map(|(name, kind)| ((*name).to_owned(), json!({"type": kind}))).collect();
    let text = json!({"type": "object", "properties": properties, "additionalProperties": false}).to_string();
    json!({"schemaType": "JSON", "schema": text})
}

/// A message with these fields, numbered from 1.
fn protobuf(fields: &[(&str, &str)]) -> Value {
    let fields = fields.iter().enumerate().map(|(at, (name, kind))| format!(" optional {kind} {name} = {};", at + 1));
    let fields: String = fields.collect();
    json!({"schemaType": "PROTOBUF", "schema": format!("syntax = \"proto3\"; message M {{{fields} }}")})
}

fn text(answer: &Value) -> Value {
    serde_json::from_str(answer["schema"].as_str().unwrap()).unwrap()
}

#[test]
fn schemas_are_registered_found_and_listed() {
    let server = Running::start();
    assert_eq!(server.ok("GET", "", json!(null)), json!({}));
    assert_eq!(server.ok("GET", "/", json!(null)), json!({}));
    let types = server.ok("GET", "/schemas/types", json!(null));
    assert_eq!(types, json!(["AVRO", "JSON", "PROTOBUF"]));

    let one = schema(&[("x", "number")]);
    assert_eq!(server.ok("POST", "/subjects/a/versions", one.clone()), json!({"id": 1}));
    assert_eq!(server.ok("POST", "/subjects/a/versions?normalize=False", one.clone()), json!({"id": 1}));
    // A slash in a subject is a part of it; one at the end of the path is not.
    assert_eq!(server.ok("POST", "/subjects/t%2Fd%2Fdata-value/versions/", one.clone()), json!({"id": 1}));
    let two = schema(&[("x", "number"), ("y", "number")]);
    assert_eq!(server.ok("POST", "/subjects/a/versions", two.clone()), json!({"id": 2}));

    assert_eq!(server.ok("GET", "/subjects?offset=0&limit=-1", json!(null)), json!(["a", "t/d/data-value"]));
    assert_eq!(server.ok("GET", "/subjects?subjectPrefix=:*:t&colour=red", json!(null)), json!(["t/d/data-value"]));
    assert_eq!(server.ok("GET", "/subjects?limit=1", json!(null)), json!(["a"]));
    assert_eq!(server.ok("GET", "/subjects?offset=5", json!(null)), json!([]));
    assert_eq!(server.ok("GET", "/subjects/a/versions", json!(null)), json!([1, 2]));
    for version in ["2", "latest", "LATEST", "-1"] {
        let found = server.ok("GET", &format!("/subjects/a/versions/{version}"), json!(null));
        assert_eq!((&found["id"], &found["version"], &found["subject"]), (&json!(2), &json!(2), &json!("a")));
        assert_eq!((&found["schemaType"], text(&found)), (&json!("JSON"), text(&two)));
    }
    let bare = server.with(&[], "GET", "/subjects/a/versions/1/schema", &server.key, "");
    assert_eq!((bare.status, bare.json()), (200, text(&one)));
    let by_id = server.ok("GET", "/schemas/ids/1", json!(null));
    assert_eq!((text(&by_id), by_id.get("subject")), (text(&one), None));
    let by_id = server.ok("GET", "/schemas/ids/1?subject=a&fetchMaxId=true", json!(null));
    assert_eq!((&by_id["subject"], &by_id["version"], &by_id["maxId"]), (&json!("a"), &json!(1), &json!(2)));
    assert_eq!(server.call("GET", "/schemas/ids/1?subject=nobody", json!(null)).0, 200);
    assert_eq!(server.ok("GET", "/schemas/ids/1/subjects", json!(null)), json!(["a", "t/d/data-value"]));
    let versions = server.ok("GET", "/schemas/ids/1/versions?subject=a", json!(null));
    assert_eq!(versions, json!([{"subject": "a", "version": 1}]));
    let bare = server.with(&[], "GET", "/schemas/ids/1/schema", &server.key, "");
    assert_eq!((bare.status, bare.json()), (200, text(&one)));

    let found = server.ok("POST", "/subjects/a", one.clone());
    assert_eq!((&found["version"], &found["id"]), (&json!(1), &json!(1)));
    let all = server.ok("GET", "/schemas", json!(null));
    assert_eq!(all.as_array().unwrap().len(), 3);
    let latest = server.ok("GET", "/schemas?latestOnly=true", json!(null));
    assert_eq!(latest.as_array().unwrap().iter().map(|one| &one["version"]).collect::<Vec<_>>(), [2, 1]);

    // What newer clients take is told to those that say so.
    let answer =
        server.with(&[("content-type", V1), MODERN], "POST", "/subjects/a/versions", &server.key, &one.to_string());
    let whole = answer.json();
    assert_eq!((&whole["id"], &whole["version"], &whole["schemaType"]), (&json!(1), &json!(1), &json!("JSON")));
    let guid = whole["guid"].as_str().unwrap();
    let by_guid = server.ok("GET", &format!("/schemas/guids/{guid}"), json!(null));
    assert_eq!(text(&by_guid), text(&one));
    let ids = server.ok("GET", &format!("/schemas/guids/{guid}/ids"), json!(null));
    assert_eq!(ids, json!([{"context": ".", "id": 1}]));
    assert_eq!(server.ok("GET", "/schemas/guids/none/ids", json!(null)), json!([]));

    assert_eq!(server.ok("GET", "/contexts", json!(null)), json!(["."]));
    assert_eq!(server.ok("GET", "/associations/resources/-/t?resourceType=topic", json!(null)), json!([]));
    assert_eq!(server.ok("GET", "/v1/metadata/id", json!(null))["id"], "");
    assert!(server.ok("GET", "/v1/metadata/version", json!(null))["version"].is_string());
}

#[test]
fn metadata_and_rules_come_back_as_they_were_given() {
    let server = Running::start();
    let mut sent = schema(&[("x", "number")]);
    sent["metadata"] = json!({"properties": {"owner": "me", "major": "1"}});
    sent["ruleSet"] = json!({"domainRules": [{"name": "r", "kind": "CONDITION", "type": "CEL", "expr": "true"}]});
    sent["schemaTagsToAdd"] = json!([]);
    assert_eq!(server.ok("POST", "/subjects/a/versions", sent.clone()), json!({"id": 1}));
    let found = server.ok("GET", "/subjects/a/versions/1", json!(null));
    assert_eq!((&found["metadata"], &found["ruleSet"]), (&sent["metadata"], &sent["ruleSet"]));
    let by_pair = server.ok("GET", "/subjects/a/metadata?key=owner&value=me&key=major&value=1", json!(null));
    assert_eq!(by_pair["id"], 1);
    server.code("GET", "/subjects/a/metadata?key=owner&value=you", json!(null), 40403);
    // Other metadata for the same text: another schema.
    let other = json!({"schemaType": "JSON", "metadata": {"properties": {"owner": "you"}}});
    assert_eq!(server.ok("POST", "/subjects/a/versions", other), json!({"id": 2}));
}

#[test]
fn a_level_is_kept() {
    let server = Running::start();
    assert_eq!(server.ok("GET", "/config", json!(null)), json!({"compatibilityLevel": "BACKWARD"}));
    let text = server.code("GET", "/config/a", json!(null), 40408);
    assert_eq!(text, "Subject 'a' does not have subject-level compatibility configured");
    let default = server.ok("GET", "/config/a?defaultToGlobal=true", json!(null));
    assert_eq!(default, json!({"compatibilityLevel": "BACKWARD"}));

    server.ok("POST", "/subjects/a/versions", protobuf(&[("x", "double")]));
    let changed = protobuf(&[("x", "string")]);
    let text = server.code("POST", "/subjects/a/versions", changed.clone(), 409);
    assert!(
        text.starts_with(
            "Schema being registered is incompatible with an earlier schema for subject \"a\", details: ["
        )
    );
    for part in ["errorType:", "oldSchemaVersion: 1", "oldSchema:", "compatibility: 'BACKWARD'"] {
        assert!(text.contains(part), "{text}");
    }
    let test = |path: &str, body: &Value| server.ok("POST", &format!("/compatibility/subjects/{path}"), body.clone());
    assert_eq!(test("a/versions/latest", &changed), json!({"is_compatible": false}));
    let verbose = test("a/versions/latest?verbose=True&normalize=False", &changed);
    assert_eq!(verbose["is_compatible"], false);
    assert!(verbose["messages"][0].as_str().unwrap().contains("errorType"), "{verbose}");
    let same = test("a/versions?verbose=true", &protobuf(&[("x", "double")]));
    assert_eq!(same, json!({"is_compatible": true, "messages": []}));
    assert_eq!(test("nobody/versions/latest", &changed), json!({"is_compatible": true}));
    assert_eq!(test("nobody/versions", &changed), json!({"is_compatible": true}));
    server.code("POST", "/compatibility/subjects/nobody/versions/1", changed.clone(), 40402);
    server.code("POST", "/compatibility/subjects/a/versions/0", changed.clone(), 42202);
    let broken = json!({"schemaType": "JSON", "schema": "{"});
    server.code("POST", "/compatibility/subjects/a/versions/latest", broken.clone(), 42201);
    assert_eq!(test("a/versions/latest?verbose=true", &broken)["is_compatible"], false);

    assert_eq!(server.ok("PUT", "/config/a/", json!({"compatibility": "none"})), json!({"compatibility": "NONE"}));
    assert_eq!(server.ok("GET", "/config/a", json!(null)), json!({"compatibilityLevel": "NONE"}));
    assert_eq!(server.ok("POST", "/subjects/a/versions", changed.clone()), json!({"id": 2}));
    assert_eq!(server.ok("DELETE", "/config/a", json!(null)), json!({"compatibilityLevel": "NONE"}));
    server.code("DELETE", "/config/a", json!(null), 40401);
    let more = json!({"compatibilityLevel": "FULL", "normalize": true, "compatibilityGroup": "g", "unknown": 1});
    let expected = json!({"compatibility": "FULL", "normalize": true, "compatibilityGroup": "g"});
    assert_eq!(server.ok("PUT", "/config", more), expected);
    assert_eq!(server.ok("DELETE", "/config", json!(null))["compatibilityLevel"], "FULL");
    assert_eq!(server.ok("GET", "/config/", json!(null)), json!({"compatibilityLevel": "BACKWARD"}));
    server.code("PUT", "/config", json!({"compatibility": "SIDEWARD"}), 42203);
    // What is forced is not tested.
    assert_eq!(server.call("POST", "/subjects/a/versions?force=True", protobuf(&[("z", "double")])).0, 200);
}

/// Each kind of difference that the policy lets pass, by the name that a client is told.
#[test]
fn a_lenient_policy_lets_these_kinds_pass_and_no_others() {
    let server = Running::start();
    let object = |properties: Value, more: Value| {
        let mut schema = json!({"type": "object", "properties": properties});
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    let (x, both) = (json!({"x": {"type": "number"}}), json!({"x": {"type": "number"}, "y": {"type": "number"}}));
    let with_default = json!({"x": {"type": "number"}, "y": {"type": "number", "default": 1}});
    let (open, closed) = (json!({}), json!({"additionalProperties": false}));
    let (texts, required) = (json!({"additionalProperties": {"type": "string"}}), json!({"required": ["y"]}));
    let cases = [
        ("OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", (&x, &open), (&both, &open), true),
        ("REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL", (&x, &open), (&with_default, &required), true),
        ("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", (&both, &closed), (&x, &closed), true),
        ("ADDITIONAL_PROPERTIES_REMOVED", (&x, &open), (&x, &closed), true),
        ("ADDITIONAL_PROPERTIES_NARROWED", (&x, &open), (&x, &texts), true),
        ("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", (&x, &texts), (&both, &texts), true),
        ("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", (&both, &texts), (&x, &texts), true),
        ("REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", (&x, &open), (&both, &required), false),
    ];
    for (number, (kind, (old, of_old), (new, of_new), lenient)) in cases.into_iter().enumerate() {
        let [old, new] = [object(old.clone(), of_old.clone()), object(new.clone(), of_new.clone())]
            .map(|schema| json!({"schemaType": "JSON", "schema": schema.to_string()}));
        server.ok("POST", &format!("/subjects/s{number}/versions"), old);
        let path = format!("/compatibility/subjects/s{number}/versions/latest?verbose=true");
        let strict = server.ok("POST", &path, new.clone());
        assert_eq!(strict["is_compatible"], false, "{kind}");
        assert!(strict["messages"].to_string().contains(&format!("errorType:'{kind}'")), "{kind}: {strict}");
        let config = json!({"compatibility": "BACKWARD", "compatibilityPolicy": "LENIENT"});
        assert_eq!(server.ok("PUT", &format!("/config/s{number}"), config)["compatibilityPolicy"], "LENIENT");
        assert_eq!(server.ok("POST", &path, new)["is_compatible"], lenient, "{kind}");
    }
}

#[test]
fn a_registration_that_does_not_reach_the_log_says_50001() {
    let faults = Faults::default();
    let disk = Arc::new(InjectedDisk::new(Arc::new(RealDisk), faults.clone()));
    let server = Running::start_with(Setup { disk, ..Setup::default() });
    faults.fail_under("raw", Operation::SyncData, ErrorKind::Other);
    let text = server.code("POST", "/subjects/a/versions", schema(&[("x", "number")]), 50001);
    assert!(text.contains("the change is kept, and takes effect once the journal can be written again"), "{text}");
    // It is registered all the same.
    assert_eq!(server.ok("GET", "/subjects", json!(null)), json!(["a"]));
    faults.heal();
}

#[test]
fn a_deletion_has_two_steps() {
    let server = Running::start();
    let delete = |path: &str| server.ok("DELETE", path, json!(null));
    let (one, two) = (schema(&[("x", "number")]), schema(&[("x", "number"), ("y", "number")]));
    server.ok("POST", "/subjects/a/versions", one.clone());
    server.ok("POST", "/subjects/a/versions", two.clone());
    let text = server.code("DELETE", "/subjects/a?permanent=true", json!(null), 40405);
    assert_eq!(text, "Subject 'a' was not deleted first before being permanently deleted");
    let text = server.code("DELETE", "/subjects/a/versions/1?permanent=True", json!(null), 40407);
    assert_eq!(text, "Subject 'a' Version 1 was not deleted first before being permanently deleted");
    assert_eq!(delete("/subjects/a/versions/1"), json!(1));
    let text = server.code("DELETE", "/subjects/a/versions/1", json!(null), 40406);
    assert_eq!(text, "Subject 'a' Version 1 was soft deleted.Set permanent=true to delete permanently");
    server.code("GET", "/subjects/a/versions/1", json!(null), 40402);
    let deleted = server.with(&[MODERN], "GET", "/subjects/a/versions/1?deleted=true", &server.key, "").json();
    assert_eq!((&deleted["id"], &deleted["deleted"]), (&json!(1), &json!(true)));
    assert_eq!(server.ok("GET", "/subjects/a/versions", json!(null)), json!([2]));
    assert_eq!(server.ok("GET", "/subjects/a/versions?deleted=true", json!(null)), json!([1, 2]));
    assert_eq!(server.ok("GET", "/subjects/a/versions?deletedOnly=true", json!(null)), json!([1]));
    assert_eq!(server.ok("GET", "/subjects/a/versions?deletedAsNegative=true", json!(null)), json!([-1, 2]));
    assert_eq!(server.call("GET", "/schemas/ids/1", json!(null)).0, 200, "an id outlives a soft deletion");
    assert_eq!(server.ok("GET", "/schemas/ids/1/subjects", json!(null)), json!([]));
    assert_eq!(server.ok("GET", "/schemas/ids/1/subjects?deleted=true", json!(null)), json!(["a"]));
    server.code("POST", "/subjects/a", one.clone(), 40403);
    assert_eq!(server.ok("POST", "/subjects/a?deleted=True", one.clone())["version"], 1);
    assert_eq!(delete("/subjects/a/versions/1?permanent=true"), json!(1));
    assert_eq!(server.code("GET", "/schemas/ids/1", json!(null), 40403), "Schema 1 not found");
    assert_eq!(server.code("GET", "/schemas/ids/1/versions", json!(null), 40403), "Schema not found");
    assert_eq!(delete("/subjects/a"), json!([2]));
    let text = server.code("DELETE", "/subjects/a", json!(null), 40404);
    assert_eq!(text, "Subject 'a' was soft deleted.Set permanent=true to delete permanently");
    assert_eq!(server.ok("GET", "/subjects", json!(null)), json!([]));
    assert_eq!(server.ok("GET", "/subjects?deleted=true", json!(null)), json!(["a"]));
    assert_eq!(server.ok("POST", "/subjects/a/versions", two.clone()), json!({"id": 2}));
    assert_eq!(server.ok("GET", "/subjects/a/versions?deleted=true", json!(null)), json!([3]));
    assert_eq!(delete("/subjects/a/versions/latest"), json!(3));
    assert_eq!(delete("/subjects/a?permanent=true"), json!([3]));
    server.code("DELETE", "/subjects/a", json!(null), 40401);
    assert_eq!(server.ok("POST", "/subjects/a/versions", two), json!({"id": 3}), "an id is never given twice");
}

#[test]
fn references_hold_what_they_name() {
    let server = Running::start();
    let inner = json!({"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; message Unit { string code = 1; }"});
    server.ok("POST", "/subjects/unit.proto/versions", inner);
    let outer = |version: i64| {
        json!({
            "schemaType": "PROTOBUF",
            "schema": "syntax = \"proto3\"; import \"unit.proto\"; message M { double x = 1; Unit unit = 2; }",
            "references": [{"name": "unit.proto", "subject": "unit.proto", "version": version}],
        })
    };
    let text = server.code("POST", "/subjects/m/versions", outer(9), 42201);
    assert!(text.contains("No schema reference found for subject \"unit.proto\" and version 9"), "{text}");
    assert_eq!(server.ok("POST", "/subjects/m/versions", outer(-1)), json!({"id": 2}));
    let found = server.ok("GET", "/schemas/ids/2?format=serialized", json!(null));
    assert_eq!(found["references"], json!([{"name": "unit.proto", "subject": "unit.proto", "version": 1}]));
    let descriptor = STANDARD.decode(found["schema"].as_str().unwrap()).unwrap();
    assert!(descriptor.windows(10).any(|part| part == b"unit.proto"));
    // The same file as its descriptor is the same schema.
    let mut serialized = outer(1);
    serialized["schema"] = found["schema"].clone();
    assert_eq!(server.ok("POST", "/subjects/m", serialized)["id"], 2);
    assert_eq!(server.ok("GET", "/subjects/unit.proto/versions/1/referencedby", json!(null)), json!([2]));
    let text = server.code("DELETE", "/subjects/unit.proto", json!(null), 42206);
    let schema = "{magic=1,keytype=SCHEMA,subject=unit.proto,version=1}";
    assert_eq!(text, format!("One or more references exist to the schema {schema}."));
    server.code("DELETE", "/subjects/unit.proto/versions/1", json!(null), 42206);
    server.ok("DELETE", "/subjects/m", json!(null));
    server.ok("DELETE", "/subjects/unit.proto", json!(null));
    server.code("DELETE", "/subjects/unit.proto?permanent=true", json!(null), 42206);
}

#[test]
fn a_mode_is_kept() {
    let server = Running::start();
    server.ok("POST", "/subjects/a/versions", schema(&[("x", "number")]));
    assert_eq!(server.ok("GET", "/mode", json!(null)), json!({"mode": "READWRITE"}));
    let text = server.code("GET", "/mode/a", json!(null), 40409);
    assert_eq!(text, "Subject 'a' does not have subject-level mode configured");
    assert_eq!(server.ok("GET", "/mode/a?defaultToGlobal=true", json!(null)), json!({"mode": "READWRITE"}));
    assert_eq!(server.ok("PUT", "/mode/a", json!({"mode": "readonly"})), json!({"mode": "READONLY"}));
    for (method, path, body) in [
        ("POST", "/subjects/a/versions", schema(&[("y", "number")])),
        ("DELETE", "/subjects/a", json!(null)),
        ("DELETE", "/subjects/a/versions/1", json!(null)),
        ("PUT", "/config/a", json!({"compatibility": "FULL"})),
    ] {
        let text = server.code(method, path, body, 42205);
        assert_eq!(text, "Subject a in context  is in read-only mode");
    }
    assert_eq!(server.call("GET", "/subjects/a/versions/1", json!(null)).0, 200);
    assert_eq!(server.ok("DELETE", "/mode/a", json!(null)), json!({"mode": "READONLY"}));
    server.code("DELETE", "/mode/a", json!(null), 40401);
    server.code("PUT", "/mode", json!({"mode": "UPSIDEDOWN"}), 42204);

    let text = server.code("PUT", "/mode/a", json!({"mode": "IMPORT"}), 42205);
    assert_eq!(text, "Cannot import since found existing subjects");
    let mut imported = schema(&[("i", "number")]);
    imported["id"] = json!(70);
    server.code("POST", "/subjects/i/versions", imported.clone(), 42205);
    server.ok("PUT", "/mode/i", json!({"mode": "IMPORT"}));
    assert_eq!(server.ok("POST", "/subjects/i/versions", imported.clone()), json!({"id": 70}));
    server.code("POST", "/subjects/i/versions", schema(&[("j", "number")]), 42205);
    let mut taken = schema(&[("j", "number")]);
    taken["id"] = json!(70);
    let text = server.code("POST", "/subjects/i/versions", taken, 42205);
    assert_eq!(text, "Overwrite new schema with id 70 in context  is not permitted.");
    imported["id"] = json!(71);
    server.code("POST", "/subjects/i/versions", imported, 42207);
    server.code("DELETE", "/contexts/.", json!(null), 42211);
}

#[test]
fn what_is_wrong_has_a_code() {
    let server = Running::start();
    let one = schema(&[("x", "number")]);
    server.ok("POST", "/subjects/a/versions", one.clone());
    assert_eq!(server.code("GET", "/subjects/b/versions", json!(null), 40401), "Subject 'b' not found.");
    server.code("GET", "/subjects/b/versions/1", json!(null), 40401);
    server.code("POST", "/subjects/b", one.clone(), 40401);
    assert_eq!(server.code("GET", "/subjects/a/versions/7", json!(null), 40402), "Version 7 not found.");
    server.code("DELETE", "/subjects/a/versions/7", json!(null), 40402);
    assert_eq!(server.code("POST", "/subjects/a", schema(&[("z", "number")]), 40403), "Schema not found");
    assert_eq!(server.code("GET", "/schemas/ids/9", json!(null), 40403), "Schema 9 not found");
    let guid = "00000000-0000-0000-0000-000000000000";
    let text = server.code("GET", &format!("/schemas/guids/{guid}"), json!(null), 40403);
    assert_eq!(text, format!("Schema {guid} not found"));
    server.code("GET", "/associations/resources/x", json!(null), 40410);
    for version in ["0", "-2", "abc", "2147483648"] {
        let text = server.code("GET", &format!("/subjects/a/versions/{version}"), json!(null), 42202);
        assert!(text.starts_with(&format!("The specified version '{version}' is not a valid version id.")));
    }
    server.code("POST", "/subjects/a/versions", json!({"schema": "{", "schemaType": "JSON"}), 42201);
    let text = server.code("POST", "/subjects/a/versions", json!({"schema": "x", "schemaType": "XML"}), 42201);
    assert_eq!(text, "Invalid schema type XML");
    server.code("POST", "/subjects/new/versions", json!({"schema": ""}), 42201);
    server.code("POST", "/subjects/a", json!({"schema": "{", "schemaType": "JSON"}), 42201);
    for subject in ["__GLOBAL", "__EMPTY", ":.other:a", "a%0Ab"] {
        server.code("POST", &format!("/subjects/{subject}/versions"), one.clone(), 42208);
    }
    let large = json!({"schemaType": "JSON", "schema": format!("\"{}\"", "x".repeat(600 << 10))});
    server.code("POST", "/subjects/a/versions", large, 42209);
    let mut third = schema(&[("x", "number"), ("w", "number")]);
    third["version"] = json!(3);
    server.code("POST", "/subjects/a/versions", third, 42201);

    server.code("GET", "/nothing/here", json!(null), 404);
    server.code("GET", "/schemas/ids/x", json!(null), 404);
    server.code("PATCH", "/subjects", json!(null), 405);
    server.code("PUT", "/subjects/a/versions", json!(null), 405);
    server.code("POST", "/subjects/a/versions", json!(null), 422);
    let malformed = server.with(&[("content-type", V1)], "POST", "/subjects/a/versions", &server.key, "{");
    assert_eq!((malformed.status, &malformed.json()["error_code"]), (400, &json!(400)));
    let xml = server.with(&[("content-type", "text/xml")], "POST", "/subjects/a/versions", &server.key, "<a/>");
    assert_eq!((xml.status, &xml.json()["error_code"]), (415, &json!(415)));
    let without = server.with(&[], "POST", "/subjects/a/versions", &server.key, &one.to_string());
    assert_eq!(without.status, 200, "without a type it is JSON");
    let json_answer = server.with(&[("accept", "application/json")], "GET", "/subjects", &server.key, "");
    assert_eq!(json_answer.headers["content-type"], "application/json");
}

#[test]
fn credentials_and_rights() {
    let server = Running::start();
    let one = schema(&[("x", "number")]).to_string();
    let nobody = server.with(&[], "GET", "/subjects", "", "");
    assert_eq!((nobody.status, &nobody.json()["error_code"]), (401, &json!(401)));
    assert_eq!(nobody.headers["www-authenticate"], "Basic realm=\"tidewater\"");
    assert_eq!(server.with(&[], "GET", "/subjects", "twk_wrong", "").status, 401);
    let basic = |user: &str, key: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{key}")));
    for user in ["key", "anybody", ""] {
        let header = basic(user, &server.key);
        assert_eq!(server.with(&[("authorization", &header)], "GET", "/subjects", "", "").status, 200);
    }
    assert_eq!(server.with(&[("authorization", &basic("key", "x"))], "GET", "/subjects", "", "").status, 401);
    assert_eq!(server.with(&[("authorization", "Basic ???")], "GET", "/subjects", "", "").status, 401);

    let key = |rights: &[&str]| server.post("/v1/keys", &json!({"name": "k", "rights": rights})).json();
    let token = |key: Value| key["token"].as_str().unwrap().to_owned();
    let (query, schemas, devices) = (token(key(&["query"])), token(key(&["schemas"])), token(key(&["devices"])));
    for (token, reads, writes) in [(&query, 200, 403), (&schemas, 200, 200), (&devices, 403, 403)] {
        assert_eq!(server.with(&[], "GET", "/subjects", token, "").status, reads);
        assert_eq!(server.with(&[], "POST", "/compatibility/subjects/a/versions", token, &one).status, reads);
        assert_eq!(server.with(&[], "POST", "/subjects/a/versions", token, &one).status, writes);
        assert_eq!(
            server.with(&[], "POST", "/subjects/a", token, &one).status,
            if reads == 403 {
                403
            } else if writes == 403 {
                404
            } else {
                200
            }
        );
    }
    // A tenant sees its own schemas only.
    server.post("/v1/tenants", &json!({"name": "other"}));
    let other = token(server.post("/v1/keys", &json!({"tenant": "other", "name": "k", "rights": ["schemas"]})).json());
    assert_eq!(server.with(&[], "GET", "/subjects", &other, "").json(), json!([]));
    assert_eq!(server.with(&[], "GET", "/schemas/ids/1", &other, "").status, 404);
    let registered = server.with(&[], "POST", "/subjects/mine/versions", &other, &one);
    assert_eq!(registered.json(), json!({"id": 1}), "ids are each tenant's own");
}

/// What one face registers the other one shows, and majors follow from what is more than additions.
#[test]
fn both_faces_show_the_same_schemas() {
    let server = Running::start();
    server.ok("PUT", "/config", json!({"compatibility": "NONE"}));
    server.ok("POST", "/subjects/pump/versions", protobuf(&[("x", "double")]));
    server.ok("POST", "/subjects/pump/versions", protobuf(&[("x", "double"), ("y", "double")]));
    server.ok("POST", "/subjects/pump/versions", protobuf(&[("x", "string")]));
    let majors = server.get("/v1/schemas?subject=pump").json();
    let shown = |row: &Value| (row["major"].clone(), row["version"].clone(), row["id"].clone());
    let majors: Vec<_> = majors["schemas"].as_array().unwrap().iter().map(shown).collect();
    assert_eq!(majors, [(json!(1), json!(2), json!(2)), (json!(2), json!(3), json!(3))]);
    let refused = server.post(
        "/v1/schemas",
        &json!({"subject": "pump", "type": "protobuf", "schema": protobuf(&[("x", "bool")])["schema"]}),
    );
    let problem = refused.json();
    assert_eq!((refused.status, problem["code"].as_str()), (409, Some("schema-not-additive")), "{problem}");
    assert!(!problem["differences"].as_array().unwrap().is_empty());
    assert!(problem["detail"].as_str().unwrap().contains("\"major\": true"));
}
