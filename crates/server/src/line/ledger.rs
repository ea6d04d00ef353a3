//! What is known of the `dead-letter` log as a whole: which letters were tried again and with what outcome, how many bytes
//! of letters each tenant has, and which tenants are at their quota.
//!
//! It is a cursor on the log with a thread of its own: at a start it reads what is kept, then whatever is added, so that it
//! survives like the log does and never holds up the line. Until it has read what was there, nobody is at a quota.
//! What the log lets go of, and what is too old to be shown, it forgets.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use journal::Log;
use model::dead_letter::Entry;
use model::{Address, Clock, Millis, Offset, Reason, Replayed, TenantId, limits};
use tokio::sync::watch;

use super::dead_letters::read;

#[cfg(test)]
mod tests;

/// How long the thread waits for new entries before it looks at what was let go.
const WAIT: Duration = Duration::from_millis(50);
/// How long it leaves a log alone that cannot be read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Entries whose bytes are counted together; they are forgotten together when the log has let go of them.
const STRETCH_ENTRIES: u64 = 4096;
/// Entries that are further apart are not neighbours.
const STRETCH_MS: Millis = 3_600_000;

/// What refusals of a tenant at its quota are called, in metrics and over HTTP.
pub const QUOTA_CODE: &str = "dead-letter-quota";

/// How often a letter was tried again, and what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tries {
    pub count: u32,
    /// When it was tried last (Unix ms).
    pub at: Millis,
    /// Whether one of them passed: it is not tried any more.
    pub passed: bool,
    /// Why the last one was rejected.
    pub rejected: Option<Reason>,
    /// Where in the topic the last outcome stands.
    pub offset: Offset,
}

/// See the module. Shared by the gateway, HTTP and the API.
pub struct Ledger {
    book: Mutex<Book>,
    /// The offset of the topic up to which entries are known.
    reached: watch::Sender<Offset>,
    /// Counts changes of `at_quota`.
    generation: AtomicU64,
    at_quota: RwLock<Arc<HashSet<TenantId>>>,
    clock: Clock,
    /// How old a letter becomes.
    age_max: Duration,
}

/// The running ledger; [`LedgerThread::stop`] ends it.
pub struct LedgerThread {
    stop: Arc<AtomicBool>,
    handle: JoinHandle<()>,
}

/// How much a tenant may have of dead letters, and has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    pub bytes: u64,
    pub bytes_max: u64,
}

#[derive(Default)]
struct Book {
    /// By the letter's address: the oldest go first.
    tries: BTreeMap<Address, Tries>,
    /// In the log's order.
    stretches: VecDeque<Stretch>,
    /// Bytes of letters that are kept and have not passed.
    bytes: HashMap<TenantId, u64>,
    quotas: HashMap<TenantId, u64>,
}

/// Neighbouring entries of the log.
struct Stretch {
    /// The address of the first entry.
    first: Address,
    begin: Offset,
    end: Offset,
    /// Where in `raw` stands what made the last entry.
    last: Offset,
    /// When what made the first and the last entry was received.
    oldest: Millis,
    newest: Millis,
    bytes: HashMap<TenantId, u64>,
}

