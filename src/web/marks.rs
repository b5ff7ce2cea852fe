//! `POST /api/marks` accepts marks and `GET /api/marks` lists them; the timeline reads them here
//! too.
//!
//! The reader's thread reads the files; the daemon knows the marks not yet written to them.
//! Spec: docs/http.md.

use super::{Web, answer::Answer};
use crate::{
    daemon::marks::{MarkRefused, MarkReport, When},
    http::request::Head,
    limits::{LIST_ENTRIES_DEFAULT, LIST_ENTRIES_MAX, MARK_FILE_BYTES, MARK_ON_TIMEOUT},
    mp4::identity::ClockTrust,
    storage::{
        catalog::Catalog,
        disk::{Access, Disk as _, linux::LinuxDisk},
        marks::{self, Began, Mark, Word, rows},
    },
    units::WallTime,
};
use serde::{Deserialize, Serialize};
use std::{io, path::Path, rc::Rc};

/// `POST /api/marks`.
#[derive(Deserialize)]
struct Told {
    camera: Option<String>,
    kind: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    words: String,
    begin_ms: Option<i64>,
    end_ms: Option<i64>,
    state: Option<State>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    On,
    Off,
}

/// A mark, in lists and events.
#[derive(Serialize)]
pub(super) struct MarkRow<'a> {
    camera: &'a str,
    source: &'a str,
    kind: &'a str,
    begin_ms: i64,
    /// `None` while it goes on.
    end_ms: Option<i64>,
    clock_trusted: bool,
    words: &'a str,
}

/// `GET /api/marks`.
#[derive(Serialize)]
struct List<'a> {
    marks: Vec<MarkRow<'a>>,
}

/// Where the marks of a span of time are.
pub(super) struct Sources {
    files: Vec<std::path::PathBuf>,
    recent: Vec<Mark>,
    began: Began,
}

impl Web {
    /// `POST /api/marks`.
    pub(super) fn take_mark(self: &Rc<Self>, body: &[u8]) -> Answer {
        let told: Told = match serde_json::from_slice(body) {
            Ok(told) => told,
            Err(wrong) => return Answer::error(400, wrong.to_string()),
        };
        let (camera, said) = match told.said(self.only_camera()) {
            Ok(said) => said,
            Err(wrong) => return Answer::error(400, wrong),
        };
        match self.daemon.mark(&camera, &said) {
            Ok(mark) => Answer::json(&MarkRow::of(&mark, &self.catalog().began())),
            Err(refused) => {
                let status = match refused {
                    MarkRefused::NoSuchCamera => 404,
                    MarkRefused::NotOn => 409,
                    MarkRefused::Time => 400,
                    MarkRefused::TooMany(_) => 429,
                };
                let answer = Answer::error(status, refused.to_string());
                match refused {
                    MarkRefused::TooMany(seconds) => {
                        answer.with("Retry-After", seconds.to_string())
                    }
                    _ => answer,
                }
            }
        }
    }

    /// The camera of a report that names none, if there is only one.
    fn only_camera(&self) -> Option<String> {
        match self.daemon.stations.borrow().as_slice() {
            [one] => Some(one.camera.name.clone()),
            _ => None,
        }
    }

