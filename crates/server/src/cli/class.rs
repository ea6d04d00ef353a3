//! `tidewater class`: what the devices of a class have in common.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};

use super::client::escape;
use super::resource::{ListArgs, Members, With};
pub use rules::Rules;

mod rules;

/// Lists, creates, changes and deletes device classes.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tidewater class create pump --hot 7d --warm 90d --cold 3650d
  tidewater class update pump --cold none --metadata vendor=acme
  tidewater class update pump --unit temperature=Cel --unit pressure=kPa --tag site --tag class.vendor
  tidewater class update pump --computed 'power=voltage * current' --computed-unit power=W
  tidewater class list";

#[derive(Subcommand, Debug)]
enum Command {
    /// Lists device classes.
    #[command(after_help = "Example:\n  tidewater class list")]
    List(ListArgs),
    /// Shows a device class.
    #[command(after_help = "Example:\n  tidewater class show pump")]
    Show(One),
    /// Creates a device class.
    #[command(after_help = "Example:\n  tidewater class create pump --hot 7d --warm 90d")]
    Create(Change),
    /// Changes a device class: what is not named stays.
    #[command(after_help = "Example:\n  tidewater class update pump --durability memory")]
    Update(Change),
    /// Deletes a device class that has no devices; its readings stay until their retention ends.
    #[command(after_help = "Example:\n  tidewater class delete pump")]
    Delete(One),
}

#[derive(clap::Args, Debug)]
struct One {
    class: String,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Change {
    class: String,
    /// Age at which rows leave the hot tier, for example 7d; `none` is never.
    #[arg(long, value_name = "AGE")]
    hot: Option<String>,
    /// Age at which rows leave the warm tier; `none` is never.
    #[arg(long, value_name = "AGE")]
    warm: Option<String>,
    /// Age at which rows leave the cold tier, and are gone; `none` is never.
    #[arg(long, value_name = "AGE")]
    cold: Option<String>,
    /// What an acknowledgement promises: persisted (default) or memory.
    #[arg(long)]
    durability: Option<String>,
    /// The schema of devices that name none; `none` takes it away.
    #[arg(long, value_name = "SCHEMA_ID")]
    schema: Option<String>,
    /// The format of payloads that do not say theirs: json, msgpack, cbor, avro or protobuf.
    #[arg(long)]
    format: Option<String>,
    #[command(flatten)]
    rules: Rules,
    /// Flags a device of whose last MESSAGES more than PERCENT were rejected; `none` stops it.
    #[arg(long, value_name = "MESSAGES,PERCENT")]
    flag_rejected: Option<String>,
    /// Whether a device that is flagged is also quarantined.
    #[arg(long, value_name = "true|false", requires = "flag_rejected")]
    quarantine: Option<bool>,
    /// Metadata that every row carries as a tag: NAME of the device, class.NAME or tenant.NAME. May be given several times;
    /// those given replace all that there were, and `none` takes them away.
    #[arg(long, value_name = "NAME")]
    tag: Vec<String>,
    /// Whether its devices may publish to free topics.
    #[arg(long, value_name = "true|false")]
    free_topics: Option<bool>,
    /// What is known of the class; the value `none` takes a name away. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// A limit of one device: messages_per_second or bytes_per_second; `none` lifts it.
    #[arg(long, value_name = "NAME=N")]
    limit: Vec<String>,
    #[command(flatten)]
    with: With,
}

impl Args {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::List(list) => {
                list.run("/v1/classes", &[], "classes", &["name", "retention", "durability", "format", "schema_id"])
            }
            Command::Show(one) => {
                one.with.show(&one.with.client()?.get(&path(&one.class), &[])?);
                Ok(())
            }
            Command::Create(change) => {
                let mut members = change.members()?;
                members.insert("name", change.class);
                change.with.show(&change.with.client()?.post("/v1/classes", &members.for_create())?);
                Ok(())
            }
            Command::Update(change) => {
                let patch = change.members()?.for_update()?;
                change.with.show(&change.with.client()?.patch(&path(&change.class), &patch)?);
                Ok(())
            }
            Command::Delete(one) => {
                one.with.client()?.delete(&path(&one.class), &[])?;
                one.with.done("deleted", &one.class);
                Ok(())
            }
        }
    }
}

impl Change {
    fn members(&self) -> Result<Members> {
        let mut members = Members::default();
        let ages = [("hot", &self.hot), ("warm", &self.warm), ("cold", &self.cold)];
        let ages = ages.iter().filter_map(|(tier, age)| Some(format!("{tier}={}", age.as_ref()?)));
        members.pairs("retention", &ages.collect::<Vec<_>>())?;
        members.set("durability", &self.durability);
        members.set("schema_id", &self.schema);
        members.set("format", &self.format);
        self.rules.add_to(&mut members)?;
        if let Some(rule) = &self.flag_rejected {
            members.insert("quarantine", quarantine(rule, self.quarantine.unwrap_or_default())?);
        }
        if !self.tag.is_empty() {
            members.insert("tags", if self.tag == ["none"] { Value::Null } else { json!(self.tag) });
        }
        if let Some(free_topics) = self.free_topics {
            members.insert("free_topics", free_topics);
        }
        members.pairs("metadata", &self.metadata)?;
        members.pairs("limits", &self.limit)?;
        Ok(members)
    }
}

/// The member `quarantine`.
fn quarantine(rule: &str, quarantine: bool) -> Result<Value> {
    if rule == "none" {
        return Ok(Value::Null);
    }
    let parts = rule.split_once(',').and_then(|(messages, percent)| {
        Some((messages.trim().parse::<u16>().ok()?, percent.trim().trim_end_matches('%').parse::<f64>().ok()?))
    });
    let (messages, percent) = parts.with_context(|| format!("`{rule}` is not of the form MESSAGES,PERCENT: 100,50"))?;
    Ok(json!({"messages": messages, "rejected_percent": percent, "quarantine": quarantine}))
}

fn path(class: &str) -> String {
    format!("/v1/classes/{}", escape(class))
}
