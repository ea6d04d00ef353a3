//! `tidewater key`: API keys and their rights.

use anyhow::Result;
use clap::Subcommand;

use super::client::{escape, with_query};
use super::resource::{ListArgs, Members, With};

/// Lists, creates, changes and revokes API keys.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tidewater key create dashboard --right query
  tidewater key create bridge --right ingest --json
  tidewater key list";

#[derive(Subcommand, Debug)]
enum Command {
    /// Lists API keys, never their tokens.
    #[command(after_help = "Example:\n  tidewater key list")]
    List(List),
    /// Shows an API key.
    #[command(after_help = "Example:\n  tidewater key show 6a0f2a53-61d5-4b0a-9d0b-58d3a6f4a5f1")]
    Show(One),
    /// Creates an API key and prints its token, once.
    #[command(after_help = "Example:\n  tidewater key create dashboard --right query --right dead-letters")]
    Create(Create),
    /// Changes a key's name or rights; it takes effect at once.
    #[command(after_help = "Example:\n  tidewater key update 6a0f2a53-61d5-4b0a-9d0b-58d3a6f4a5f1 --right query")]
    Update(Update),
    /// Revokes an API key at once.
    #[command(after_help = "Example:\n  tidewater key delete 6a0f2a53-61d5-4b0a-9d0b-58d3a6f4a5f1")]
    Delete(One),
}

/// Whose keys.
#[derive(clap::Args, Debug)]
struct Tenant {
    /// Another tenant, by name or id; only with the operator's key.
    #[arg(long)]
    tenant: Option<String>,
}

impl Tenant {
    fn query(&self) -> Vec<(&str, &str)> {
        self.tenant.iter().map(|tenant| ("tenant", tenant.as_str())).collect()
    }
}

#[derive(clap::Args, Debug)]
struct List {
    #[command(flatten)]
    tenant: Tenant,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Args, Debug)]
struct One {
    key_id: String,
    #[command(flatten)]
    tenant: Tenant,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Create {
    name: String,
    /// A right: ingest, query, devices, schemas, dead-letters or admin. May be given several times.
    #[arg(long = "right", value_name = "RIGHT", required = true)]
    rights: Vec<String>,
    #[command(flatten)]
    tenant: Tenant,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Update {
    key_id: String,
    /// The new name.
    #[arg(long)]
    name: Option<String>,
    /// The rights that it has from now on: ingest, query, devices, schemas, dead-letters or admin.
    #[arg(long = "right", value_name = "RIGHT")]
    rights: Vec<String>,
    #[command(flatten)]
    tenant: Tenant,
    #[command(flatten)]
    with: With,
}

impl Args {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::List(List { tenant, list }) => {
                list.run("/v1/keys", &tenant.query(), "keys", &["key_id", "name", "rights"])
            }
            Command::Show(one) => {
                one.with.show(&one.with.client()?.get(&path(&one.key_id), &one.tenant.query())?);
                Ok(())
            }
            Command::Create(create) => {
                let mut members = Members::default();
                members.insert("name", create.name);
                members.insert("rights", create.rights);
                members.set("tenant", &create.tenant.tenant);
                create.with.show(&create.with.client()?.post("/v1/keys", &members.for_create())?);
                Ok(())
            }
            Command::Update(update) => {
                let mut members = Members::default();
                members.set("name", &update.name);
                if !update.rights.is_empty() {
                    members.insert("rights", update.rights);
                }
                let path = with_query(&path(&update.key_id), &update.tenant.query());
                update.with.show(&update.with.client()?.patch(&path, &members.for_update()?)?);
                Ok(())
            }
            Command::Delete(one) => {
                one.with.client()?.delete(&path(&one.key_id), &one.tenant.query())?;
                one.with.done("deleted", &one.key_id);
                Ok(())
            }
        }
    }
}

fn path(key: &str) -> String {
    format!("/v1/keys/{}", escape(key))
}
