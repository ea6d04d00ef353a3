//! The keeper of one partition: writes the snapshots that the ingest thread takes, removes those that no restart needs,
//! and trims `raw` behind what is sealed and synced, and the derived topics to what is kept of them. Slow disks are its business alone.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use journal::Log;
use model::Partition;
use store::Store;

use super::snapshot::{Snapshot, Snapshots};

/// How often it looks for something to trim.
const TRIM_INTERVAL: Duration = Duration::from_secs(1);

/// What the keeper works on.
pub struct Keeper {
    pub partition: Partition,
    pub raw: Log,
    pub dead_letters: Log,
    pub normalized: Log,
    pub store: Store,
    pub snapshots: Arc<Snapshots>,
}

/// The way to the keeper.
pub struct KeeperHandle {
    snapshots: SyncSender<Snapshot>,
    busy: Arc<AtomicBool>,
    /// The memory of the snapshot that was written last.
    spare: Arc<Mutex<Vec<u8>>>,
    /// `None` where somebody else runs the [`Desk`].
    thread: Option<JoinHandle<()>>,
}

/// The keeper's side of what is handed over.
pub struct Desk {
    keeper: Keeper,
    snapshots: Receiver<Snapshot>,
    busy: Arc<AtomicBool>,
    spare: Arc<Mutex<Vec<u8>>>,
}

impl Keeper {
    pub fn start(self) -> io::Result<KeeperHandle> {
        let name = format!("keeper-{}", self.partition.0);
        let (mut handle, desk) = self.sit();
        handle.thread = Some(std::thread::Builder::new().name(name).spawn(move || desk.run())?);
        Ok(handle)
    }

    /// A keeper without a thread: it works when it is given a turn.
    pub fn sit(self) -> (KeeperHandle, Desk) {
        let (snapshots, receiver) = sync_channel(1);
        let (busy, spare) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let desk = Desk { keeper: self, snapshots: receiver, busy: busy.clone(), spare: spare.clone() };
        (KeeperHandle { snapshots, busy, spare, thread: None }, desk)
    }

    /// `raw` is needed from the oldest snapshot that a restart may start from.
    fn trim(&self) -> Result<(), TrimError> {
        if let Some(needed_from) = self.snapshots.prune(self.store.sealed_to(self.partition))? {
            self.raw.trim(needed_from)?;
        }
        self.dead_letters.trim(self.dead_letters.durable())?;
        self.normalized.trim(self.normalized.durable())?;
        Ok(())
    }
}

impl Desk {
    fn run(self) {
        loop {
            let ended = match self.snapshots.recv_timeout(TRIM_INTERVAL) {
                Ok(snapshot) => {
                    self.write(snapshot);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if let Err(error) = self.keeper.trim() {
                tracing::warn!(%error, "the journal could not be trimmed; it is tried again");
            }
            if ended {
                return;
            }
        }
    }

    /// Writes what was handed over, if anything was, and trims.
    pub fn turn(&self) -> Result<(), TrimError> {
        if let Ok(snapshot) = self.snapshots.try_recv() {
            self.write(snapshot);
        }
        self.keeper.trim()
    }

    fn write(&self, snapshot: Snapshot) {
        let offset = snapshot.offset();
        match self.keeper.snapshots.write(snapshot) {
            Ok(bytes) => *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = bytes,
            Err(error) => {
                tracing::error!(%error, offset, "a snapshot could not be written; the next one is tried");
            }
        }
        self.busy.store(false, Ordering::Release);
    }
}

/// Why nothing could be trimmed.
#[derive(Debug, thiserror::Error)]
pub enum TrimError {
    #[error("snapshots: {0}")]
    Snapshots(#[from] io::Error),
    #[error("journal: {0}")]
    Journal(#[from] journal::Error),
}

impl KeeperHandle {
    /// Whether the last snapshot is written.
    pub fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    /// Memory for the next snapshot: fresh memory costs as much as what is copied into it.
    pub fn spare_memory(&self) -> Vec<u8> {
        std::mem::take(&mut self.spare.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands over a snapshot; waits if the last one is still being written.
    pub fn keep(&self, snapshot: Snapshot) {
        self.busy.store(true, Ordering::Release);
        if self.snapshots.send(snapshot).is_err() {
            tracing::error!("the keeper has ended early; a restart derives more again");
        }
    }

    /// Writes what was handed over and ends the thread.
    pub fn stop(self) {
        drop(self.snapshots);
        if self.thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the keeper panicked; a restart derives more again");
        }
    }
}
