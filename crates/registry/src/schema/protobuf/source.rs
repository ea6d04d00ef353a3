//! One file: from a text in either form to an unlinked descriptor, and where in the text each part of it is.
//!
//! Everything that the linker does not bound is bounded here, before it sees the descriptor: the number and the length of
//! names, nesting, ranges, and the options' values, which it reads by recursion.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::limits::{NAME_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_FIELDS_MAX};
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::source_code_info::Location;
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, UninterpretedOption,
};

/// A name with all that it is in: `package.Message.Nested.field`. Names are stored as often as they are used.
const FULL_NAME_BYTES_MAX: usize = 512;
/// Messages, fields, enums and their constants of one file.
const DEFINITIONS_MAX: usize = 20_000;
/// Opening braces in the value of an option, wherever they stand: the linker reads such a value by recursion.
const OPTION_BRACES_MAX: usize = 128;

/// A parsed file that is not linked yet.
pub(super) struct Source {
    pub(super) file: FileDescriptorProto,
    /// The bytes of a file that came as a descriptor: they hold options which [`Self::file`] does not.
    pub(super) encoded: Option<Vec<u8>>,
    pub(super) places: Places,
}

/// Where in a text the parts of its descriptor are, by path (`SourceCodeInfo.Location.path`).
#[derive(Default)]
pub(super) struct Places(HashMap<Vec<i32>, Location>);

/// What is wrong in a file, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// 1-based line and column.
    pub(super) at: Option<(i32, i32)>,
    pub(super) why: String,
}

impl Source {
    /// Reads a .proto text or the base64 of a serialized descriptor: no text that declares anything consists of base64's
    /// characters only. The file gets this name.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, Fault> {
        let trimmed = text.trim_ascii();
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        if !trimmed.is_empty() && trimmed.bytes().all(is_base64) {
            Self::decode(name, trimmed)
        } else {
            Self::parse(name, text)
        }
    }

    fn decode(name: &str, text: &str) -> Result<Self, Fault> {
        let fault = |why: String| Fault { at: None, why };
        let mut bytes = STANDARD.decode(text).map_err(|error| {
            fault(format!("it is neither a .proto text nor the base64 of a FileDescriptorProto: {error}"))
        })?;
        let mut file = FileDescriptorProto::decode(bytes.as_slice())
            .map_err(|error| fault(format!("the base64 is not that of a FileDescriptorProto: {error}")))?;
        Check::of(&file, Options::Interpreted)?;
        let places = Places::take(&mut file);
        // Of a field that occurs twice the last one counts.
        let named = FileDescriptorProto { name: Some(name.to_owned()), ..FileDescriptorProto::default() };
        bytes.extend(named.encode_to_vec());
        file.name = named.name;
        Ok(Self { file, encoded: Some(bytes), places })
    }

    fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        let mut file = protox_parse::parse(name, text).map_err(|error| Fault::of_parser(name, &error))?;
        Check::of(&file, Options::Text)?;
        let places = Places::take(&mut file);
        Ok(Self { file, encoded: None, places })
    }
}

impl Places {
    /// Takes them out of the file: the linker would search all of them for each option.
    fn take(file: &mut FileDescriptorProto) -> Self {
        let locations = file.source_code_info.take().map_or_else(Vec::new, |info| info.location);
        let mut places = HashMap::with_capacity(locations.len());
        for location in locations {
            places.entry(location.path.clone()).or_insert(location);
        }
        Self(places)
    }

    /// Line and column of the innermost part on this path that has them.
    pub(super) fn at(&self, path: &[i32]) -> Option<(i32, i32)> {
        (1..=path.len()).rev().find_map(|length| {
            let span = &self.0.get(&path[..length])?.span;
            Some((span.first()? + 1, span.get(1)? + 1))
        })
    }

    /// The comments that stand before parts of the file.
    pub(super) fn comments(self) -> impl Iterator<Item = (Vec<i32>, String)> {
        self.0.into_iter().filter_map(|(path, location)| Some((path, location.leading_comments?)))
    }
}

impl Fault {
    /// The parser tells the place only in its debug form, as `file:line:column: what`.
    fn of_parser(name: &str, error: &protox_parse::ParseError) -> Self {
        let shown = format!("{error:?}");
        let at = shown.strip_prefix(name).and_then(|rest| {
            let mut parts = rest.strip_prefix(':')?.splitn(3, ':');
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        });
        let mut why = error.to_string();
        if why.ends_with("but found 'edition'") {
            why =
                "editions are not supported: write `syntax = \"proto3\";` or `syntax = \"proto2\";` instead".to_owned();
        }
        // The parser has one text for two mistakes.
        if why == "invalid group name" {
            why = "a group's name begins with a capital letter, and what is imported is a relative path such as \"unit.proto\""
                .to_owned();
        }
        Self { at, why }
    }
}

/// How options may be written in a descriptor.
#[derive(Clone, Copy, PartialEq)]
enum Options {
    /// As the parser leaves them, to be read by the linker.
    Text,
    /// As a compiler leaves them.
    Interpreted,
}

/// Walks a descriptor and counts.
struct Check {
    options: Options,
    definitions: usize,
}

impl Check {
    fn of(file: &FileDescriptorProto, options: Options) -> Result<(), Fault> {
        let mut check = Self { options, definitions: 0 };
        check.file(file).map_err(|why| Fault { at: None, why })
    }

