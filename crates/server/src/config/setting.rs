//! Values of keys: how each type is read from TOML and written back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use crate::units;

/// A value that a key can have.
pub trait Setting: Sized {
    /// Reads it; the error is what is expected instead, to stand after "must be".
    fn read(value: &DeValue<'_>) -> Result<Self, String>;
    /// The value as TOML.
    fn show(&self) -> String;
}

/// A size in bytes, written as a number or like `10GiB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub u64);

/// A part of the server that this process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Gateway,
    Pipeline,
    Store,
    Api,
}

/// The parts of the server that this process runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roles(pub Vec<Role>);

impl Roles {
    pub const ALL: [(&'static str, Role); 4] =
        [("gateway", Role::Gateway), ("pipeline", Role::Pipeline), ("store", Role::Store), ("api", Role::Api)];

    /// Every role.
    pub fn all() -> Self {
        Self(Self::ALL.map(|(_, role)| role).to_vec())
    }
}

impl Setting for SocketAddr {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let address = value.as_str().and_then(|text| text.parse().ok());
        address.ok_or_else(|| "an IP address with a port, for example \"127.0.0.1:8080\"".to_owned())
    }

    fn show(&self) -> String {
        quote(&self.to_string())
    }
}

impl Setting for PathBuf {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let path = value.as_str().filter(|text| !text.is_empty()).map(Self::from);
        path.ok_or_else(|| "the path of a directory".to_owned())
    }

    fn show(&self) -> String {
        quote(&self.to_string_lossy())
    }
}

/// A file that need not be there; empty for none.
impl Setting for Option<PathBuf> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(|| "the path of a file, or \"\" for none".to_owned())?;
        Ok((!text.is_empty()).then(|| text.into()))
    }

    fn show(&self) -> String {
        quote(&self.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default())
    }
}

impl Setting for u16 {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let number = integer(value).and_then(|number| Self::try_from(number).ok());
        number.ok_or_else(|| "a whole number from 0 to 65535".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Size {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let size = match value.as_str() {
            Some(text) => units::parse_size(text),
            None => integer(value),
        };
        size.map(Self).ok_or_else(|| "a size in bytes, for example \"10GiB\"".to_owned())
    }

    fn show(&self) -> String {
        quote(&units::format_size(self.0))
    }
}

impl Setting for Duration {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let duration = value.as_str().and_then(units::parse_duration);
        duration.ok_or_else(|| "a duration, for example \"24h\" or \"7d\"".to_owned())
    }

    fn show(&self) -> String {
        quote(&units::format_duration(*self))
    }
}

impl Setting for Roles {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let expected = || "a list of \"gateway\", \"pipeline\", \"store\", \"api\"".to_owned();
        let mut roles = Vec::new();
        for element in value.as_array().ok_or_else(expected)? {
            let name = element.get_ref().as_str().ok_or_else(expected)?;
            let (_, role) = Self::ALL.into_iter().find(|(known, _)| *known == name).ok_or_else(expected)?;
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        if roles.len() < Self::ALL.len() {
            let all = Self::all().show();
            return Err(format!("{all}: with embedded backends one process runs every role"));
        }
        Ok(Self(roles))
    }

    fn show(&self) -> String {
        let names = Self::ALL.iter().filter(|(_, role)| self.0.contains(role)).map(|(name, _)| quote(name));
        format!("[{}]", names.collect::<Vec<_>>().join(", "))
    }
}

/// A string as TOML.
pub fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
