//! What blocks and chunks know of their rows as a whole (latest values, rollups, totals) answers like the rows: with many
//! rows a device and a minute, late ones, clocks that are ahead, retention, erasure, merges and restarts.

use std::ops::Range;
use std::path::{Path, PathBuf};

use model::ValueKind;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use store::{Aggregate, BucketQuery, Budget, Error, Resolution, Scope, SourceRead, Tier, Value};

use crate::fixture::{Message, NOW, TENANT, World, device};
use crate::property::{Run, Step, buckets, compare_latest};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const METRICS: [&str; 3] = ["temperature", "count", "state"];
const TOTALS: [Aggregate; 5] = [Aggregate::Avg, Aggregate::Min, Aggregate::Max, Aggregate::Sum, Aggregate::Count];
const EDGES: [Aggregate; 3] = [Aggregate::First, Aggregate::Count, Aggregate::Last];

/// Many rows of a few devices.
#[derive(Clone, Debug)]
struct Flow {
    devices: usize,
    rows: usize,
    /// The ts of the first row, before now.
    before: i64,
    /// From row to row.
    step: i64,
    seed: u64,
}

impl Flow {
    fn messages(&self, now: i64) -> Vec<Message> {
        (0..self.rows).map(|at| self.message(now, at)).collect()
    }

    fn message(&self, now: i64, at: usize) -> Message {
        let noise = self.seed.wrapping_add(at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let ts = now - self.before + at as i64 * self.step + (noise % 3) as i64 * self.step;
        let mut metrics = vec![("temperature", Value::F64(((noise % 81) as f64 - 40.0) / 4.0))];
        match noise % 16 {
            // Of two types, and sometimes not there at all.
            0 => metrics[0].1 = Value::I64(noise as i64 % 9),
            1 => metrics.clear(),
            _ => {}
        }
        if noise.is_multiple_of(3) {
            metrics.push(("count", Value::I64(noise as i64 % 1000 - 500)));
        }
        if noise % 50 == 7 {
            metrics.push(("state", Value::Str(if noise.is_multiple_of(4) { "on" } else { "off" }.into())));
        }
        let mut message = Message::new(at % self.devices, ts, &metrics);
        message.seq = (!noise.is_multiple_of(5)).then_some(at as u64 / 2);
        message.boot = noise.is_multiple_of(7).then_some(1);
        message
    }
}

fn flow() -> impl Strategy<Value = Flow> {
    let before = prop_oneof![4 => -400i64..600, 1 => (20i64..40).prop_map(|hours| hours * 3600)];
    (1usize..4, 100usize..700, before, prop_oneof![Just(0i64), 1i64..400], any::<u64>())
        .prop_map(|(devices, rows, before, step, seed)| Flow { devices, rows, before: before * 1000, step, seed })
}

#[derive(Clone, Debug)]
enum Change {
    Flow(Flow),
    Step(Step),
}

fn change() -> impl Strategy<Value = Change> {
    let step = prop_oneof![
        4 => Just(Step::Seal),
        2 => Just(Step::Freeze),
        2 => Just(Step::Maintain),
        3 => (1u64..4000).prop_map(Step::Wait),
        1 => (0u64..20).prop_map(Step::Kill),
        1 => (0..12usize).prop_map(Step::Erase),
        2 => (1i64..400).prop_map(|minutes| Step::Retain("pumps", minutes * MINUTE)),
    ];
    prop_oneof![3 => flow().prop_map(Change::Flow), 2 => step.prop_map(Change::Step)]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => Just(i64::MIN),
        2 => Just(i64::MAX),
        3 => (-600_000i64..600_000).prop_map(|ms| NOW + ms),
        3 => (-60i64..60).prop_map(|minutes| (NOW / MINUTE + minutes) * MINUTE),
        1 => (-40i64..2).prop_map(|hours| (NOW / HOUR + hours) * HOUR),
    ]
}

fn question() -> impl Strategy<Value = BucketQuery> {
    let scope = prop_oneof![
        3 => Just(Scope::Class("pumps".to_owned())),
        1 => (0..3usize).prop_map(|number| Scope::Device(device(number))),
        1 => prop::collection::vec(0..3usize, 0..3)
            .prop_map(|numbers| Scope::Devices(numbers.into_iter().map(device).collect())),
    ];
    let resolution = prop_oneof![
        2 => Just(Resolution::All),
        5 => prop::sample::select(vec![MINUTE, HOUR, 24 * HOUR, 90_000, 15 * MINUTE, 7 * HOUR, 1000, 77_777])
            .prop_map(Resolution::Millis),
    ];
    let kind = prop_oneof![4 => Just(None), 1 => Just(Some(ValueKind::F64)), 1 => Just(Some(ValueKind::I64))];
    let aggregates = prop_oneof![3 => Just(TOTALS.to_vec()), 1 => Just(EDGES.to_vec())];
    (scope, 0..METRICS.len(), kind, time(), time(), resolution, aggregates, any::<bool>(), 1usize..300).prop_map(
        |(scope, metric, kind, from, to, resolution, aggregates, by_device, limit)| BucketQuery {
            tenant: TENANT,
            scope,
            by_device,
            metric: METRICS[metric].to_owned(),
            kind,
            from,
            to,
            resolution,
            aggregates: if metric == 2 { EDGES.to_vec() } else { aggregates },
            tag: None,
            limit,
            cursor: None,
            budget: Budget::default(),
        },
    )
}

