//! Changes as they happen, as server-sent events.
//!
//! Spec: HTML standard §9.2.

use super::{
    Web,
    answer::{Answer, Piece, Source},
    marks::MarkRow,
    status::{ChangeStatus, Changes},
};
use crate::{limits, runtime};
use serde::Serialize;
use serde_json::json;
use std::{pin::Pin, rc::Rc, time::Instant};

/// One listener.
struct Feed {
    web: Rc<Web>,
    next_change: u64,
    next_notice: u64,
    next_mark: u64,
    /// When the status was last sent.
    told: Option<Instant>,
    /// Something has changed since.
    outdated: bool,
}

impl Web {
    /// `GET /api/events`.
    pub(super) fn events(self: &Rc<Self>) -> Answer {
        Answer::endless("text/event-stream", Box::new(Feed::new(self)))
    }
}

impl Feed {
    fn new(web: &Rc<Web>) -> Feed {
        let history = web.daemon.history.borrow();
        Feed {
            web: Rc::clone(web),
            next_change: history.changes.next(),
            next_notice: history.recordings.next(),
            next_mark: history.marks.next(),
            told: None,
            outdated: true,
        }
    }

    async fn wait_for_piece(&mut self, out: &mut Vec<u8>) -> Piece {
        let daemon = Rc::clone(&self.web.daemon);
        loop {
            let changed = daemon.changed.changed();
            if daemon.is_ending() {
                return Piece::End;
            }
            let deadline = self.tell(runtime::now(), out);
            let Some(deadline) = deadline else { return Piece::Text };
            let pause = deadline.saturating_duration_since(runtime::now());
            if runtime::timeout(pause, changed).await.is_some() {
                self.outdated = true;
            }
        }
    }

    /// Appends everything there is to send; if there is nothing, returns when to check again.
    fn tell(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Instant> {
        let history = self.web.daemon.history.borrow();
        // A listener that misses entries was too slow for anyone to follow.
        for number in self.next_change..history.changes.next() {
            if let Some(change) = history.changes.get(number) {
                write_event(out, "change", &ChangeStatus::of(change));
            }
        }
        for number in self.next_notice..history.recordings.next() {
            if let Some(notice) = history.recordings.get(number) {
                let (camera, number, state) = (&notice.camera, notice.number, notice.state);
                let event = json!({"camera": camera, "number": number, "state": state});
                write_event(out, "recording", &event);
            }
        }
        if self.next_mark < history.marks.next() {
            let began = self.web.catalog().began();
            let new = (self.next_mark..history.marks.next()).filter_map(|it| history.marks.get(it));
            new.for_each(|mark| write_event(out, "mark", &MarkRow::of(mark, &began)));
        }
        self.next_mark = history.marks.next();
        self.next_change = history.changes.next();
        self.next_notice = history.recordings.next();
        drop(history);
        let pause =
            if self.outdated { limits::EVENTS_INTERVAL_MIN } else { limits::EVENTS_INTERVAL_MAX };
        let due = self.told.map_or(now, |told| told + pause);
        if due <= now {
            write_event(out, "status", &self.web.state(Changes::Left));
            self.told = Some(now);
            self.outdated = false;
        }
        out.is_empty().then_some(due)
    }
}

impl Source for Feed {
    fn next<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Pin<Box<dyn Future<Output = Piece> + 'a>> {
        Box::pin(self.wait_for_piece(out))
    }
}

fn write_event(out: &mut Vec<u8>, event: &str, data: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // JSON holds no line breaks outside of strings, and in them they are escaped.
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}