impl Ledger {
    /// Starts to read the log.
    pub fn start(log: Log, clock: Clock, age_max: Duration) -> io::Result<(Arc<Self>, LedgerThread)> {
        let ledger = Arc::new(Self {
            book: Mutex::default(),
            reached: watch::channel(0).0,
            generation: AtomicU64::new(0),
            at_quota: RwLock::default(),
            clock,
            age_max,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (follower, stopping) = (ledger.clone(), stop.clone());
        let follow = move || follower.follow(&log, &stopping);
        let handle = std::thread::Builder::new().name("dead-letters".into()).spawn(follow)?;
        Ok((ledger, LedgerThread { stop, handle }))
    }

    /// Letters that were received before this are too old to be shown or tried.
    pub fn kept_from(&self) -> Millis {
        self.clock.now_ms().saturating_sub(Millis::try_from(self.age_max.as_millis()).unwrap_or(Millis::MAX))
    }

    /// What is known of tries of this letter.
    pub fn tries(&self, letter: Address) -> Option<Tries> {
        self.book().tries.get(&letter).copied()
    }

    /// Whether a try of the letter has passed.
    pub fn passed(&self, letter: Address) -> bool {
        self.tries(letter).is_some_and(|tries| tries.passed)
    }

    /// Waits until every entry below `offset` is known, at most `wait_max`; whether it is.
    pub async fn wait_reached(&self, offset: Offset, wait_max: Duration) -> bool {
        let mut reached = self.reached.subscribe();
        let reached = reached.wait_for(|reached| *reached >= offset);
        tokio::time::timeout(wait_max, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Told of the offset up to which entries are known, whenever it has moved.
    pub fn progress(&self) -> watch::Receiver<Offset> {
        self.reached.subscribe()
    }

    /// Bytes of all letters that are kept and have not passed.
    pub fn pending_bytes(&self) -> u64 {
        self.book().bytes.values().sum()
    }

    /// From now on the tenant may have so many bytes of letters; `None`: as many as there is room for.
    pub fn set_quota(&self, tenant: TenantId, bytes_max: Option<u64>) {
        let mut book = self.book();
        match bytes_max {
            Some(bytes_max) => book.quotas.insert(tenant, bytes_max),
            None => book.quotas.remove(&tenant),
        };
        self.judge(&book);
    }

    /// Changes whenever a tenant comes to its quota or is below it again. One atomic load.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The tenants of which nothing is taken in until they have fewer letters or a larger quota.
    pub fn at_quota(&self) -> Arc<HashSet<TenantId>> {
        self.at_quota.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tenant's quota, if it is used up.
    pub fn used_up(&self, tenant: TenantId) -> Option<Quota> {
        if !self.at_quota().contains(&tenant) {
            return None;
        }
        let book = self.book();
        let bytes_max = *book.quotas.get(&tenant)?;
        Some(Quota { bytes: book.bytes.get(&tenant).copied().unwrap_or(0), bytes_max })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, log: &Log, stop: &AtomicBool) {
        let mut position = log.oldest();
        while !stop.load(Ordering::Acquire) {
            if log.wait(position, WAIT) {
                match read(log, position) {
                    // Nothing behind it either: the rest is damaged.
                    Ok(entries) => position = self.take(&entries).unwrap_or_else(|| log.durable()),
                    Err(_) if position < log.oldest() => position = log.oldest(),
                    Err(error) => {
                        tracing::error!(%error, position, "dead letters cannot be read: tries and quotas stay as they are");
                        std::thread::sleep(READ_AGAIN);
                    }
                }
            }
            self.forget(log.oldest());
            self.reached.send_if_modified(|reached| std::mem::replace(reached, position) != position);
        }
    }

    /// Enters entries and gives back the offset behind them.
    fn take(&self, entries: &[(Offset, Entry)]) -> Option<Offset> {
        let mut book = self.book();
        for (offset, entry) in entries {
            book.enter(*offset, entry);
        }
        self.judge(&book);
        entries.last().map(|(offset, _)| offset + 1)
    }

    fn forget(&self, oldest: Offset) {
        let kept_from = self.kept_from();
        let mut book = self.book();
        if book.forget(oldest, kept_from) {
            self.judge(&book);
        }
    }

    fn judge(&self, book: &Book) {
        let full = |(tenant, bytes_max): (&TenantId, &u64)| {
            let bytes = book.bytes.get(tenant).copied().unwrap_or(0);
            // Who has none may send, whatever the quota: it is the letters that are limited.
            (bytes > 0 && bytes >= *bytes_max).then_some(*tenant)
        };
        let now: HashSet<TenantId> = book.quotas.iter().filter_map(full).collect();
        let mut at_quota = self.at_quota.write().unwrap_or_else(PoisonError::into_inner);
        if **at_quota != now {
            for tenant in now.difference(&at_quota) {
                tracing::warn!(%tenant, "a tenant has as many dead letters as it may have; it is refused until it has fewer");
            }
            *at_quota = Arc::new(now);
            self.generation.fetch_add(1, Ordering::Release);
        }
    }
}

impl LedgerThread {
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        if self.handle.join().is_err() {
            tracing::error!("the thread of the dead letters' ledger panicked; the next start reads the log again");
        }
    }
}

impl Book {
    fn enter(&mut self, offset: Offset, entry: &Entry) {
        match entry {
            Entry::Letter(letter) => {
                let bytes = counted(letter.payload.len() as u64);
                let tenant = letter.source.tenant();
                *self.stretch(offset, letter.address, letter.received).bytes.entry(tenant).or_default() += bytes;
                *self.bytes.entry(tenant).or_default() += bytes;
            }
            Entry::Replayed(replayed) => {
                self.stretch(offset, replayed.address, replayed.at);
                self.tried(offset, replayed);
            }
        }
    }

    /// The stretch that an entry at this offset belongs to.
    fn stretch(&mut self, offset: Offset, address: Address, at: Millis) -> &mut Stretch {
        let elsewhere = |last: &Stretch| {
            // What one payload made stays together, so that an address says in which stretch its letter is.
            address.offset != last.last
                && (offset >= last.begin + STRETCH_ENTRIES || at.saturating_sub(last.oldest) >= STRETCH_MS)
        };
        if self.stretches.back().is_none_or(elsewhere) {
            let (begin, end, last, bytes) = (offset, offset, address.offset, HashMap::new());
            self.stretches.push_back(Stretch { first: address, begin, end, last, oldest: at, newest: at, bytes });
        }
        let last = self.stretches.back_mut().expect("one was just made if there was none");
        (last.end, last.last, last.newest) = (offset + 1, address.offset, at.max(last.newest));
        last
    }

    fn tried(&mut self, offset: Offset, replayed: &Replayed) {
        let Replayed { origin, tenant, at, .. } = *replayed;
        let rejected = replayed.rejected.as_ref().map(|rejection| rejection.reason);
        let tries = self.tries.entry(origin);
        let tries = tries.or_insert(Tries { count: 0, at, passed: false, rejected, offset });
        let passes = rejected.is_none() && !tries.passed;
        let passed = tries.passed || rejected.is_none();
        *tries = Tries { count: tries.count + 1, at, passed, rejected, offset };
        if passes {
            self.release(origin, tenant, counted(replayed.bytes.into()));
        }
        if self.tries.len() > limits::LETTERS_TRIED_MAX {
            self.tries.pop_first();
        }
    }

    /// A letter's bytes do not count any more.
    fn release(&mut self, origin: Address, tenant: TenantId, bytes: u64) {
        let behind = self.stretches.partition_point(|stretch| stretch.first <= origin);
        let Some(stretch) = behind.checked_sub(1).and_then(|at| self.stretches.get_mut(at)) else { return };
        let Some(counted) = stretch.bytes.get_mut(&tenant) else { return };
        let bytes = bytes.min(*counted);
        *counted -= bytes;
        self.subtract(tenant, bytes);
    }

    fn subtract(&mut self, tenant: TenantId, bytes: u64) {
        if let Some(held) = self.bytes.get_mut(&tenant) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.bytes.remove(&tenant);
            }
        }
    }

    /// Forgets what stands before `oldest` and what was received before `kept_from`; whether there was something.
    fn forget(&mut self, oldest: Offset, kept_from: Millis) -> bool {
        let mut forgot = false;
        while self.stretches.front().is_some_and(|first| first.end <= oldest || first.newest < kept_from) {
            let gone = self.stretches.pop_front().expect("just seen");
            gone.bytes.into_iter().for_each(|(tenant, bytes)| self.subtract(tenant, bytes));
            forgot = true;
        }
        if forgot {
            self.tries = match self.stretches.front() {
                Some(first) => self.tries.split_off(&first.first),
                None => BTreeMap::new(),
            };
        }
        forgot
    }
}

/// What a letter counts against its tenant's quota.
fn counted(payload_bytes: u64) -> u64 {
    payload_bytes + limits::DEAD_LETTER_OVERHEAD_BYTES
}
