//! Statistics: the packets and frames that each session sent, so that tests can compare.

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
    /// The frame of the endlessly repeated clip with which it began ([`crate::Clip::frame`]).
    pub first_frame: u64,
    pub first_timestamp: u32,
    pub first_sequence: u16,
    /// Frames sent whole, in the order of the clip.
    pub frames: u64,
    /// RTP packets handed to the socket; lost packets (faults) and copies do not count.
    pub packets: u64,
    /// Packets lost (faults) before one that was handed to the socket.
    pub lost: u64,
    /// Frames of which a part of the picture was lost, counted from 0.
    pub broken: Vec<u64>,
    /// Payload of those packets.
    pub bytes: u64,
    /// Frames of sound that were sent, or lost (faults).
    pub sounds: u64,
    /// GET_PARAMETER, SET_PARAMETER and OPTIONS requests during the session.
    pub keepalives: u64,
    /// The client's receiver reports, and the content of the last one.
    pub reports: u64,
    pub reception: Option<Reception>,
}

/// A client's report about the packets that reach it (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reception {
    pub ssrc: u32,
    pub fraction_lost: u8,
    pub lost: u32,
    pub highest_sequence_number: u32,
    pub jitter: u32,
    /// The middle bits of the last sender report's NTP time, and how long ago it came, in 1/65536
    /// s.
    pub last_sender_report: u32,
    pub since_sender_report: u32,
}

impl Session {
    /// Takes a compound packet from the client.
    pub(crate) fn hear(&mut self, packet: &[u8]) {
        let word = |at: usize| -> Option<u32> {
            packet.get(4 * at..4 * at + 4)?.try_into().ok().map(u32::from_be_bytes)
        };
        if packet.get(1) != Some(&RECEIVER_REPORT) {
            return;
        }
        self.reports += 1;
        if packet[0] & 0x1f > 0
            && let (Some(ssrc), Some(lost), Some(highest), Some(jitter), Some(last), Some(since)) =
                (word(2), word(3), word(4), word(5), word(6), word(7))
        {
            self.reception = Some(Reception {
                ssrc,
                fraction_lost: (lost >> 24) as u8,
                lost: lost & 0xff_ffff,
                highest_sequence_number: highest,
                jitter,
                last_sender_report: last,
                since_sender_report: since,
            });
        }
    }
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
    /// All frames that were ordered are sent.
    Finished,
    /// The client sent TEARDOWN.
    TornDown,
    /// The connection ended without TEARDOWN.
    Disconnected,
}

/// The newest sessions of a camera.
#[derive(Debug, Default)]
pub(crate) struct Board {
    sessions: Mutex<Vec<Session>>,
}

impl Board {
    /// Adds a session under the next number, which is passed to `make`.
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

const RECEIVER_REPORT: u8 = 201;
/// Older sessions are forgotten, since a camera may run for weeks.
const SESSIONS_MAX: usize = 1000;
