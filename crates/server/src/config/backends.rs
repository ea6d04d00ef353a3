//! Backends by URL. Each is a closed set: what is built, and what is named in the design and refused until it is built.

use std::path::PathBuf;

use toml::de::DeValue;

use super::setting::{Setting, quote};

macro_rules! backend {
    ($(#[doc = $doc:literal])* $name:ident { $($variant:ident = $scheme:literal $(($path:ty))?,)* } planned $planned:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum $name { $($variant $(($path))?,)* }

        impl Setting for $name {
            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                let url = Url::read(value, &[$($scheme,)*], &$planned)?;
                match url.scheme {
                    $($scheme => backend!(@build url, $name::$variant $(, $path)?),)*
                    _ => Err(url.unsupported()),
                }
            }

            fn show(&self) -> String {
                match self { $(backend!(@pattern path, $name::$variant $(, $path)?) => backend!(@show $scheme $(, path, $path)?),)* }
            }
        }
    };
    (@build $url:ident, $variant:path, $path:ty) => { Ok($variant($url.path())) };
    (@build $url:ident, $variant:path) => { $url.bare().map(|()| $variant) };
    (@pattern $name:ident, $variant:path, $path:ty) => { $variant($name) };
    (@pattern $name:ident, $variant:path) => { $variant };
    (@show $scheme:literal, $name:ident, $path:ty) => {
        quote(&format!("{}:{}", $scheme, $name.as_ref().map(|path| path.display().to_string()).unwrap_or_default()))
    };
    (@show $scheme:literal) => { quote(concat!($scheme, ":")) };
}

backend! {
    /// Where the journal is. A path is absolute or relative to the working directory; without one it is `DIR/journal`.
    JournalUrl { File = "file" (Option<PathBuf>), Memory = "memory", } planned ["kafka"]
}

backend! {
    /// Where tenants, keys, classes and devices are; without a path `DIR/registry.db`.
    RegistryUrl { Sqlite = "sqlite" (Option<PathBuf>), } planned ["postgres"]
}

backend! {
    /// Where looked-up tokens are cached.
    CacheUrl { Memory = "memory", } planned ["redis"]
}

backend! {
    /// The hot tier; without a path `DIR/store`.
    StoreUrl { File = "file" (Option<PathBuf>), } planned ["clickhouse", "cassandra"]
}

backend! {
    /// The warm and cold tiers; without a path beside the hot tier.
    ObjectsUrl { File = "file" (Option<PathBuf>), } planned ["s3"]
}

/// Where schemas come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SchemasUrl {
    /// They are registered here.
    Builtin,
    /// From a server that speaks Confluent's API: its URL.
    External(String),
}

impl Setting for SchemasUrl {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let url = Url::read(value, &["builtin", "http", "https"], &[])?;
        match url.scheme {
            "builtin" => url.bare().map(|()| Self::Builtin),
            "http" | "https" => external(&url).map(Self::External),
            _ => Err(url.unsupported()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Builtin => quote("builtin:"),
            Self::External(url) => quote(url),
        }
    }
}

/// Scheme, host, port and path: nothing that a call could not append its own path to, and no password.
fn external(url: &Url<'_>) -> Result<String, String> {
    let expected =
        || "a URL like \"https://registry.example:8081\", with a path if it has one and nothing behind it".to_owned();
    if !url.rest.starts_with("//") {
        return Err(expected());
    }
    let text = format!("{}:{}", url.scheme, url.rest);
    let uri: ureq::http::Uri = text.parse().map_err(|_| expected())?;
    let authority = uri.authority().ok_or_else(expected)?;
    if authority.as_str().contains('@') {
        return Err("a URL without credentials: put them into the file `schemas.credentials_file`".to_owned());
    }
    if uri.query().is_some() || url.rest.contains('#') || authority.host().is_empty() {
        return Err(expected());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A backend's URL, taken apart.
struct Url<'a> {
    scheme: &'a str,
    rest: &'a str,
    built: &'static [&'static str],
    planned: &'static [&'static str],
}

impl<'a> Url<'a> {
    fn read(
        value: &'a DeValue<'_>,
        built: &'static [&'static str],
        planned: &'static [&'static str],
    ) -> Result<Self, String> {
        let parts = value.as_str().and_then(|text| text.split_once(':'));
        let (scheme, rest) = parts.ok_or_else(|| format!("a URL; supported: {}", list(built)))?;
        Ok(Self { scheme, rest, built, planned })
    }

    /// The path behind the scheme: `file:rel`, `file:/abs` and `file:///abs` alike; `None` for the default place.
    fn path(&self) -> Option<PathBuf> {
        let path = self.rest.strip_prefix("//").unwrap_or(self.rest);
        (!path.is_empty()).then(|| path.into())
    }

    fn bare(&self) -> Result<(), String> {
        if self.rest.is_empty() { Ok(()) } else { Err(format!("just \"{}:\"", self.scheme)) }
    }

    fn unsupported(&self) -> String {
        let supported = list(self.built);
        if self.planned.contains(&self.scheme) {
            return format!(
                "one of the backends that this version supports: {supported} (`{}:` is planned)",
                self.scheme
            );
        }
        format!("a URL; supported: {supported}")
    }
}

fn list(schemes: &[&str]) -> String {
    schemes.iter().map(|scheme| format!("`{scheme}:`")).collect::<Vec<_>>().join(", ")
}
