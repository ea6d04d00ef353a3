//! The table of outcomes in `docs/reliability.md`, between two markers.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Outcome, Verdict, find};

const BEGIN: &str = "<!-- tidewater fault: begin -->";
const END: &str = "<!-- tidewater fault: end -->";

/// Replaces what stands between the markers of `file` by a table of these outcomes; `heading` says what was run.
pub fn write(file: &Path, heading: &str, outcomes: &[Outcome]) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = replace(&text, &render(heading, outcomes))
        .with_context(|| format!("{} has no lines `{BEGIN}` and `{END}`", file.display()))?;
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn replace(text: &str, table: &str) -> Option<String> {
    let (front, rest) = text.split_once(BEGIN)?;
    let (_, back) = rest.split_once(END)?;
    Some(format!("{front}{BEGIN}\n{table}{END}{back}"))
}

fn render(heading: &str, outcomes: &[Outcome]) -> String {
    let mut out = format!("{heading}\n\n| scenario | what is done | must hold | found |\n|---|---|---|---|\n");
    for outcome in outcomes {
        let (what, must) = find(&outcome.name).map_or(("", ""), |scenario| (scenario.what, scenario.must));
        let found = match &outcome.verdict {
            Verdict::Kept => outcome.figures(),
            Verdict::Broken(how) => format!("**broken: {}**; {}", how.join("; "), outcome.figures()),
            Verdict::Skipped(why) => format!("skipped: {why}"),
        };
        out +=
            &format!("| `{}` | {what} | {must} | {} |\n", outcome.name, found.replace('|', "\\|").replace('\n', " "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_markers_is_replaced() {
        let text = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let outcome = Outcome { name: "kill".to_owned(), ..Outcome::default() }.rounds(2);
        let table = render("Run.", &[outcome]);
        assert!(table.starts_with("Run.\n\n| scenario |"), "{table}");
        assert!(table.contains("\n| `kill` | kill -9 under"), "{table}");
        let replaced = replace(&text, &table).unwrap();
        assert_eq!(replaced, format!("# Title\n{BEGIN}\n{table}{END}\nrest\n"));
        assert_eq!(replace(&replaced, "").unwrap(), format!("# Title\n{BEGIN}\n{END}\nrest\n"));
        assert_eq!(replace("# Title\n", "x"), None);
    }
}
