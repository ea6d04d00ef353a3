use std::os::unix::fs::PermissionsExt;

use model::DeviceId;
use tempfile::TempDir;

use super::*;
use crate::api::tests::Api;
use crate::cli::client::Connection;

/// A server on a port of its own, and what is needed to run the command against it.
struct World {
    api: Api,
    connection: Connection,
    directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let api = Api::new().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = api.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let connection = Connection { url: Some(url), key: Some(api.acme.clone()), data: PathBuf::from(".") };
        Self { api, connection, directory: TempDir::new().expect("a temporary directory can be made") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the command as from the command line.
    async fn import(&self, fleet: &str, tokens: &str) -> Result<()> {
        let file = self.path("fleet.ndjson");
        std::fs::write(&file, fleet).expect("the directory is ours");
        let with = With { connection: self.connection.clone(), json: true };
        let args = Args { file, tokens: self.path(tokens), with };
        tokio::task::spawn_blocking(move || args.run()).await.expect("the command does not panic")
    }

    fn tokens(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).expect("the command made the file");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_gets_its_tokens() {
    let world = World::new().await;
    let ids: Vec<DeviceId> = (0..2345).map(|_| DeviceId::random()).collect();
    let fleet: String =
        ids.iter().map(|id| format!("{{\"device_id\":\"{id}\",\"device_class\":\"pump\"}}\n")).collect();
    world.import(&fleet, "tokens").await.expect("every line is good");
    let tokens = world.tokens("tokens");
    assert_eq!(tokens.len(), ids.len());
    for (id, row) in ids.iter().zip(&tokens) {
        assert_eq!(row["device_id"], id.to_string());
    }
    let last = tokens[2344]["auth_token"].as_str().expect("a token");
    world.api.registry.authenticate_device(ids[2344], last).await.expect("the token is the device's");
    let mode = std::fs::metadata(world.path("tokens")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    world.import(&fleet, "again").await.expect("repeating it is no error");
    assert_eq!(world.tokens("again").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_cost_their_own_lines_only() {
    let world = World::new().await;
    let error = world.import("{}\n\nnonsense\n{\"colour\": 1}\n{}", "tokens").await.expect_err("two lines are bad");
    assert_eq!(error.to_string(), "2 lines were refused: correct them and import them again");
    assert_eq!(world.tokens("tokens").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_never_overwritten() {
    let world = World::new().await;
    world.import("{}", "tokens").await.expect("the line is good");
    let before = world.tokens("tokens");
    let error = world.import("{}", "tokens").await.expect_err("the file is there");
    assert!(error.to_string().contains("exists already and may hold tokens"), "{error}");
    assert_eq!(world.tokens("tokens"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_is_told_with_the_lines() {
    let mut world = World::new().await;
    world.connection.key = Some("twk_nonsense".to_owned());
    let error = world.import("{}\n{}", "tokens").await.expect_err("the key is wrong");
    let text = format!("{error:#}");
    assert!(text.contains("lines 1 to 2 of ") && text.contains("(401, credential-invalid)"), "{text}");
    assert!(!world.path("tokens").exists(), "an empty file would be in the way of the next try");
}
