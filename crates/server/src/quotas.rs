//! Tells the ledger of dead letters how many bytes each tenant may have of them, at the start. A tenant that is made, changed or
//! deleted is told by the handler of that request, so that its answer means that the quota is in force.

use registry::{Paging, Registry, Tenant};

use crate::line::ledger::Ledger;

/// Sets the quota of every tenant that has one.
pub async fn load(registry: &Registry, ledger: &Ledger) -> registry::Result<()> {
    let mut paging = Paging { limit: Some(model::limits::LIST_ROWS_MAX), ..Paging::default() };
    loop {
        let page = registry.tenants(&paging).await?;
        page.rows.iter().for_each(|tenant| set(ledger, tenant));
        if page.next.is_none() {
            return Ok(());
        }
        paging.cursor = page.next;
    }
}

/// Sets the quota of one tenant.
pub fn set(ledger: &Ledger, tenant: &Tenant) {
    ledger.set_quota(tenant.tenant_id, tenant.settings.limits.dead_letter_bytes);
}
