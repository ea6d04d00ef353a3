//! The packet exchanges of `mqtt-vectors` as data: where they are, what they say, which of them concern what is built,
//! and how one is run against a server. Includable by path, so that other crates run the same against theirs.
//!
//! The files are third-party data that is not part of the project; they are read at run time.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub mod groups;
pub mod language;

/// Where the files are: `TIDEWATER_MQTT_VECTORS`, or `../shared/mqtt-vectors` beside the workspace.
///
/// `None` if they are not there, which is said loudly. In CI (`CI=true`) that is a failure.
pub fn directory() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mqtt-vectors");
    let dir = std::env::var_os("TIDEWATER_MQTT_VECTORS").map_or_else(beside, PathBuf::from);
    if dir.join("CONNECT.json").is_file() {
        return Some(dir);
    }
    let missing = format!("MQTT vectors SKIPPED: no CONNECT.json in {}; set TIDEWATER_MQTT_VECTORS", dir.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    // Not `eprintln!`, whose output the test harness swallows.
    writeln!(std::io::stderr(), "\n*** {missing} ***\n").expect("standard error can be written to");
    None
}

/// One exchange.
#[derive(Clone, Debug)]
pub struct Case {
    pub group: String,
    pub name: String,
    /// 3, 4 or 5.
    pub version: u8,
    /// The exchange begins with a CONNECT that succeeds.
    pub connect: bool,
    /// It ends with the server closing the connection; else a PINGREQ must still be answered.
    pub closes: bool,
    pub steps: Vec<Step>,
}

/// One step of an exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Send(Vec<u8>),
    Receive(Vec<u8>),
    /// Needs a broker that delivers: `subscribe`, `unsubscribe` or `external_publish`.
    Delivery,
}

/// Whether a case concerns what is built.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// It is run.
    In,
    /// A subscription is to be granted: comes with delivery.
    Delivery,
    /// MQTT 3.1, which is not served.
    Mqtt31,
    /// It contradicts a rule of Tidewater, for the reason given.
    Departure(&'static str),
}

/// Cases that contradict a rule, by group and name, with the reason.
const DEPARTURES: [(&str, &str, &str); 1] = [(
    "v3.1.1 PUBLISH",
    "34 QoS 2 repeated with/without 'payload'",
    "another message under an identifier that awaits PUBREL is a protocol error: taking it would drop one of the two",
)];

impl Case {
    pub fn scope(&self) -> Scope {
        // A SUBACK that is expected is one that grants.
        let delivers = |step: &Step| match step {
            Step::Delivery => true,
            Step::Receive(bytes) => bytes.first() == Some(&0x90),
            Step::Send(_) => false,
        };
        if self.version == 3 {
            return Scope::Mqtt31;
        }
        if self.steps.iter().any(delivers) {
            return Scope::Delivery;
        }
        let departure = DEPARTURES.iter().find(|(group, name, _)| *group == self.group && *name == self.name);
        departure.map_or(Scope::In, |(_, _, reason)| Scope::Departure(reason))
    }
}

#[derive(Deserialize)]
struct GroupFile {
    group: String,
    ver: Option<u8>,
    connect: Option<bool>,
    expect_disconnect: Option<bool>,
    #[serde(default)]
    disable: bool,
    tests: Vec<CaseFile>,
}

#[derive(Deserialize)]
struct CaseFile {
    name: String,
    ver: Option<u8>,
    connect: Option<bool>,
    expect_disconnect: Option<bool>,
    #[serde(default)]
    disable: bool,
    msgs: Vec<StepFile>,
}

#[derive(Deserialize)]
struct StepFile {
    r#type: String,
    #[serde(default)]
    payload: String,
}

/// Every case that is not switched off, in the order of the file names and within them.
pub fn load(dir: &Path) -> Result<Vec<Case>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let groups: Vec<GroupFile> =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        for group in groups.into_iter().filter(|group| !group.disable) {
            load_group(&group, &mut cases)?;
        }
    }
    Ok(cases)
}

