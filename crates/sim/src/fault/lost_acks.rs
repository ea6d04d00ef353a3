//! Acknowledgements that never arrive: everything is sent again, over new connections and across restarts.

use std::time::Duration;

use anyhow::Result;

use super::outcome::Outcome;
use super::proxy::Proxy;
use super::stage::{Protocol, Stage, mixed};
use super::{Context, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "lost-acks",
    what: "a proxy swallows acknowledgements and cuts every connection again and again; kill -9 in between",
    must: "each (device, boot, seq) is stored once; nothing that is new is taken for a repetition",
    rounds: 40,
    run,
};

const RATE: f64 = 6_000.0;
const ACKED_LEAST: u64 = 500;
/// How long each life of the server lasts beyond the first acknowledgements.
const LIFE: Duration = Duration::from_millis(700);

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    let mqtt = Proxy::start(&stage.listen().mqtt, context.seed)?;
    let http = Proxy::start(&stage.listen().http, context.seed ^ 1)?;
    for generator in mixed(RATE) {
        let proxy = if matches!(generator.protocol, Protocol::Http(_)) { &http } else { &mqtt };
        stage.load_at(&generator, &proxy.address.to_string())?;
    }
    for round in 1..=context.rounds {
        stage.wait_acked(ACKED_LEAST)?;
        stage.pass(LIFE)?;
        stage.kill()?;
        stage.start()?;
        (context.say)(format!("round {round} of {}: {} connections cut", context.rounds, mqtt.cut() + http.cut()));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("connections cut", mqtt.cut() + http.cut());
    stage.finish(outcome.with("bytes of answers lost", mqtt.swallowed() + http.swallowed()))
}
