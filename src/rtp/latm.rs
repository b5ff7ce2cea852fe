//! LATM: audio mux elements in, frames out.
//!
//! Cisco's Meraki MV93X sends it (AlexxIT/go2rtc#2321). Supports the mux elements that cameras
//! send: one program with one layer, and the same framing for all frames.
//! Spec: ISO/IEC 14496-3 §1.7.3.
//! Knows nothing of: packets.

use std::sync::Arc;

use super::audio::{AudioSink, AudioUnit};
use crate::{
    bits::Bits,
    codec::{AudioFormat, audio::SpecificConfig},
    limits::{AUDIO_CONFIGURATION_BYTES_MAX, AUDIO_FRAME_BYTES_MAX},
    units::RtpTime,
};

/// The last StreamMuxConfig.
#[derive(Debug)]
pub(super) struct Mux {
    is_in_band: bool,
    /// Frames per element.
    frames: u32,
    other_bits: usize,
    /// The current frame, if it does not start on a byte boundary.
    shifted: Vec<u8>,
}

impl Mux {
    /// `is_in_band`: elements contain their own configuration (`cpresent=1`, RFC 6416 §7.3).
    pub fn new(is_in_band: bool) -> Mux {
        Mux { is_in_band, frames: 1, other_bits: 0, shifted: Vec::new() }
    }

    pub fn is_in_band(&self) -> bool {
        self.is_in_band
    }

    /// Applies the StreamMuxConfig of an SDP.
    ///
    /// Quirk: GStreamer (1.22) ends it after the AudioSpecificConfig; missing fields are 0.
    pub fn configure(&mut self, config: &[u8], clock_rate: u32) -> Option<Arc<AudioFormat>> {
        let mut format = None;
        let padded = [config, &[0; 4]].concat();
        self.read_config(&mut Bits::new(&padded), clock_rate, &mut format)?;
        format
    }

    /// Reads an AudioMuxElement, whose first frame has that time. `None` if malformed; earlier
    /// frames were passed on.
    pub fn frames(
        &mut self,
        element: &[u8],
        (timestamp, clock_rate): (RtpTime, u32),
        format: &mut Option<Arc<AudioFormat>>,
        sink: &mut dyn AudioSink,
    ) -> Option<()> {
        let mut bits = Bits::new(element);
        let uses_same = !self.is_in_band || bits.flag()?;
        if !uses_same {
            self.read_config(&mut bits, clock_rate, format)?;
        } else if format.is_none() {
            return Some(()); // joined before the first configuration
        }
        let format = format.as_ref()?;
        let mut timestamp = timestamp;
        for _ in 0..self.frames {
            let length = read_length(&mut bits)?;
            let bytes = self.payload(&mut bits, element, length)?;
            let ticks = format.frame_ticks(bytes)?;
            sink.audio_frame(AudioUnit { timestamp, ticks, format, bytes });
            timestamp = RtpTime(timestamp.0.wrapping_add(ticks));
        }
        bits.skip(self.other_bits)
    }

