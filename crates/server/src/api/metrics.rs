//! `…/metrics`: raw points or buckets of one metric, of a device or over a class.

mod shape;

use axum::extract::{Path, State};
use axum::response::Response;
use registry::Right;
use store::{Aggregate, BucketQuery, Budget, PointQuery, Resolution, Scope};

use super::answer::{Beside, Form, respond};
use super::fields::Fields;
use super::query::{self, Span, cursor, value_kind};
use super::unit;
use crate::http::auth::device_id;
use crate::http::{Access, App, Context, Problem, Route};
use crate::units;
use shape::{BucketsAnswer, PointsAnswer, Subject};

const QUERY: Access = Access::Key(Right::Query);
const POINTS: &str = r#"{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","metric":"temperature","unit":"Cel","resolution":"1m","points":[{"ts":1800000000000,"avg":23.4,"max":24.1}],"next":null,"sources":[{"tier":"head","rows":12}]}"#;
const SERIES: &str = r#"{"class":"pump","metric":"temperature","unit":"Cel","resolution":"1m","series":[{"device_id":"c5a1f3de-3f5e-4a0e-8a4e-0e6b64b2d2f7","points":[{"ts":1800000000000,"avg":23.4}]}],"next":null,"sources":[{"tier":"head","rows":12}]}"#;

pub fn routes() -> Vec<Route> {
    vec![
        describe(Route::get("/v1/devices/{device_id}/metrics", QUERY, of_device))
            .says("Raw points of a metric, or buckets with `resolution`. Also as text/csv and application/vnd.apache.arrow.stream (`Accept`); there the headers `Tidewater-Next` and `Tidewater-Unit` carry `next` and `unit`. `unit` is the UCUM code that the rules in force give the metric: its own where it is computed, else the class's, the tenant's, or that of the schema of the device or class; null if nothing says it. A raw point has `received` where that is more than 60 s from `ts`.")
            .answers(200, POINTS),
        describe(Route::get("/v1/classes/{class}/metrics", QUERY, of_class))
            .says("The same over all devices of a class: one series, or with `by=device` one for each.")
            .optional("by", "`device`: one series for each device instead of one over all.")
            .optional("device", "Only these devices of the class: ids with commas between, at most 1000.")
            .answers(200, SERIES),
    ]
}

fn describe(route: Route) -> Route {
    route
        .required("metric", "The metric's name.")
        .optional("from", "Inclusive: ISO 8601, Unix milliseconds, or like -1h; an hour before `to` if absent.")
        .optional("to", "Exclusive; now if absent.")
        .optional("resolution", "Length of a bucket (10s, 1m, 1h, 1d …) or `all`; raw points if absent.")
        .optional("agg", "Aggregates of a bucket: avg,min,max,sum,count,first,last,p50,p95,p99; avg if absent.")
        .optional("type", "Only values of this type: double, long, boolean, string.")
        .optional("tag.NAME", "Only messages whose tag NAME has this value.")
        .optional("limit", "Points or buckets in the answer, at most 10000.")
        .optional("cursor", "`next` of the page before.")
}

async fn of_device(
    State(app): State<App>,
    context: Context,
    Path(device): Path<String>,
    form: Form,
    fields: Fields,
) -> Result<Response, Problem> {
    let device = device_id(&device)?;
    let asked = Asked::read(&app, fields, false)?;
    let (response, empty) = asked.answer(&app, &context, Scope::Device(device), form).await?;
    if empty {
        query::refuse_unknown_device(&app, &context, device).await?;
    }
    Ok(response)
}

async fn of_class(
    State(app): State<App>,
    context: Context,
    Path(class): Path<String>,
    form: Form,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let scope = match query::devices(&mut fields)? {
        Some(devices) => Scope::DevicesOfClass(class, devices),
        None => Scope::Class(class),
    };
    let asked = Asked::read(&app, fields, true)?;
    let (response, empty) = asked.answer(&app, &context, scope.clone(), form).await?;
    if empty {
        query::refuse_unknown(&app, &context, &scope).await?;
    }
    Ok(response)
}

/// A query string, read.
struct Asked {
    metric: String,
    span: Span,
    /// The text of `resolution` and what it means; `None` for raw points.
    resolution: Option<(String, Resolution)>,
    aggregates: Vec<Aggregate>,
    kind: Option<model::ValueKind>,
    tag: Option<(String, String)>,
    by_device: bool,
}

