//! What the simulated devices are and what they say: six readings here, a door there, an outage now and then.
//!
//! Everything is a pure function of (seed, device, time): a device keeps nothing, so it can repeat any message exactly.

use std::fmt::Write as _;

use model::{DeviceId, Millis};

use crate::seeded::{between, hash, unit, wander};
use crate::signal::{DAY, HOUR, MINUTE, Signal, duty, round};

#[cfg(test)]
mod tests;

/// The kinds of device in a fleet. Each is a device class of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    WeatherStation,
    ColdStore,
    Pump,
    EnergyMeter,
    Tank,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::WeatherStation, Self::ColdStore, Self::Pump, Self::EnergyMeter, Self::Tank];

    /// The name of its device class.
    pub const fn class(self) -> &'static str {
        match self {
            Self::WeatherStation => "weather-station",
            Self::ColdStore => "cold-store",
            Self::Pump => "pump",
            Self::EnergyMeter => "energy-meter",
            Self::Tank => "tank",
        }
    }

    /// A metric that every message of this kind has, for examples of queries.
    pub const fn main_metric(self) -> &'static str {
        match self {
            Self::WeatherStation | Self::ColdStore => "temperature",
            Self::Pump => "vibration",
            Self::EnergyMeter => "power",
            Self::Tank => "level",
        }
    }
}

/// A metric's value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    Number(f64),
    Flag(bool),
    Word(&'static str),
}

/// One simulated device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    pub kind: Kind,
    /// Its number within the fleet, from 0.
    pub number: u32,
    seed: u64,
}

impl Device {
    /// Device `number` of the fleet with this seed. Kinds take turns.
    pub fn new(fleet_seed: u64, number: u32) -> Self {
        let kind = Kind::ALL[number as usize % Kind::ALL.len()];
        Self { kind, number, seed: hash([fleet_seed, 100, u64::from(number)]) }
    }

    /// Its id, the same in every run of the same fleet: a UUID of version 8 (RFC 9562) from seed and number.
    pub fn id(&self) -> DeviceId {
        DeviceId(uuid_from(hash([self.seed, 200]), hash([self.seed, 201])))
    }

