//! Schema resolution: whether a reader's schema can read what was written with another one (specification, "Schema
//! Resolution"), in the words of Java's `SchemaCompatibility`.
//!
//! Stricter than that in what goes wrong all the same when the data are read:
//! - decimals of other precision or scale do not match (specification, "Decimal"), and neither do two known logical types
//!   that are not the same: a `timestamp-millis` read as `timestamp-micros` is wrong by a factor of a thousand;
//! - a reader's union is resolved as it is read, with the branch of the writer's kind and name, and only without one with the first
//!   that the writer's type is promoted to. Of several branches of one unqualified name each one must read it, for which one is
//!   taken depends on who reads;
//! - a writer's field that two of the reader's fields claim, one of them by an alias, belongs to neither.
//!
//! So every answer is a conjunction over pairs of types, and all its reasons can be told.

use std::collections::{HashMap, HashSet};

use super::pairs::{Pair, Pairs};
use super::types::{Enum, Field, Named, Primitive, Record, Shape, Type, TypeId};
use super::{Avro, Difference};

const NAME_MISMATCH: &str = "NAME_MISMATCH";
const FIXED_SIZE_MISMATCH: &str = "FIXED_SIZE_MISMATCH";
const MISSING_ENUM_SYMBOLS: &str = "MISSING_ENUM_SYMBOLS";
const READER_FIELD_MISSING_DEFAULT_VALUE: &str = "READER_FIELD_MISSING_DEFAULT_VALUE";
const TYPE_MISMATCH: &str = "TYPE_MISMATCH";
const MISSING_UNION_BRANCH: &str = "MISSING_UNION_BRANCH";

pub fn cannot_read(reader: &Avro, writer: &Avro) -> Vec<Difference> {
    Pairs::walk(reader, writer, look)
}

fn look<'a>(pairs: &mut Pairs<'a>, pair: &Pair<'a>, reader: TypeId, writer: TypeId) {
    match (&pair.left.shape, &pair.right.shape) {
        (Shape::Union(branches), Shape::Union(written)) => {
            for (position, branch) in written.iter().enumerate() {
                choose(pairs, pair, branches, *branch, &format!("/{position}"));
            }
        }
        (Shape::Union(branches), _) => choose(pairs, pair, branches, writer, ""),
        (_, Shape::Union(written)) => {
            for branch in written {
                pairs.inside(pair, "", reader, *branch);
            }
        }
        (Shape::Array(left), Shape::Array(right)) => pairs.inside(pair, "/items", *left, *right),
        (Shape::Map(left), Shape::Map(right)) => pairs.inside(pair, "/values", *left, *right),
        (Shape::Record(named, record), Shape::Record(written, fields)) => {
            names(pairs, pair, named, written);
            records(pairs, pair, record, fields);
        }
        (Shape::Enum(named, symbols), Shape::Enum(written, symbols_written)) => {
            names(pairs, pair, named, written);
            enums(pairs, pair, symbols, symbols_written);
        }
        (Shape::Fixed(named, size), Shape::Fixed(written, size_written)) => {
            names(pairs, pair, named, written);
            if size != size_written {
                let detail = format!("the reader's fixed has {size} bytes, the writer's has {size_written}");
                pairs.differ(pair, "/size", FIXED_SIZE_MISMATCH, detail);
            }
            logical_types(pairs, pair);
        }
        (Shape::Primitive(to), Shape::Primitive(from)) if to == from || promotes(*from, *to) => {
            logical_types(pairs, pair)
        }
        (left, right) => {
            let detail = format!("the reader's type {} cannot read the writer's type {}", left.word(), right.word());
            pairs.differ(pair, "", TYPE_MISMATCH, detail);
        }
    }
}

/// "int is promotable to long, float, or double; long is promotable to float or double; float is promotable to double;
/// string is promotable to bytes; bytes is promotable to string".
fn promotes(from: Primitive, to: Primitive) -> bool {
    matches!(
        (from, to),
        (Primitive::Int, Primitive::Long | Primitive::Float | Primitive::Double)
            | (Primitive::Long, Primitive::Float | Primitive::Double)
            | (Primitive::Float, Primitive::Double)
            | (Primitive::String, Primitive::Bytes)
            | (Primitive::Bytes, Primitive::String)
    )
}

