//! Why a camera was not found, in one line for the user.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Cameras are being looked for already.
    Busy,
    Address,
    /// No name server knows the host.
    Unknown(String),
    /// The host is on the Internet.
    Foreign(String),
    NoCamera(String),
    /// It speaks RTSP, and has nothing at the paths that makers use.
    NoPath(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Busy => f.write_str("cameras are being looked for: try again in a moment"),
            Error::Address => {
                f.write_str("address: expected an IP address or a host name, such as 192.168.1.20")
            }
            Error::Unknown(host) => write!(f, "{host} is not known: try its IP address"),
            Error::Foreign(host) => {
                write!(f, "{host} is not in a private network: only those are searched")
            }
            Error::NoCamera(host) => write!(
                f,
                "{host} answers neither as an ONVIF camera nor over RTSP: \
                 is it on, is ONVIF switched on in its settings?"
            ),
            Error::NoPath(host) => write!(
                f,
                "{host} speaks RTSP, but has no stream where cameras usually have it: \
                 add the path that its manual names"
            ),
        }
    }
}

impl std::error::Error for Error {}
