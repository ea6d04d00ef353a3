//! `tidewater journal repair`: says what it would do, and does it if it is told to.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use journal::mend::{self, LogPlan, Step};
use model::limits;
use serde_json::{Value, json};

use super::Place;
use crate::cli::output;
use crate::data_dir::DataDir;

/// Say what is wrong with a journal and what would be done about it; with --yes, do it. Nothing is deleted: what cannot be
/// read or must be cut off is kept in files of its own beside the segments (damaged-…). Refused while a server runs.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater journal repair --data /var/lib/tidewater          # says what it would do
  tidewater journal repair --data /var/lib/tidewater --yes    # does it")]
pub struct Repair {
    #[command(flatten)]
    place: Place,
    /// Does it; without this nothing is changed.
    #[arg(long)]
    yes: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Repair {
    pub fn run(self) -> Result<()> {
        let dir = self.place.dir()?;
        // Held to the end: no server may start meanwhile.
        let _owned = DataDir::open(&self.place.data).context("a journal is repaired while no server has it open")?;
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {bytes} read, {bytes_per_sec}")?);
        let mut progress = |bytes| bar.inc(bytes);
        let plans = match self.yes {
            true => mend::apply(&disk::RealDisk, &dir, limits::SEGMENT_BYTES, &mut progress)?,
            false => mend::plan(&disk::RealDisk, &dir, &mut progress)?,
        };
        bar.finish_and_clear();
        if self.json {
            output::json(&json!({"done": self.yes, "logs": plans.iter().map(document).collect::<Vec<_>>()}));
            return Ok(());
        }
        plans.iter().for_each(print);
        let steps = plans.iter().map(|plan| plan.steps.len()).sum::<usize>();
        output::line(match (steps, self.yes) {
            (0, _) => "There is nothing to repair.",
            (_, true) => "This was done.",
            (_, false) => "Nothing was changed. To do this, run it again with --yes.",
        });
        Ok(())
    }
}

fn print(plan: &LogPlan) {
    if plan.steps.is_empty() && plan.lost.is_empty() {
        return;
    }
    output::line(format!("{}:", plan.topic));
    for gap in &plan.lost {
        output::line(format!("  lost: {gap} were durable and cannot be read; only a copy of that file has them"));
    }
    for step in &plan.steps {
        output::line(format!("  {step}"));
    }
}

fn document(plan: &LogPlan) -> Value {
    let lost = plan.lost.iter().map(|gap| {
        let (path, bytes) = gap.place.clone().unzip();
        json!({
            "from": gap.offsets.start, "to": gap.offsets.end, "path": path,
            "bytes_from": bytes.as_ref().map(|bytes| bytes.start), "bytes_to": bytes.as_ref().map(|bytes| bytes.end),
        })
    });
    let step = |step: &Step| match step {
        Step::Keep { path, bytes, to } => {
            json!({"do": "copy", "path": path, "bytes_from": bytes.start, "bytes_to": bytes.end, "to": to})
        }
        Step::SetAside { path, bytes, to } => json!({"do": "set-aside", "path": path, "bytes": bytes, "to": to}),
        Step::Cut { path, bytes, batches } => {
            json!({"do": "cut", "path": path, "bytes_from": bytes.start, "bytes_to": bytes.end, "batches": batches})
        }
    };
    json!({
        "topic": plan.topic.name(), "partition": plan.partition, "lost": lost.collect::<Vec<_>>(),
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
    })
}
