//! Whatever happens to the store, it answers like the model: chunks fill up, are frozen and sealed, blocks are merged,
//! the process and the machine die, and what `raw` holds is derived again.

use std::time::Duration;

use model::{DeviceId, TableKind, ValueKind};
use proptest::prelude::*;
use store::{Aggregate, BucketQuery, Budget, EventQuery, PointQuery, Resolution, Retention, Scope, Value};

use crate::fixture::{Message, NOW, TENANT, World, device};
use crate::model_of_store::Model;

const CLASSES: [&str; 2] = ["fans", "pumps"];
const METRICS: [&str; 3] = ["humidity", "ts", "temperature"];
const DEVICES: usize = 4;

#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<Message>),
    /// The barrier; sealing comes later or never.
    Freeze,
    Seal,
    Maintain,
    Wait(u64),
    /// Derive again from so many offsets before the place that the store asks for.
    Kill(u64),
    PowerCut(u64, u64),
    Erase(usize),
    Retain(&'static str, i64),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        // Quarters add up exactly in any order.
        4 => (-40i32..40).prop_map(|quarters| Value::F64(f64::from(quarters) / 4.0)),
        1 => (-9i64..9).prop_map(Value::I64),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => "[ab]{0,2}".prop_map(|text| Value::Str(text.into())),
    ]
}

