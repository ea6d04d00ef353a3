//! One round: a directory from its first start on, through many lives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use disk::FaultDisk;
use model::Clock;

use super::client::Client;
use super::dice::Dice;
use super::stage::{Sending, Stage, World, lock};
use super::trace::Trace;
use super::{Broken, Failure, Report, Subject, check, rules};

/// When it begins: 2023-11-14.
const BEGIN_MS: i64 = 1_700_000_000_000;
/// The most that a round's clock is turned: what is sent again must be in the window still.
const DURATION_MAX: Duration = Duration::from_secs(20 * 3600);
/// Power cuts in a row while the line is opening.
const CUTS_IN_A_ROW_MAX: u64 = 5;
const LIVES_MAX: u64 = 30;
/// What somebody does in one life, and in the long ones among them, of so many in a hundred.
const ACTS_MAX: u64 = 250;
const LONG_ACTS_MAX: u64 = 2500;
const LONG: u64 = 8;

pub struct Round<S> {
    seed: u64,
    dice: Dice,
    world: Arc<World>,
    life: u64,
    cut_at: Option<u64>,
    /// Whether this life is a long one.
    is_long: bool,
    elapsed: Duration,
    subject: std::marker::PhantomData<S>,
}

/// What a life leaves, or why nothing may follow it.
type Left = Result<FaultDisk, String>;

/// A life that has begun: its disk, its stage and its line.
type Begun<S> = (FaultDisk, Arc<Stage<S>>, Arc<S>);

impl<S: Subject> Round<S> {
    pub fn new(seed: u64, broken: Broken, report: Arc<Mutex<Report>>) -> Self {
        let mut dice = Dice::new(seed);
        let client = Client::new(dice.next());
        let sending = Sending { client, history: Vec::new(), acknowledged_to: 0 };
        let world = World {
            clock: Clock::manual(BEGIN_MS),
            broken,
            sending: Mutex::new(sending),
            trace: Mutex::new(Trace::default()),
            report,
        };
        let subject = std::marker::PhantomData;
        Self {
            seed,
            dice,
            world: Arc::new(world),
            life: 0,
            cut_at: None,
            is_long: false,
            elapsed: Duration::ZERO,
            subject,
        }
    }

    /// Plays it; what failed, if something did.
    pub fn play(mut self) -> Option<Failure> {
        let lives = 2 + self.dice.below(LIVES_MAX);
        let mut disk = self.world.broken.disk();
        let mut outcome = Ok(());
        while self.life < lives && outcome.is_ok() {
            self.life += 1;
            self.is_long = self.dice.percent(LONG);
            match self.live(disk.clone()) {
                Ok(left) => disk = left,
                Err(what) => outcome = Err(what),
            }
        }
        self.conclude();
        let what = outcome.err()?;
        let trace = lock(&self.world.trace).lines();
        Some(Failure { seed: self.seed, life: self.life, cut_at: self.cut_at, what, trace })
    }

    fn conclude(&self) {
        let sending = lock(&self.world.sending);
        let expected = rules::derive(sending.history.iter().map(|(base, sent)| (*base, sent)));
        let mut report = lock(&self.world.report);
        report.acknowledged += sending.client.acknowledged;
        report.rows += expected.rows.len() as u64;
        report.duplicates += expected.duplicates;
        report.dead_letters += expected.letters.len() as u64;
        report.digest = crate::seeded::hash([report.digest, lock(&self.world.trace).digest()]);
    }

    fn live(&mut self, disk: FaultDisk) -> Left {
        let (disk, stage, line) = self.open(disk)?;
        stage.hear(&line);
        self.check(&line, true)?;
        lock(&self.world.sending).client.reconnect();
        stage.enter(&line);
        let acts_max = if self.is_long { LONG_ACTS_MAX } else { ACTS_MAX };
        for _ in 0..self.dice.below(acts_max) {
            stage.act();
            if stage.is_cut() {
                break;
            }
            self.pass(false);
            if self.dice.percent(1) {
                stage.leave();
                self.check(&line, false)?;
                stage.enter(&line);
            }
        }
        if let Some(what) = stage.failure() {
            return Err(what);
        }
        self.end(disk, &stage, &line)
    }

