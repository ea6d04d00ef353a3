//! Tenants that have as many dead letters as they may have: nothing of them is taken in.
//!
//! Which tenants that are is looked at once a round. Their connections stay: a message is refused when it comes, and then every
//! later one of that connection. When the tenant has fewer letters again, or a larger quota, the connections that were
//! refused something are ended: their clients come back and send in order what they still have.

use model::TenantId;
use mqtt::Reason;

use super::connection::{Connection, Stage};
use super::event_loop::EventLoop;

impl EventLoop {
    /// Whether nothing of this tenant is taken in.
    pub(super) fn at_quota(&self, tenant: TenantId) -> bool {
        self.at_quota.contains(&tenant)
    }

    /// Takes over which tenants are at their quota, if that has changed.
    pub(super) fn look_at_quotas(&mut self) {
        let generation = self.ledger.generation();
        if generation == self.quota_generation {
            return;
        }
        self.quota_generation = generation;
        self.at_quota = self.ledger.at_quota();
        let at_quota = self.at_quota.clone();
        let is_at_quota = |connection: &Connection| matches!(&connection.stage, Stage::Open(identity) if at_quota.contains(&identity.tenant()));
        self.close_all(Reason::ADMINISTRATIVE_ACTION, |connection| {
            connection.at_quota && connection.refusing && !is_at_quota(connection)
        });
        for connection in self.connections.iter_mut().flatten() {
            connection.at_quota = is_at_quota(connection);
        }
    }
}
