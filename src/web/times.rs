//! What was recorded when: `GET /api/timeline` and `GET /api/days`; and what time it is: `POST
//! /api/clock`.
//!
//! The first two walk once through a camera's recordings in the catalogue.
//! Spec: docs/http.md.

use super::{Web, answer::Answer};
use crate::{
    clock::Refused,
    http::request::Head,
    limits::{COVERAGE_DAYS_MAX, COVERAGE_SPANS_MAX, COVERAGE_SPANS_PER_DAY, DAYS_MAX},
    mp4::identity::{Cause, Clock},
    runtime,
    storage::{
        catalog::{Catalog, Entry},
        coverage::{Coverage, Gap, Span, Survey},
        days::Days,
    },
    units::WallTime,
    zone::Zone,
};
use serde::{Deserialize, Serialize};

/// `POST /api/clock`.
#[derive(Deserialize)]
struct Told {
    now_ms: i64,
}

/// The clock, in `GET /api/status` and here.
#[derive(Serialize)]
pub(super) struct ClockStatus {
    now_ms: i64,
    pub trusted: bool,
    kept_by: &'static str,
}

/// `GET /api/timeline`.
#[derive(Serialize)]
struct Timeline<'a> {
    camera: &'a str,
    from: i64,
    to: i64,
    complete: bool,
    read_to: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    merged: bool,
    spans: Vec<SpanRow>,
    gaps: Vec<(i64, i64, &'static str)>,
    kept: Vec<(i64, i64)>,
    marks: [(); 0],
}

/// Start, end, first and last number.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum SpanRow {
    Trusted(i64, i64, u32, u32),
    Doubtful(i64, i64, u32, u32, &'static str),
}

/// `GET /api/days`: columns with one entry per day.
#[derive(Serialize)]
struct DaysTable<'a> {
    camera: &'a str,
    /// A date.
    first: String,
    seconds: Vec<i64>,
    bytes: Vec<u64>,
    /// Seconds.
    kept: Vec<i64>,
    marks: Vec<u32>,
    complete: bool,
    read_to: Option<i64>,
}

