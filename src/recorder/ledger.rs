//! The ledger: what became of each frame between the ring and the card.
//!
//! Frames go out in fragments, come back written, and become durable or are lost; each is counted
//! once.
//! Knows nothing of: a frame's content, segments, retries.

use crate::limits;
use std::{collections::VecDeque, ops::Range};

/// *Shape*: all frames before `next` were sent, given up, or not wanted. Of these, all before
/// `settled_end` are durable or lost; those in `at_risk` would be lost if the card failed.
pub(super) struct Ledger {
    next: u64,
    /// Fragments at the card thread, in order.
    in_flight: VecDeque<Range<u64>>,
    at_risk: VecDeque<Range<u64>>,
    settled_end: u64,
    lost: u64,
}

impl Ledger {
    pub fn new() -> Ledger {
        Ledger {
            next: 0,
            in_flight: VecDeque::with_capacity(limits::FRAGMENT_BUFFERS),
            at_risk: VecDeque::with_capacity(RANGES_MAX),
            settled_end: 0,
            lost: 0,
        }
    }

    /// The first frame that was neither sent nor given up.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Frames lost because of the card.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns true if no fragment is at the card thread.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The first frame to send again if the card failed now.
    pub fn at_risk(&self) -> Option<u64> {
        self.at_risk.front().map(|frames| frames.start)
    }

    /// Skips frames that are not wanted.
    pub fn skip_until(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Skips frames that were wanted.
    pub fn lose_until(&mut self, next: u64) {
        self.lost += next.saturating_sub(self.next.max(self.settled_end));
        self.skip_until(next);
    }

    /// Records that a fragment of the next frames went to the card thread.
    pub fn sent(&mut self, frames: Range<u64>) {
        self.next = frames.end;
        self.in_flight.push_back(frames.clone());
        // Frames before that are durable in an abandoned file.
        let frames = frames.start.max(self.settled_end)..frames.end;
        let is_full = self.at_risk.len() == RANGES_MAX;
        match self.at_risk.back_mut() {
            _ if frames.is_empty() => {}
            Some(last) if last.end == frames.start || is_full => {
                last.end = frames.end;
            }
            _ => self.at_risk.push_back(frames),
        }
        self.settle(self.settled_end);
    }

    /// Records that the oldest fragment came back.
    pub fn returned(&mut self) {
        self.in_flight.pop_front();
    }

    /// Records that all sent frames before `end` are durable.
    pub fn durable(&mut self, end: u64) {
        // A frame still in flight cannot be durable: this report is about an abandoned segment, and
        // frames before its end may be about to be sent again.
        let in_flight = self.in_flight.front().map_or(self.next, |frames| frames.start);
        if end > in_flight {
            return;
        }
        while let Some(frames) = self.at_risk.front_mut().filter(|frames| frames.start < end) {
            frames.start = end.min(frames.end);
            if frames.is_empty() {
                self.at_risk.pop_front();
            }
        }
        self.settle(end);
    }

    /// Goes back to `next`, a key frame in the ring, from which everything not durable is sent
    /// again; earlier frames that are not durable are lost. Nothing may be in flight.
    pub fn go_back(&mut self, next: u64) {
        let gone = |frames: Range<u64>| frames.end.min(next).saturating_sub(frames.start);
        self.lost += self.at_risk.drain(..).map(gone).sum::<u64>();
        self.lost += next.saturating_sub(self.next.max(self.settled_end));
        self.next = next;
        self.settle(next);
    }

    /// Marks everything before `end`, or before the first frame at risk, as settled.
    fn settle(&mut self, end: u64) {
        self.settled_end = self.settled_end.max(self.at_risk().unwrap_or(end));
    }
}

/// Gaps between two syncs that are tracked. More would need a ring that is overtaken twice a second
/// by a card that still writes.
const RANGES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fragments: &[Range<u64>]) -> Ledger {
        let mut ledger = Ledger::new();
        for frames in fragments {
            ledger.sent(frames.clone());
        }
        ledger
    }

    #[test]
    fn durable_frames_are_not_lost_when_the_card_fails() {
        let mut ledger = sent(&[0..10, 10..20]);
        ledger.returned();
        ledger.durable(10);
        assert_eq!(ledger.at_risk(), Some(10));
        ledger.returned();
        ledger.go_back(15);
        assert_eq!((ledger.lost(), ledger.next()), (5, 15));
    }

    #[test]
    fn frames_that_are_sent_twice_are_lost_once_at_most() {
        let mut ledger = sent(std::slice::from_ref(&(0..10)));
        ledger.returned();
        ledger.durable(10);
        ledger.go_back(5);
        assert_eq!((ledger.lost(), ledger.at_risk()), (0, None));
        ledger.sent(5..12);
        ledger.returned();
        ledger.go_back(20);
        assert_eq!(ledger.lost(), 10);
    }

    #[test]
    fn a_gap_is_not_counted_again_by_the_failure_that_follows_it() {
        let mut ledger = sent(std::slice::from_ref(&(0..10)));
        ledger.lose_until(30);
        ledger.sent(30..40);
        ledger.returned();
        ledger.returned();
        ledger.go_back(30);
        assert_eq!((ledger.lost(), ledger.next()), (30, 30));
    }

    #[test]
    fn word_of_a_segment_that_was_given_up_settles_nothing() {
        let mut ledger = sent(&[0..10, 10..20]);
        ledger.returned();
        ledger.returned();
        ledger.go_back(0);
        ledger.durable(20);
        ledger.sent(0..10);
        ledger.durable(10);
        assert_eq!(ledger.at_risk(), Some(0));
        ledger.returned();
        ledger.durable(10);
        assert_eq!(ledger.at_risk(), None);
    }
}
