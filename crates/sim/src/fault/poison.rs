//! Payloads that break parsers, each between two good messages of its device.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use model::DeviceId;
use mqtt::{Qos, Version};
use serde_json::{Value, json};

use super::client::Client;
use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::{Context, Scenario};
use crate::api::NewDevice;
use crate::seeded::hash;

pub const SCENARIO: Scenario = Scenario {
    name: "poison",
    what: "payloads that overflow, nest, lie about their length, name no schema or are no text, and mutations of a good one",
    must: "each is acknowledged and becomes a reading or a dead letter with its cause; the message behind it is stored",
    rounds: 400,
    run,
};

const RATE: f64 = 2_000.0;
const ACKED_LEAST: u64 = 200;
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    stage.wait_acked(ACKED_LEAST)?;
    let id = DeviceId::random();
    let device = NewDevice { id, class: "poison".to_owned(), metadata: json!({}) };
    let registered = stage.api().register(&[device], |_| ())?.pop().context("a device was registered")?;
    let token = registered.auth_token.context("a new device has a token")?;
    let topic = format!("tenant/{}/device/{id}/data", registered.tenant_id);
    let mut client = Client::connect(&stage.listen().mqtt, Version::V5, &id.to_string(), &token, ANSWER_WAIT_MAX)?;
    let known = known();
    let mut unanswered = 0;
    for round in 0..u64::from(context.rounds) {
        let poison = known.get(round as usize).cloned().unwrap_or_else(|| mutated(context.seed, round));
        let packet_id = 1 + (round as u16 % 30_000) * 2;
        client.publish(&topic, Qos::AtLeastOnce, packet_id, &poison)?;
        client.publish(&topic, Qos::AtLeastOnce, packet_id + 1, good(round).as_bytes())?;
        for id in [packet_id, packet_id + 1] {
            let answer = client.receive()?.with_context(|| format!("payload {round} ended the connection"))?;
            unanswered += u64::from(answer[..2] != [0x40, 2] || answer[2..4] != id.to_be_bytes());
        }
        (context.say)(format!("payload {round} of {}", context.rounds));
    }
    let stored =
        |metric: &str| Ok::<_, anyhow::Error>(stage.api().points(id, metric)?.map_or(0, |points| points.len()));
    let goal = context.rounds as usize;
    let all = stage.wait_at_most(ANSWER_WAIT_MAX, || Ok((stored("good")? == goal).then_some(())))?.is_some();
    let letters = letters(&stage, id)?;
    let unexplained = letters.iter().filter(|letter| letter["reason"].as_str().is_none_or(str::is_empty)).count();
    let outcome = Outcome::default().rounds(context.rounds.into()).with("dead letters", letters.len() as u64);
    let outcome = outcome.expects(unanswered == 0, || format!("{unanswered} were not acknowledged"));
    let outcome = outcome.expects(all, || "a message behind a poisoned one is not stored".to_owned());
    let outcome = outcome.expects(unexplained == 0, || format!("{unexplained} dead letters have no reason"));
    let few = letters.len() < known.len().min(goal) / 2;
    stage.finish(outcome.expects(!few, || format!("only {} dead letters", letters.len())))
}

fn good(round: u64) -> String {
    format!("{{\"seq\":{round},\"boot\":1,\"metrics\":{{\"good\":{round}}}}}")
}

/// All dead letters of a device.
fn letters(stage: &Stage<'_>, device: DeviceId) -> Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Value = stage.api().get(&format!("/v1/dead-letters?device={device}{cursor}"))?;
        all.extend(page["dead_letters"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

/// Payloads that are known to break things.
fn known() -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    let deep = |depth: usize| ["{\"metrics\":", &"[".repeat(depth), &"]".repeat(depth), "}"].concat();
    let many = |count: usize| {
        let metrics: Vec<String> = (0..count).map(|at| format!("\"m{at}\":1")).collect();
        format!("{{\"metrics\":{{{}}}}}", metrics.join(","))
    };
    vec![
        text(r#"{"metrics":{"x":1e400}}"#),
        text(r#"{"metrics":{"x":-1e400,"y":1e-400}}"#),
        text(r#"{"metrics":{"x":NaN}}"#),
        text(r#"{"metrics":{"x":18446744073709551616}}"#),
        text(r#"{"seq":-1,"metrics":{"x":1}}"#),
        text(r#"{"seq":99999999999999999999999,"metrics":{"x":1}}"#),
        text(r#"{"ts":1e300,"metrics":{"x":1}}"#),
        text(r#"{"metrics":{"x":"\ud800"}}"#),
        text(r#"{"metrics":{"\u0000":1}}"#),
        text(r#"{"metrics":{"":1}}"#),
        text(r#"{"metrics":{"x":1,"x":"two"}}"#),
        text(r#"{"metrics":{}}"#),
        text(""),
        text("{"),
        text("null"),
        text("[]"),
        text("[[[]]]"),
        text(r#"{"metrics":{"x":1}"#),
        deep(40).into_bytes(),
        deep(100_000).into_bytes(),
        many(1_025).into_bytes(),
        text(&format!("{{\"metrics\":{{\"{}\":1}}}}", "n".repeat(100_000))),
        text(&format!("{{\"metrics\":{{\"x\":{}}}}}", "9".repeat(100_000))),
        text(&format!("[{}]", vec!["{\"metrics\":{\"x\":1e999}}"; 10_001].join(","))),
        // The wire format of Confluent, with a schema that nobody registered.
        vec![0, 0x7F, 0xFF, 0xFF, 0xFF, 1, 2, 3],
        vec![0, 0, 0, 0],
        // Avro's single-object encoding, likewise.
        vec![0xC3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        // A MessagePack map and a CBOR array that say they have four billion entries.
        vec![0xDF, 0xFF, 0xFF, 0xFF, 0xFF],
        vec![0x9B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        vec![0xFF; 1_000],
        vec![0; 1_000],
        broken_gzip(),
    ]
}

/// Bytes that look like a gzip stream and are none.
fn broken_gzip() -> Vec<u8> {
    let mut bytes = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3];
    bytes.resize(60_000, 0);
    bytes
}

/// A good message with some bytes changed.
fn mutated(seed: u64, round: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    drop(write!(bytes, "{{\"ts\":1700000000000,\"seq\":{},\"boot\":2,\"metrics\":{{\"x\":1.5,\"y\":-2e3}}}}", round));
    for change in 0..=hash([seed, round]) % 4 {
        let choice = hash([seed, round, change]);
        let at = (choice % bytes.len() as u64) as usize;
        bytes[at] = (choice >> 32) as u8;
    }
    bytes
}
