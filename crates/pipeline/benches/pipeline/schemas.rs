//! What the payloads are read under: nothing, or a schema with a range for every metric.

use std::sync::Arc;

use model::contract::{
    AvroLayout, AvroNode, Bound, Contract, Field, Kind, Language, Layout, Others, Part, Place, ProtobufField,
    ProtobufKind, ProtobufLayout, Root, Rule, SchemaRecord, TsUnit, Verdict,
};
use model::rules::{CanonicalUnit, Conversion};
use model::{ClassRules, Control, Profile, TenantId};
use uuid::Uuid;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Under {
    Nothing,
    Two,
    Twelve,
    /// With two units to convert and three tags from the registry.
    TwelveAndAll,
    TwelveFlat,
    TwoAvro,
    TwelveAvro,
    TwoProtobuf,
    TwelveProtobuf,
}

const SCHEMA: Uuid = Uuid::from_bytes([1; 16]);

impl Under {
    /// The profile of the devices, and the records of schema and class.
    pub fn controls(self, tenant: TenantId, class: &Arc<str>) -> (Profile, Vec<Control>) {
        let two = || ["temperature", "humidity"].map(str::to_owned).to_vec();
        let twelve = || (0..12).map(|metric| format!("metric_{metric}")).collect::<Vec<_>>();
        let (language, root) = match self {
            Self::Nothing => return (Profile::default(), Vec::new()),
            Self::Two => (Language::Json, root(&two(), true, None)),
            Self::Twelve | Self::TwelveAndAll => (Language::Json, root(&twelve(), true, None)),
            Self::TwelveFlat => (Language::Json, root(&twelve(), false, None)),
            Self::TwoAvro => (Language::Avro, root(&two(), false, Some(avro(2)))),
            Self::TwelveAvro => (Language::Avro, root(&twelve(), false, Some(avro(12)))),
            Self::TwoProtobuf => (Language::Protobuf, root(&two(), false, Some(protobuf(2)))),
            Self::TwelveProtobuf => (Language::Protobuf, root(&twelve(), false, Some(protobuf(12)))),
        };
        let place = Place { subject: "pump".to_owned(), version: 1, major: 1, schema_id: SCHEMA };
        let contract = Verdict::Usable(Contract { language, roots: vec![root] });
        let record = Box::new(SchemaRecord { id: 1, places: vec![place], contract });
        let mut rules = ClassRules { schema_id: Some(SCHEMA), ..ClassRules::default() };
        let mut profile = Profile::default();
        if self == Self::TwelveAndAll {
            let conversion = Conversion { before: -32.0, multiply: 5.0, divide: 9.0, after: 0.0 };
            let unit = |metric: &str| CanonicalUnit {
                metric: metric.to_owned(),
                unit: "Cel".to_owned(),
                from: vec![("[degF]".to_owned(), conversion)],
            };
            rules.units = vec![unit("metric_0"), unit("metric_1")];
            profile.tags = [("line", "A"), ("site", "north"), ("tenant", "acme")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec();
        }
        let class = Control::Class { tenant, class: class.clone(), rules: Box::new(rules) };
        (profile, vec![Control::Schema { tenant, record }, class])
    }
}

fn root(metrics: &[String], whole: bool, layout: Option<Layout>) -> Root {
    let bound = |value| Some(Bound { value, exclusive: false });
    let field = |path: Vec<String>, part: Part, rule: Rule| Field {
        name: path.last().cloned().unwrap_or_default(),
        path,
        part,
        rule,
        required: part == Part::Metric,
        default: None,
        description: None,
    };
    let metric = |(number, name): (usize, &String)| {
        let path = if whole { vec!["metrics".to_owned(), name.clone()] } else { vec![name.clone()] };
        let unit = (number < 2).then(|| "[degF]".to_owned());
        let rule = Rule { kinds: vec![Kind::Double], min: bound(-40.0), max: bound(125.0), unit, ..Rule::default() };
        field(path, Part::Metric, rule)
    };
    let long = Rule { kinds: vec![Kind::Long], ..Rule::default() };
    let envelope = [("ts", Part::Ts(Some(TsUnit::Milliseconds))), ("seq", Part::Seq)]
        .map(|(name, part)| field(vec![name.to_owned()], part, long.clone()));
    Root {
        indexes: if matches!(layout, Some(Layout::Protobuf(_))) { vec![0] } else { Vec::new() },
        name: "reading".to_owned(),
        whole,
        fields: envelope.into_iter().chain(metrics.iter().enumerate().map(metric)).collect(),
        others: Others::Class,
        layout,
    }
}

/// `ts`, the metrics, `seq`.
fn avro(metrics: u32) -> Layout {
    let nodes = [AvroNode::Record((1..metrics + 3).collect()), AvroNode::Long(Some(0))].into_iter();
    let metrics = (0..metrics).map(|metric| AvroNode::Double(Some(metric + 2)));
    Layout::Avro(AvroLayout { nodes: nodes.chain(metrics).chain([AvroNode::Long(Some(1))]).collect(), fingerprint: 1 })
}

fn protobuf(metrics: u32) -> Layout {
    let field = |number, kind| ProtobufField { number, kind, implicit: false, oneof: None };
    let envelope = [field(1, ProtobufKind::Int64(Some(0))), field(2, ProtobufKind::Uint64(Some(1)))];
    let metrics = (0..metrics).map(|metric| field(metric + 3, ProtobufKind::Double(Some(metric + 2))));
    Layout::Protobuf(ProtobufLayout { messages: vec![envelope.into_iter().chain(metrics).collect()] })
}
