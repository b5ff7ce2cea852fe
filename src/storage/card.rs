//! The card's state machine: commands and the time in, calls to the disk and events out.
//!
//! Spec: docs/configuration.md, "Files on the card".
//! Knows nothing of: threads, clocks, queues.
//!
//! ```text
//! card.rs        commands, deadlines, releasing and resuming the card
//! ├─ segments    open, append, sync, close
//! ├─ staged      segments that another program writes
//! ├─ health      the meaning of errors; absent, read-only, failing; repairs
//! ├─ room        retention, a full card, deletion
//! ├─ folders     the list of names; the owners of folders
//! ├─ spans       requests about all recordings between two times
//! ├─ thinning    old recordings are reduced to their key frames
//! ├─ marks       marks, in files of their own
//! ├─ index       a file in each folder that caches what is known of it
//! ├─ proofs      samples of recordings are read back
//! ├─ wear        bytes written over the card's life
//! ├─ visitors    what other programs put there, or take away
//! └─ heads       heads of files, newest first, in the background
//! ```

mod folders;
mod heads;
mod health;
mod index;
mod marks;
mod proofs;
mod room;
mod segments;
mod spans;
mod staged;
mod thinning;
mod visitors;
mod wear;

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use self::{health::Suspect, index::IndexFile, segments::CameraSegments};
use super::{
    CameraId, CardState, Command, DeleteError, DeleteReason, Event, Recording, Settings,
    catalog::{Catalog, SegmentState, SegmentTime},
    disk::{Disk, FileSystem, foreign},
    layout::Name,
};
use crate::{
    limits::{CARD_RELEASE_MAX, CARD_RETRY_INTERVAL, LOCK_FILE_INTERVAL},
    mp4::identity::ClockTrust,
    units::WallTime,
};

/// The card and everything open on it.
///
/// *Shape*: after each [`Card::handle`] and [`Card::tick`], events are drained with [`Card::poll`].
/// `tick` has to be called again at [`Card::deadline`] at the latest, and may be called at any
/// time. It does what is due, and one small step of background work.
pub struct Card<D: Disk> {
    disk: D,
    settings: Settings,
    catalog: Arc<Mutex<Catalog>>,
    cameras: Vec<CameraSegments<D>>,
    events: VecDeque<Event>,
    /// The path in use; its folders are listed.
    root: Option<PathBuf>,
    /// The listed folders, kept open.
    held: Vec<(PathBuf, D::Folder)>,
    file_system: FileSystem,
    /// `root` has been writable: if it turns read-only, that is a fault.
    was_writable: bool,
    /// The card has been released.
    hold: Option<Hold>,
    /// The lock file has existed for longer than any upgrade takes.
    lock_ignored: bool,
    /// The file over which the card turned read-only.
    suspect: Option<Suspect>,
    remounts: Vec<Instant>,
    /// `Failing` ends then unless something fails again.
    failing_until: Instant,
    /// Recordings deleted because of ENOSPC with free space, since the last successful write: if
    /// that does not help, no more are deleted.
    deleted_in_vain: usize,
    /// `keep_days` is suspended, and that was reported.
    age_is_doubtful: bool,
    /// What is being reduced to its key frames.
    thinning: Option<thinning::ThinningJob<D>>,
    next_thin: Instant,
    marks: marks::Desk<D>,
    /// Samples that show whether the card keeps what it is given.
    proofs: proofs::Proofs,
    /// Written, and not yet counted on the card.
    unsaved_bytes: u64,
    /// A request about a span that is not finished.
    span: Option<spans::SpanJob>,
    /// The time on the board's clock, whether it is trusted, and the uptime then.
    wall: Option<(Instant, WallTime, ClockTrust, u64)>,
    next_lock_check: Instant,
    next_look: Instant,
    next_room: Instant,
    /// When the names in a folder are compared with the list, and whose.
    next_names: Instant,
    names_turn: usize,
    next_head: Option<Instant>,
    /// No head is read before that, whatever is requested.
    head_pause: Instant,
    /// One for each folder, once recording has begun.
    indexes: Vec<IndexFile<D>>,
    /// When that is assumed even if it has not.
    index_due: Instant,
    /// Whose head is read next; cameras take turns.
    head_turn: usize,
}

