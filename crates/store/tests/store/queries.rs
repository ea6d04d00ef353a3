//! What queries answer and refuse, case by case.

use std::time::Duration;

use model::ErrorKind;
use store::{Aggregate, BucketQuery, Budget, Cursor, Error, PointQuery, Resolution, Scope, SourceRead, Tier, Value};

use crate::fixture::{Message, NOW, TENANT, World, device, everything};

fn of_device(number: usize, limit: usize) -> PointQuery {
    PointQuery { scope: Scope::Device(device(number)), limit, ..everything("temperature") }
}

fn buckets(metric: &str, aggregates: &[Aggregate]) -> BucketQuery {
    BucketQuery {
        tenant: TENANT,
        scope: Scope::Class("pumps".to_owned()),
        by_device: false,
        metric: metric.to_owned(),
        kind: None,
        from: i64::MIN / 2,
        to: i64::MAX / 2,
        resolution: Resolution::Millis(1000),
        aggregates: aggregates.to_vec(),
        tag: None,
        limit: 100,
        cursor: None,
        budget: Budget::default(),
    }
}

#[test]
fn a_page_goes_on_where_it_ended_while_rows_come_in_and_are_sealed() {
    let mut world = World::new(4);
    // Six rows that nothing but their arrival tells apart.
    world.send(&[0.0, 1.0, 2.0].map(|value| Message::number(0, NOW, value)));
    let mut query = of_device(0, 2);
    let first = world.store.points(&query).unwrap();
    world.seal();
    world.send(&[3.0, 4.0, 5.0].map(|value| Message::number(0, NOW, value)));
    world.send(&[Message::number(0, NOW - 1, 9.0), Message::number(0, NOW + 1, 6.0)]);
    query.cursor = first.next;
    let second = world.store.points(&query).unwrap();
    world.seal();
    world.store.maintain().unwrap();
    query.cursor = second.next;
    let third = world.store.points(&query).unwrap();
    query.cursor = third.next;
    let fourth = world.store.points(&query).unwrap();
    let pages = [&first, &second, &third, &fourth];
    let values: Vec<_> = pages.iter().flat_map(|page| &page.points).map(|point| point.value.clone()).collect();
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(Value::F64));
    assert_eq!(fourth.next, None);
}

#[test]
fn a_question_about_one_device_reads_only_its_rows() {
    let mut world = World::new(1000);
    let fleet: Vec<_> = (0..200).map(|at| Message::number(at, NOW + at as i64, 1.0)).collect();
    world.send(&fleet);
    world.seal();
    world.send(&fleet);
    let page = world.store.points(&of_device(7, 10)).unwrap();
    assert_eq!(page.points.len(), 2);
    let read = |tier, rows| SourceRead { tier, rows };
    assert_eq!(page.sources, [read(Tier::Head, 1), read(Tier::Hot, 1)]);
}

#[test]
fn a_query_that_costs_too_much_is_refused_with_advice() {
    let mut world = World::new(1000);
    world.send(&(0..100).map(|at| Message::number(0, NOW + at, 1.0)).collect::<Vec<_>>());
    for _ in 0..2 {
        let mut query = buckets("temperature", &[Aggregate::Avg]);
        query.budget = Budget { rows: 99, wait: Duration::from_secs(1) };
        let error = world.store.buckets(&query).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limited);
        assert_eq!(
            error.to_string(),
            "the query would read more than 99 rows: narrow `from` and `to`, ask for fewer devices, or use a coarser \
             `resolution`"
        );
        query.budget.rows = 100;
        world.store.buckets(&query).unwrap();
        world.seal();
    }
}

#[test]
fn buckets_align_to_the_epoch_before_and_after_it() {
    let mut world = World::new(1000);
    world.send(&[-1001, -1000, -1, 0, 999, 1000].map(|ts| Message::number(0, ts, ts as f64)));
    let answer = world.store.buckets(&buckets("temperature", &[Aggregate::Count])).unwrap();
    let found: Vec<_> =
        answer.series[0].buckets.iter().map(|bucket| (bucket.start, bucket.values[0].clone())).collect();
    let expected = [(-2000, 1), (-1000, 2), (0, 2), (1000, 1)];
    assert_eq!(found, expected.map(|(start, count)| (start, Some(Value::I64(count)))));
}

