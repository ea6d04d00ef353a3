//! From CONNECT to CONNACK, and what becomes of a session when its connection ends.

use model::{Control, SessionKey};
use mqtt::{Connect, Grant, Reason, Session, Subscribe, Unsubscribe};
use registry::{Cached, Denial};
use uuid::Uuid;

use super::connection::{ConnectionId, Stage};
use super::event_loop::EventLoop;
use super::identity::{Credential, Identity, Verdict};
use super::topic::parse;

/// What a SUBSCRIBE is told for now.
const NO_DELIVERY: &str = "this server takes messages in; read them through its HTTP API";

impl EventLoop {
    pub(super) fn connect(&mut self, id: ConnectionId, connect: &Connect<'_>) {
        let Some(connection) = self.get(id) else { return };
        connection.client_id = connect.client_id.into();
        connection.clean_start = connect.clean_start;
        connection.will_topic = connect.will.map(|will| will.topic.into());
        if let Some(tenant) = connection.anonymous {
            self.admit(id, Identity::Anonymous { tenant });
            return;
        }
        let Some(credential) = Credential::read(connect.username, connect.password) else {
            self.refuse_connect(id, Reason::BAD_USER_NAME_OR_PASSWORD);
            return;
        };
        match credential.cached(&self.registry) {
            Cached::Hit(identity) => self.admit(id, identity),
            Cached::Denied(denial) => self.refuse_connect(id, reason_of(denial)),
            Cached::Miss => {
                if let Some(connection) = self.get(id) {
                    connection.stage = Stage::Authenticating;
                }
                self.ask_credential(id, credential);
            }
        }
    }

    /// The registry has answered about a CONNECT, or could not.
    pub(super) fn authenticated(&mut self, id: ConnectionId, answer: Option<Result<Identity, Denial>>) {
        match answer {
            Some(Ok(identity)) => self.admit(id, identity),
            Some(Err(denial)) => self.refuse_connect(id, reason_of(denial)),
            None => {
                tracing::warn!("a client could not be authenticated and is told to come back");
                self.refuse_connect(id, Reason::SERVER_UNAVAILABLE);
            }
        }
        self.queue(id);
    }

    fn refuse_connect(&mut self, id: ConnectionId, reason: Reason) {
        self.metrics.mqtt.refused("connect", 1);
        if let Some(connection) = self.get(id) {
            let close = connection.session.close(reason);
            self.close(id, close);
        }
    }

    fn admit(&mut self, id: ConnectionId, identity: Identity) {
        let Some(connection) = self.get(id) else { return };
        let assigned = connection.client_id.is_empty().then(|| Uuid::new_v4().simple().to_string());
        let key = identity.session(assigned.as_deref().unwrap_or(&connection.client_id));
        let (clean_start, will_topic) = (connection.clean_start, connection.will_topic.take());
        if let Some(will) = will_topic
            && let Verdict::Refuse(why) = identity.judge(parse(&will), &self.registry)
        {
            tracing::debug!(why, "a client was refused for the topic of its will");
            return self.refuse_connect(id, Reason::NOT_AUTHORIZED);
        }
        self.take_over(key, id);
        self.wills.forget(key);
        let mut resumed = self.sessions.begin(key, id);
        if clean_start && resumed.take().is_some_and(|state| !state.is_empty()) {
            self.appender.control(&Control::SessionEnded { session: key });
        }
        let (now, at_quota) = (self.now, self.at_quota(identity.tenant()));
        let Some(connection) = self.get(id) else { return };
        connection.at_quota = at_quota;
        connection.session_key = Some(key);
        let grant = Grant { resumed, assigned_client_id: assigned.as_deref() };
        if let Err(close) = connection.session.accept(grant, &mut connection.output) {
            self.close(id, close);
            return;
        }
        connection.client_id = Box::default();
        connection.silence_max = connection.session.keep_alive();
        connection.heard_at = now;
        connection.durability = identity.durability();
        connection.stage = Stage::Open(identity);
        self.mark_dirty(id);
        self.queue(id);
    }

    /// Ends the connection that has the session now. Its unacknowledged publishes come again on the new one.
    fn take_over(&mut self, key: SessionKey, by: ConnectionId) {
        let Some(holder) = self.sessions.holder(key).filter(|holder| *holder != by) else { return };
        if let Some(connection) = self.get(holder) {
            let close = connection.session.close(Reason::SESSION_TAKEN_OVER);
            self.close(holder, close);
        }
    }

    /// Gives the session of an ending connection to whoever comes back for it.
    pub(super) fn end_session(&mut self, id: ConnectionId) {
        let offer = self.offer;
        let Some(connection) = self.get(id) else { return };
        let Some(key) = connection.session_key.take() else { return };
        let mut session = std::mem::replace(&mut connection.session, Session::new(offer));
        let identity = match &connection.stage {
            Stage::Open(identity) => Some(identity.clone()),
            Stage::Connecting | Stage::Authenticating | Stage::Closing => None,
        };
        let (will, now) = (session.take_will(), self.now);
        let state = session.into_state();
        if let (Some(identity), Some(will)) = (identity, will) {
            self.leave_will(key, identity, will, state.expiry);
        }
        if let Some(control) = self.sessions.end(key, id, state, now) {
            self.appender.control(&control);
        }
    }

    pub(super) fn refuse_subscribe(&mut self, id: ConnectionId, subscribe: &Subscribe<'_>) {
        let Some(connection) = self.get(id) else { return };
        let codes: Vec<Reason> = subscribe.filters().map(|_| Reason::IMPLEMENTATION_SPECIFIC_ERROR).collect();
        connection.session.subscribed(subscribe.packet_id, &codes, Some(NO_DELIVERY), &mut connection.output);
        self.mark_dirty(id);
    }

    pub(super) fn answer_unsubscribe(&mut self, id: ConnectionId, unsubscribe: &Unsubscribe<'_>) {
        let Some(connection) = self.get(id) else { return };
        let codes: Vec<Reason> = unsubscribe.filters().map(|_| Reason::NO_SUBSCRIPTION_EXISTED).collect();
        connection.session.unsubscribed(unsubscribe.packet_id, &codes, &mut connection.output);
        self.mark_dirty(id);
    }
}

fn reason_of(denial: Denial) -> Reason {
    match denial {
        Denial::Credential | Denial::Unknown => Reason::BAD_USER_NAME_OR_PASSWORD,
        Denial::Inactive => Reason::NOT_AUTHORIZED,
    }
}