    /// `GET /api/marks`.
    pub(super) async fn marks(&self, head: &Head<'_>) -> Answer {
        let (span, limit) = match self.list_asked(head) {
            Ok(asked) => asked,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let camera = head.parameter("camera").map(str::to_owned);
        if camera
            .as_ref()
            .is_some_and(|it| self.station(it).is_none() && self.catalog().owner(it).is_none())
        {
            return Answer::error(404, "no such camera");
        }
        let sources = self.mark_sources(&self.catalog(), span);
        let began = self.catalog().began();
        let empty = || rows::Newest::new(camera.clone(), span.0, span.1, limit);
        let mut newest = match self.gather(sources, &empty, rows::Newest::add).await {
            Ok(newest) => newest,
            Err(_) => {
                return Answer::error(503, "the card is busy: ask again").with("Retry-After", "2");
            }
        };
        newest.settle();
        let marks = newest.marks.iter().map(|(.., mark)| {
            let mut row = MarkRow::of(mark, &began);
            if !self.daemon.marks.borrow().is_live(mark) {
                row.end_ms = row.end_ms.or(Some(row.begin_ms + i64::from(mark.length_ms)));
            }
            row
        });
        Answer::json(&List { marks: marks.collect() })
    }

    fn list_asked(&self, head: &Head<'_>) -> Result<((WallTime, WallTime), usize), String> {
        let limit = head.number("limit")?.unwrap_or(LIST_ENTRIES_DEFAULT as i64);
        let limit = usize::try_from(limit).ok().filter(|it| (1..=LIST_ENTRIES_MAX).contains(it));
        let limit = limit.ok_or(format!("limit: expected 1 to {LIST_ENTRIES_MAX}"))?;
        Ok((super::times::span_asked(head, self.daemon.clock.now())?, limit))
    }

    /// Where to look for the marks of a span.
    pub(super) fn mark_sources(
        &self,
        catalog: &Catalog,
        (from, to): (WallTime, WallTime),
    ) -> Sources {
        let mut recent: Vec<_> = self.daemon.history.borrow().marks.iter().cloned().collect();
        recent.extend(self.daemon.marks.borrow().live(self.daemon.clock.up_ms()));
        Sources { files: catalog.mark_files(from, to), recent, began: catalog.began() }
    }

    /// Adds the marks of a span to a value. Without files, no thread is asked.
    pub(super) async fn gather<T: Send + 'static>(
        &self,
        sources: Sources,
        empty: &dyn Fn() -> T,
        add: fn(&mut T, &Mark, &Began),
    ) -> io::Result<T> {
        let Sources { files, recent, began } = sources;
        let mut value = empty();
        if files.is_empty() {
            rows::gather(std::iter::empty(), recent, |mark| add(&mut value, mark, &began));
            return Ok(value);
        }
        let read = move || {
            // An unreadable file has no marks; the card's state gives the reason.
            let files = files.iter().map(|file| read(file).unwrap_or_default());
            rows::gather(files, recent, |mark| add(&mut value, mark, &began));
            value
        };
        self.reader.run(read).await
    }
}

impl Told {
    fn said(self, only_camera: Option<String>) -> Result<(String, MarkReport), String> {
        let word = |name: &str, text: &str| {
            Word::new(text).ok_or_else(|| {
                format!(
                    "{name}: expected 1 to 16 characters of a-z, 0-9, - and _, such as \"motion\""
                )
            })
        };
        let camera = self.camera.or(only_camera).ok_or("camera: which one?")?;
        let source = word("source", self.source.as_deref().unwrap_or(SOURCE))?;
        let kind = word("kind", &self.kind)?;
        let words =
            marks::words(&self.words).ok_or("words: expected one line of at most 80 bytes")?;
        let when = match (self.state, self.begin_ms, self.end_ms) {
            (Some(State::On), None, None) => When::On(MARK_ON_TIMEOUT),
            (Some(State::Off), None, None) => When::Off,
            (Some(_), ..) => {
                return Err("state: begins or ends now, without begin_ms and end_ms".into());
            }
            (None, None, None) => When::Now,
            (None, Some(begin), end) => When::Span(WallTime(begin), WallTime(end.unwrap_or(begin))),
            (None, None, Some(_)) => return Err("end_ms: needs begin_ms".into()),
        };
        Ok((camera, MarkReport { source, kind, words, when }))
    }
}

impl<'a> MarkRow<'a> {
    pub fn of(mark: &'a Mark, began: &Began) -> MarkRow<'a> {
        let (begin, clock) = mark.began(began);
        let end = begin.0.saturating_add(mark.length_ms.into());
        MarkRow {
            camera: &mark.camera,
            source: mark.source.as_str(),
            kind: mark.kind.as_str(),
            begin_ms: begin.0,
            end_ms: mark.course.is_over().then_some(end),
            clock_trusted: clock == ClockTrust::Trusted,
            words: &mark.words,
        }
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let file = LinuxDisk.open(file, Access::Read)?;
    LinuxDisk.read_whole(&file, MARK_FILE_BYTES)
}

/// The source of a report that names none.
const SOURCE: &str = "script";
