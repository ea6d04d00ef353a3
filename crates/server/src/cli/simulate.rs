//! `tidewater simulate`: a simulated fleet against a running server.

use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use model::Clock;
use sim::fleet::{self, FleetConfig, FleetReport};

use super::bench::duration;
use super::output;
use super::target::{TargetArgs, stop_on_signals};

/// Play a fleet of devices against a running server.
///
/// Weather stations, cold stores, pumps, energy meters and tanks with believable signals: daily cycles, drift, noise,
/// steps, and outages after which a device sends what it kept. The same seed is the same fleet: started again, it goes on
/// where its newest reading ends. Ctrl-C ends it when everything sent is acknowledged.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater simulate --devices 100 --interval 10s --history 1h
  tidewater simulate --url http://127.0.0.1:8080 --mqtt 127.0.0.1:1883 --key twk_… --rate 500 --duration 5m")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    /// Ends after this time; without it on Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// All devices through one connection with the API key, as a field gateway does.
    #[arg(long)]
    gateway: bool,
    /// Prints the outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// The fleet.
#[derive(clap::Args, Clone, Debug)]
pub struct FleetArgs {
    /// Devices.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub devices: u32,
    /// Time between two messages of a device.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub interval: Duration,
    /// Messages a second of the whole fleet, instead of --interval.
    #[arg(long, value_name = "N", conflicts_with = "interval")]
    pub rate: Option<f64>,
    /// How much of the past each device sends first, as buffered messages [default: none; demo: 1h].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub history: Option<Duration>,
    /// Which fleet: ids and signals follow from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How often a day a device is away for some minutes.
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    pub outages_per_day: f64,
}

impl FleetArgs {
    /// The time between two messages of a device.
    pub fn interval(&self) -> Result<Duration> {
        match self.rate {
            None => Ok(self.interval),
            Some(rate) if rate > 0.0 => Ok(Duration::from_secs_f64(f64::from(self.devices) / rate)),
            Some(rate) => bail!("--rate {rate} is not a rate: it must be greater than zero"),
        }
    }
}

impl Args {
    pub fn run(self) -> Result<()> {
        let target = self.target.resolve()?;
        let config = FleetConfig {
            url: target.url.clone(),
            mqtt: target.mqtt_address()?,
            key: target.key.clone(),
            devices: self.fleet.devices,
            interval: self.fleet.interval()?,
            history: self.fleet.history.unwrap_or_default(),
            duration: self.duration,
            seed: self.fleet.seed,
            outages_per_day: self.fleet.outages_per_day,
            gateway: self.gateway,
        };
        let stop = stop_on_signals()?;
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}")?);
        let report = fleet::run(&config, &Clock::system(), &stop, &mut |report| {
            bar.set_message(describe(report));
            bar.tick();
        })?;
        bar.finish_and_clear();
        if self.json {
            output::json(&serde_json::to_value(&report)?);
        } else {
            output::line(describe(&report));
        }
        if report.acked < report.sent {
            bail!("{} messages were sent and not acknowledged in time", report.sent - report.acked);
        }
        Ok(())
    }
}

/// How far the fleet is, in a line.
pub fn describe(report: &FleetReport) -> String {
    let FleetReport { devices, connected, history, sent, acked, resent, refused, .. } = report;
    let mut text = format!("{devices} devices, {connected} connections, {sent} messages sent, {acked} acknowledged");
    if acked < history {
        text += &format!(", history {} %", acked * 100 / history.max(&1));
    }
    if resent + refused > 0 {
        text += &format!(", {resent} sent again, {refused} refused");
    }
    if let Some(trouble) = &report.trouble {
        text += &format!("; not connected: {trouble}");
    }
    text
}
