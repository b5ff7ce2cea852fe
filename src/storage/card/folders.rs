//! The folders of the card: those of cameras, created if missing, and those left by former cameras.
//! Names are listed at once, with one readdir each.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::Card;
use crate::{
    limits::{
        CARD_INDEX_DELAY, CARD_NAMES_INTERVAL, CARD_ROOM_DELAY, FAT_FOLDER_BYTES,
        FORMER_FOLDERS_MAX, FORMER_HEADS_MAX,
    },
    mp4::scan::read_head,
    storage::{
        CardState, Place,
        catalog::Folder,
        disk::{Access, Disk, FileSystem, Kind, Mount, RequireMount},
        layout,
    },
};

impl<D: Disk> Card<D> {
    /// Starts using a card: lists its folders, and creates missing ones.
    pub(super) fn take_up(&mut self, root: PathBuf, mount: Mount, now: Instant) {
        self.forget_card();
        self.was_writable = mount == Mount::Writable;
        if let Err((directory, error)) = self.list_all(&root) {
            self.forget_card();
            return self.set_state(why_not_listed(&directory, &error));
        }
        self.file_system = self.disk.file_system(&root);
        let has_marks = {
            let mut list = self.list();
            list.root = Some(root.clone());
            list.has_marks()
        };
        self.marks.is_unread = has_marks;
        self.root = Some(root);
        self.deleted_in_vain = 0;
        self.next_head = Some(now);
        self.index_due = now + CARD_INDEX_DELAY;
        self.next_room = now + CARD_ROOM_DELAY;
        self.next_thin = now + CARD_ROOM_DELAY;
        self.next_names = now + CARD_NAMES_INTERVAL;
        self.set_state(match mount {
            Mount::Writable => CardState::Ok,
            _ => CardState::ReadOnly("the card is mounted read-only".into()),
        });
        for camera in self.ids() {
            self.mark_folder(camera);
        }
    }

    /// Creates a file of ours in a folder. On FAT its name is durable before it has room, as that
    /// of a segment.
    pub(super) fn create_named(&self, directory: &Path, name: &str) -> io::Result<D::File> {
        let file = self.disk.create(&directory.join(name))?;
        if self.file_system == FileSystem::Fat {
            self.disk.sync_directory(directory)?;
        }
        Ok(file)
    }

    /// Lists the folder of a newly configured camera. Returns false if the card has to be examined
    /// again.
    pub(super) fn list_camera(&mut self, place: &Place) -> bool {
        let Some(root) = self.root.clone() else { return true };
        if self.held.is_empty() {
            self.forget_card(); // the path itself does not exist yet
            return false;
        }
        if let Err((directory, error)) = self.list_place(&root, place) {
            self.forget_card();
            self.set_state(why_not_listed(&directory, &error));
            return false;
        }
        self.mark_folder(place.id);
        self.next_head = self.next_head.or(Some(self.next_look));
        true
    }

    fn list_all(&mut self, root: &Path) -> Result<(), (PathBuf, io::Error)> {
        let mut others = Vec::new();
        let cameras = self.settings.cameras.clone();
        let folder = self.list_folder(root, root, &mut |file, kind| {
            let is_other = |place: &Place| file != OsStr::new(place.folder.as_str());
            if kind == Kind::Other
                && others.len() < FORMER_FOLDERS_MAX
                && layout::may_be_folder(file)
                && cameras.iter().all(is_other)
            {
                others.push(file.to_owned());
            }
        });
        let folder = folder.map_err(|error| (root.to_owned(), error))?;
        match cameras.iter().find(|place| place.folder == ".") {
            Some(place) => self.list().add(Some(place.id), &place.name, folder),
            None => {
                let last = self.camera_in(&folder).unwrap_or_else(|| layout::NAMELESS.to_owned());
                self.list().add(None, &last, folder);
            }
        }
        for place in &cameras {
            self.list_place(root, place)?;
        }
        for name in others {
            self.list_former(root, &name);
        }
        Ok(())
    }

    /// Lists a camera's folder, unless it is listed already.
    fn list_place(&mut self, root: &Path, place: &Place) -> Result<(), (PathBuf, io::Error)> {
        let directory = layout::folder(root, &place.folder);
        if self.list().claim(&directory, place.id, &place.name) {
            return Ok(());
        }
        let folder = match self.list_folder(root, &directory, &mut |_, _| {}) {
            Ok(folder) => folder,
            // The folder's name belongs to a user's file or link: only that camera cannot record.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Folder::new(directory),
            Err(error) => return Err((directory, error)),
        };
        self.list().add(Some(place.id), &place.name, folder);
        Ok(())
    }

