//! A file and what it imports, linked: names resolved, options interpreted.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use model::limits::{SCHEMA_BYTES_MAX, SCHEMA_REFERENCES_MAX, SCHEMA_WITH_REFERENCES_BYTES_MAX};
use prost_reflect::prost_types::{DescriptorProto, MessageOptions};
use prost_reflect::{DescriptorPool, FileDescriptor};

use super::known::{self, Known};
use super::source::{Fault, Places, Source, short};
use super::{Invalid, ReferencedText};

/// The name of the schema's own file: one that no import can have, as `tidewater/` is ours.
pub(super) const FILE: &str = "tidewater/schema.proto";
/// The field `dependency` of FileDescriptorProto.
const DEPENDENCY: i32 = 3;

/// Comments before parts of files, by file and path.
pub(super) type Comments = HashMap<(String, Vec<i32>), String>;

/// Links the text. The file is the one called [`FILE`].
pub(super) fn link(text: &str, references: &[ReferencedText]) -> Result<(FileDescriptor, Comments), Invalid> {
    let invalid = |why: String| Invalid { why };
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(invalid(format!(
            "the schema has {} bytes, and at most {SCHEMA_BYTES_MAX} are allowed: move parts of it to references",
            text.len()
        )));
    }
    if references.len() > SCHEMA_REFERENCES_MAX {
        let count = references.len();
        return Err(invalid(format!(
            "the schema has {count} references, and at most {SCHEMA_REFERENCES_MAX} are allowed"
        )));
    }
    let bytes = text.len() + references.iter().map(|reference| reference.text.len()).sum::<usize>();
    if bytes > SCHEMA_WITH_REFERENCES_BYTES_MAX {
        return Err(invalid(format!(
            "the schema and its references have {bytes} bytes, and at most {SCHEMA_WITH_REFERENCES_BYTES_MAX} are allowed"
        )));
    }
    // The libraries index and unwrap what they take for granted in a descriptor.
    catch_unwind(AssertUnwindSafe(|| Linker::new(references).link(text)))
        .unwrap_or_else(|_| Err("it cannot be read: the Protobuf library gave up on it".to_owned()))
        .map_err(invalid)
}

struct Linker<'a> {
    references: HashMap<&'a str, &'a str>,
    pool: DescriptorPool,
    /// The files that are being linked, each imported by the one before.
    open: Vec<String>,
    comments: Comments,
}

impl<'a> Linker<'a> {
    fn new(references: &'a [ReferencedText]) -> Self {
        let texts = references.iter().map(|reference| (reference.name.as_str(), reference.text.as_str()));
        Self { references: texts.collect(), pool: DescriptorPool::new(), open: Vec::new(), comments: Comments::new() }
    }

    fn link(mut self, text: &str) -> Result<(FileDescriptor, Comments), String> {
        let source = Source::read(FILE, text).map_err(|fault| sentence(FILE, fault))?;
        self.add(FILE, source)?;
        let file = self.pool.get_file_by_name(FILE).ok_or("it declares no file")?;
        Ok((file, self.comments))
    }

    /// Adds a file after what it imports; recursion ends at the number of references.
    fn add(&mut self, name: &str, source: Source) -> Result<(), String> {
        self.open.push(name.to_owned());
        for (index, import) in (0..).zip(&source.file.dependency) {
            let fault = |why| Fault { at: source.places.at(&[DEPENDENCY, index]), why };
            self.import(import).map_err(|fault_or_sentence| match fault_or_sentence {
                Unimported::Here(why) => sentence(name, fault(why)),
                Unimported::There(sentence) => sentence,
            })?;
        }
        self.open.pop();
        if let Some(name_of_entry) = broken_entry(&source.file.message_type) {
            let why = format!(
                "`{}` says that it is an entry of a map and has not just `key = 1` and `value = 2`",
                short(name_of_entry)
            );
            return Err(sentence(name, Fault { at: None, why }));
        }
        let Source { file, encoded, places } = source;
        let added = match encoded {
            Some(bytes) => self.pool.decode_file_descriptor_proto(bytes.as_slice()),
            None => self.pool.add_file_descriptor_proto(file),
        };
        added.map_err(|error| {
            let at = error.path().and_then(|path| places.at(path));
            sentence(name, Fault { at, why: error.to_string() })
        })?;
        self.note(name, places);
        Ok(())
    }

    fn import(&mut self, import: &str) -> Result<(), Unimported> {
        if self.open.iter().any(|open| open == import) {
            return Err(Unimported::Here(format!(
                "importing `{import}` here closes a circle: files import each other"
            )));
        }
        if self.pool.get_file_by_name(import).is_some() {
            return Ok(());
        }
        let source = match known::open(import) {
            Some(Known::Text(text)) => Source::read(import, text),
            Some(Known::Parsed(file)) => Ok(Source { file: *file, encoded: None, places: Places::default() }),
            None => match self.references.get(import) {
                Some(text) => Source::read(import, text),
                None => {
                    return Err(Unimported::Here(format!(
                        "`{}` is imported, and no reference has that name: register it and name it in `references`",
                        short(import)
                    )));
                }
            },
        };
        let source = source.map_err(|fault| Unimported::There(sentence(import, fault)))?;
        self.add(import, source).map_err(Unimported::There)
    }

    fn note(&mut self, name: &str, places: Places) {
        self.comments.extend(places.comments().map(|(path, comment)| ((name.to_owned(), path), comment)));
    }
}

/// A message that calls itself the entry of a map and is not one, which the library takes for granted. Only a descriptor
/// can have one: a text has no words for it. How deep messages nest is bounded where they are decoded.
fn broken_entry(messages: &[DescriptorProto]) -> Option<&str> {
    messages.iter().find_map(|message| {
        let is_entry = message.options.as_ref().is_some_and(MessageOptions::map_entry);
        let fields = message.field.iter().map(|field| (field.name(), field.number()));
        let is_whole = || fields.eq([("key", 1), ("value", 2)]) && message.nested_type.is_empty();
        if is_entry && !is_whole() { Some(message.name()) } else { broken_entry(&message.nested_type) }
    })
}

/// Why a file could not be imported.
enum Unimported {
    /// What is wrong with the import itself.
    Here(String),
    /// A sentence about the imported file.
    There(String),
}

/// `line 3, column 5: what`, and before it the reference that it is about.
fn sentence(name: &str, fault: Fault) -> String {
    let mut sentence = if name == FILE { String::new() } else { format!("reference `{}`: ", short(name)) };
    if let Some((line, column)) = fault.at {
        sentence.push_str(&format!("line {line}, column {column}: "));
    }
    sentence.push_str(&fault.why);
    sentence
}
