//! `tidewater demo`: the server with a simulated fleet in the same process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use model::{Clock, Millis};
use sim::Stop;
use sim::fleet::{self, FleetConfig, FleetReport};
use sim::process::admin_key;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::serve::{greet, runtime};
use super::simulate::{FleetArgs, describe};
use crate::config::{Config, Overrides};
use crate::run::Server;

/// Run the server with a simulated fleet, and print a query to paste.
///
/// The fleet first sends an hour of history, as devices do that were away, and then goes on live. It is kept like any
/// other data: started again on the same data directory, the demo goes on where it ended.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater demo
  tidewater demo --devices 100 --interval 1s
  tidewater demo --data /tmp/demo --http 127.0.0.1:0")]
pub struct Args {
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// The history that is sent if nothing else is said.
const HISTORY: Duration = Duration::from_secs(3600);

impl Args {
    pub fn run(self) -> Result<()> {
        let config = Config::load(&self.overrides)?;
        runtime()?.block_on(demo(config, &self.fleet))
    }
}

async fn demo(config: Config, fleet: &FleetArgs) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let data = config.base.data.clone();
    let server = Server::start(config, Arc::new(disk::RealDisk), Clock::system()).await?;
    greet(&server);
    let key = admin_key(&data).context("the demo speaks with the admin key")?;
    let stop = Stop::default();
    let mut playing = play(fleet_config(fleet, &server, &key)?, stop.clone());
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = &mut playing => Some(ended),
    };
    eprintln!("stopping: what was acknowledged is kept");
    stop.stop();
    let outcome = match ended {
        Some(ended) => ended,
        None => playing.await,
    };
    server.stop().await?;
    let report = outcome.map_err(|_| anyhow!("the fleet panicked"))?.context("the fleet ended")?;
    eprintln!("{}", describe(&report));
    Ok(())
}

fn fleet_config(fleet: &FleetArgs, server: &Server, key: &str) -> Result<FleetConfig> {
    Ok(FleetConfig {
        url: format!("http://{}", reachable(server.listen.http)),
        mqtt: reachable(server.listen.mqtt),
        key: key.to_owned(),
        devices: fleet.devices,
        interval: fleet.interval()?,
        history: fleet.history.unwrap_or(HISTORY),
        duration: None,
        seed: fleet.seed,
        outages_per_day: fleet.outages_per_day,
        gateway: false,
    })
}

/// An address of this machine under which a listener answers that listens on all of them.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let loopback = match listener {
        SocketAddr::V4(_) => [127, 0, 0, 1].into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    if listener.ip().is_unspecified() { SocketAddr::new(loopback, listener.port()) } else { listener }
}

/// Plays the fleet on a thread of its own. Once the first messages are acknowledged, prints what to look at.
fn play(config: FleetConfig, stop: Stop) -> JoinHandle<Result<FleetReport>> {
    tokio::task::spawn_blocking(move || {
        let (mut invited, mut caught_up) = (false, false);
        let clock = Clock::system();
        fleet::run(&config, &clock, &stop, &mut |report| {
            if !invited && report.acked > 0 {
                invited = true;
                invite(&config, clock.now_ms());
            }
            if !caught_up && report.acked >= report.history {
                caught_up = true;
                eprintln!("fleet       {}; now live", describe(report));
            }
        })
    })
}

/// Prints a query for a device of the fleet.
fn invite(config: &FleetConfig, now: Millis) {
    let Some(device) = fleet::example(config, now) else { return };
    let (id, metric, FleetConfig { url, key, .. }) = (device.id(), device.kind.main_metric(), config);
    eprintln!("\nThe last hour of {}, a bucket a minute:\n", device.name());
    eprintln!(
        "  curl -s -H 'Authorization: Bearer {key}' '{url}/v1/devices/{id}/metrics?metric={metric}&resolution=1m'\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_this_machine() {
        let reach = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(reach("[::]:8080"), "[::1]:8080");
        assert_eq!(reach("10.0.0.7:8080"), "10.0.0.7:8080");
    }
}
