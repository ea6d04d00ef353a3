//! `allOf`, `anyOf`, `oneOf`.

use super::super::form::{Criterion, View};
use super::{Comparison, Found, add};

impl Comparison {
    /// Whether a schema is within one member of `anyOf`, or of `oneOf` and then outside of the others.
    pub(super) fn is_member(
        &mut self,
        old: &View<'_>,
        criterion: Criterion,
        members: &[View<'_>],
        fills: bool,
    ) -> bool {
        (0..members.len()).any(|at| {
            let alone = || members.iter().enumerate().all(|(other, member)| other == at || old.is_apart_from(member));
            match criterion {
                Criterion::All => false,
                Criterion::Any => self.compatible(old, &members[at], fills),
                Criterion::One => self.compatible(old, &members[at], fills) && alone(),
            }
        })
    }

    pub(super) fn combined(
        &mut self,
        before: Criterion,
        old: &[View<'_>],
        now: Criterion,
        new: &[View<'_>],
        fills: bool,
        all: &mut Vec<Found>,
    ) {
        let keyword = now.keyword();
        if before != now && now != Criterion::Any {
            return add(all, "COMBINED_TYPE_CHANGED", keyword);
        }
        match now {
            Criterion::All if new.len() > old.len() => return add(all, "PRODUCT_TYPE_EXTENDED", keyword),
            Criterion::Any | Criterion::One if new.len() < old.len() && before != Criterion::All => {
                return add(all, "SUM_TYPE_NARROWED", keyword);
            }
            _ => {}
        }
        let mut fits = vec![Vec::new(); old.len()];
        for (a, one) in old.iter().enumerate() {
            for (b, other) in new.iter().enumerate() {
                if self.compatible(one, other, fills) {
                    fits[a].push(b);
                }
            }
        }
        let matched = matching(&fits, new.len());
        let pairs: Vec<(usize, usize)> = matched.iter().enumerate().filter_map(|(b, a)| Some(((*a)?, b))).collect();
        if pairs.len() < old.len().min(new.len()) || (now == Criterion::One && !self.exclusive(old, new, &pairs)) {
            add(all, "COMBINED_TYPE_SUBSCHEMAS_CHANGED", keyword);
        }
    }

    /// Whether a value that exactly one old member takes is taken by exactly one new member: no two new ones have a value in
    /// common, or each takes what its old one does and the rest have nothing in common with any.
    fn exclusive(&mut self, old: &[View<'_>], new: &[View<'_>], pairs: &[(usize, usize)]) -> bool {
        let apart = |one: usize, other: usize| one == other || new[one].is_apart_from(&new[other]);
        if (0..new.len()).all(|one| (0..one).all(|other| apart(one, other))) {
            return true;
        }
        let extra = |b: &usize| pairs.iter().all(|(_, matched)| matched != b);
        let rest_apart = (0..new.len()).filter(extra).all(|one| (0..new.len()).all(|other| apart(one, other)));
        rest_apart && pairs.iter().all(|(a, b)| self.compatible(&new[*b], &old[*a], false))
    }
}

/// A matching of as many as possible (augmenting paths); for each new member its old one.
fn matching(fits: &[Vec<usize>], new: usize) -> Vec<Option<usize>> {
    let mut matched = vec![None; new];
    for a in 0..fits.len() {
        augment(a, fits, &mut vec![false; new], &mut matched);
    }
    matched
}

fn augment(a: usize, fits: &[Vec<usize>], seen: &mut [bool], matched: &mut [Option<usize>]) -> bool {
    fits[a].iter().any(|&b| {
        if std::mem::replace(&mut seen[b], true) {
            return false;
        }
        let free = matched[b].is_none_or(|other| augment(other, fits, seen, matched));
        if free {
            matched[b] = Some(a);
        }
        free
    })
}
