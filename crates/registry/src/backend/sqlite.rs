//! SQLite through sqlx: one file, one writer connection, a few readers that never wait for it (write-ahead log).
//!
//! `synchronous = FULL`: a commit is an fdatasync of the log, so what a method has returned `Ok` for survives a power
//! cut. SQLite's file is the one thing that is not touched through `model::Disk`: it does its own locking and syncing.

mod classes;
mod devices;
mod identities;
mod keys;
mod registration;
mod schemas;
mod tenants;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, SqlSafeStr};
use uuid::Uuid;

use crate::error::Resource;
use crate::{Error, Result};

pub(crate) use classes::StoredRetention;
pub(crate) use registration::{Admitted, Candidate};
pub(crate) use schemas::NewVersion;

/// Reads at once. They take microseconds; more threads than this would only take the cores from ingest.
const READERS_MAX: u32 = 4;
/// How long a statement waits for a lock or a connection before it fails as unavailable.
const WAIT_MAX: Duration = Duration::from_secs(5);

const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "registry", include_str!("../../migrations/0001_registry.sql")),
    (2, "devices by id", include_str!("../../migrations/0002_devices_by_id.sql")),
    (3, "schemas", include_str!("../../migrations/0003_schemas.sql")),
    (4, "tenant rules", include_str!("../../migrations/0004_tenant_rules.sql")),
    (5, "schema source", include_str!("../../migrations/0005_schema_source.sql")),
];

type Transaction<'a> = sqlx::Transaction<'a, sqlx::Sqlite>;

/// An open database file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Sqlite {
    pub async fn open(path: &str) -> Result<Self> {
        let failed = |why: String| Error::Open { url: format!("sqlite:{path}"), why };
        create_private(Path::new(path)).map_err(|error| failed(error.to_string()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(WAIT_MAX)
            .pragma("cache_size", "-32768");
        let writer = pool(1).connect_with(options.clone()).await.map_err(|error| failed(error.to_string()))?;
        migrations().run(&writer).await.map_err(|error| failed(migration_failure(&error)))?;
        let readers = pool(READERS_MAX).connect_with(options.read_only(true)).await;
        Ok(Self { writer, readers: readers.map_err(|error| failed(error.to_string()))? })
    }

    pub async fn close(&self) -> Result<()> {
        self.readers.close().await;
        self.writer.close().await;
        Ok(())
    }

    /// Takes the write lock at once, so that what it reads is still true when it writes.
    async fn begin(&self) -> Result<Transaction<'_>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(WAIT_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// The file is the owner's alone; SQLite gives its log the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    Ok(())
}

fn migrations() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

fn migration_failure(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(version) => format!(
            "it was written by a newer Tidewater (its tables have version {version}, this one knows {}): \
             use that version or a backup from before the upgrade",
            MIGRATIONS.len()
        ),
        other => other.to_string(),
    }
}

fn unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|cause| cause.is_unique_violation())
}

/// A 16-byte column.
fn id(row: &SqliteRow, column: &str, what: Resource) -> Result<Uuid> {
    let bytes: &[u8] = row.try_get(column)?;
    Uuid::from_slice(bytes).map_err(|error| damaged(what, column, error))
}

fn optional_id(row: &SqliteRow, column: &str, what: Resource) -> Result<Option<Uuid>> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    bytes.map(Uuid::from_slice).transpose().map_err(|error| damaged(what, column, error))
}

/// A column of JSON.
fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str, what: Resource) -> Result<T> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| damaged(what, column, error))
}

fn optional_json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str, what: Resource) -> Result<Option<T>> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| damaged(what, column, error))
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("settings are plain JSON")
}

fn damaged(what: Resource, column: &str, why: impl std::fmt::Display) -> Error {
    Error::Damaged { what, name: column.to_owned(), why: why.to_string() }
}