struct Hold {
    since: Instant,
    by: HoldBy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HoldBy {
    Request,
    LockFile,
}

impl<D: Disk> Card<D> {
    /// Creates the state machine for a card that has not been examined; the first `tick` does that.
    pub fn new(disk: D, settings: Settings, catalog: Arc<Mutex<Catalog>>, now: Instant) -> Card<D> {
        Card {
            disk,
            cameras: settings
                .cameras
                .iter()
                .map(|place| CameraSegments::new(place.clone()))
                .collect(),
            settings,
            catalog,
            events: VecDeque::new(),
            root: None,
            held: Vec::new(),
            file_system: FileSystem::Other,
            was_writable: false,
            hold: None,
            lock_ignored: false,
            suspect: None,
            remounts: Vec::new(),
            failing_until: now,
            deleted_in_vain: 0,
            age_is_doubtful: false,
            thinning: None,
            next_thin: now,
            marks: marks::Desk::new(now),
            proofs: proofs::Proofs::default(),
            unsaved_bytes: 0,
            span: None,
            wall: None,
            next_lock_check: now,
            next_look: now,
            next_room: now,
            next_names: now,
            names_turn: 0,
            next_head: None,
            head_pause: now,
            indexes: Vec::new(),
            index_due: now,
            head_turn: 0,
        }
    }

    /// Processes a command; everything is answered by events.
    pub fn handle(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open { camera, start } => self.open(camera, &start, now),
            Command::Append { camera, fragment } => self.append(camera, fragment, now),
            Command::Close { camera } => self.close(camera, now),
            Command::Stage { camera, run } => self.stage(camera, run, now),
            Command::Unstage { camera } => {
                self.close(camera, now);
                self.events.push_back(Event::Unstaged { camera });
            }
            Command::Delete { camera, name } => {
                let file = self.recording(camera, name);
                if let Err(reason) = self.delete_asked(camera, name, now) {
                    self.events.push_back(Event::DeleteFailed { file, reason });
                }
            }
            Command::Mark { camera, mark } => self.take_mark(camera, *mark, now),
            Command::Span(wish) => self.begin_span(&wish, now),
            Command::Release => self.release(HoldBy::Request, now),
            Command::Resume => {
                self.lock_ignored = self.disk.exists(&self.settings.lock_file);
                self.take_back(now);
            }
            Command::Look => {
                self.next_lock_check = now;
                self.next_look = now;
            }
            Command::Configure(settings) => self.configure(*settings, now),
            Command::Clock { wall, clock, up_ms } => self.set_wall(wall, clock, up_ms, now),
            Command::Overtaken { camera } => self.overtaken(camera, now),
            Command::ReadFailed { camera, name } => self.read_failed(camera, name, now),
            Command::Shutdown => {
                self.abandon_thinning();
                self.close_all(now);
                if self.is_writable() {
                    self.settle_marks(now);
                }
                self.save_wear();
                self.events.push_back(Event::Ended);
            }
        }
    }

    /// Does what is due, the lock file first: a firmware upgrade must not wait for the rest.
    pub fn tick(&mut self, now: Instant) {
        if now >= self.next_lock_check {
            self.next_lock_check = now + LOCK_FILE_INTERVAL;
            self.check_hold(now);
        }
        if self.hold.is_some() {
            return;
        }
        if now >= self.next_look {
            self.look(now);
        }
        self.sync_due(now);
        self.stages_due(now);
        match self.next_chore() {
            Some(due) if now >= due => {
                if now >= self.next_room {
                    self.room_step(now)
                } else if self.span.as_ref().is_some_and(|job| now >= job.next_step) {
                    self.span_step(now)
                } else if self.next_marks().is_some_and(|due| now >= due) {
                    self.marks_step(now)
                } else if self.next_thinning().is_some_and(|due| now >= due) {
                    self.thin_step(now)
                } else if self.next_proof().is_some_and(|due| now >= due) {
                    self.proof_step(now)
                } else if now >= self.next_names {
                    self.names_step(now)
                } else {
                    self.head_step(now)
                }
            }
            _ => {}
        }
    }

