//! One FFmpeg at a time: the board has memory for one. Recording has it; pictures wait, and come back
//! after.
//!
//! Knows nothing of: what FFmpeg does.

use crate::runtime::Signal;
use std::{cell::Cell, rc::Rc};

/// The slot, shared by all that run FFmpeg.
#[derive(Default)]
pub struct Turn {
    /// Who records, or waits for a picture to be done.
    recordings: Cell<usize>,
    is_used: Cell<bool>,
    changed: Signal,
}

/// The slot is one's own while this is held.
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
    /// Why there is no picture while [`Turn::is_recording`].
    pub const PAUSED: &str = "paused: FFmpeg records, and one FFmpeg runs at a time";

    /// The slot for a recording: at once, or when the picture that is being made is done, which is
    /// soon. From now on no other picture begins. Cancel-safe.
    pub async fn record(self: &Rc<Self>) -> Used {
        self.recordings.set(self.recordings.get() + 1);
        self.changed.notify();
        // Dropped where the wait is: the claim with it.
        let used = Used { turn: Rc::clone(self), user: User::Recording };
        loop {
            let changed = self.changed.changed();
            if !self.is_used.get() {
                return used;
            }
            changed.await;
        }
    }

    /// The slot for a picture; `None` while a recording has it, or another picture is made.
    pub fn picture(self: &Rc<Self>) -> Option<Used> {
        if self.is_recording() || self.is_used.replace(true) {
            return None;
        }
        Some(Used { turn: Rc::clone(self), user: User::Picture })
    }

    /// Whether pictures wait for a recording.
    pub fn is_recording(&self) -> bool {
        self.recordings.get() > 0
    }

    /// The next time that the slot is taken or free again.
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
