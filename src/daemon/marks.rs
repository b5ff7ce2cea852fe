//! Marks: accepts reports from sources, and passes them to listeners at once and to the card when
//! it is ready.
//!
//! A report repeated within [`limits::MARK_JOIN`] belongs to the same mark; a mark that nobody
//! ends, ends by itself. [`Book`] decides, as a value; the rest of this file carries its decisions
//! out. Knows nothing of: HTTP, files, what sources are.

use super::Daemon;
use crate::{
    clock, limits,
    mp4::identity::ClockTrust,
    recorder::Moment,
    runtime,
    storage::{
        CameraId, Command,
        catalog::{SegmentTime, marks::BACKDATED_MS},
        marks::{Course, Mark, Word},
    },
    units::WallTime,
};
use std::{collections::VecDeque, fmt, rc::Rc, time::Duration};

/// A report from a source.
#[derive(Clone, Debug)]
pub struct MarkReport {
    pub source: Word,
    pub kind: Word,
    pub words: String,
    pub when: When,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// It happens at this moment.
    Now,
    /// It happened then, by the sender's clock.
    Span(WallTime, WallTime),
    /// It begins or goes on, and ends after this unless reported again.
    On(Duration),
    Off,
}

/// Why a mark is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkRefused {
    NoSuchCamera,
    /// Nothing of that kind goes on.
    NotOn,
    /// Its time is invalid, too long ago, or in the future.
    Time,
    /// The camera's allowance is used up for so many seconds.
    TooMany(u64),
}

/// Marks that may still change, and what each camera may still make.
#[derive(Debug, Default)]
pub struct Book {
    live: Vec<OpenMark>,
    cameras: Vec<Account>,
    /// Marks not written because the card did not take them in time.
    pub lost: u64,
}

/// A mark that may still change.
#[derive(Debug)]
struct OpenMark {
    mark: Mark,
    began_ms: u64,
    /// Uptimes: its last report, its end unless another report comes, its last line on the card.
    sign_ms: u64,
    ends_ms: u64,
    told_ms: u64,
}

/// A camera's allowance, and what became of its marks.
#[derive(Debug)]
struct Account {
    camera: String,
    made: u64,
    refused: u64,
    left: u64,
    filled_ms: u64,
}

