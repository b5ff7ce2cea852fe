//! Payloads of a sound track in, frames with their times out.
//!
//! A frame within one packet is passed on in place; only a frame of several packets, or one that
//! does not start on a byte boundary, is assembled here.
//! Spec: RFC 3640 (AAC-hbr, AAC-lbr), RFC 3016 and 6416 (LATM), RFC 7587 (Opus), RFC 3551 §4.5.14
//! (G.711).
//! Knows nothing of: media time, memory for frames.

use std::sync::Arc;

use super::{DropCause, Lost, Packet, latm};
use crate::{
    bits::{Bits, Bytes},
    codec::{AudioCodec, AudioFormat},
    limits::{AUDIO_CONFIGURATION_BYTES_MAX, AUDIO_FRAME_BYTES_MAX},
    units::RtpTime,
};

/// Receives audio frames.
pub trait AudioSink {
    fn audio_frame(&mut self, frame: AudioUnit<'_>);
    /// Packets were lost, or the data was not a frame.
    fn audio_drop(&mut self, cause: DropCause);
}

/// One audio frame.
#[derive(Clone, Copy, Debug)]
pub struct AudioUnit<'a> {
    pub timestamp: RtpTime,
    /// Its duration in ticks of the track's clock.
    pub ticks: u32,
    pub format: &'a Arc<AudioFormat>,
    pub bytes: &'a [u8],
}

/// Turns the payloads of one sound track into frames.
///
/// *Cost*: no allocation after the first frame of several packets, unless the format changes.
#[derive(Debug)]
pub struct AudioDepacketizer {
    payload: Payload,
    clock_rate: u32,
    /// `None` until the stream tells it.
    format: Option<Arc<AudioFormat>>,
    gathered: Gathered,
}

#[derive(Debug)]
enum Payload {
    /// RFC 3640: lengths of the fields of an AU header, in bits.
    Mpeg4 {
        size: u8,
        index: u8,
    },
    Latm(latm::Mux),
    /// Each packet is a frame.
    Whole,
}

/// The parts of a frame that spans several packets.
#[derive(Debug, Default)]
struct Gathered {
    timestamp: RtpTime,
    bytes: Vec<u8>,
    /// A packet is missing: the rest is skipped.
    is_broken: bool,
    /// The frame is complete and was passed on: the next data starts another one, even at the same
    /// time.
    is_whole: bool,
}

impl AudioDepacketizer {
    /// Creates a depacketizer for a track as described in the SDP: encoding name, clock rate and
    /// channels of `rtpmap`, parameters of `fmtp`. `None` if that kind of sound is not supported.
    pub fn new(
        encoding: &str,
        clock_rate: u32,
        channels: u8,
        parameters: &str,
    ) -> Option<AudioDepacketizer> {
        let is = |name: &str| encoding.eq_ignore_ascii_case(name);
        let number = |name| parameter(parameters, name).and_then(|value| value.parse::<u8>().ok());
        let configuration = || hex(parameter(parameters, "config").unwrap_or_default());
        let (payload, format) = if is("MPEG4-GENERIC") {
            // Fields used by no AAC mode (RFC 3640 §3.3.5, §3.3.6) would be between those that are
            // read.
            if FIELDS_UNUSED.iter().any(|name| number(name).is_some_and(|bits| bits > 0)) {
                return None;
            }
            let is_low_rate =
                parameter(parameters, "mode").is_some_and(|it| it.eq_ignore_ascii_case("AAC-lbr"));
            let usual = if is_low_rate { (6, 2) } else { (13, 3) };
            let (size, index) = (number("sizeLength"), number("indexLength"));
            let (size, index) = (size.unwrap_or(usual.0), index.unwrap_or(usual.1));
            if size > 16 || index > 16 || number("indexDeltaLength").unwrap_or(index) != index {
                return None;
            }
            (Payload::Mpeg4 { size, index }, AudioFormat::aac(&configuration()?, clock_rate))
        } else if is("MP4A-LATM") {
            let mut mux = latm::Mux::new(parameter(parameters, "cpresent") != Some("0"));
            let format = configuration().and_then(|it| mux.configure(&it, clock_rate));
            if !mux.is_in_band() && format.is_none() {
                return None;
            }
            return Some(AudioDepacketizer::of(Payload::Latm(mux), clock_rate, format));
        } else if is("OPUS") && clock_rate == 48_000 {
            (Payload::Whole, Some(AudioFormat::opus()))
        } else if is("PCMU") || is("PCMA") {
            let codec = if is("PCMU") { AudioCodec::Pcmu } else { AudioCodec::Pcma };
            (Payload::Whole, Some(AudioFormat::g711(codec, clock_rate, channels)))
        } else {
            return None;
        };
        Some(AudioDepacketizer::of(payload, clock_rate, Some(Arc::new(format?))))
    }

