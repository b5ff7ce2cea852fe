//! Marks on the card: writes their lines into small files beside the recordings, and flags the
//! recordings in which something happened, one at a time.
//!
//! Lines wait here while the card accepts none. No file is read before recording has begun.

mod told;

use std::{collections::VecDeque, io, path::PathBuf, time::Instant};

use super::{Card, health::Trouble};
use crate::{
    limits::{
        CARD_RETRY_INTERVAL, CARD_ROOM_INTERVAL, CARD_STEP_INTERVAL, MARK_FILE_BYTES,
        MARK_FILE_RECORDINGS_MAX, MARK_SPANS_MAX, MARKS_AT_ONCE, MARKS_WAITING_MAX,
    },
    mp4::identity::ClockTrust,
    storage::{
        CameraId, Event,
        catalog::SegmentTime,
        disk::{Access, Disk, is_foreign},
        layout::MarkFile,
        marks::{self, Line, Mark},
    },
    units::WallTime,
};

/// The lines to write, and the recordings to flag.
pub(super) struct Desk<D: Disk> {
    waiting: VecDeque<(CameraId, Mark)>,
    logs: Vec<Log<D>>,
    /// Recordings of a camera that overlap these times are still to be flagged.
    spans: Vec<told::MarkedSpan>,
    /// Some files have not been read yet.
    pub(super) is_unread: bool,
    pause: Instant,
}

/// The file of a folder that is written into.
struct Log<D: Disk> {
    directory: PathBuf,
    file: Option<D::File>,
    /// Where the next line goes.
    end: usize,
    stage: Stage,
    /// Boots whose beginning a line tells; each new file repeats them.
    boots: Vec<([u8; 16], WallTime)>,
    /// It contains marks of this boot whose true time is unknown.
    is_in_doubt: bool,
    unsynced_since: Option<Instant>,
}

enum Stage {
    Closed,
    Ready,
    Off { until: Instant },
}

impl<D: Disk> Desk<D> {
    pub(super) fn new(now: Instant) -> Desk<D> {
        Desk {
            waiting: VecDeque::new(),
            logs: Vec::new(),
            spans: Vec::new(),
            is_unread: false,
            pause: now,
        }
    }

    /// Forgets the files; lines that wait are for the next card.
    pub(super) fn forget_card(&mut self) {
        (self.logs, self.spans, self.is_unread) = (Vec::new(), Vec::new(), false);
    }
}

impl<D: Disk> Card<D> {
    /// Queues a mark until the card accepts it.
    pub(super) fn take_mark(&mut self, camera: CameraId, mark: Mark, now: Instant) {
        self.protect(camera, &mark, now);
        match self.marks.waiting.iter_mut().find(|(_, known)| known.is_same(&mark)) {
            Some((_, known)) => *known = mark,
            None => {
                if self.marks.waiting.len() >= MARKS_WAITING_MAX {
                    self.marks.waiting.pop_front();
                    self.events.push_back(Event::MarkLost);
                }
                self.marks.waiting.push_back((camera, mark));
            }
        }
    }

    /// When the next step is due; `None` if there is nothing to do.
    pub(super) fn next_marks(&self) -> Option<Instant> {
        let desk = &self.marks;
        let unsynced = desk.logs.iter().filter_map(|log| log.unsynced_since).min();
        let sync = unsynced.map(|since| (since + self.settings.sync).max(desk.pause));
        let is_dated = desk.logs.iter().any(|log| log.is_in_doubt) && self.is_clock_trusted();
        let is_waiting = !desk.waiting.is_empty() || !desk.spans.is_empty() || is_dated;
        let work = is_waiting.then_some(desk.pause);
        let read = desk.is_unread.then(|| desk.pause.max(self.index_due));
        [sync, work, read].into_iter().flatten().min()
    }

    pub(super) fn marks_step(&mut self, now: Instant) {
        self.marks.pause = now + CARD_STEP_INTERVAL;
        if self.has_moved(now) || !self.is_writable() {
            self.marks.pause = now + CARD_RETRY_INTERVAL;
            return;
        }
        let sync = self.settings.sync;
        let due = |log: &Log<D>| log.unsynced_since.is_some_and(|since| now >= since + sync);
        if let Some(at) = self.marks.logs.iter().position(due) {
            return self.with_log(at, now, |card, log| {
                log.unsynced_since = None;
                log.file.as_ref().map_or(Ok(()), |file| card.disk.sync_data(file))
            });
        }
        if let Some((camera, _)) = self.marks.waiting.front() {
            return self.write_marks(*camera, now);
        }
        // One file after the other: too many spans would become one, and all between them be
        // flagged.
        if self.marks.is_unread && self.marks.spans.is_empty() {
            return self.read_marks(now);
        }
        let in_doubt = self.marks.logs.iter().position(|log| log.is_in_doubt);
        if let Some(at) = in_doubt.filter(|_| self.is_clock_trusted()) {
            return self.with_log(at, now, |card, log| card.append_marks(None, log, now));
        }
        self.tell_step(now);
    }

