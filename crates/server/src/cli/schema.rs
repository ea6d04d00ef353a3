//! `tidewater schema`: what messages may say. `check` needs no server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Subcommand;
use model::contract::{Language, Verdict};
use registry::schema::{ReferencedText, Schema};
use registry::{language_from_name, language_name};
use serde_json::{Value, json};

use super::client::escape;
use super::output;
use super::resource::{ListArgs, Members, With};
use crate::api::schemas::description::describe;

/// Registers, lists, shows, deletes and explains schemas.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tidewater schema check pump.avsc
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
    /// Explains what a schema means for messages. Needs no server.
    #[command(after_help = "Example:\n  tidewater schema check pump.proto --reference unit.proto=unit.proto")]
    Check(Check),
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
struct Check {
    file: PathBuf,
    /// avro, json or protobuf; else what the file's name says (.avsc, .json, .proto).
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// A file that this one refers to, after those that it refers to itself. May be given several times.
    #[arg(long, value_name = "NAME=FILE")]
    reference: Vec<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
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

impl Check {
    fn run(self) -> Result<()> {
        let language = language(self.kind.as_deref(), &self.file)?;
        let referenced = |text: &String| {
            let (name, file) = text.split_once('=').context("a reference is NAME=FILE")?;
            Ok(ReferencedText { name: name.to_owned(), text: read(Path::new(file))? })
        };
        let references = self.reference.iter().map(referenced).collect::<Result<Vec<_>>>()?;
        let schema = Schema::parse(language, &read(&self.file)?, &references)
            .map_err(|invalid| anyhow!("{} is no valid schema: {invalid}", self.file.display()))?;
        let verdict = match schema.contract() {
            Ok(contract) => Verdict::Usable(contract),
            Err(unusable) => Verdict::Unusable(unusable.why),
        };
        let description = describe(language, &verdict);
        if self.json {
            output::json(&description);
        } else {
            print(&description);
        }
        match verdict {
            Verdict::Unusable(why) => {
                bail!("messages cannot be checked by this schema, though it may be registered: {why}")
            }
            _ => Ok(()),
        }
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

/// A table for each message type.
fn print(description: &Value) {
    const COLUMNS: [&str; 9] = ["field", "name", "part", "kind", "unit", "range", "allowed", "default", "required"];
    for message in description["messages"].as_array().into_iter().flatten() {
        let name = message["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("the message");
        let (form, others) = (&message["form"], &message["unknown_fields"]);
        let (form, others) = (form.as_str().unwrap_or_default(), others.as_str().unwrap_or_default());
        output::line(format!("{name}: {form}; fields that it does not name: {others}"));
        let cell = |value: &Value| match value {
            Value::Null | Value::Bool(false) => String::new(),
            Value::Bool(true) => "yes".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let row = |field: &Value| COLUMNS.iter().map(|column| cell(&field[*column])).collect();
        let fields = message["fields"].as_array().into_iter().flatten();
        output::table(&COLUMNS, &fields.map(row).collect::<Vec<_>>());
        output::line("");
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