    /// Returns the next `length` bytes, copied if they do not start on a byte boundary.
    fn payload<'a>(
        &'a mut self,
        bits: &mut Bits,
        element: &'a [u8],
        length: usize,
    ) -> Option<&'a [u8]> {
        let begin = bits.position();
        if length > AUDIO_FRAME_BYTES_MAX {
            return None;
        }
        if begin.is_multiple_of(8) {
            bits.skip(8 * length)?;
            return element.get(begin / 8..begin / 8 + length);
        }
        self.shifted.clear();
        for _ in 0..length {
            self.shifted.push(bits.bits(8)? as u8);
        }
        Some(&self.shifted)
    }

    /// Reads a StreamMuxConfig (table 1.42); an unchanged format keeps its allocation.
    fn read_config(
        &mut self,
        bits: &mut Bits,
        clock_rate: u32,
        format: &mut Option<Arc<AudioFormat>>,
    ) -> Option<()> {
        let is_version_1 = bits.flag()?;
        if is_version_1 {
            let is_version_1a = bits.flag()?;
            if is_version_1a {
                return None; // reserved
            }
            read_value(bits)?; // taraBufferFullness
        }
        let same_framing = bits.flag()?;
        self.frames = bits.bits(6)? + 1;
        let (programs, layers) = (bits.bits(4)?, bits.bits(3)?);
        if !same_framing || programs > 0 || layers > 0 {
            return None;
        }
        self.read_format(bits, is_version_1, clock_rate, format)?;
        if bits.bits(3)? != 0 {
            return None; // frameLengthType: frames of one size, CELP, HVXC
        }
        bits.skip(8)?; // latmBufferFullness
        self.other_bits = 0;
        if bits.flag()? {
            self.other_bits = match is_version_1 {
                true => usize::try_from(read_value(bits)?).ok()?,
                false => read_escaped(bits)?,
            };
        }
        if bits.flag()? {
            bits.skip(8)?; // crcCheckSum
        }
        Some(())
    }

    fn read_format(
        &self,
        bits: &mut Bits,
        is_version_1: bool,
        clock_rate: u32,
        format: &mut Option<Arc<AudioFormat>>,
    ) -> Option<()> {
        let told = match is_version_1 {
            true => Some(usize::try_from(read_value(bits)?).ok()?),
            false => None,
        };
        let begin = *bits;
        SpecificConfig::read(bits)?;
        if told.is_none() {
            skip_sync_extension(bits)?;
        }
        let read = bits.position() - begin.position();
        let length = told.unwrap_or(read);
        bits.skip(length.checked_sub(read)?)?;
        let mut configuration = [0; AUDIO_CONFIGURATION_BYTES_MAX];
        let configuration = configuration.get_mut(..length.div_ceil(8))?;
        let (mut from, mut left) = (begin, length);
        for byte in configuration.iter_mut() {
            let count = left.min(8) as u8;
            *byte = (from.bits(count)? << (8 - count)) as u8;
            left -= usize::from(count);
        }
        if format.as_ref().is_none_or(|known| known.configuration() != configuration) {
            *format = Some(Arc::new(AudioFormat::aac(configuration, clock_rate)?));
        }
        Some(())
    }
}

/// Skips an extension of an AudioSpecificConfig of unknown length (ISO/IEC 14496-3 table 1.15).
/// Anything else that may follow starts with frameLengthType 0, which this does not.
fn skip_sync_extension(bits: &mut Bits) -> Option<()> {
    let mut ahead = *bits;
    if ahead.bits(11) != Some(SYNC_EXTENSION) || ahead.bits(5) != Some(5) {
        return Some(());
    }
    if ahead.flag()? && ahead.bits(4)? == 15 {
        ahead.skip(24)?; // extensionSamplingFrequency
    }
    let mut parametric_stereo = ahead;
    if parametric_stereo.bits(11) == Some(SYNC_EXTENSION_PS) {
        parametric_stereo.flag()?; // psPresentFlag
        ahead = parametric_stereo;
    }
    *bits = ahead;
    Some(())
}

/// Reads PayloadLengthInfo (table 1.44): the size of a frame.
fn read_length(bits: &mut Bits) -> Option<usize> {
    let mut length = 0;
    loop {
        let byte = usize::try_from(bits.bits(8)?).ok()?;
        length += byte;
        if byte != 255 {
            return Some(length);
        }
    }
}

/// LatmGetValue (table 1.43).
fn read_value(bits: &mut Bits) -> Option<u32> {
    let bytes = bits.bits(2)? as u8 + 1;
    bits.bits(8 * bytes)
}

/// otherDataLenBits of version 0.
fn read_escaped(bits: &mut Bits) -> Option<usize> {
    let mut length: usize = 0;
    loop {
        let goes_on = bits.flag()?;
        length = length.checked_mul(256)?.checked_add(usize::try_from(bits.bits(8)?).ok()?)?;
        if !goes_on {
            return Some(length);
        }
    }
}

const SYNC_EXTENSION: u32 = 0x2b7;
const SYNC_EXTENSION_PS: u32 = 0x548;