    fn file(&mut self, file: &FileDescriptorProto) -> Result<(), String> {
        let package = file.package().len();
        named("package", file.package(), 0)?;
        if !matches!(file.syntax(), "" | "proto2" | "proto3") {
            return Err(format!("syntax `{}` is not supported: use proto2 or proto3", short(file.syntax())));
        }
        self.options(file.options.as_ref().map(|options| &options.uninterpreted_option))?;
        for message in &file.message_type {
            self.message(message, package, 1)?;
        }
        for definition in &file.enum_type {
            self.definition_of_enum(definition, package)?;
        }
        for field in &file.extension {
            self.field(field, package)?;
        }
        for service in &file.service {
            self.count("service", service.name(), package)?;
            self.options(service.options.as_ref().map(|options| &options.uninterpreted_option))?;
            for method in &service.method {
                self.count("method", method.name(), package + service.name().len())?;
                named("type", method.input_type(), 0)?;
                named("type", method.output_type(), 0)?;
                self.options(method.options.as_ref().map(|options| &options.uninterpreted_option))?;
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &DescriptorProto, outer: usize, depth: usize) -> Result<(), String> {
        let name = message.name();
        self.count("message", name, outer)?;
        let scope = outer + 1 + name.len();
        if depth > SCHEMA_DEPTH_MAX {
            return Err(format!(
                "message `{name}` is nested more than {SCHEMA_DEPTH_MAX} deep: declare it further out"
            ));
        }
        few("fields", name, message.field.len())?;
        few("reserved ranges", name, message.reserved_range.len())?;
        few("reserved names", name, message.reserved_name.len())?;
        few("extension ranges", name, message.extension_range.len())?;
        self.options(message.options.as_ref().map(|options| &options.uninterpreted_option))?;
        for range in &message.extension_range {
            self.options(range.options.as_ref().map(|options| &options.uninterpreted_option))?;
        }
        for field in message.field.iter().chain(&message.extension) {
            self.field(field, scope)?;
        }
        for oneof in &message.oneof_decl {
            self.count("oneof", oneof.name(), scope)?;
            self.options(oneof.options.as_ref().map(|options| &options.uninterpreted_option))?;
        }
        for definition in &message.enum_type {
            self.definition_of_enum(definition, scope)?;
        }
        message.nested_type.iter().try_for_each(|nested| self.message(nested, scope, depth + 1))
    }

    fn definition_of_enum(&mut self, definition: &EnumDescriptorProto, outer: usize) -> Result<(), String> {
        let name = definition.name();
        self.count("enum", name, outer)?;
        few("constants", name, definition.value.len())?;
        few("reserved ranges", name, definition.reserved_range.len())?;
        few("reserved names", name, definition.reserved_name.len())?;
        self.options(definition.options.as_ref().map(|options| &options.uninterpreted_option))?;
        for value in &definition.value {
            self.count("constant", value.name(), outer)?;
            self.options(value.options.as_ref().map(|options| &options.uninterpreted_option))?;
        }
        Ok(())
    }

    fn field(&mut self, field: &FieldDescriptorProto, outer: usize) -> Result<(), String> {
        self.count("field", field.name(), outer)?;
        named("type", field.type_name(), 0)?;
        named("type", field.extendee(), 0)?;
        self.options(field.options.as_ref().map(|options| &options.uninterpreted_option))
    }

    fn count(&mut self, what: &str, name: &str, outer: usize) -> Result<(), String> {
        self.definitions += 1;
        if self.definitions > DEFINITIONS_MAX {
            return Err(format!("it declares more than {DEFINITIONS_MAX} names: register parts of it as references"));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(format!("the name of {what} `{}…` is longer than {NAME_BYTES_MAX} bytes", short(name)));
        }
        named(what, name, outer)
    }

    fn options(&self, options: Option<&Vec<UninterpretedOption>>) -> Result<(), String> {
        for option in options.into_iter().flatten() {
            let name = option.name.first().map_or("", |part| part.name_part.as_str());
            if self.options == Options::Interpreted {
                return Err(format!(
                    "option `{}` of the descriptor is not interpreted: serialize the descriptor of a compiled file",
                    short(name)
                ));
            }
            named("option", name, 0)?;
            if option.name.len() > SCHEMA_DEPTH_MAX {
                return Err(format!("the name of option `{name}…` has more than {SCHEMA_DEPTH_MAX} parts"));
            }
            let value = option.aggregate_value.as_deref().unwrap_or("");
            if value.bytes().filter(|byte| matches!(byte, b'{' | b'<' | b'[')).count() > OPTION_BRACES_MAX {
                return Err(format!("the value of option `{name}` has more than {OPTION_BRACES_MAX} opening braces"));
            }
        }
        Ok(())
    }
}

fn named(what: &str, name: &str, outer: usize) -> Result<(), String> {
    if outer + 1 + name.len() <= FULL_NAME_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "the full name of {what} `{}…` is longer than {FULL_NAME_BYTES_MAX} bytes: shorten it or what it is in",
        short(name)
    ))
}

/// Of constants there may be [`model::limits::SCHEMA_CONSTANTS_MAX`], which are as many.
fn few(what: &str, name: &str, count: usize) -> Result<(), String> {
    if count <= SCHEMA_FIELDS_MAX {
        return Ok(());
    }
    Err(format!("`{name}` has {count} {what}, and at most {SCHEMA_FIELDS_MAX} are allowed: split it"))
}

/// The beginning of a peer's name, for a sentence.
pub(super) fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(40)]
}