fn load_group(group: &GroupFile, cases: &mut Vec<Case>) -> Result<(), String> {
    for case in group.tests.iter().filter(|case| !case.disable) {
        let step = |step: &StepFile| match step.r#type.as_str() {
            "send" => language::bytes(&step.payload).map(Step::Send),
            "recv" => language::bytes(&step.payload).map(Step::Receive),
            "subscribe" | "unsubscribe" | "external_publish" | "publish" => Ok(Step::Delivery),
            other => Err(format!("unknown step `{other}`")),
        };
        let steps: Result<Vec<Step>, String> = case.msgs.iter().map(step).collect();
        cases.push(Case {
            group: group.group.clone(),
            name: case.name.clone(),
            version: case.ver.or(group.ver).unwrap_or(4),
            connect: case.connect.or(group.connect).unwrap_or(true),
            closes: case.expect_disconnect.or(group.expect_disconnect).unwrap_or(true),
            steps: steps.map_err(|error| format!("{} / {}: {error}", group.group, case.name))?,
        });
    }
    Ok(())
}

/// The cases that are to be run, after their number per group and scope has been found as it was recorded.
pub fn in_scope(cases: &[Case]) -> Vec<&Case> {
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for case in cases {
        let column = match case.scope() {
            Scope::In => 0,
            Scope::Delivery => 1,
            Scope::Mqtt31 => 2,
            Scope::Departure(_) => 3,
        };
        counts.entry(&case.group).or_default()[column] += 1;
    }
    let recorded: BTreeMap<&str, [usize; 4]> = groups::GROUPS.into_iter().collect();
    for (group, found) in &counts {
        assert_eq!(Some(found), recorded.get(group), "cases of group `{group}`: run, delivery, MQTT 3.1, departures");
    }
    assert_eq!(counts.len(), recorded.len(), "groups of cases");
    cases.iter().filter(|case| case.scope() == Scope::In).collect()
}

/// The connection that a case is run over.
pub trait Peer {
    fn send(&mut self, bytes: &[u8]);
    /// The next `len` bytes from the server; fewer if it closed before.
    fn receive(&mut self, len: usize) -> Vec<u8>;
    /// Waits for the server to close and returns what it still sent; an error if it stays open.
    fn closed(&mut self) -> Result<Vec<u8>, String>;
}

/// Runs one case over a new connection. The server is to offer Topic Alias Maximum 10, Maximum Packet Size 2,000,000 and
/// Receive Maximum 20.
pub fn run(case: &Case, peer: &mut dyn Peer) -> Result<(), String> {
    if case.connect {
        let (connect, connack) = introduction(case);
        peer.send(&connect);
        expect(peer, &connack)?;
    }
    for step in &case.steps {
        match step {
            Step::Send(bytes) => peer.send(bytes),
            Step::Receive(bytes) => expect(peer, bytes)?,
            Step::Delivery => return Err("needs delivery".to_owned()),
        }
    }
    if case.closes {
        match peer.closed()?.as_slice() {
            [] => Ok(()),
            more => Err(format!("before closing the server sent {}", hex(more))),
        }
    } else {
        peer.send(&[0xC0, 0]);
        expect(peer, &[0xD0, 0])
    }
}

fn expect(peer: &mut dyn Peer, expected: &[u8]) -> Result<(), String> {
    let received = peer.receive(expected.len());
    if received == expected { Ok(()) } else { Err(format!("expected {}, got {}", hex(expected), hex(&received))) }
}

/// The CONNECT that a case begins with, and the CONNACK that it expects.
fn introduction(case: &Case) -> (Vec<u8>, Vec<u8>) {
    let name = case.name.as_bytes();
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', case.version, 2, 0, 60];
    let connack: &[u8] = if case.version == 5 {
        body.push(0);
        &[0x20, 0x0E, 0, 0, 0x0B, 0x22, 0, 10, 0x27, 0x00, 0x1E, 0x84, 0x80, 0x21, 0, 20]
    } else {
        &[0x20, 2, 0, 0]
    };
    body.extend_from_slice(&(name.len() as u16).to_be_bytes());
    body.extend_from_slice(name);
    let mut connect = vec![0x10];
    language::variable(&mut connect, body.len() as u64);
    connect.extend_from_slice(&body);
    (connect, connack.to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}
