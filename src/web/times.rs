//! What was recorded when (`GET /api/timeline`, `GET /api/days`), and the clock (`POST
//! /api/clock`).
//!
//! The first two pass once over a camera's recordings in the catalogue. Spec: docs/http.md.

use super::{Web, answer::Answer, marks::Sources};
use crate::{
    clock::TimeRefused,
    http::request::Head,
    limits::{
        COVERAGE_DAYS_MAX, COVERAGE_SPANS_MAX, COVERAGE_SPANS_PER_DAY, DAYS_MAX,
        TIMELINE_DAY_BYTES, TIMELINE_MARKS_MIN,
    },
    mp4::identity::{Cause, ClockTrust},
    runtime,
    storage::{
        catalog::{Catalog, Entry},
        coverage::{Coverage, CoverageSurvey, Gap, Span},
        days::Days,
        marks::rows::{JoinedMark, Rows},
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
    marks: Vec<MarkSpan>,
    /// Start and end.
    watched: Vec<(i64, i64)>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    marks_merged: bool,
}

/// Start, end and kind; if several marks are joined, also their number.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum MarkSpan {
    One(i64, i64, String),
    Joined(i64, i64, String, u32),
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
    pub(super) async fn timeline(&self, head: &Head<'_>) -> Answer {
        let now = self.daemon.clock.now();
        let (from, to) = match span_asked(head, now) {
            Ok(span) => span,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let days = usize::try_from((to.0 - from.0 - 1) / MILLIS_PER_DAY).unwrap_or(0) + 1;
        let bytes_max = days.min(COVERAGE_SPANS_MAX / COVERAGE_SPANS_PER_DAY) * TIMELINE_DAY_BYTES;
        let (camera, sources) = {
            let catalog = self.catalog();
            (self.camera_asked(head, &catalog), self.mark_sources(&catalog, (from, to)))
        };
        let empty = || Rows::new(&camera, from, to, bytes_max / MARK_SPAN_BYTES);
        let marks = self.gather(sources, &empty, Rows::add).await;
        let catalog = self.catalog();
        let read_to = self.read_to(&catalog);
        let Some(entries) = self.entries_of(&camera, &catalog) else { return no_such_camera() };
        let spans_max = (days * COVERAGE_SPANS_PER_DAY).min(COVERAGE_SPANS_MAX);
        let mut survey = CoverageSurvey::new(from, to, spans_max);
        if let Some(cause) = self.why_not_recorded_now(&camera) {
            survey.nothing_until(now, cause);
        }
        entries.for_each(|entry| survey.add(entry));
        let Coverage { spans, gaps, kept, merged } = survey.finish();
        drop(catalog);
        let mut timeline = Timeline {
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
            marks: Vec::new(),
            watched: Vec::new(),
            marks_merged: marks.is_err(),
        };
        timeline.add_marks(marks.unwrap_or_else(|_| empty()), bytes_max);
        Answer::json(&timeline)
    }

    pub(super) async fn days(&self, head: &Head<'_>) -> Answer {
        let (camera, days, sources, read_to) = match self.sum_days(head) {
            Ok(summed) => summed,
            Err(wrong) => return wrong,
        };
        let empty = || (camera.clone(), days.clone());
        let counted = self.gather(sources, &empty, |(camera, days), mark, began| {
            if mark.camera == *camera && !mark.is_watch() {
                days.count(mark.began(began).0);
            }
        });
        let (camera, days) = counted.await.unwrap_or_else(|_| empty());
        Answer::json(&DaysTable {
            camera: &camera,
            first: WallTime(days.first.saturating_mul(MILLIS_PER_DAY)).date(),
            seconds: days.days.iter().map(|day| (day.millis + 500) / 1000).collect(),
            bytes: days.days.iter().map(|day| day.bytes).collect(),
            kept: days.days.iter().map(|day| (day.kept_millis + 500) / 1000).collect(),
            marks: days.days.iter().map(|day| day.marks).collect(),
            complete: read_to.is_none(),
            read_to,
        })
    }

    /// The requested camera, its recordings summed by day, and the sources of its marks.
    fn sum_days(&self, head: &Head<'_>) -> Result<(String, Days, Sources, Option<i64>), Answer> {
        let wrong = |wrong: String| Answer::error(400, wrong);
        let zone = match head.parameter("tz") {
            Some(text) => Zone::parse_changes(text).map_err(|it| wrong(format!("tz: {it}")))?,
            None => Zone::of_this_machine(),
        };
        let (from, to) = (head.number("from").map_err(wrong)?, head.number("to").map_err(wrong)?);
        let catalog = self.catalog();
        let camera = self.camera_asked(head, &catalog);
        let entries = || self.entries_of(&camera, &catalog);
        let known = entries().ok_or_else(no_such_camera)?;
        let to = to.unwrap_or(self.daemon.clock.now().0);
        if from.is_some_and(|from| from > to) {
            return Err(wrong(BACKWARDS.into()));
        }
        // Times years away come from a wrong clock and are included only on request.
        let near = to.saturating_sub((DAYS_MAX - 1) * MILLIS_PER_DAY)..to;
        let starts = known.filter(|it| it.is_read()).map(|entry| entry.start.0);
        let oldest = || starts.filter(|start| near.contains(start)).min().unwrap_or(to);
        let (from, to) = (WallTime(from.unwrap_or_else(oldest)), WallTime(to));
        let days = Days::new(from, to, &zone);
        let too_long = || wrong(format!("from, to: at most {DAYS_MAX} days at a time"));
        let mut days = days.ok_or_else(too_long)?;
        entries().into_iter().flatten().for_each(|entry| days.add(entry));
        let sources = self.mark_sources(&catalog, (from, to));
        let read_to = self.read_to(&catalog);
        Ok((camera, days, sources, read_to))
    }

    pub(super) fn clock_status(&self) -> ClockStatus {
        ClockStatus {
            now_ms: self.daemon.clock.now().0,
            trusted: self.daemon.trust.get() == ClockTrust::Trusted,
            kept_by: self.daemon.clock.keeper().name(),
        }
    }

    pub(super) fn take_time(&self, body: &[u8]) -> Answer {
        let Ok(Told { now_ms }) = serde_json::from_slice(body) else {
            return Answer::error(400, "expected {\"now_ms\": MILLISECONDS}, UTC");
        };
        match self.daemon.take_time(WallTime(now_ms)) {
            Ok(()) => Answer::json(&self.clock_status()),
            Err(refused @ TimeRefused::Kept(_)) => Answer::error(409, refused.to_string()),
            Err(refused @ TimeRefused::Absurd(_)) => Answer::error(400, refused.to_string()),
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

    /// Why the camera is not recorded now; `None` if it is, or if the time is unknown.
    fn why_not_recorded_now(&self, camera: &str) -> Option<Cause> {
        let station = self.station(camera)?;
        let is_trusted = self.daemon.trust.get() == ClockTrust::Trusted;
        let is_told = is_trusted && station.segment().is_none();
        is_told.then(|| station.why_not_recorded(runtime::now()))
    }
}

impl Timeline<'_> {
    /// Adds as many marks as the reply has room for, and always at least a few.
    fn add_marks(&mut self, rows: Rows, bytes_max: usize) {
        let length = serde_json::to_vec(self).map_or(0, |text| text.len());
        let room = bytes_max.saturating_sub(length + MARKS_MERGED_BYTES);
        let marks_max = (room / 4 * 3 / MARK_SPAN_BYTES).max(TIMELINE_MARKS_MIN);
        let watched_max = (room / 4 / WATCHED_BYTES).max(TIMELINE_MARKS_MIN);
        let (marks, watched, merged) = rows.finish(marks_max, watched_max);
        self.marks = marks.into_iter().map(MarkSpan::of).collect();
        self.watched = watched.iter().map(|(begin, end)| (begin.0, end.0)).collect();
        self.marks_merged |= merged;
    }
}

impl MarkSpan {
    fn of(row: JoinedMark) -> MarkSpan {
        let kind = row.kind.as_ref().map_or(SEVERAL, |kind| kind.as_str()).to_owned();
        match row.count {
            1 => MarkSpan::One(row.begin.0, row.end.0, kind),
            count => MarkSpan::Joined(row.begin.0, row.end.0, kind, count),
        }
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

/// The span requested; by default the last day, this millisecond included.
pub(super) fn span_asked(head: &Head<'_>, now: WallTime) -> Result<(WallTime, WallTime), String> {
    let to = head.number("to")?.unwrap_or(now.0.saturating_add(1));
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
/// The kind of joined marks of several kinds.
const SEVERAL: &str = "several";
/// Bytes in the reply of one mark with a long kind, of one watched span, and of the note that there
/// are more.
const MARK_SPAN_BYTES: usize = 56;
const WATCHED_BYTES: usize = 30;
const MARKS_MERGED_BYTES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{
        catalog::SegmentTime,
        marks::{Course, Mark, Word},
    };

    impl MarkSpan {
        fn count(&self) -> u32 {
            match self {
                MarkSpan::One(..) => 1,
                MarkSpan::Joined(.., count) => *count,
            }
        }
    }

    const NOW: i64 = 1_795_336_200_000;
    const CAMERA: &str = "a-camera-with-32-characters-name";

    fn busy(spans: usize) -> Timeline<'static> {
        let span = SpanRow::Trusted(NOW, NOW + 1, 1_234_567, 1_234_567);
        Timeline {
            camera: CAMERA,
            from: NOW,
            to: NOW,
            complete: false,
            read_to: Some(NOW),
            merged: true,
            spans: std::iter::repeat_n(span, spans).collect(),
            gaps: std::iter::repeat_n((NOW, NOW + 1, "no event"), spans).collect(),
            kept: vec![(NOW, NOW + 1); spans / 3],
            marks: Vec::new(),
            watched: Vec::new(),
            marks_merged: false,
        }
    }

    /// This many marks with long kinds, and watched spans.
    fn rows(count: i64, kinds: [&str; 2]) -> Rows {
        let mut rows = Rows::new(
            CAMERA,
            WallTime(0),
            WallTime(i64::MAX),
            TIMELINE_DAY_BYTES / MARK_SPAN_BYTES,
        );
        for nth in 0..count {
            for kind in [kinds[nth as usize % 2], "watched"] {
                let (kind, source) = (Word::new(kind).unwrap(), Word::new("script").unwrap());
                let wall = WallTime(NOW + nth * 100_000);
                let begin =
                    SegmentTime { boot: [0; 16], up_ms: None, wall, clock: ClockTrust::Trusted };
                let (camera, words, course) = (CAMERA.into(), String::new(), Course::Over);
                let mark = Mark { camera, source, kind, words, begin, length_ms: 9000, course };
                rows.add(&mark, &Vec::new());
            }
        }
        rows
    }

    #[test]
    fn a_day_of_spans_gaps_and_marks_takes_at_most_2_kb() {
        for (spans, count) in [(COVERAGE_SPANS_PER_DAY, 10_000), (1, 10_000), (1, 12), (12, 2)] {
            for kinds in [["a-kind-of-16-let"; 2], ["motion", "person"]] {
                let mut timeline = busy(spans);
                timeline.add_marks(rows(count, kinds), TIMELINE_DAY_BYTES);
                let text = serde_json::to_string(&timeline).unwrap();
                assert!(text.len() <= 2048, "{spans} {count} {}", text.len());
                let told: u32 = timeline.marks.iter().map(MarkSpan::count).sum();
                assert_eq!(told, u32::try_from(count).unwrap(), "none is left out");
                assert_eq!(timeline.marks_merged, count > 12);
                assert!(timeline.marks.len() >= TIMELINE_MARKS_MIN.min(count as usize));
            }
        }
    }

    #[test]
    fn a_month_of_days_takes_at_most_1_kb() {
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
