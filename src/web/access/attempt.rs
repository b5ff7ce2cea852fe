//! A pending check of a password: created by the rules, run on a thread that may take its time.
//!
//! Knows nothing of: threads, the consequences of the answer.

use super::{Peer, delays::Source, password::PasswordHash, refusal::Challenge};
use std::{fmt, sync::Arc, time::Instant};

/// A pending check. If it or its answer gets lost, nothing has happened.
pub struct Attempt {
    pub(super) purpose: Purpose,
    pub(super) password: Vec<u8>,
    /// The hash to compare with; `None` if the password is known to be right, or none is set.
    pub(super) hash: Option<PasswordHash>,
    pub(super) peer: Peer,
    /// `None` over the control socket.
    pub(super) source: Option<Source>,
    /// Counts the attempt while it lives.
    pub(super) place: Arc<()>,
}

/// A password that waits for its turn, because wrong ones came from the same source. The caller
/// passes it to [`super::Access::proceed`] at that time; if the client disconnects, it is dropped.
pub struct Held {
    pub until: Instant,
    pub(super) attempt: Attempt,
}

pub enum Purpose {
    Basic(Challenge),
    LogIn,
    /// `_place` counts the change while it lives.
    Change {
        new: Vec<u8>,
        salt: [u8; 16],
        /// No password was set when it was asked for.
        is_first: bool,
        _place: Arc<()>,
    },
}

/// The result of an attempt.
pub struct AttemptResult {
    pub(super) attempt: Attempt,
    pub(super) finding: Finding,
    pub(super) new: Option<PasswordHash>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Right,
    Wrong,
}

impl Attempt {
    /// *Cost*: up to 100 ms on the board, 200 ms for a new password; run it on a thread of its own.
    pub fn run(self) -> AttemptResult {
        let is_right = self.hash.is_none_or(|hash| hash.fits(&self.password));
        let new = match &self.purpose {
            Purpose::Change { new, salt, .. } if is_right => Some(PasswordHash::new(new, *salt)),
            _ => None,
        };
        let finding = if is_right { Finding::Right } else { Finding::Wrong };
        AttemptResult { attempt: self, finding, new }
    }
}

impl AttemptResult {
    /// The new password's hash, to be written to its file before [`super::Access::verified`] puts
    /// it into effect.
    pub fn new_password(&self) -> Option<&PasswordHash> {
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
