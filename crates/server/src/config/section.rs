//! Sections: a table of the file, as a struct whose doc comments are the reference of its keys.

use toml::de::{DeTable, DeValue};

/// A table of the file.
pub trait Section: Default {
    /// The table's name; empty for the top level.
    const NAME: &'static str;
    /// Its keys in order.
    const KEYS: &'static [&'static str];

    /// Sets one of [`Section::KEYS`]; the error is what the value must be.
    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), String>;
    /// Appends the table as TOML, each key below its doc comment.
    fn show(&self, out: &mut String);
}

/// Declares a section: the struct, its defaults, and how it is read and shown.
macro_rules! section {
    ($(#[doc = $doc:literal])* $name:ident = $table:literal {
        $($(#[doc = $key_doc:literal])* $key:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $name { $($(#[doc = $key_doc])* pub $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::config::section::Section for $name {
            const NAME: &'static str = $table;
            const KEYS: &'static [&'static str] = &[$(stringify!($key),)*];

            fn set(&mut self, key: &str, value: &toml::de::DeValue<'_>) -> Result<(), String> {
                match key {
                    $(stringify!($key) => self.$key = $crate::config::setting::Setting::read(value)?,)*
                    _ => return Err("a key of this section".to_owned()),
                }
                Ok(())
            }

            fn show(&self, out: &mut String) {
                if !Self::NAME.is_empty() {
                    out.push_str(&format!("\n[{}]\n", Self::NAME));
                }
                $(
                    $(out.push_str(concat!("#", $key_doc, "\n"));)*
                    let value = $crate::config::setting::Setting::show(&self.$key);
                    out.push_str(&format!("{} = {value}\n", stringify!($key)));
                )*
            }
        }
    };
}
pub(crate) use section;

/// One mistake in the file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    pub text: String,
}

/// Reads sections from a parsed file and collects every mistake on the way.
pub struct Reader<'a> {
    source: &'a str,
    root: &'a DeTable<'a>,
    /// The full name of every key that a section took.
    known: Vec<String>,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a str, root: &'a DeTable<'a>) -> Self {
        Self { source, root, known: Vec::new(), mistakes: Vec::new() }
    }

    /// Reads one section. Keys that are absent keep their default.
    pub fn section<S: Section>(&mut self) -> S {
        let mut section = S::default();
        self.known.extend(S::KEYS.iter().map(|key| full_name(S::NAME, key)));
        let table = if S::NAME.is_empty() { Some(self.root) } else { self.table(S::NAME) };
        for (key, value) in table.into_iter().flatten() {
            let key = key.get_ref().as_ref();
            if !S::KEYS.contains(&key) {
                continue;
            }
            if let Err(expected) = section.set(key, value.get_ref()) {
                let text = format!("`{}` must be {expected}.", full_name(S::NAME, key));
                self.mistake(value.span().start, text);
            }
        }
        section
    }

    /// Adds a mistake about the key `section.name` unless `holds`.
    pub fn require(&mut self, section: &str, name: &str, holds: bool, expected: &str) {
        let value = self.root.get(section).and_then(|table| table.get_ref().as_table()?.get(name));
        if let (false, Some(value)) = (holds, value) {
            self.mistake(value.span().start, format!("`{}` must be {expected}.", full_name(section, name)));
        }
    }

    fn table(&mut self, name: &str) -> Option<&'a DeTable<'a>> {
        let value = self.root.get(name)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mistake(value.span().start, format!("`{name}` must be a table: write `[{name}]` and its keys below."));
        }
        table
    }

    fn mistake(&mut self, at: usize, text: String) {
        let line = line_of(self.source, at);
        self.mistakes.push(Mistake { line, text });
    }

    /// All mistakes in the order of the file, unknown keys included. Called after the last section.
    pub fn finish(mut self) -> Vec<Mistake> {
        for (key, value) in self.root {
            match value.get_ref().as_table() {
                Some(table) if self.is_section(key.get_ref()) => {
                    for inner in table.keys() {
                        self.refuse_unknown(full_name(key.get_ref(), inner.get_ref()), inner.span().start);
                    }
                }
                _ if self.is_section(key.get_ref()) => {}
                _ => self.refuse_unknown(key.get_ref().to_string(), key.span().start),
            }
        }
        self.mistakes.sort();
        self.mistakes
    }

    fn is_section(&self, name: &str) -> bool {
        self.known.iter().any(|known| known.split_once('.').is_some_and(|(section, _)| section == name))
    }

    fn refuse_unknown(&mut self, name: String, at: usize) {
        if !self.known.contains(&name) {
            let hint = match nearest(&name, &self.known) {
                Some(known) => format!("Did you mean `{known}`?"),
                None => "`tidewater check-config` without a file lists every key.".to_owned(),
            };
            self.mistake(at, format!("`{name}` is not a key. {hint}"));
        }
    }
}

/// The line, from 1, in which byte `at` stands.
pub fn line_of(source: &str, at: usize) -> usize {
    source.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn full_name(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The known key that was probably meant: at most a third of its letters differ, as a whole or, for a key in the wrong
/// section, in its last word.
fn nearest<'k>(name: &str, known: &'k [String]) -> Option<&'k String> {
    let slips = |candidate: &str| {
        let whole = strsim::damerau_levenshtein(name, candidate);
        let (word, meant) = (last_word(name), last_word(candidate));
        let last = strsim::damerau_levenshtein(word, meant);
        let likely = whole <= name.len() / 3 || last <= word.len() / 3;
        likely.then_some((whole.min(last + 1), whole))
    };
    known.iter().filter_map(|candidate| Some((slips(candidate)?, candidate))).min().map(|(_, candidate)| candidate)
}

fn last_word(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
