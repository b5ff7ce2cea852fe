//! The card's state machine: commands and the time in, calls to the disk and events out.
//!
//! Spec: docs/configuration.md, "Files on the card". Knows nothing of: threads, clocks, queues.
//!
//! ```text
//! card.rs        commands, deadlines, letting go of the card and taking it back
//! ├─ segments    open, append, sync, close
//! ├─ staged      segments that another program writes
//! ├─ health      what an error means; absent, read-only, failing; mending what did it
//! ├─ room        retention, a full card, deleting
//! ├─ folders     the list: names at once; whose folder each is
//! ├─ spans       what people want of all recordings between two moments
//! ├─ thinning    old recordings are reduced to their key frames
//! ├─ index       what is known of them, in a file of each folder
//! └─ heads       what the files say, newest first in the background
//! ```

mod folders;
mod heads;
mod health;
mod index;
mod room;
mod segments;
mod spans;
mod staged;
mod thinning;

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use self::{health::Suspect, index::Index, segments::Camera};
use super::{
    CameraId, CardState, Command, DeleteError, DeleteReason, Event, Recording, Settings,
    catalog::{Catalog, SegmentState, Stamp},
    disk::{Disk, FileSystem, foreign},
    layout::Name,
};
use crate::{
    limits::{CARD_RELEASE_MAX, CARD_RETRY_INTERVAL, LOCK_FILE_INTERVAL},
    mp4::identity::Clock,
    units::WallTime,
};

/// The card and all that is open on it.
///
/// *Shape*: after each [`Card::handle`] and [`Card::tick`] the events are drained by [`Card::poll`];
/// `tick` is called again at [`Card::deadline`] at the latest, and may be called at any time. It does
/// what is due, and of the work that can wait one small step.
pub struct Card<D: Disk> {
    disk: D,
    settings: Settings,
    catalog: Arc<Mutex<Catalog>>,
    cameras: Vec<Camera<D>>,
    events: VecDeque<Event>,
    /// The path in use; its folders are listed.
    root: Option<PathBuf>,
    /// The folders that are listed, each kept in sight.
    held: Vec<(PathBuf, D::Folder)>,
    file_system: FileSystem,
    /// `root` was writable once: turning read-only is a fault, not somebody's wish.
    was_writable: bool,
    /// The card was let go of.
    hold: Option<Hold>,
    /// The lock file stands for longer than any upgrade takes.
    lock_ignored: bool,
    /// Over which the card turned read-only.
    suspect: Option<Suspect>,
    remounts: Vec<Instant>,
    /// `Failing` ends then, if nothing fails any more.
    failing_until: Instant,
    /// Recordings that went for an ENOSPC with room left since something was last written: where
    /// that does not help, no more go.
    deleted_in_vain: usize,
    /// `keep_days` waits, which was said.
    age_is_doubtful: bool,
    /// What is being reduced to its key frames.
    thinning: Option<thinning::Job<D>>,
    next_thin: Instant,
    /// What is wanted of a span and not done yet.
    span: Option<spans::Job>,
    /// What time it was, as the board believes, and for how long the machine was up.
    wall: Option<(Instant, WallTime, Clock, u64)>,
    next_lock_check: Instant,
    next_look: Instant,
    next_room: Instant,
    next_head: Option<Instant>,
    /// No head is read before that, however much somebody wants to know.
    head_pause: Instant,
    /// Of each folder, once recording has begun.
    indexes: Vec<Index<D>>,
    /// When it has, or will not begin.
    index_due: Instant,
    /// Whose head is read next; the cameras take turns.
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
    /// A card that nobody has looked at yet; the first `tick` does.
    pub fn new(disk: D, settings: Settings, catalog: Arc<Mutex<Catalog>>, now: Instant) -> Card<D> {
        Card {
            disk,
            cameras: settings.cameras.iter().map(|place| Camera::new(place.clone())).collect(),
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
            span: None,
            wall: None,
            next_lock_check: now,
            next_look: now,
            next_room: now,
            next_head: None,
            head_pause: now,
            indexes: Vec::new(),
            index_due: now,
            head_turn: 0,
        }
    }

    /// Does what is asked; everything is answered by events.
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
            Command::Span(wish) => self.begin_span(&wish, now),
            Command::Release => self.release(HoldBy::Request, now),
            Command::Resume => {
                self.lock_ignored = self.disk.exists(&self.settings.lock_file);
                self.take_back(now);
            }
            Command::Configure(settings) => self.configure(settings, now),
            Command::Clock { wall, clock, up_ms } => self.set_wall(wall, clock, up_ms, now),
            Command::Overtaken { camera } => self.overtaken(camera, now),
            Command::ReadFailed { camera, name } => self.read_failed(camera, name, now),
            Command::Shutdown => {
                self.abandon_thinning();
                self.close_all(now);
                self.events.push_back(Event::Ended);
            }
        }
    }

    /// Does what is due, the lock file first: whoever waits for the card shall not wait for the rest.
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
                } else if self.next_thinning().is_some_and(|due| now >= due) {
                    self.thin_step(now)
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

    /// The next event, the oldest first.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How the card is.
    pub fn state(&self) -> CardState {
        self.list().state.clone()
    }

    /// When the next step is due of what can wait; never while the card waits to be remounted.
    fn next_chore(&self) -> Option<Instant> {
        let waits = self.was_writable && matches!(self.list().state, CardState::ReadOnly(_));
        let is_up = self.root.is_some() && !waits;
        let asked = self.list().is_awaited().then_some(self.head_pause);
        let span = self.span.as_ref().map(|job| job.next_step);
        let dues = [self.next_head, asked, span, self.next_thinning()];
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

    /// Takes up the cameras of the settings; those that were there before go on.
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
            self.cameras.push(Camera::new(place.clone()));
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

    /// No file of the card stays open, nothing of it is known any more: it may come back another.
    fn release(&mut self, by: HoldBy, now: Instant) {
        self.abandon_thinning();
        self.close_all(now);
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
        self.forget_given_up();
        self.abandon_span();
        self.thinning = None;
        self.list().reset();
    }

    fn set_wall(&mut self, wall: WallTime, clock: Clock, up_ms: u64, now: Instant) {
        self.wall = Some((now, wall, clock, up_ms));
        let stamp = Stamp { boot: self.settings.boot, up_ms: Some(up_ms), wall, clock };
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

    /// The name of a file as the user knows it.
    fn file(&self, camera: CameraId, name: Name) -> String {
        let path = self.path(camera, name).unwrap_or_default();
        let root = self.root.as_deref().unwrap_or(Path::new(""));
        path.strip_prefix(root).unwrap_or(&path).display().to_string()
    }

    /// A file of the list as events speak of it.
    fn recording(&self, folder: CameraId, name: Name) -> Recording {
        let list = self.list();
        let listed = list.folder(folder).and_then(|it| Some((it, it.get(name)?)));
        let camera = listed.map_or("", |(it, entry)| list.camera(it, entry)).to_owned();
        let number = listed.and_then(|(_, entry)| entry.address()).unwrap_or(name.number());
        Recording { folder, name, camera, number }
    }

    fn slot(&self, camera: CameraId) -> Option<&Camera<D>> {
        self.cameras.iter().find(|slot| slot.place.id == camera)
    }

    fn slot_mut(&mut self, camera: CameraId) -> Option<&mut Camera<D>> {
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
            return Err(foreign("what has the camera's name is no folder of this card"));
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests;
