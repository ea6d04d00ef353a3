//! `tidewater dead-letter`: what was rejected after it was accepted, why, and another try.

mod replay;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::{Client, escape};
use super::output;
use super::resource::With;
use crate::http::times;

/// Look at messages that were rejected after they were accepted, and try them again.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater dead-letter list --device c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7
  tidewater dead-letter show 0-10042-0
  tidewater dead-letter replay --class pump --reason wrong-type --dry-run")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    List(List),
    Show(Show),
    Replay(replay::Replay),
}

/// Which letters: those that are all that is said; without a word, every one.
#[derive(clap::Args, Debug)]
struct Which {
    /// Only letters of this device.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only letters of devices of this class.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Only letters with this reason.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only letters that were read under this schema.
    #[arg(long, value_name = "UUID")]
    schema_id: Option<String>,
    /// Received at or after.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Received before.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
}

impl Which {
    /// What was said, by the names that the API has for it.
    fn said(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("device", &self.device),
            ("class", &self.class),
            ("reason", &self.reason),
            ("schema_id", &self.schema_id),
            ("from", &self.from),
            ("to", &self.to),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// List dead letters, the newest first.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tidewater dead-letter list --reason metric-type --from -24h")]
struct List {
    #[command(flatten)]
    which: Which,
    /// pending, replayed or all.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Letters at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    with: With,
}

/// Show one dead letter with its payload.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tidewater dead-letter show 0-10042-0")]
struct Show {
    /// The letter's id, as `list` shows it.
    id: String,
    #[command(flatten)]
    with: With,
}

/// Letters that the server gives in one page.
const PAGE_LETTERS: usize = 1000;

impl Args {
    pub fn run(self) -> Result<()> {
        match self.action {
            Action::List(list) => list.run(),
            Action::Show(show) => show.run(),
            Action::Replay(replay) => replay.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<()> {
        let (letters, next) = self.read(&self.with.client()?)?;
        if self.with.json {
            output::json(&json!({"dead_letters": letters, "next": next}));
            return Ok(());
        }
        let headings = ["id", "received", "device", "reason", "path", "state", "detail"];
        let row = |letter: &Value| {
            let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
            let received = letter["ts"].as_i64().map(times::iso).unwrap_or_default();
            vec![text("id"), received, text("device_id"), text("reason"), text("path"), text("state"), text("detail")]
        };
        output::table(&headings, &letters.iter().map(row).collect::<Vec<_>>());
        if !next.is_null() {
            eprintln!("there may be more: --limit {} looks further", self.limit * 10);
        }
        Ok(())
    }

    fn read(&self, client: &Client) -> Result<(Vec<Value>, Value)> {
        let mut letters = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = (self.limit - letters.len()).clamp(1, PAGE_LETTERS).to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(self.which.said());
            query.extend(self.state.iter().map(|state| ("state", state.as_str())));
            query.extend(cursor.iter().map(|cursor| ("cursor", cursor.as_str())));
            let mut page = client.get("/v1/dead-letters", &query)?;
            let Value::Array(found) = page["dead_letters"].take() else {
                bail!("the server's answer has no dead letters")
            };
            letters.extend(found);
            let next = page["next"].take();
            if next.is_null() || letters.len() >= self.limit {
                return Ok((letters, next));
            }
            cursor = next.as_str().map(str::to_owned);
        }
    }
}

impl Show {
    fn run(self) -> Result<()> {
        let letter = self.with.client()?.get(&format!("/v1/dead-letters/{}", escape(&self.id)), &[])?;
        if self.with.json {
            output::json(&letter);
            return Ok(());
        }
        let mut rows = Vec::new();
        for (name, value) in letter.as_object().into_iter().flatten().filter(|(name, _)| *name != "payload") {
            let cell = match (name.as_str(), value) {
                ("ts", value) => value.as_i64().map(times::iso).unwrap_or_default(),
                (_, Value::Null) => String::new(),
                (_, Value::String(text)) => text.clone(),
                (_, other) => other.to_string(),
            };
            rows.push(vec![name.clone(), cell]);
        }
        output::table(&["field", "value"], &rows);
        let payload = STANDARD.decode(letter["payload"].as_str().unwrap_or_default())?;
        output::line("");
        match String::from_utf8(payload) {
            Ok(text) => output::line(text),
            Err(bytes) => output::line(format!("(binary, base64) {}", STANDARD.encode(bytes.as_bytes()))),
        }
        Ok(())
    }
}
