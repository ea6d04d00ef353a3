//! Devices that send message after message, and what became of their messages: the acked-set check in small.

use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use journal::{Frame, Journal, JournalConfig, Topic};
use model::{BatchView, Clock, Control, DeviceIndex, Disk, Partition};
use mqtt::{Qos, Version};

use super::api::{Api, Device, message};
use super::client::{Client, connect, login, puback, publish};

/// Messages that a sender leaves unacknowledged.
const WINDOW: u64 = 50;

/// One device. Its messages are numbered from 0; an acknowledgement comes in their order.
pub struct Sender {
    pub device: Device,
    version: Version,
    /// Messages `0..acked` were acknowledged.
    pub acked: u64,
    /// Messages `0..sent` were sent, some of them more than once.
    sent: u64,
}

impl Sender {
    pub fn new(api: &Api, version: Version) -> Self {
        Self { device: api.device(), version, acked: 0, sent: 0 }
    }

    /// Sends from the first unacknowledged message on until the server ends the connection, or message `end` is
    /// reached. Counts acknowledgements in `progress`.
    pub fn run(&mut self, at: SocketAddr, end: u64, progress: &AtomicU64) {
        let Ok(stream) = TcpStream::connect(at) else { return };
        let mut client = Client::over(stream, self.version);
        if !client.try_send(&connect(&login(self.version, &self.device))) || client.receive().is_none() {
            return;
        }
        let mut next = self.acked;
        while self.acked < end {
            let mut bytes = Vec::new();
            while next < end && next - self.acked < WINDOW {
                bytes.extend(self.packet(next));
                next += 1;
            }
            self.sent = self.sent.max(next);
            if !client.try_send(&bytes) {
                // What was acknowledged before the end is still to be read.
                next = end;
            }
            match client.receive() {
                Some(packet) if packet == puback(packet_id(self.acked)) => self.acked += 1,
                Some(packet) => return assert_eq!(packet[0], 0xE0, "an answer out of turn: {packet:02X?}"),
                None => return,
            }
            progress.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn packet(&self, seq: u64) -> Vec<u8> {
        let payload = message(seq).to_string();
        publish(self.version, &self.device.topic, Qos::AtLeastOnce, packet_id(seq), payload.as_bytes())
    }
}

fn packet_id(seq: u64) -> u16 {
    (seq % 60_000) as u16 + 1
}

/// What is wrong. All zero is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Acknowledged and not stored.
    pub lost: usize,
    /// Stored more than once.
    pub duplicated: usize,
    /// Stored and never sent.
    pub invented: usize,
}

impl Verdict {
    /// Compares what the senders were told with what the server answers.
    pub fn of(senders: &[Sender], api: &Api) -> Self {
        let mut verdict = Self::default();
        for sender in senders {
            let points = api.points(&sender.device, "x");
            let stored: BTreeSet<u64> = points.iter().map(|(_, seq, _)| seq.unwrap()).collect();
            verdict.lost += (0..sender.acked).filter(|seq| !stored.contains(seq)).count();
            verdict.duplicated += points.len() - stored.len();
            verdict.invented += stored.range(sender.sent..).count();
        }
        verdict
    }
}

/// Messages of these senders that came into `raw` for the first time behind a later one of their device. The server on
/// `data` must have ended.
pub fn reordered(senders: &[Sender], data: &Path, disk: Arc<dyn Disk>) -> usize {
    let (journal, _) = Journal::open(JournalConfig::new(data.join("journal")), disk, Clock::system()).unwrap();
    let log = journal.log(Topic::Raw, Partition(0)).unwrap();
    let mut raw = Raw::default();
    let mut from = log.oldest();
    while from < log.end() {
        for frame in log.read(from, 1 << 20).unwrap() {
            raw.take(&frame);
            from = frame.end();
        }
    }
    journal.close();
    senders.iter().map(|sender| raw.reordered(sender)).sum()
}

/// What `raw` holds, by device.
#[derive(Default)]
struct Raw {
    devices: HashMap<DeviceIndex, String>,
    seqs: HashMap<String, Vec<u64>>,
}

impl Raw {
    fn take(&mut self, frame: &Frame) {
        let view = BatchView::parse(frame.batch.body()).unwrap();
        for control in view.controls() {
            if let Control::BindDevices { devices, .. } = control.unwrap() {
                self.devices.extend(devices.into_iter().map(|(index, device)| (index, device.to_string())));
            }
        }
        for group in view.groups().map(Result::unwrap) {
            let device = self.devices[&group.key.device].clone();
            self.seqs.entry(device).or_default().extend(group.payloads().map(seq));
        }
    }

    fn reordered(&self, sender: &Sender) -> usize {
        let mut seen = BTreeSet::new();
        let is_late = |seq: &u64| seen.insert(*seq) && seen.last() > Some(seq);
        let late = self.seqs[&sender.device.id].iter().copied().filter(is_late).count();
        assert!(seen.len() as u64 >= sender.acked, "raw holds everything that was acknowledged");
        late
    }
}

fn seq(payload: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(payload).unwrap()["seq"].as_u64().unwrap()
}

/// Runs every sender on a thread of its own, does `meanwhile` with the count of acknowledgements, and returns once all
/// have ended.
pub fn run_all(senders: &mut [Sender], at: SocketAddr, end: u64, meanwhile: impl FnOnce(&AtomicU64)) {
    let progress = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for sender in senders {
            scope.spawn(|| sender.run(at, end, &progress));
        }
        meanwhile(&progress);
    });
}