fn compare(run: &Run, questions: &[BucketQuery]) {
    let model = run.model();
    for question in questions {
        let expected = model.buckets(question);
        assert_eq!(buckets(&run.world, &mut question.clone()), expected, "{question:?}");
        compare_latest(&run.world, &model, &question.scope, question.limit.min(2));
    }
}

proptest! {
    // Each case has thousands of rows.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn what_is_known_of_rows_answers_like_the_rows(
        chunk_rows in 256usize..1500,
        changes in prop::collection::vec(change(), 3..10),
        questions in prop::collection::vec(question(), 12),
    ) {
        let mut run = Run { world: World::new(chunk_rows), erased: Vec::new(), retention: Default::default() };
        for (at, change) in changes.iter().enumerate() {
            match change {
                Change::Flow(flow) => {
                    let now = run.world.clock.now_ms();
                    run.world.send(&flow.messages(now));
                }
                Change::Step(step) => run.step(step),
            }
            compare(&run, &questions[at % questions.len()..][..1]);
        }
        compare(&run, &questions);
        run.step(&Step::Seal);
        compare(&run, &questions);
        run.step(&Step::Maintain);
        compare(&run, &questions);
    }
}

/// A row a second and device for three minutes, sealed.
fn three_minutes(devices: usize) -> World {
    let mut world = World::new(1 << 16);
    let start = NOW / HOUR * HOUR;
    let message = |at: usize| Message::number(at % devices, start + (at / devices) as i64 * 1000, at as f64);
    world.send(&(0..180 * devices).map(message).collect::<Vec<_>>());
    world.seal();
    world
}

fn of_class(aggregates: &[Aggregate], resolution: i64) -> BucketQuery {
    BucketQuery {
        tenant: TENANT,
        scope: Scope::Class("pumps".to_owned()),
        by_device: false,
        metric: "temperature".to_owned(),
        kind: None,
        from: 0,
        to: i64::MAX,
        resolution: Resolution::Millis(resolution),
        aggregates: aggregates.to_vec(),
        tag: None,
        limit: 100,
        cursor: None,
        budget: Budget { rows: 0, ..Budget::default() },
    }
}

#[test]
fn whole_minutes_are_answered_without_a_row_read_and_what_is_left_from_rows() {
    let world = three_minutes(10);
    for resolution in [MINUTE, 2 * MINUTE, HOUR, 24 * HOUR] {
        let answer = world.store.buckets(&of_class(&[Aggregate::Sum, Aggregate::First], resolution)).unwrap();
        let sum: f64 = answer.series[0].buckets.iter().map(|bucket| number(&bucket.values[0])).sum();
        assert_eq!(sum, (0..1800).map(f64::from).sum::<f64>());
        assert_eq!(answer.series[0].buckets[0].values[1], Some(Value::F64(0.0)));
        assert_eq!(answer.sources, [SourceRead { tier: Tier::Hot, rows: 1800 }]);
    }
    let mut cut = of_class(&[Aggregate::Count], MINUTE);
    cut.from = NOW / HOUR * HOUR + 30_000;
    assert!(matches!(world.store.buckets(&cut), Err(Error::Budget { .. })), "half a minute is read from rows");
    cut.budget.rows = 1800;
    let answer = world.store.buckets(&cut).unwrap();
    let counts: Vec<_> = answer.series[0].buckets.iter().map(|bucket| number(&bucket.values[0])).collect();
    assert_eq!(counts, [300.0, 600.0, 600.0]);
}

/// A metric that comes as a double and as an integer has two columns: of rows that are equal, the one that came first is the
/// first, in whichever column it stands.
#[test]
fn equal_rows_of_two_types_stay_in_the_order_of_arrival() {
    let mut world = World::new(1 << 16);
    let start = NOW / HOUR * HOUR;
    let message = |at: i64| {
        let value = if at == 300 { Value::I64(7) } else { Value::F64(at as f64) };
        Message::new(0, start + at / 300 * MINUTE, &[("temperature", value)])
    };
    world.send(&(0..600).map(message).collect::<Vec<_>>());
    world.seal();
    let mut query = of_class(&[Aggregate::First, Aggregate::Last], MINUTE);
    query.budget = Budget::default();
    let bucket = |at: i64, first: Value, last: f64| (None, start + at, vec![Some(first), Some(Value::F64(last))]);
    let expect = [bucket(0, Value::F64(0.0), 299.0), bucket(MINUTE, Value::I64(7), 599.0)];
    assert_eq!(buckets(&world, &mut query), expect);
}

fn number(value: &Option<Value>) -> f64 {
    match value {
        Some(Value::F64(number)) => *number,
        Some(Value::I64(number)) => *number as f64,
        other => panic!("{other:?} is no number"),
    }
}

