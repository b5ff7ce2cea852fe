//! Why a request is refused: a status, and words for whoever reads the answer.
//!
//! Spec: RFC 9110 §15. Knows nothing of: how an answer is written.

use std::{fmt, net::IpAddr, time::Duration};

/// `Display` is one line that says what is wrong and what to do about it; it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing that a well-behaved client sends; what is wrong with it.
    Malformed(&'static str),
    BodyTooLarge,
    TargetTooLong,
    HeadTooLarge,
    TransferEncoding,
    Version,
    /// The head did not come in time.
    Slow,
    /// As many connections as may be are served already.
    NoSlot,
    /// A name that this machine does not go by.
    Misdirected {
        host: String,
    },
    /// The request was made by a page of another origin.
    Foreign,
    /// A change or a WebSocket with our cookie, but without an `Origin`.
    OriginMissing,
    /// No password is set yet.
    NoPassword,
    /// The first password, sent from an address that is not of a local network …
    NotLocal(IpAddr),
    /// … or by a proxy, for whoever asked it.
    Forwarded,
    /// The password's file; why it can not be used.
    PasswordUnreadable(String),
    /// A new password could not be kept; why.
    PasswordUnwritable(String),
    /// A new password that is too short or too long.
    PasswordLength,
    NotLoggedIn(Challenge),
    WrongPassword {
        wait: Duration,
        challenge: Challenge,
    },
    /// After wrong passwords, from this address or many.
    Wait(Duration),
    /// As many passwords as may be are checked at this moment.
    Busy,
    /// The kernel has not gathered enough randomness since it was started.
    NoRandomness,
}

/// Whether the answer asks for Basic credentials; a browser would ask its user with a box of its
/// own.
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
                write!(f, "the password can not be kept ({why}): it stays as it was")
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
                "the password file can not be used ({why}): `smolnvr passwd` on the machine \
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
