//! Logs: text on a terminal, one JSON object a line otherwise, always on standard error.
//!
//! A log line is for a batch, a connection or a request that failed; never for a message.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// What to log and how.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// What to log: error, warn, info, debug or trace, also per module (`info,server::gateway=debug`).
    #[arg(long = "log", value_name = "LEVEL", env = "TIDEWATER_LOG", default_value = "info", global = true)]
    pub level: String,
    /// Form of the log lines; without it text on a terminal, else JSON.
    #[arg(long, value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
}

/// Starts logging. Called once, before anything can log. Fails if the level cannot be read.
pub fn start(args: &LogArgs) -> Result<(), String> {
    let filter = EnvFilter::try_new(&args.level)
        .map_err(|error| format!("--log `{}` is not a level: {error}. Try `info` or `debug`.", args.level))?;
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_timer(SystemTime).with_writer(std::io::stderr);
    match args.log_format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => lines.with_ansi(terminal).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
