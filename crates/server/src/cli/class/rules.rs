//! What a class says about messages, as arguments.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cli::resource::Members;

/// The rules that a message meets beside its schema.
#[derive(clap::Args, Debug)]
pub struct Rules {
    /// What becomes of fields that the schema does not name: keep (default), drop or reject.
    #[arg(long)]
    unknown_fields: Option<String>,
    /// How `ts` is written where the schema does not say it: s, ms (default), us, ns or iso8601.
    #[arg(long, value_name = "UNIT")]
    ts_unit: Option<String>,
    /// The unit in which a metric is stored, as a UCUM code; `none` takes it away. May be given several times.
    #[arg(long, value_name = "METRIC=UNIT")]
    unit: Vec<String>,
    /// A metric made of others of the same message. May be given several times; those given replace all that there were,
    /// and `none` takes them away.
    #[arg(long, value_name = "METRIC=EXPRESSION")]
    computed: Vec<String>,
    /// The unit of a metric that is given with --computed.
    #[arg(long, value_name = "METRIC=UNIT")]
    computed_unit: Vec<String>,
}

impl Rules {
    /// Adds what was given to the members of a class.
    pub fn add_to(&self, members: &mut Members) -> Result<()> {
        members.set("unknown_fields", &self.unknown_fields);
        members.set("ts_unit", &self.ts_unit);
        members.pairs("units", &self.unit)?;
        if !self.computed.is_empty() {
            members.insert("computed", computed(&self.computed, &self.computed_unit)?);
        }
        Ok(())
    }
}

/// The member `computed`.
fn computed(expressions: &[String], units: &[String]) -> Result<Value> {
    if expressions == ["none"] {
        return Ok(Value::Null);
    }
    let parts = |text: &'_ str| -> Result<(String, String)> {
        let (name, value) = text.split_once('=').with_context(|| format!("`{text}` is not of the form METRIC=…"))?;
        Ok((name.to_owned(), value.trim().to_owned()))
    };
    let mut units: BTreeMap<String, String> = units.iter().map(|text| parts(text)).collect::<Result<_>>()?;
    let mut list = Vec::with_capacity(expressions.len());
    for text in expressions {
        let (metric, expression) = parts(text)?;
        let unit = units.remove(&metric);
        list.push(json!({"metric": metric, "expression": expression, "unit": unit}));
    }
    if let Some(metric) = units.keys().next() {
        bail!("--computed-unit names `{metric}`, which no --computed makes");
    }
    Ok(Value::Array(list))
}
