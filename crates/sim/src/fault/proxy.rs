//! A TCP proxy that loses answers: what the server said last never arrives, and the connection is gone.
//!
//! Each connection is given a seeded number of answer bytes. Those arrive, some of them a byte at a time; what follows is
//! swallowed, and both sides are closed or reset. What was asked has arrived, so the server has acknowledged what nobody
//! heard of.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::seeded::hash;
use crate::stop::Stop;

/// How often a thread looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of answers that a connection gets at least, and at most beyond that.
const ANSWER_BYTES_LEAST: u64 = 64;
const ANSWER_BYTES_MORE: u64 = 8_192;

/// See the module. It ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    seed: u64,
    stop: Stop,
    connections: AtomicU64,
    cut: AtomicU64,
    swallowed: AtomicU64,
}

impl Proxy {
    pub fn start(upstream: &str, seed: u64) -> Result<Self> {
        let upstream = upstream.parse().with_context(|| format!("{upstream} is no address"))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let zero = AtomicU64::default;
        let (stop, connections, cut, swallowed) = (Stop::default(), zero(), zero(), zero());
        let shared = Arc::new(Shared { upstream, seed, stop, connections, cut, swallowed });
        let accepting = shared.clone();
        let thread = std::thread::Builder::new().name("proxy".into()).spawn(move || accept(&listener, &accepting))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Connections that were cut.
    pub fn cut(&self) -> u64 {
        self.shared.cut.load(Ordering::Relaxed)
    }

    /// Bytes of answers that never arrived.
    pub fn swallowed(&self) -> u64 {
        self.shared.swallowed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.stop();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by its thread; there is nothing to save.
            drop(thread.join());
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !shared.stop.wanted() {
        match listener.accept() {
            Ok((client, _)) => {
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                // A server that is down refuses, and so does the proxy.
                let Ok(server) = TcpStream::connect(shared.upstream) else { continue };
                threads.retain(|thread| !thread.is_finished());
                let shared = shared.clone();
                threads.push(std::thread::spawn(move || relay(&client, &server, &shared, number)));
            }
            Err(_) => std::thread::sleep(LOOK),
        }
    }
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

/// Relays one connection until it is cut or over.
fn relay(client: &TcpStream, server: &TcpStream, shared: &Shared, number: u64) {
    let ready = [client, server].into_iter().all(|side| {
        side.set_nonblocking(false).and_then(|()| side.set_nodelay(true)).is_ok()
            && side.set_read_timeout(Some(LOOK)).is_ok()
    });
    if !ready {
        return;
    }
    let over = Stop::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            forward(client, server, shared, &over, |_| Take::All);
        });
        let choice = hash([shared.seed, number]);
        let mut left = ANSWER_BYTES_LEAST + choice % ANSWER_BYTES_MORE;
        let one_by_one = (choice >> 32).is_multiple_of(4);
        forward(server, client, shared, &over, |bytes| {
            if left == 0 {
                return Take::Swallow;
            }
            let most = if one_by_one { 1 } else { left };
            let taken = most.min(left).min(bytes);
            left -= taken;
            Take::Some(taken as usize)
        });
        over.stop();
        [client, server].into_iter().for_each(|side| drop(side.shutdown(Shutdown::Both)));
    });
}

/// What becomes of bytes that were read.
enum Take {
    All,
    Some(usize),
    /// They are lost, and the connection is cut.
    Swallow,
}

fn forward(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared, over: &Stop, mut take: impl FnMut(u64) -> Take) {
    let mut buffer = vec![0; 16 << 10];
    while !shared.stop.wanted() && !over.wanted() {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        let mut at = 0;
        while at < read {
            let taken = match take((read - at) as u64) {
                Take::All => read - at,
                Take::Some(taken) => taken,
                Take::Swallow => {
                    shared.cut.fetch_add(1, Ordering::Relaxed);
                    shared.swallowed.fetch_add((read - at) as u64, Ordering::Relaxed);
                    return over.stop();
                }
            };
            if to.write_all(&buffer[at..at + taken]).is_err() {
                return over.stop();
            }
            at += taken;
        }
    }
    over.stop();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_arrives_and_the_end_of_the_answers_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut asked = [0; 5];
            stream.read_exact(&mut asked).unwrap();
            // The proxy stops reading once it has cut the connection.
            drop(stream.write_all(&[7; 100_000]));
            asked
        });
        let proxy = Proxy::start(&upstream, 3).unwrap();
        let mut client = TcpStream::connect(proxy.address).unwrap();
        client.write_all(b"hello").unwrap();
        let mut heard = Vec::new();
        // A connection that was cut may end with a reset.
        drop(client.read_to_end(&mut heard));
        assert_eq!(server.join().unwrap(), *b"hello");
        let heard_bytes = heard.len() as u64;
        assert!((ANSWER_BYTES_LEAST..ANSWER_BYTES_LEAST + ANSWER_BYTES_MORE).contains(&heard_bytes), "{heard_bytes}");
        assert_eq!(proxy.cut(), 1);
        assert!(proxy.swallowed() > 0);
    }
}
