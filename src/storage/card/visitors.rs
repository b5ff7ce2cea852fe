//! Recordings that other programs put on a card in use, or take from it.
//!
//! Folders are listed again, in turn. What is new is listed once it has not changed for a while: a
//! file that is still being copied looks like one that was not closed, which would be repaired.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
    time::Instant,
};

use super::Card;
use crate::{
    limits::{
        CARD_NAMES_AT_ONCE, CARD_NAMES_INTERVAL, CARD_NAMES_PAUSE, CARD_NAMES_REST,
        RECORDINGS_LISTED_MAX,
    },
    storage::{
        CameraId, CardState,
        catalog::Visitors,
        disk::{Access, Disk, Kind},
        layout::Name,
    },
};

impl<D: Disk> Card<D> {
    /// Compares the names in one folder with its list.
    pub(super) fn names_step(&mut self, now: Instant) {
        self.next_names = now + CARD_NAMES_INTERVAL;
        let is_failing = matches!(self.list().state, CardState::Failing(_));
        if is_failing || !self.list().complete() || self.has_moved(now) {
            return;
        }
        let (next, turn) = {
            let list = self.list();
            let folder = list.folders().iter().cycle().nth(self.names_turn);
            let next = folder.map(|it| (it.id, it.directory.clone(), it.entries().len()));
            (next, (self.names_turn + 1) % list.folders().len().max(1))
        };
        self.names_turn = turn;
        let Some((camera, directory, count)) = next else { return };
        let pause = CARD_NAMES_PAUSE.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        self.next_names += pause;
        let mut names = Vec::with_capacity(count);
        let listed = self.disk.list(&directory, &mut |file, kind| {
            let has_room = names.len() <= RECORDINGS_LISTED_MAX;
            names.extend(Name::parse(file).filter(|_| has_room && kind == Kind::RegularFile));
        });
        // Why not is found out, and said, when the card is looked at.
        if listed.is_err() || names.len() > RECORDINGS_LISTED_MAX {
            return;
        }
        names.sort_unstable();
        self.see_off(camera, &names);
        self.welcome(camera, &directory, names, now);
    }

    fn see_off(&mut self, camera: CameraId, names: &[Name]) {
        let gone = self.list().folder_mut(camera).map(|folder| folder.keep_only(names));
        if gone.into_iter().flatten().any(|name| self.is_thinned_now(camera, name)) {
            self.abandon_thinning();
        }
    }

    /// Lists the newest of the names that are not listed, if they have not changed for a while.
    /// Those that turn out to be foreign are dropped again, and not looked at until others come.
    fn welcome(&mut self, camera: CameraId, directory: &Path, names: Vec<Name>, now: Instant) {
        let is_thinning = self.thinning.is_some();
        let mut new = names;
        let before = {
            let mut list = self.list();
            let Some(folder) = list.folder_mut(camera) else { return };
            new.retain(|&name| folder.get(name).is_none() && !(is_thinning && name.is_longer()));
            folder.find_used_all(&new);
            folder.visitors
        };
        let mut hasher = DefaultHasher::new();
        new.hash(&mut hasher);
        new.reverse();
        new.truncate(CARD_NAMES_AT_ONCE);
        new.retain(|name| {
            let file = self.disk.open(&directory.join(name.file_name()), Access::Read);
            let looked = file.and_then(|it| Ok((self.disk.len(&it)?, self.disk.modified(&it)?.0)));
            // The time too: some programs give a file its length before its content.
            looked.as_ref().ok().hash(&mut hasher);
            looked.is_ok_and(|(bytes, _)| bytes > 0)
        });
        let seen = hasher.finish();
        let visitors = match before {
            _ if new.is_empty() => Visitors::None,
            Visitors::Listed(it) if it == seen => return,
            Visitors::Seen(it, since) if it == seen => {
                if now.saturating_duration_since(since) < CARD_NAMES_REST {
                    return;
                }
                Visitors::Listed(seen)
            }
            _ => Visitors::Seen(seen, now),
        };
        let is_time = visitors == Visitors::Listed(seen);
        if let Some(folder) = self.list().folder_mut(camera) {
            folder.visitors = visitors;
            if is_time {
                folder.list_late(&new);
            }
        }
        if is_time {
            self.next_head = Some(now);
        }
    }
}
