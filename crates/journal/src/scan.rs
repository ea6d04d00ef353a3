//! Reading through one segment, past whatever is broken in it.

use std::io;

use model::DiskFile;
use model::batch::FRAME_HEADER_BYTES;

use crate::frame::{self, Header};
use crate::segment::{FRAME_ALIGNMENT, SEGMENT_HEAD_BYTES};

/// Bytes read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// What stands in one segment, by position. Frames of other generations do not count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Scan {
    /// Intact frames.
    pub(crate) frames: Vec<Header>,
    /// Intact headers whose frames are not.
    pub(crate) broken: Vec<Header>,
    /// Behind the last byte that is not zero.
    pub(crate) nonzero_end: u64,
    /// Length of the file.
    pub(crate) file_len: u64,
}

/// Reads the whole segment.
pub(crate) fn segment(file: &dyn DiskFile, generation: u64) -> io::Result<Scan> {
    let file_len = file.len()?;
    let mut scan = Scan { file_len, ..Scan::default() };
    let mut window = Window::new(file, file_len);
    let mut position = SEGMENT_HEAD_BYTES;
    while position < file_len {
        let found = look(&mut window, position, generation)?;
        let step = match found {
            Look::Frame(header) => header.next_position() - position,
            _ => FRAME_ALIGNMENT,
        };
        match found {
            Look::Frame(header) => scan.frames.push(header),
            Look::Broken(header) => scan.broken.push(header),
            Look::Nothing => {}
        }
        let last = window.bytes(position, step as usize)?.iter().rposition(|byte| *byte != 0);
        if let Some(last) = last {
            scan.nonzero_end = position + last as u64 + 1;
        }
        position += step;
    }
    Ok(scan)
}

/// The first intact frame at or behind `position` that has a base of at least `base`.
pub(crate) fn next_frame(
    file: &dyn DiskFile,
    generation: u64,
    mut position: u64,
    base: u64,
) -> io::Result<Option<Header>> {
    let file_len = file.len()?;
    let mut window = Window::new(file, file_len);
    while position < file_len {
        match look(&mut window, position, generation)? {
            Look::Frame(header) if header.base >= base => return Ok(Some(header)),
            Look::Frame(header) => position = header.next_position(),
            _ => position += FRAME_ALIGNMENT,
        }
    }
    Ok(None)
}

enum Look {
    Frame(Header),
    Broken(Header),
    Nothing,
}

fn look(window: &mut Window<'_>, position: u64, generation: u64) -> io::Result<Look> {
    let Some(header) = Header::decode(window.bytes(position, FRAME_HEADER_BYTES)?) else { return Ok(Look::Nothing) };
    if header.generation != generation || header.position != position {
        return Ok(Look::Nothing);
    }
    let intact = frame::is_intact_as(window.bytes(position, header.frame_len())?, &header);
    Ok(if intact { Look::Frame(header) } else { Look::Broken(header) })
}

/// A part of the file in memory, moved forward as needed.
struct Window<'a> {
    file: &'a dyn DiskFile,
    file_len: u64,
    start: u64,
    buf: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a dyn DiskFile, file_len: u64) -> Self {
        Self { file, file_len, start: 0, buf: Vec::new() }
    }

    /// The bytes from `position` on: `len` of them, or fewer at the end of the file.
    fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let len = len.min(self.file_len.saturating_sub(position) as usize);
        let held = self.start..self.start + self.buf.len() as u64;
        if position < held.start || position + len as u64 > held.end {
            self.start = position;
            self.buf.resize(WINDOW_BYTES.max(len).min((self.file_len - position) as usize), 0);
            let read = self.file.read_at(&mut self.buf, position)?;
            self.buf.truncate(read);
        }
        let at = (position - self.start) as usize;
        Ok(&self.buf[at.min(self.buf.len())..(at + len).min(self.buf.len())])
    }
}
