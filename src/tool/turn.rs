//! One FFmpeg at a time, because the board has memory for only one. A recording has priority;
//! pictures pause until it has ended.

use crate::runtime::{Count, Counted};

/// The slot, shared by everything that runs FFmpeg.
#[derive(Default)]
pub struct ToolTurn {
    /// Recordings that hold the slot or wait for a picture to finish.
    recordings: Count,
    /// One at most.
    pictures: Count,
}

impl ToolTurn {
    /// Why there are no pictures while [`ToolTurn::is_recording`].
    pub const PAUSED: &str = "paused while FFmpeg records: only one FFmpeg runs at a time";

    /// Takes the slot for a recording, at once or as soon as the current picture is finished. No
    /// further picture starts meanwhile. Cancel-safe.
    pub async fn record(&self) -> Counted {
        // Dropped with this future, which gives up the claim.
        let recording = self.recordings.enter();
        self.pictures.until(|pictures| pictures == 0).await;
        recording
    }

    /// Takes the slot for a picture; `None` while a recording or another picture has it.
    pub fn picture(&self) -> Option<Counted> {
        if self.is_recording() { None } else { self.pictures.try_enter(1) }
    }

    /// Returns true if pictures have to wait for a recording.
    pub fn is_recording(&self) -> bool {
        self.recordings.get() > 0
    }

    /// Waits until a recording wants the slot.
    pub async fn recording(&self) {
        self.recordings.until(|recordings| recordings > 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::{block_on, poll_once};

    #[test]
    fn a_recording_waits_for_the_picture_that_is_made_and_no_other_begins() {
        let turn = ToolTurn::default();
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
        let turn = ToolTurn::default();
        let picture = turn.picture().unwrap();
        let mut recording = Box::pin(turn.record());
        assert!(block_on(poll_once(&mut recording)).is_none());
        drop((recording, picture));
        assert!(!turn.is_recording() && turn.picture().is_some());
    }
}