    fn of(
        payload: Payload,
        clock_rate: u32,
        format: Option<Arc<AudioFormat>>,
    ) -> AudioDepacketizer {
        AudioDepacketizer { payload, clock_rate, format, gathered: Gathered::default() }
    }

    /// The format according to the SDP or, later, the stream.
    pub fn format(&self) -> Option<&Arc<AudioFormat>> {
        self.format.as_ref()
    }

    /// Processes the next packet in order, which follows `lost` missing ones.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, lost: Lost, sink: &mut dyn AudioSink) {
        if lost.0 > 0 {
            sink.audio_drop(DropCause::Loss { packets: lost.0 });
            self.gathered.lose();
        }
        let taken = match &mut self.payload {
            Payload::Whole => emit(self.format.as_ref(), packet.timestamp, packet.payload, sink),
            Payload::Mpeg4 { size, index } => {
                let sizes = (*size, *index);
                access_units(sizes, packet, self.format.as_ref(), &mut self.gathered, sink)
            }
            Payload::Latm(mux) => {
                let clock = (packet.timestamp, self.clock_rate);
                let format = &mut self.format;
                match self.gathered.whole(packet) {
                    Some(element) => mux.frames(element, clock, format, sink),
                    None => Some(()),
                }
            }
        };
        if taken.is_none() {
            self.gathered.clear();
            sink.audio_drop(DropCause::Malformed);
        }
    }
}

/// Reads AU headers, then access units (RFC 3640 §3.2). `None` if malformed or interleaved.
fn access_units(
    (size_bits, index_bits): (u8, u8),
    packet: &Packet<'_>,
    format: Option<&Arc<AudioFormat>>,
    gathered: &mut Gathered,
    sink: &mut dyn AudioSink,
) -> Option<()> {
    let mut payload = Bytes(packet.payload);
    let header_bits = usize::from(payload.u16()?);
    let mut headers = Bits::new(payload.take(header_bits.div_ceil(8))?);
    let bits = |index| usize::from(size_bits) + usize::from(index);
    let fits = |index: u8| header_bits.checked_rem(bits(index)) == Some(0);
    // Quirk: headers with sizes only, when `indexLength` is missing (AMS32,
    // bluenviron/gortsplib#114).
    let index_bits = if !fits(index_bits) && fits(0) { 0 } else { index_bits };
    let count = header_bits.checked_div(bits(index_bits))?;
    let mut timestamp = packet.timestamp;
    for _ in 0..count {
        let size = usize::try_from(headers.bits(size_bits)?).ok()?;
        // AU-Index of the first, AU-Index-delta of the others.
        if headers.bits(index_bits)? != 0 {
            return None;
        }
        if size > payload.remaining() {
            // A fragment is alone in its packet, and its header has the size of the whole access
            // unit.
            return gathered.add(packet, payload.0, size, format, sink);
        }
        let unit = without_adts_header(payload.take(size)?);
        emit(format, timestamp, unit, sink)?;
        timestamp = RtpTime(timestamp.0.wrapping_add(format?.frame_ticks(unit)?));
    }
    gathered.clear();
    (count > 0).then_some(())
}

