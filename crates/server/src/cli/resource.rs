//! What the commands for tenants, keys, classes and devices share: arguments, lists over pages, and how a resource is
//! printed.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::client::{Client, Connection};
use super::output;
use crate::http::times;

#[cfg(test)]
mod tests;

/// Rows that the server gives in one page.
const PAGE_ROWS: usize = 1000;

/// Where the server is, and how to print.
#[derive(clap::Args, Clone, Debug)]
pub struct With {
    #[command(flatten)]
    pub connection: Connection,
    /// Prints JSON, as the API answers it.
    #[arg(long)]
    pub json: bool,
}

impl With {
    pub fn client(&self) -> Result<Client> {
        Client::open(&self.connection)
    }

    /// Prints one resource.
    pub fn show(&self, resource: &Value) {
        if self.json {
            return output::json(resource);
        }
        let fields = resource.as_object().into_iter().flatten();
        let rows: Vec<Vec<String>> = fields.map(|(name, value)| vec![name.clone(), member(name, value)]).collect();
        output::table(&["field", "value"], &rows);
    }

    /// Says what happened to what has nothing to show any more.
    pub fn done(&self, what: &str, name: &str) {
        if self.json { output::json(&json!({ what: name })) } else { output::line(format!("{what} {name}")) }
    }
}

/// A list, over as many pages as it takes.
#[derive(clap::Args, Clone, Debug)]
pub struct ListArgs {
    /// Rows at most.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    with: With,
}

impl ListArgs {
    /// Prints the member `field` of the list at `path`; `columns` are members of a row.
    pub fn run(&self, path: &str, query: &[(&str, &str)], field: &str, columns: &[&str]) -> Result<()> {
        let (rows, next) = read_list(&self.with.client()?, path, query, field, self.limit)?;
        if self.with.json {
            output::json(&json!({ field: rows, "next": next }));
        } else {
            let row = |row: &Value| columns.iter().map(|column| member(column, &row[*column])).collect();
            output::table(columns, &rows.iter().map(row).collect::<Vec<_>>());
        }
        if !next.is_null() {
            eprintln!("There are more {field}: --limit {} shows the first {}.", self.limit * 10, self.limit * 10);
        }
        Ok(())
    }
}

/// At most `rows_max` rows, and the cursor of what comes after them.
fn read_list(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    field: &str,
    rows_max: usize,
) -> Result<(Vec<Value>, Value)> {
    let mut rows = Vec::new();
    let mut next = Value::Null;
    while rows.len() < rows_max {
        let limit = (rows_max - rows.len()).min(PAGE_ROWS).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(next.as_str().map(|cursor| ("cursor", cursor)));
        let mut page = client.get(path, &query)?;
        let Value::Array(found) = page[field].take() else { bail!("the server's answer has no list of {field}") };
        rows.extend(found);
        next = page["next"].take();
        if next.is_null() {
            break;
        }
    }
    Ok((rows, next))
}

/// A member in one cell: times (`…_at`, `…_until`) as ISO 8601.
fn member(name: &str, value: &Value) -> String {
    match value.as_i64() {
        Some(time) if name.ends_with("_at") || name.ends_with("_until") => times::iso(time),
        _ => cell(value),
    }
}

/// A value in one cell: text as it is, nothing for null, JSON for the rest.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            let set = fields.iter().filter(|(_, value)| !value.is_null());
            set.map(|(name, value)| format!("{name}={}", cell(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// The members that were given on the command line.
#[derive(Default)]
pub struct Members(Map<String, Value>);

impl Members {
    /// The member, if it was given. `none` is null: nothing, or the default, or for ever.
    pub fn set(&mut self, name: &str, value: &Option<String>) {
        if let Some(text) = value {
            let value = if text == "none" { Value::Null } else { Value::from(text.clone()) };
            self.0.insert(name.to_owned(), value);
        }
    }

    /// The member, whatever it is.
    pub fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// An object of `NAME=VALUE`s, if any was given.
    pub fn pairs(&mut self, name: &str, pairs: &[String]) -> Result<()> {
        let object: Map<String, Value> = pairs.iter().map(|text| pair(text)).collect::<Result<_>>()?;
        if !object.is_empty() {
            self.0.insert(name.to_owned(), Value::Object(object));
        }
        Ok(())
    }

    /// The body of a request. `Null` members of a new resource are left out: they are its defaults.
    pub fn for_create(self) -> Value {
        Value::Object(without_nulls(self.0))
    }

    /// The merge patch; an error if nothing was given.
    pub fn for_update(self) -> Result<Value> {
        if self.0.is_empty() {
            bail!("nothing to change: give at least one option, see --help");
        }
        Ok(Value::Object(self.0))
    }
}

fn without_nulls(members: Map<String, Value>) -> Map<String, Value> {
    let keep = |(name, value)| match value {
        Value::Null => None,
        Value::Object(inner) => Some((name, Value::Object(without_nulls(inner)))),
        other => Some((name, other)),
    };
    members.into_iter().filter_map(keep).collect()
}

/// `NAME=VALUE`: the value is JSON where it reads as JSON, `none` is null, anything else is text.
fn pair(text: &str) -> Result<(String, Value)> {
    let (name, value) = text.split_once('=').with_context(|| format!("`{text}` is not of the form NAME=VALUE"))?;
    let value = match value {
        "none" => Value::Null,
        value => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
    };
    Ok((name.to_owned(), value))
}
