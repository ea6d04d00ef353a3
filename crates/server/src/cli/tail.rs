//! `tidewater tail`: messages as they become queryable, until it is interrupted.

use std::io::BufRead;

use anyhow::{Result, bail};
use serde_json::Value;

use super::output;
use super::resource::With;

/// Follow messages live.
///
/// Prints every accepted message from now on, one a line. Ends with an error if the server ends the stream.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater tail
  tidewater tail --class pump --json")]
pub struct Args {
    /// Only messages of this device.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only messages of devices of this class.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// End after this many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    with: With,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let mut query = Vec::new();
        query.extend(self.device.as_deref().map(|device| ("device", device)));
        query.extend(self.class.as_deref().map(|class| ("class", class)));
        let stream = self.with.client()?.follow("/v1/stream", &query)?;
        let (mut name, mut seen) = (String::new(), 0);
        for line in stream.lines() {
            let line = line?;
            if let Some(event) = line.strip_prefix("event:") {
                event.trim().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data:") {
                if name == "end" {
                    bail!("the stream ended: {}", data.trim());
                }
                self.show(data.trim())?;
                seen += 1;
                if self.count == Some(seen) {
                    return Ok(());
                }
            }
        }
        bail!("the server closed the stream")
    }

    fn show(&self, data: &str) -> Result<()> {
        if self.with.json {
            output::raw(format!("{data}\n").as_bytes());
            return Ok(());
        }
        let document: Value = serde_json::from_str(data)?;
        let time = crate::http::times::iso(document["ts"].as_i64().unwrap_or_default());
        let device = document["device_id"].as_str().unwrap_or_default();
        let what = match &document["metrics"] {
            Value::Object(metrics) => {
                metrics.iter().map(|(metric, value)| format!("{metric}={value}")).collect::<Vec<_>>().join(" ")
            }
            _ => format!("{} {}", document["type"].as_str().unwrap_or_default(), document["data"]),
        };
        output::raw(format!("{time}  {device}  {what}\n").as_bytes());
        Ok(())
    }
}
