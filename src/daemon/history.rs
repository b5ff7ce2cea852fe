//! Recent events for display: changes of state in words, the fate of recordings,
//! marks.
//!
//! The lists are bounded. A reader keeps the number of the next entry it wants, and so notices
//! when it was overtaken.

use crate::{limits, storage::marks::Mark, units::WallTime};
use std::collections::VecDeque;

/// The newest changes of state and notices.
#[derive(Default)]
pub struct History {
    pub changes: NewestEntries<Change>,
    pub recordings: NewestEntries<RecordingChange>,
    /// As they begin and end: a mark that goes on occurs more than once.
    pub marks: NewestEntries<Mark>,
    /// Complete recordings, by camera and number; only while a program or server is told of them.
    pub complete: NewestEntries<(String, u32)>,
}

/// A change of state.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: WallTime,
    pub kind: ChangeKind,
    pub camera: Option<String>,
    /// In words, without the camera's name.
    pub text: String,
}

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    Camera,
    Card,
    Recording,
    Clock,
    Access,
    Config,
}

/// A change of a recording's state.
#[derive(Clone, Debug)]
pub struct RecordingChange {
    pub camera: String,
    pub number: u32,
    /// As in `/api/recordings`, or `deleted`.
    pub state: &'static str,
}

/// The newest entries, numbered from 0.
pub struct NewestEntries<T> {
    entries: VecDeque<T>,
    /// The number of the next entry.
    next: u64,
}

impl<T> NewestEntries<T> {
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter()
    }

    /// Returns the entry with that number; `None` if it was dropped or does not exist yet.
    pub fn get(&self, number: u64) -> Option<&T> {
        let first = self.next - self.entries.len() as u64;
        self.entries.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    pub fn push(&mut self, entry: T) {
        if self.entries.len() == limits::HISTORY_ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.next += 1;
    }
}

impl<T> Default for NewestEntries<T> {
    fn default() -> NewestEntries<T> {
        NewestEntries { entries: VecDeque::new(), next: 0 }
    }
}

impl ChangeKind {
    /// As in `/api/status`.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Camera => "camera",
            ChangeKind::Card => "card",
            ChangeKind::Recording => "recording",
            ChangeKind::Clock => "clock",
            ChangeKind::Access => "access",
            ChangeKind::Config => "config",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_entries_make_way_and_numbers_go_on() {
        let mut log = NewestEntries::default();
        let many = limits::HISTORY_ENTRIES_MAX as u64 + 3;
        (0..many).for_each(|number| log.push(number));
        assert_eq!(log.next(), many);
        assert_eq!((log.get(2), log.get(3), log.get(many)), (None, Some(&3), None));
        assert!(log.iter().copied().eq(3..many));
    }
}
