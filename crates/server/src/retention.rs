//! Tells the store how long each class keeps its data: once at start, then whenever a class changes.

use model::{Table, TableKind, TenantId};
use registry::{Change, Registry, Retention};
use store::Store;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// Sets the retention of every class that has one.
pub async fn load(registry: &Registry, store: &Store) -> registry::Result<()> {
    for (tenant, class, retention) in registry.retentions().await? {
        set(store, tenant, &class, &retention);
    }
    Ok(())
}

/// Follows the registry until `stop` turns true.
pub async fn follow(registry: Registry, store: Store, mut stop: watch::Receiver<bool>) {
    let mut changes = registry.changes();
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let done = match change {
            Ok(Change::Class(tenant, class) | Change::Rules(tenant, Some(class))) => {
                reload(&registry, &store, tenant, &class).await
            }
            Ok(_) => Ok(()),
            Err(RecvError::Lagged(_)) => load(&registry, &store).await,
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "a class's retention could not be read; the one before it stays in force");
        }
    }
}

/// A class that was deleted keeps its data as before: deleting a name is no order to delete readings.
async fn reload(registry: &Registry, store: &Store, tenant: TenantId, class: &str) -> registry::Result<()> {
    match registry.class(tenant, class).await {
        Ok(class) => {
            set(store, tenant, &class.settings.name, &class.settings.retention);
            Ok(())
        }
        Err(registry::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn set(store: &Store, tenant: TenantId, class: &str, retention: &Retention) {
    let Retention { hot, warm, cold } = retention;
    for kind in [TableKind::Readings, TableKind::Events] {
        let table = Table { tenant, class: class.into(), kind };
        store.set_retention(&table, store::Retention { hot: *hot, warm: *warm, cold: *cold });
    }
}
