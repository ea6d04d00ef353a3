//! The loop: one thread, its connections, one read buffer, one write buffer.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mio::{Events, Poll, Token};
use model::Clock;
use mqtt::{Qos, Reason};

use super::connection::{BACKOFF_MAX, BACKOFF_MIN, Connection, Failure, Phase, Talk};
use super::pace::Pace;
use super::stream::Stream;
use super::tally::Tally;
use super::{LoadConfig, LoadReport, Progress, Target, gauge};
use crate::acked::StreamGauge;
use crate::socket::{READ_BYTES, ReadEnd, Socket};
use crate::stop::Stop;

/// Connections that are being made at once: less than a listener's backlog.
const OPENING_MAX: usize = 100;
/// How long a connection may take to be made.
const OPENING_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often connections that no event woke are looked at: reconnects, reservations of the log, the end.
const ROUND: Duration = Duration::from_millis(10);
/// Above this rate an open loop sleeps [`TICK`] between its turns instead of waiting for events, whose timeouts count
/// in milliseconds.
const TICK_RATE: f64 = 20_000.0;
const TICK: Duration = Duration::from_micros(100);
/// Events that one turn handles.
const EVENTS: usize = 1024;
/// The same in an open loop: what becomes due while acknowledgements are read is late by as much, and a late burst makes
/// a burst of acknowledgements.
const PACED_EVENTS: usize = 64;
/// Portions that one connection may write in one turn.
const PORTIONS_MAX: usize = 8;

/// What the threads of one load share.
pub struct Shared {
    threads: usize,
    ready: AtomicUsize,
    stop: Stop,
    /// One thread failed: the others need not go on.
    abort: Stop,
}

impl Shared {
    pub fn new(threads: usize, stop: &Stop) -> Self {
        Self { threads, ready: AtomicUsize::new(0), stop: stop.clone(), abort: Stop::default() }
    }
}

struct Worker<'a> {
    config: &'a LoadConfig,
    clock: &'a Clock,
    shared: &'a Shared,
    progress: &'a Progress,
    gauges: Option<&'a [StreamGauge]>,
    poll: Poll,
    connections: Vec<Connection>,
    paces: Vec<Pace>,
    /// The pace of all connections together.
    overall: Pace,
    /// With a pace: messages of all connections whose connection has been woken for them.
    woken: u64,
    numbers: Range<usize>,
    /// Messages per connection.
    quota: u64,
    buffer: Vec<u8>,
    out: Vec<u8>,
    /// Connections that had more to write or read than one turn allows.
    again: Vec<usize>,
    opening: usize,
    /// The last turn handled all events that there were.
    drained: bool,
    /// No new messages: what is in flight is waited for.
    ending: bool,
    /// Everything is said: connections end.
    leaving: bool,
    tally: Tally,
}

/// Runs the connections with these numbers.
pub fn run(
    config: &LoadConfig,
    clock: &Clock,
    shared: &Shared,
    progress: &Progress,
    gauges: Option<&[StreamGauge]>,
    numbers: Range<usize>,
) -> Result<LoadReport> {
    let result = Worker::new(config, clock, shared, progress, gauges, numbers).and_then(Worker::run);
    if result.is_err() {
        shared.abort.stop();
    }
    result
}

impl<'a> Worker<'a> {
    fn new(
        config: &'a LoadConfig,
        clock: &'a Clock,
        shared: &'a Shared,
        progress: &'a Progress,
        gauges: Option<&'a [StreamGauge]>,
        numbers: Range<usize>,
    ) -> Result<Self> {
        let connections: Vec<Connection> = numbers.clone().map(|number| Connection::new(config, number)).collect();
        Ok(Self {
            config,
            clock,
            shared,
            progress,
            gauges,
            poll: Poll::new()?,
            paces: vec![Pace::Closed; connections.len()],
            overall: Pace::Closed,
            woken: 0,
            numbers,
            connections,
            quota: quota(config),
            buffer: vec![0; READ_BYTES],
            out: Vec::with_capacity(1 << 20),
            again: Vec::new(),
            opening: 0,
            drained: true,
            ending: true,
            leaving: false,
            tally: Tally::new(),
        })
    }

