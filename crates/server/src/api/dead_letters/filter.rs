//! Which dead letters are meant: the same words in a list's query and in a replay's body.

use model::{DeadLetter, DeviceId, Millis, Reason, Source, TenantId};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::api::fields::Fields;
use crate::http::auth::device_id;
use crate::http::{Problem, times};
use crate::line::ledger::Ledger;

/// The letters of one tenant that are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    tenant: TenantId,
    device: Option<DeviceId>,
    class: Option<String>,
    reason: Option<Reason>,
    schema_id: Option<Uuid>,
    from: Option<Millis>,
    to: Option<Millis>,
}

/// A filter in a body: `{"class":"pump","reason":"wrong-type","from":"-24h"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    device: Option<String>,
    class: Option<String>,
    reason: Option<String>,
    schema_id: Option<String>,
    from: Option<Value>,
    to: Option<Value>,
}

/// Which letters are meant by what became of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Pending,
    Replayed,
    All,
}

impl Filter {
    /// The filter in a query string.
    pub fn of_query(tenant: TenantId, fields: &mut Fields, now: Millis) -> Result<Self, Problem> {
        Ok(Self {
            tenant,
            device: fields.take("device")?.map(|text| device_id(&text)).transpose()?,
            class: fields.take("class")?,
            reason: fields.take("reason")?.map(|text| reason(&text)).transpose()?,
            schema_id: fields.take("schema_id")?.map(|text| schema_id(&text)).transpose()?,
            from: fields.time("from", now)?,
            to: fields.time("to", now)?,
        })
    }

    /// The filter in a body.
    pub fn of_body(tenant: TenantId, asked: Asked, now: Millis) -> Result<Self, Problem> {
        let time = |name: &str, value: Option<Value>| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => times::parameter(name, &text, now).map(Some),
            Some(other) => times::parameter(name, &other.to_string(), now).map(Some),
        };
        Ok(Self {
            tenant,
            device: asked.device.map(|text| device_id(&text)).transpose()?,
            class: asked.class,
            reason: asked.reason.map(|text| reason(&text)).transpose()?,
            schema_id: asked.schema_id.map(|text| schema_id(&text)).transpose()?,
            from: time("from", asked.from)?,
            to: time("to", asked.to)?,
        })
    }

    /// Whether the letter is meant. One that is too old is not there any more.
    pub fn wants(&self, letter: &DeadLetter, ledger: &Ledger) -> bool {
        let class = match &letter.source {
            Source::Device { class, .. } => Some(class.as_ref()),
            Source::Topic { .. } => None,
        };
        letter.source.tenant() == self.tenant
            && letter.received >= ledger.kept_from()
            && (self.device.is_none() || self.device == letter.source.device())
            && (self.class.is_none() || self.class.as_deref() == class)
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && (self.schema_id.is_none() || self.schema_id == letter.schema.map(|schema| schema.schema_id))
            && self.from.is_none_or(|from| letter.received >= from)
            && self.to.is_none_or(|to| letter.received < to)
    }
}

impl State {
    pub fn of_query(fields: &mut Fields) -> Result<Self, Problem> {
        match fields.take("state")?.as_deref() {
            None | Some("all") => Ok(Self::All),
            Some("pending") => Ok(Self::Pending),
            Some("replayed") => Ok(Self::Replayed),
            Some(other) => {
                let detail = format!("`state={other}` is not a state: choose pending, replayed or all.");
                Err(Problem::invalid("parameter-invalid", detail))
            }
        }
    }

    pub fn wants(self, letter: &DeadLetter, ledger: &Ledger) -> bool {
        match self {
            Self::All => true,
            Self::Pending => !ledger.passed(letter.address),
            Self::Replayed => ledger.passed(letter.address),
        }
    }
}

fn reason(text: &str) -> Result<Reason, Problem> {
    Reason::ALL.iter().copied().find(|reason| reason.code() == text).ok_or_else(|| {
        let all = Reason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(", ");
        Problem::invalid("parameter-invalid", format!("`reason={text}` is not a reason. Reasons are: {all}."))
    })
}

fn schema_id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| {
        let detail = format!("`schema_id={text}` is not a schema id: it is a UUID, as in `GET /v1/schemas`.");
        Problem::invalid("parameter-invalid", detail)
    })
}