    /// Writes what waits, before the card is released.
    pub(super) fn settle_marks(&mut self, now: Instant) {
        for _ in 0..MARKS_WAITING_MAX {
            let Some((camera, _)) = self.marks.waiting.front() else { break };
            self.write_marks(*camera, now);
        }
        for at in 0..self.marks.logs.len() {
            self.with_log(at, now, |card, log| match (&log.file, log.unsynced_since.take()) {
                (Some(file), Some(_)) => card.disk.sync_data(file),
                _ => Ok(()),
            });
        }
    }

    fn write_marks(&mut self, camera: CameraId, now: Instant) {
        let Some(directory) = self.list().folder(camera).map(|it| it.directory.clone()) else {
            self.marks.waiting.pop_front(); // of a camera that has gone
            return self.events.push_back(Event::MarkLost);
        };
        let at = self.log_in(directory);
        self.with_log(at, now, |card, log| match log.stage {
            Stage::Closed => card.open_marks(log, now),
            Stage::Off { until } if now < until => {
                card.marks.pause = until;
                Ok(())
            }
            Stage::Off { .. } => {
                log.stage = Stage::Closed;
                Ok(())
            }
            Stage::Ready => card.append_marks(Some(camera), log, now),
        });
    }

    /// Writes marks of a camera, and the beginning of this boot once it is known.
    fn append_marks(
        &mut self,
        camera: Option<CameraId>,
        log: &mut Log<D>,
        now: Instant,
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        let this_boot = self.settings.boot;
        let began = self.time_now(now).filter(|(_, clock, _)| *clock == ClockTrust::Trusted);
        if let (true, Some((wall, _, up_ms))) = (log.is_in_doubt, began) {
            let began = WallTime(wall.0.saturating_sub_unsigned(up_ms));
            Line::write_boot(this_boot, began, &mut lines);
            log.boots.push((this_boot, began));
        }
        let of_camera = self.marks.waiting.iter().take_while(|(of, _)| Some(*of) == camera);
        let mut count = 0;
        let mut is_doubtful = log.is_in_doubt && began.is_none();
        for (_, mark) in of_camera.take(MARKS_AT_ONCE) {
            mark.write(&mut lines);
            is_doubtful |= mark.begin.clock == ClockTrust::Untrusted && began.is_none();
            count += 1;
        }
        self.provide_file(log, lines.len())?;
        let Some(file) = &log.file else { return Ok(()) };
        self.disk.write_all_at(file, &lines, log.end as u64)?;
        log.end += lines.len();
        log.is_in_doubt = is_doubtful;
        log.unsynced_since.get_or_insert(now);
        self.marks.waiting.drain(..count);
        Ok(())
    }

    /// Opens a file with room for so many more bytes.
    fn provide_file(&mut self, log: &mut Log<D>, bytes: usize) -> io::Result<()> {
        let is_full = log.end + bytes > MARK_FILE_BYTES;
        let next = self
            .list()
            .folder_at_mut(&log.directory)
            .map(|folder| folder.next_mark_file(is_full, MARK_FILE_RECORDINGS_MAX));
        let (name, is_new) = next.ok_or(io::ErrorKind::NotFound)?;
        if !is_new && log.file.is_some() {
            return Ok(());
        }
        if let (Some(file), Some(_)) = (log.file.take(), log.unsynced_since.take()) {
            self.disk.sync_data(&file)?;
        }
        let created = self.create_marks(&log.directory, name);
        if let Some(folder) = self.list().folder_at_mut(&log.directory)
            && (created.is_ok() || is_taken(&created))
            && folder.mark_files.last() < Some(&name)
        {
            folder.mark_files.push(name);
        }
        if is_taken(&created) {
            log.stage = Stage::Closed; // what a power cut left of it
            return Ok(());
        }
        let file = created?;
        let mut lines = Vec::new();
        let recent = log.boots.len().saturating_sub(BOOTS_MAX);
        log.boots.drain(..recent);
        log.boots.iter().for_each(|(boot, began)| Line::write_boot(*boot, *began, &mut lines));
        self.disk.write_all_at(&file, &lines, 0)?;
        (log.end, log.file) = (lines.len(), Some(file));
        Ok(())
    }

    /// Creates a file with all its space, durably, before a line is written.
    fn create_marks(&self, directory: &std::path::Path, name: MarkFile) -> io::Result<D::File> {
        let file = self.create_named(directory, &name.file_name())?;
        self.disk.allocate(&file, MARK_FILE_BYTES as u64)?;
        self.disk.sync_directory(directory)?;
        self.disk.write_all_at(&file, &vec![b'\n'; MARK_FILE_BYTES], 0)?;
        Ok(file)
    }

