//! Snapshots: a camera's newest JPEG, fetched only on request.
//!
//! However many viewers ask, the camera is asked once per interval: viewers share the pending
//! request, or get the last picture while it is younger than the interval.
//!
//! ```text
//! snapshot.rs  requests from viewers, and when to ask the camera
//! ├─ sources   the possible sources, and which of them works
//! ├─ page      one picture over HTTP
//! ├─ stream    pictures of an RTP/JPEG stream
//! ├─ video     pictures from the key frames in a ring
//! └─ error     why there is no picture
//! ```
//! Knows nothing of: recordings.

mod error;
mod page;
mod sources;
mod stream;
mod video;

pub use page::ask;
pub use video::{VideoPictures, VideoSource};

use crate::{
    config, limits,
    runtime::{self, Flag, Signal},
};
use error::Error;
use smol::future;
use sources::{FoundPicture, PictureSources};
use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    time::{Duration, Instant},
};
use stream::JpegStream;

/// One camera's pictures. [`Snapshots::run`] fetches them, [`Snapshots::newest`] requests one.
///
/// *Cost*: nothing while there are no requests; otherwise one picture, and a second one while it is
/// received.
pub struct Snapshots {
    name: String,
    /// Taken by `run`.
    sources: RefCell<Option<PictureSources>>,
    interval: Duration,
    answer: RefCell<Option<Answer>>,
    /// Number of answers so far.
    count: Cell<u64>,
    /// When a viewer last asked or was answered.
    asked: Cell<Instant>,
    /// A viewer waits for an answer.
    wanted: Cell<bool>,
    are_cheap: Cell<bool>,
    question: Signal,
    answered: Signal,
    stop: Flag,
}

/// A complete JPEG, from FF D8 to FF D9.
#[derive(Debug)]
pub struct Picture {
    pub jpeg: Vec<u8>,
    /// When it was received, or the frame from which it was made.
    pub taken: Instant,
}

/// Why there is no picture, in one line for the user, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Rc<str>);

/// The last answer from the camera.
struct Answer {
    result: Result<Rc<Picture>, Reason>,
    /// The camera is not asked again before this.
    good_until: Instant,
}

impl Snapshots {
    /// `seed` is for nonces and must differ at every start.
    pub fn new(camera: &config::Camera, video: Option<VideoPictures>, seed: u64) -> Snapshots {
        let interval = Duration::from_millis(camera.snapshot_interval_ms.get());
        Snapshots::with(camera.name.as_str(), PictureSources::new(camera, video, seed), interval)
    }

    /// Pictures for motion detection, which asks more often than people do: only those that the
    /// camera makes itself.
    pub fn of_motion(camera: &config::Camera, seed: u64) -> Snapshots {
        // A camera's name has no dot, so this one is unique in the log.
        let name = [camera.name.as_str(), ".motion"].concat();
        Snapshots::with(&name, PictureSources::pages(camera, seed), limits::MOTION_PICTURE_AGE_MAX)
    }

    fn with(name: &str, sources: PictureSources, interval: Duration) -> Snapshots {
        Snapshots {
            name: name.to_owned(),
            sources: RefCell::new(Some(sources)),
            interval,
            answer: RefCell::new(None),
            count: Cell::new(0),
            asked: Cell::new(runtime::now()),
            wanted: Cell::new(false),
            are_cheap: Cell::new(true),
            question: Signal::default(),
            answered: Signal::default(),
            stop: Flag::default(),
        }
    }

    /// Returns the newest picture: at once if it is younger than the interval, otherwise after
    /// asking the camera. Cancel-safe.
    ///
    /// # Errors
    /// Why there is none; all viewers get the same reason until the camera is asked again.
    pub async fn newest(&self) -> Result<Rc<Picture>, Reason> {
        let before = self.count.get();
        let answer = self.answered.until_some(|| {
            if self.stop.is_raised() {
                return Some(Err(Reason::from("the camera's settings have changed")));
            }
            let now = runtime::now();
            self.asked.set(now);
            let is_new = self.count.get() != before;
            let answer = self.answer(|it| is_new || now < it.good_until);
            if answer.is_none() {
                self.wanted.set(true);
                self.question.notify();
            }
            answer
        });
        // Longer than any answer takes.
        let patience = limits::SNAPSHOT_SEARCH_TIMEOUT + limits::SNAPSHOT_TIMEOUT;
        let slow = || Err(Reason::from("no answer from the camera"));
        runtime::timeout(patience, answer).await.unwrap_or_else(slow)
    }

