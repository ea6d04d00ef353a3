//! Schemas of an external registry: ids are looked up, outages waited out, nothing is stored twice.

mod fake;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::{Api, Device, point};
use super::program::Program;
use super::wait::{PATIENCE, until, until_equal};
use super::world::metric;
use fake::FakeRegistry;

const READING: &str = r#"{"type":"record","name":"Reading","fields":[{"name":"ts","type":"long"},{"name":"seq","type":"long"},{"name":"x","type":"double"}]}"#;
const OTHER: &str = r#"{"type":"record","name":"Other","fields":[{"name":"y","type":"double"}]}"#;

/// [`super::api::message`] in Avro, in the wire format.
fn avro(id: u32, seq: u64) -> Vec<u8> {
    let mut bytes = [&[0][..], &id.to_be_bytes()].concat();
    for long in [1_700_000_000_000 + seq, seq] {
        let mut zigzag = long << 1;
        while zigzag >= 0x80 {
            bytes.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        bytes.push(zigzag as u8);
    }
    bytes.extend_from_slice(&(seq as f64 + 0.5).to_le_bytes());
    bytes
}

fn start(dir: &TempDir, registry: &FakeRegistry) -> Program {
    Program::start(dir.path(), &format!("[schemas]\nurl = \"{}\"\n", registry.url()))
}

fn ingest(program: &Program, device: &Device, payload: Vec<u8>) {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build();
    let url = format!("http://{}/v1/ingest/{}", program.listen.http, device.id);
    let request = ureq::http::Request::post(url)
        .header("authorization", format!("Bearer {}", device.token))
        .header("content-type", "application/avro");
    let answer = ureq::Agent::from(config).run(request.body(payload).unwrap()).unwrap();
    assert_eq!(answer.status(), 202);
}

/// Of each dead letter of a device, from the oldest: reason, tries, the reason of the last one ("" if it passed).
fn letters(api: &Api, device: &Device) -> Vec<(String, u64, String)> {
    let body = api.get(&format!("/v1/dead-letters?device={}", device.id));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let letters = body["dead_letters"].as_array().unwrap().iter().rev();
    letters
        .map(|letter| (text(&letter["reason"]), letter["tries"].as_u64().unwrap(), text(&letter["last_try"]["reason"])))
        .collect()
}

fn tried(reason: &str, tries: u64, last: &str) -> (String, u64, String) {
    (reason.to_owned(), tries, last.to_owned())
}

/// What the operations listener warns of.
fn warnings(program: &Program) -> Vec<String> {
    let ((status, body), _) = Api::new(program.listen.operations, "").send("GET", "/ready", None);
    assert_eq!(status, 200, "an outage elsewhere does not stop traffic: {body}");
    body["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_id_is_looked_up_and_its_letters_are_tried_again() {
    let (dir, registry) = (TempDir::new().unwrap(), FakeRegistry::start());
    let program = start(&dir, &registry);
    let api = &program.api;
    let (status, _) = api.call("POST", "/v1/tenants", Some(&json!({"name": "acme"})));
    assert_eq!(status, 201);
    let (ours, theirs) = (registry.add("pump-value", READING), registry.add("acme.pump", OTHER));
    let device = api.device();
    ingest(&program, &device, avro(ours, 1));
    api.expect_points(&device, &[point(1)]);
    until_equal(&vec![tried("schema-unavailable", 1, "")], || letters(api, &device));
    // From now on the id is known.
    ingest(&program, &device, avro(ours, 2));
    api.expect_points(&device, &[point(1), point(2)]);
    assert_eq!(letters(api, &device).len(), 1);

    let other = api.device();
    for unknown in [77, theirs] {
        ingest(&program, &other, avro(unknown, 3));
    }
    let expect = vec![tried("schema-unavailable", 1, "schema-unknown"); 2];
    until_equal(&expect, || letters(api, &other));
    // What is unknown is told of: the next one does not wait.
    ingest(&program, &other, avro(77, 4));
    let expect = [expect, vec![tried("schema-unknown", 0, "")]].concat();
    until_equal(&expect, || letters(api, &other));
    assert_eq!(warnings(&program), Vec::<String>::new());
}

#[test]
fn an_outage_is_waited_out_over_kills() {
    let (dir, mut registry) = (TempDir::new().unwrap(), FakeRegistry::start());
    let id = registry.add("pump-value", READING);
    registry.down();
    let program = start(&dir, &registry);
    let device = program.api.device();
    for seq in 1..=5 {
        ingest(&program, &device, avro(id, seq));
    }
    ingest(&program, &device, avro(77, 6));
    let waiting = vec![tried("schema-unavailable", 0, ""); 6];
    until_equal(&waiting, || letters(&program.api, &device));
    until_equal(&vec!["schema-registry-unavailable".to_owned()], || warnings(&program));
    assert_ne!(metric(program.listen.operations, "tidewater_schema_registry_silent_seconds"), 0);
    // Whoever tries by hand is told the same.
    let body = json!({"filter": {"reason": "schema-unavailable"}, "limit": 1});
    let (status, answer) = program.api.call("POST", "/v1/dead-letters/replay", Some(&body));
    assert_eq!((status, &answer["failed"]), (200, &json!({"schema-unavailable": 1})), "{answer}");
    let (status, refused) = program.api.call("POST", "/v1/schemas/refresh", None);
    assert_eq!((status, refused["code"].as_str()), (503, Some("schema-registry-unavailable")), "{refused}");
    program.kill();

    let program = start(&dir, &registry);
    until_equal(&vec!["schema-registry-unavailable".to_owned()], || warnings(&program));
    assert_eq!(program.api.points(&device, "x"), []);
    registry.up();
    let points: Vec<_> = (1..=5).map(point).collect();
    program.api.expect_points(&device, &points);
    let expect = [
        vec![tried("schema-unavailable", 2, "")],
        vec![tried("schema-unavailable", 1, ""); 4],
        vec![tried("schema-unavailable", 1, "schema-unknown")],
    ]
    .concat();
    until_equal(&expect, || letters(&program.api, &device));
    until_equal(&Vec::<String>::new(), || warnings(&program));
    program.kill();

    // Everything of it is in the log: with the registry gone for good nothing is asked and nothing tried again.
    registry.down();
    let program = start(&dir, &registry);
    until_equal(&vec!["schema-registry-unavailable".to_owned()], || warnings(&program));
    ingest(&program, &device, avro(id, 7));
    let points = [points, vec![point(7)]].concat();
    program.api.expect_points(&device, &points);
    ingest(&program, &device, avro(77, 8));
    let expect = [expect, vec![tried("schema-unknown", 0, "")]].concat();
    until_equal(&expect, || letters(&program.api, &device));
}

#[test]
fn a_registration_goes_there_and_comes_back() {
    let (dir, registry) = (TempDir::new().unwrap(), FakeRegistry::start());
    let program = start(&dir, &registry);
    let api = &program.api;
    registry.add("elsewhere", OTHER);
    let new = |schema: &str, major: bool| json!({"subject": "pump", "type": "avro", "schema": schema, "major": major});
    let (status, made) = api.call("POST", "/v1/schemas", Some(&new(READING, false)));
    assert_eq!(
        (status, &made["id"], &made["version"], &made["major"]),
        (201, &json!(1001), &json!(1), &json!(1)),
        "{made}"
    );
    assert_eq!(api.call("POST", "/v1/schemas", Some(&new(READING, false))), (200, made.clone()));
    let (status, refused) = api.call("POST", "/v1/schemas", Some(&new(OTHER, false)));
    assert_eq!((status, refused["code"].as_str()), (409, Some("schema-not-additive")), "{refused}");
    assert_eq!(registry.posts(), 1, "what is refused here is not sent");
    let (status, second) = api.call("POST", "/v1/schemas", Some(&new(OTHER, true)));
    assert_eq!((status, &second["id"], &second["major"]), (201, &json!(1000), &json!(2)), "{second}");

    // Somebody else registers there: a version that is more than additions is the next major.
    let third = registry.add("pump", READING);
    let fourth = registry.add("pump", r#"{"type":"record","name":"New","fields":[{"name":"z","type":"double"}]}"#);
    assert_eq!((third, fourth), (1001, 1002));
    let (status, refreshed) = api.call("POST", "/v1/schemas/refresh", None);
    assert_eq!(status, 200, "{refreshed}");
    let majors = api.get("/v1/schemas?subject=pump");
    let majors: Vec<_> = majors["schemas"].as_array().unwrap().iter().map(|row| (&row["major"], &row["id"])).collect();
    assert_eq!(majors, [(&json!(1), &json!(1001)), (&json!(2), &json!(1000)), (&json!(3), &json!(1002))]);
    assert_eq!(api.get("/v1/schemas?subject=elsewhere")["schemas"][0]["id"], 1000);

    let (status, told) = api.call("GET", "/schema-registry/subjects", None);
    assert_eq!((status, told["error_code"].as_u64()), (421, Some(421)));
    assert!(told["message"].as_str().unwrap().contains(&registry.url()), "{told}");
    let path = format!("/v1/schemas/{}", made["schema_id"].as_str().unwrap());
    let (status, refused) = api.call("DELETE", &path, None);
    assert_eq!((status, refused["code"].as_str()), (409, Some("schemas-external")), "{refused}");
    drop(program);

    // Its copies have ids of the other registry: they cannot become this server's own.
    std::fs::write(dir.path().join("tidewater.toml"), "").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidewater"));
    command.args(["serve", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--operations", "127.0.0.1:0"]);
    command.arg("--data").arg(dir.path().join("data")).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let status = until("it refuses to start", || child.try_wait().unwrap());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!status.success() && text.contains("external registry") && text.contains("schemas.url"), "{text}");
}

#[test]
fn there_is_nothing_to_take_over_from_oneself() {
    let world = super::world::World::shared();
    let (status, refused) = world.api.call("POST", "/v1/schemas/refresh", None);
    assert_eq!((status, refused["code"].as_str()), (409, Some("schemas-built-in")));
}
