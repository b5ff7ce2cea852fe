//! Snapshots: the newest JPEG of a camera, asked for only while somebody looks.
//!
//! However many viewers ask, the camera is asked once an interval: they share the answer under way,
//! or get the newest picture while it is younger than the interval.
//!
//! ```text
//! snapshot.rs    questions of viewers, answers, when to ask the camera
//! ├─ ways        the addresses that may have a picture, and which of them does
//! ├─ page        one picture by HTTP
//! ├─ stream      pictures of an RTP/JPEG stream
//! ├─ video       pictures of the key frames in a ring
//! └─ error       why there is none
//! ```
//! Knows nothing of: who looks, recordings.

mod error;
mod page;
mod stream;
mod video;
mod ways;

pub use video::{Source, Video};

use crate::{
    config, limits,
    runtime::{self, Signal},
};
use error::Error;
use smol::future;
use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    time::{Duration, Instant},
};
use stream::Stream;
use ways::{Found, Ways};

/// One camera's pictures. [`Snapshots::run`] fetches, [`Snapshots::newest`] asks.
///
/// *Cost*: nothing is held and nothing runs while nobody asks; else one picture, and while it comes
/// a second.
pub struct Snapshots {
    name: String,
    /// Until it runs.
    ways: RefCell<Option<Ways>>,
    interval: Duration,
    answer: RefCell<Option<Answer>>,
    /// Answers so far.
    count: Cell<u64>,
    /// When a viewer asked or was answered last.
    asked: Cell<Instant>,
    /// Somebody waits for an answer.
    wanted: Cell<bool>,
    question: Signal,
    answered: Signal,
    stopped: Cell<bool>,
}

/// A whole JPEG, from FF D8 to FF D9.
#[derive(Debug)]
pub struct Picture {
    pub jpeg: Vec<u8>,
    /// When it was whole here, or the frame that it was made of.
    pub taken: Instant,
}

/// Why there is no picture: one line for the user, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Rc<str>);

/// What the camera was last asked and said.
struct Answer {
    result: Result<Rc<Picture>, Reason>,
    /// Until then the camera is not asked again.
    good_until: Instant,
}

impl Snapshots {
    /// `seed`: for nonces, different at every start.
    pub fn new(camera: &config::Camera, video: Option<Video>, seed: u64) -> Snapshots {
        let interval = Duration::from_millis(camera.snapshot_interval_ms.get());
        Snapshots::with(camera.name.as_str(), Ways::new(camera, video, seed), interval)
    }

    fn with(name: &str, ways: Ways, interval: Duration) -> Snapshots {
        Snapshots {
            name: name.to_owned(),
            ways: RefCell::new(Some(ways)),
            interval,
            answer: RefCell::new(None),
            count: Cell::new(0),
            asked: Cell::new(runtime::now()),
            wanted: Cell::new(false),
            question: Signal::default(),
            answered: Signal::default(),
            stopped: Cell::new(false),
        }
    }

    /// The newest picture: at once where it is younger than the interval, else when the camera has
    /// answered. Cancel-safe.
    ///
    /// # Errors
    /// Why there is none; the same to all who ask until the camera is asked again.
    pub async fn newest(&self) -> Result<Rc<Picture>, Reason> {
        let before = self.count.get();
        let answer = async {
            loop {
                let answered = self.answered.changed();
                if self.stopped.get() {
                    return Err(Reason::from("the camera's settings have changed"));
                }
                let now = runtime::now();
                self.asked.set(now);
                let is_new = self.count.get() != before;
                if let Some(answer) = self.answer(|it| is_new || now < it.good_until) {
                    return answer;
                }
                self.wanted.set(true);
                self.question.notify();
                answered.await;
            }
        };
        // Longer than any answer takes.
        let patience = limits::SNAPSHOT_SEARCH_TIMEOUT + limits::SNAPSHOT_TIMEOUT;
        let slow = || Err(Reason::from("no answer from the camera"));
        runtime::timeout(patience, answer).await.unwrap_or_else(slow)
    }

    /// Asks the camera whenever viewers do, until [`Snapshots::stop`]. To be run once.
    pub async fn run(&self) {
        let Some(mut ways) = self.ways.take() else { return };
        while self.wait_for_question().await {
            // On the heap, and only while it is under way.
            let answering = Box::pin(self.ask_camera(&mut ways));
            self.or_stopped(answering).await;
        }
        self.answer.replace(None);
        self.answered.notify();
    }

