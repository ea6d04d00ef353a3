//! A fleet of simulated devices against a running server: registers them over the API, then publishes over MQTT with
//! QoS 1, each device on its own connection with its own token, or all of them through one gateway with an API key.
//!
//! A device keeps nothing: message n is a function of n (see [`timeline`]), so what a lost connection held back is
//! simply sent later, marked as buffered where the device itself had been away. A fleet that is started again goes on
//! where its newest reading in the store ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use mio::{Events, Poll};
use model::{Clock, DeviceId, Millis};
use serde::Serialize;
use serde_json::json;

use crate::api::{Api, Credentials, NewDevice};
use crate::device::Device;
use crate::packet::Login;
use crate::seeded;
use crate::signal::MINUTE;
use crate::socket::READ_BYTES;
use crate::stop::Stop;

mod link;
#[cfg(test)]
mod tests;
pub mod timeline;

use link::Link;
use timeline::Timeline;

/// What to play.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The server's HTTP address as `http://host:port`.
    pub url: String,
    pub mqtt: SocketAddr,
    /// An API key with the rights `devices` and `query`, and `ingest` for a gateway.
    pub key: String,
    pub devices: u32,
    /// Between two messages of one device.
    pub interval: Duration,
    /// How much of the past is sent first, as buffered messages.
    pub history: Duration,
    /// Ends after so long; none: when it is asked to stop.
    pub duration: Option<Duration>,
    pub seed: u64,
    /// Per device; what was measured meanwhile is sent afterwards.
    pub outages_per_day: f64,
    /// All devices through one connection with the API key.
    pub gateway: bool,
}

impl Default for FleetConfig {
    /// Twenty devices that speak every five seconds, with an hour of history.
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8080".to_owned(),
            mqtt: SocketAddr::from(([127, 0, 0, 1], 1883)),
            key: String::new(),
            devices: 20,
            interval: Duration::from_secs(5),
            history: Duration::from_secs(3600),
            duration: None,
            seed: 1,
            outages_per_day: 2.0,
            gateway: false,
        }
    }
}

/// What has been played so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FleetReport {
    pub devices: u64,
    pub connected: u64,
    /// Messages of the history to be sent in all.
    pub history: u64,
    pub sent: u64,
    pub acked: u64,
    pub resent: u64,
    pub reconnects: u64,
    /// Connections and messages that the server refused.
    pub refused: u64,
    /// Why a device that is not connected is not, for one of them.
    pub trouble: Option<String>,
}

/// Messages of one connection that wait for their acknowledgement.
const WINDOW: u64 = 64;
/// How often the links are looked at when nothing happens.
const ROUND: Duration = Duration::from_millis(20);
/// How often `progress` is called.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// How long the end waits for acknowledgements.
const DRAIN_MAX: Duration = Duration::from_secs(5);
const KEEP_ALIVE_S: u16 = 60;

/// Registers the fleet and plays it until its duration is over or `stop`. `progress` is called now and then.
pub fn run(
    config: &FleetConfig,
    clock: &Clock,
    stop: &Stop,
    progress: &mut dyn FnMut(&FleetReport),
) -> Result<FleetReport> {
    ensure!(config.devices > 0, "a fleet has at least one device");
    ensure!(config.interval >= Duration::from_millis(1), "a device sends at most once a millisecond");
    let api = Api::new(&config.url, &config.key);
    let devices: Vec<Device> = (0..config.devices).map(|number| Device::new(config.seed, number)).collect();
    let credentials = register(&api, &devices)?;
    let newest = devices.iter().map(|device| newest(config, &api, device)).collect::<Result<Vec<_>>>()?;
    let links = links(config, clock, &devices, &credentials, &newest);
    play(config, clock, stop, links, progress)
}

/// The devices of the fleet that [`run`] would play, without contacting a server.
pub fn devices(config: &FleetConfig) -> impl Iterator<Item = Device> {
    let seed = config.seed;
    (0..config.devices).map(move |number| Device::new(seed, number))
}

/// The device for an example: the first that is not away now or within the next half hour, so that what is asked about it
/// grows. If all are, the first.
pub fn example(config: &FleetConfig, now: Millis) -> Option<Device> {
    let present = |device: &Device| {
        // No outage is shorter than two minutes.
        (0..=30).all(|minute| device.outage(now + minute * MINUTE, config.outages_per_day).is_none())
    };
    devices(config).find(present).or_else(|| devices(config).next())
}

