//! Topics without end: a million different ones, one of nothing but slashes, and as many devices as somebody invents.

use std::time::Duration;

use anyhow::{Context as _, Result};
use mqtt::client::PublishTemplate;
use mqtt::{Qos, Version};

use super::client::Client;
use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::{Context, Scenario};
use crate::process;

pub const SCENARIO: Scenario = Scenario {
    name: "topics",
    what: "an API key publishes to a million free topics, to topics of 65,535 slashes, and to devices that do not exist",
    must: "beyond a limit there is a clear refusal; memory stays in proportion to the topics; the rest goes on",
    rounds: 100,
    run,
};

const RATE: f64 = 1_000.0;
const ACKED_LEAST: u64 = 200;
/// Topics of a round.
const TOPICS: u32 = 10_000;
/// What the server may keep for a topic that was used.
const BYTES_EACH_MAX: u64 = 2 << 10;
/// Memory that is there anyway, such as batches and caches.
const BYTES_BESIDE: u64 = 256 << 20;
const WAIT_MAX: Duration = Duration::from_secs(30);

fn run(context: &Context<'_>) -> Result<Outcome> {
    let mut stage = Stage::open(context, "")?;
    stage.load(&mixed(RATE))?;
    stage.wait_acked(ACKED_LEAST)?;
    let before = process::memory_bytes(stage.pid()?)?.0;
    let (key, at) = (stage.api().key().to_owned(), stage.listen().mqtt.clone());
    let connect = || Client::connect(&at, Version::V5, "key", &key, WAIT_MAX);
    let (mut accepted, mut refused, mut odd) = (0, 0, 0);
    for round in 0..context.rounds {
        let mut client = connect()?;
        for part in (0..TOPICS).collect::<Vec<_>>().chunks(500) {
            let mut out = Vec::new();
            for (place, number) in part.iter().enumerate() {
                let topic = format!("free/{}/{number}", u64::from(round) + context.seed * 1_000);
                PublishTemplate::new(Version::V5, &topic, Qos::AtLeastOnce, &[]).encode(
                    &mut out,
                    place as u16 + 1,
                    b"{}",
                );
            }
            client.send(&out)?;
            for _ in part {
                let answer = client.receive()?.context("the connection ended among free topics")?;
                let failed = answer.get(4).is_some_and(|reason| *reason >= 0x80);
                (accepted, refused) = (accepted + u64::from(!failed), refused + u64::from(failed));
            }
        }
        for topic in ["/".repeat(65_535), format!("tenant/{}", "/".repeat(65_000)), strange_device()] {
            let mut client = connect()?;
            client.publish(&topic, Qos::AtLeastOnce, 1, b"{}")?;
            let answer = client.receive()?;
            odd += u64::from(
                answer.is_some_and(|answer| answer[0] == 0x40 && answer.get(4).is_none_or(|reason| *reason < 0x80)),
            );
        }
        (context.say)(format!("round {} of {}: {accepted} topics", round + 1, context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let more = process::memory_bytes(stage.pid()?)?.0.saturating_sub(before);
    let allowed = accepted * BYTES_EACH_MAX + BYTES_BESIDE;
    let outcome = Outcome::default().rounds(context.rounds.into()).with("topics", accepted).with("refused", refused);
    let outcome = outcome.with("MiB more", more >> 20);
    let outcome = outcome.expects(odd == 0, || format!("{odd} publishes to impossible topics were acknowledged"));
    stage.finish(outcome.expects(more <= allowed, || format!("{} MiB for {accepted} topics", more >> 20)))
}

/// A topic of a device that nobody registered, in a tenant that nobody made.
fn strange_device() -> String {
    format!("tenant/{}/device/{}/data", model::TenantId::random(), model::DeviceId::random())
}
