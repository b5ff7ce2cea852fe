//! One FFmpeg at a time, because the board has memory for only one. A recording has priority;
//! pictures pause until it has ended.

use crate::runtime::Signal;
use std::{cell::Cell, rc::Rc};

/// The slot, shared by everything that runs FFmpeg.
#[derive(Default)]
pub struct Turn {
    /// Recordings that hold the slot or wait for a picture to finish.
    recordings: Cell<usize>,
    is_used: Cell<bool>,
    changed: Signal,
}

/// Holds the slot until it is dropped.
pub struct Used {
    turn: Rc<Turn>,
    user: User,
}

#[derive(PartialEq, Eq)]
enum User {
    Recording,
    Picture,
}

impl Turn {
    /// Why there are no pictures while [`Turn::is_recording`].
    pub const PAUSED: &str = "paused while FFmpeg records: only one FFmpeg runs at a time";

    /// Takes the slot for a recording, at once or as soon as the current picture is finished. No
    /// further picture starts meanwhile. Cancel-safe.
    pub async fn record(self: &Rc<Self>) -> Used {
        self.recordings.set(self.recordings.get() + 1);
        self.changed.notify();
        // Dropped with this future, which gives up the claim.
        let used = Used { turn: Rc::clone(self), user: User::Recording };
        loop {
            let changed = self.changed.changed();
            if !self.is_used.get() {
                return used;
            }
            changed.await;
        }
    }

    /// Takes the slot for a picture; `None` while a recording or another picture has it.
    pub fn picture(self: &Rc<Self>) -> Option<Used> {
        if self.is_recording() || self.is_used.replace(true) {
            return None;
        }
        Some(Used { turn: Rc::clone(self), user: User::Picture })
    }

    /// Returns true if pictures have to wait for a recording.
    pub fn is_recording(&self) -> bool {
        self.recordings.get() > 0
    }

    /// Completes when the slot is next taken or released.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        self.changed.changed()
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        match self.user {
            User::Recording => self.turn.recordings.set(self.turn.recordings.get() - 1),
            User::Picture => self.turn.is_used.set(false),
        }
        self.turn.changed.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::{block_on, poll_once};

    #[test]
    fn a_recording_waits_for_the_picture_that_is_made_and_no_other_begins() {
        let turn = Rc::new(Turn::default());
        let picture = turn.picture().unwrap();
        assert!(turn.picture().is_none(), "one at a time");
        let mut recording = Box::pin(turn.record());
        assert!(block_on(poll_once(&mut recording)).is_none());
        drop(picture);
        assert!(turn.picture().is_none() && turn.is_recording());
        let recording = block_on(poll_once(&mut recording)).unwrap();
        assert!(turn.picture().is_none());
        drop(recording);
        assert!(turn.picture().is_some());
    }

    #[test]
    fn a_recording_that_is_no_longer_waited_for_gives_its_claim_up() {
        let turn = Rc::new(Turn::default());
        let picture = turn.picture().unwrap();
        let mut recording = Box::pin(turn.record());
        assert!(block_on(poll_once(&mut recording)).is_none());
        drop((recording, picture));
        assert!(!turn.is_recording() && turn.picture().is_some());
    }
}
