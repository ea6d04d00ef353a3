//! Schemas that mean harm, through the API: each is refused or handled with a sentence, and the server goes on.

use serde_json::{Value, json};

use super::Running;
use cases::{Becomes, cases};

#[path = "../../../../registry/tests/registry/hostile/cases.rs"]
mod cases;

impl Running {
    /// Status, code and sentence of what is told of a schema that is to be registered.
    fn told(&self, body: &Value) -> (u16, String, String) {
        let answer = self.post("/v1/schemas", body);
        let document = answer.json();
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        (answer.status, text("code"), text("detail"))
    }

    /// The schema must be refused with this in the sentence.
    fn refuses(&self, body: &Value, code: &str, part: &str) {
        let (status, found, detail) = self.told(body);
        assert_eq!((status, found.as_str()), (400, code), "{detail}");
        assert!(detail.contains(part), "{detail}");
    }

    fn registers(&self, body: &Value) {
        let (status, _, detail) = self.told(body);
        assert_eq!(status, 201, "{detail}");
    }
}

#[test]
fn schemas_that_mean_harm_are_refused_or_handled() {
    let server = Running::start();
    for (number, case) in cases().into_iter().enumerate() {
        let body = json!({"subject": format!("s{number}"), "type": case.language, "schema": case.text});
        // Beyond what any body may have, and the connection with it.
        if body.to_string().len() > 1 << 20 {
            continue;
        }
        let (status, code, detail) = server.told(&body);
        let said = format!("{} {}: {status} {code} {detail:.500}", case.language, case.name);
        match case.becomes {
            Becomes::Refused(part) => {
                assert_eq!((status, code.as_str()), (400, "schema-invalid"), "{said}");
                assert!(detail.contains(part) && !detail.contains(char::is_control), "{said}");
            }
            Becomes::Unusable(_) | Becomes::Usable => assert_eq!(status, 201, "{said}"),
        }
    }
    let device = server.device("pump");
    server.ingest(&device, &json!({"ts": 1, "metrics": {"x": 1}}));
    server.points(&device, "x", 1);
}

#[test]
fn references_are_bounded_and_lead_nowhere_else() {
    let server = Running::start();
    let avro = |name: &str, of: &str| {
        let fields = json!([{"name": "m", "type": "double"}, {"name": "x", "type": of}]);
        json!({"type": "record", "name": name, "fields": fields}).to_string()
    };
    let body = |subject: &str, schema: String, references: &[(&str, &str, i64)]| {
        let reference = |(name, subject, version): &(&str, &str, i64)| json!({"name": name, "subject": subject, "version": version});
        let references: Vec<_> = references.iter().map(reference).collect();
        json!({"subject": subject, "type": "avro", "schema": schema, "references": references, "major": true})
    };
    server.registers(&body("a", avro("A", "int"), &[]));
    server.registers(&body("b", avro("B", "A"), &[("A", "a", 1)]));
    // A circle of subjects: what is closed leads to a version that is there, and one name means one of them.
    server.registers(&body("a", avro("A2", "B"), &[("B", "b", 1)]));
    server.registers(&body("b", avro("B2", "A2"), &[("A2", "a", 2)]));
    let twice = body("c", avro("C", "A2"), &[("A2", "a", 2), ("A", "a", 2)]);
    server.refuses(&twice, "schema-invalid", "`A` is referred to in two versions");
    let missing = body("c", avro("C", "A"), &[("A", "a", 7)]);
    server.refuses(&missing, "schema-invalid", "No schema reference found for subject \"a\" and version 7");
    let itself = body("d", avro("D", "D"), &[("D", "d", -1)]);
    server.refuses(&itself, "schema-invalid", "No schema reference found for subject \"d\"");
    let many = vec![("A", "a", 1); 10_000];
    server.refuses(&body("c", avro("C", "A"), &many), "schema-invalid", "10000 references, at most 32");
    // 33 in a row, each of which refers to the one before.
    for number in 0..33 {
        let before = format!("chain{}", number - 1);
        let name = format!("T{}", number - 1);
        let schema = avro(&format!("T{number}"), if number == 0 { "int" } else { &name });
        let references = [(name.as_str(), before.as_str(), 1)];
        let references = if number == 0 { &references[..0] } else { &references[..] };
        let body = body(&format!("chain{number}"), schema, references);
        if number < 31 {
            server.registers(&body);
        } else {
            server.told(&body);
        }
    }
    let last = body("end", avro("E", "T32"), &[("T32", "chain32", 1)]);
    assert_eq!(server.told(&last).0, 400);
    for subject in ["a\nb", "\0", "", "a\u{85}b"] {
        server.refuses(&body(subject, avro("A", "int"), &[]), "subject-invalid", "subject");
    }
    let name = body("c", avro("C", "int"), &[("\u{1}", "a", 1)]);
    let (status, _, detail) = server.told(&name);
    assert!(status < 500 && !detail.contains(char::is_control), "{status} {detail}");
}
