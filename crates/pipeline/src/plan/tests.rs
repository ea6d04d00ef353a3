use super::*;

fn plan() -> Plan {
    let mut plan = Plan::default();
    let strict = ClassPlan { unknown_fields: UnknownFields::Reject };
    plan.classes.insert((TenantId::from_bytes([1; 16]), "pump".into()), strict);
    plan
}

#[test]
fn a_plan_survives_the_log() {
    let mut body = Vec::new();
    plan().encode(&mut body);
    assert_eq!(Plan::decode(&body), Ok(plan()));
}

#[test]
fn a_cut_or_longer_plan_is_refused() {
    let mut body = Vec::new();
    plan().encode(&mut body);
    for len in 0..body.len() {
        assert_eq!(Plan::decode(&body[..len]), Err(Short), "cut at {len}");
    }
    body.push(0);
    assert_eq!(Plan::decode(&body), Err(Short));
}

#[test]
fn a_class_of_another_tenant_has_the_default() {
    let plan = plan();
    let class: Arc<str> = "pump".into();
    assert_eq!(plan.class(TenantId::from_bytes([1; 16]), &class).unknown_fields, UnknownFields::Reject);
    assert_eq!(plan.class(TenantId::from_bytes([2; 16]), &class).unknown_fields, UnknownFields::Keep);
}
