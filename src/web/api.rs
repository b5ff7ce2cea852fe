//! Requests of the page: record, list, delete, release the card, shut down.
//!
//! Spec: docs/http.md.

use super::{
    Web,
    answer::{Answer, Body, Maker},
    playback::etag,
};
use crate::{
    http::request::Head,
    limits,
    mp4::identity::{ClockTrust, SegmentMarks},
    runtime,
    storage::{
        CameraId, DeleteError,
        catalog::{Catalog, Entry, Folder, Owner, Recordings},
        layout::Asked,
    },
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
    etag: String,
    codec: Option<&'static str>,
    mime: Option<String>,
    state: &'static str,
    kept: bool,
    thinned: bool,
    gap_before_ms: u32,
}

/// The reply to that. A recording takes 60 bytes while the list is sent; its text has 250.
#[derive(Default)]
struct List {
    camera: String,
    rows: Vec<Row>,
    /// The distinct `codecs` of the rows.
    codecs: Vec<String>,
    /// The `before` or `after` of the next page.
    next: Option<u32>,
    /// Changes if the list may be of another card.
    epoch: String,
    /// The camera's label; `None` if it is not configured.
    label: Option<String>,
    /// Whether every head has been read; otherwise recordings that began before `read_to` may be
    /// missing.
    complete: bool,
    read_to: Option<i64>,
}

struct Row {
    /// The folder it is in.
    folder: CameraId,
    entry: Entry,
    gap_before_ms: u32,
    /// Index into `List::codecs`.
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
        // Downloads start no further reads, but one may be in progress: wait for it.
        let _ = self.reader.run(|| ()).await;
        self.card_state(result)
    }

    pub(super) async fn storage_resume(&self) -> Answer {
        let result = self.daemon.resume_card().await;
        self.card_state(result)
    }

    /// `GET /snapshot/{camera}.jpg`.
    pub(super) async fn snapshot(&self, file: &str) -> Answer {
        let station = file.strip_suffix(".jpg").and_then(|name| self.station(name));
        let Some(station) = station else { return Answer::error(404, "no such camera") };
        match station.snapshots.newest().await {
            Ok(picture) => {
                let age = runtime::now().saturating_duration_since(picture.taken).as_millis();
                Answer::new(200, Body::Picture(picture))
                    .with("Age-Ms", age.to_string())
                    .with("Cache-Control", "no-store")
            }
            Err(reason) => Answer::error(503, reason.to_string()),
        }
    }

    /// `DELETE /api/recordings/{camera}/{number}`.
    pub(super) async fn delete_recording(&self, camera: &str, file: &str) -> Answer {
        let Some(file) = Asked::parse(file) else {
            return Answer::error(404, "no such recording");
        };
        match self.daemon.delete(camera, file).await {
            Ok(()) => Answer::json(&json!({})),
            Err(error) => {
                let status = match error {
                    DeleteError::NotThere => 404,
                    DeleteError::Recording | DeleteError::Kept | DeleteError::Exported => 409,
                    DeleteError::Card | DeleteError::Failed(_) => 503,
                };
                Answer::error(status, error.to_string())
            }
        }
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
        let config = self.daemon.config.borrow();
        let mut catalog = self.catalog();
        let camera = self.camera_asked(head, &catalog);
        let known = config.camera.iter().find(|known| known.name.as_str() == camera);
        let read_to = self.read_to(&catalog);
        let (label, complete) = (known.map(|it| it.label().to_owned()), read_to.is_none());
        let epoch = format!("{}-{}", self.epoch, catalog.generation());
        let mut list = List { label, complete, read_to, epoch, ..List::default() };
        match catalog.owner(&camera) {
            Some(owner) if query.after.is_some() => {
                let is_clock_trusted = self.daemon.trust.get() == ClockTrust::Trusted;
                query.list_after(owner, &catalog, is_clock_trusted, &mut list);
            }
            Some(owner) => query.list(catalog.recordings(owner, query.before), &catalog, &mut list),
            // Recordings of a former camera may not have been read yet.
            None if known.is_none() && complete && head.parameter("camera").is_some() => {
                return Answer::error(404, "no such camera");
            }
            None => {}
        }
        for row in list.rows.iter().filter(|row| row.entry.is_from_index()) {
            catalog.look_at(row.folder, row.entry.name);
        }
        drop(catalog);
        list.camera = camera;
        Answer::made("application/json", list)
    }
}

impl Web {
    /// Returns the camera named in a request; by default the first one configured, or else with
    /// recordings.
    pub(super) fn camera_asked(&self, head: &Head<'_>, catalog: &Catalog) -> String {
        let config = self.daemon.config.borrow();
        let configured = || Some(config.camera.first()?.name.as_str());
        let recorded = || Some(catalog.tallies().first()?.0);
        head.parameter("camera")
            .or_else(configured)
            .or_else(recorded)
            .unwrap_or_default()
            .to_owned()
    }

    /// Recordings that began before this time (UTC in ms) may be missing, because they have not
    /// been read; `None` if all have been.
    pub(super) fn read_to(&self, catalog: &Catalog) -> Option<i64> {
        catalog.read_to().map(|time| time.0.min(self.daemon.clock.now().0))
    }
}

