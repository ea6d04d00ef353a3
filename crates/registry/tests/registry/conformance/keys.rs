//! API keys.

use registry::{KeySettings, Paging, Right, TenantRef};
use serde_json::json;

use crate::world::{NOW, World, code, failure, patch};

pub async fn a_key_is_what_its_token_says(world: World) {
    let made = world.key(&[Right::Ingest, Right::DeadLetters]).await;
    assert_eq!(
        serde_json::to_value(&made.key).unwrap(),
        json!({"key_id": made.key.key_id, "tenant_id": world.tenant, "name": "a key",
               "rights": ["ingest", "dead-letters"], "created_at": NOW})
    );
    let auth = world.registry.authenticate_key(made.token.expose()).await.unwrap();
    assert_eq!((auth.key, auth.tenant, auth.operator), (made.key.key_id, world.tenant, false));
    assert!(auth.allows(Right::Ingest) && !auth.allows(Right::Query));
    assert_eq!(world.registry.key(world.tenant, made.key.key_id).await.unwrap(), made.key);
    let settings = KeySettings { name: "none".to_owned(), rights: Default::default() };
    let (code, text) = failure(world.registry.create_key(world.tenant, settings).await);
    assert_eq!(code, "invalid-value");
    assert_eq!(text, "`rights` must name one right at least, for example [\"ingest\"]");
}

pub async fn a_deleted_key_is_refused(world: World) {
    let (registry, made) = (&world.registry, world.key(&[Right::Query]).await);
    registry.delete_key(world.tenant, made.key.key_id).await.unwrap();
    assert_eq!(code(registry.authenticate_key(made.token.expose()).await), "credential-invalid");
    assert_eq!(code(registry.key(world.tenant, made.key.key_id).await), "key-unknown");
    assert_eq!(code(registry.delete_key(world.tenant, made.key.key_id).await), "key-unknown");
}

pub async fn somebody_can_always_administrate(world: World) {
    let registry = &world.registry;
    let token = registry.bootstrap(|_| Ok(())).await.unwrap().admin_key.unwrap();
    let first = registry.authenticate_key(token.expose()).await.unwrap();
    assert_eq!(code(registry.delete_key(first.tenant, first.key).await), "key-conflict");
    let less = registry.update_key(first.tenant, first.key, patch(json!({"rights": ["query"]}))).await;
    assert_eq!(code(less), "key-conflict");
    assert!(registry.authenticate_key(token.expose()).await.unwrap().operator);
    let settings = KeySettings { name: "second".to_owned(), rights: [Right::Admin].into_iter().collect() };
    registry.create_key(first.tenant, settings).await.unwrap();
    registry.delete_key(first.tenant, first.key).await.unwrap();
    // Another tenant's last admin may go: the operator can make a new one.
    let other = world.key(&[Right::Admin]).await;
    registry.delete_key(world.tenant, other.key.key_id).await.unwrap();
}

pub async fn lists_are_paged(world: World) {
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(world.key(&[Right::Query]).await.key.key_id);
    }
    made.sort();
    let mut found = Vec::new();
    let mut paging = Paging { cursor: None, limit: Some(2) };
    loop {
        let page = world.registry.keys(world.tenant, &paging).await.unwrap();
        found.push(page.rows.iter().map(|key| key.key_id).collect::<Vec<_>>());
        paging.cursor = page.next;
        if paging.cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, [&made[..2], &made[2..4], &made[4..]]);
    paging.cursor = Some("nonsense".to_owned());
    assert_eq!(code(world.registry.keys(world.tenant, &paging).await), "invalid-value");
    let tenants = world.registry.tenants(&Paging { cursor: Some("acme".to_owned()), limit: None }).await.unwrap();
    assert!(tenants.rows.is_empty() && tenants.next.is_none());
    assert_eq!(code(world.registry.update_tenant(&TenantRef::from("x"), patch(json!({}))).await), "tenant-unknown");
}
