//! What the page wants of the daemon, as requests: record, list, delete, let go of the card, end.
//!
//! Spec: README, "HTTP". Knows nothing of: how it is done.

use super::{
    Web,
    answer::{Answer, Maker},
    head::Head,
};
use crate::{
    limits,
    storage::catalog::{Catalog, Entry, Folder},
};
use serde::Serialize;
use serde_json::json;

/// One entry of `GET /api/recordings`.
#[derive(Serialize)]
struct Recording<'a> {
    camera: &'a str,
    number: u32,
    file: String,
    start_ms: i64,
    clock_trusted: bool,
    duration_ms: u32,
    bytes: u64,
    codec: Option<&'static str>,
    mime: Option<String>,
    state: &'static str,
    gap_before_ms: u32,
}

/// The answer to it. 60 bytes a recording while it is sent, where its text has 250.
#[derive(Default)]
struct List {
    camera: String,
    rows: Vec<Row>,
    /// `codecs` of the rows, each once.
    codecs: Vec<String>,
    /// `before` of the following page.
    next: Option<u32>,
    /// Whether every head was read.
    complete: bool,
}

struct Row {
    entry: Entry,
    gap_before_ms: u32,
    /// Its place among `List::codecs`.
    codecs: usize,
}

impl Web {
    pub(super) async fn record_start(&self, head: &Head<'_>) -> Answer {
        let result = self.daemon.start_recording(head.parameter("camera")).await;
        self.recording_states(head, result)
    }

    pub(super) async fn record_stop(&self, head: &Head<'_>) -> Answer {
        let result = self.daemon.stop_recording(head.parameter("camera")).await;
        self.recording_states(head, result)
    }

    fn recording_states(&self, head: &Head<'_>, result: Result<(), String>) -> Answer {
        if let Some(name) = head.parameter("camera")
            && self.station(name).is_none()
        {
            return Answer::error(404, "no such camera");
        }
        if let Err(reason) = result {
            return Answer::error(409, reason);
        }
        let stations = self.daemon.stations.borrow();
        let states = stations.iter().map(|station| {
            json!({"name": station.camera.name, "recording": station.segment().is_some()})
        });
        Answer::json(&json!({"cameras": states.collect::<Vec<_>>()}))
    }

    pub(super) async fn shutdown(&self) -> Answer {
        self.daemon.shut_down().await;
        Answer::json(&json!({}))
    }

    pub(super) async fn storage_release(&self) -> Answer {
        let result = self.daemon.release_card().await;
        // Who downloads reads nothing more, but may be reading a last piece: it is waited for.
        let _ = self.reader.run(|| ()).await;
        self.card_state(result)
    }

    pub(super) async fn storage_resume(&self) -> Answer {
        let result = self.daemon.resume_card().await;
        self.card_state(result)
    }

    fn card_state(&self, result: Result<(), String>) -> Answer {
        match result {
            Ok(()) => Answer::json(&json!({"state": self.daemon.card.borrow().name()})),
            Err(reason) => Answer::error(503, reason),
        }
    }

    pub(super) fn recordings(&self, head: &Head<'_>) -> Answer {
        let query = match Query::of(head) {
            Ok(query) => query,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let stations = self.daemon.stations.borrow();
        let camera = match head.parameter("camera") {
            Some(name) => name,
            None => stations.first().map_or("", |station| &station.camera.name),
        };
        let Some(id) = self.daemon.camera_id(camera) else {
            // Without any camera there are no recordings; a wrong name is a mistake.
            return match head.parameter("camera") {
                None => Answer::made(List { complete: true, ..List::default() }),
                Some(_) => Answer::error(404, "no such camera"),
            };
        };
        let catalog = self.catalog();
        let mut list = List { complete: catalog.complete(), ..List::default() };
        if let Some(folder) = catalog.folder(id) {
            query.list(folder, &catalog, &mut list);
        }
        drop(catalog);
        list.camera = camera.to_owned();
        Answer::made(list)
    }
}

/// Which recordings are asked for.
struct Query {
    from: i64,
    to: i64,
    before: u32,
    limit: usize,
}

impl Query {
    fn of(head: &Head<'_>) -> Result<Query, String> {
        let number = |name: &str, default: i64| match head.parameter(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{name}: expected a whole number")),
        };
        let limit = number("limit", limits::LIST_ENTRIES_DEFAULT as i64)?;
        let before = number("before", i64::from(u32::MAX))?;
        Ok(Query {
            from: number("from", i64::MIN)?,
            to: number("to", i64::MAX)?,
            before: u32::try_from(before.max(0)).unwrap_or(u32::MAX),
            limit: usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=limits::LIST_ENTRIES_MAX).contains(limit))
                .ok_or(format!("limit: expected 1 to {}", limits::LIST_ENTRIES_MAX))?,
        })
    }

    /// Newest first.
    fn list(&self, folder: &Folder, catalog: &Catalog, list: &mut List) {
        let entries = folder.entries();
        let end = entries.partition_point(|entry| entry.name.number() < self.before);
        let wanted = |entry: &&Entry| entry.end().0 >= self.from && entry.start.0 < self.to;
        let found = entries.get(..end).unwrap_or_default().iter().rev().filter(wanted);
        let mut found = found.peekable();
        // Files of one number stay together: the next page begins below it.
        while let Some(entry) = found.next_if(|entry| {
            let last = list.rows.last().map(|row| row.entry.name.number());
            list.rows.len() < self.limit || last == Some(entry.name.number())
        }) {
            let text = catalog.codecs(entry);
            let known = list.codecs.iter().position(|codecs| codecs == text);
            let codecs = known.unwrap_or_else(|| {
                list.codecs.push(text.to_owned());
                list.codecs.len() - 1
            });
            let gap_before_ms = folder.gap_before_ms(entry.name);
            list.rows.push(Row { entry: *entry, gap_before_ms, codecs });
        }
        let last = list.rows.last().map(|row| row.entry.name.number());
        list.next = last.filter(|_| found.next().is_some());
    }
}

impl Maker for List {
    fn make(&self, piece: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(if piece == 0 { b"{\"recordings\":[" } else { b"" });
        match self.rows.get(piece) {
            Some(row) => {
                out.extend_from_slice(if piece == 0 { b"" } else { b"," });
                // Numbers and text: it can not fail.
                let _ = serde_json::to_writer(out, &self.recording(row));
                true
            }
            None if piece == self.rows.len() => {
                let end = json!({"next": self.next, "complete": self.complete}).to_string();
                out.extend_from_slice(b"],");
                out.extend_from_slice(end.trim_start_matches('{').as_bytes());
                true
            }
            None => false,
        }
    }
}

impl List {
    fn recording(&self, row: &Row) -> Recording<'_> {
        let entry = &row.entry;
        let codecs = self.codecs.get(row.codecs).filter(|codecs| !codecs.is_empty());
        Recording {
            camera: &self.camera,
            number: entry.name.number(),
            file: entry.name.file_name(),
            start_ms: entry.start.0,
            clock_trusted: entry.clock_trusted,
            duration_ms: entry.duration_ms,
            bytes: entry.bytes,
            codec: entry.codec.map(crate::codec::Codec::name),
            mime: codecs.map(|codecs| format!("video/mp4; codecs=\"{codecs}\"")),
            state: entry.state.name(),
            gap_before_ms: row.gap_before_ms,
        }
    }
}
