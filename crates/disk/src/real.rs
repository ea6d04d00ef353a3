//! The machine's file system.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use model::blocks::BLOCK_BYTES;
use model::disk::Entry;
use model::{Disk, DiskFile, OpenMode};

#[cfg(test)]
mod tests;

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// Files and directories of the machine: modes 0600 and 0700, fdatasync, blocks allocated by fallocate.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(FILE_MODE);
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite | OpenMode::Direct => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        if mode == OpenMode::Direct && takes_blocks(path) {
            options.custom_flags(libc::O_DIRECT);
        }
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let facts = match entry.metadata() {
                Ok(facts) => facts,
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry { name, len: facts.len(), is_dir: facts.is_dir() });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // A relative path of one component has the empty parent, which names the working directory.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let mut name = path.as_os_str().as_bytes().to_vec();
        name.push(0);
        let name = std::ffi::CString::from_vec_with_nul(name).map_err(io::Error::other)?;
        let mut facts = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        #[allow(unsafe_code, reason = "std has no statvfs")]
        // SAFETY: `name` ends in NUL and lives through the call; the struct is read only after the call filled it.
        let facts = unsafe {
            if libc::statvfs(name.as_ptr(), facts.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            facts.assume_init()
        };
        Ok(facts.f_bavail * facts.f_frsize)
    }
}

/// Whether the file system takes whole blocks directly (statx(2), STATX_DIOALIGN; Linux 6.1). Where it does not say so,
/// the page cache stays in between, at about twice the CPU time for each commit.
fn takes_blocks(path: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut facts = std::mem::MaybeUninit::<libc::statx>::zeroed();
    #[allow(unsafe_code, reason = "std has no statx")]
    // SAFETY: `path` ends in NUL and lives through the call; a zeroed struct of integers is valid however much of it
    // the call fills.
    let facts = unsafe {
        if libc::statx(libc::AT_FDCWD, path.as_ptr(), 0, libc::STATX_DIOALIGN, facts.as_mut_ptr()) != 0 {
            return false;
        }
        facts.assume_init()
    };
    let fits = |alignment: u32| alignment > 0 && (BLOCK_BYTES as u32).is_multiple_of(alignment);
    facts.stx_mask & libc::STATX_DIOALIGN != 0 && fits(facts.stx_dio_mem_align) && fits(facts.stx_dio_offset_align)
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let from = self.0.metadata()?.len();
        if from >= len {
            return Ok(());
        }
        match fallocate(&self.0, from, len - from) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => self.fill_with_zeros(from, len),
            answer => answer,
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

impl RealFile {
    /// For file systems without fallocate: only a written block is really there.
    fn fill_with_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut at = from;
        while at < to {
            let len = zeros.len().min((to - at) as usize);
            self.0.write_all_at(&zeros[..len], at)?;
            at += len as u64;
        }
        Ok(())
    }
}

fn fallocate(file: &File, from: u64, len: u64) -> io::Result<()> {
    loop {
        #[allow(unsafe_code, reason = "std has no fallocate")]
        // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is passed.
        let answer = unsafe { libc::fallocate(file.as_raw_fd(), 0, from as libc::off_t, len as libc::off_t) };
        if answer == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