fn emit(
    format: Option<&Arc<AudioFormat>>,
    timestamp: RtpTime,
    bytes: &[u8],
    sink: &mut dyn AudioSink,
) -> Option<()> {
    let format = format?;
    let ticks = format.frame_ticks(bytes).filter(|_| bytes.len() <= AUDIO_FRAME_BYTES_MAX)?;
    sink.audio_frame(AudioUnit { timestamp, ticks, format, bytes });
    Some(())
}

impl Gathered {
    fn clear(&mut self) {
        self.bytes.clear();
        (self.is_broken, self.is_whole) = (false, false);
    }

    /// Drops the open frame, if any, because packets are missing.
    fn lose(&mut self) {
        self.is_broken = !self.bytes.is_empty() && !self.is_whole;
        self.bytes.clear();
    }

    /// Adds a fragment of an access unit of `size` bytes in total.
    fn add(
        &mut self,
        packet: &Packet<'_>,
        bytes: &[u8],
        size: usize,
        format: Option<&Arc<AudioFormat>>,
        sink: &mut dyn AudioSink,
    ) -> Option<()> {
        if self.timestamp != packet.timestamp {
            self.clear();
            self.timestamp = packet.timestamp;
        }
        if self.is_broken {
            return Some(());
        }
        if size > AUDIO_FRAME_BYTES_MAX || self.bytes.len() + bytes.len() > size {
            return None;
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() == size {
            let whole = std::mem::take(&mut self.bytes);
            let emitted = emit(format, self.timestamp, without_adts_header(&whole), sink);
            self.bytes = whole;
            self.clear();
            return emitted;
        }
        Some(())
    }

    /// Returns the element that ends with this packet, by its marker bit (RFC 6416 §6.1).
    fn whole<'a>(&'a mut self, packet: &Packet<'a>) -> Option<&'a [u8]> {
        if self.is_whole || self.timestamp != packet.timestamp {
            self.clear();
            self.timestamp = packet.timestamp;
        }
        let is_alone = self.bytes.is_empty() && !self.is_broken;
        if is_alone && packet.marker {
            return Some(packet.payload);
        }
        let room = (AUDIO_FRAME_BYTES_MAX + 1).saturating_sub(self.bytes.len());
        self.bytes.extend(packet.payload.iter().take(room));
        self.is_whole = packet.marker && !self.is_broken;
        self.is_whole.then_some(&self.bytes)
    }
}

/// Quirk: an ADTS header before each access unit, as Hisilicon SDKs produce; RFC 3640 §3.3.1 wants
/// none. No raw frame starts like one that contains its own length.
fn without_adts_header(unit: &[u8]) -> &[u8] {
    let [0xff, second, _, third, fourth, fifth, _, ..] = *unit else { return unit };
    let length = usize::from(third & 3) << 11 | usize::from(fourth) << 3 | usize::from(fifth >> 5);
    if second & 0xf6 != 0xf0 || length != unit.len() {
        return unit;
    }
    let header_bytes = if second & 1 == 0 { 9 } else { 7 };
    unit.get(header_bytes..).unwrap_or(unit)
}

/// Returns the value of an `fmtp` parameter.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = parameters.split(';').filter_map(|it| it.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"'))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if text.len() > 2 * AUDIO_CONFIGURATION_BYTES_MAX || !text.len().is_multiple_of(2) {
        return None;
    }
    let digits = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|it| (it[0] << 4 | it[1]) as u8).collect();
    (!bytes.is_empty()).then_some(bytes)
}

const FIELDS_UNUSED: [&str; 5] = [
    "CTSDeltaLength",
    "DTSDeltaLength",
    "randomAccessIndication",
    "streamStateIndication",
    "auxiliaryDataSizeLength",
];

#[cfg(test)]
#[path = "tests/audio.rs"]
mod tests;