/// The branches of the reader's union that a writer's type, which is no union, is read with.
fn choose(pairs: &mut Pairs<'_>, pair: &Pair<'_>, branches: &[TypeId], writer: TypeId, way: &str) {
    if !pairs.spend(branches.len()) {
        return;
    }
    let written = pairs.right(writer);
    let mut chosen: Vec<usize> =
        (0..branches.len()).filter(|position| same_kind(pairs.left(branches[*position]), written)).collect();
    if chosen.is_empty() {
        chosen.extend((0..branches.len()).find(|position| promoted(pairs.left(branches[*position]), written)));
    }
    if chosen.is_empty() {
        let written = written.shape.named().map_or_else(
            || written.shape.word().to_owned(),
            |named| format!("{} {}", written.shape.word(), named.name),
        );
        pairs.differ(
            pair,
            way,
            MISSING_UNION_BRANCH,
            format!("the reader's union has no branch for the writer's {written}"),
        );
    }
    for position in chosen {
        pairs.inside(pair, format_args!("/{position}"), branches[position], writer);
    }
}

fn same_kind(reader: &Type, writer: &Type) -> bool {
    match (reader.shape.named(), writer.shape.named()) {
        (Some(named), Some(written)) => reader.shape.word() == writer.shape.word() && same_name(named, written),
        _ => reader.shape.word() == writer.shape.word(),
    }
}

fn promoted(reader: &Type, writer: &Type) -> bool {
    match (&reader.shape, &writer.shape) {
        (Shape::Primitive(to), Shape::Primitive(from)) => promotes(*from, *to),
        _ => false,
    }
}

/// By the unqualified name, or by an alias of the reader's that is the writer's full name.
fn same_name(reader: &Named, writer: &Named) -> bool {
    reader.name.name == writer.name.name || reader.aliases.contains(&writer.name)
}

fn names(pairs: &mut Pairs<'_>, pair: &Pair<'_>, reader: &Named, writer: &Named) {
    if !same_name(reader, writer) {
        let detail = format!(
            "the reader's {} has another name than the writer's {}, and no alias of that full name",
            reader.name, writer.name
        );
        pairs.differ(pair, "/name", NAME_MISMATCH, detail);
    }
}

fn logical_types(pairs: &mut Pairs<'_>, pair: &Pair<'_>) {
    if let (Some(reader), Some(writer)) = (pair.left.logical, pair.right.logical)
        && reader != writer
    {
        let detail = format!("the reader's {} would misread the writer's {}", reader.describe(), writer.describe());
        pairs.differ(pair, "", TYPE_MISMATCH, detail);
    }
}

fn enums(pairs: &mut Pairs<'_>, pair: &Pair<'_>, reader: &Enum, writer: &Enum) {
    if reader.default.is_some() || !pairs.spend(reader.symbols.len() + writer.symbols.len()) {
        return;
    }
    let known: HashSet<&String> = reader.symbols.iter().collect();
    let missing: Vec<&str> =
        writer.symbols.iter().filter(|symbol| !known.contains(symbol)).map(String::as_str).collect();
    if !missing.is_empty() {
        let detail =
            format!("the reader's enum has no default and lacks the writer's symbols [{}]", missing.join(", "));
        pairs.differ(pair, "/symbols", MISSING_ENUM_SYMBOLS, detail);
    }
}

fn records(pairs: &mut Pairs<'_>, pair: &Pair<'_>, reader: &Record, writer: &Record) {
    let mut claimed: HashMap<usize, &str> = HashMap::new();
    for (position, field) in reader.fields.iter().enumerate() {
        if !pairs.spend(1 + field.aliases.len()) {
            return;
        }
        let way = format!("/fields/{position}");
        match sources(field, writer).as_slice() {
            [] if field.default.is_some() => {}
            [] => {
                let detail =
                    format!("the reader's field {:?} has no default, and the writer has no such field", field.name);
                pairs.differ(pair, way, READER_FIELD_MISSING_DEFAULT_VALUE, detail);
            }
            [source] => {
                if let Some(other) = claimed.insert(*source, &field.name) {
                    let detail = format!(
                        "the reader's fields {other:?} and {:?} both read the writer's field {:?}",
                        field.name, writer.fields[*source].name
                    );
                    pairs.differ(pair, &way, NAME_MISMATCH, detail);
                }
                pairs.inside(pair, format_args!("{way}/type"), field.of, writer.fields[*source].of);
            }
            [first, second, ..] => {
                let detail = format!(
                    "the reader's field {:?} reads two fields of the writer by its name and aliases: {:?} and {:?}",
                    field.name, writer.fields[*first].name, writer.fields[*second].name
                );
                pairs.differ(pair, way, NAME_MISMATCH, detail);
            }
        }
    }
}

/// The writer's fields, by position, that a reader's field means by its name or an alias.
fn sources(field: &Field, writer: &Record) -> Vec<usize> {
    let mut sources: Vec<usize> = std::iter::once(&field.name)
        .chain(&field.aliases)
        .filter_map(|name| writer.by_name.get(name).copied())
        .collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}
