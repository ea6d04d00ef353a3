//! Promise: a wall clock that jumps, either way and however far, changes neither what is a duplicate, nor the order, nor what
//! is kept; nor does a start while it is wrong.

use model::Clock;
use mqtt::Version;
use serde_json::json;

use super::api::{Device, message, point};
use super::client::*;
use super::world::{Setup, World};

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;
/// What the clock is set to, one after the other: an hour ahead, an hour behind, 1970, 2106, and right again.
const JUMPS: [i64; 5] = [NOW + HOUR, NOW - HOUR, 0, 4_300_000_000_000, NOW];

/// Sends messages up to `newest`, the earlier ones again.
fn send_all(world: &World, device: &Device, newest: u64) {
    let mut client = Client::device(world.listen.mqtt, Version::V5, device);
    for seq in 0..=newest {
        client.publish(&device.topic, 1, &message(seq).to_string());
    }
}

fn on(clock: &Clock) -> Setup {
    Setup { clock: clock.clone(), ..Setup::default() }
}

#[test]
fn a_clock_that_jumps_makes_no_duplicates_and_costs_nothing() {
    let clock = Clock::manual(NOW);
    let mut world = World::start(on(&clock));
    let class = json!({"name": "pump", "retention": {"hot": "7d", "warm": "90d", "cold": "3650d"}});
    let (status, answer) = world.api.call("POST", "/v1/classes", Some(&class));
    assert_eq!(status, 201, "{answer}");
    let device = world.api.device();
    send_all(&world, &device, 0);
    for (jump, wall) in (1..).zip(JUMPS) {
        clock.set_wall(wall);
        send_all(&world, &device, 2 * jump - 1);
        world = World::start_in(world.stop(), on(&clock));
        send_all(&world, &device, 2 * jump);
        // What is past its retention by a clock that is far ahead is hidden, and there again when the clock is right.
        if wall <= NOW + HOUR {
            world.api.expect_points(&device, &(0..=2 * jump).map(point).collect::<Vec<_>>());
        }
    }
}
