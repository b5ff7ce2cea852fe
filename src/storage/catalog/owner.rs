//! Owners: finds recordings by camera, wherever they are.
//!
//! A recording belongs to the camera named in its identity box. One without (the old system's,
//! FFmpeg's) belongs to the camera of the next recording in the same folder, because that camera
//! continued where the old system had ended; without one, to the camera that records there.

use std::{cmp::Reverse, num::NonZeroU8, path::Path};

use super::{Catalog, Entry, Facts, Folder, Name, SegmentState, folder::RECORDED_NUMBER_MAX};
use crate::{
    mp4::identity::SegmentMarks,
    storage::{CameraId, layout::Asked},
};

/// A camera's name, as found by [`Catalog::owner`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner(NonZeroU8);

impl Owner {
    /// The name at that index of [`Catalog::owners`].
    fn at(index: usize) -> Option<Owner> {
        u8::try_from(index + 1).ok().and_then(NonZeroU8::new).map(Owner)
    }

    fn index(self) -> usize {
        usize::from(self.0.get() - 1)
    }
}

/// The recordings of one camera, summed up.
#[derive(Clone, Copy, Default, Debug)]
pub struct RecordingTotals {
    pub segments: usize,
    pub bytes: u64,
    /// Those of them that are kept.
    pub kept_segments: usize,
    pub kept_bytes: u64,
    /// Of those that are thinned.
    pub thinned_bytes: u64,
    /// The addresses of the lowest and the highest number, see [`Entry::address`].
    pub oldest: Option<u32>,
    pub newest: Option<u32>,
}

/// The recordings of one camera, newest first; see [`Catalog::recordings`].
pub struct Recordings<'a> {
    owner: Owner,
    /// The rest of each folder.
    rest: Vec<(&'a Folder, &'a [Entry])>,
    /// Recordings with the same number, in reverse order.
    same: Vec<(&'a Folder, &'a Entry)>,
}

impl Catalog {
    /// Adds a folder: a camera's, or with `None` one of a former camera.
    pub fn add(&mut self, id: Option<CameraId>, camera: &str, folder: Folder) {
        let owner = self.intern_owner(camera);
        let former = CameraId(FORMER_IDS + self.next_former);
        self.next_former += usize::from(id.is_none());
        let is_claimed = id.is_some();
        self.folders.push(Folder { id: id.unwrap_or(former), owner, is_claimed, ..folder });
        self.settle(self.folders.len() - 1);
    }

    /// Assigns a known folder to a camera; returns false if it is unknown.
    pub fn claim(&mut self, directory: &Path, id: CameraId, camera: &str) -> bool {
        let Some(at) = self.folders.iter().position(|it| it.directory == directory) else {
            return false;
        };
        // Existing recordings without an owner stay with the previous camera.
        self.settle(at);
        let owner = self.intern_owner(camera);
        if let Some(folder) = self.folders.get_mut(at) {
            let before = folder.owner;
            let read = folder.entries.iter_mut().filter(|it| it.state != SegmentState::Unread);
            read.for_each(|entry| entry.owner = entry.owner.or(before));
            (folder.id, folder.owner, folder.is_claimed) = (id, owner, true);
        }
        self.settle(at);
        true
    }

    /// Removes a camera from the configuration: its folder becomes a former camera's.
    pub fn leave(&mut self, camera: CameraId) {
        if let Some(folder) = self.folder_mut(camera) {
            folder.is_claimed = false;
        }
    }

    /// `None` if there are no recordings of a camera of that name.
    pub fn owner(&self, camera: &str) -> Option<Owner> {
        let at = self.owners.iter().position(|known| **known == *camera)?;
        Owner::at(at)
    }

    /// Returns the name of a recording's camera.
    pub fn camera(&self, folder: &Folder, entry: &Entry) -> &str {
        self.name(entry.owner_in(folder))
    }

    /// Returns the camera of recordings in a folder that do not name one.
    pub fn camera_of(&self, folder: &Folder) -> &str {
        self.name(folder.owner)
    }

    pub(super) fn name(&self, owner: Option<Owner>) -> &str {
        owner.and_then(|it| self.owners.get(it.index())).map_or("", |name| name)
    }

