//! A token is shown once. A canary goes through everything that is written or printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use registry::{Cached, Right};
use serde_json::json;

use crate::world::{World, patch};

#[tokio::test]
async fn a_token_is_in_no_file_and_no_debug_output() {
    let world = World::sqlite().await;
    let registry = &world.registry;
    let (device, first) = world.device().await;
    let rotated = registry.rotate_token(world.tenant, device, Some(Duration::from_secs(60))).await.unwrap();
    let key = world.key(&[Right::Admin]).await;
    let admin = registry.bootstrap(|_| Ok(())).await.unwrap();
    let (auth, key_auth) = (
        registry.authenticate_device(device, first.expose()).await.unwrap(),
        registry.authenticate_key(key.token.expose()).await.unwrap(),
    );
    let canaries = [&first, &rotated.token, &key.token, admin.admin_key.as_ref().unwrap()];
    let unknown = registry.authenticate_key(&key.token.expose().replace("twk_", "twx_")).await.unwrap_err();
    let cached = registry.cached_device_auth(device, first.expose());
    assert!(matches!(cached, Cached::Hit(_)));
    let printed = format!("{registry:?} {rotated:?} {key:?} {admin:?} {auth:?} {key_auth:?} {unknown:?} {cached:?}");
    let shown = serde_json::to_string(&json!({
        "device": registry.device(world.tenant, device).await.unwrap(), "key": key.key,
    }));
    let shown = shown.unwrap();
    let mut files = 0;
    for entry in fs::read_dir(world.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        files += 1;
        for canary in canaries {
            // The random part without its prefix, so that no other spelling hides it.
            let random = &canary.expose().as_bytes()[4..47];
            assert!(!bytes.windows(random.len()).any(|window| window == random), "{}", path.display());
        }
    }
    assert!(files > 0);
    for canary in canaries {
        let random = &canary.expose()[4..47];
        assert!(!printed.contains(random) && !shown.contains(random));
    }
}

/// The check above can see: what is not secret is found in the file.
#[tokio::test]
async fn the_canary_would_be_found() {
    let world = World::sqlite().await;
    let (device, _) = world.device().await;
    let canary = "canary-in-a-coal-mine";
    world.registry.update_device(world.tenant, device, patch(json!({"metadata": {"x": canary}}))).await.unwrap();
    let found = fs::read_dir(world.directory.path()).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
    });
    assert!(found);
}

#[tokio::test]
async fn the_files_are_the_owners_alone() {
    let world = World::sqlite().await;
    world.device().await;
    for entry in fs::read_dir(world.directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", entry.path().display());
    }
}
