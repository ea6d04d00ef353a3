//! Tables as CSV (RFC 4180). An absent value is an empty field, an empty string is `""`.

use std::fmt::Write;

use store::Value;

use super::{Cells, Column};

/// The table with a line of names on top.
pub fn encode(columns: &[Column]) -> Vec<u8> {
    let mut out = columns.iter().map(|column| column.name).collect::<Vec<_>>().join(",");
    out.push_str("\r\n");
    let rows = columns.first().map_or(0, |column| column.cells.rows());
    for row in 0..rows {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            column.cells.write(row, &mut out);
        }
        out.push_str("\r\n");
    }
    out.into_bytes()
}

impl Cells {
    fn rows(&self) -> usize {
        match self {
            Self::Time(cells) => cells.len(),
            Self::Values(cells) => cells.len(),
            Self::Counts(cells) => cells.len(),
            Self::Texts(cells) => cells.len(),
            Self::Flags(cells) => cells.len(),
        }
    }

    fn write(&self, row: usize, out: &mut String) {
        let written = match self {
            Self::Time(cells) => cells[row].map_or(Ok(()), |time| write!(out, "{time}")),
            Self::Flags(cells) => write!(out, "{}", cells[row]),
            Self::Counts(cells) => cells[row].map_or(Ok(()), |count| write!(out, "{count}")),
            Self::Texts(cells) => {
                cells[row].iter().for_each(|text| quote(text, out));
                Ok(())
            }
            Self::Values(cells) => match &cells[row] {
                None => Ok(()),
                Some(Value::F64(number)) => write!(out, "{number:?}"),
                Some(Value::I64(number)) => write!(out, "{number}"),
                Some(Value::Bool(flag)) => write!(out, "{flag}"),
                Some(Value::Str(text)) => {
                    quote(text, out);
                    Ok(())
                }
            },
        };
        written.expect("a String takes every write");
    }
}

fn quote(text: &str, out: &mut String) {
    if text.is_empty() || text.contains(['"', ',', '\r', '\n']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}
