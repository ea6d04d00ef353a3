//! Where in a schema's text something is: a JSON pointer that is only written when there is something to say of it.

use std::fmt;

use super::Invalid;

/// A place on the way down, which knows the one above.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
    /// Types around it.
    pub depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Top,
    Key(&'a str),
    Index(usize),
}

impl Place<'_> {
    pub const TOP: Place<'static> = Place { above: None, step: Step::Top, depth: 0 };

    pub fn key<'b>(&'b self, key: &'b str) -> Place<'b> {
        Place { above: Some(self), step: Step::Key(key), depth: self.depth }
    }

    pub fn index(&self, index: usize) -> Place<'_> {
        Place { above: Some(self), step: Step::Index(index), depth: self.depth }
    }

    /// The same place, as that of a type's parts.
    pub fn inside(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// A sentence about this place.
    pub fn refuse(&self, sentence: impl fmt::Display) -> Invalid {
        Invalid { why: format!("at {}: {sentence}", self.pointer()) }
    }

    /// `/fields/0/type`; of the top `/`.
    pub fn pointer(&self) -> String {
        let pointer = self.to_string();
        if pointer.is_empty() { "/".to_owned() } else { pointer }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            Step::Top => Ok(()),
            Step::Key(key) => write!(f, "/{key}"),
            Step::Index(index) => write!(f, "/{index}"),
        }
    }
}