fn register(api: &Api, devices: &[Device]) -> Result<Vec<Credentials>> {
    let new = |device: &Device| NewDevice {
        id: device.id(),
        class: device.kind.class().to_owned(),
        metadata: json!({"name": device.name(), "site": device.site()}),
    };
    api.register(&devices.iter().map(new).collect::<Vec<_>>(), |_| ())
}

/// `newest`: when each device's newest reading in the store is.
fn links(
    config: &FleetConfig,
    clock: &Clock,
    devices: &[Device],
    credentials: &[Credentials],
    newest: &[Option<Millis>],
) -> Vec<Link> {
    let interval = config.interval.as_millis() as i64;
    let per_link = if config.gateway { devices.len() } else { 1 };
    let boot = (clock.now_ms() / 1000) as u32;
    let now = clock.now_ms();
    let link = |place: usize| {
        let slice = place * per_link..((place + 1) * per_link).min(devices.len());
        // Not all at once: each link has its own place within the interval.
        let phase = slice.start as i64 * interval / i64::from(config.devices);
        let resume = newest[slice.start].map_or(i64::MIN, |newest| newest + interval);
        let start = (now - config.history.as_millis() as i64).max(resume).min(now);
        let origin = start - start.rem_euclid(interval) + phase;
        let (devices, credentials) = (&devices[slice.clone()], &credentials[slice.start]);
        let outages_per_day = config.outages_per_day;
        let timeline = Timeline { origin, interval, devices: devices.len() as u64, live_from: now, outages_per_day };
        Link::new(login(config, credentials, place), credentials, devices, timeline, boot, WINDOW)
    };
    (0..devices.len().div_ceil(per_link)).map(link).collect()
}

/// When the device's newest reading is, if a history is to be sent at all.
fn newest(config: &FleetConfig, api: &Api, device: &Device) -> Result<Option<Millis>> {
    if config.history.is_zero() {
        return Ok(None);
    }
    Ok(api.latest(device.id(), device.kind.main_metric())?.map(|(ts, _)| ts))
}

fn login(config: &FleetConfig, credentials: &Credentials, place: usize) -> Login {
    let id = credentials.device_id.to_string();
    let (client_id, user, password) = match (&credentials.auth_token, config.gateway) {
        (Some(token), false) => (id.clone(), id, token.clone()),
        _ => (format!("gateway-{:x}-{place}", config.seed), "key".to_owned(), config.key.trim().to_owned()),
    };
    Login { version: mqtt::Version::V5, client_id, user, password, keep_session: false, keep_alive_s: KEEP_ALIVE_S }
}

fn play(
    config: &FleetConfig,
    clock: &Clock,
    stop: &Stop,
    mut links: Vec<Link>,
    progress: &mut dyn FnMut(&FleetReport),
) -> Result<FleetReport> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; READ_BYTES];
    let history = links.iter().map(Link::history).sum();
    let start = clock.monotonic();
    let (mut next_progress, mut give_up) = (start, None);
    loop {
        let (now, wall) = (clock.monotonic(), clock.now_ms());
        let over = stop.wanted() || config.duration.is_some_and(|duration| now >= start + duration);
        if over && give_up.is_none() {
            give_up = Some(now + DRAIN_MAX);
        }
        for (place, link) in links.iter_mut().enumerate() {
            let jitter = seeded::unit(seeded::hash([config.seed, place as u64, now.as_millis() as u64]));
            link.tend(config.mqtt, poll.registry(), place, now, if over { None } else { Some(wall) }, jitter);
        }
        let report = report(&links, history);
        if now >= next_progress {
            next_progress = now + PROGRESS_INTERVAL;
            progress(&report);
        }
        if over && (report.acked == report.sent || give_up.is_some_and(|give_up| now >= give_up)) {
            links.iter_mut().for_each(Link::say_goodbye);
            progress(&report);
            return Ok(report);
        }
        match poll.poll(&mut events, Some(ROUND)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in events.iter() {
            links[event.token().0].hear(&mut buffer);
        }
    }
}

fn report(links: &[Link], history: u64) -> FleetReport {
    let mut report = FleetReport { history, ..FleetReport::default() };
    links.iter().for_each(|link| link.add_to(&mut report));
    report
}

/// Ids of devices, shared with the link's stream.
type Ids = Arc<[DeviceId]>;
