//! RTP: packets from the wire in, access units of video, frames of sound or JPEG pictures out.
//!
//! `Packet` is one parsed packet; `Receiver` puts a track's packets in order and counts the missing
//! ones; `Depacketizer` turns their payloads into access units, which it writes into a `Sink`;
//! `AudioDepacketizer` does the same for sound, `JpegDepacketizer` for the pictures of a JPEG
//! stream. Spec: RFC 3550, RFC 6184, RFC 7798, RFC 2435; audio.rs names those for sound. Knows
//! nothing of: sockets, clocks, RTSP, media time.

mod assembler;
mod audio;
mod depacketizer;
mod elsewhere;
mod h264;
mod h265;
mod jpeg;
mod latm;
mod making;
mod pictures;
mod receiver;
pub mod rtcp;
mod source;
mod start_codes;
#[cfg(test)]
mod tests;
mod turns;

pub use crate::codec::{Leading, RandomAccess};
pub use audio::{AudioDepacketizer, AudioSink, AudioUnit};
pub use depacketizer::{AccessUnit, Depacketizer, DropCause, Sink};
pub use jpeg::{JpegDepacketizer, JpegError};
pub use receiver::{Lost, Order, Receiver, Statistics};

use std::fmt;

use crate::{bits::Bytes, units::RtpTime};

/// One RTP packet (RFC 3550 §5.1); CSRC list, header extension and padding are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence_number: u16,
    pub timestamp: RtpTime,
    pub ssrc: u32,
    pub payload: &'a [u8],
}

impl Packet<'_> {
    /// Parses one datagram or interleaved block.
    ///
    /// # Errors
    /// Every variant is the sender's fault, or the bytes are not RTP.
    pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, Error> {
        Packet::fields(bytes, 0)?.ok_or(Error::Truncated { bytes: bytes.len() })
    }

    /// The sequence number alone; `None` if the bytes are not RTP.
    pub fn sequence_number_of(bytes: &[u8]) -> Option<u16> {
        match bytes {
            // payload types 64 to 95 would be RTCP (RFC 5761 §4)
            [first, second, high, low, _, _, _, _, _, _, _, _, ..]
                if first >> 6 == VERSION && !matches!(second & 0x7f, 64..96) =>
            {
                Some(u16::from_be_bytes([*high, *low]))
            }
            _ => None,
        }
    }

    /// `None` if the bytes end too early. `ignored`: bits of the first byte.
    fn fields(bytes: &[u8], ignored: u8) -> Result<Option<Packet<'_>>, Error> {
        let mut rest = Bytes(bytes);
        let Some([first, second]) = rest.array() else { return Ok(None) };
        if first >> 6 != VERSION {
            return Err(Error::Version { version: first >> 6 });
        }
        let first = first & !ignored;
        let Some(sequence_number) = rest.u16() else { return Ok(None) };
        let (Some(timestamp), Some(ssrc)) = (rest.u32(), rest.u32()) else { return Ok(None) };
        if rest.take(4 * usize::from(first & 0x0f)).is_none() {
            return Ok(None); // CSRC list
        }
        if first & EXTENSION != 0 {
            let Some([_, _, high, low]) = rest.array() else { return Ok(None) };
            if rest.take(4 * usize::from(u16::from_be_bytes([high, low]))).is_none() {
                return Ok(None); // extension
            }
        }
        let mut payload = rest.0;
        if first & 0x20 != 0 {
            payload = without_padding(payload);
        }
        Ok(Some(Packet {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence_number,
            timestamp: RtpTime(timestamp),
            ssrc,
            payload,
        }))
    }
}

/// Parses packets of one sender.
///
/// Quirk: the extension bit is set and no extension follows. What stands in its place then rarely
/// is a length that fits the packet.
#[derive(Debug, Default)]
pub struct Parser {
    /// How far extensions are doubted.
    doubt: u8,
}

impl Parser {
    /// # Errors
    /// As [`Packet::parse`].
    pub fn parse<'a>(&mut self, bytes: &'a [u8]) -> Result<Packet<'a>, Error> {
        let packet = Packet::parse(bytes);
        if bytes.first().is_some_and(|first| first & EXTENSION != 0) {
            self.doubt = match packet {
                Ok(_) => self.doubt.saturating_sub(1),
                Err(_) => (self.doubt + DOUBT_STEP).min(DOUBT_MAX),
            };
            if let (1.., Ok(Some(plain))) = (self.doubt, Packet::fields(bytes, EXTENSION)) {
                return Ok(plain);
            }
        }
        packet
    }
}

/// Quirk: a padding bit without padding: the count is 0 or exceeds the payload (many devices, says
/// pion/rtp#274). The payload is then used as it is.
fn without_padding(payload: &[u8]) -> &[u8] {
    let padding = payload.last().copied().unwrap_or(0);
    let kept = payload.len().checked_sub(padding.into());
    kept.and_then(|kept| payload.get(..kept)).unwrap_or(payload)
}

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    Truncated { bytes: usize },
    Version { version: u8 },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated { bytes } => {
                write!(f, "rtp packet of {bytes} bytes ends in its header")
            }
            Error::Version { version } => write!(f, "rtp version {version} is not 2"),
        }
    }
}

impl std::error::Error for Error {}

const VERSION: u8 = 2;
const EXTENSION: u8 = 0x10;
/// An extension that does not fit counts more than one that does.
const DOUBT_STEP: u8 = 4;
const DOUBT_MAX: u8 = 64;
