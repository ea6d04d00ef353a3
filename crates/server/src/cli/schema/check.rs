//! `tidewater schema check`: what a schema means, and what would become of a sample under it. Needs no server.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use model::contract::{Language, SchemaRecord, Verdict};
use model::limits::PAYLOAD_BYTES_MAX;
use model::{Clock, Format};
use registry::schema::{ReferencedText, Schema};
use registry::{ClassSettings, TenantSettings, format_from_name, rules_under};
use serde_json::{Value, json};

use super::{language, read};
use crate::api::schemas::description::describe;
use crate::api::schemas::sample::sent::class_settings;
use crate::api::schemas::sample::{Sample, as_registered, usual_format};
use crate::cli::class::Rules;
use crate::cli::output;
use crate::cli::resource::Members;
use crate::http::times;

pub const EXAMPLES: &str = "Examples:
  tidewater schema check pump.proto --reference unit.proto=unit.proto
  tidewater schema check pump.json --sample message.json --unit temperature=Cel --unknown-fields reject
  tidewater schema check pump.avsc --sample payload.bin --format avro";

#[derive(clap::Args, Debug)]
pub struct Check {
    file: PathBuf,
    /// avro, json or protobuf; else what the file's name says (.avsc, .json, .proto).
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// A file that this one refers to, after those that it refers to itself. May be given several times.
    #[arg(long, value_name = "NAME=FILE")]
    reference: Vec<String>,
    /// A payload to try the schema on, in any form that the server takes: shows the readings, or why there are none.
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// The sample's format: json, msgpack, cbor, avro or protobuf; else what the file's name says, else that of the schema's
    /// own encoding. What names a schema in front of an Avro or Protobuf message is understood.
    #[arg(long, requires = "sample")]
    format: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "Rules of a class, for the sample")]
    rules: Rules,
}

impl Check {
    pub fn run(self) -> Result<()> {
        let language = language(self.kind.as_deref(), &self.file)?;
        let class = self.class()?;
        let schema = as_registered(self.verdict(language)?);
        let mut answer = describe(language, &schema.contract);
        let rejected = match (&self.sample, &schema.contract) {
            (Some(file), Verdict::Usable(_)) => {
                answer["sample"] = self.try_sample(file, language, &class, &schema)?;
                answer["sample"]["rejected"].as_u64().unwrap_or_default()
            }
            _ => 0,
        };
        if self.json {
            output::json(&answer);
        } else {
            print_schema(&answer);
            print_sample(&answer["sample"]);
        }
        if let Verdict::Unusable(why) = schema.contract {
            bail!("messages cannot be checked by this schema, though it may be registered: {why}")
        }
        if rejected > 0 {
            bail!("of the sample {rejected} {} rejected", if rejected == 1 { "message is" } else { "messages are" })
        }
        Ok(())
    }

    fn verdict(&self, language: Language) -> Result<Verdict> {
        let referenced = |text: &String| {
            let (name, file) = text.split_once('=').context("a reference is NAME=FILE")?;
            Ok(ReferencedText { name: name.to_owned(), text: read(Path::new(file))? })
        };
        let references = self.reference.iter().map(referenced).collect::<Result<Vec<_>>>()?;
        let schema = Schema::parse(language, &read(&self.file)?, &references)
            .map_err(|invalid| anyhow!("{} is no valid schema: {invalid}", self.file.display()))?;
        Ok(match schema.contract() {
            Ok(contract) => Verdict::Usable(contract),
            Err(unusable) => Verdict::Unusable(unusable.why),
        })
    }

    /// The class that the sample's device is of.
    fn class(&self) -> Result<ClassSettings> {
        let mut members = Members::default();
        self.rules.add_to(&mut members)?;
        let members = members.for_create();
        if self.sample.is_none() && members != json!({}) {
            bail!("the rules of a class concern messages: give one with --sample");
        }
        class_settings(members).map_err(Error::msg)
    }

    fn try_sample(
        &self,
        file: &Path,
        language: Language,
        class: &ClassSettings,
        schema: &SchemaRecord,
    ) -> Result<Value> {
        let format = match &self.format {
            Some(name) => format_from_name(name)
                .with_context(|| format!("`{name}` is no format: use json, msgpack, cbor, avro or protobuf"))?,
            None => format_of(file).unwrap_or_else(|| usual_format(language)),
        };
        let rules = rules_under(class, &TenantSettings::defaults("sample"), schema)?;
        let sample = Sample::new(read_sample(file)?, format).map_err(Error::msg)?;
        Ok(sample.try_under(schema, &rules, Clock::system().now_ms()))
    }
}

/// The bytes of a payload, and no more of a longer file than shows that it is too long.
fn read_sample(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let open = File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
    open.take(PAYLOAD_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    if bytes.starts_with(b"Obj\x01") {
        bail!("{} is an Avro container file: a payload is one datum of it", file.display());
    }
    Ok(bytes)
}

fn format_of(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()? {
        "json" => Some(Format::Json),
        "msgpack" => Some(Format::MessagePack),
        "cbor" => Some(Format::Cbor),
        "avro" => Some(Format::Avro),
        "pb" | "protobuf" => Some(Format::Protobuf),
        _ => None,
    }
}

/// A table for each message type.
fn print_schema(description: &Value) {
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

/// A table for each reading, a line for each dead letter.
fn print_sample(sample: &Value) {
    let many = |member: &str| sample[member].as_array().into_iter().flatten();
    for reading in many("readings") {
        let ts = reading["ts"].as_i64().map(times::iso).unwrap_or_default();
        let ts = if reading["ts_received"] == true { format!("{ts} (its receipt)") } else { ts };
        let said = ["seq", "boot", "buffered", "tags"].iter().filter(|part| is_said(&reading[**part]));
        let said: String = said.map(|part| format!(", {part} {}", reading[*part])).collect();
        output::line(format!("message {} is a reading of {ts}{said}", reading["index"]));
        let metrics = reading["metrics"].as_object().into_iter().flatten();
        let row = |(name, metric): (&String, &Value)| {
            let text = |member: &str| metric[member].as_str().unwrap_or_default().to_owned();
            vec![name.clone(), metric["value"].to_string(), text("unit"), text("type")]
        };
        output::table(&["metric", "value", "unit", "type"], &metrics.map(row).collect::<Vec<_>>());
        output::line("");
    }
    for letter in many("dead_letters") {
        let text = |member: &str| letter[member].as_str().unwrap_or_default();
        let at = if text("path").is_empty() { String::new() } else { format!(" at {}", text("path")) };
        output::line(format!(
            "message {} is a dead letter, {}{at}: {}",
            letter["index"],
            text("reason"),
            text("detail")
        ));
    }
    if sample["duplicates"].as_u64() > Some(0) {
        output::line(format!("{} of its messages are re-sends of others in it, and dropped", sample["duplicates"]));
    }
    let shown = many("readings").count() + many("dead_letters").count();
    let all = sample["accepted"].as_u64().unwrap_or_default() + sample["rejected"].as_u64().unwrap_or_default();
    if shown as u64 != all && !sample.is_null() {
        output::line(format!("These are {shown} of {all} messages."));
    }
}

fn is_said(part: &Value) -> bool {
    match part {
        Value::Null | Value::Bool(false) => false,
        Value::Object(tags) => !tags.is_empty(),
        _ => true,
    }
}
