//! A load on several servers, round by round in turn, so that what disturbs the machine meets them all.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use mqtt::{Qos, Version};
use serde_json::{Value, json};

use super::peers::Peer;
use super::{SuiteConfig, median, middle};
use crate::bench::measure::measure;
use crate::bench::subject::{Request, Subject};
use crate::bench::{Bench, Figures, Load, Protocol, Step};
use crate::load::Times;
use crate::load::payload::Shape;

/// How long a round of the null server and of another server takes.
const NULL_ROUND: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(2);
/// How often the probe of a round at full rate looks: rarely, since it takes CPU from what it looks at.
const PROBE_INTERVAL: Duration = Duration::from_millis(150);

/// A load and what it is called.
#[derive(Clone, Debug)]
pub struct Case {
    /// Names it in the baseline.
    pub key: &'static str,
    pub title: &'static str,
    pub load: Load,
    /// The share of the null server that it is to reach.
    pub share_min: Option<f64>,
    pub probe_interval: Duration,
}

impl Case {
    /// MQTT QoS 1 with one device a connection, messages of two metrics, as fast as the window allows.
    pub fn new(key: &'static str, title: &'static str, connections: usize, window: u32) -> Self {
        let load = Load {
            protocol: Protocol::Mqtt { version: Version::V5, qos: Qos::AtLeastOnce },
            connections,
            devices: connections,
            with_key: false,
            window,
            rate: None,
            shape: Shape::Two,
            seed: 1,
            with_boot: false,
            times: Times::Now,
            messages: None,
            duration: Some(ROUND),
            threads: 1,
            reconnect: false,
            with_schema: false,
        };
        Self { key, title, load, share_min: None, probe_interval: PROBE_INTERVAL }
    }

    /// With the share of the null server that it is to reach.
    pub fn at_least(self, share: f64) -> Self {
        Self { share_min: Some(share), ..self }
    }

    /// With another load.
    pub fn with(mut self, change: impl FnOnce(&mut Load)) -> Self {
        change(&mut self.load);
        self
    }

    /// The load for the null server, which needs no long run to be known; at a pace the latencies do.
    fn short(&self) -> Load {
        let duration = self.load.duration.map(|duration| duration.min(NULL_ROUND));
        Load { duration: if self.load.rate.is_none() { duration } else { self.load.duration }, ..self.load.clone() }
    }

    /// The servers that every case has: the null server and a new Tidewater.
    pub fn subjects(&self, bench: Bench<'_>, config: &SuiteConfig) -> Result<Vec<Contender>> {
        let request = Request { load: &self.load, probe_interval: Some(self.probe_interval) };
        Ok(vec![
            Contender::new("null", self.short(), Subject::null(bench, &self.load)?),
            Contender::new("tidewater", self.load.clone(), Subject::start(bench, &request, &config.parent, &[])?),
        ])
    }

    /// The other brokers that were asked for, if they can take the load.
    pub fn peers(&self, bench: Bench<'_>, config: &SuiteConfig) -> Result<Vec<Contender>> {
        let started = config.peers.start(bench, &self.load)?;
        let contender = |peer: Peer| {
            let mut load = self.short();
            if let Protocol::Mqtt { version, .. } = &mut load.protocol {
                *version = peer.version;
            }
            Contender { may_fail: true, ..Contender::new(peer.name, load, Subject::peer(&self.load, peer)) }
        };
        Ok(started.into_iter().map(contender).collect())
    }
}

/// A server in a case, with its load.
pub struct Contender {
    pub name: &'static str,
    pub load: Load,
    pub subject: Subject,
    /// Another broker, whose failure is a figure and not the end.
    may_fail: bool,
}

impl Contender {
    pub fn new(name: &'static str, load: Load, subject: Subject) -> Self {
        Self { name, load, subject, may_fail: false }
    }
}

/// What one server did, round by round.
pub struct Measured {
    pub name: &'static str,
    pub rounds: Vec<Figures>,
    /// Why a round has no figures.
    pub trouble: Option<String>,
}

impl Measured {
    pub fn middle(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        middle(&self.rounds, figure)
    }

    /// The greatest of all rounds.
    pub fn most(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        self.rounds.iter().filter_map(figure).reduce(f64::max)
    }

    pub fn rate(&self) -> Option<f64> {
        self.middle(|figures| Some(figures.acked_per_second))
    }

    /// The median of a figure's share of another server's in the same round.
    pub fn share_of(&self, other: &Self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        let shares =
            self.rounds.iter().zip(&other.rounds).filter_map(|(own, other)| Some(figure(own)? / figure(other)?));
        median(shares)
    }

    pub fn data(&self) -> Value {
        json!({"server": self.name, "rounds": self.rounds})
    }
}

/// Measures every contender once a round, in turn; then ends them. The first is the null server.
pub fn run(bench: Bench<'_>, title: &str, mut contenders: Vec<Contender>, rounds: usize) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = contenders
        .iter()
        .map(|contender| Measured { name: contender.name, rounds: Vec::new(), trouble: None })
        .collect();
    for round in 1..=rounds {
        for (contender, measured) in contenders.iter_mut().zip(&mut measured) {
            (bench.step)(Step::Part(format!("{title}, {} (round {round} of {rounds})", contender.name)));
            if measured.trouble.is_some() {
                continue;
            }
            let figures = measure(bench, &contender.load, &mut contender.subject, None);
            match figures.and_then(|figures| check(&figures, contender).map(|()| figures)) {
                Ok(figures) => measured.rounds.push(figures),
                Err(error) if contender.may_fail => measured.trouble = Some(format!("{error:#}")),
                Err(error) => return Err(error.context(format!("{title}, round {round}"))),
            }
            if bench.stop.wanted() {
                bail!("stopped before all rounds were measured");
            }
        }
    }
    contenders.into_iter().try_for_each(|contender| contender.subject.end())?;
    Ok(measured)
}

/// A figure counts only if nothing was lost, refused or sent twice.
fn check(figures: &Figures, contender: &Contender) -> Result<()> {
    let name = contender.name;
    let Figures { sent, acked, refused, resent, stored, .. } = figures;
    ensure!(acked == sent, "{name} acknowledged {acked} of {sent} messages in time");
    ensure!((*refused, *resent) == (0, 0), "{name} refused {refused} messages, and {resent} were sent again");
    ensure!(stored.is_none_or(|stored| stored == *acked), "{name} stored {stored:?} of {acked} messages");
    if let Some(trouble) = &figures.probe_trouble {
        bail!("{name}: sent → queryable could not be measured: {trouble}");
    }
    Ok(())
}
