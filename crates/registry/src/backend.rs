//! Where the registry is stored: a closed set of databases with the same methods.
//!
//! A backend keeps what a method has returned `Ok` for, gives the same errors for the same contradictions, and knows
//! nothing of the cache. The integration tests run the same suite on each.

mod sqlite;

use crate::{Error, Result};
use sqlite::Sqlite;
pub(crate) use sqlite::{Admitted, Candidate, NewVersion, StoredRetention};

/// An open database.
#[derive(Debug)]
pub(crate) enum Backend {
    Sqlite(Sqlite),
}

/// Runs the expression on whichever database it is.
macro_rules! on {
    ($backend:expr, $database:ident => $call:expr) => {
        match &$backend {
            $crate::backend::Backend::Sqlite($database) => $call.await,
        }
    };
}
pub(crate) use on;

impl Backend {
    /// `sqlite:PATH`. The file and its tables are created where they are missing.
    pub async fn open(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(Error::Url { url: url.to_owned(), why: "has no scheme" });
        };
        match scheme {
            "sqlite" if rest.trim_start_matches('/').is_empty() => {
                Err(Error::Url { url: url.to_owned(), why: "names no file" })
            }
            "sqlite" => Ok(Self::Sqlite(Sqlite::open(rest.strip_prefix("//").unwrap_or(rest)).await?)),
            _ => Err(Error::Url { url: shown(url), why: "names a database that this build cannot use" }),
        }
    }
}

/// A URL without what may be a password.
fn shown(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(at)) if start + 3 <= at => format!("{}…{}", &url[..start + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(shown("postgres://me:secret@host/db"), "postgres://…@host/db");
        assert_eq!(shown("mysql:x"), "mysql:x");
    }
}