impl Book {
    /// Applies a report about a camera; returns the mark as it is now, and the changes to pass on.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn say(
        &mut self,
        camera: &str,
        said: &MarkReport,
        moment: &Moment,
        boot: [u8; 16],
    ) -> Result<(Mark, Vec<Mark>), MarkRefused> {
        let now_ms = moment.up_ms;
        let at = self.live.iter().position(|it| it.is_of(camera, said));
        match (said.when, at) {
            (When::Off, None) => Err(MarkRefused::NotOn),
            (When::Off, Some(at)) => {
                let ended = self.live.swap_remove(at).end(now_ms);
                Ok((ended.clone(), vec![ended]))
            }
            (When::Now | When::On(_), Some(at)) => {
                let Some(live) = self.live.get_mut(at) else { return Err(MarkRefused::NotOn) };
                let news = live.sign(said.when, now_ms);
                Ok((live.mark.clone(), news.into_iter().collect()))
            }
            (When::Span(begin, end), _) => {
                let begin_stamp = stamp_at(begin, moment, boot)?;
                let length = u64::try_from(end.0.saturating_sub(begin.0));
                let length = length.map_err(|_| MarkRefused::Time)?;
                if end.0.saturating_sub(moment.wall.0) > AHEAD_MS
                    && moment.clock == ClockTrust::Trusted
                {
                    return Err(MarkRefused::Time);
                }
                self.spend(camera, said, now_ms)?;
                let mark = said.mark(camera, begin_stamp, millis(length), Course::Over);
                Ok((mark.clone(), vec![mark]))
            }
            (When::Now | When::On(_), None) => {
                self.spend(camera, said, now_ms)?;
                let Moment { wall, clock, up_ms, .. } = *moment;
                let begin = SegmentTime { boot, up_ms: Some(up_ms), wall, clock };
                let (course, span) = match said.when {
                    When::On(patience) => (Course::GoingOn, patience),
                    _ => (Course::Over, limits::MARK_JOIN),
                };
                let mark = said.mark(camera, begin, 0, course);
                let mut news = vec![mark.clone()];
                if self.live.len() >= limits::MARKS_GOING_ON_MAX {
                    let next = self.live.iter().enumerate().min_by_key(|(_, it)| it.ends_ms);
                    let next = next.map(|(at, _)| at);
                    news.extend(next.and_then(|at| self.live.swap_remove(at).end_by_itself()));
                }
                self.live.push(OpenMark {
                    mark: mark.clone(),
                    began_ms: now_ms,
                    sign_ms: now_ms,
                    ends_ms: now_ms.saturating_add(span_ms(span)),
                    told_ms: now_ms,
                });
                Ok((mark, news))
            }
        }
    }

    /// Ends marks whose reports stopped, and returns those that go on and are due to be told again.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Mark> {
        let mut news = Vec::new();
        while let Some(at) = self.live.iter().position(|live| live.ends_ms <= now_ms) {
            news.extend(self.live.swap_remove(at).end_by_itself());
        }
        for live in &mut self.live {
            if live.next_ms() <= now_ms {
                news.push(live.tell(now_ms));
            }
        }
        news
    }

    /// The uptime at which [`Book::tick`] is due.
    pub fn deadline(&self) -> Option<u64> {
        self.live.iter().map(|live| live.ends_ms.min(live.next_ms())).min()
    }

    /// Ends the open marks of a source that has gone, or with `None` all open marks.
    pub fn leave(&mut self, camera_and_source: Option<(&str, &Word)>, now_ms: u64) -> Vec<Mark> {
        let is_its = |live: &mut OpenMark| {
            camera_and_source.is_none_or(|(camera, source)| {
                live.mark.camera == camera && live.mark.source == *source
            })
        };
        let gone: Vec<_> = self.live.extract_if(.., is_its).collect();
        let ended = gone.into_iter().filter_map(|live| match live.mark.course {
            Course::GoingOn => Some(live.end(now_ms)),
            Course::Over => live.end_by_itself(),
        });
        ended.collect()
    }

    /// Returns the marks that go on, with their present length.
    pub fn live(&self, now_ms: u64) -> impl Iterator<Item = Mark> {
        let live = self.live.iter().filter(|live| !live.mark.course.is_over());
        live.map(move |live| {
            let length_ms = millis(now_ms.saturating_sub(live.began_ms));
            Mark { length_ms, ..live.mark.clone() }
        })
    }

    /// Returns true if a mark still goes on; one that a power cut left open does not.
    pub fn is_live(&self, mark: &Mark) -> bool {
        self.live.iter().any(|live| !live.mark.course.is_over() && live.mark.is_same(mark))
    }

    /// Returns true if anything goes on in front of a camera; watching does not count.
    pub fn is_going_on(&self, camera: &str) -> bool {
        let mut marks = self.live.iter().map(|live| &live.mark);
        marks.any(|it| it.camera == camera && !it.course.is_over() && !it.is_watch())
    }

    /// The same, or a moment that was just now.
    pub fn is_active(&self, camera: &str) -> bool {
        let mut marks = self.live.iter().map(|live| &live.mark);
        marks.any(|it| it.camera == camera && !it.is_watch())
    }

    /// A camera's marks made and refused since the start; watching does not count.
    pub fn count(&self, camera: &str) -> (u64, u64) {
        let account = self.cameras.iter().find(|it| it.camera == camera);
        account.map_or((0, 0), |it| (it.made, it.refused))
    }

    /// Uses up one mark of a camera's allowance.
    fn spend(&mut self, camera: &str, said: &MarkReport, now_ms: u64) -> Result<(), MarkRefused> {
        let at = self.cameras.iter().position(|it| it.camera == camera);
        let at = at.unwrap_or_else(|| {
            let (camera, left) = (camera.to_owned(), limits::MARKS_IN_A_ROW_MAX);
            self.cameras.push(Account { camera, made: 0, refused: 0, left, filled_ms: now_ms });
            self.cameras.len() - 1
        });
        let Some(account) = self.cameras.get_mut(at) else { return Ok(()) };
        let interval = span_ms(limits::MARK_INTERVAL);
        let due = now_ms.saturating_sub(account.filled_ms) / interval;
        account.left = account.left.saturating_add(due).min(limits::MARKS_IN_A_ROW_MAX);
        account.filled_ms += due * interval;
        if account.left == 0 {
            account.refused += 1;
            let next = account.filled_ms + interval - now_ms;
            return Err(MarkRefused::TooMany(next.div_ceil(1000)));
        }
        account.left -= 1;
        account.made += u64::from(said.kind.as_str() != Mark::WATCHED);
        Ok(())
    }
}

