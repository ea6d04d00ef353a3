//! Devices whose share of rejected messages has passed their class's limit: an event of the device says so, and if the
//! class wants it the device's status becomes `quarantined`.
//!
//! The pipeline decides it; here it is acted on once. What is derived again after a crash is flagged again: a flag whose event
//! is there has been dealt with, so that a device that somebody has set active again stays so. The status is changed before
//! the event is appended, hence a crash between the two does it again.

use std::time::Duration;

use model::{Format, GroupFlags, PayloadKind, Source};
use pipeline::Flagged;
use registry::{Durability, KnownProfile, Patch, Registry, Status};
use serde_json::json;
use store::{Budget, EventQuery, Scope, Store};
use tokio::sync::{mpsc, watch};

use crate::line::intake::{Intake, Submission};

#[cfg(test)]
mod tests;

/// Flags that may wait; what is flagged beyond them is flagged again by what the device sends next.
pub const FLAGGED_WAITING_MAX: usize = 4096;
/// How often a flag is tried that could not be acted on, and how long after.
const TRIES_MAX: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What acts on flags.
pub struct Quarantine {
    pub registry: Registry,
    pub store: Store,
    pub intake: Intake,
}

impl Quarantine {
    /// Follows the pipeline's flags until `stop` turns true.
    pub async fn follow(self, mut flagged: mpsc::Receiver<Flagged>, mut stop: watch::Receiver<bool>) {
        loop {
            let flag = tokio::select! {
                flag = flagged.recv() => flag,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Some(flag) = flag else { return };
            for number in 1..=TRIES_MAX {
                let Err(error) = self.act(&flag).await else { break };
                tracing::warn!(%error, ?flag, number, "a device that was flagged could not be dealt with");
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    }

    async fn act(&self, flag: &Flagged) -> anyhow::Result<()> {
        let Source::Device { tenant, device, .. } = flag.source else { return Ok(()) };
        if self.is_done(flag).await? {
            return Ok(());
        }
        if flag.quarantine {
            let status = match self.registry.device(tenant, device).await {
                Ok(found) => found.settings.status,
                // It was deleted: there is nobody to be quarantined.
                Err(registry::Error::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if status == Status::Active {
                let patch = Patch::from_iter([("status".to_owned(), Status::Quarantined.name().into())]);
                self.registry.update_device(tenant, device, patch).await?;
            }
        }
        let profile = match self.registry.device_of(tenant, device).await {
            Ok(auth) => auth.profile.clone(),
            // Nothing is taken in from one that may not send.
            Err(registry::Error::Denied(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(%device, rejected = flag.rejected, messages = flag.messages, reason = flag.reason.code(), "a device is flagged");
        self.intake.submit(vec![submission(flag, profile)]).await?;
        Ok(())
    }

    /// Whether the flag's event is there.
    async fn is_done(&self, flag: &Flagged) -> anyhow::Result<bool> {
        let Source::Device { tenant, device, .. } = flag.source else { return Ok(true) };
        let (store, from) = (self.store.clone(), flag.at);
        let event_type = Some(event_type(flag).to_owned());
        let (scope, to) = (Scope::Device(device), from.saturating_add(1));
        let query =
            EventQuery { tenant, scope, event_type, from, to, limit: 1, cursor: None, budget: Budget::default() };
        let found = tokio::task::spawn_blocking(move || store.events(&query)).await??;
        Ok(!found.events.is_empty())
    }
}

fn event_type(flag: &Flagged) -> &'static str {
    if flag.quarantine { "device-quarantined" } else { "device-flagged" }
}

fn submission(flag: &Flagged, profile: KnownProfile) -> Submission {
    let Flagged { messages, rejected, reason, .. } = flag;
    let why = format!("{rejected} of {messages} messages were rejected, the last one because: {}", reason.sentence());
    let data = json!({"messages": messages, "rejected": rejected, "reason": reason.code(), "why": why});
    let event = json!({"type": event_type(flag), "ts": flag.at, "data": data});
    Submission {
        source: flag.source.clone(),
        profile,
        kind: PayloadKind::Events,
        format: Format::Json,
        flags: GroupFlags::default(),
        durability: Durability::Persisted,
        payload: event.to_string().into(),
    }
}