    /// When `tick` is due.
    pub fn deadline(&self) -> Instant {
        if self.hold.is_some() {
            return self.next_lock_check;
        }
        let due = [self.next_sync(), self.next_stage(), self.next_chore()].into_iter().flatten();
        due.fold(self.next_lock_check.min(self.next_look), Instant::min)
    }

    /// Returns the next event, oldest first.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether one of the events to be drained is that something was written.
    pub fn has_written(&self) -> bool {
        let is_it = |event: &Event| {
            matches!(event, Event::Returned { .. } | Event::Durable { .. } | Event::Closed { .. })
        };
        self.events.iter().any(is_it)
    }

    /// Reports how long the last step took, which wrote something.
    pub fn wrote_for(&self, took: Duration) {
        self.list().facts.writes.add(took);
    }

    /// Returns the card's state.
    pub fn state(&self) -> CardState {
        self.list().state.clone()
    }

    /// When the next step of background work is due; never while the card waits to be remounted.
    fn next_chore(&self) -> Option<Instant> {
        let waits = self.was_writable && matches!(self.list().state, CardState::ReadOnly(_));
        let is_up = self.root.is_some() && !waits;
        let asked = self.list().is_awaited().then_some(self.head_pause);
        let span = self.span.as_ref().map(|job| job.next_step);
        let dues = [
            self.next_head,
            asked,
            span,
            self.next_marks(),
            self.next_thinning(),
            self.next_proof(),
            Some(self.next_names),
        ];
        is_up.then(|| dues.into_iter().flatten().fold(self.next_room, Instant::min))
    }

