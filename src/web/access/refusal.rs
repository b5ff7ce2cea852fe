//! Why a request is refused: a status, and a message for the client.
//!
//! Spec: RFC 9110 §15. Knows nothing of: how an answer is written.

use std::{fmt, net::IpAddr, time::Duration};

/// `Display` is one line that names the problem and the remedy; it contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not sent by any well-behaved client; contains the reason.
    Malformed(&'static str),
    BodyTooLarge,
    TargetTooLong,
    HeadTooLarge,
    TransferEncoding,
    Version,
    /// The head did not arrive in time.
    Slow,
    /// The limit of connections is reached.
    NoSlot,
    /// Not a name of this machine.
    Misdirected {
        host: String,
    },
    /// A page of another origin made the request.
    Foreign,
    /// A change or a WebSocket with our cookie, but without an `Origin`.
    OriginMissing,
    /// No password is set yet.
    NoPassword,
    /// The first password, sent from an address outside the local networks …
    NotLocal(IpAddr),
    /// … or through a proxy, whose client may be anywhere.
    Forwarded,
    /// The password's file cannot be used; contains the reason.
    PasswordUnreadable(String),
    /// A new password could not be stored; contains the reason.
    PasswordUnwritable(String),
    /// A new password that is too short or too long.
    PasswordLength,
    NotLoggedIn(Challenge),
    WrongPassword {
        wait: Duration,
        challenge: Challenge,
    },
    /// After wrong passwords from this address or many.
    Wait(Duration),
    /// The limit of simultaneous password checks is reached.
    Busy,
    /// The kernel has not gathered enough randomness since it was started.
    NoRandomness,
}

/// Whether the reply offers Basic; a browser then shows a dialog of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    None,
}

impl Refusal {
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Malformed(_) | Refusal::PasswordLength => 400,
            Refusal::NotLoggedIn(_) | Refusal::WrongPassword { .. } => 401,
            Refusal::Foreign
            | Refusal::OriginMissing
            | Refusal::NoPassword
            | Refusal::NotLocal(_)
            | Refusal::Forwarded
            | Refusal::PasswordUnreadable(_) => 403,
            Refusal::Slow => 408,
            Refusal::BodyTooLarge => 413,
            Refusal::TargetTooLong => 414,
            Refusal::Misdirected { .. } => 421,
            Refusal::Wait(_) | Refusal::Busy => 429,
            Refusal::HeadTooLarge => 431,
            Refusal::TransferEncoding => 501,
            Refusal::NoSlot | Refusal::NoRandomness | Refusal::PasswordUnwritable(_) => 503,
            Refusal::Version => 505,
        }
    }

    /// How long to wait before the next try: `Retry-After`, `retry_after_ms`.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::WrongPassword { wait, .. } | Refusal::Wait(wait) => Some(*wait),
            Refusal::Busy | Refusal::NoSlot | Refusal::NoRandomness => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Whether to send `WWW-Authenticate: Basic` (RFC 7617).
    pub fn challenge(&self) -> Challenge {
        match self {
            Refusal::NotLoggedIn(challenge) | Refusal::WrongPassword { challenge, .. } => {
                *challenge
            }
            _ => Challenge::None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(what) => f.write_str(what),
            Refusal::BodyTooLarge => f.write_str("the body is too large"),
            Refusal::TargetTooLong => f.write_str("the address is too long"),
            Refusal::HeadTooLarge => f.write_str("the header part is too large"),
            Refusal::TransferEncoding => {
                f.write_str("Transfer-Encoding is not taken: send Content-Length")
            }
            Refusal::Version => f.write_str("only HTTP/1.1 and HTTP/1.0 are spoken here"),
            Refusal::Slow => f.write_str("the request took too long"),
            Refusal::NoSlot => f.write_str("too many connections: try again"),
            Refusal::PasswordUnwritable(why) => {
                write!(f, "the password cannot be kept ({why}): it stays as it was")
            }
            Refusal::Misdirected { host } => write!(
                f,
                "this machine is not known as {host}: use its IP address, or add the name to \
                 `hosts` in section [web] of the configuration (web.hosts)"
            ),
            Refusal::Foreign => f.write_str(
                "the request was made by another web site: open this page by its address (behind a \
                 proxy: add the name in that address to web.hosts)",
            ),
            Refusal::OriginMissing => f.write_str(
                "a change with the page's cookie needs an Origin: scripts send the password by \
                 Basic instead",
            ),
            Refusal::NoPassword => f.write_str(
                "no password is set yet: set one on the page, or by `smolnvr passwd` on the machine",
            ),
            Refusal::NotLocal(address) => write!(
                f,
                "the first password is only taken from the local network, not from {address}: \
                 set it from there, or by `smolnvr passwd` on the machine itself"
            ),
            Refusal::Forwarded => f.write_str(
                "the first password is not taken through a proxy: set it from the local network, \
                 or by `smolnvr passwd` on the machine itself",
            ),
            Refusal::PasswordUnreadable(why) => write!(
                f,
                "the password file cannot be used ({why}): `smolnvr passwd` on the machine \
                 itself sets a new password"
            ),
            Refusal::PasswordLength => {
                let range = super::password::LENGTH;
                let (least, most) = (range.start(), range.end());
                write!(f, "a password has {least} to {most} characters")
            }
            Refusal::NotLoggedIn(_) => f.write_str("log in"),
            Refusal::WrongPassword { .. } => f.write_str("wrong password"),
            Refusal::Wait(_) => f.write_str("wrong passwords came: wait a moment"),
            Refusal::Busy => f.write_str("too many passwords at once: try again"),
            Refusal::NoRandomness => {
                f.write_str("the machine has only just started: try again in a moment")
            }
        }
    }
}

impl std::error::Error for Refusal {}
