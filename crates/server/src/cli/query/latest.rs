//! `query --latest`: what a device, or each device of a class, said last.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::cli::client::{Client, escape};
use crate::cli::output;
use crate::http::times;

use super::{Subject, shown};

/// Devices that the server gives in one page.
const PAGE_DEVICES: usize = 1000;

/// The answer, for a class over as many pages as it takes.
pub fn read(client: &Client, of: &Subject, limit: usize) -> Result<Value> {
    let class = match of {
        Subject::Device(device) => return client.get(&format!("/v1/devices/{}/latest", escape(device)), &[]),
        Subject::Class(class) => class,
    };
    let mut devices = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page_limit = (limit - devices.len()).clamp(1, PAGE_DEVICES).to_string();
        let mut query = vec![("class", class.as_str()), ("limit", &page_limit)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = client.get("/v1/latest", &query)?;
        let Value::Array(found) = page["devices"].take() else { bail!("the server's answer has no devices") };
        devices.extend(found);
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || devices.len() >= limit {
            page["devices"] = json!(devices);
            return Ok(page);
        }
    }
}

/// Prints the answer as a table with a line for each device and metric.
pub fn print(answer: &Value) {
    let one = std::slice::from_ref(answer);
    let devices = answer["devices"].as_array().map_or(one, Vec::as_slice);
    output::table(&["device", "metric", "time", "value", "unit"], &devices.iter().flat_map(rows).collect::<Vec<_>>());
}

fn rows(device: &Value) -> Vec<Vec<String>> {
    let id = device["device_id"].as_str().unwrap_or_default();
    let metrics = device["metrics"].as_object().into_iter().flatten();
    let row = |(metric, latest): (&String, &Value)| {
        let time = latest["ts"].as_i64().map(times::iso).unwrap_or_default();
        vec![id.to_owned(), metric.clone(), time, shown(&latest["value"]), shown(&latest["unit"])]
    };
    metrics.map(row).collect()
}
