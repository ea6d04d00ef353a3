//! Readings over HTTP: shapes, pages, forms.

use arrow_array::{Array, Float64Array, TimestampMillisecondArray};
use arrow_ipc::reader::StreamReader;
use serde_json::{Value, json};

use super::{Device, Running};

const MINUTE: i64 = 60_000;
const START: i64 = 1_700_000_040_000;

/// Three readings in each of four minutes, one of them with a tag.
fn filled(running: &Running, class: &str) -> Device {
    let device = running.device(class);
    let messages = (0..12i64).map(|at| {
        let mut message = json!({"ts": START + at * 20_000, "seq": at, "boot": 1, "metrics": {"a": at, "on": at % 2 == 0, "mode": "run"}});
        if at == 4 {
            message["tags"] = json!({"line": "A"});
        }
        message
    });
    running.ingest(&device, &json!(messages.collect::<Vec<_>>()));
    running.points(&device, "mode", 12);
    device
}

fn path(device: &Device, more: &str) -> String {
    format!("/v1/devices/{}/metrics?metric=a&from={START}&to={}{more}", device.id, START + 4 * MINUTE)
}

#[test]
fn raw_points_have_seq_boot_and_tags() {
    let running = Running::start();
    let device = filled(&running, "pump");
    let answer = running.get(&path(&device, "&limit=5")).json();
    let received = &answer["points"][4]["received"];
    assert_eq!(
        answer["points"][4],
        json!({"ts": START + 80_000, "value": 4.0, "seq": 4, "boot": 1, "received": received, "tags": {"line": "A"}})
    );
    assert_eq!(answer["device_id"], device.id);
    assert_eq!((&answer["metric"], &answer["unit"], &answer["resolution"]), (&json!("a"), &json!(null), &json!(null)));
    assert_eq!(answer["sources"], json!([{"tier": "head", "rows": 12}]));
    let cursor = answer["next"].as_str().unwrap();
    let rest = running.get(&path(&device, &format!("&cursor={cursor}"))).json();
    let seqs: Vec<_> = rest["points"].as_array().unwrap().iter().map(|point| point["seq"].clone()).collect();
    assert_eq!(json!(seqs), json!([5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(rest["next"], Value::Null);
    let tagged = running.get(&path(&device, "&tag.line=A")).json();
    assert_eq!(tagged["points"].as_array().map(Vec::len), Some(1));
}

/// A clock that is wrong, or a message that waited: both times are told.
#[test]
fn a_point_says_when_it_was_received_where_that_is_another_time() {
    let running = Running::start();
    let device = running.device("pump");
    let clock = model::Clock::system();
    let before = clock.now_ms();
    let sent = [("old", before - 3_600_000), ("early", before + 120_000), ("right", before)];
    for (seq, (_, ts)) in sent.iter().enumerate() {
        running.ingest(&device, &json!({"ts": ts, "seq": seq, "metrics": {"a": seq}}));
    }
    running.ingest(&device, &json!({"seq": 3, "metrics": {"a": 3}}));
    running.points(&device, "a", 4);
    let after = clock.now_ms();
    let path = format!("/v1/devices/{}/metrics?metric=a&from=0&to={}", device.id, before + 3_600_000);
    let answer = running.get(&path).json();
    let received = |seq: u64| {
        let points = answer["points"].as_array().unwrap();
        points.iter().find(|point| point["seq"] == seq).unwrap()["received"].as_i64()
    };
    for (seq, (name, _)) in sent.iter().enumerate().take(2) {
        let at = received(seq as u64).expect(name);
        assert!((before..=after).contains(&at), "{name}: {at} is not from {before} to {after}");
    }
    assert_eq!((received(2), received(3)), (None, None));
}

#[test]
fn buckets_have_a_field_for_each_aggregate() {
    let running = Running::start();
    let device = filled(&running, "pump");
    let answer = running.get(&path(&device, "&resolution=1m&agg=avg,min,max,sum,count,first,last")).json();
    let bucket = |ts: i64, first: i64| {
        json!({"ts": ts, "avg": (first + 1) as f64, "min": first as f64, "max": (first + 2) as f64,
            "sum": (3 * first + 3) as f64, "count": 3, "first": first as f64, "last": (first + 2) as f64})
    };
    let expect: Vec<_> = (0..4).map(|at| bucket(START + at * MINUTE, 3 * at)).collect();
    assert_eq!(answer["points"], json!(expect));
    assert_eq!(answer["resolution"], "1m");
    let all = running.get(&path(&device, "&resolution=all&agg=p50")).json();
    assert_eq!(all["points"], json!([{"ts": START, "p50": 5.5}]));
    let flags =
        format!("/v1/devices/{}/metrics?metric=on&from={START}&to={}&resolution=all", device.id, START + MINUTE);
    assert_eq!(running.get(&flags).json()["points"][0]["avg"], 2.0 / 3.0);
}

#[test]
fn a_class_answers_over_all_its_devices_or_by_device() {
    let running = Running::start();
    let (first, second) = (filled(&running, "pump"), filled(&running, "pump"));
    filled(&running, "fan");
    let class =
        format!("/v1/classes/pump/metrics?metric=a&from={START}&to={}&resolution=all&agg=count", START + MINUTE);
    let answer = running.get(&class).json();
    assert_eq!((&answer["class"], &answer["points"]), (&json!("pump"), &json!([{"ts": START, "count": 6}])));
    let series = running.get(&format!("{class}&by=device")).json()["series"].clone();
    let mut ids = [first.id, second.id];
    ids.sort();
    let expect = ids.clone().map(|id| json!({"device_id": id, "points": [{"ts": START, "count": 3}]}));
    assert_eq!(series, json!(expect));
    let latest = running.get("/v1/latest?class=pump&limit=1").json();
    assert_eq!(latest["devices"][0]["device_id"], ids[0]);
    assert_eq!(latest["devices"][0]["metrics"]["a"], json!({"ts": START + 220_000, "value": 11.0}));
    let next = latest["next"].as_str().unwrap();
    assert_eq!(running.get(&format!("/v1/latest?class=pump&cursor={next}")).json()["devices"][0]["device_id"], ids[1]);

    // A list of devices, alone or within a class.
    let named = |path: &str| -> Vec<String> {
        let devices = running.get(path).json()["devices"].clone();
        let ids = devices.as_array().unwrap().iter().map(|found| found["device_id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let [one, other] = &ids;
    assert_eq!(named(&format!("/v1/latest?device={other},{one}")), [one.clone(), other.clone()]);
    assert_eq!(named(&format!("/v1/latest?class=pump&device={other}")), std::slice::from_ref(other));
    assert_eq!(named(&format!("/v1/latest?class=fan&device={other}")), [""; 0]);
    let of_one = running.get(&format!("{class}&device={one}")).json();
    assert_eq!((&of_one["class"], &of_one["points"]), (&json!("pump"), &json!([{"ts": START, "count": 3}])));
    assert_eq!(running.get("/v1/latest?device=x").problem(), (400, "device-id-malformed".to_owned()));
    let many = vec![one.as_str(); 1001].join(",");
    assert_eq!(running.get(&format!("/v1/latest?device={many}")).problem(), (400, "parameter-invalid".to_owned()));
}

#[test]
fn csv_and_arrow_have_the_same_rows() {
    let running = Running::start();
    let device = filled(&running, "pump");
    let ask = |accept: &str, more: &str| {
        running.request("GET", &path(&device, more), &running.key, &[("accept", accept)], b"")
    };
    let csv = ask("text/csv", "&limit=2");
    let received = running.get(&path(&device, "&limit=1")).json()["points"][0]["received"].clone();
    let second = START + 20_000;
    let expect =
        format!("ts,value,seq,boot,tags,received\r\n{START},0.0,0,1,,{received}\r\n{second},1.0,1,1,,{received}\r\n");
    assert_eq!(csv.text(), expect);
    assert!(csv.headers.contains_key("tidewater-next"));
    assert_eq!(ask("text/csv", "&resolution=2m&agg=max,count").text().lines().nth(1), Some(&*format!("{START},5.0,6")));

    let arrow = ask("application/vnd.apache.arrow.stream", "");
    let batch = StreamReader::try_new(arrow.bytes.as_slice(), None).unwrap().next().unwrap().unwrap();
    let column = |name: &str| batch.column_by_name(name).unwrap().clone();
    let (ts, value) = (column("ts"), column("value"));
    let ts = ts.as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
    let value = value.as_any().downcast_ref::<Float64Array>().unwrap();
    assert_eq!((ts.len(), ts.value(11), value.value(11)), (12, START + 220_000, 11.0));
    let times = column("received");
    let times = times.as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
    assert_eq!(Some(times.value(11)), received.as_i64());
    assert_eq!(ask("image/png", "").problem(), (406, "not-acceptable".to_owned()));
}

#[test]
fn a_question_that_cannot_be_answered_says_why() {
    let running = Running::start();
    let device = filled(&running, "pump");
    let base = format!("/v1/devices/{}", device.id);
    for (path, status, code) in [
        (format!("{base}/metrics"), 400, "parameter-missing"),
        (format!("{base}/metrics?metric=a&resolution=banana"), 400, "parameter-invalid"),
        (format!("{base}/metrics?metric=a&resolution=1m&agg=median"), 400, "query-invalid"),
        (format!("{base}/metrics?metric=a&agg=max"), 400, "parameter-missing"),
        (format!("{base}/metrics?metric=a&from=tomorrow"), 400, "time-invalid"),
        (format!("{base}/metrics?metric=a&from=2000&to=1000"), 400, "time-invalid"),
        (format!("{base}/metrics?metric=a&metrc=b"), 400, "parameter-unknown"),
        (format!("{base}/metrics?metric=a&cursor=x"), 400, "query-invalid"),
        (format!("{base}/metrics?metric=a&limit=0"), 400, "parameter-invalid"),
        (format!("{base}/metrics?metric=a&type=number"), 400, "parameter-invalid"),
        ("/v1/devices/00000000-0000-4000-8000-000000000000/metrics?metric=a".to_owned(), 404, "device-unknown"),
        ("/v1/devices/x/latest".to_owned(), 400, "device-id-malformed"),
        ("/v1/latest?class=none".to_owned(), 404, "class-unknown"),
        ("/v1/latest".to_owned(), 400, "parameter-missing"),
    ] {
        assert_eq!(running.get(&path).problem(), (status, code.to_owned()), "{path}");
    }
    assert_eq!(running.get(&format!("{base}/metrics?metric=unheard")).json()["points"], json!([]));
}

#[test]
fn a_deleted_device_keeps_its_readings_unless_they_are_erased_with_it() {
    let running = Running::start();
    let (kept, erased) = (filled(&running, "pump"), filled(&running, "pump"));
    let delete = |device: &Device, more: &str| {
        let path = format!("/v1/devices/{}{more}", device.id);
        running.request("DELETE", &path, &running.key, &[], b"").status
    };
    assert_eq!((delete(&kept, ""), delete(&erased, "?data=erase")), (204, 204));
    let points = |device: &Device| running.get(&path(device, "")).json()["points"].as_array().map(Vec::len);
    assert_eq!(points(&kept), Some(12));
    assert_eq!(points(&erased), None, "nothing is left of it: the device is unknown");
    assert_eq!(running.get(&path(&erased, "")).problem().1, "device-unknown");
}