fn ts() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => (-90i64..90).prop_map(|seconds| NOW + seconds * 1000),
        1 => (-30i64..3).prop_map(|hours| NOW + hours * 3_600_000),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX - 1)],
        // Many rows with the same ts.
        2 => (0i64..3).prop_map(|at| NOW + at),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let metrics = prop::collection::btree_map(0..METRICS.len(), value(), 1..3);
    let identity = (prop::option::of(0u32..2), prop::option::of(0u64..4));
    let tags = prop::option::of(prop_oneof![Just(r#"{"line":"A"}"#), Just(r#"{"line":"B","site":"A"}"#)]);
    (0..DEVICES, 0..CLASSES.len(), ts(), identity, tags, metrics, any::<bool>(), 0..6u8).prop_map(
        |(device, class, ts, (boot, seq), tags, metrics, buffered, event)| {
            let mut message = if event == 0 {
                Message::event(device, ts, if buffered { "start" } else { "stop" }, "{}")
            } else {
                let named = metrics.into_iter().map(|(at, value)| (METRICS[at], value));
                Message::new(device, ts, &named.collect::<Vec<_>>())
            };
            message.class = CLASSES[class];
            message.tags = tags.map(ToOwned::to_owned);
            (message.boot, message.seq, message.buffered) = (boot, seq, buffered);
            message
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(message(), 1..12).prop_map(Step::Send),
        2 => Just(Step::Freeze),
        3 => Just(Step::Seal),
        2 => Just(Step::Maintain),
        1 => (1u64..4000).prop_map(Step::Wait),
        1 => (0u64..20).prop_map(Step::Kill),
        2 => (any::<u64>(), 0u64..20).prop_map(|(seed, earlier)| Step::PowerCut(seed, earlier)),
        1 => (0..DEVICES * 8).prop_map(Step::Erase),
        1 => (0..CLASSES.len(), 1i64..40).prop_map(|(class, hours)| Step::Retain(CLASSES[class], hours * 3_600_000)),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        3 => (0..DEVICES).prop_map(|number| Scope::Device(device(number))),
        1 => prop::collection::vec(0..DEVICES, 0..3)
            .prop_map(|numbers| Scope::Devices(numbers.into_iter().map(device).collect())),
        2 => (0..CLASSES.len()).prop_map(|class| Scope::Class(CLASSES[class].to_owned())),
        1 => (0..CLASSES.len(), prop::collection::vec(0..DEVICES, 0..3)).prop_map(|(class, numbers)| {
            Scope::DevicesOfClass(CLASSES[class].to_owned(), numbers.into_iter().map(device).collect())
        }),
    ]
}

/// What is asked: scope, metric, kind, from, to, tag, limit, resolution, by device.
type Question = (Scope, usize, Option<ValueKind>, i64, i64, Option<(String, String)>, usize, Resolution, bool);

fn question() -> impl Strategy<Value = Question> {
    let kind = prop::option::of(prop_oneof![
        Just(ValueKind::F64),
        Just(ValueKind::I64),
        Just(ValueKind::Bool),
        Just(ValueKind::Str)
    ]);
    let from = prop_oneof![Just(i64::MIN), (-90i64..90).prop_map(|seconds| NOW + seconds * 1000)];
    let to = prop_oneof![3 => Just(i64::MAX), 1 => (-90i64..90).prop_map(|seconds| NOW + seconds * 1000)];
    let tag = prop::option::of(Just(("line".to_owned(), "A".to_owned())));
    let resolution = prop_oneof![Just(Resolution::All), (1i64..100_000).prop_map(Resolution::Millis)];
    (scope(), 0..METRICS.len(), kind, from, to, tag, 1usize..9, resolution, any::<bool>())
}

/// A store and what hides some of its rows.
pub struct Run {
    pub world: World,
    pub erased: Vec<usize>,
    pub retention: std::collections::BTreeMap<&'static str, i64>,
}

impl Run {
    pub fn step(&mut self, step: &Step) {
        let world = &mut self.world;
        match step {
            Step::Send(messages) => {
                world.send(messages);
            }
            Step::Freeze => world.writer.freeze(world.next),
            Step::Seal => world.store.seal_waiting().unwrap(),
            Step::Maintain => world.store.maintain().unwrap(),
            Step::Wait(seconds) => world.clock.advance(Duration::from_secs(*seconds)),
            Step::Kill(earlier) => {
                world.restart(world.disk.kill(), *earlier);
                self.retain();
            }
            Step::PowerCut(seed, earlier) => {
                world.restart(world.disk.crash(*seed), *earlier);
                self.retain();
            }
            // Mostly a number without a device: rarely is one erased.
            Step::Erase(number) => {
                world.store.erase_device(device(*number)).unwrap();
                self.erased.push(*number);
            }
            Step::Retain(class, age) => {
                self.retention.insert(class, *age);
                self.retain();
            }
        }
    }

    /// Retention is configuration: whoever opens the store says it again.
    fn retain(&self) {
        for (class, age) in &self.retention {
            let age = Some(Duration::from_millis(*age as u64));
            for kind in [TableKind::Readings, TableKind::Events] {
                let table = model::Table { tenant: TENANT, class: (*class).into(), kind };
                self.world.store.set_retention(&table, Retention { hot: None, warm: None, cold: age });
            }
        }
    }

    /// What was sent, and what hides some of it.
    pub fn model(&self) -> Model {
        let mut model = Model::of(&self.world);
        model.erased.clone_from(&self.erased);
        model.retention.clone_from(&self.retention);
        model
    }

    fn compare(&self, question: &Question) {
        let model = self.model();
        compare_points(&self.world, &model, question);
        compare_buckets(&self.world, &model, question);
        compare_events(&self.world, &model, question);
        compare_latest(&self.world, &model, &question.0, question.6);
    }
}

fn compare_points(world: &World, model: &Model, question: &Question) {
    let (scope, metric, kind, from, to, tag, limit, ..) = question.clone();
    let metric = METRICS[metric].to_owned();
    let mut query = PointQuery {
        tenant: TENANT,
        scope,
        metric,
        kind,
        from,
        to,
        tag,
        limit,
        cursor: None,
        budget: Budget::default(),
    };
    let mut found = Vec::new();
    loop {
        let page = world.store.points(&query).unwrap();
        assert!(page.points.len() <= limit);
        found.extend(page.points);
        let Some(next) = page.next else { break };
        // A cursor travels as text.
        query.cursor = Some(next.to_string().parse().unwrap());
    }
    let found: Vec<_> = found
        .into_iter()
        .map(|point| {
            (point.device, point.ts, point.value, point.seq, point.boot, point.tags.map(|tags| tags.to_string()))
        })
        .collect();
    assert_eq!(found, model.points(&query), "{query:?}");
}

fn compare_events(world: &World, model: &Model, question: &Question) {
    let (scope, _, _, from, to, tag, limit, ..) = question.clone();
    let event_type = tag.map(|_| "start".to_owned());
    let mut query =
        EventQuery { tenant: TENANT, scope, event_type, from, to, limit, cursor: None, budget: Budget::default() };
    let mut found = Vec::new();
    loop {
        let page = world.store.events(&query).unwrap();
        found.extend(page.events);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    let found: Vec<_> =
        found.into_iter().map(|event| (event.device, event.ts, event.event_type, event.data.map(Value::Str))).collect();
    assert_eq!(found, model.events(&query), "{query:?}");
}

fn compare_buckets(world: &World, model: &Model, question: &Question) {
    let (scope, metric, kind, from, to, tag, limit, resolution, by_device) = question.clone();
    let metric = METRICS[metric].to_owned();
    let texts = vec![Aggregate::Last, Aggregate::Count, Aggregate::First];
    let mut query = BucketQuery {
        tenant: TENANT,
        scope,
        by_device,
        metric,
        kind,
        from,
        to,
        resolution,
        aggregates: texts,
        tag,
        limit,
        cursor: None,
        budget: Budget::default(),
    };
    let expected = model.buckets(&query);
    assert_eq!(buckets(world, &mut query), expected, "{query:?}");
    if kind != Some(ValueKind::Str) && expected.iter().all(|(.., values)| !matches!(values[0], Some(Value::Str(_)))) {
        query.aggregates = Aggregate::ALL.to_vec();
        query.cursor = None;
        let expected = model.buckets(&query);
        assert_eq!(buckets(world, &mut query), expected, "{query:?}");
    }
}

pub fn buckets(world: &World, query: &mut BucketQuery) -> Vec<(Option<DeviceId>, i64, Vec<Option<Value>>)> {
    let mut found = Vec::new();
    loop {
        let page = world.store.buckets(query).unwrap();
        for series in page.series {
            found.extend(series.buckets.into_iter().map(|bucket| (series.device, bucket.start, bucket.values)));
        }
        let Some(next) = page.next else { return found };
        query.cursor = Some(next.to_string().parse().unwrap());
    }
}

pub fn compare_latest(world: &World, model: &Model, scope: &Scope, limit: usize) {
    let named = |metrics: Vec<store::LatestMetric>| {
        metrics.into_iter().map(|(name, ts, value)| (name.to_string(), ts, value)).collect::<Vec<_>>()
    };
    let mut expected = model.latest(scope);
    if let Scope::Device(device) = scope {
        let latest = world.store.latest(TENANT, *device, Budget::default()).unwrap();
        assert_eq!(named(latest.metrics), expected.remove(device).unwrap_or_default(), "{device}");
        return;
    }
    let (mut found, mut after) = (std::collections::BTreeMap::new(), None);
    loop {
        let page = world.store.latest_of_many(TENANT, scope, after, limit, Budget::default()).unwrap();
        found.extend(page.devices.into_iter().map(|latest| (latest.device, named(latest.metrics))));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected, "{scope:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn answers_like_the_model(
        chunk_rows in 1usize..24,
        steps in prop::collection::vec(step(), 1..24),
        questions in prop::collection::vec(question(), 6),
    ) {
        let mut run = Run { world: World::new(chunk_rows), erased: Vec::new(), retention: Default::default() };
        for (at, step) in steps.iter().enumerate() {
            run.step(step);
            run.compare(&questions[at % questions.len()]);
        }
        for question in &questions {
            run.compare(question);
        }
    }
}
