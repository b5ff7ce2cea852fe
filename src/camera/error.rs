//! Why a camera's run ended, in one line for the log, without credentials.

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
    /// The connection failed while reading or writing.
    Broken(io::Error),
    Closed,
    /// An RTCP BYE from the video's source.
    Bye,
    /// The session plays, but no packet has arrived.
    Silent {
        over: LowerTransport,
        span: Duration,
    },
    NoFrames(Duration),
    /// Packets arrive, but none holds the announced codec.
    Nonsense(Duration),
    /// The camera sends another codec than it announced.
    CodecChanged {
        announced: Codec,
        sent: Codec,
    },
    /// Frames arrive, but none can be decoded.
    NoKeyFrame(Duration),
    /// Frames arrive, but none became durable.
    NoneDurable(Duration),
    /// Numbers are missing as if the camera had used them for sound, which was not set up.
    NumbersMissing,
}

impl Error {
    /// Returns true if the other lower transport may work.
    pub fn is_about_transport(&self) -> bool {
        match self {
            Error::Session(error) => error.is_about_transport(),
            Error::Silent { .. } => true,
            _ => false,
        }
    }

    /// Returns true if more time may help.
    pub fn is_slowness(&self) -> bool {
        matches!(self, Error::Session(rtsp::Error::NoAnswer { .. }) | Error::Silent { .. })
    }

    /// Returns true if the server may only have disliked OPTIONS.
    pub fn is_about_greeting(&self) -> bool {
        use rtsp::{Error as E, Method::Options};
        matches!(
            self,
            Error::Session(
                E::NoAnswer { method: Options, .. } | E::Disconnected { awaited: Some(Options) }
            )
        )
    }

    /// Returns true if the camera could not be reached.
    pub fn is_about_the_way(&self) -> bool {
        matches!(
            self,
            Error::Resolve { .. }
                | Error::ResolveTimeout { .. }
                | Error::Connect { .. }
                | Error::ConnectTimeout(_)
        )
    }

    /// Returns true if the camera ended the connection.
    pub fn is_end_of_connection(&self) -> bool {
        matches!(self, Error::Session(rtsp::Error::Disconnected { .. }) | Error::Broken(_))
    }

    /// Returns true if retrying soon may lock the camera's account.
    pub fn is_about_credentials(&self) -> bool {
        matches!(self, Error::Session(error) if error.fault() == rtsp::Fault::Credentials)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patience = limits::CONNECT_TIMEOUT.as_secs();
        match self {
            Error::Resolve { host, source } => {
                write!(f, "cannot resolve the host name {host}: {source}")
            }
            Error::ResolveTimeout { host } => {
                write!(f, "no name server resolved the host name {host} within {patience} s")
            }
            Error::Connect { address, source } => {
                write!(f, "{address} cannot be reached: ")?;
                match source.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        f.write_str("nothing is listening on that port")
                    }
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                        f.write_str("no route to that address")
                    }
                    _ => source.fmt(f),
                }
            }
            Error::ConnectTimeout(address) => {
                write!(f, "{address} does not answer within {patience} s: is it on?")
            }
            Error::Session(error) => error.fmt(f),
            Error::Broken(error) => write!(f, "the connection broke: {error}"),
            Error::Closed => f.write_str("the camera closed the connection"),
            Error::Bye => f.write_str("the camera ended its stream (RTCP BYE)"),
            Error::Silent { over, span } => {
                let (over, span) = (over.name().to_ascii_uppercase(), span.as_secs());
                write!(f, "the camera plays, but no packet arrived over {over} for {span} s")
            }
            Error::NoFrames(span) => write!(f, "no frame for {} s", span.as_secs()),
            Error::Nonsense(span) => {
                let span = span.as_secs();
                write!(f, "packets, but no valid frame for {span} s: is it another codec?")
            }
            Error::CodecChanged { announced, sent } => {
                let (announced, sent) = (announced.name(), sent.name());
                write!(f, "the camera changed from {announced} to {sent}: reconnecting")
            }
            Error::NoneDurable(span) => {
                let span = span.as_secs();
                write!(f, "frames arrive, but none became durable for {span} s: reconnecting")
            }
            Error::NumbersMissing => f.write_str(
                "many single packets are missing, which may be those of the camera's sound: its \
                 numbers are received as well",
            ),
            Error::NoKeyFrame(span) => {
                write!(f, "frames, but no key frame for {} s", span.as_secs())
            }
        }
    }
}

impl std::error::Error for Error {}
