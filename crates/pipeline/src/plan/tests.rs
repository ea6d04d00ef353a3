use model::contract::{Contract, Language, Root};
use model::rules::Quarantine;

use super::*;

fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

fn schema(id: u32, places: &[(&str, u32, u8)]) -> SchemaRecord {
    let place = |(subject, version, major): &(&str, u32, u8)| Place {
        subject: (*subject).to_owned(),
        version: *version,
        major: u32::from(*major),
        schema_id: Uuid::from_bytes([*major; 16]),
    };
    let root = Root {
        indexes: Vec::new(),
        name: "reading".to_owned(),
        whole: false,
        fields: Vec::new(),
        others: model::contract::Others::Class,
        layout: None,
    };
    let contract = Contract { language: Language::Json, roots: vec![root] };
    SchemaRecord { id, places: places.iter().map(place).collect(), contract: Verdict::Usable(contract) }
}

#[test]
fn the_newest_version_of_a_major_counts() {
    let mut plan = Plan::default();
    let newest = |plan: &Plan, major: u8| {
        let (record, place) = plan.newest(tenant(), Uuid::from_bytes([major; 16]))?;
        Some((record.id, place.version))
    };
    plan.set_schema(tenant(), schema(1, &[("pump", 1, 1)]));
    plan.set_schema(tenant(), schema(3, &[("pump", 3, 2)]));
    plan.set_schema(tenant(), schema(2, &[("pump", 2, 1)]));
    assert_eq!((newest(&plan, 1), newest(&plan, 2), newest(&plan, 9)), (Some((2, 2)), Some((3, 3)), None));
    // The text of version 1 once more, as a version of the second major.
    plan.set_schema(tenant(), schema(1, &[("pump", 1, 1), ("pump", 4, 2)]));
    assert_eq!((newest(&plan, 1), newest(&plan, 2)), (Some((2, 2)), Some((1, 4))));
}

#[test]
fn the_stored_form_is_read_again() {
    let mut plan = Plan::default();
    let quarantine = Some(Quarantine { messages: 100, rejected_percent: 0.1, quarantine: true });
    let rules = ClassRules { quarantine, ..ClassRules::default() };
    plan.set_rules(tenant(), "pump".into(), rules.clone());
    plan.set_schema(tenant(), schema(1, &[("pump", 1, 1), ("pump", 4, 2)]));
    plan.set_schema(tenant(), schema(2, &[("pump", 2, 1)]));
    let mut bytes = Vec::new();
    plan.encode(&mut bytes);
    let decoded = Plan::decode(&bytes).expect("what was just written");
    assert_eq!(**decoded.rules(tenant(), &"pump".into()), rules);
    assert!(decoded.schemas().eq(plan.schemas()));
    for major in [1, 2] {
        let newest = |plan: &Plan| plan.newest(tenant(), Uuid::from_bytes([major; 16])).map(|(record, _)| record.id);
        assert_eq!(newest(&decoded), newest(&plan));
    }
    for cut in 0..bytes.len() {
        assert!(Plan::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn of_schemas_with_one_fingerprint_that_of_the_devices_subject_is_meant() {
    let avro = |id, places| {
        let mut record = schema(id, places);
        let Verdict::Usable(contract) = &mut record.contract else { panic!("a usable schema") };
        let layout = model::contract::AvroLayout { nodes: Vec::new(), fingerprint: 77 };
        contract.roots[0].layout = Some(Layout::Avro(layout));
        record
    };
    let mut plan = Plan::default();
    plan.set_schema(tenant(), avro(9, &[("valve", 1, 2)]));
    plan.set_schema(tenant(), avro(5, &[("pump", 1, 1)]));
    let found = |major: Option<u8>| plan.by_fingerprint(tenant(), 77, major.map(|major| Uuid::from_bytes([major; 16])));
    assert_eq!((found(Some(1)), found(Some(2)), found(None)), (Some(5), Some(9), Some(9)));
    assert_eq!(plan.by_fingerprint(tenant(), 78, None), None);
}