impl MarkReport {
    fn mark(&self, camera: &str, begin: SegmentTime, length_ms: u32, course: Course) -> Mark {
        let MarkReport { source, kind, words, .. } = self.clone();
        Mark { camera: camera.to_owned(), source, kind, words, begin, length_ms, course }
    }
}

impl OpenMark {
    fn is_of(&self, camera: &str, said: &MarkReport) -> bool {
        let mark = &self.mark;
        (&*mark.camera, &mark.source, &mark.kind) == (camera, &said.source, &said.kind)
    }

    /// Takes another report of it, which is news only if a moment turns out to go on.
    fn sign(&mut self, when: When, now_ms: u64) -> Option<Mark> {
        self.sign_ms = now_ms;
        let span = match when {
            When::On(patience) => patience,
            _ => limits::MARK_JOIN,
        };
        self.ends_ms = self.ends_ms.max(now_ms.saturating_add(span_ms(span)));
        let begins = matches!(when, When::On(_)) && self.mark.course.is_over();
        begins.then(|| {
            self.mark.course = Course::GoingOn;
            self.tell(now_ms)
        })
    }

    fn tell(&mut self, now_ms: u64) -> Mark {
        self.told_ms = now_ms;
        let until_ms = if self.mark.course.is_over() { self.sign_ms } else { now_ms };
        self.mark.length_ms = millis(until_ms.saturating_sub(self.began_ms));
        self.mark.clone()
    }

    /// When it is due to be told again.
    fn next_ms(&self) -> u64 {
        self.told_ms.saturating_add(span_ms(limits::MARK_REFRESH_INTERVAL))
    }

    fn end(mut self, now_ms: u64) -> Mark {
        self.mark.length_ms = millis(now_ms.saturating_sub(self.began_ms));
        self.mark.course = Course::Over;
        self.mark
    }

    /// Ends it with its last report; returns `None` if nothing is left to tell.
    fn end_by_itself(self) -> Option<Mark> {
        let sign_ms = self.sign_ms;
        let before = (self.mark.length_ms, self.mark.course);
        let ended = self.end(sign_ms);
        (before != (ended.length_ms, ended.course)).then_some(ended)
    }
}

/// Stamps a time given by a sender. If it is within a day of our clock, it is taken as a time of
/// our clock. If our clock is not set, any other time is trusted: the sender knows better.
fn stamp_at(wall: WallTime, moment: &Moment, boot: [u8; 16]) -> Result<SegmentTime, MarkRefused> {
    let ago = moment.wall.0.saturating_sub(wall.0);
    if (-AHEAD_MS..=BACKDATED_MS).contains(&ago) {
        let up_ms = moment.up_ms.checked_add_signed(-ago);
        let boot = if up_ms.is_some() { boot } else { [0; 16] };
        return Ok(SegmentTime { boot, up_ms, wall, clock: moment.clock });
    }
    let is_known = moment.clock == ClockTrust::Untrusted && wall.0 > MILLIS_NOT_SECONDS;
    is_known
        .then_some(SegmentTime { boot: [0; 16], up_ms: None, wall, clock: ClockTrust::Trusted })
        .ok_or(MarkRefused::Time)
}

