//! Names: of types, with a namespace, and of fields and symbols, without.

use std::fmt;

/// The full name of a record, an enum or a fixed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FullName {
    /// Empty: none.
    pub namespace: String,
    pub name: String,
}

impl FullName {
    /// A name as it is written: with dots it is full, else it is in the namespace. `Err`: why it is no name.
    pub fn of(text: &str, namespace: &str) -> Result<Self, String> {
        let (namespace, name) = text.rsplit_once('.').unwrap_or((namespace, text));
        let valid = is_name(name) && (namespace.is_empty() || namespace.split('.').all(is_name));
        if !valid || text.starts_with('.') {
            let shown: String = text.chars().take(64).collect();
            return Err(format!(
                "{shown:?} in the namespace {namespace:?} is no name: a name begins with a letter or _ and goes on with letters, \
                 digits and _; dots stand between the parts of a namespace"
            ));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// As it is written where `enclosing` is the namespace.
    pub fn within(&self, enclosing: &str) -> String {
        if self.namespace == enclosing { self.name.clone() } else { self.to_string() }
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}.{}", self.namespace, self.name) }
    }
}

/// `[A-Za-z_][A-Za-z0-9_]*` (specification, "Names").
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
