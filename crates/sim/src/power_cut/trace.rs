//! What happened last, for whoever has to understand a failure, and a hash of all of it.

use std::collections::VecDeque;

use disk::{Change, Operation};

use crate::seeded::{hash, hash_bytes};

/// Lines kept.
const LINES: usize = 80;

#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: VecDeque<String>,
    digest: u64,
}

impl Trace {
    pub fn note(&mut self, line: String) {
        self.digest = hash([self.digest, hash_bytes(line.as_bytes())]);
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub fn change(&mut self, number: u64, depth: usize, change: &Change<'_>) {
        let Change { operation, path, offset, len } = change;
        let at = match operation {
            Operation::Write => format!(" {offset}+{len}"),
            Operation::Allocate | Operation::SetLen => format!(" {len}"),
            _ => String::new(),
        };
        self.note(format!("{number:>5} {}{operation:?} {}{at}", "  ".repeat(depth), path.display()));
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }
}