    /// Reads the newest file of a folder: its end, and the marks whose recordings may not be
    /// flagged.
    fn open_marks(&mut self, log: &mut Log<D>, now: Instant) -> io::Result<()> {
        log.stage = Stage::Ready;
        let newest = {
            let list = self.list();
            let folder = list.position(&log.directory).and_then(|at| list.folders().get(at));
            folder.and_then(|folder| folder.mark_files.last().copied())
        };
        let Some(name) = newest else { return Ok(()) };
        let file = match self.disk.open(&log.directory.join(name.file_name()), Access::ReadWrite) {
            Err(error) if is_foreign(&error) || error.kind() == io::ErrorKind::NotFound => {
                log.end = MARK_FILE_BYTES;
                return Ok(());
            }
            file => file?,
        };
        let content = self.disk.read_whole(&file, MARK_FILE_BYTES)?;
        log.end = match content.len() {
            MARK_FILE_BYTES => marks::end(&content),
            _ => MARK_FILE_BYTES, // its room was never all taken
        };
        log.file = Some(file);
        let mut last = VecDeque::new();
        for line in marks::lines(&content) {
            match line {
                Line::Boot(boot, began) => {
                    log.is_in_doubt &= boot != self.settings.boot;
                    log.boots.retain(|(known, _)| *known != boot);
                    log.boots.push((boot, began));
                    let clock = ClockTrust::Trusted;
                    let recordings = self.list().learn(&SegmentTime {
                        boot,
                        up_ms: Some(0),
                        wall: began,
                        clock,
                    });
                    if recordings > 0 {
                        self.events.push_back(Event::Dated { recordings });
                    }
                }
                Line::Mark(mark) => {
                    let is_of_this_boot = mark.begin.boot == self.settings.boot;
                    log.is_in_doubt |= is_of_this_boot && mark.begin.clock == ClockTrust::Untrusted;
                    if last.len() >= MARK_SPANS_MAX {
                        last.pop_front();
                    }
                    last.push_back(mark);
                }
            }
        }
        // A power cut may have prevented flagging their recordings.
        for mark in last.iter().filter(|mark| !mark.is_watch()) {
            self.tell(mark);
        }
        self.marks.pause = now + CARD_STEP_INTERVAL;
        Ok(())
    }

    /// Reads the newest file of the next folder.
    fn read_marks(&mut self, now: Instant) {
        let next = {
            let list = self.list();
            let is_known = |it: &PathBuf| self.marks.logs.iter().any(|log| log.directory == *it);
            let found = list.folders().iter().filter(|folder| !folder.mark_files.is_empty());
            found.map(|folder| folder.directory.clone()).find(|it| !is_known(it))
        };
        let Some(directory) = next else {
            self.marks.is_unread = false;
            return;
        };
        let at = self.log_in(directory);
        self.with_log(at, now, |card, log| card.open_marks(log, now));
    }

    /// Removes a file of marks whose recordings have gone; at most one.
    pub(super) fn expire_marks(&mut self, now: Instant) {
        let outlived = {
            let list = self.list();
            let all = list.folders().iter();
            let mut all =
                all.filter_map(|it| Some((it.id, it.directory.clone(), it.outlived_marks()?)));
            all.next()
        };
        let Some((camera, directory, file)) = outlived else { return };
        let removed = self.remove_name(&directory.join(file.file_name()), &directory);
        if let Some(folder) = self.list().folder_mut(camera) {
            // Where the removal failed, the file is listed again later.
            folder.mark_files.retain(|other| *other != file);
        }
        if let Err(error) = removed {
            let trouble = self.diagnose(&error);
            self.handle_trouble(trouble, None, now);
        }
    }

    fn log_in(&mut self, directory: PathBuf) -> usize {
        let known = self.marks.logs.iter().position(|log| log.directory == directory);
        known.unwrap_or_else(|| {
            self.marks.logs.push(Log {
                directory,
                file: None,
                end: 0,
                stage: Stage::Closed,
                boots: Vec::new(),
                is_in_doubt: false,
                unsynced_since: None,
            });
            self.marks.logs.len() - 1
        })
    }

    fn with_log(
        &mut self,
        at: usize,
        now: Instant,
        action: impl FnOnce(&mut Self, &mut Log<D>) -> io::Result<()>,
    ) {
        let mut log = self.marks.logs.remove(at);
        let result = action(self, &mut log);
        let path = log.directory.clone();
        if result.is_err() {
            log.stage = Stage::Off { until: now + CARD_ROOM_INTERVAL };
            (log.file, log.unsynced_since) = (None, None);
        }
        self.marks.logs.insert(at.min(self.marks.logs.len()), log);
        let Err(error) = result else { return };
        match self.diagnose(&error) {
            Trouble::Failing(_) | Trouble::NoRoom(_) => {
                self.events.push_back(Event::MarksUnwritten { path, error });
            }
            trouble => self.handle_trouble(trouble, None, now),
        }
    }
}

fn is_taken<T>(created: &io::Result<T>) -> bool {
    created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
}

/// Boots that a new file repeats.
const BOOTS_MAX: usize = 8;
