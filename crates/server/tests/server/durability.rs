//! Promise: what was acknowledged is stored once, after any power cut, and nothing that was never sent is stored.
//!
//! The server runs on a disk that forgets at a power cut what was not synced. The same check on a disk that only says
//! that it syncs must see a loss, or it could not be trusted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use disk::FaultDisk;

use super::client::VERSIONS;
use super::load::{Sender, Verdict, reordered, run_all};
use super::wait::until;
use super::world::{Setup, World};

/// Further than any round gets.
const ENDLESS: u64 = 1 << 40;

fn on(disk: &FaultDisk) -> Setup {
    Setup { disk: Arc::new(disk.clone()), ..Setup::default() }
}

/// Lets the senders work until `acks` were acknowledged, then cuts the power; the disk as it is afterwards.
fn cut_power(world: &World, disk: &FaultDisk, senders: &mut [Sender], acks: u64, seed: u64) -> FaultDisk {
    let mut survivor = None;
    run_all(senders, world.listen.mqtt, ENDLESS, |progress| {
        until("enough is acknowledged", || (progress.load(Ordering::Acquire) >= acks).then_some(()));
        survivor = Some(disk.crash(seed));
    });
    survivor.unwrap()
}

#[test]
fn what_was_acknowledged_is_stored_once_after_power_cuts() {
    let mut disk = FaultDisk::new();
    let mut world = World::start(on(&disk));
    let mut senders = VERSIONS.map(|version| Sender::new(&world.api, version));
    for seed in 1..=4 {
        disk = cut_power(&world, &disk, &mut senders, 500, seed);
        world = World::start_in(world.abandon(), on(&disk));
        assert_eq!(Verdict::of(&senders, &world.api), Verdict::default(), "after the power cut with seed {seed}");
    }
    let dir = world.stop();
    assert_eq!(reordered(&senders, dir.path(), Arc::new(disk)), 0);
}

#[test]
fn on_a_disk_that_lies_the_same_check_sees_a_loss() {
    let disk = FaultDisk::lying();
    let world = World::start(on(&disk));
    let mut senders = VERSIONS.map(|version| Sender::new(&world.api, version));
    let disk = cut_power(&world, &disk, &mut senders, 500, 1);
    let world = World::start_in(world.abandon(), on(&disk));
    let verdict = Verdict::of(&senders, &world.api);
    assert!(verdict.lost > 0, "{verdict:?}");
}