/// Which recordings are requested.
struct Query {
    from: Option<i64>,
    to: Option<i64>,
    before: Option<u32>,
    /// Oldest first, only what will not change; -1 begins with number 0.
    after: Option<i64>,
    /// Only this one.
    number: Option<u32>,
    limit: usize,
}

impl Query {
    fn of(head: &Head<'_>) -> Result<Query, String> {
        let address = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX);
        let limit = head.number("limit")?.unwrap_or(limits::LIST_ENTRIES_DEFAULT as i64);
        Ok(Query {
            from: head.number("from")?,
            to: head.number("to")?,
            before: head.number("before")?.map(address),
            after: head.number("after")?,
            number: head.number("number")?.map(address),
            limit: usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=limits::LIST_ENTRIES_MAX).contains(limit))
                .ok_or(format!("limit: expected 1 to {}", limits::LIST_ENTRIES_MAX))?,
        })
    }

    /// Returns true if the recording matches. A search by time skips recordings of unknown time.
    fn wants(&self, entry: &Entry) -> bool {
        let (from, to) = (self.from.unwrap_or(i64::MIN), self.to.unwrap_or(i64::MAX));
        let is_in_time = entry.end().0 >= from && entry.start.0 < to;
        let by_time = self.from.is_some() || self.to.is_some();
        let is_that = self.number.is_none_or(|number| entry.address() == Some(number));
        is_that && (!by_time || (entry.is_read() && is_in_time))
    }

    /// `found` is newest first.
    fn list(&self, found: Recordings<'_>, catalog: &Catalog, list: &mut List) {
        let mut found = found.peekable();
        while let Some((folder, entry)) = found.next() {
            if !self.wants(entry) {
                continue;
            }
            if list.rows.len() == self.limit {
                list.next = list.rows.last().and_then(|row| row.entry.address());
                return;
            }
            list.add(folder, entry, found.peek().map(|(_, before)| *before), catalog);
        }
    }

    /// Lists oldest first, up to the first recording that is still being written or read, or whose
    /// time may still be corrected: a client that copies the listed ones needs none twice.
    fn list_after(&self, owner: Owner, catalog: &Catalog, is_clock_trusted: bool, list: &mut List) {
        let after = self.after.unwrap_or(-1).max(-1);
        let newest_first = || {
            let found = catalog.recordings(owner, self.before);
            let found = found.take_while(|(_, entry)| entry.is_after(after));
            found.filter(|(_, entry)| self.wants(entry))
        };
        let (mut count, mut begin) = (0_usize, 0);
        for (_, entry) in newest_first() {
            count += 1;
            if !entry.is_final() || !(entry.clock_trusted || is_clock_trusted) {
                begin = count;
            }
        }
        let page = begin.max(count.saturating_sub(self.limit));
        let mut found = newest_first().skip(page).peekable();
        while let Some((folder, entry)) = found.next() {
            list.add(folder, entry, found.peek().map(|(_, before)| *before), catalog);
        }
        list.rows.reverse();
        list.next = list.rows.last().filter(|_| page > begin).and_then(|row| row.entry.address());
    }
}

impl Maker for List {
    fn make(&self, piece: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(if piece == 0 { b"{\"recordings\":[" } else { b"" });
        match self.rows.get(piece) {
            Some(row) => {
                out.extend_from_slice(if piece == 0 { b"" } else { b"," });
                // Numbers and text cannot fail.
                let _ = serde_json::to_writer(out, &self.recording(row));
                true
            }
            None if piece == self.rows.len() => {
                let end = json!({
                    "next": self.next, "label": self.label,
                    "complete": self.complete, "read_to": self.read_to, "epoch": self.epoch,
                });
                let end = end.to_string();
                out.extend_from_slice(b"],");
                out.extend_from_slice(end.trim_start_matches('{').as_bytes());
                true
            }
            None => false,
        }
    }
}

impl List {
    fn add(&mut self, folder: &Folder, entry: &Entry, before: Option<&Entry>, catalog: &Catalog) {
        let text = catalog.codecs(entry);
        let known = self.codecs.iter().position(|codecs| codecs == text);
        let codecs = known.unwrap_or_else(|| {
            self.codecs.push(text.to_owned());
            self.codecs.len() - 1
        });
        let gap_before_ms = before.map_or(0, |before| entry.gap_since(before));
        self.rows.push(Row { folder: folder.id, entry: *entry, gap_before_ms, codecs });
    }

    fn recording(&self, row: &Row) -> Recording<'_> {
        let entry = &row.entry;
        let codecs = self.codecs.get(row.codecs).filter(|codecs| !codecs.is_empty());
        Recording {
            camera: &self.camera,
            // A listed recording has a number.
            number: entry.address().unwrap_or_default(),
            file: entry.file(),
            start_ms: entry.start.0,
            clock_trusted: entry.clock_trusted,
            duration_ms: entry.duration_ms,
            bytes: entry.bytes,
            etag: etag(entry, entry.start, entry.bytes),
            codec: entry.codec.map(crate::codec::Codec::name),
            mime: codecs.map(|codecs| format!("video/mp4; codecs=\"{codecs}\"")),
            state: entry.state.name(),
            kept: entry.marks().has(SegmentMarks::KEPT),
            thinned: entry.marks().has(SegmentMarks::THINNED),
            gap_before_ms: row.gap_before_ms,
        }
    }
}
