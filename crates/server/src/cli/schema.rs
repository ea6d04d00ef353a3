//! `tidewater schema`: what messages may say. `check` needs no server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use model::contract::Language;
use registry::{language_from_name, language_name};
use serde_json::{Value, json};

use super::client::escape;
use super::resource::{ListArgs, Members, With};

mod check;

/// Registers, lists, shows, deletes and explains schemas.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tidewater schema check pump.avsc --sample message.json --unit temperature=Cel
  tidewater schema add pump pump.avsc
  tidewater schema add pump pump2.avsc --major
  tidewater schema list --subject pump";

#[derive(Subcommand, Debug)]
enum Command {
    /// Registers a schema: the next version of a subject. Within a major only optional fields may be added.
    #[command(after_help = "Example:\n  tidewater schema add pump pump.avsc")]
    Add(Add),
    /// Lists the majors of schemas.
    #[command(after_help = "Example:\n  tidewater schema list --subject pump")]
    List(List),
    /// Shows a major: its versions, and the newest one's text.
    #[command(after_help = "Example:\n  tidewater schema show 5b1c0a52-3f5e-4e0c-9f0e-0c7f7a3f8a10")]
    Show(One),
    /// Deletes a major that no class and no device names.
    #[command(after_help = "Example:\n  tidewater schema delete 5b1c0a52-3f5e-4e0c-9f0e-0c7f7a3f8a10")]
    Delete(One),
    /// Explains what a schema means for messages, and what would become of a sample. Needs no server.
    #[command(after_help = check::EXAMPLES)]
    Check(check::Check),
    /// Shows or sets the level by which Confluent's API judges a subject's versions.
    #[command(after_help = "Example:\n  tidewater schema compatibility pump --level FULL_TRANSITIVE")]
    Compatibility(Level),
}

#[derive(clap::Args, Debug)]
struct Add {
    subject: String,
    file: PathBuf,
    /// avro, json or protobuf; else what the file's name says (.avsc, .json, .proto).
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// A schema that this one refers to. May be given several times.
    #[arg(long, value_name = "NAME=SUBJECT:VERSION")]
    reference: Vec<String>,
    /// Opens the next major, which devices move to when they are ready.
    #[arg(long)]
    major: bool,
    /// What is known of the schema. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct List {
    /// Only this subject.
    #[arg(long)]
    subject: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Args, Debug)]
struct One {
    schema_id: String,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Level {
    subject: String,
    /// NONE, BACKWARD, FORWARD, FULL, or one of the last three with _TRANSITIVE.
    #[arg(long)]
    level: Option<String>,
    #[command(flatten)]
    with: With,
}

impl Args {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Add(add) => add.run(),
            Command::List(List { subject, list }) => {
                let query: Vec<_> = subject.iter().map(|subject| ("subject", subject.as_str())).collect();
                let columns = ["schema_id", "subject", "major", "type", "version", "id", "created_at"];
                list.run("/v1/schemas", &query, "schemas", &columns)
            }
            Command::Show(one) => {
                one.with.show(&one.with.client()?.get(&path(&one.schema_id), &[])?);
                Ok(())
            }
            Command::Delete(one) => {
                one.with.client()?.delete(&path(&one.schema_id), &[])?;
                one.with.done("deleted", &one.schema_id);
                Ok(())
            }
            Command::Check(check) => check.run(),
            Command::Compatibility(level) => level.run(),
        }
    }
}

impl Add {
    fn run(self) -> Result<()> {
        let language = language(self.kind.as_deref(), &self.file)?;
        let references = self.reference.iter().map(|text| reference(text)).collect::<Result<Vec<_>>>()?;
        let mut members = Members::default();
        members.insert("subject", self.subject);
        members.insert("type", language_name(language).to_ascii_lowercase());
        members.insert("schema", read(&self.file)?);
        members.insert("references", references);
        members.insert("major", self.major);
        members.pairs("metadata", &self.metadata)?;
        self.with.show(&self.with.client()?.post("/v1/schemas", &members.for_create())?);
        Ok(())
    }
}

impl Level {
    fn run(self) -> Result<()> {
        let (client, path) = (self.with.client()?, format!("/schema-registry/config/{}", escape(&self.subject)));
        if let Some(level) = &self.level {
            client.put(&path, &json!({"compatibility": level}))?;
        }
        self.with.show(&client.get(&path, &[("defaultToGlobal", "true")])?);
        Ok(())
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// What is said, else what the file's name says.
fn language(named: Option<&str>, file: &Path) -> Result<Language> {
    if let Some(name) = named {
        return language_from_name(name).with_context(|| format!("`{name}` is no type: use avro, json or protobuf"));
    }
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("avsc") => Ok(Language::Avro),
        Some("json") => Ok(Language::Json),
        Some("proto") => Ok(Language::Protobuf),
        _ => bail!("what is {}? Say --type avro, --type json or --type protobuf", file.display()),
    }
}

/// `NAME=SUBJECT:VERSION`
fn reference(text: &str) -> Result<Value> {
    let parts = text.split_once('=').and_then(|(name, place)| Some((name, place.rsplit_once(':')?)));
    let wrong = || format!("`{text}` is not of the form NAME=SUBJECT:VERSION");
    let (name, (subject, version)) = parts.with_context(wrong)?;
    let version: i64 = version.parse().with_context(wrong)?;
    Ok(json!({"name": name, "subject": subject, "version": version}))
}

fn path(schema_id: &str) -> String {
    format!("/v1/schemas/{}", escape(schema_id))
}