    /// Ends [`Snapshots::run`]; who still asks is told so.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.question.notify();
    }

    /// The last answer, if it `counts`.
    fn answer(&self, counts: impl Fn(&Answer) -> bool) -> Option<Result<Rc<Picture>, Reason>> {
        let answer = self.answer.borrow();
        answer.as_ref().filter(|answer| counts(answer)).map(|answer| answer.result.clone())
    }

    /// Waits until a viewer asks; lets go of the last answer meanwhile. False once it is stopped.
    async fn wait_for_question(&self) -> bool {
        loop {
            let question = self.question.changed();
            if self.stopped.get() || self.wanted.get() {
                return !self.stopped.get();
            }
            let forget_at = self.forget_at();
            if self.answer.borrow().is_none() {
                question.await;
            } else if runtime::now() >= forget_at {
                self.answer.replace(None);
            } else {
                future::or(question, runtime::sleep_until(forget_at)).await;
            }
        }
    }

    /// When nobody will have asked for long enough, and what was said counts no more.
    fn forget_at(&self) -> Instant {
        let idle = self.asked.get() + limits::SNAPSHOT_IDLE_TIMEOUT;
        self.answer.borrow().as_ref().map_or(idle, |answer| idle.max(answer.good_until))
    }

    /// One question to the camera; where a stream answers it, all further ones while there are any.
    async fn ask_camera(&self, ways: &mut Ways) {
        let started = runtime::now();
        let search = runtime::timeout(limits::SNAPSHOT_SEARCH_TIMEOUT, ways.search());
        match search.await {
            Some(Ok(Found::Picture(picture))) => self.take(picture, started),
            Some(Ok(Found::Stream(mut stream, jpeg))) => {
                self.take_fresh(jpeg);
                let ending = self.follow(&mut stream).await;
                stream.tear_down().await;
                if let Err(error) = ending {
                    ways.forget();
                    self.refuse(&error.to_string(), runtime::now() + self.interval);
                }
            }
            Some(Err(failure)) => {
                let pause = if failure.is_final {
                    limits::SNAPSHOT_RETRY_INTERVAL.max(self.interval)
                } else {
                    self.interval
                };
                self.refuse(&failure.text, started + pause);
            }
            None => {
                ways.forget();
                let patience = limits::SNAPSHOT_SEARCH_TIMEOUT.as_secs();
                let text = format!("no way to a picture had one within {patience} s");
                self.refuse(&text, started + limits::SNAPSHOT_RETRY_INTERVAL);
            }
        }
    }

    /// Answers questions from a stream until nobody has asked for a while.
    async fn follow(&self, stream: &mut Stream) -> Result<(), Error> {
        let mut jpeg = Vec::new();
        loop {
            // Who waits for a picture still looks.
            let asked = if self.wanted.get() { runtime::now() } else { self.asked.get() };
            let idle_at = asked + limits::SNAPSHOT_IDLE_TIMEOUT;
            if runtime::now() >= idle_at {
                return Ok(());
            }
            let next = async { stream.next(&mut jpeg).await.map(|()| true) };
            let idle = async {
                runtime::sleep_until(idle_at).await;
                Ok(false)
            };
            if future::or(next, idle).await? && self.wanted.get() {
                self.take_fresh(jpeg.clone());
            }
        }
    }

    fn take_fresh(&self, jpeg: Vec<u8>) {
        let taken = runtime::now();
        self.take(Rc::new(Picture { jpeg, taken }), taken);
    }

    fn take(&self, picture: Rc<Picture>, asked: Instant) {
        self.answer_with(Ok(picture), asked + self.interval);
    }

    fn refuse(&self, reason: &str, good_until: Instant) {
        self.answer_with(Err(Reason::from(reason)), good_until);
    }

    fn answer_with(&self, result: Result<Rc<Picture>, Reason>, good_until: Instant) {
        let before = self.answer.replace(Some(Answer { result: result.clone(), good_until }));
        // One line a change.
        match (before.map(|answer| answer.result), result) {
            (Some(Ok(_)), Ok(_)) => {}
            (_, Ok(_)) => log::info!("camera={} snapshot=ok", self.name),
            (Some(Err(known)), Err(reason)) if known == reason => {}
            (_, Err(reason)) => log::warn!("camera={} snapshot=none error=\"{reason}\"", self.name),
        }
        self.asked.set(runtime::now());
        // Also of those who asked while it was under way.
        self.wanted.set(false);
        self.count.set(self.count.get() + 1);
        self.answered.notify();
    }

    /// Runs `future` to its end, or until this is stopped.
    async fn or_stopped(&self, future: impl Future<Output = ()>) {
        let stopped = async {
            loop {
                let question = self.question.changed();
                if self.stopped.get() {
                    return;
                }
                question.await;
            }
        };
        future::or(stopped, future).await;
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Reason {
        Reason(text.into())
    }
}

#[cfg(test)]
mod tests;
