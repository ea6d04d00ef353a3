//! `tidewater dead-letter replay`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::Which;
use crate::cli::client::Client;
use crate::cli::output;
use crate::cli::resource::With;

/// Try dead letters again under the rules that hold now. One that has passed is never tried twice.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater dead-letter replay --id 0-10042-0
  tidewater dead-letter replay --class pump --reason wrong-type --from -24h --dry-run
  tidewater dead-letter replay --all")]
pub struct Replay {
    /// This letter; may be given several times.
    #[arg(long, value_name = "LETTER", conflicts_with_all = ["device", "class", "reason", "schema_id", "from", "to", "all"])]
    id: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// All letters of the tenant.
    #[arg(long)]
    all: bool,
    /// Says how many would pass, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    with: With,
}

/// Letters that are asked for in one request: few, so that the bar moves.
const PORTION: usize = 1000;

/// What all requests together did.
#[derive(Debug, Default)]
struct Total {
    selected: u64,
    passed: u64,
    undecided: u64,
    failed: BTreeMap<String, u64>,
    skipped: BTreeMap<String, u64>,
    examples: Vec<Value>,
}

impl Replay {
    pub fn run(self) -> Result<()> {
        let filter: Map<String, Value> =
            self.which.said().map(|(name, value)| (name.to_owned(), value.into())).collect();
        if self.id.is_empty() && filter.is_empty() && !self.all {
            bail!("say which letters: --id, --device, --class, --reason, --schema-id, --from, --to, or --all");
        }
        let client = self.with.client()?;
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {pos} letters, {per_sec}")?);
        let mut total = Total::default();
        if self.id.is_empty() {
            let mut cursor = Value::Null;
            loop {
                let body = json!({"filter": filter, "dry_run": self.dry_run, "limit": PORTION, "cursor": cursor});
                cursor = total.add(&ask(&client, &body)?)?;
                bar.set_position(total.selected);
                if cursor.is_null() {
                    break;
                }
            }
        } else {
            for ids in self.id.chunks(PORTION) {
                total.add(&ask(&client, &json!({"ids": ids, "dry_run": self.dry_run}))?)?;
                bar.set_position(total.selected);
            }
        }
        bar.finish_and_clear();
        self.print(&total);
        if total.undecided > 0 {
            bail!(
                "{} letters were appended and are not derived yet: `dead-letter list` shows what becomes of them",
                total.undecided
            );
        }
        Ok(())
    }

    fn print(&self, total: &Total) {
        let Total { selected, passed, undecided, failed, skipped, examples } = total;
        if self.with.json {
            let (pass, fail) = if self.dry_run { ("would_pass", "would_fail") } else { ("replayed", "failed") };
            let mut answer = json!({"dry_run": self.dry_run, "selected": selected, "skipped": skipped});
            (answer[pass], answer[fail]) = (json!(passed), json!(failed));
            if self.dry_run {
                answer["examples"] = json!(examples);
            } else {
                answer["undecided"] = json!(undecided);
            }
            return output::json(&answer);
        }
        let (pass, fail) = if self.dry_run { ("would pass", "would fail") } else { ("passed", "rejected again") };
        let mut rows = vec![vec!["selected".to_owned(), String::new(), selected.to_string()]];
        rows.push(vec![pass.to_owned(), String::new(), passed.to_string()]);
        let line = |what: &str, (code, count): (&String, &u64)| vec![what.to_owned(), code.clone(), count.to_string()];
        rows.extend(failed.iter().map(|it| line(fail, it)));
        rows.extend(skipped.iter().map(|it| line("skipped", it)));
        output::table(&["", "reason", "letters"], &rows);
        for example in examples {
            let text = |name: &str| example[name].as_str().unwrap_or_default();
            output::line(format!("{} {} {} {}", text("id"), text("reason"), text("path"), text("detail")));
        }
    }
}

fn ask(client: &Client, body: &Value) -> Result<Value> {
    client.post("/v1/dead-letters/replay", body)
}

impl Total {
    /// Adds an answer, and gives back where the next request goes on.
    fn add(&mut self, answer: &Value) -> Result<Value> {
        let Some(selected) = answer["selected"].as_u64() else { bail!("the server's answer has no `selected`") };
        let count = |name: &str| answer[name].as_u64().unwrap_or(0);
        self.selected += selected;
        self.passed += count("replayed") + count("would_pass");
        self.undecided += count("undecided");
        for name in ["failed", "would_fail"] {
            add(&mut self.failed, &answer[name]);
        }
        add(&mut self.skipped, &answer["skipped"]);
        if self.examples.is_empty() {
            self.examples.extend(answer["examples"].as_array().cloned().unwrap_or_default());
        }
        Ok(answer["next"].clone())
    }
}

fn add(counts: &mut BTreeMap<String, u64>, more: &Value) {
    for (code, count) in more.as_object().into_iter().flatten() {
        *counts.entry(code.clone()).or_default() += count.as_u64().unwrap_or(0);
    }
}
