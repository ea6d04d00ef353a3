//! Identities and addresses.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        // As one number, which is the order of the bytes: comparing 16 bytes is a call, comparing a number is not, and
        // ids are compared and hashed wherever devices are looked for.
        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                self.0.as_u128() == other.0.as_u128()
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.as_u128().cmp(&other.0.as_u128())
            }
        }

        impl Hash for $name {
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u128(self.0.as_u128());
            }
        }

        impl $name {
            /// A new random id (UUID version 4).
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The 16 bytes, in the order in which ids sort and are stored.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id that these 16 bytes are.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A tenant: a wall that no data crosses. It always comes from the credential.
    TenantId
}
uuid_id! {
    /// A device. Unique over all tenants and never reused.
    DeviceId
}
uuid_id! {
    /// An API key.
    KeyId
}

/// The hash of ids. They are looked up for single messages, so it is a fast one: two multiplications for 16 bytes. Whoever
/// registers a device may choose its id, so it is a keyed one, with a key that is drawn at each start.
pub type IdHash = foldhash::fast::RandomState;
/// A map from ids.
pub type IdMap<K, V> = HashMap<K, V, IdHash>;

/// A dense number for a [`crate::Source`] within one data directory. It is bound in the log itself
/// ([`crate::Control::BindDevices`]), never changes its meaning, and never leaves journal and head.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceIndex(pub u32);

impl DeviceIndex {
    /// The index as a position in a dense array.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// A partition of a topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

/// A position in one partition of one topic. In `raw` it numbers payloads.
pub type Offset = u64;

/// The address of one message, always of `raw`: everything derived from it carries the same address (RULES, "Addresses").
/// Written `partition-offset-index`, for example `0-10042-3`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    pub partition: Partition,
    /// Numbers payloads in the embedded journal; is Kafka's offset with Kafka.
    pub offset: Offset,
    /// Counts messages within the payload, from 0.
    pub index: u32,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.partition.0, self.offset, self.index)
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = || AddressError(text.to_owned());
        let mut parts = text.split('-');
        let address = Self {
            partition: Partition(parts.next().and_then(|p| p.parse().ok()).ok_or_else(fail)?),
            offset: parts.next().and_then(|p| p.parse().ok()).ok_or_else(fail)?,
            index: parts.next().and_then(|p| p.parse().ok()).ok_or_else(fail)?,
        };
        if parts.next().is_some() { Err(fail()) } else { Ok(address) }
    }
}

/// Text that is not an [`Address`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a message address: expected partition-offset-index, for example 0-10042-3")]
pub struct AddressError(String);

/// A persistent MQTT session: the 128-bit hash of (tenant, client id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionKey(pub u128);