    /// Returns true if a picture costs no more than a request to the camera, or if that is not
    /// known yet.
    pub fn are_cheap(&self) -> bool {
        self.are_cheap.get()
    }

    /// Returns the last picture that was requested, while it is remembered.
    pub fn last(&self) -> Option<Rc<Picture>> {
        self.answer(|_| true)?.ok()
    }

    /// Asks the camera whenever viewers do, until [`Snapshots::stop`]. To be called once.
    pub async fn run(&self) {
        let Some(mut sources) = self.sources.take() else { return };
        let answering = async {
            loop {
                self.wait_for_question().await;
                // On the heap, so that it takes memory only while it runs.
                Box::pin(self.ask_camera(&mut sources)).await;
            }
        };
        self.stop.or_raised::<()>(answering).await;
        self.answer.replace(None);
        self.answered.notify();
    }

    /// Ends [`Snapshots::run`]; viewers who still wait are told so.
    pub fn stop(&self) {
        self.stop.raise();
    }

    /// Returns the last answer if it `counts`.
    fn answer(&self, counts: impl Fn(&Answer) -> bool) -> Option<Result<Rc<Picture>, Reason>> {
        let answer = self.answer.borrow();
        answer.as_ref().filter(|answer| counts(answer)).map(|answer| answer.result.clone())
    }

    /// Waits for a request, and drops the last answer when it is too old.
    async fn wait_for_question(&self) {
        loop {
            let question = self.question.until(|| self.wanted.get());
            if self.answer.borrow().is_none() {
                return question.await;
            }
            let forget_at = self.forget_at();
            if runtime::now() >= forget_at {
                self.answer.replace(None);
                continue;
            }
            future::or(question, runtime::sleep_until(forget_at)).await;
            if self.wanted.get() {
                return;
            }
        }
    }

    /// When the last answer is old enough, and unused for long enough, to be dropped.
    fn forget_at(&self) -> Instant {
        let idle = self.asked.get() + limits::SNAPSHOT_IDLE_TIMEOUT;
        self.answer.borrow().as_ref().map_or(idle, |answer| idle.max(answer.good_until))
    }

    /// Asks the camera once; if a stream answers, serves further requests from it.
    async fn ask_camera(&self, sources: &mut PictureSources) {
        let started = runtime::now();
        let search = runtime::timeout(limits::SNAPSHOT_SEARCH_TIMEOUT, sources.search());
        let found = search.await;
        self.are_cheap.set(sources.is_by_page());
        match found {
            Some(Ok(FoundPicture::Picture(picture))) => self.take(picture, started),
            Some(Ok(FoundPicture::Stream(mut stream, jpeg))) => {
                self.take_fresh(jpeg);
                let ending = self.follow(&mut stream).await;
                stream.tear_down().await;
                if let Err(error) = ending {
                    sources.forget();
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
                sources.forget();
                let patience = limits::SNAPSHOT_SEARCH_TIMEOUT.as_secs();
                let text = format!("no source gave a picture within {patience} s");
                self.refuse(&text, started + limits::SNAPSHOT_RETRY_INTERVAL);
            }
        }
    }

    /// Answers requests from a stream until there have been none for a while.
    async fn follow(&self, stream: &mut JpegStream) -> Result<(), Error> {
        let mut jpeg = Vec::new();
        loop {
            // A viewer waiting for a picture counts as a recent request.
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
        // Log only changes.
        match (before.map(|answer| answer.result), result) {
            (Some(Ok(_)), Ok(_)) => {}
            (_, Ok(_)) => log::info!("camera={} snapshot=ok", self.name),
            (Some(Err(known)), Err(reason)) if known == reason => {}
            (_, Err(reason)) => log::warn!("camera={} snapshot=none error=\"{reason}\"", self.name),
        }
        self.asked.set(runtime::now());
        // Includes requests that arrived meanwhile.
        self.wanted.set(false);
        self.count.set(self.count.get() + 1);
        self.answered.notify();
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
