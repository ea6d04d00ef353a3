//! The command line. Every command is a module with its arguments and a `run`.
//!
//! Results go to standard output, everything else to standard error; the exit code is 0 only on success, 2 for
//! arguments that cannot be understood.

pub mod bench;
pub mod check_config;
pub mod class;
pub mod client;
pub mod dead_letter;
pub mod demo;
pub mod device;
pub mod fault;
pub mod journal;
pub mod key;
pub mod output;
pub mod query;
pub mod resource;
pub mod schema;
pub mod serve;
pub mod simulate;
pub mod tail;
pub mod target;
pub mod tenant;
pub mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::logging::{self, LogArgs};

/// Tidewater takes in what devices say, loses nothing that it has acknowledged, and makes it queryable at once.
#[derive(Parser, Debug)]
#[command(name = "tidewater", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tidewater serve                          everything embedded, data in ./tidewater-data
  tidewater device create --class pump     prints device id and token
  tidewater query DEVICE temperature       the last hour, a bucket a minute
  tidewater COMMAND --help                 what a command takes, with an example";

#[derive(Subcommand, Debug)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Simulate(simulate::Args),
    Query(query::Args),
    Tail(tail::Args),
    DeadLetter(dead_letter::Args),
    Journal(journal::Args),
    CheckConfig(check_config::Args),
    Tenant(tenant::Args),
    Key(key::Args),
    Class(class::Args),
    Device(device::Args),
    Schema(schema::Args),
    Bench(Box<bench::Args>),
    Verify(verify::Args),
    Fault(fault::Args),
}

impl Command {
    fn run(self) -> Result<()> {
        match self {
            Self::Serve(args) => args.run(),
            Self::Demo(args) => args.run(),
            Self::Simulate(args) => args.run(),
            Self::Query(args) => args.run(),
            Self::Tail(args) => args.run(),
            Self::DeadLetter(args) => args.run(),
            Self::Journal(args) => args.run(),
            Self::CheckConfig(args) => args.run(),
            Self::Tenant(args) => args.run(),
            Self::Key(args) => args.run(),
            Self::Class(args) => args.run(),
            Self::Device(args) => args.run(),
            Self::Schema(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::Verify(args) => args.run(),
            Self::Fault(args) => args.run(),
        }
    }
}

/// Parses the arguments, runs the command and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(message) = logging::start(&cli.log) {
        return fail(&anyhow::Error::msg(message));
    }
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("tidewater: {error:#}");
    ExitCode::FAILURE
}