    fn list(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_state(&mut self, state: CardState) {
        let mut list = self.list();
        if list.state != state {
            list.state = state.clone();
            drop(list);
            self.events.push_back(Event::State(state));
        }
    }

    fn configure(&mut self, settings: Settings, now: Instant) {
        let same_card = settings.paths == self.settings.paths
            && settings.require_mount == self.settings.require_mount;
        let leaving: Vec<_> = self.cameras.iter().map(|slot| slot.place.clone()).collect();
        for place in leaving.iter().filter(|it| !same_card || !settings.cameras.contains(it)) {
            self.close(place.id, now);
        }
        self.settings = settings;
        if self.settings.thin_after_days == 0 {
            self.abandon_thinning();
        }
        self.next_thin = now + CARD_RETRY_INTERVAL;
        self.next_room = self.next_room.min(now + CARD_RETRY_INTERVAL);
        if !same_card {
            self.forget_card();
            self.next_look = now;
        }
        self.change_cameras(now);
    }

    /// Applies the cameras of the settings; existing ones continue.
    fn change_cameras(&mut self, now: Instant) {
        let places = self.settings.cameras.clone();
        let (stay, leave): (Vec<_>, Vec<_>) = std::mem::take(&mut self.cameras)
            .into_iter()
            .partition(|slot| places.contains(&slot.place));
        self.cameras = stay;
        for slot in leave {
            self.mark_folder(slot.place.id);
            self.list().leave(slot.place.id);
        }
        for place in places {
            if self.slot(place.id).is_some() {
                continue;
            }
            self.cameras.push(CameraSegments::new(place.clone()));
            if self.root.is_some() && !self.list_camera(&place) {
                self.next_look = now;
                return;
            }
        }
    }

    fn check_hold(&mut self, now: Instant) {
        let is_locked = self.disk.exists(&self.settings.lock_file);
        self.lock_ignored &= is_locked;
        let is_wanted = is_locked && !self.lock_ignored;
        match self.hold {
            None if is_wanted => self.release(HoldBy::LockFile, now),
            None => {}
            Some(Hold { by: HoldBy::LockFile, .. }) if !is_locked => self.take_back(now),
            Some(Hold { since, by })
                if now.saturating_duration_since(since) >= CARD_RELEASE_MAX =>
            {
                if by == HoldBy::Request && is_wanted {
                    self.hold = Some(Hold { since: now, by: HoldBy::LockFile });
                } else {
                    self.lock_ignored = is_locked;
                    self.take_back(now);
                }
            }
            Some(_) => {}
        }
    }

    /// Closes all files and forgets the card: it may be replaced.
    fn release(&mut self, by: HoldBy, now: Instant) {
        self.abandon_thinning();
        self.close_all(now);
        if self.is_writable() {
            self.settle_marks(now);
        }
        self.save_wear();
        self.forget_card();
        self.hold = Some(Hold { since: now, by });
        self.set_state(CardState::Released);
    }

    fn take_back(&mut self, now: Instant) {
        if self.hold.take().is_some() {
            self.look(now);
        }
    }

    fn forget_card(&mut self) {
        self.root = None;
        self.held = Vec::new();
        self.was_writable = false;
        self.suspect = None;
        self.next_head = None;
        self.indexes = Vec::new();
        self.marks.forget_card();
        self.forget_given_up();
        self.abandon_span();
        self.thinning = None;
        self.proofs = proofs::Proofs::default();
        self.unsaved_bytes = 0;
        self.list().reset();
    }

    fn set_wall(&mut self, wall: WallTime, clock: ClockTrust, up_ms: u64, now: Instant) {
        self.wall = Some((now, wall, clock, up_ms));
        let stamp = SegmentTime { boot: self.settings.boot, up_ms: Some(up_ms), wall, clock };
        let recordings = self.list().learn(&stamp);
        if recordings > 0 {
            self.events.push_back(Event::Dated { recordings });
        }
    }

    fn delete_asked(
        &mut self,
        camera: CameraId,
        name: Name,
        now: Instant,
    ) -> Result<(), DeleteError> {
        if self.has_moved(now) {
            return Err(DeleteError::NotThere); // another file may have that name now
        }
        let state = self.list().folder(camera).and_then(|it| Some(it.get(name)?.state));
        match state {
            None => return Err(DeleteError::NotThere),
            Some(SegmentState::Recording) => return Err(DeleteError::Recording),
            Some(_) => {}
        }
        if !self.is_writable() {
            return Err(DeleteError::Card);
        }
        self.delete(camera, name, DeleteReason::Asked, now)
    }

    fn is_writable(&self) -> bool {
        let is_bad = matches!(self.list().state, CardState::ReadOnly(_) | CardState::Absent(_));
        self.root.is_some() && self.hold.is_none() && !is_bad
    }

    /// The name of a file as users know it.
    fn file(&self, camera: CameraId, name: Name) -> String {
        let path = self.path(camera, name).unwrap_or_default();
        let root = self.root.as_deref().unwrap_or(Path::new(""));
        path.strip_prefix(root).unwrap_or(&path).display().to_string()
    }

    /// A listed file, as described in events.
    fn recording(&self, folder: CameraId, name: Name) -> Recording {
        let list = self.list();
        let listed = list.folder(folder).and_then(|it| Some((it, it.get(name)?)));
        let camera = listed.map_or("", |(it, entry)| list.camera(it, entry)).to_owned();
        let number = listed.and_then(|(_, entry)| entry.address()).unwrap_or(name.number());
        Recording { folder, name, camera, number }
    }

    fn slot(&self, camera: CameraId) -> Option<&CameraSegments<D>> {
        self.cameras.iter().find(|slot| slot.place.id == camera)
    }

    fn slot_mut(&mut self, camera: CameraId) -> Option<&mut CameraSegments<D>> {
        self.cameras.iter_mut().find(|slot| slot.place.id == camera)
    }

    fn ids(&self) -> Vec<CameraId> {
        self.cameras.iter().map(|slot| slot.place.id).collect()
    }

    fn path(&self, camera: CameraId, name: Name) -> io::Result<PathBuf> {
        let list = self.list();
        list.folder(camera).map(|folder| folder.path(name)).ok_or(io::ErrorKind::NotFound.into())
    }

    fn directory(&self, camera: CameraId) -> io::Result<PathBuf> {
        let directory = self.list().folder(camera).map(|folder| folder.directory.clone());
        let directory = directory.ok_or(io::ErrorKind::NotFound)?;
        if !self.held.iter().any(|(held, _)| *held == directory) {
            return Err(foreign(
                "the camera's name belongs to something that is not a folder on this card",
            ));
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests;
