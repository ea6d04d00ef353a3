//! Clients that leave as much unacknowledged as they can.

use std::time::Duration;

use anyhow::{Context as _, Result};
use mqtt::{Qos, Version};
use serde_json::json;

use super::client::Client;
use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::strace::{Injection, Tracer};
use super::{Context, Scenario};
use crate::api::NewDevice;
use crate::process;

pub const SCENARIO: Scenario = Scenario {
    name: "in-flight",
    what: "on a disk that stalls, clients send 65,535 publishes without waiting: QoS 1, and QoS 2 that is never released",
    must: "0x93 or back-pressure; the memory of each is bounded; others go on",
    rounds: 6,
    run,
};

const RATE: f64 = 2_000.0;
const ACKED_LEAST: u64 = 200;
const PUBLISHES: u16 = 65_535;
const DELAY: Duration = Duration::from_secs(1);
/// How long a write may find no room before that counts as back-pressure.
const PRESSURE: Duration = Duration::from_secs(2);
/// Receive Maximum messages of this size, what is being read, and what waits to be written, many times over.
const BYTES_EACH_MAX: u64 = 32 << 20;
const PROTOCOL_ERRORS: [u8; 2] = [0x93, 0x97];

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    let (mut most, mut told, mut pressed, mut closed) = (0, 0, 0, 0);
    for round in 1..=context.rounds {
        stage.wait_acked(ACKED_LEAST)?;
        let version = if round.is_multiple_of(2) { Version::V3 } else { Version::V5 };
        let qos = if round % 4 < 2 { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
        let id = model::DeviceId::random();
        let device = NewDevice { id, class: "greedy".to_owned(), metadata: json!({}) };
        let registered = stage.api().register(&[device], |_| ())?.pop().context("a device was registered")?;
        let token = registered.auth_token.context("a new device has a token")?;
        let topic = format!("tenant/{}/device/{id}/data", registered.tenant_id);
        let mut client = Client::connect(&stage.listen().mqtt, version, &id.to_string(), &token, PRESSURE)?;
        let injection = Injection::new("fdatasync", &format!("delay_enter={}", DELAY.as_micros()));
        let tracer = Tracer::attach(stage.pid()?, &injection, context.clock)?;
        let before = process::memory_bytes(stage.pid()?)?.0;
        let payload = json!({"metrics": {"x": 1}, "tags": {"t": "x".repeat(100)}}).to_string();
        let sent =
            (1..=PUBLISHES).take_while(|id| client.publish(&topic, qos, *id, payload.as_bytes()).is_ok()).count();
        most = process::memory_bytes(stage.pid()?)?.0.saturating_sub(before).max(most);
        drop(tracer);
        match farewell(&mut client) {
            Some(reason) if PROTOCOL_ERRORS.contains(&reason) => told += 1,
            Some(_) => closed += 1,
            None => pressed += u64::from(sent < usize::from(PUBLISHES)),
        }
        (context.say)(format!("round {round} of {}: {sent} sent", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("told 0x93 or 0x97", told);
    let outcome =
        outcome.with("held back", pressed).with("closed otherwise", closed).with("MiB more at most", most >> 20);
    stage.finish(outcome.expects(most <= BYTES_EACH_MAX, || format!("one client cost {} MiB", most >> 20)))
}

/// The reason of a DISCONNECT behind all acknowledgements, if there is one.
fn farewell(client: &mut Client) -> Option<u8> {
    while let Ok(Some(packet)) = client.receive() {
        if packet[0] == 0xE0 {
            return Some(packet.get(2).copied().unwrap_or(0));
        }
    }
    None
}
