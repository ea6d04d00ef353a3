//! Bulk import, and opening what is not ours to open.

use std::collections::HashSet;

use model::{Clock, DeviceId};
use registry::{DeviceFilter, Error, NewDevice, Paging, Registry, TenantRef};
use serde_json::json;

use crate::world::{NOW, World, new_device, patch};

fn fleet(devices: usize) -> Vec<NewDevice> {
    (0..devices)
        .map(|n| {
            let class = format!("class-{}", n % 7);
            new_device(json!({"device_id": DeviceId::random(), "device_class": class, "metadata": {"n": n}}))
        })
        .collect()
}

async fn count(world: &World) -> usize {
    let mut paging = Paging { cursor: None, limit: Some(1000) };
    let mut count = 0;
    loop {
        let page = world.registry.devices(world.tenant, &DeviceFilter::default(), &paging).await.unwrap();
        count += page.rows.len();
        paging.cursor = page.next;
        if paging.cursor.is_none() {
            return count;
        }
    }
}

#[tokio::test]
async fn two_thousand_devices_and_again() {
    let world = World::sqlite().await;
    let fleet = fleet(2000);
    let made = world.registry.import_devices(world.tenant, fleet.clone()).await.unwrap();
    let tokens: HashSet<_> = made
        .iter()
        .map(|answer| answer.as_ref().unwrap().token.clone().unwrap())
        .map(|token| token.expose().to_owned())
        .collect();
    assert_eq!(tokens.len(), 2000);
    for (new, answer) in fleet.iter().zip(&made).step_by(199) {
        let created = answer.as_ref().unwrap();
        assert_eq!(Some(created.device.device_id), new.device_id);
        let token = created.token.as_ref().unwrap();
        world.registry.authenticate_device(created.device.device_id, token.expose()).await.unwrap();
    }
    assert_eq!(count(&world).await, 2000);
    let again = world.registry.import_devices(world.tenant, fleet).await.unwrap();
    assert!(again.iter().all(|answer| answer.as_ref().unwrap().token.is_none()));
    assert_eq!(count(&world).await, 2000);
}

#[tokio::test]
async fn each_device_has_its_own_answer() {
    let world = World::sqlite().await;
    let limit = patch(json!({"limits": {"devices": 3}}));
    world.registry.update_tenant(&TenantRef::Id(world.tenant), limit).await.unwrap();
    let twice = DeviceId::random();
    let devices = vec![
        new_device(json!({})),
        new_device(json!({"device_class": "a/b"})),
        new_device(json!({"device_id": twice})),
        new_device(json!({"device_id": twice})),
        new_device(json!({"device_id": twice, "device_class": "other"})),
        new_device(json!({})),
        new_device(json!({})),
    ];
    let made = world.registry.import_devices(world.tenant, devices).await.unwrap();
    let answers: Vec<_> = made
        .iter()
        .map(|answer| match answer {
            Ok(created) if created.token.is_some() => "created",
            Ok(_) => "existing",
            Err(error) => error.code(),
        })
        .collect();
    assert_eq!(
        answers,
        ["created", "invalid-value", "created", "existing", "device-conflict", "created", "device-limit"]
    );
    assert_eq!(count(&world).await, 3);
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let directory = tempfile::TempDir::new().unwrap();
    let open = async |url: &str| Registry::open(url, Clock::manual(NOW)).await.unwrap_err().to_string();
    assert_eq!(
        open("registry.db").await,
        "registry.url `registry.db` has no scheme: use for example sqlite:./tidewater-data/registry.db"
    );
    assert!(open("postgres://u:secret@h/d").await.starts_with("registry.url `postgres://…@h/d` names a database"));
    assert!(open("sqlite:").await.contains("names no file"));
    let path = directory.path().join("text");
    std::fs::write(&path, "this is no database at all, but longer than a header".repeat(20)).unwrap();
    let text = open(&format!("sqlite:{}", path.display())).await;
    assert!(text.contains("cannot be opened") && text.contains("not a database"), "{text}");
    let error = Registry::open(&format!("sqlite:{}", directory.path().display()), Clock::manual(NOW)).await;
    assert!(matches!(error, Err(Error::Open { .. })), "{error:?}");
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let world = World::sqlite().await;
    world.registry.close().await.unwrap();
    let path = world.url.strip_prefix("sqlite:").unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'newer', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    pool.close().await;
    let text = Registry::open(&world.url, Clock::manual(NOW)).await.unwrap_err().to_string();
    assert!(text.contains("written by a newer Tidewater (its tables have version 99, this one knows 5)"), "{text}");
}