    /// Returns a camera's recordings by descending number, optionally only those before an address.
    pub fn recordings(&self, owner: Owner, before: Option<u32>) -> Recordings<'_> {
        let number = before.map_or(u32::MAX, |before| before % TWIN_STEP);
        let below = |folder: &Folder| {
            let entries = folder.entries();
            entries.partition_point(|it| it.name.number() <= number)
        };
        let rest =
            self.folders.iter().map(|it| (it, it.entries.get(..below(it)).unwrap_or_default()));
        let mut list = Recordings { owner, rest: rest.collect(), same: Vec::new() };
        // Of this number, only the twins before it.
        if list.take_number() == Some(number) {
            let twin = before.map_or(0, |before| before / TWIN_STEP);
            list.same.retain(|(_, entry)| u32::from(entry.facts.twin()) > twin);
        }
        list
    }

    /// Finds a camera's recording by address or name.
    pub fn find(&self, camera: &str, asked: Asked) -> Option<(&Folder, &Entry)> {
        let owner = self.owner(camera)?;
        let is_it = |entry: &Entry| match asked {
            Asked::Number(address) => entry.address() == Some(address),
            Asked::Name(name) => entry.name == name,
        };
        self.folders.iter().find_map(|folder| {
            let mut same = folder.of_number(asked.number() % TWIN_STEP).iter();
            let found = same.find(|it| is_it(it) && it.owner_in(folder) == Some(owner));
            found.map(|entry| (folder, entry))
        })
    }

    /// Sums up each camera with recordings, by name.
    pub fn tallies(&self) -> Vec<(&str, RecordingTotals)> {
        let mut tallies = vec![RecordingTotals::default(); self.owners.len()];
        for folder in &self.folders {
            for entry in &folder.entries {
                let owner = entry.owner_in(folder);
                let tally = owner.and_then(|it| tallies.get_mut(it.index()));
                let (Some(tally), Some(address)) = (tally, entry.address()) else { continue };
                tally.segments += 1;
                tally.bytes = tally.bytes.saturating_add(entry.bytes);
                if entry.marks().has(SegmentMarks::THINNED) {
                    tally.thinned_bytes = tally.thinned_bytes.saturating_add(entry.bytes);
                }
                if entry.marks().has(SegmentMarks::KEPT) {
                    tally.kept_segments += 1;
                    tally.kept_bytes = tally.kept_bytes.saturating_add(entry.bytes);
                }
                let key = |address: &u32| address % TWIN_STEP;
                tally.oldest = tally.oldest.into_iter().chain([address]).min_by_key(key);
                tally.newest = tally.newest.into_iter().chain([address]).max_by_key(key);
            }
        }
        let named = self.owners.iter().map(|name| &**name).zip(tallies);
        named.filter(|(_, tally)| tally.segments > 0).collect()
    }

    /// Returns the number of a camera's next segment: one more than the highest ever used in its
    /// folder, and than any of its recordings elsewhere.
    pub fn next_number(&self, camera: CameraId) -> u32 {
        let Some(folder) = self.folder(camera) else { return 0 };
        let owner = folder.owner;
        let elsewhere = self.folders.iter().filter_map(|other| {
            let mut of_owner = other.entries.iter().rev();
            let highest = of_owner.find(|entry| {
                entry.owner_in(other) == owner && entry.name.number() < RECORDED_NUMBER_MAX
            });
            let highest = highest.map(|entry| entry.name.number());
            let left = other.highest.filter(|_| other.owner == owner);
            highest.max(left)
        });
        let highest = elsewhere.chain(folder.highest).max();
        highest.map_or(0, |highest| highest.saturating_add(1))
    }

    /// Sets a recording's owner after its head was read; `None` if it does not name one.
    pub fn own(&mut self, id: CameraId, name: Name, camera: Option<&str>) {
        let named = camera.and_then(|camera| self.intern_owner(camera));
        let Some(index) = self.folders.iter().position(|folder| folder.id == id) else { return };
        let Some(folder) = self.folders.get_mut(index) else { return };
        let Some(at) = folder.position(name) else { return };
        let next = folder.entries.get(at + 1).and_then(|next| next.owner);
        if let Some(entry) = folder.entries.get_mut(at) {
            let before = entry.owner;
            entry.owner = named.or(next);
            if before != entry.owner {
                self.set_twin(index, at);
            }
        }
    }

    /// Determines the owners of all recordings in a folder, as far as known.
    pub(super) fn settle(&mut self, index: usize) {
        let Some(folder) = self.folders.get_mut(index) else { return };
        let mut next = None;
        for entry in folder.entries.iter_mut().rev() {
            entry.facts.set_twin(NO_ADDRESS);
            match entry.owner {
                None if entry.state != SegmentState::Unread => entry.owner = next,
                None => {}
                owner => next = owner,
            }
        }
        for at in 0..folder.entries.len() {
            self.set_twin(index, at);
        }
    }

    /// Gives a recording the first address that is free for its camera and number.
    fn set_twin(&mut self, index: usize, at: usize) {
        let Some(folder) = self.folders.get(index) else { return };
        let Some(entry) = folder.entries.get(at) else { return };
        let (owner, number) = (entry.owner_in(folder), entry.name.number());
        let mut taken = 0_u8;
        for (nth, other) in self.folders.iter().enumerate() {
            let twins =
                if nth == index { folder.of_same_number(at) } else { other.of_number(number) };
            for twin in twins {
                if !std::ptr::eq(twin, entry) && twin.owner_in(other) == owner {
                    taken |= 1_u8 << twin.facts.twin();
                }
            }
        }
        let free = (0..TWINS_MAX).find(|twin| taken & (1 << twin) == 0);
        let entry = self.folders.get_mut(index).and_then(|folder| folder.entries.get_mut(at));
        if let Some(entry) = entry {
            entry.facts.set_twin(free.unwrap_or(NO_ADDRESS));
        }
    }

    pub(super) fn intern_owner(&mut self, camera: &str) -> Option<Owner> {
        self.owner(camera).or_else(|| {
            let owner = Owner::at(self.owners.len())?;
            self.owners.push(camera.into());
            Some(owner)
        })
    }
}

