//! Promise: an answer names the unit that the rules in force give its metric.

use arrow_ipc::reader::StreamReader;
use serde_json::{Value, json};

use super::{Device, Running};

/// Makes a resource and returns what was answered.
fn made(running: &Running, path: &str, body: &Value) -> Value {
    let answer = running.post(path, body);
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    answer.json()
}

fn schema(running: &Running, subject: &str, unit: &str) -> Value {
    let field = |unit: &str| json!({"type": "number", "unit": unit});
    let fields = json!({"temperature": field(unit), "pressure": field("[psi]"), "level": {"type": "number"}});
    let schema = json!({"type": "object", "properties": fields});
    made(running, "/v1/schemas", &json!({"subject": subject, "type": "json", "schema": schema}))["schema_id"].take()
}

fn patch(running: &Running, path: &str, body: &Value) {
    let json = [("content-type", "application/json")];
    let answer = running.request("PATCH", path, &running.key, &json, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
}

/// The unit of a metric of a device, in every answer that names it.
fn unit(running: &Running, device: &Device, metric: &str) -> Value {
    let path = format!("/v1/devices/{}/metrics?metric={metric}", device.id);
    let unit = running.get(&path).json()["unit"].take();
    assert_eq!(running.get(&format!("{path}&resolution=1m")).json()["unit"], unit, "buckets of {metric}");
    let latest = running.get(&format!("/v1/devices/{}/latest", device.id)).json();
    assert_eq!(latest["metrics"][metric]["unit"], unit, "latest {metric}");
    let many = running.get(&format!("/v1/latest?device={}", device.id)).json();
    assert_eq!(many["devices"][0]["metrics"][metric]["unit"], unit, "latest of many: {metric}");
    let ask = |accept: &str| running.request("GET", &path, &running.key, &[("accept", accept)], b"");
    let csv = ask("text/csv");
    assert_eq!(json!(csv.headers.get("tidewater-unit").map(|unit| unit.to_str().unwrap())), unit, "CSV: {metric}");
    let arrow = ask("application/vnd.apache.arrow.stream");
    let table = StreamReader::try_new(arrow.bytes.as_slice(), None).unwrap().schema();
    assert_eq!(json!(table.metadata().get("unit")), unit, "Arrow: {metric}");
    unit
}

fn unit_of_class(running: &Running, class: &str, metric: &str) -> Value {
    running.get(&format!("/v1/classes/{class}/metrics?metric={metric}")).json()["unit"].take()
}

#[test]
fn answers_name_the_unit_in_force() {
    let mut running = Running::start();
    let fahrenheit = schema(&running, "pump", "[degF]");
    let kelvin = schema(&running, "other", "K");
    let class = json!({"name": "pump", "schema_id": fahrenheit, "units": {"temperature": "Cel"},
        "computed": [{"metric": "twice", "expression": "level * 2", "unit": "m"}]});
    made(&running, "/v1/classes", &class);
    made(&running, "/v1/classes", &json!({"name": "fan", "schema_id": fahrenheit}));
    made(&running, "/v1/classes", &json!({"name": "bare"}));
    let (pump, fan, bare) = (running.device("pump"), running.device("fan"), running.device("bare"));
    let own = made(&running, "/v1/devices", &json!({"device_class": "fan", "schema_id": kelvin}));
    let text = |name: &str| own[name].as_str().unwrap().to_owned();
    let own = Device { id: text("device_id"), token: text("auth_token") };
    for device in [&pump, &fan, &bare, &own] {
        running.ingest(device, &json!({"temperature": 212, "pressure": 1, "level": 2}));
        running.eventually(&format!("/v1/devices/{}/latest", device.id), |body| body["metrics"]["level"].is_object());
    }

    // The class's, the computed metric's own, the schema's, and none.
    assert_eq!(unit(&running, &pump, "temperature"), "Cel");
    assert_eq!(unit(&running, &pump, "twice"), "m");
    assert_eq!(unit(&running, &pump, "pressure"), "[psi]");
    assert_eq!(unit(&running, &pump, "level"), Value::Null);
    assert_eq!(unit(&running, &fan, "temperature"), "[degF]");
    assert_eq!(unit(&running, &own, "temperature"), "K");
    assert_eq!(unit(&running, &bare, "temperature"), Value::Null);
    for (class, expect) in [("pump", json!("Cel")), ("fan", json!("[degF]")), ("bare", Value::Null)] {
        assert_eq!(unit_of_class(&running, class, "temperature"), expect, "{class}");
    }

    // What the tenant and the class say from now on is in the next answer, and is after a restart.
    let tenant = running.get("/v1/classes/pump").json()["tenant_id"].as_str().unwrap().to_owned();
    patch(&running, &format!("/v1/tenants/{tenant}"), &json!({"units": {"temperature": "K", "pressure": "kPa"}}));
    patch(&running, "/v1/classes/bare", &json!({"units": {"level": "m"}}));
    for restarted in [false, true] {
        if restarted {
            running.restart();
        }
        assert_eq!(unit(&running, &pump, "temperature"), "Cel", "restarted: {restarted}");
        assert_eq!(unit(&running, &pump, "pressure"), "kPa", "restarted: {restarted}");
        assert_eq!(unit(&running, &fan, "temperature"), "K", "restarted: {restarted}");
        assert_eq!(unit(&running, &bare, "level"), "m", "restarted: {restarted}");
        assert_eq!(unit_of_class(&running, "fan", "pressure"), "kPa", "restarted: {restarted}");
    }
    patch(&running, "/v1/classes/pump", &json!({"units": {"temperature": null}}));
    assert_eq!(unit(&running, &pump, "temperature"), "K");
    patch(&running, &format!("/v1/devices/{}", bare.id), &json!({"device_class": "pump"}));
    assert_eq!(unit(&running, &bare, "pressure"), "kPa");
}
