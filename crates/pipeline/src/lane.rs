//! Lanes: how the messages of one class are read under one schema, or under none.
//!
//! A lane is compiled from the plan when the first payload needs it and forgotten when the plan changes. It holds what is
//! learned on the way as well: shapes, and where in the class's names the metrics stand.

use std::sync::Arc;

use model::contract::{Contract, Language, Place, Root, SchemaRecord, Verdict};
use model::dead_letter::SchemaOf;
use model::rules::Conversion;
use model::{ClassRules, Expression, Reason, TenantId};
use uuid::Uuid;

use crate::encoded::Encoded;
use crate::form::{self, Form, Unusable};
use crate::json::Shapes;
use crate::plan::Plan;
use crate::tables::{NO_NAME, Names};

/// What a lane is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LaneKey {
    /// The schema that the device, or its class, names.
    pub schema_id: Option<Uuid>,
    /// The schema that the payload names itself, and the position of the message type in it.
    pub written: Option<(u32, u32)>,
}

/// How messages are read.
#[derive(Debug, Default)]
pub struct Lane {
    pub key: LaneKey,
    /// Why nothing can be read.
    pub refused: Option<(Reason, String)>,
    pub schema: Option<SchemaOf>,
    pub language: Option<Language>,
    pub form: Option<Form>,
    /// How the schema's own encoding is read, if it has one.
    pub encoded: Option<Encoded>,
    /// The name of each slot's metric in the class, or [`NO_NAME`].
    pub slot_names: Vec<u32>,
    pub shapes: Shapes,
    /// Metrics that are sent in another unit than the class's.
    pub conversions: Vec<(Named, Conversion)>,
}

/// A metric by name, found once in a class.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: Arc<str>,
    number: u32,
}

/// A metric made of others.
#[derive(Debug)]
pub struct Computed {
    pub metric: Named,
    pub expression: Expression,
    /// Parallel to the expression's metrics.
    pub inputs: Vec<Named>,
}

/// Why no lane can be made, for a dead letter.
type Refusal = (Reason, String);

impl Lane {
    pub fn new(key: LaneKey, tenant: TenantId, rules: &ClassRules, plan: &Plan) -> Self {
        let mut lane = Self::default();
        let outcome = match (&key.schema_id, &key.written) {
            (None, None) => Ok(()),
            (Some(schema_id), None) => lane.of_device(tenant, *schema_id, rules, plan),
            (schema_id, Some((id, root))) => lane.of_payload(tenant, *schema_id, (*id, *root), rules, plan),
        };
        lane.refused = outcome.err();
        lane.key = key;
        lane
    }

    /// The newest version of what the device names.
    fn of_device(&mut self, tenant: TenantId, schema_id: Uuid, rules: &ClassRules, plan: &Plan) -> Result<(), Refusal> {
        let Some((record, place)) = plan.newest(tenant, schema_id) else {
            return Err((Reason::SchemaUnknown, format!("the device's schema {schema_id} is not known")));
        };
        self.schema = Some(schema_of(record, place));
        let contract = usable(record)?;
        self.language = Some(contract.language);
        let root = contract.roots.first().ok_or_else(no_root)?;
        self.compile(root, root, rules, plan)
    }

    /// What the payload names: it must be a version of the device's subject, and is checked by the newest one of its major.
    fn of_payload(
        &mut self,
        tenant: TenantId,
        schema_id: Option<Uuid>,
        (id, root): (u32, u32),
        rules: &ClassRules,
        plan: &Plan,
    ) -> Result<(), Refusal> {
        let Some(record) = plan.schema(tenant, id) else {
            return Err((Reason::SchemaUnknown, format!("there is no schema {id}")));
        };
        if record.places.is_empty() {
            usable(record)?;
        }
        let place = match schema_id {
            None => record.places.last(),
            Some(schema_id) => {
                let subject = plan.newest(tenant, schema_id).map(|(_, place)| &*place.subject);
                let Some(subject) = subject else {
                    return Err((Reason::SchemaUnknown, format!("the device's schema {schema_id} is not known")));
                };
                let found = record.places.iter().rfind(|place| place.subject == subject);
                if found.is_none() {
                    let other = record.places.first().map_or("none", |place| &*place.subject);
                    let detail = format!("schema {id} is of the subject `{other}`, the device's is of `{subject}`");
                    return Err((Reason::SchemaMismatch, detail));
                }
                found
            }
        };
        self.schema = place.map(|place| schema_of(record, place));
        let written = usable(record)?;
        self.language = Some(written.language);
        let writer = written.roots.get(root as usize).ok_or_else(no_root)?;
        let newest = place.and_then(|place| plan.newest(tenant, place.schema_id));
        let reader = match newest.map(|(record, _)| &record.contract) {
            Some(Verdict::Usable(contract)) if contract.language == written.language => same_root(contract, writer),
            _ => None,
        };
        self.compile(writer, reader.unwrap_or(writer), rules, plan)
    }

    fn compile(&mut self, writer: &Root, reader: &Root, rules: &ClassRules, plan: &Plan) -> Result<(), Refusal> {
        let form =
            form::compile(reader, rules, plan.patterns()).map_err(|Unusable(why)| (Reason::SchemaUnusable, why))?;
        self.slot_names = vec![NO_NAME; form.slots.len()];
        let converted = form.conversions.iter().map(|(metric, conversion)| (Named::new(metric), *conversion));
        self.conversions = converted.collect();
        self.encoded = Encoded::compile(writer, &form);
        self.form = Some(form);
        Ok(())
    }
}

fn schema_of(record: &SchemaRecord, place: &Place) -> SchemaOf {
    SchemaOf { schema_id: place.schema_id, id: record.id, version: place.version }
}

fn usable(record: &SchemaRecord) -> Result<&Contract, Refusal> {
    match &record.contract {
        Verdict::Usable(contract) => Ok(contract),
        Verdict::Unusable(why) => Err((Reason::SchemaUnusable, why.clone())),
        Verdict::Unknown => Err((Reason::SchemaUnknown, format!("the registry has no schema {}", record.id))),
    }
}

fn no_root() -> Refusal {
    (Reason::NotWellFormed, "the schema has no such message type".to_owned())
}

/// The message type of another version of a schema.
fn same_root<'c>(contract: &'c Contract, writer: &Root) -> Option<&'c Root> {
    let mut roots = contract.roots.iter();
    match writer.indexes.is_empty() {
        true => roots.next(),
        false => roots.find(|root| root.name == writer.name),
    }
}

impl Named {
    pub fn new(name: &Arc<str>) -> Self {
        Self { name: name.clone(), number: NO_NAME }
    }

    /// Its number among the names of the class, if it is known there.
    #[inline]
    pub fn number(&mut self, names: &Names) -> Option<u32> {
        if self.number == NO_NAME {
            self.number = names.find(self.name.as_bytes()).unwrap_or(NO_NAME);
        }
        (self.number != NO_NAME).then_some(self.number)
    }
}

impl Computed {
    /// The metrics that the rules have computed. The registry takes only expressions that can be compiled.
    pub fn compile(rules: &ClassRules) -> Vec<Self> {
        let compiled = rules.computed.iter().filter_map(|computed| {
            let expression = Expression::parse(&computed.expression).ok()?;
            let inputs = expression.metrics().iter().map(|name| Named::new(&name.as_str().into())).collect();
            Some(Self { metric: Named::new(&computed.metric.as_str().into()), expression, inputs })
        });
        compiled.collect()
    }
}
