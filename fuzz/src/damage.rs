//! What a disk can do to files: bytes that change, that are zero, cut off, written to another place, or gone. An input says
//! what, on files that were sound.

use std::path::PathBuf;

use disk::FaultDisk;
use model::Disk;

use crate::input::Input;

/// Files whose bytes are known.
pub struct Image {
    pub disk: FaultDisk,
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// What was done to one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Damaged {
    Bytes(Vec<u8>),
    Gone,
}

impl Image {
    /// The files below these directories of a disk.
    pub fn of(disk: &FaultDisk, dirs: &[&str]) -> Self {
        let mut files = Vec::new();
        for dir in dirs {
            let entries = disk.list(dir.as_ref()).expect("the directory is there");
            for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
                let path = PathBuf::from(dir).join(entry.name);
                let bytes = disk.contents(&path).expect("a file that was listed");
                files.push((path, bytes));
            }
        }
        Self { disk: disk.fork(), files }
    }

    /// The files as an input leaves them. Places are counted in bytes, from the front or (odd files) from the end, so that an input can hit
    /// either without knowing how long a file is.
    pub fn damage(&self, input: &mut Input<'_>) -> Vec<Damaged> {
        let mut now: Vec<_> = self.files.iter().map(|(_, bytes)| Damaged::Bytes(bytes.clone())).collect();
        for _ in 0..8 {
            if input.0.is_empty() {
                break;
            }
            let (what, file, at) = (input.u8(), usize::from(input.u8()) % now.len(), usize::from(input.u16()));
            let other = self.files[usize::from(input.u8()) % self.files.len()].1.clone();
            let Damaged::Bytes(bytes) = &mut now[file] else { continue };
            let Some(at) = at.checked_rem(bytes.len()) else { continue };
            let at = if what & 0x80 == 0 { at } else { bytes.len() - 1 - at };
            let len = 1 << (what >> 4 & 7);
            let end = bytes.len().min(at + len * 8);
            match what & 0x0F {
                0..=5 => bytes[at] ^= input.u8().max(1),
                6 | 7 => bytes[at..end].fill(0),
                8 => bytes.truncate(at),
                9 => {
                    let from = usize::from(input.u16()) % other.len().max(1);
                    let end = end.min(at + (other.len() - from));
                    let len = end - at;
                    bytes[at..end].copy_from_slice(&other[from..from + len]);
                }
                10 => {
                    let value = input.u64().to_le_bytes();
                    let end = bytes.len().min(at + 8);
                    bytes[at..end].copy_from_slice(&value[..end - at]);
                }
                11 => bytes.extend_from_slice(&[0xA5; 64][..len.min(64)]),
                12 => now[file] = Damaged::Gone,
                // Blocks of a page, as a file system loses them.
                13 => {
                    let block = at / 512 * 512;
                    let end = bytes.len().min(block + 512 * len.min(8));
                    bytes[block..end].fill(0);
                }
                _ => bytes[at] = bytes[at].wrapping_add(1),
            }
        }
        now
    }

    /// A disk with the files as they are now.
    pub fn with(&self, now: &[Damaged]) -> FaultDisk {
        let disk = self.disk.fork();
        for ((path, before), now) in self.files.iter().zip(now) {
            match now {
                Damaged::Gone => disk.remove(path).expect("a file of the image"),
                Damaged::Bytes(bytes) if bytes != before => {
                    disk.set_contents(path, bytes.clone()).expect("a file of the image");
                }
                Damaged::Bytes(_) => {}
            }
        }
        disk
    }
}

impl Damaged {
    /// Whether the bytes from `at` on are still these.
    pub fn holds(&self, at: usize, bytes: &[u8]) -> bool {
        matches!(self, Self::Bytes(now) if now.get(at..at + bytes.len()) == Some(bytes))
    }
}