#[test]
fn hours_of_each_device_are_answered_without_a_row_read() {
    let mut world = World::new(1 << 16);
    let start = NOW / HOUR * HOUR;
    world.send(&(0..1200).map(|at| Message::number(at % 2, start + at as i64 * 1000, 1.0)).collect::<Vec<_>>());
    world.seal();
    let mut query = of_class(&[Aggregate::Count], HOUR);
    query.by_device = true;
    let count = |of: usize| (Some(device(of)), start, vec![Some(Value::I64(600))]);
    assert_eq!(buckets(&world, &mut query), [count(0), count(1)]);
    query.scope = Scope::Device(device(1));
    assert_eq!(buckets(&world, &mut query), [count(1)]);
    // An erased device is not answered, and what is over all devices is read from rows until the block is rewritten.
    world.store.erase_device(device(0)).unwrap();
    query.scope = Scope::Class("pumps".to_owned());
    assert_eq!(buckets(&world, &mut query), [count(1)]);
    query.by_device = false;
    assert!(matches!(world.store.buckets(&query), Err(Error::Budget { .. })));
    world.store.maintain().unwrap();
    assert_eq!(buckets(&world, &mut query), [(None, start, vec![Some(Value::I64(600))])]);
}

#[test]
fn full_pages_of_the_head_are_added_up_once() {
    let mut world = World::new(1 << 16);
    let start = NOW / HOUR * HOUR;
    world.send(&(0..5000).map(|at| Message::number(at % 7, start + at as i64, 1.0)).collect::<Vec<_>>());
    let mut query = of_class(&[Aggregate::Count], HOUR);
    query.budget.rows = 5000 - 4096;
    assert_eq!(buckets(&world, &mut query), [(None, start, vec![Some(Value::I64(5000))])]);
    query.from = start + 1;
    assert!(matches!(world.store.buckets(&query), Err(Error::Budget { .. })), "the first page is cut");
}

#[test]
fn the_latest_of_many_is_answered_without_a_look_at_older_blocks() {
    let mut world = World::new(1 << 16);
    for minute in 0..4 {
        let start = NOW + minute * MINUTE;
        let message = |at: usize| Message::number(at % 3, start + at as i64, at as f64);
        world.send(&(0..300).map(message).collect::<Vec<_>>());
        world.seal();
    }
    let class = Scope::Class("pumps".to_owned());
    let budget = Budget { rows: 3, ..Budget::default() };
    let latest = world.store.latest_of_many(TENANT, &class, None, 10, budget).unwrap();
    let found: Vec<_> = latest.devices.iter().map(|found| (found.device, found.metrics.clone())).collect();
    let metric = |at: i64| vec![("temperature".into(), NOW + 3 * MINUTE + at, Value::F64(at as f64))];
    assert_eq!(found, [0, 1, 2].map(|number| (device(number), metric(297 + number as i64))));
    assert_eq!(latest.sources, [SourceRead { tier: Tier::Hot, rows: 3 }]);
}

/// A block whose sections of latest values and rollups have granules of their own, and where they are.
fn sections() -> (World, PathBuf, Range<usize>) {
    let mut world = World::new(1 << 16);
    let start = NOW / HOUR * HOUR;
    let message = |at: usize| {
        let value = |times: usize| Value::F64((at * times) as f64);
        let metrics = [("temperature", value(1)), ("humidity", value(2)), ("current", value(3))];
        Message::new(at % 250, start + (at / 250) as i64 * 900, &metrics).seq(at as u64)
    };
    world.send(&(0..250 * 70).map(message).collect::<Vec<_>>());
    world.seal();
    let path = Path::new("/data/store/blocks/0000000000000000.parquet").to_owned();
    let bytes = world.disk.contents(&path).unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let own = metadata.iter().find(|pair| pair.key == "tidewater").unwrap();
    let places: serde_json::Value = serde_json::from_str(own.value.as_ref().unwrap()).unwrap();
    let place = |name: &str, at: usize| places[name][at].as_u64().unwrap() as usize;
    let end = place("rollups", 0) + place("rollups", 1);
    (world, path, place("latest", 0).next_multiple_of(4096)..end)
}

#[test]
fn where_what_is_known_is_damaged_the_rows_are_read() {
    let (mut world, path, places) = sections();
    assert!(places.len() > 4096, "{places:?}");
    world.log.clear();
    let class = Scope::Class("pumps".to_owned());
    let ask = |world: &World| {
        let mut query = of_class(&TOTALS, MINUTE);
        query.budget = Budget::default();
        let latest = world.store.latest_of_many(TENANT, &class, None, 1000, Budget::default()).unwrap().devices;
        (buckets(world, &mut query), latest)
    };
    let expected = ask(&world);
    assert_eq!((expected.0.len(), expected.1.len()), (2, 250));
    let bytes = world.disk.contents(&path).unwrap();
    for at in places.step_by(997) {
        let survivor = world.disk.fork();
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        survivor.set_contents(&path, flipped).unwrap();
        world.restart(survivor, 0);
        assert_eq!(ask(&world), expected, "{at}");
        assert_eq!(world.store.damaged(), []);
    }
}