    fn run(mut self) -> Result<LoadReport> {
        let mut events = Events::with_capacity(if self.config.rate.is_some() { PACED_EVENTS } else { EVENTS });
        self.connect_all(&mut events)?;
        let start = *self.progress.started.get_or_init(|| self.clock.monotonic());
        for (connection, pace) in self.connections.iter().zip(&mut self.paces) {
            let begun = connection.stream.begun();
            *pace = Pace::share(self.config.rate, start, connection.number, self.config.connections, begun);
        }
        self.overall = Pace::share(self.config.rate, start, 0, 1, 0);
        self.tally.last_ack = start;
        self.ending = false;
        let deadline = self.config.duration.map(|duration| start + duration);
        let mut give_up = None;
        let mut next_round = start;
        while !self.shared.abort.wanted() {
            let now = self.turn(&mut events, &mut next_round)?;
            let over = self.shared.stop.wanted() || deadline.is_some_and(|deadline| now >= deadline);
            if over && !self.ending {
                self.ending = true;
                give_up = Some(now + self.config.drain_max);
            }
            let quiet = self.connections.iter().all(|connection| connection.stream.in_flight() == 0);
            if quiet && (self.ending || self.connections.iter().all(|connection| connection.rest(self.quota) == 0)) {
                break;
            }
            if give_up.is_some_and(|give_up| now >= give_up) {
                break;
            }
        }
        self.leave(&mut events)?;
        Ok(self.report(start))
    }

    /// Makes all connections, then waits for the other threads.
    fn connect_all(&mut self, events: &mut Events) -> Result<()> {
        let mut next_round = Duration::ZERO;
        let mut counted = false;
        while self.shared.ready.load(Ordering::Acquire) < self.shared.threads {
            if self.shared.stop.wanted() || self.shared.abort.wanted() {
                return Err(anyhow!("stopped before all connections were made"));
            }
            self.turn(events, &mut next_round)?;
            if !counted && self.connections.iter().all(|connection| matches!(connection.phase, Phase::Ready(_))) {
                counted = true;
                self.shared.ready.fetch_add(1, Ordering::AcqRel);
            }
        }
        Ok(())
    }

    /// One turn: waits for events, handles them, and lets those send who may. Returns its time.
    fn turn(&mut self, events: &mut Events, next_round: &mut Duration) -> Result<Duration> {
        let paced = self.config.rate.is_some() && !self.ending;
        let ticking = paced && self.config.rate.is_some_and(|rate| rate > TICK_RATE);
        if ticking && self.drained {
            std::thread::sleep(TICK);
        }
        let wait = match (ticking || !self.again.is_empty(), paced) {
            (true, _) => Duration::ZERO,
            (false, true) => Duration::from_millis(1),
            (false, false) => ROUND,
        };
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let now = self.clock.monotonic();
        self.drained = events.iter().count() < events.capacity();
        for event in events.iter() {
            let place = event.token().0;
            if event.is_read_closed()
                && let Some(socket) = self.connections[place].phase.socket()
            {
                socket.note_peer_closed();
            }
            self.step(place, now, event.is_readable() || event.is_error(), event.is_writable())?;
        }
        for place in std::mem::take(&mut self.again) {
            self.step(place, now, true, true)?;
        }
        if paced {
            self.wake_due(now)?;
        }
        if now >= *next_round {
            *next_round = now + ROUND;
            for place in 0..self.connections.len() {
                self.look_at(place, now)?;
            }
        }
        self.progress.acked.fetch_add(std::mem::take(&mut self.tally.acked), Ordering::Relaxed);
        Ok(now)
    }

    /// Looks at the connections whose next message became due since the last time. Message n of all is due on
    /// connection n modulo their number, so those are neighbours.
    fn wake_due(&mut self, now: Duration) -> Result<()> {
        let (due, all) = (self.overall.due(now), self.config.connections as u64);
        for message in self.woken.max(due.saturating_sub(all))..due {
            let number = (message % all) as usize;
            if self.numbers.contains(&number) {
                self.look_at(number - self.numbers.start, now)?;
            }
        }
        self.woken = due;
        Ok(())
    }

