//! What commands print: tables, JSON and sparklines on standard output. A reader that goes away early (`| head`) is no
//! error.

use std::io::{self, Write};

use serde_json::Value;

#[cfg(test)]
mod tests;

/// Prints one line.
pub fn line(text: impl AsRef<str>) {
    raw(text.as_ref().as_bytes());
    raw(b"\n");
}

/// Prints bytes as they are.
pub fn raw(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => tracing::warn!("standard output cannot be written: {error}"),
        Ok(()) => {}
    }
}

/// Prints a document, indented.
pub fn json(value: &Value) {
    line(format!("{value:#}"));
}

/// Prints rows below their headings, every column as wide as its widest cell; columns of numbers stand to the right.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    raw(format_table(headings, rows).as_bytes());
}

fn format_table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let columns: Vec<Column> = headings.iter().enumerate().map(|(at, name)| Column::of(name, rows, at)).collect();
    let mut out = String::new();
    let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    for row in std::iter::once(&headings).chain(rows) {
        let cells = row.iter().zip(&columns).map(|(cell, column)| column.pad(cell));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

struct Column {
    width: usize,
    right: bool,
}

impl Column {
    fn of(heading: &str, rows: &[Vec<String>], at: usize) -> Self {
        let cells = || rows.iter().filter_map(|row| row.get(at));
        let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0).max(heading.chars().count());
        let right = !rows.is_empty() && cells().all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok());
        Self { width, right }
    }

    fn pad(&self, cell: &str) -> String {
        let width = self.width;
        if self.right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    }
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar per value from the least to the greatest, at most `width` of them (neighbours are averaged); a gap (`None`)
/// is a space.
pub fn sparkline(values: &[Option<f64>], width: usize) -> String {
    let per_bar = values.len().div_ceil(width.max(1)).max(1);
    let mean = |chunk: &[Option<f64>]| {
        let present: Vec<f64> = chunk.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
    };
    let bars: Vec<Option<f64>> = values.chunks(per_bar).map(mean).collect();
    let least = bars.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let greatest = bars.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        Some(_) if greatest <= least => BARS[3],
        Some(value) => BARS[((value - least) / (greatest - least) * 7.0).round() as usize % 8],
    };
    bars.iter().map(bar).collect()
}
