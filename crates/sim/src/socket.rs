//! A non-blocking stream with a place for what could not be written yet and for what has not come whole.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Bytes that one read takes at most: one buffer of this size serves all sockets of a loop.
pub const READ_BYTES: usize = 64 << 10;

/// How a read ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadEnd {
    /// Nothing more is there now; the next event will say.
    Drained,
    /// The buffer was filled: there may be more.
    More,
    /// The peer closed.
    Closed,
}

/// An open connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// What the kernel would not take, from `written` on.
    pending: Vec<u8>,
    written: usize,
    /// The front of a packet whose rest has not arrived.
    partial: Vec<u8>,
    /// The peer has closed: what it sent before is still to be read, and no further event will come.
    peer_closed: bool,
}

impl Socket {
    /// Begins to connect and registers with the loop, edge-triggered for both directions.
    pub fn connect(address: SocketAddr, registry: &Registry, token: Token) -> Result<Self> {
        Self::adopt(TcpStream::connect(address)?, registry, token)
    }

    /// Takes over an accepted stream.
    pub fn adopt(mut stream: TcpStream, registry: &Registry, token: Token) -> Result<Self> {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, pending: Vec::new(), written: 0, partial: Vec::new(), peer_closed: false })
    }

    /// An event said that the peer has closed: from now on a read is followed by another one until the end is read.
    pub fn note_peer_closed(&mut self) {
        self.peer_closed = true;
    }

    /// Whether everything given to [`Socket::write`] is with the kernel.
    pub fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    /// Sends `bytes`, or keeps what the kernel does not take now.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let taken = if self.is_flushed() { self.write_some(bytes)? } else { 0 };
        self.pending.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends what was kept, as far as the kernel takes it.
    pub fn flush(&mut self) -> Result<()> {
        while self.written < self.pending.len() {
            let pending = std::mem::take(&mut self.pending);
            let taken = self.write_some(&pending[self.written..]);
            self.pending = pending;
            match taken? {
                0 => return Ok(()),
                taken => self.written += taken,
            }
        }
        self.pending.clear();
        self.written = 0;
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8]) -> Result<usize> {
        loop {
            match self.stream.write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(0),
                other => return other,
            }
        }
    }

    /// Reads once into `buffer`, behind what an earlier read left over, and gives `parse` all of it; `parse` says how
    /// many bytes it used up, and the rest is kept for the next time.
    pub fn read<E: From<std::io::Error>>(
        &mut self,
        buffer: &mut [u8],
        parse: impl FnOnce(&[u8]) -> std::result::Result<usize, E>,
    ) -> std::result::Result<ReadEnd, E> {
        let kept = self.partial.len();
        buffer[..kept].copy_from_slice(&self.partial);
        let read = loop {
            match self.stream.read(&mut buffer[kept..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(ReadEnd::Drained);
                }
                Err(error) => return Err(error.into()),
                Ok(0) => return Ok(ReadEnd::Closed),
                Ok(read) => break read,
            }
        };
        let filled = kept + read;
        let used = parse(&buffer[..filled])?;
        if used == 0 && filled == buffer.len() {
            return Err(std::io::Error::new(ErrorKind::InvalidData, "a packet larger than the read buffer").into());
        }
        self.partial.clear();
        self.partial.extend_from_slice(&buffer[used..filled]);
        // A short read of a stream has emptied it (epoll(7), questions and answers, 9), unless its end follows.
        Ok(if filled == buffer.len() || self.peer_closed { ReadEnd::More } else { ReadEnd::Drained })
    }
}