    /// A connection without event: connects if it is time, and sends what is due.
    fn look_at(&mut self, place: usize, now: Duration) -> Result<()> {
        match &self.connections[place].phase {
            Phase::Down(until) if now >= *until && self.opening < OPENING_MAX => {
                let outcome = self.open(place, now);
                self.settle(place, now, outcome)
            }
            Phase::Down(_) => Ok(()),
            Phase::Opening(_, since) if now > *since + OPENING_WAIT_MAX => {
                let late = anyhow!("no answer to the attempt to connect within {} s", OPENING_WAIT_MAX.as_secs());
                self.settle(place, now, Err(Failure::Lost(late)))
            }
            Phase::Opening(..) => Ok(()),
            Phase::Ready(_) => {
                let outcome = self.fill(place, now);
                self.settle(place, now, outcome)
            }
        }
    }

    /// An event: reads, writes what was kept, sends what may be sent.
    fn step(&mut self, place: usize, now: Duration, readable: bool, writable: bool) -> Result<()> {
        let outcome = self.exchange(place, now, readable, writable);
        self.settle(place, now, outcome)
    }

    fn exchange(&mut self, place: usize, now: Duration, readable: bool, writable: bool) -> Result<(), Failure> {
        let Some(socket) = self.connections[place].phase.socket() else { return Ok(()) };
        if writable {
            socket.flush()?;
        }
        if readable {
            self.read(place, now)?;
        }
        self.fill(place, now)
    }

    fn open(&mut self, place: usize, now: Duration) -> Result<(), Failure> {
        let connection = &mut self.connections[place];
        let (Target::Mqtt { address, .. } | Target::Http { address, .. }) = self.config.target;
        let mut socket = Socket::connect(address, self.poll.registry(), Token(place))?;
        self.out.clear();
        let ready = connection.talk.hello(&mut self.out);
        socket.write(&self.out)?;
        self.opening += 1;
        connection.phase = Phase::Opening(socket, now);
        if ready {
            connection.stream.rewind();
            self.became_ready(place);
        }
        Ok(())
    }

    fn became_ready(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        connection.phase = match std::mem::replace(&mut connection.phase, Phase::Down(Duration::ZERO)) {
            Phase::Opening(socket, _) => {
                self.opening -= 1;
                self.progress.connected.fetch_add(1, Ordering::Relaxed);
                connection.backoff = BACKOFF_MIN;
                Phase::Ready(socket)
            }
            other => other,
        };
    }

    fn read(&mut self, place: usize, now: Duration) -> Result<(), Failure> {
        let Connection { number, phase, talk, stream, .. } = &mut self.connections[place];
        let Some(socket) = phase.socket() else { return Ok(()) };
        let (pace, tally) = (self.paces[place], &mut self.tally);
        self.out.clear();
        let (out, mut ready) = (&mut self.out, false);
        let end = socket.read(&mut self.buffer, |input| {
            let mut acked = |from, end, sent| tally.note(pace, from, end, sent, now);
            let (used, became_ready) = talk.hear(input, stream, out, &mut acked)?;
            ready = became_ready;
            Ok::<usize, Failure>(used)
        });
        if let Some(gauge) = gauge(self.gauges, *number) {
            gauge.progress(stream.sent(), stream.acked());
        }
        let end = end?;
        socket.write(&self.out)?;
        if ready {
            self.became_ready(place);
        }
        match end {
            ReadEnd::Drained => Ok(()),
            ReadEnd::More => {
                self.again.push(place);
                Ok(())
            }
            ReadEnd::Closed => Err(Failure::Lost(anyhow!("the server closed the connection"))),
        }
    }

    /// Sends what is due and fits the window, as long as the kernel takes it.
    fn fill(&mut self, place: usize, now: Duration) -> Result<(), Failure> {
        let Connection { number, phase: Phase::Ready(socket), talk, stream, .. } = &mut self.connections[place] else {
            return Ok(());
        };
        let gauge = gauge(self.gauges, *number);
        let permitted = gauge.map_or(u64::MAX, StreamGauge::reserved).min(stream.begun().saturating_add(self.quota));
        let pace = self.paces[place];
        let due = if self.ending { stream.sent() } else { pace.due(now).min(permitted) };
        let ts = self.clock.now_ms();
        for turn in 0.. {
            if !socket.is_flushed() || matches!(talk, Talk::Http(http) if !http.idle()) {
                break;
            }
            let Some(portion) = stream.take(talk.limit(stream, due), ts, now) else { break };
            self.out.clear();
            let tally = &mut self.tally;
            let mut acked = |from, end, sent| tally.note(pace, from, end, sent, now);
            talk.send(stream, portion, &mut self.out, &mut acked);
            self.tally.resent += if portion.again { portion.end - portion.from } else { 0 };
            if let Some(gauge) = gauge {
                gauge.progress(stream.sent(), stream.acked());
            }
            socket.write(&self.out)?;
            if turn + 1 == PORTIONS_MAX {
                self.again.push(place);
                break;
            }
        }
        Ok(())
    }

