//! Why an RTSP session ended, in one line for syslog, without credentials, and whose fault it is.

use super::{LowerTransport, input::InputError, message::MessageError, request::Method};
use crate::{
    http::{auth::Authenticator, url::Target},
    limits,
};
use std::{fmt, time::Duration};

/// Each of these ends the session; a new one on a new connection may succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// 401 in spite of credentials, or without any in the URL.
    Unauthorized {
        user: Option<String>,
    },
    /// 401 with only unsupported challenges.
    UnknownChallenge,
    /// Another reply than success. `path` may be shown.
    Refused {
        method: Method,
        status: u16,
        path: String,
    },
    /// 3xx, with the target if the server named an `rtsp://` URL.
    Redirected {
        status: u16,
        to: Option<Box<Target>>,
    },
    NoAnswer {
        method: Method,
        waited: Duration,
    },
    /// The connection was closed: see [`super::Session::disconnected`].
    Disconnected {
        awaited: Option<Method>,
    },
    /// The connection was closed when a 401 should have been answered; another one may accept the
    /// answer.
    ClosedBehindChallenge {
        authenticator: Box<Authenticator>,
    },
    /// Unsolicited messages within [`limits::CHATTER_INTERVAL`].
    Chatter {
        messages: u32,
    },
    /// The encodings offered.
    NoVideo {
        has: String,
    },
    /// SETUP was refused in a way that means: not over this transport.
    NoTransport {
        over: LowerTransport,
        status: u16,
    },
    /// SETUP for interleaved data was answered with UDP ports.
    NotInterleaved,
    /// The first bytes are not RTSP.
    NotRtsp,
    Message(MessageError),
    /// Consecutive bytes that contain no valid item.
    Junk {
        bytes: usize,
    },
}

/// What has to change before another attempt can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// User or password: retrying soon may lock the account.
    Credentials,
    /// The URL: a wrong path, or a host that is not a camera.
    Address,
    /// What the camera offers, or its settings.
    Camera,
    /// Unknown: the camera is slow, busy, gone or speaks broken RTSP.
    Connection,
}

impl Error {
    /// Returns true if the other lower transport may work.
    pub fn is_about_transport(&self) -> bool {
        matches!(self, Error::NoTransport { .. } | Error::NotInterleaved)
    }

    pub fn fault(&self) -> Fault {
        match self {
            Error::Unauthorized { .. }
            | Error::ClosedBehindChallenge { .. }
            | Error::Refused { status: 403, .. } => Fault::Credentials,
            Error::Refused { status: 400 | 404, method: Method::Describe, .. }
            | Error::Redirected { .. }
            | Error::NotRtsp => Fault::Address,
            Error::UnknownChallenge
            | Error::NoVideo { .. }
            | Error::NoTransport { .. }
            | Error::NotInterleaved
            | Error::Refused { status: 404..=452 | 455..=499, .. } => Fault::Camera,
            Error::Refused { .. }
            | Error::NoAnswer { .. }
            | Error::Disconnected { .. }
            | Error::Chatter { .. }
            | Error::Message(_)
            | Error::Junk { .. } => Fault::Connection,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unauthorized { user: Some(user) } => {
                write!(f, "401 Unauthorized: the camera refuses user {user:?}")
            }
            Error::Unauthorized { user: None } => f.write_str(
                "401 Unauthorized: the camera requires a user and password, but the URL has none",
            ),
            Error::UnknownChallenge => f.write_str(
                "401 Unauthorized: the camera offers neither Basic nor Digest with MD5 or SHA-256",
            ),
            Error::Refused { method, status, path } => {
                write!(f, "{status} {}: ", reason(*status))?;
                match status {
                    403 => write!(f, "this user may not read {path} on the camera"),
                    404 if *method == Method::Describe => write!(f, "the camera has no {path}"),
                    453 | 503 => f.write_str("the camera serves no more viewers"),
                    _ => write!(f, "the camera's reply to {}", method.name()),
                }
            }
            Error::Redirected { status, to: Some(to) } => {
                write!(f, "{status} {}: the camera's stream is at {to}", reason(*status))
            }
            Error::Redirected { status, to: None } => {
                write!(f, "{status} {}: the camera names no new address", reason(*status))
            }
            Error::NoAnswer { method, waited } => {
                write!(f, "no answer to {} for {} s", method.name(), waited.as_secs())
            }
            Error::Disconnected { awaited: Some(method) } => {
                write!(f, "the camera closed the connection instead of answering {}", method.name())
            }
            Error::Disconnected { awaited: None } => {
                f.write_str("the camera closed the connection")
            }
            Error::ClosedBehindChallenge { authenticator } => {
                let user = authenticator.user().unwrap_or_default();
                write!(f, "401 Unauthorized: the camera closes the connection on user {user:?}")
            }
            Error::Chatter { messages } => {
                let span = limits::CHATTER_INTERVAL.as_secs();
                write!(f, "more than {messages} unsolicited RTSP messages within {span} s")
            }
            Error::NoVideo { has } => {
                write!(f, "no H.264 or H.265 video track in the camera's SDP (has: {has})")
            }
            Error::NoTransport { over, status } => {
                let over = over.name().to_ascii_uppercase();
                write!(f, "{status} {}: the camera does not stream over {over}", reason(*status))
            }
            Error::NotInterleaved => f.write_str("the camera answers SETUP for TCP with UDP ports"),
            Error::NotRtsp => f.write_str("this port does not speak RTSP"),
            Error::Message(error) => write!(f, "broken RTSP message from the camera: {error}"),
            Error::Junk { bytes } => {
                write!(f, "{bytes} consecutive bytes from the camera are neither RTP nor RTSP")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<InputError> for Error {
    fn from(error: InputError) -> Error {
        match error {
            InputError::NotRtsp => Error::NotRtsp,
            InputError::Message(error) => Error::Message(error),
            InputError::Junk(bytes) => Error::Junk { bytes },
        }
    }
}

/// Standard reason phrases (RFC 2326 §7.1.1), because cameras' own may be anything.
fn reason(status: u16) -> &'static str {
    REASONS.iter().find(|(code, _)| *code == status).map_or("refused", |(_, reason)| reason)
}

const REASONS: [(u16, &str); 21] = [
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Moved Temporarily"),
    (303, "See Other"),
    (305, "Use Proxy"),
    (400, "Bad Request"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (415, "Unsupported Media Type"),
    (453, "Not Enough Bandwidth"),
    (454, "Session Not Found"),
    (455, "Method Not Valid in This State"),
    (459, "Aggregate Operation Not Allowed"),
    (461, "Unsupported Transport"),
    (462, "Destination Unreachable"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (503, "Service Unavailable"),
    (551, "Option not supported"),
];