impl Entry {
    /// The number by which clients request a recording of its camera. Usually that of its name. If
    /// a camera has several with one number (`014.mp4` and `0014.mp4`, or in two folders), each
    /// further one gets a billion more. `None` for the fifth, which is not listed.
    pub fn address(&self) -> Option<u32> {
        let twin = Some(self.facts.twin()).filter(|&twin| twin < TWINS_MAX).map(u32::from)?;
        Some(self.name.number() + twin * TWIN_STEP)
    }

    /// Returns true if [`Catalog::recordings`] returns it before the recording with that address;
    /// all are after a negative one.
    pub fn is_after(&self, address: i64) -> bool {
        let step = i64::from(TWIN_STEP);
        let order = |address: i64| (address % step, Reverse(address / step));
        self.address().is_some_and(|own| order(own.into()) > order(address))
    }

    /// The name by which clients request it: its file's, unless another of its camera has the same.
    pub fn file(&self) -> String {
        match self.address() {
            Some(address)
                if address >= TWIN_STEP && Name::new(self.name.number()) == Some(self.name) =>
            {
                format!("{address}.mp4")
            }
            _ => self.name.file_name(),
        }
    }

    fn owner_in(&self, folder: &Folder) -> Option<Owner> {
        self.owner.or(folder.owner)
    }
}

impl Recordings<'_> {
    /// Takes those with the highest number left.
    fn take_number(&mut self) -> Option<u32> {
        let owner = self.owner;
        for (folder, rest) in &mut self.rest {
            while let Some((last, before)) = rest.split_last()
                && last.owner_in(folder) != Some(owner)
            {
                *rest = before;
            }
        }
        let ends = self.rest.iter().filter_map(|(_, rest)| rest.last());
        let number = ends.map(|entry| entry.name.number()).max()?;
        for (folder, rest) in &mut self.rest {
            while let Some((last, before)) = rest.split_last()
                && last.name.number() == number
            {
                if last.owner_in(folder) == Some(owner) && last.address().is_some() {
                    self.same.push((folder, last));
                }
                *rest = before;
            }
        }
        self.same.sort_unstable_by_key(|(_, entry)| Reverse(entry.facts.twin()));
        Some(number)
    }
}

impl<'a> Iterator for Recordings<'a> {
    type Item = (&'a Folder, &'a Entry);

    fn next(&mut self) -> Option<Self::Item> {
        while self.same.is_empty() {
            self.take_number()?;
        }
        self.same.pop()
    }
}

/// Recordings of one camera and number that can be distinguished.
const TWINS_MAX: u8 = 4;
/// A number has at most nine digits; four of these steps fit into 32 bits.
const TWIN_STEP: u32 = 1_000_000_000;
const NO_ADDRESS: u8 = Facts::TWIN;
/// The ids of cameras are below this.
const FORMER_IDS: usize = usize::MAX / 2;