    /// Lists a folder into which no camera records, if a former one did: it contains the marker of
    /// a highest number, or recordings of the camera after which it is named. Any other folder is
    /// foreign, such as a user's copies.
    fn list_former(&mut self, root: &Path, name: &OsString) {
        let directory = root.join(name);
        // FAT knows a camera's folder by this spelling of its name too.
        if self.held.iter().any(|(_, held)| self.disk.is_still_at(held, &directory)) {
            return;
        }
        if self.hold(root, &directory).is_err() {
            return; // not a folder, a link, or another recorder's
        }
        let mut folder = Folder::new(directory.clone());
        let listed = self.disk.list(&directory, &mut |file, kind| folder.take_up(file, kind));
        folder.sort();
        let last = self.camera_in(&folder);
        let is_ours =
            folder.marker.is_some() || last.as_ref().is_some_and(|last| name == last.as_str());
        if listed.is_err() || folder.entries().is_empty() || !is_ours {
            self.held.pop();
            return;
        }
        let camera = last.unwrap_or_else(|| name.to_string_lossy().into_owned());
        self.list().add(None, &camera, folder);
    }

    /// The camera that last recorded into a folder, according to the newest files there.
    fn camera_in(&self, folder: &Folder) -> Option<String> {
        folder.entries().iter().rev().take(FORMER_HEADS_MAX).find_map(|entry| {
            let file = self.disk.open(&folder.path(entry.name), Access::Read).ok()?;
            let length = self.disk.len(&file).ok()?;
            let read_at = |buffer: &mut [u8], at| self.disk.read_at(&file, buffer, at);
            Some(read_head(&read_at, length).ok()?.identity?.camera)
        })
    }

    fn list_folder(
        &mut self,
        root: &Path,
        directory: &Path,
        each: &mut dyn FnMut(&OsStr, Kind),
    ) -> io::Result<Folder> {
        let mut folder = Folder::new(directory.to_owned());
        match self.hold(root, directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The path is created for the first camera.
                if !self.was_writable || self.settings.cameras.is_empty() {
                    return Ok(folder);
                }
                self.make_folder(directory)?;
                self.hold(root, directory)?;
            }
            result => result?,
        }
        self.disk.list(directory, &mut |file, kind| {
            folder.take_up(file, kind);
            each(file, kind);
        })?;
        folder.sort();
        Ok(folder)
    }

    /// Opens and locks a folder; a camera's must be a real one on the root's file system.
    fn hold(&mut self, root: &Path, directory: &Path) -> io::Result<()> {
        if self.held.iter().any(|(held, _)| held == directory) {
            return Ok(());
        }
        if directory != root {
            self.hold(root, root)?;
        }
        let within = self.held.iter().find(|_| directory != root).map(|(_, folder)| folder);
        let folder = self.disk.hold(directory, within)?;
        self.held.push((directory.to_owned(), folder));
        Ok(())
    }

    /// Creates a folder on the card; if a mount is required, also its parents, which are on it.
    fn make_folder(&self, directory: &Path) -> io::Result<()> {
        if self.disk.exists(directory) {
            return Ok(());
        }
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let (RequireMount::Yes, Some(parent)) = (self.settings.require_mount, parent) {
            self.make_folder(parent)?;
        }
        // On FAT, a name may reach the card before its clusters. A folder with such a name turns
        // the card read-only whenever it is looked up, for ever. So it is created under a name that
        // is never used again.
        let parent = parent.unwrap_or(Path::new("."));
        let [a, b, c, d, ..] = self.settings.boot;
        let unborn = directory.with_extension(u32::from_be_bytes([a, b, c, d]).to_string());
        self.disk.create_directory(&unborn)?;
        self.disk.sync_directory(parent)?;
        // It gets room for many names now. When a folder grows later, FAT changes two sectors of
        // its table; if only the first one reaches the card, the folder turns it read-only.
        if self.disk.file_system(parent) == FileSystem::Fat {
            self.disk.grow_directory(&unborn, FAT_FOLDER_BYTES)?;
            self.disk.sync_directory(&unborn)?;
        }
        self.disk.rename(&unborn, directory)?;
        // FAT writes the cluster into a new entry when the folder is written, not before.
        self.disk.sync_directory(directory)?;
        self.disk.sync_directory(parent)
    }
}

fn why_not_listed(directory: &Path, error: &io::Error) -> CardState {
    let directory = directory.display();
    if error.kind() == io::ErrorKind::WouldBlock {
        return CardState::Absent(format!(
            "another recorder uses {directory}: stop it, or set another path for one of them"
        ));
    }
    CardState::Failing(format!(
        "cannot list {directory}: {error}; if that persists, check the card on a PC"
    ))
}
