//! Types as text, in the four forms that schemas are written in.
//!
//! A named type is defined where it occurs first and stands by its name after that. In the canonical and the normalized
//! form types of referenced texts always stand by their names; in the resolved and the parsing form they are defined too.

use std::collections::HashSet;

use model::limits::SCHEMA_DEPTH_MAX;
use serde_json::Value;

use super::Invalid;
use super::name::FullName;
use super::types::{Attributes, Field, Named, Order, Shape, TypeId, Types};

pub fn canonical(types: &Types, root: TypeId) -> String {
    print(types, root, Form::Canonical)
}

pub fn normalized(types: &Types, root: TypeId) -> String {
    print(types, root, Form::Normalized)
}

pub fn resolved(types: &Types, root: TypeId) -> String {
    print(types, root, Form::Resolved)
}

/// The parsing canonical form (specification, "Parsing Canonical Form for Schemas"). `Err`: with the types of referenced
/// texts in their places it nests too deep; what is parsed once has all its forms.
pub fn parsing_form(types: &Types, root: TypeId) -> Result<String, Invalid> {
    let mut printer = Printer::new(types, Form::Parsing);
    printer.schema(root, "", 0);
    if printer.too_deep {
        return Err(Invalid {
            why: format!(
                "with the types that it refers to in their places, the schema nests deeper than {SCHEMA_DEPTH_MAX} levels; make it flatter"
            ),
        });
    }
    Ok(printer.text)
}

fn print(types: &Types, root: TypeId, form: Form) -> String {
    let mut printer = Printer::new(types, form);
    printer.schema(root, "", 0);
    printer.text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Canonical,
    Normalized,
    Resolved,
    Parsing,
}

struct Printer<'a> {
    types: &'a Types,
    form: Form,
    /// Named types that have been written.
    defined: HashSet<TypeId>,
    text: String,
    too_deep: bool,
}

impl<'a> Printer<'a> {
    fn new(types: &'a Types, form: Form) -> Self {
        Self { types, form, defined: HashSet::new(), text: String::new(), too_deep: false }
    }

    fn schema(&mut self, id: TypeId, enclosing: &str, depth: usize) {
        let of = &self.types[id];
        let attributes = if self.form == Form::Parsing { &Attributes::new() } else { &of.attributes };
        if let Some(named) = of.shape.named() {
            let elsewhere = named.referenced && matches!(self.form, Form::Canonical | Form::Normalized);
            if elsewhere || self.defined.contains(&id) {
                let name = self.name(&named.name, enclosing);
                return self.string(&name);
            }
            self.defined.insert(id);
        }
        match &of.shape {
            Shape::Primitive(primitive) if attributes.is_empty() => return self.string(primitive.word()),
            Shape::Primitive(_) => {}
            _ if depth == SCHEMA_DEPTH_MAX => {
                self.too_deep = true;
                return;
            }
            Shape::Union(branches) => {
                return self.list(branches, |printer, id| printer.schema(*id, enclosing, depth + 1));
            }
            _ => {}
        }
        self.text.push('{');
        match of.shape.named() {
            Some(named) => self.head(named, of.shape.word(), enclosing),
            None => self.member("type", |printer| printer.string(of.shape.word())),
        }
        self.parts(&of.shape, enclosing, depth);
        self.attributes(attributes);
        if let Some(named) = of.shape.named() {
            self.type_aliases(named);
        }
        self.text.push('}');
    }

    /// `type`, `name` and what belongs to them.
    fn head(&mut self, named: &Named, word: &str, enclosing: &str) {
        let name = &named.name;
        if matches!(self.form, Form::Normalized | Form::Parsing) {
            self.member("name", |printer| printer.string(&name.to_string()));
            self.member("type", |printer| printer.string(word));
            if self.form == Form::Normalized && name.namespace.is_empty() && !enclosing.is_empty() {
                self.member("namespace", |printer| printer.string(""));
            }
        } else {
            self.member("type", |printer| printer.string(word));
            self.member("name", |printer| printer.string(&name.name));
            if name.namespace != enclosing {
                self.member("namespace", |printer| printer.string(&name.namespace));
            }
        }
        self.doc(named.doc.as_deref());
    }

    fn doc(&mut self, doc: Option<&str>) {
        if let Some(doc) = doc.filter(|_| self.form != Form::Parsing) {
            self.member("doc", |printer| printer.string(doc));
        }
    }

    fn parts(&mut self, shape: &Shape, enclosing: &str, depth: usize) {
        match shape {
            Shape::Primitive(_) | Shape::Union(_) => {}
            Shape::Array(of) => self.member("items", |printer| printer.schema(*of, enclosing, depth + 1)),
            Shape::Map(of) => self.member("values", |printer| printer.schema(*of, enclosing, depth + 1)),
            Shape::Fixed(_, size) => self.member("size", |printer| printer.text.push_str(&size.to_string())),
            Shape::Enum(_, symbols) => {
                self.member("symbols", |printer| {
                    printer.list(&symbols.symbols, |printer, symbol| printer.string(symbol))
                });
                if let Some(default) = symbols.default.as_ref().filter(|_| self.form != Form::Parsing) {
                    self.member("default", |printer| printer.string(default));
                }
            }
            Shape::Record(named, record) => self.member("fields", |printer| {
                printer.list(&record.fields, |printer, field| printer.field(field, &named.name.namespace, depth + 1));
            }),
        }
    }

    fn field(&mut self, field: &Field, enclosing: &str, depth: usize) {
        self.text.push('{');
        self.member("name", |printer| printer.string(&field.name));
        self.member("type", |printer| printer.schema(field.of, enclosing, depth));
        if self.form != Form::Parsing {
            self.doc(field.doc.as_deref());
            if let Some(default) = &field.default {
                self.member("default", |printer| printer.text.push_str(&default.to_string()));
            }
            if field.order != Order::Ascending || self.form == Form::Normalized {
                self.member("order", |printer| printer.string(field.order.word()));
            }
            self.aliases(&field.aliases);
            self.attributes(&field.attributes);
        }
        self.text.push('}');
    }

    fn type_aliases(&mut self, named: &Named) {
        if self.form != Form::Parsing {
            let aliases: Vec<String> =
                named.aliases.iter().map(|alias| self.name(alias, &named.name.namespace)).collect();
            self.aliases(&aliases);
        }
    }

    fn aliases(&mut self, aliases: &[String]) {
        if aliases.is_empty() {
            return;
        }
        let mut aliases: Vec<&String> = aliases.iter().collect();
        if self.form == Form::Normalized {
            aliases.sort();
        }
        self.member("aliases", |printer| printer.list(&aliases, |printer, alias| printer.string(alias)));
    }

    fn attributes(&mut self, attributes: &Attributes) {
        for (name, value) in attributes {
            self.member(name, |printer| printer.text.push_str(&value.to_string()));
        }
    }

    /// A name as this form writes it. One without namespace has no longer form; the parser finds it all the same.
    fn name(&self, name: &FullName, enclosing: &str) -> String {
        match self.form {
            Form::Canonical | Form::Resolved => name.within(enclosing),
            Form::Normalized | Form::Parsing => name.to_string(),
        }
    }

    fn member(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        self.string(name);
        self.text.push(':');
        value(self);
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.text.push('[');
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.text.push(',');
            }
            each(self, item);
        }
        self.text.push(']');
    }

    fn string(&mut self, text: &str) {
        self.text.push_str(&Value::from(text).to_string());
    }
}
