//! A log, a journal and a query API made by hand, from end to end.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use disk::RealDisk;
use journal::{Append, Journal, JournalConfig, Topic};
use model::{
    BatchPool, Control, DeviceId, DeviceIndex, Format, GroupFlags, GroupKey, Partition, PayloadKind, Source, TenantId,
};
use serde_json::json;

use super::*;
use crate::acked::{AckedLog, Run};
use crate::check::Said;
use crate::load::payload::{Shape, Template, device_key, tenths};

const RUN: Run = Run { seed: 7, boot: 1, shape: Shape::Two, started: 1_700_000_000_000 };
const MESSAGES: u64 = 25;
/// Points in one page of the made-up server.
const PAGE: u64 = 10;

fn tenant() -> TenantId {
    TenantId::from_bytes([9; 16])
}

fn device() -> DeviceId {
    DeviceId::from_bytes([1; 16])
}

fn ts(seq: u64) -> i64 {
    RUN.started + seq as i64
}

/// A directory with a log of messages 1 to 25, all acknowledged, and a journal that holds them.
fn world() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let log = AckedLog::open(&dir.path().join("acked.log"), RUN, tenant(), &[(1, Arc::new([device()]))]).unwrap();
    log.gauges()[0].progress(MESSAGES, MESSAGES);
    log.close().unwrap();
    write_journal(&dir.path().join("journal"));
    dir
}

fn write_journal(dir: &Path) {
    let clock = Clock::manual(RUN.started);
    let (journal, _) =
        Journal::open(JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::new(dir) }, Arc::new(RealDisk), clock)
            .unwrap();
    let log = journal.log(Topic::Raw, Partition(0)).unwrap();
    let mut batch = BatchPool::default().builder();
    let source = Source::Device { tenant: tenant(), device: device(), class: "bench".into() };
    batch.control(&Control::bind(DeviceIndex(0), source));
    let (kind, format, flags) = (PayloadKind::Data, Format::Json, GroupFlags::default());
    let key = GroupKey { device: DeviceIndex(0), kind, format, flags };
    for seq in 1..=MESSAGES {
        let mut template = Template::new(RUN.shape, Some(RUN.boot), seq);
        template.fill(device_key(RUN.seed, device(), RUN.boot), seq, ts(seq));
        batch.push(key, &template.bytes);
    }
    assert!(matches!(log.append(batch.seal(RUN.started), Some(log.segment())), Append::Accepted { .. }));
    log.sync().unwrap();
    journal.close();
}

/// Serves the query API over seqs 1 to `stored` until the test ends. Returns its URL.
fn serve(stored: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer_all(stream.unwrap(), stored));
        }
    });
    url
}

fn answer_all(stream: TcpStream, stored: u64) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut stream = stream;
    while let Some(Ok(request)) = lines.next() {
        let head: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let foreign = head.iter().any(|line| line.contains("twk_other"));
        let path = request.split(' ').nth(1).unwrap();
        let (status, body) = match foreign {
            true => ("404 Not Found", json!({"code": "unknown-device", "detail": "no such device"})),
            false => ("200 OK", answer(path, stored)),
        };
        let (body, close) = (body.to_string(), "connection: keep-alive");
        write!(stream, "HTTP/1.1 {status}\r\n{close}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
}

fn answer(path: &str, stored: u64) -> serde_json::Value {
    if path.starts_with("/v1/dead-letters") {
        return json!({"dead_letters": [], "next": null});
    }
    let value = |name: &str| path.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let metric = RUN.shape.metrics().iter().position(|metric| value("metric") == Some(metric)).unwrap();
    let from: u64 = value("cursor").map_or(1, |cursor| cursor.parse().unwrap());
    let to = (from + PAGE).min(stored + 1);
    let key = device_key(RUN.seed, device(), RUN.boot);
    let point = |seq| {
        let value = f64::from(tenths(RUN.shape, metric, key, seq, ts(seq))) / 10.0;
        json!({"ts": ts(seq), "value": value, "seq": seq, "boot": RUN.boot})
    };
    let next = (to <= stored).then(|| to.to_string());
    json!({"points": (from..to).map(point).collect::<Vec<_>>(), "next": next})
}

fn config(dir: &tempfile::TempDir, stored: u64) -> VerifyConfig {
    VerifyConfig {
        url: serve(stored),
        key: "twk_own".to_owned(),
        foreign_key: Some("twk_other".to_owned()),
        acked_log: dir.path().join("acked.log"),
        journal: Some(dir.path().join("journal")),
        wait: Duration::ZERO,
    }
}

#[test]
fn what_is_all_there_is_clean() {
    let dir = world();
    let verdict = run(&config(&dir, MESSAGES), &Clock::system(), |_, _| ()).unwrap();
    let expect = Counts {
        devices: 1,
        sent: MESSAGES,
        acked: MESSAGES,
        stored: MESSAGES,
        unseen: Some(0),
        inconsistent: Some(0),
        reordered: Some(0),
        wrong_tenant: Some(0),
        ..Counts::default()
    };
    assert_eq!(verdict.counts, expect);
    assert!(verdict.clean);
}

#[test]
fn what_is_only_in_the_journal_is_unseen_and_without_it_lost() {
    let dir = world();
    let mut config = config(&dir, MESSAGES - 3);
    let verdict = run(&config, &Clock::system(), |_, _| ()).unwrap();
    assert_eq!((verdict.counts.lost, verdict.counts.unseen, verdict.clean), (0, Some(3), false));
    config.journal = None;
    let verdict = run(&config, &Clock::system(), |_, _| ()).unwrap();
    assert_eq!((verdict.counts.lost, verdict.counts.unseen, verdict.clean), (3, None, false));
}

fn expected(acked: u64) -> Expected {
    let said = Said {
        key: 0,
        shape: Shape::Two,
        sent: Default::default(),
        acked: [(0, acked)].into_iter().collect(),
        refused: Default::default(),
    };
    Expected { tenant: TenantId::random(), device: DeviceId::random(), boots: [(1, said)].into() }
}

#[test]
fn passes_are_bounded_and_cover_every_device_once() {
    let lengths = |acked: &[u64]| {
        let expected: Vec<Expected> = acked.iter().map(|acked| expected(*acked)).collect();
        passes(&expected).map(<[Expected]>::len).collect::<Vec<_>>()
    };
    let half = PASS_MESSAGES_MAX / 2;
    assert_eq!(lengths(&[half, half, half]), [2, 1]);
    assert_eq!(lengths(&[3 * half, 1, 3 * half, 3 * half]), [1, 1, 1, 1]);
    assert_eq!(lengths(&[]), [0; 0]);
}
