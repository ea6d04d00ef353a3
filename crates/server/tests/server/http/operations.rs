//! The operations listener, the description of the API, and the page for people.

use serde_json::json;

use super::Running;

#[test]
fn live_ready_and_metrics_are_served_without_a_credential() {
    let running = Running::start();
    let device = running.device("pump");
    running.ingest(&device, &json!([{"seq": 1, "metrics": {"a": 1}}, {"seq": 1, "metrics": {"a": 1}}, {"seq": 2}]));
    running.points(&device, "a", 1);
    assert_eq!(running.operations("/live").json(), json!({"live": true}));
    let ready = running.operations("/ready");
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "reasons": [], "warnings": []})));
    let metrics = running.operations("/metrics");
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "tidewater_acknowledged_payloads_total{protocol=\"http\"} 1",
        "tidewater_messages_accepted_total 1",
        "tidewater_messages_duplicate_total 1",
        "tidewater_messages_rejected_total{reason=\"metrics-missing\"} 1",
        "tidewater_http_requests_total{route=\"/v1/ingest/{device_id}\",status=\"2xx\"} 1",
        "# EOF",
    ] {
        assert!(metrics.text().lines().any(|found| found == line), "{line} is not in\n{}", metrics.text());
    }
    assert!(!metrics.text().contains(&device.id), "no label names a device");
}

#[test]
fn the_description_lists_what_the_router_answers() {
    let running = Running::start();
    let description = running.request("GET", "/openapi.json", "", &[], b"").json();
    assert_eq!(description["openapi"], "3.1.0");
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            // Without a credential: open routes answer, all others ask for one. None is unknown.
            let path = path.replace(['{', '}'], "");
            let status = running.request(&method.to_uppercase(), &path, "", &[], b"").status;
            assert!([200, 401].contains(&status), "{method} {path} answers {status}");
        }
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let running = Running::start();
    let page = running.request("GET", "/", "", &[], b"");
    assert_eq!((page.status, page.headers["content-type"].to_str().ok()), (200, Some("text/html; charset=utf-8")));
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert!(!page.text().contains("src=\"http") && !page.text().contains("href=\"http"));
}
