//! The handle: checks, stores, forgets what the cache knew, announces. In this order, whoever stops waiting.

mod authenticate;
mod classes;
mod devices;
mod keys;
mod maintenance;
mod rules;
mod schemas;
mod tenants;

use std::future::Future;
use std::io;
use std::sync::Arc;

use model::{Clock, KeyId, TenantId};
use tokio::sync::broadcast;

use crate::backend::{Backend, on};
use crate::cache::Cache;
use crate::change::Change;
use crate::presence::Presence;
use crate::resource::key::{KeySettings, Right};
use crate::resource::tenant::{DEFAULT_TENANT, DEV_TENANT, Tenant, TenantRef, TenantSettings};
use crate::secret::{Secret, SecretKind};
use crate::{Error, Result};

use schemas::Schemas;

pub use devices::{Created, Rotated};
pub use keys::NewKey;
pub use rules::TenantRules;
pub use schemas::{Compatible, Mirrored, Registered};

/// Changes that a receiver may be behind; past it, it takes it that everything changed.
const CHANGES_MAX: usize = 4096;

/// The registry. Cheap to clone; all clones are one.
///
/// Methods that change something run to their end even if their caller goes away, so a change is always followed by
/// its announcement. They need a tokio runtime; the `cached_` methods and [`Registry::touch`] do not.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Backend,
    cache: Cache,
    presence: Presence,
    schemas: Schemas,
    changes: broadcast::Sender<Change>,
    clock: Clock,
}

/// What the first start made, and where it is on later ones.
#[derive(Debug)]
pub struct Bootstrap {
    pub default_tenant: TenantId,
    pub dev_tenant: TenantId,
    /// The operator's key, on the first start only.
    pub admin_key: Option<Secret>,
}

impl Registry {
    /// Opens `sqlite:PATH` and creates what is missing.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        let backend = Backend::open(url).await?;
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let cache = Cache::new(clock.clone());
        Ok(Self(Arc::new(Inner {
            backend,
            cache,
            presence: Presence::default(),
            schemas: Schemas::default(),
            changes,
            clock,
        })))
    }

    /// Sees to it that the built-in tenants exist and that somebody may administrate: as long as the default tenant
    /// has no admin key, one is made and given to `deliver` (which writes it to a file) before it is committed. So a
    /// crash at any point leaves a key that works or none, and then the next start makes one.
    pub async fn bootstrap(&self, deliver: impl FnOnce(&Secret) -> io::Result<()> + Send) -> Result<Bootstrap> {
        let now = self.0.clock.now_ms();
        let tenant = |name: &str| Tenant {
            tenant_id: TenantId::random(),
            settings: TenantSettings::defaults(name),
            created_at: now,
        };
        let (default, dev) = (tenant(DEFAULT_TENANT), tenant(DEV_TENANT));
        let settings = KeySettings { name: "first admin".to_owned(), rights: [Right::Admin].into_iter().collect() };
        let (token, key) = (Secret::random(SecretKind::Key), KeyId::random());
        let hand_over = || deliver(&token);
        let digest = token.digest();
        let created = on!(self.0.backend, db => db.bootstrap([&default, &dev], key, settings, digest, hand_over))?;
        if created {
            self.0.cache.keys.forget(&digest);
        }
        Ok(Bootstrap {
            default_tenant: self.tenant(&TenantRef::from(DEFAULT_TENANT)).await?.tenant_id,
            dev_tenant: self.tenant(&TenantRef::from(DEV_TENANT)).await?.tenant_id,
            admin_key: created.then_some(token),
        })
    }

    /// What changes from now on; see [`Change`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// Writes what is still in memory and closes the database.
    pub async fn close(&self) -> Result<()> {
        let flushed = self.flush().await;
        on!(self.0.backend, db => db.close())?;
        flushed
    }

    /// Runs `work` to its end even if the caller stops waiting.
    async fn to_the_end<T, W>(&self, work: impl FnOnce(Arc<Inner>) -> W) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        tokio::spawn(work(self.0.clone())).await.map_err(|error| Error::Cut(error.to_string()))?
    }
}

impl Inner {
    fn announce(&self, change: Change) {
        // No receiver is no error: nobody depends on it.
        drop(self.changes.send(change));
    }
}
