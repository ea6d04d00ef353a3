//! Senders whose topics name another tenant than their credential's.

use std::time::Duration;

use anyhow::Result;
use mqtt::{Qos, Version};

use super::outcome::Outcome;
use super::stage::{Generator, Protocol, SMALL_SEGMENTS, Stage, mixed};
use super::{Context, Scenario};
use crate::load::payload::Shape;

pub const SCENARIO: Scenario = Scenario {
    name: "walls",
    what: "devices and API keys publish to topics of another tenant, by MQTT 3.1.1 and 5, QoS 1 and 2, beside a sound load",
    must: "none of it is acknowledged or stored; no tenant sees another one's readings",
    rounds: 3,
    run,
};

const RATE: f64 = 2_000.0;
const ACKED_LEAST: u64 = 500;
/// What stands under a wrong tenant does not become queryable by waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long they try.
const TRIES: Duration = Duration::from_secs(2);

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::default().rounds(context.rounds.into());
    for round in 1..=context.rounds {
        let mut stage = Stage::open(context, SMALL_SEGMENTS)?;
        stage.patience = PATIENCE;
        stage.load(&mixed(RATE))?;
        stage.wait_acked(ACKED_LEAST)?;
        stage.end_loads(Outcome::default())?;
        for (number, (version, qos)) in
            [(Version::V5, Qos::AtLeastOnce), (Version::V3, Qos::AtLeastOnce), (Version::V5, Qos::ExactlyOnce)]
                .into_iter()
                .enumerate()
        {
            let devices = 1 + 2 * (number % 2);
            let generator = Generator {
                name: "astray",
                protocol: Protocol::Mqtt(version, qos),
                connections: 1,
                devices,
                window: 10,
                rate: Some(500.0),
                shape: Shape::Two,
                astray: true,
            };
            stage.load(&[generator])?;
        }
        stage.pass(TRIES)?;
        let acked = stage.acked();
        (context.say)(format!("round {round} of {}", context.rounds));
        outcome =
            outcome.expects(acked == 0, || format!("{acked} messages to another tenant's topics were acknowledged"));
        let found = stage.finish(Outcome::default())?;
        outcome.ack_ms = found.ack_ms.or(outcome.ack_ms);
        outcome = found.counts.into_iter().fold(outcome, Outcome::counted);
    }
    Ok(outcome)
}
