//! `tidewater tenant`: whose data it is.

use anyhow::Result;
use clap::Subcommand;

use super::client::escape;
use super::resource::{ListArgs, Members, With};

/// Lists, creates, changes and deletes tenants (with the operator's key).
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tidewater tenant create acme --limit devices=1000 --unit temperature=Cel --metadata region=eu
  tidewater key create \"acme's admin\" --tenant acme --right admin
  tidewater tenant list";

#[derive(Subcommand, Debug)]
enum Command {
    /// Lists tenants.
    #[command(after_help = "Example:\n  tidewater tenant list")]
    List(ListArgs),
    /// Shows a tenant.
    #[command(after_help = "Example:\n  tidewater tenant show acme")]
    Show(One),
    /// Creates a tenant.
    #[command(
        after_help = "Example:\n  tidewater tenant create acme --limit devices=1000 --limit messages_per_second=5000"
    )]
    Create(Create),
    /// Changes a tenant: what is not named stays. Limits take effect at once.
    #[command(after_help = "Example:\n  tidewater tenant update acme --limit devices=none")]
    Update(Update),
    /// Deletes a tenant and revokes everything of it at once.
    #[command(after_help = "Example:\n  tidewater tenant delete acme")]
    Delete(One),
}

#[derive(clap::Args, Debug)]
struct One {
    /// Name or id.
    tenant: String,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Create {
    name: String,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Update {
    /// Name or id.
    tenant: String,
    /// The new name.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    with: With,
}

#[derive(clap::Args, Debug)]
struct Settings {
    /// A limit: messages_per_second, bytes_per_second, connections, devices, classes or dead_letter_bytes; `none` lifts
    /// it. May be given several times.
    #[arg(long, value_name = "NAME=N")]
    limit: Vec<String>,
    /// The unit in which a metric is stored, as a UCUM code, in all classes that do not say it themselves; `none` takes it
    /// away. May be given several times.
    #[arg(long, value_name = "METRIC=UNIT")]
    unit: Vec<String>,
    /// What is known of the tenant; the value `none` takes a name away. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
}

impl Settings {
    fn add_to(&self, members: &mut Members) -> Result<()> {
        members.pairs("limits", &self.limit)?;
        members.pairs("units", &self.unit)?;
        members.pairs("metadata", &self.metadata)
    }
}

impl Args {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::List(list) => list.run("/v1/tenants", &[], "tenants", &["name", "tenant_id", "limits"]),
            Command::Show(one) => {
                one.with.show(&one.with.client()?.get(&path(&one.tenant), &[])?);
                Ok(())
            }
            Command::Create(create) => {
                let mut members = Members::default();
                members.insert("name", create.name);
                create.settings.add_to(&mut members)?;
                create.with.show(&create.with.client()?.post("/v1/tenants", &members.for_create())?);
                Ok(())
            }
            Command::Update(update) => {
                let mut members = Members::default();
                members.set("name", &update.name);
                update.settings.add_to(&mut members)?;
                update.with.show(&update.with.client()?.patch(&path(&update.tenant), &members.for_update()?)?);
                Ok(())
            }
            Command::Delete(one) => {
                one.with.client()?.delete(&path(&one.tenant), &[])?;
                one.with.done("deleted", &one.tenant);
                Ok(())
            }
        }
    }
}

fn path(tenant: &str) -> String {
    format!("/v1/tenants/{}", escape(tenant))
}
