//! A walk over two schemas at once, in which each pair of types is looked at once: recursive types end it by themselves.
//! It does not recurse and is bounded by [`SCHEMA_NODES_MAX`]; what is beyond is told as a difference.

use std::collections::HashSet;
use std::fmt::Display;

use model::limits::SCHEMA_NODES_MAX;

use super::types::{Type, TypeId, Types};
use super::{Avro, Difference};

/// Bytes of all differences of one answer together: past it the answer says that there are more.
const DIFFERENCES_BYTES_MAX: usize = 256 << 10;

pub struct Pairs<'a> {
    left: &'a Types,
    right: &'a Types,
    /// All pairs met, in the order in which they are looked at.
    met: Vec<Met>,
    known: HashSet<(TypeId, TypeId)>,
    steps_left: usize,
    bytes_left: usize,
    differences: Vec<Difference>,
}

struct Met {
    /// The position of the pair above; of the first, its own.
    above: usize,
    /// From there to here: `/fields/0/type`.
    way: String,
    left: TypeId,
    right: TypeId,
}

/// A pair of types at one place.
pub struct Pair<'a> {
    at: usize,
    pub left: &'a Type,
    pub right: &'a Type,
}

impl<'a> Pairs<'a> {
    /// Everything that `look` tells of the pairs, beginning with the two schemas. `look` tells what differs and which
    /// pairs are inside.
    pub fn walk(
        left: &'a Avro,
        right: &'a Avro,
        look: impl Fn(&mut Self, &Pair<'a>, TypeId, TypeId),
    ) -> Vec<Difference> {
        let mut pairs = Self {
            left: &left.types,
            right: &right.types,
            met: vec![Met { above: 0, way: String::new(), left: left.root, right: right.root }],
            known: HashSet::from([(left.root, right.root)]),
            steps_left: SCHEMA_NODES_MAX,
            bytes_left: DIFFERENCES_BYTES_MAX,
            differences: Vec::new(),
        };
        let mut at = 0;
        while let Some(Met { left, right, .. }) = pairs.met.get(at) {
            let (left, right) = (*left, *right);
            let pair = Pair { at, left: pairs.left(left), right: pairs.right(right) };
            look(&mut pairs, &pair, left, right);
            if pairs.steps_left == 0 || pairs.bytes_left == 0 {
                pairs.give_up();
                break;
            }
            at += 1;
        }
        pairs.differences
    }

    pub fn left(&self, id: TypeId) -> &'a Type {
        &self.left[id]
    }

    pub fn right(&self, id: TypeId) -> &'a Type {
        &self.right[id]
    }

    /// Counts work. `false`: there was too much of it, and the walk ends here.
    pub fn spend(&mut self, steps: usize) -> bool {
        self.steps_left = self.steps_left.saturating_sub(steps);
        self.steps_left > 0
    }

    /// A pair inside, by the way to it.
    pub fn inside(&mut self, pair: &Pair<'_>, way: impl Display, left: TypeId, right: TypeId) {
        if self.spend(1) && self.known.insert((left, right)) {
            self.met.push(Met { above: pair.at, way: way.to_string(), left, right });
        }
    }

    pub fn differ(&mut self, pair: &Pair<'_>, way: impl Display, kind: &'static str, detail: String) {
        if self.bytes_left == 0 {
            return;
        }
        let mut ways = vec![way.to_string()];
        let mut at = pair.at;
        while at != 0 {
            ways.push(self.met[at].way.clone());
            at = self.met[at].above;
        }
        ways.reverse();
        let path = ways.concat();
        self.bytes_left = self.bytes_left.saturating_sub(path.len() + detail.len() + kind.len());
        self.differences.push(Difference { kind, path: if path.is_empty() { "/".to_owned() } else { path }, detail });
    }

    fn give_up(&mut self) {
        let detail = if self.bytes_left == 0 {
            "there are more differences than these".to_owned()
        } else {
            format!(
                "comparing the schemas takes more than {SCHEMA_NODES_MAX} steps; what is beyond counts as different. Split \
                 the schema into several"
            )
        };
        self.differences.push(Difference { kind: "TOO_MUCH_TO_COMPARE", path: "/".to_owned(), detail });
    }
}
