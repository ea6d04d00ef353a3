//! `tidewater device`: devices, their tokens, and the import of fleets.

pub mod import;

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::json;

use super::client::escape;
use super::resource::{ListArgs, Members, With};
use crate::units::parse_duration;

/// Lists, registers, changes and deletes devices; gives them new tokens; imports fleets.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tidewater device create --class pump --metadata site=north
  tidewater device update c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7 --status inactive
  tidewater device import fleet.ndjson --tokens tokens.ndjson
  tidewater device list --class pump";

#[derive(Subcommand, Debug)]
enum Command {
    /// Lists devices.
    #[command(after_help = "Example:\n  tidewater device list --class pump --status quarantined")]
    List(List),
    /// Shows a device.
    #[command(after_help = "Example:\n  tidewater device show c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7")]
    Show(One),
    /// Registers a device and prints its token, once.
    #[command(after_help = "Example:\n  tidewater device create --class pump --metadata site=north")]
    Create(Create),
    /// Changes a device. Another class, schema or status ends its live sessions.
    #[command(
        after_help = "Example:\n  tidewater device update c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7 --status inactive"
    )]
    Update(Update),
    /// Revokes a device at once; its id is never given again.
    #[command(after_help = "Example:\n  tidewater device delete c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7 --erase")]
    Delete(Delete),
    /// Gives a device a new token and prints it, once.
    #[command(after_help = "Example:\n  tidewater device token c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7 --overlap 1h")]
    Token(Token),
    Import(import::Args),
}

#[derive(clap::Args, Debug)]
struct List {
    /// Only devices of this class.
    #[arg(long)]
    class: Option<String>,
    /// Only devices of this status: active, inactive or quarantined.
    #[arg(long)]
    status: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Args, Debug)]
struct One {
    device_id: String,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Delete {
    /// Erases its readings, too; otherwise they stay until their retention ends.
    #[arg(long)]
    erase: bool,
    #[command(flatten)]
    one: One,
}

#[derive(clap::Args, Debug)]
struct Create {
    /// The id (a UUID), if the fleet already has one.
    #[arg(long, value_name = "DEVICE_ID")]
    id: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Update {
    device_id: String,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Settings {
    /// The class; an unknown one is created with the defaults.
    #[arg(long)]
    class: Option<String>,
    /// The schema; `none` is the class's.
    #[arg(long, value_name = "SCHEMA_ID")]
    schema: Option<String>,
    /// active, inactive (refused) or quarantined (accepted and dead-lettered).
    #[arg(long)]
    status: Option<String>,
    /// What is known of the device; the value `none` takes a name away. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
}

#[derive(clap::Args, Debug)]
struct Token {
    device_id: String,
    /// How long the old token stays good, for example 1h; without it, it ends at once.
    #[arg(long, value_name = "DURATION")]
    overlap: Option<String>,
    #[command(flatten)]
    with: With,
}

impl Args {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Show(one) => {
                one.with.show(&one.with.client()?.get(&path(&one.device_id), &[])?);
                Ok(())
            }
            Command::Create(create) => {
                let mut members = create.settings.members()?;
                members.set("device_id", &create.id);
                create.with.show(&create.with.client()?.post("/v1/devices", &members.for_create())?);
                Ok(())
            }
            Command::Update(update) => {
                let patch = update.settings.members()?.for_update()?;
                update.with.show(&update.with.client()?.patch(&path(&update.device_id), &patch)?);
                Ok(())
            }
            Command::Delete(Delete { erase, one }) => {
                let data: &[_] = if erase { &[("data", "erase")] } else { &[] };
                one.with.client()?.delete(&path(&one.device_id), data)?;
                one.with.done("deleted", &one.device_id);
                Ok(())
            }
            Command::Token(token) => token.run(),
            Command::Import(import) => import.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<()> {
        let filters = [("class", &self.class), ("status", &self.status)];
        let query: Vec<_> = filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        let columns = ["device_id", "device_class", "status", "last_seen_at", "metadata"];
        self.list.run("/v1/devices", &query, "devices", &columns)
    }
}

impl Settings {
    fn members(&self) -> Result<Members> {
        let mut members = Members::default();
        members.set("device_class", &self.class);
        members.set("schema_id", &self.schema);
        members.set("status", &self.status);
        members.pairs("metadata", &self.metadata)?;
        Ok(members)
    }
}

impl Token {
    fn run(self) -> Result<()> {
        let seconds = match &self.overlap {
            None => 0,
            Some(text) => {
                let wrong = || format!("--overlap {text} is not a duration: write for example 1h or 90s");
                parse_duration(text).with_context(wrong)?.as_secs()
            }
        };
        let body = json!({ "overlap_seconds": seconds });
        self.with.show(&self.with.client()?.post(&format!("{}/token", path(&self.device_id)), &body)?);
        Ok(())
    }
}

fn path(device: &str) -> String {
    format!("/v1/devices/{}", escape(device))
}