    /// Opens the line, however often the power goes meanwhile.
    fn open(&mut self, mut disk: FaultDisk) -> Result<Begun<S>, String> {
        let mut in_a_row = 0;
        loop {
            let cut_at = self.choose_cut(in_a_row);
            let stage = Stage::new(self.world.clone(), Dice::new(self.dice.next()), cut_at);
            disk.watch(stage.clone());
            self.note("opening");
            let opened = S::open(Arc::new(disk.clone()), &self.world.clock);
            lock(&self.world.report).opened += 1;
            match opened {
                Ok(line) if !stage.is_cut() => return Ok((disk, stage, Arc::new(line))),
                Err(error) if !stage.is_cut() => return Err(format!("the line does not open: {error:#}")),
                _ => {}
            }
            in_a_row += 1;
            self.cut_at = cut_at;
            disk = disk.crash(self.dice.next());
            let mut report = lock(&self.world.report);
            report.cuts += 1;
            report.cuts_in_recovery += 1;
            report.cuts_in_a_row = report.cuts_in_a_row.max(in_a_row);
        }
    }

    /// At which operation the power is to be cut: often while the line is opening, sometimes never.
    fn choose_cut(&mut self, in_a_row: u64) -> Option<u64> {
        if in_a_row == CUTS_IN_A_ROW_MAX {
            return None;
        }
        let below = match self.dice.below(10) {
            _ if self.is_long => 5000,
            0..4 => 40,
            4..7 => 150,
            7..9 => 600,
            _ => return None,
        };
        Some(1 + self.dice.below(below))
    }

    /// Lets a moment pass, or `long`.
    fn pass(&mut self, long: bool) {
        let by = match self.dice.below(100) {
            _ if long => Duration::from_secs(self.dice.below(120)),
            0..8 => Duration::from_millis(self.dice.below(3000)),
            8..10 => Duration::from_secs(self.dice.below(900)),
            _ => return,
        };
        if self.elapsed + by <= DURATION_MAX {
            self.elapsed += by;
            self.world.clock.advance(by);
        }
    }

    /// The end of a life.
    fn end(&mut self, disk: FaultDisk, stage: &Arc<Stage<S>>, line: &Arc<S>) -> Left {
        self.cut_at = None;
        if !stage.is_cut() && self.dice.percent(25) {
            self.note("stopping in order");
            let stopped = line.stop();
            stage.hear(line);
            match stopped {
                Err(error) if !stage.is_cut() => return Err(format!("it does not stop in order: {error:#}")),
                Ok(()) if !stage.is_cut() => lock(&self.world.report).stops += 1,
                _ => {}
            }
        }
        stage.leave();
        self.pass(true);
        let seed = self.dice.next();
        if stage.is_cut() {
            self.cut_at = Some(stage.operations());
            lock(&self.world.report).cuts += 1;
            return Ok(disk.crash(seed));
        }
        if self.dice.percent(50) {
            self.note("the process is killed");
            lock(&self.world.report).kills += 1;
            return Ok(disk.kill());
        }
        self.note("the power is cut, with nothing on its way");
        lock(&self.world.report).cuts_at_rest += 1;
        Ok(disk.crash(seed))
    }

    /// Reads everything back and compares. Right after opening, everything durable is derived, and what the log has not
    /// is gone for good.
    fn check(&mut self, line: &S, opened: bool) -> Result<(), String> {
        lock(&self.world.report).checks += 1;
        let kept = line.read().map_err(|error| format!("it cannot be read back: {error:#}"))?;
        let durable = line.durable();
        let mut sending = lock(&self.world.sending);
        if durable < sending.acknowledged_to && opened {
            return Err(format!("lost: acknowledged to {}, durable to {durable}", sending.acknowledged_to));
        }
        if opened {
            sending.history.retain(|(base, _)| *base < durable);
            if kept.visible_to != durable {
                return Err(format!("raw is durable to {durable}, and derived to {}", kept.visible_to));
            }
        }
        check::raw(&kept, &sending.history, durable)?;
        let visible = sending.history.iter().filter(|(base, _)| *base < kept.visible_to);
        let expected = rules::derive(visible.map(|(base, sent)| (*base, sent)));
        check::derived(&kept, &expected, self.world.clock.now_ms())
    }

    fn note(&self, what: &str) {
        lock(&self.world.trace).note(format!("      life {}: {what}", self.life));
    }
}
