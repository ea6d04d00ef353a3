//! `tidewater device import`: a fleet from a file, its tokens into another one.
//!
//! Tokens file: one JSON object a line, `{"device_id","auth_token","tenant_id","topic"}`, in the order of the fleet's
//! file. It is synced after each request, before the next one is sent: the tokens are shown only once.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::output;
use crate::cli::resource::With;

#[cfg(test)]
mod tests;

/// Devices in one request: one transaction of the registry.
const REQUEST_DEVICES: usize = 1000;
/// Bytes in one request, if metadata is long; the server takes twice this.
const REQUEST_BYTES: usize = 4 << 20;
/// Refusals that are printed one by one.
const REFUSALS_SHOWN: u64 = 20;

/// Registers every device of FILE, a JSON object a line, and keeps their tokens in a file.
///
/// A line has the members of `POST /v1/devices`, all optional: device_id, device_class, schema_id, status, metadata. If
/// the lines have ids, the import may be repeated: what is registered already with the same content is no error, and
/// its token is not shown again.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tidewater device import fleet.ndjson --tokens tokens.ndjson")]
pub struct Args {
    /// The fleet; `-` is standard input.
    file: PathBuf,
    /// Where the tokens go; the file must not exist yet and is readable by its owner only.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    #[command(flatten)]
    with: With,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let client = self.with.client()?;
        let (fleet, bytes) = open(&self.file)?;
        let mut tokens = create(&self.tokens)?;
        let progress = progress(bytes);
        let mut import = Import {
            client: &client,
            progress: &progress,
            name: self.file.display().to_string(),
            counts: Counts::default(),
            shown: 0,
        };
        let ended = import.run(fleet, &mut tokens);
        progress.finish_and_clear();
        let counts = import.counts;
        if ended.is_err() && counts == Counts::default() {
            // Nothing is in it, and it would be in the way of the next try.
            std::fs::remove_file(&self.tokens)?;
        }
        if self.with.json {
            let tokens = self.tokens.display().to_string();
            output::json(&json!({
                "created": counts.created, "existing": counts.existing, "refused": counts.refused, "tokens": tokens
            }));
        } else {
            output::line(format!(
                "{} registered, {} there already, {} refused; tokens in {}",
                counts.created,
                counts.existing,
                counts.refused,
                self.tokens.display()
            ));
        }
        ended?;
        if counts.refused > 0 {
            bail!("{} lines were refused: correct them and import them again", counts.refused);
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Counts {
    created: u64,
    existing: u64,
    refused: u64,
}

struct Import<'a> {
    client: &'a Client,
    progress: &'a ProgressBar,
    /// The fleet's file, for messages.
    name: String,
    counts: Counts,
    /// Refusals that were printed.
    shown: u64,
}

/// Some lines on their way.
#[derive(Default)]
struct Request {
    body: String,
    devices: usize,
    /// Lines before the first one of this request.
    lines_before: u64,
    lines: u64,
}

impl Import<'_> {
    fn run(&mut self, mut fleet: impl BufRead, tokens: &mut File) -> Result<()> {
        let mut request = Request::default();
        loop {
            let start = request.body.len();
            let read = fleet.read_line(&mut request.body).with_context(|| format!("{} cannot be read", self.name))?;
            request.lines += u64::from(read > 0);
            request.devices += usize::from(!request.body[start..].trim().is_empty());
            let full = request.devices >= REQUEST_DEVICES || request.body.len() >= REQUEST_BYTES;
            if full || read == 0 {
                let lines_before = request.lines_before + request.lines;
                let bytes = request.body.len() as u64;
                if request.devices > 0 {
                    self.send(std::mem::take(&mut request), tokens)?;
                }
                self.progress.inc(bytes);
                request = Request { lines_before, ..Request::default() };
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn send(&mut self, request: Request, tokens: &mut File) -> Result<()> {
        let sent = self.client.post_lines("/v1/devices:import", request.body);
        let mut answer = sent.with_context(|| {
            let (from, to) = (request.lines_before + 1, request.lines_before + request.lines);
            format!("lines {from} to {to} of {} and what follows were not imported", self.name)
        })?;
        for (counter, name) in [
            (&mut self.counts.created, "created"),
            (&mut self.counts.existing, "existing"),
            (&mut self.counts.refused, "refused"),
        ] {
            *counter += answer[name].as_u64().unwrap_or(0);
        }
        let Value::Array(rows) = answer["devices"].take() else { bail!("the server's answer has no list of devices") };
        let mut lines = String::new();
        for mut row in rows {
            if row["code"].is_string() {
                self.refused(&row, request.lines_before);
            } else if row["auth_token"].is_string() {
                row.as_object_mut().map(|row| row.remove("line"));
                lines.push_str(&format!("{row}\n"));
            }
        }
        let written = tokens.write_all(lines.as_bytes()).and_then(|()| tokens.sync_data());
        written
            .context("the tokens cannot be written; the devices of this request need new ones (tidewater device token)")
    }

    fn refused(&mut self, row: &Value, lines_before: u64) {
        let line = lines_before + row["line"].as_u64().unwrap_or(0);
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let message = format!("{}:{line}: {} ({})", self.name, text("detail"), text("code"));
        if self.shown < REFUSALS_SHOWN {
            self.shown += 1;
            self.progress.suspend(|| eprintln!("{message}"));
        }
    }
}

/// The fleet's lines, and how many bytes they are if that is known.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let bytes = file.metadata().ok().map(|metadata| metadata.len());
    Ok((Box::new(BufReader::new(file)), bytes))
}

fn create(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} exists already and may hold tokens: name another file with --tokens", path.display())
        }
        other => other.with_context(|| format!("{} cannot be created", path.display())),
    }
}

fn progress(bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {percent:>3} %  {bytes_per_sec}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} read  {bytes_per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}
