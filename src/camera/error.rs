//! Why a run of a camera ended: one line for the log, without credentials.

use crate::{
    codec::Codec,
    limits,
    rtsp::{self, LowerTransport},
};
use std::{fmt, io, net::SocketAddr, time::Duration};

#[derive(Debug)]
pub enum Error {
    Resolve {
        host: String,
        source: io::Error,
    },
    ResolveTimeout {
        host: String,
    },
    Connect {
        address: SocketAddr,
        source: io::Error,
    },
    ConnectTimeout(SocketAddr),
    Session(rtsp::Error),
    /// The connection, while it was read from or written to.
    Broken(io::Error),
    Closed,
    /// An RTCP BYE of the video's source.
    Bye,
    /// The session plays, and not one packet came.
    Silent {
        over: LowerTransport,
        span: Duration,
    },
    NoFrames(Duration),
    /// Packets, but nothing in them is of the codec that was announced.
    Nonsense(Duration),
    /// The camera sends the one codec under the name of the other.
    CodecChanged {
        announced: Codec,
        sent: Codec,
    },
    /// Frames, but none that can be decoded.
    NoKeyFrame(Duration),
    /// Frames, but none of them is on the card for good.
    NoneDurable(Duration),
}

impl Error {
    /// Whether the other lower transport may do.
    pub fn is_about_transport(&self) -> bool {
        match self {
            Error::Session(error) => error.is_about_transport(),
            Error::Silent { .. } => true,
            _ => false,
        }
    }

    /// Whether more time may do.
    pub fn is_slowness(&self) -> bool {
        matches!(self, Error::Session(rtsp::Error::NoAnswer { .. }) | Error::Silent { .. })
    }

    /// Whether the camera was not reached at all.
    pub fn is_about_the_way(&self) -> bool {
        matches!(
            self,
            Error::Resolve { .. }
                | Error::ResolveTimeout { .. }
                | Error::Connect { .. }
                | Error::ConnectTimeout(_)
        )
    }

    /// Whether the camera ended the connection.
    pub fn is_end_of_connection(&self) -> bool {
        matches!(self, Error::Session(rtsp::Error::Disconnected { .. }) | Error::Broken(_))
    }

    /// Whether another try soon may lock the camera's account.
    pub fn is_about_credentials(&self) -> bool {
        matches!(self, Error::Session(error) if error.fault() == rtsp::Fault::Credentials)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patience = limits::CONNECT_TIMEOUT.as_secs();
        match self {
            Error::Resolve { host, source } => {
                write!(f, "no address is known for the host {host}: {source}")
            }
            Error::ResolveTimeout { host } => {
                write!(f, "no name server says within {patience} s where the host {host} is")
            }
            Error::Connect { address, source } => {
                write!(f, "{address} can not be reached: ")?;
                match source.kind() {
                    io::ErrorKind::ConnectionRefused => f.write_str("nothing listens there"),
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                        f.write_str("no way leads there")
                    }
                    _ => source.fmt(f),
                }
            }
            Error::ConnectTimeout(address) => {
                write!(f, "{address} does not answer within {patience} s: is the camera on?")
            }
            Error::Session(error) => error.fmt(f),
            Error::Broken(error) => write!(f, "the connection to the camera broke: {error}"),
            Error::Closed => f.write_str("the camera closed the connection"),
            Error::Bye => f.write_str("the camera said goodbye: its stream is at an end"),
            Error::Silent { over, span } => {
                let (over, span) = (over.name().to_ascii_uppercase(), span.as_secs());
                write!(f, "the camera plays, but no packet came over {over} for {span} s")
            }
            Error::NoFrames(span) => write!(f, "no frame for {} s", span.as_secs()),
            Error::Nonsense(span) => {
                let span = span.as_secs();
                write!(f, "packets, but no frame that makes sense for {span} s: another codec?")
            }
            Error::CodecChanged { announced, sent } => {
                let (announced, sent) = (announced.name(), sent.name());
                write!(f, "the camera announced {announced} and sends {sent} now: begun anew")
            }
            Error::NoneDurable(span) => {
                let span = span.as_secs();
                write!(f, "frames come, but none became durable for {span} s: begun anew")
            }
            Error::NoKeyFrame(span) => {
                write!(f, "frames, but no key frame to begin with for {} s", span.as_secs())
            }
        }
    }
}

impl std::error::Error for Error {}
