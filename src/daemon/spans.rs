//! Requests about all recordings between two times: sends them to the card thread and awaits the
//! results.
//!
//! Knows nothing of: HTTP, how the card thread carries them out.

use super::Daemon;
use crate::{
    limits, runtime,
    storage::{Command, SpanAction, SpanDone, SpanError, SpanWish},
    units::WallTime,
};
use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
};

/// Pending requests.
#[derive(Default)]
pub(super) struct Spans {
    next_id: Cell<u64>,
    waiting: RefCell<Vec<(u64, Weak<Answer>)>>,
}

type Answer = RefCell<Option<Result<SpanDone, SpanError>>>;

impl Daemon {
    /// Acts on a camera's recordings between two times. `None` if the card has not finished in
    /// time; it continues anyway.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn do_to_span(
        &self,
        camera: &str,
        (from, to): (WallTime, WallTime),
        action: SpanAction,
    ) -> Option<Result<SpanDone, SpanError>> {
        let id = self.spans.next_id.replace(self.spans.next_id.get() + 1);
        let answer = Rc::new(Answer::default());
        {
            let mut waiting = self.spans.waiting.borrow_mut();
            waiting.retain(|(_, other)| other.strong_count() > 0);
            waiting.push((id, Rc::downgrade(&answer)));
        }
        let answered = async {
            let sent = self.progress.until(|| {
                let wish = SpanWish { id, camera: camera.to_owned(), from, to, action };
                self.desk.send(Command::Span(wish)).is_ok()
            });
            sent.await;
            self.until(|| answer.borrow().is_some()).await;
            answer.take()
        };
        runtime::timeout(limits::SPAN_ANSWER_TIMEOUT, answered).await.flatten()
    }

    pub(super) fn answer_span(&self, id: u64, result: Result<SpanDone, SpanError>) {
        let waiting = self.spans.waiting.borrow();
        let asker = waiting.iter().find(|(of, _)| *of == id).and_then(|(_, it)| it.upgrade());
        if let Some(asker) = asker {
            asker.replace(Some(result));
        }
    }
}
