//! The directory tree of the disk in memory: the names as the process sees them, as they are on the medium, and the
//! changes between the two.

use std::collections::HashSet;

use super::{BTreeMap, Choice, HashMap, Kept, Path, PathBuf, io, not_found};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Default)]
pub(super) struct Names {
    now: BTreeMap<PathBuf, Node>,
    medium: BTreeMap<PathBuf, Node>,
    /// Per directory, in order.
    waiting: HashMap<PathBuf, Vec<Change>>,
}

#[derive(Clone)]
enum Change {
    Link(PathBuf, Node),
    Unlink(PathBuf),
    Rename { from: PathBuf, to: PathBuf, node: Node },
}

impl Change {
    fn apply(self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Link(path, node) => {
                names.insert(path, node);
            }
            Self::Unlink(path) => {
                names.remove(&path);
            }
            Self::Rename { from, to, node } => {
                // The old name may already stand for another file that was created since.
                if names.get(&from) == Some(&node) {
                    names.remove(&from);
                }
                names.insert(to, node);
            }
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

fn is_root(dir: &Path) -> bool {
    dir.parent().is_none()
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        self.now.get(path).copied()
    }

    /// All files that some name on the medium or in the process stands for.
    pub(super) fn files(&self) -> HashSet<u64> {
        let nodes = self.now.values().chain(self.medium.values());
        nodes.filter_map(|node| if let Node::File(id) = node { Some(*id) } else { None }).collect()
    }

    pub(super) fn children(&self, dir: &Path) -> io::Result<Vec<(String, Node)>> {
        self.require_dir(dir)?;
        let inside = self.now.iter().filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside.map(|(path, node)| (file_name(path), *node)).collect())
    }

    pub(super) fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        let mut missing: Vec<_> = dir.ancestors().filter(|dir| !is_root(dir) && self.get(dir).is_none()).collect();
        missing.reverse();
        missing.into_iter().try_for_each(|dir| self.link(dir, Node::Dir))
    }

    pub(super) fn link(&mut self, path: &Path, node: Node) -> io::Result<()> {
        self.require_dir(&parent(path))?;
        self.record(parent(path), Change::Link(path.to_owned(), node));
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.get(path).ok_or_else(|| not_found(path))?;
        self.record(parent(path), Change::Unlink(path.to_owned()));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.get(from).ok_or_else(|| not_found(from))?;
        self.record(parent(to), Change::Rename { from: from.to_owned(), to: to.to_owned(), node });
        Ok(())
    }

    fn record(&mut self, dir: PathBuf, change: Change) {
        change.clone().apply(&mut self.now);
        self.waiting.entry(dir).or_default().push(change);
    }

    pub(super) fn sync(&mut self, dir: &Path) {
        for change in self.waiting.remove(dir).unwrap_or_default() {
            change.apply(&mut self.medium);
        }
    }

    /// Keeps nothing, everything, the first or any subset of the changes that wait in each directory.
    pub(super) fn crash(&mut self, choice: &mut Choice) {
        let mut dirs: Vec<_> = std::mem::take(&mut self.waiting).into_iter().collect();
        dirs.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, changes) in dirs {
            let kept = choice.kept(changes.len());
            for (number, change) in changes.into_iter().enumerate() {
                let is_kept = match kept {
                    Kept::Nothing => false,
                    Kept::Everything => true,
                    Kept::Prefix(prefix) => number < prefix,
                    Kept::Any => choice.coin(),
                };
                if is_kept {
                    change.apply(&mut self.medium);
                }
            }
        }
        self.drop_orphans();
        self.now.clone_from(&self.medium);
    }

    /// Names below a directory whose own name was lost are lost with it.
    fn drop_orphans(&mut self) {
        let all = self.medium.clone();
        let whole = |path: &Path| {
            path.ancestors().skip(1).filter(|dir| !is_root(dir)).all(|dir| all.get(dir) == Some(&Node::Dir))
        };
        self.medium.retain(|path, _| whole(path));
    }

    fn require_dir(&self, dir: &Path) -> io::Result<()> {
        if is_root(dir) || self.get(dir) == Some(Node::Dir) { Ok(()) } else { Err(not_found(dir)) }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
