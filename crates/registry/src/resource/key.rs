//! API keys and their rights.

use model::limits::NAME_BYTES_MAX;
use model::{KeyId, Millis, TenantId};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a key may do within its tenant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Publish for every device of the tenant.
    Ingest,
    /// Read readings, events and what is live.
    Query,
    /// Manage devices and classes.
    Devices,
    /// Manage schemas.
    Schemas,
    /// Read and replay dead letters.
    DeadLetters,
    /// Everything above, and keys; in the default tenant also tenants.
    Admin,
}

impl Right {
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::Query, Self::Devices, Self::Schemas, Self::DeadLetters, Self::Admin];
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Devices => "devices",
            Self::Schemas => "schemas",
            Self::DeadLetters => "dead-letters",
            Self::Admin => "admin",
        })
    }
}

/// A set of rights; in JSON a list.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// Whether `right` is among them; `admin` includes all.
    pub fn allow(self, right: Right) -> bool {
        self.0 & (Self::bit(right) | Self::bit(Right::Admin)) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(right: Right) -> u8 {
        1 << right as u8
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | Self::bit(right)))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        Right::ALL.into_iter().filter(|right| rights.0 & Rights::bit(*right) != 0).collect()
    }
}

/// What is decided about a key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    pub name: String,
    pub rights: Rights,
}

impl KeySettings {
    pub(crate) fn check(&self) -> Result<()> {
        if self.name.is_empty() || self.name.len() > NAME_BYTES_MAX || self.name.chars().any(char::is_control) {
            return Err(Error::invalid(
                "name",
                format!("must have 1 to {NAME_BYTES_MAX} bytes, none a control character"),
            ));
        }
        if self.rights.is_empty() {
            return Err(Error::invalid("rights", "must name one right at least, for example [\"ingest\"]"));
        }
        Ok(())
    }
}

/// An API key; its token is known only to who asked for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ApiKey {
    pub key_id: KeyId,
    pub tenant_id: TenantId,
    #[serde(flatten)]
    pub settings: KeySettings,
    pub created_at: Millis,
}
