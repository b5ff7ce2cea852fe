//! Statistics: what each session has sent, for tests to compare with what was received.

use std::sync::Mutex;

use crate::locked;

/// One session, from SETUP on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Counts from 1 over all streams of a camera.
    pub number: u64,
    pub stream: String,
    pub transport: TransportKind,
    pub state: SessionState,
    /// Where in the endless repetition of the clip it began ([`crate::Clip::frame`]).
    pub first_frame: u64,
    pub first_timestamp: u32,
    pub first_sequence: u16,
    /// Sent whole, in the order of the clip.
    pub frames: u64,
    /// RTP packets handed to the socket; lost ones (faults) do not count.
    pub packets: u64,
    /// Their payload.
    pub bytes: u64,
    /// GET_PARAMETER, SET_PARAMETER and OPTIONS that came during the session.
    pub keepalives: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportKind {
    Tcp,
    Udp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionState {
    /// After SETUP.
    Ready,
    Playing,
    /// All frames that were asked for are sent.
    Finished,
    /// The client said TEARDOWN.
    TornDown,
    /// The connection ended without.
    Disconnected,
}

/// The newest sessions of a camera.
#[derive(Debug, Default)]
pub(crate) struct Board {
    sessions: Mutex<Vec<Session>>,
}

impl Board {
    /// Enters a session under the next number, which `make` gets.
    pub(crate) fn enter(&self, make: impl FnOnce(u64) -> Session) -> Session {
        let mut sessions = locked(&self.sessions);
        let session = make(sessions.last().map_or(1, |newest| newest.number + 1));
        if sessions.len() >= SESSIONS_MAX {
            sessions.remove(0);
        }
        sessions.push(session.clone());
        session
    }

    /// Changes the session of that number, if it is still listed.
    pub(crate) fn update(&self, number: u64, change: impl FnOnce(&mut Session)) {
        let mut sessions = locked(&self.sessions);
        if let Some(session) = sessions.iter_mut().rev().find(|session| session.number == number) {
            change(session);
        }
    }

    pub(crate) fn sessions(&self) -> Vec<Session> {
        locked(&self.sessions).clone()
    }
}

/// Older ones are forgotten: a camera may run for weeks.
const SESSIONS_MAX: usize = 1000;