#[test]
fn integers_stay_exact() {
    let mut world = World::new(1000);
    let large = i64::MAX / 2;
    world.send(&[0, 1].map(|at| Message::new(0, NOW + at, &[("count", Value::I64(large + at))])));
    for resolution in [Resolution::All, Resolution::Millis(60_000)] {
        let mut query = buckets("count", &[Aggregate::Min, Aggregate::Max, Aggregate::Sum]);
        query.resolution = resolution;
        for _ in 0..2 {
            let answer = world.store.buckets(&query).unwrap();
            let expected = [large, large + 1, 2 * large + 1].map(|value| Some(Value::I64(value)));
            assert_eq!(answer.series[0].buckets[0].values, expected);
            world.seal();
        }
    }
}

#[test]
fn what_strings_cannot_answer_is_said() {
    let mut world = World::new(1000);
    world.send(&[Message::new(0, NOW, &[("state", Value::Str("on".into()))])]);
    let error = world.store.buckets(&buckets("state", &[Aggregate::Last, Aggregate::Avg])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.to_string(), "`state` holds strings, which have no `avg`: ask for first, last or count");
    let answer = world.store.buckets(&buckets("state", &[Aggregate::Last, Aggregate::Count])).unwrap();
    assert_eq!(answer.series[0].buckets[0].values, [Some(Value::Str("on".into())), Some(Value::I64(1))]);
}

#[test]
fn totals_of_sealed_blocks_answer_without_a_row_read() {
    let mut world = World::new(1000);
    world.send(&(0..100).map(|at| Message::number(at % 7, NOW + at as i64, at as f64)).collect::<Vec<_>>());
    world.seal();
    let mut query = buckets("temperature", &[Aggregate::Avg, Aggregate::Min, Aggregate::Max, Aggregate::Count]);
    query.resolution = Resolution::All;
    query.budget.rows = 0;
    let answer = world.store.buckets(&query).unwrap();
    let expected = [Value::F64(49.5), Value::F64(0.0), Value::F64(99.0), Value::I64(100)].map(Some);
    assert_eq!(answer.series[0].buckets[0].values, expected);
    assert_eq!(answer.sources, [SourceRead { tier: Tier::Hot, rows: 100 }]);
    // Totals would count rows that the span leaves out.
    query.from = NOW + 1;
    assert!(matches!(world.store.buckets(&query), Err(Error::Budget { .. })));
}

#[test]
fn a_device_that_changed_its_class_is_read_whole() {
    let mut world = World::new(1000);
    world.send(&[Message::number(0, NOW, 1.0)]);
    world.seal();
    world.send(&[Message::number(0, NOW + 1, 2.0).class("fans")]);
    let values: Vec<_> =
        world.store.points(&of_device(0, 10)).unwrap().points.into_iter().map(|point| point.value).collect();
    assert_eq!(values, [1.0, 2.0].map(Value::F64));
    let latest = world.store.latest(TENANT, device(0), Budget::default()).unwrap();
    assert_eq!(latest.metrics, [("temperature".into(), NOW + 1, Value::F64(2.0))]);
    assert_eq!(world.temperatures().len(), 1);
}

#[test]
fn text_that_is_no_cursor_and_no_aggregate_is_refused() {
    for text in ["", "1", "1_2_3_4", "1_2_3_4_5_6", "1_2_3_x_00000000-0000-0000-0000-000000000000_6"] {
        let error = text.parse::<Cursor>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("take `next` of the page before"), "{error}");
    }
    let error = "median".parse::<Aggregate>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`median` is not an aggregate: choose from avg, min, max, sum, count, first, last, p50, p95, p99"
    );
}