impl Asked {
    fn read(app: &App, mut fields: Fields, over_class: bool) -> Result<Self, Problem> {
        let metric = fields.require("metric", "temperature")?;
        let span = Span::take(&mut fields, app.clock.now_ms())?;
        let resolution = fields.take("resolution")?.map(resolution).transpose()?;
        let aggregates = aggregates(fields.take("agg")?, resolution.is_some())?;
        let kind = value_kind(&mut fields)?;
        let tag = fields.take_prefixed("tag.")?;
        let by_device = over_class && by_device(fields.take("by")?, resolution.is_some())?;
        Ok(Self { metric, span, resolution, aggregates, kind, tag, by_device })
    }

    /// The answer, and whether it is a first page without anything.
    async fn answer(self, app: &App, context: &Context, scope: Scope, form: Form) -> Result<(Response, bool), Problem> {
        let first = self.span.cursor.is_none();
        let (metric, unit) = (self.metric.clone(), unit::of_scope(app, context, &scope, &self.metric).await?);
        match self.resolution.clone() {
            None => {
                let subject = Subject { scope: scope.clone(), metric, unit: unit.clone(), resolution: None };
                let question = self.point_query(context, scope)?;
                let points = query::run(app, move |store| store.points(&question)).await?;
                let empty = first && points.points.is_empty();
                let beside = Beside { next: points.next.map(|next| next.to_string()), unit };
                let answer = PointsAnswer { subject: &subject, points: &points };
                Ok((respond(form, &answer, beside, || answer.table())?, empty))
            }
            Some((text, resolution)) => {
                let subject = Subject { scope: scope.clone(), metric, unit: unit.clone(), resolution: Some(text) };
                let question = self.bucket_query(context, scope, resolution)?;
                let (aggregates, by_device) = (question.aggregates.clone(), question.by_device);
                let buckets = query::run(app, move |store| store.buckets(&question)).await?;
                let empty = first && buckets.series.iter().all(|series| series.buckets.is_empty());
                let beside = Beside { next: buckets.next.map(|next| next.to_string()), unit };
                let answer = BucketsAnswer { subject: &subject, buckets: &buckets, aggregates: &aggregates, by_device };
                Ok((respond(form, &answer, beside, || answer.table())?, empty))
            }
        }
    }

    fn point_query(self, context: &Context, scope: Scope) -> Result<PointQuery, Problem> {
        let Span { from, to, limit, cursor: text } = self.span;
        let (tenant, metric, kind, tag) = (context.tenant, self.metric, self.kind, self.tag);
        let budget = Budget::default();
        Ok(PointQuery { tenant, scope, metric, kind, from, to, tag, limit, cursor: cursor(text)?, budget })
    }

    fn bucket_query(self, context: &Context, scope: Scope, resolution: Resolution) -> Result<BucketQuery, Problem> {
        let Span { from, to, limit, cursor: text } = self.span;
        Ok(BucketQuery {
            tenant: context.tenant,
            scope,
            by_device: self.by_device,
            metric: self.metric,
            kind: self.kind,
            from,
            to,
            resolution,
            aggregates: self.aggregates,
            tag: self.tag,
            limit,
            cursor: cursor(text)?,
            budget: Budget::default(),
        })
    }
}

fn resolution(text: String) -> Result<(String, Resolution), Problem> {
    if text == "all" {
        return Ok((text, Resolution::All));
    }
    let length = units::parse_duration(&text).and_then(|length| i64::try_from(length.as_millis()).ok());
    match length.filter(|length| *length > 0) {
        Some(length) => Ok((text, Resolution::Millis(length))),
        None => {
            let detail = format!("`resolution={text}` is not the length of a bucket: write 10s, 1m, 1h, 1d, or all.");
            Err(Problem::invalid("parameter-invalid", detail))
        }
    }
}

fn aggregates(text: Option<String>, buckets: bool) -> Result<Vec<Aggregate>, Problem> {
    let Some(text) = text else { return Ok(vec![Aggregate::Avg]) };
    if !buckets {
        let detail = "`agg` needs `resolution`: say how long a bucket is (1m), or `all` for one bucket.";
        return Err(Problem::invalid("parameter-missing", detail));
    }
    let mut aggregates = Vec::new();
    for name in text.split(',') {
        let aggregate: Aggregate = name.trim().parse()?;
        if !aggregates.contains(&aggregate) {
            aggregates.push(aggregate);
        }
    }
    Ok(aggregates)
}

fn by_device(text: Option<String>, buckets: bool) -> Result<bool, Problem> {
    match text.as_deref() {
        None => Ok(false),
        Some("device") if buckets => Ok(true),
        Some("device") => {
            let detail = "`by=device` needs `resolution`; raw points over a class name their device anyway.";
            Err(Problem::invalid("parameter-missing", detail))
        }
        Some(other) => {
            Err(Problem::invalid("parameter-invalid", format!("`by={other}` is not known: write `by=device`.")))
        }
    }
}