    /// A name for a person, for example `cold-store-7`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.kind.class(), self.number + 1)
    }

    /// The site that it stands at: five devices, one of each kind, share one.
    pub fn site(&self) -> String {
        format!("site-{}", self.number as usize / Kind::ALL.len() + 1)
    }

    /// The outage that `at` falls in, if any: [from, to). About `per_day` a day, of 2 to 15 minutes each.
    pub fn outage(&self, at: Millis, per_day: f64) -> Option<(Millis, Millis)> {
        const SLOT: Millis = 30 * MINUTE;
        let slot = at.div_euclid(SLOT);
        let draw = |what: u64| hash([self.seed, 300 + what, slot as u64]);
        if unit(draw(0)) >= per_day * SLOT as f64 / DAY as f64 {
            return None;
        }
        let from = slot * SLOT + between(draw(1), 0.0, 15.0 * MINUTE as f64) as Millis;
        let to = from + between(draw(2), 2.0 * MINUTE as f64, 15.0 * MINUTE as f64) as Millis;
        (from..to).contains(&at).then_some((from, to))
    }

    /// The readings at `at`, in the order in which the device sends them.
    pub fn readings(&self, at: Millis) -> Vec<(&'static str, Value)> {
        match self.kind {
            Kind::WeatherStation => self.weather_station(at),
            Kind::ColdStore => self.cold_store(at),
            Kind::Pump => self.pump(at),
            Kind::EnergyMeter => self.energy_meter(at),
            Kind::Tank => self.tank(at),
        }
    }

    fn number(&self, metric: u64, signal: Signal, at: Millis) -> Value {
        Value::Number(signal.value(hash([self.seed, metric]), at))
    }

    /// Something in [low, high) that is fixed for this device.
    fn fixed(&self, what: u64, low: f64, high: f64) -> f64 {
        between(hash([self.seed, 400 + what]), low, high)
    }

    fn battery(&self, at: Millis) -> Value {
        // Solar: fullest in the late afternoon.
        let signal = Signal::level(self.fixed(0, 3.7, 3.9)).daily(0.12, 16).noise(0.004).decimals(2).within(3.2, 4.2);
        self.number(9, signal, at)
    }

    fn weather_station(&self, at: Millis) -> Vec<(&'static str, Value)> {
        let temperature = Signal::level(self.fixed(1, 6.0, 18.0)).daily(5.5, 14).drift(3.0).noise(0.08);
        let humidity = Signal::level(68.0).daily(-16.0, 14).drift(10.0).noise(0.5).within(5.0, 100.0);
        let pressure = Signal::level(self.fixed(2, 985.0, 1015.0)).drift(9.0).noise(0.05).decimals(2);
        let wind = Signal::level(3.0).daily(1.2, 15).drift(2.5).noise(0.7).decimals(2).within(0.0, 60.0);
        let rains = wander(hash([self.seed, 5]), at, 3 * HOUR) > 0.55;
        let rain = if rains {
            self.number(6, Signal::level(1.4).noise(0.5).within(0.0, 50.0), at)
        } else {
            Value::Number(0.0)
        };
        vec![
            ("temperature", self.number(1, temperature, at)),
            ("humidity", self.number(2, humidity, at)),
            ("pressure", self.number(3, pressure, at)),
            ("wind_speed", self.number(4, wind, at)),
            ("rain_rate", rain),
            ("battery", self.battery(at)),
        ]
    }

    fn cold_store(&self, at: Millis) -> Vec<(&'static str, Value)> {
        let compressor = duty(hash([self.seed, 10]), at, 18 * MINUTE, 0.55);
        let working_hours = (5..19).contains(&(at.rem_euclid(DAY) / HOUR));
        let door = working_hours && duty(hash([self.seed, 11]), at, 25 * MINUTE, 0.08);
        let set_point = self.fixed(1, -22.0, -18.0).round();
        let warmer = if door { 2.6 } else { 0.0 } + if compressor { -0.4 } else { 0.5 };
        let temperature = Signal::level(set_point + warmer).daily(0.3, 15).drift(0.4).noise(0.06).decimals(2);
        let power = if compressor {
            Signal::level(2.35).noise(0.03).decimals(3)
        } else {
            Signal::level(0.11).noise(0.004).decimals(3)
        };
        vec![
            ("temperature", self.number(1, temperature, at)),
            ("set_point", Value::Number(set_point)),
            ("compressor", Value::Flag(compressor)),
            ("door_open", Value::Flag(door)),
            ("power", self.number(2, power, at)),
        ]
    }

    fn pump(&self, at: Millis) -> Vec<(&'static str, Value)> {
        let running = duty(hash([self.seed, 10]), at, 2 * HOUR, 0.7);
        // Wear: vibration climbs for weeks until the bearing is changed.
        let cycle = 30 * DAY;
        let wear = ((at + (self.fixed(1, 0.0, 1.0) * cycle as f64) as Millis).rem_euclid(cycle)) as f64 / cycle as f64;
        let (vibration, flow, pressure, bearing) = if running {
            (
                Signal::level(1.6 + 3.2 * wear * wear).noise(0.12).decimals(3).within(0.0, 50.0),
                Signal::level(42.0).steps(9.0, 20 * MINUTE).noise(0.4).within(0.0, 100.0),
                Signal::level(4.1).drift(0.2).noise(0.02).decimals(2).within(0.0, 16.0),
                Signal::level(58.0 + 9.0 * wear).daily(2.0, 15).noise(0.2),
            )
        } else {
            (
                Signal::level(0.05).noise(0.01).decimals(3).within(0.0, 50.0),
                Signal::level(0.0),
                Signal::level(1.0).noise(0.01).decimals(2).within(0.0, 16.0),
                Signal::level(27.0).daily(4.0, 15).noise(0.2),
            )
        };
        let status = match (running, wear > 0.85) {
            (false, _) => "stopped",
            (true, false) => "running",
            (true, true) => "bearing-worn",
        };
        vec![
            ("vibration", self.number(1, vibration, at)),
            ("flow", self.number(2, flow, at)),
            ("pressure", self.number(3, pressure, at)),
            ("bearing_temperature", self.number(4, bearing, at)),
            ("running", Value::Flag(running)),
            ("status", Value::Word(status)),
        ]
    }

    fn energy_meter(&self, at: Millis) -> Vec<(&'static str, Value)> {
        let mean = self.fixed(1, 2.0, 9.0);
        let daily = 0.6 * mean;
        let power = Signal::level(mean).daily(daily, 13).steps(0.3 * mean, 10 * MINUTE).noise(0.02 * mean).decimals(3);
        let power = power.within(0.0, 100.0).value(hash([self.seed, 1]), at);
        let voltage = Signal::level(231.0).daily(-1.5, 18).drift(1.5).noise(0.3).value(hash([self.seed, 2]), at);
        let factor =
            Signal::level(0.94).drift(0.03).noise(0.004).decimals(3).within(0.5, 1.0).value(hash([self.seed, 3]), at);
        // The counter is the integral of the level and the daily cycle, so that it never runs backwards.
        let turn = (at - 13 * HOUR) as f64 / DAY as f64 * std::f64::consts::TAU;
        let energy = mean * (at as f64 / HOUR as f64) + daily * 24.0 / std::f64::consts::TAU * turn.sin();
        vec![
            ("power", Value::Number(power)),
            ("energy", Value::Number(round(energy, 2))),
            ("voltage", Value::Number(voltage)),
            ("current", Value::Number(round(power * 1000.0 / voltage / factor, 2))),
            ("power_factor", Value::Number(factor)),
        ]
    }

    fn tank(&self, at: Millis) -> Vec<(&'static str, Value)> {
        // Emptied slowly, filled by a lorry: a saw tooth of two to four days.
        let cycle = (self.fixed(1, 2.0, 4.0) * DAY as f64) as Millis;
        let within = (at + (self.fixed(2, 0.0, 1.0) * cycle as f64) as Millis).rem_euclid(cycle) as f64 / cycle as f64;
        let level = Signal::level(96.0 - 84.0 * within).noise(0.05).decimals(2).within(0.0, 100.0);
        let level = level.value(hash([self.seed, 1]), at);
        let temperature = Signal::level(14.0).daily(2.0, 16).drift(1.0).noise(0.05);
        vec![
            ("level", Value::Number(level)),
            ("volume", Value::Number(round(level * self.fixed(3, 50.0, 300.0).round(), 0))),
            ("temperature", self.number(2, temperature, at)),
            ("battery", self.battery(at)),
        ]
    }

    /// Appends the JSON message that the device sends for `at`.
    pub fn message(&self, at: Millis, seq: u64, boot: u32, buffered: bool, out: &mut Vec<u8>) {
        let mut text = String::with_capacity(192);
        let mut write = |arguments: std::fmt::Arguments<'_>| text.write_fmt(arguments).expect("a String takes all");
        write(format_args!("{{\"ts\":{at},\"seq\":{seq},\"boot\":{boot},\"buffered\":{buffered},\"metrics\":{{"));
        for (place, (name, value)) in self.readings(at).into_iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match value {
                Value::Number(number) => write(format_args!("{comma}\"{name}\":{number}")),
                Value::Flag(flag) => write(format_args!("{comma}\"{name}\":{flag}")),
                Value::Word(word) => write(format_args!("{comma}\"{name}\":\"{word}\"")),
            }
        }
        write(format_args!("}}}}"));
        out.extend_from_slice(text.as_bytes());
    }
}

/// A UUID of version 8 from 128 given bits.
pub fn uuid_from(high: u64, low: u64) -> uuid::Uuid {
    uuid::Builder::from_custom_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).into_uuid()
}