impl Web {
    pub(super) fn timeline(&self, head: &Head<'_>) -> Answer {
        let now = self.daemon.clock.now();
        let (from, to) = match span_asked(head, now) {
            Ok(span) => span,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let catalog = self.catalog();
        let camera = self.camera_asked(head, &catalog);
        let read_to = self.read_to(&catalog);
        let Some(entries) = self.entries_of(&camera, &catalog) else { return no_such_camera() };
        let days = usize::try_from((to.0 - from.0) / MILLIS_PER_DAY).unwrap_or(0) + 1;
        let spans_max = (days * COVERAGE_SPANS_PER_DAY).min(COVERAGE_SPANS_MAX);
        let mut survey = Survey::new(from, to, spans_max);
        if let Some(cause) = self.why_not_recorded_now(&camera) {
            survey.nothing_until(now, cause);
        }
        entries.for_each(|entry| survey.add(entry));
        let Coverage { spans, gaps, kept, merged } = survey.finish();
        drop(catalog);
        Answer::json(&Timeline {
            camera: &camera,
            from: from.0,
            to: to.0,
            complete: read_to.is_none(),
            read_to,
            merged,
            spans: spans.iter().map(SpanRow::of).collect(),
            gaps: gaps
                .iter()
                .map(|Gap { start, end, cause }| (start.0, end.0, cause.name()))
                .collect(),
            kept: kept.iter().map(|span| (span.start.0, span.end.0)).collect(),
            marks: [],
        })
    }

    pub(super) fn days(&self, head: &Head<'_>) -> Answer {
        let zone = match head.parameter("tz").map(Zone::parse_changes) {
            Some(Err(wrong)) => return Answer::error(400, format!("tz: {wrong}")),
            Some(Ok(zone)) => zone,
            None => Zone::of_this_machine(),
        };
        let (from, to) = match head.number("from").and_then(|from| Ok((from, head.number("to")?))) {
            Ok(span) => span,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let catalog = self.catalog();
        let camera = self.camera_asked(head, &catalog);
        let read_to = self.read_to(&catalog);
        let entries = || self.entries_of(&camera, &catalog);
        let Some(known) = entries() else { return no_such_camera() };
        let to = to.unwrap_or(self.daemon.clock.now().0);
        if from.is_some_and(|from| from > to) {
            return Answer::error(400, BACKWARDS);
        }
        // Times years away come from a wrong clock and are only included on request.
        let near = to.saturating_sub((DAYS_MAX - 1) * MILLIS_PER_DAY)..to;
        let starts = known.filter(|it| it.is_read()).map(|entry| entry.start.0);
        let oldest = || starts.filter(|start| near.contains(start)).min().unwrap_or(to);
        let from = from.unwrap_or_else(oldest);
        let Some(mut days) = Days::new(WallTime(from), WallTime(to), &zone) else {
            let wrong = format!("from, to: at most {DAYS_MAX} days at a time");
            return Answer::error(400, wrong);
        };
        entries().into_iter().flatten().for_each(|entry| days.add(entry));
        drop(catalog);
        Answer::json(&DaysTable {
            camera: &camera,
            first: WallTime(days.first.saturating_mul(MILLIS_PER_DAY)).date(),
            seconds: days.days.iter().map(|day| (day.millis + 500) / 1000).collect(),
            bytes: days.days.iter().map(|day| day.bytes).collect(),
            kept: days.days.iter().map(|day| (day.kept_millis + 500) / 1000).collect(),
            marks: vec![0; days.days.len()],
            complete: read_to.is_none(),
            read_to,
        })
    }

    pub(super) fn clock_status(&self) -> ClockStatus {
        ClockStatus {
            now_ms: self.daemon.clock.now().0,
            trusted: self.daemon.trust.get() == Clock::Trusted,
            kept_by: self.daemon.clock.keeper().name(),
        }
    }

    pub(super) fn take_time(&self, body: &[u8]) -> Answer {
        let Ok(Told { now_ms }) = serde_json::from_slice(body) else {
            return Answer::error(400, "expected {\"now_ms\": MILLISECONDS}, UTC");
        };
        match self.daemon.take_time(WallTime(now_ms)) {
            Ok(()) => Answer::json(&self.clock_status()),
            Err(refused @ Refused::Kept(_)) => Answer::error(409, refused.to_string()),
            Err(refused @ Refused::Absurd(_)) => Answer::error(400, refused.to_string()),
        }
    }

    /// Returns a camera's recordings, newest first; `None` if there is no such camera.
    fn entries_of<'a>(
        &self,
        camera: &str,
        catalog: &'a Catalog,
    ) -> Option<impl Iterator<Item = &'a Entry> + use<'a>> {
        let owner = catalog.owner(camera);
        // Recordings of a former camera may not have been read yet.
        let may_be = camera.is_empty() || self.station(camera).is_some() || !catalog.complete();
        let is_known = owner.is_some() || may_be;
        let recordings = owner.map(|owner| catalog.recordings(owner, None));
        is_known.then(|| recordings.into_iter().flatten().map(|(_, entry)| entry))
    }

    /// `None` if it is being recorded, or if the time is unknown.
    fn why_not_recorded_now(&self, camera: &str) -> Option<Cause> {
        let station = self.station(camera)?;
        let is_trusted = self.daemon.trust.get() == Clock::Trusted;
        let is_told = is_trusted && station.segment().is_none();
        is_told.then(|| station.why_not_recorded(runtime::now()))
    }
}

impl SpanRow {
    fn of(span: &Span) -> SpanRow {
        let Span { start, end, first, last, .. } = *span;
        match span.clock_trusted {
            true => SpanRow::Trusted(start.0, end.0, first, last),
            false => SpanRow::Doubtful(start.0, end.0, first, last, "doubtful"),
        }
    }
}

/// The span requested; by default the last day.
fn span_asked(head: &Head<'_>, now: WallTime) -> Result<(WallTime, WallTime), String> {
    let to = head.number("to")?.unwrap_or(now.0);
    let from = head.number("from")?.unwrap_or(to.saturating_sub(MILLIS_PER_DAY));
    if from > to {
        return Err(BACKWARDS.into());
    }
    if to.saturating_sub(from) > COVERAGE_DAYS_MAX * MILLIS_PER_DAY {
        return Err(format!("from, to: at most {COVERAGE_DAYS_MAX} days at a time"));
    }
    Ok((WallTime(from), WallTime(to)))
}

fn no_such_camera() -> Answer {
    Answer::error(404, "no such camera")
}

const BACKWARDS: &str = "from, to: the span ends before it begins";
const MILLIS_PER_DAY: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_336_200_000;
    const CAMERA: &str = "a-camera-with-32-characters-name";

    #[test]
    fn a_day_of_spans_and_gaps_has_no_more_than_2_kb() {
        let span = SpanRow::Trusted(NOW, NOW + 1, 1_234_567, 1_234_567);
        let spans = std::iter::repeat_n(span, COVERAGE_SPANS_PER_DAY);
        let gaps = std::iter::repeat_n((NOW, NOW + 1, "unknown"), COVERAGE_SPANS_PER_DAY);
        let timeline = Timeline {
            camera: CAMERA,
            from: NOW,
            to: NOW,
            complete: false,
            read_to: Some(NOW),
            merged: true,
            spans: spans.collect(),
            gaps: gaps.collect(),
            kept: vec![(NOW, NOW + 1); COVERAGE_SPANS_PER_DAY / 3],
            marks: [],
        };
        assert!(serde_json::to_string(&timeline).unwrap().len() <= 2048);
    }

    #[test]
    fn a_month_of_days_has_no_more_than_1_kb() {
        let days = DaysTable {
            camera: CAMERA,
            first: WallTime(NOW).date(),
            seconds: vec![86_400; 31],
            bytes: vec![86_400_000_000; 31], // 8 Mbit/s
            kept: vec![86_400; 31],
            marks: vec![99; 31],
            complete: false,
            read_to: Some(NOW),
        };
        let text = serde_json::to_string(&days).unwrap();
        assert!(text.len() <= 1024 && text.contains("\"2026-11-22\""), "{text}");
    }
}