    /// Decides what a failure means for the run.
    fn settle(&mut self, place: usize, now: Duration, outcome: Result<(), Failure>) -> Result<()> {
        let Err(failure) = outcome else { return Ok(()) };
        let connection = &mut self.connections[place];
        if self.leaving {
            connection.phase = Phase::Down(Duration::MAX);
            self.tally.last_ack = now;
            return Ok(());
        }
        let context = || format!("connection {}", connection.number + 1);
        let wait = match failure {
            Failure::Fatal(why) => return Err(why.context(context())),
            Failure::Lost(why) if !self.config.reconnect => {
                return Err(why.context(context())).context("a connection was lost; --reconnect goes on after that");
            }
            Failure::Lost(_) => connection.backoff,
            Failure::Refused { number, why } => {
                self.tally.refused += 1;
                self.progress.refused(&why);
                if let (Some(gauge), Some(number)) = (gauge(self.gauges, connection.number), number) {
                    gauge.refused(number);
                }
                BACKOFF_MAX
            }
        };
        match connection.phase {
            Phase::Opening(..) => self.opening -= 1,
            Phase::Ready(_) => {
                self.tally.reconnects += 1;
                self.progress.connected.fetch_sub(1, Ordering::Relaxed);
            }
            Phase::Down(_) => {}
        }
        connection.phase = Phase::Down(now + wait);
        connection.backoff = (connection.backoff * 2).min(BACKOFF_MAX);
        Ok(())
    }

    /// A normal end: without it the server would keep sessions. With QoS 0, where nothing else says that the server has
    /// taken everything in, waits until it has closed the connections.
    fn leave(&mut self, events: &mut Events) -> Result<()> {
        let Target::Mqtt { version, qos, .. } = self.config.target else { return Ok(()) };
        (self.ending, self.leaving) = (true, true);
        self.out.clear();
        mqtt::client::disconnect(&mut self.out, version, Reason::SUCCESS);
        for connection in &mut self.connections {
            if let Phase::Ready(socket) = &mut connection.phase {
                // The connection may be gone already; then there is nobody to take leave of.
                drop(socket.write(&self.out));
            }
        }
        let give_up = self.clock.monotonic() + self.config.drain_max;
        let mut next_round = give_up;
        let open = |connection: &Connection| matches!(connection.phase, Phase::Ready(_));
        while qos == Qos::AtMostOnce && self.connections.iter().any(open) && self.clock.monotonic() < give_up {
            self.turn(events, &mut next_round)?;
        }
        Ok(())
    }

    fn report(&self, started: Duration) -> LoadReport {
        let streams = || self.connections.iter().map(|connection| &connection.stream);
        let sum = |of: fn(&Stream) -> u64| streams().map(|stream| of(stream) - stream.begun()).sum();
        LoadReport {
            started,
            elapsed: self.tally.last_ack.saturating_sub(started),
            sent: sum(Stream::sent),
            acked: sum(Stream::acked),
            resent: self.tally.resent,
            refused: self.tally.refused,
            reconnects: self.tally.reconnects,
            begun: streams().map(Stream::sent).collect(),
            ack_us: self.tally.ack_us.clone(),
        }
    }
}

/// Messages per connection: whole requests, so that the last one is sent.
fn quota(config: &LoadConfig) -> u64 {
    let array = match config.target {
        Target::Mqtt { .. } => 1,
        Target::Http { array, .. } => u64::from(array.max(1)),
    };
    config.messages.map_or(u64::MAX, |messages| messages.div_ceil(config.connections as u64).next_multiple_of(array))
}