impl Daemon {
    /// Accepts a report about a camera: listeners get it at once, the card when it is ready.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn mark(self: &Rc<Self>, camera: &str, said: &MarkReport) -> Result<Mark, MarkRefused> {
        if !self.stations.borrow().iter().any(|station| station.camera.name == camera) {
            return Err(MarkRefused::NoSuchCamera);
        }
        let told = self.marks.borrow_mut().say(camera, said, &self.moment(), clock::boot_id());
        let (mark, news) = told?;
        if !mark.is_watch() {
            self.record_what_happens(&mark, said.when);
        }
        self.pass_on(news);
        self.follow_marks();
        Ok(mark)
    }

    /// Records a camera with `record = "events"` while something goes on, and shortly before and
    /// after.
    fn record_what_happens(&self, mark: &Mark, when: When) {
        let (before, after) = self.event_spans();
        let ago = match when {
            When::Span(..) => {
                let end = mark.begin.wall.0.saturating_add(mark.length_ms.into());
                self.clock.now().0.saturating_sub(end)
            }
            _ => 0,
        };
        let ago = Duration::from_millis(u64::try_from(ago).unwrap_or(0));
        let is_going_on = self.marks.borrow().is_going_on(&mark.camera);
        let span = if is_going_on { 2 * limits::MARK_REFRESH_INTERVAL } else { after };
        let stations = self.stations.borrow();
        let of = stations.iter().find(|station| station.camera.name == mark.camera);
        if let Some(station) = of.filter(|_| ago < after) {
            let length = match when {
                When::Span(..) => Duration::from_millis(mark.length_ms.into()),
                _ => Duration::ZERO,
            };
            station.happens(before + ago + length, span.saturating_sub(ago), runtime::now());
        }
    }

    /// How long before and after a mark belongs to it.
    fn event_spans(&self) -> (Duration, Duration) {
        let marks = &self.config.borrow().marks;
        let seconds = |it: u64| Duration::from_secs(it);
        (seconds(marks.before_seconds.get()), seconds(marks.after_seconds.get()))
    }

    /// Ends the open marks of a source, or all open marks.
    pub fn leave_marks(&self, camera_and_source: Option<(&str, &Word)>) {
        let news = self.marks.borrow_mut().leave(camera_and_source, self.clock.up_ms());
        self.pass_on(news);
    }

    fn pass_on(&self, news: Vec<Mark>) {
        if news.is_empty() {
            return;
        }
        for mark in news {
            log::debug!(
                "camera={} mark={} course={:?}",
                mark.camera,
                mark.kind.as_str(),
                mark.course
            );
            let stations = self.stations.borrow();
            let of = stations.iter().find(|station| station.camera.name == mark.camera);
            if let Some(station) = of {
                let (id, is_over) = (station.id, mark.course.is_over() && !mark.is_watch());
                if is_over && !self.marks.borrow().is_going_on(&mark.camera) {
                    station.calms_down(self.event_spans().1, runtime::now());
                } else if !is_over {
                    self.record_what_happens(&mark, When::Now);
                }
                let mut unsent = self.unsent_marks.borrow_mut();
                if unsent.len() >= limits::MARKS_WAITING_MAX {
                    unsent.pop_front();
                    self.marks.borrow_mut().lost += 1;
                }
                unsent.push_back((id, Box::new(mark.clone())));
            }
            self.history.borrow_mut().marks.push(mark);
        }
        self.pump_all();
        self.changed.notify();
    }

    /// Sends marks to the card thread while its queue has room.
    pub(super) fn pump_marks(&self) {
        let mut unsent = self.unsent_marks.borrow_mut();
        while let Some((camera, mark)) = unsent.pop_front() {
            if let Err(Command::Mark { camera, mark }) =
                self.desk.send(Command::Mark { camera, mark })
            {
                unsent.push_front((camera, mark));
                return;
            }
        }
    }

    /// Ends marks when they are due, while any is open.
    fn follow_marks(self: &Rc<Self>) {
        self.marks_changed.notify();
        if self.are_marks_followed.replace(true) {
            return;
        }
        let daemon = Rc::clone(self);
        runtime::spawn(&self.executor, async move {
            loop {
                let changed = daemon.marks_changed.changed();
                let Some(deadline) = daemon.marks.borrow().deadline() else { break };
                let pause = deadline.saturating_sub(daemon.clock.up_ms());
                let _ = runtime::timeout(Duration::from_millis(pause), changed).await;
                let news = daemon.marks.borrow_mut().tick(daemon.clock.up_ms());
                daemon.pass_on(news);
                daemon.changed.notify();
            }
            daemon.are_marks_followed.set(false);
        });
    }
}

/// Marks on their way to the card thread.
pub(super) type Unsent = VecDeque<(CameraId, Box<Mark>)>;

impl fmt::Display for MarkRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MarkRefused::NoSuchCamera => f.write_str("no such camera"),
            MarkRefused::NotOn => f.write_str("nothing of that source and kind is going on"),
            MarkRefused::Time => f.write_str(
                "begin_ms, end_ms: expected UTC in milliseconds, in this order, at most a day ago and not in \
                 the future",
            ),
            MarkRefused::TooMany(seconds) => {
                write!(f, "too many marks of this camera: try again in {seconds} s")
            }
        }
    }
}

fn span_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn millis(span_ms: u64) -> u32 {
    u32::try_from(span_ms).unwrap_or(u32::MAX)
}

/// How much the clocks of two machines may differ.
const AHEAD_MS: i64 = 60_000;
/// 1973 in milliseconds: a lower time was given in seconds.
const MILLIS_NOT_SECONDS: i64 = 100_000_000_000;

#[cfg(test)]
mod tests;
