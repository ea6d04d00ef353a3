//! A schema registry that is as simple as it can be, and can be switched off.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// What it has: the ids of each subject's versions, and the texts of ids.
#[derive(Default)]
struct Content {
    subjects: BTreeMap<String, Vec<u32>>,
    texts: BTreeMap<u32, String>,
    calls: Vec<String>,
}

/// See the module. Ids begin at 1000.
pub struct FakeRegistry {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    serving: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl FakeRegistry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut registry = Self { address, content: Arc::default(), serving: None };
        registry.serve(listener);
        registry
    }

    pub fn url(&self) -> String {
        format!("http://{}/base", self.address)
    }

    /// From now on connections are refused.
    pub fn down(&mut self) {
        let Some((stop, thread)) = self.serving.take() else { return };
        stop.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        thread.join().unwrap();
    }

    pub fn up(&mut self) {
        self.serve(TcpListener::bind(self.address).unwrap());
    }

    /// Makes an Avro schema the next version of a subject; its id.
    pub fn add(&self, subject: &str, text: &str) -> u32 {
        self.content.lock().unwrap().add(subject, text)
    }

    /// Calls that changed something.
    pub fn posts(&self) -> usize {
        self.content.lock().unwrap().calls.iter().filter(|call| call.starts_with("POST")).count()
    }

    fn serve(&mut self, listener: TcpListener) {
        let (stop, content) = (Arc::new(AtomicBool::new(false)), self.content.clone());
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::Acquire) {
                    return;
                }
                answer(stream.unwrap(), &content);
            }
        });
        self.serving = Some((stop, thread));
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.down();
    }
}

impl Content {
    fn add(&mut self, subject: &str, text: &str) -> u32 {
        let known = self.texts.iter().find(|(_, known)| *known == text).map(|(id, _)| *id);
        let id = known.unwrap_or(1000 + self.texts.len() as u32);
        self.texts.insert(id, text.to_owned());
        self.subjects.entry(subject.to_owned()).or_default().push(id);
        id
    }

    fn answer(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let none = |code: u32| (404, json!({"error_code": code, "message": "not found"}));
        let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
        let decoded = |part: &str| part.replace("%2D", "-").replace("%2E", ".").replace("%5F", "_");
        let versions = |subject: &str| self.subjects.get(&decoded(subject)).cloned().unwrap_or_default();
        match (method, &parts[..]) {
            ("GET", ["subjects"]) => (200, json!(self.subjects.keys().collect::<Vec<_>>())),
            ("GET", ["subjects", subject, "versions"]) => match versions(subject).len() {
                0 => none(40401),
                count => (200, json!((1..=count).collect::<Vec<_>>())),
            },
            ("GET", ["subjects", subject, "versions", version]) => {
                let version: usize = version.parse().unwrap();
                let Some(id) = versions(subject).get(version - 1).copied() else { return none(40402) };
                (200, json!({"subject": decoded(subject), "version": version, "id": id, "schema": self.texts[&id]}))
            }
            ("GET", ["schemas", "ids", id, "versions"]) => {
                let id: u32 = id.parse().unwrap();
                let places = self.subjects.iter().flat_map(|(subject, ids)| {
                    let with = ids.iter().enumerate().filter(|(_, known)| **known == id);
                    with.map(move |(at, _)| json!({"subject": subject, "version": at + 1}))
                });
                if self.texts.contains_key(&id) { (200, places.collect()) } else { none(40403) }
            }
            ("POST", ["subjects", subject, "versions"]) => {
                let sent: Value = serde_json::from_str(body).unwrap();
                (200, json!({"id": self.add(&decoded(subject), sent["schema"].as_str().unwrap())}))
            }
            _ => panic!("{method} {path} is no call that is needed"),
        }
    }
}

fn answer(stream: TcpStream, content: &Mutex<Content>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    // Whoever goes away without a question was not the server.
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let (mut length, mut header) = (0, String::new());
    while reader.read_line(&mut header).unwrap() > 2 {
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        header.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let (status, answer) = {
        let mut content = content.lock().unwrap();
        content.calls.push(format!("{method} {path}"));
        content.answer(method, path, std::str::from_utf8(&body).unwrap())
    };
    let text = answer.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    drop(reader.get_mut().write_all(format!("{head}{text}").as_bytes()));
}
