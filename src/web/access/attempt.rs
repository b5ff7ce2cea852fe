//! A password to be checked: made where the rules are, run where it may take its time.
//!
//! Knows nothing of: threads, what follows from the answer.

use super::{Peer, delays::Source, password::Hash, refusal::Challenge};
use std::{fmt, sync::Arc, time::Instant};

/// A password that is to be checked. Where it, or its answer, gets lost nothing has happened.
pub struct Attempt {
    pub(super) purpose: Purpose,
    pub(super) password: Vec<u8>,
    /// What the password has to fit; `None` where that is known, or nothing is asked for.
    pub(super) hash: Option<Hash>,
    pub(super) peer: Peer,
    /// `None` over the control socket.
    pub(super) source: Option<Source>,
    /// Counted while it lives.
    pub(super) place: Arc<()>,
}

/// A password that waits for its turn, since wrong ones came from where it came from. Bring it back
/// to [`super::Access::proceed`] when that has come; a client who goes takes it along.
pub struct Held {
    pub until: Instant,
    pub(super) attempt: Attempt,
}

pub enum Purpose {
    Basic(Challenge),
    LogIn,
    /// `_place` is counted while it lives.
    Change {
        new: Vec<u8>,
        salt: [u8; 16],
        _place: Arc<()>,
    },
}

/// What came of an attempt.
pub struct Answer {
    pub(super) attempt: Attempt,
    pub(super) finding: Finding,
    pub(super) new: Option<Hash>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Right,
    Wrong,
}

impl Attempt {
    /// *Cost*: up to 100 ms on the board, 200 ms where the password changes: for a thread of its
    /// own.
    pub fn run(self) -> Answer {
        let is_right = self.hash.is_none_or(|hash| hash.fits(&self.password));
        let new = match &self.purpose {
            Purpose::Change { new, salt, .. } if is_right => Some(Hash::new(new, *salt)),
            _ => None,
        };
        let finding = if is_right { Finding::Right } else { Finding::Wrong };
        Answer { attempt: self, finding, new }
    }
}

impl Answer {
    /// The new password, to be written to its file before [`super::Access::verified`] makes it
    /// count.
    pub fn new_password(&self) -> Option<&Hash> {
        self.new.as_ref()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({:?})", self.attempt)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempt(*** from {})", self.peer)
    }
}
