//! Sound beside a clip: frames of a known content, repeated for ever.
//!
//! Spec: RFC 3640 (AAC-hbr), RFC 6416 (LATM), RFC 3551 §4.5.14 (G.711), ISO/IEC 14496-3 §1.A.2
//! (ADTS). Knows nothing of: sessions, transports.

use crate::packetize::{HEADER_BYTES, Packet};
use std::ops::Range;

/// How the sound is coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// AAC-hbr.
    Aac,
    /// AAC as LATM, its configuration in the description.
    Latm,
    /// G.711, µ-law.
    Pcmu,
    /// G.711, A-law.
    Pcma,
    /// A codec that no recorder supports.
    G726,
}

/// The sound of a stream; frames count from 0, of which the first begins with the first picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sound {
    pub encoding: Encoding,
    /// Number of frames; `None`: as long as the video lasts.
    pub frames: Option<u64>,
    /// Frames during which sound is off: neither sent nor counted, while time goes on.
    pub muted: Range<u64>,
    /// Every n-th packet is lost, with its sequence number.
    pub lose_every: Option<u64>,
    /// SETUP of its track is refused.
    pub is_refused: bool,
    /// Its packets share the video's sequence of numbers.
    pub shares_count: bool,
}

impl Sound {
    pub fn new(encoding: Encoding) -> Sound {
        Sound {
            encoding,
            frames: None,
            muted: 0..0,
            lose_every: None,
            is_refused: false,
            shares_count: false,
        }
    }

    /// Ticks of its RTP clock in a second.
    pub fn clock_rate(&self) -> u32 {
        if self.is_aac() { 16_000 } else { 8000 }
    }

    /// How long a frame lasts, in these ticks: 64 ms or 40 ms.
    pub fn frame_ticks(&self) -> u32 {
        if self.is_aac() { 1024 } else { 320 }
    }

    /// The decoder's input.
    pub fn frame(&self, number: u64) -> Vec<u8> {
        if self.is_aac() {
            let frames = adts_frames(AAC);
            return frames[(number % frames.len() as u64) as usize].to_vec();
        }
        // A sawtooth whose pitch identifies the frame.
        (0..320u64).map(|nth| (nth * (number % 31 + 1) + number) as u8).collect()
    }

    pub fn is_lost(&self, number: u64) -> bool {
        self.lose_every.is_some_and(|every| (number + 1).is_multiple_of(every))
    }

    fn is_aac(&self) -> bool {
        matches!(self.encoding, Encoding::Aac | Encoding::Latm)
    }

    /// The `m=` section.
    pub(crate) fn description(&self) -> String {
        let lines = match self.encoding {
            Encoding::Aac => {
                "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000\r\na=fmtp:97 \
                 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
                 indexdeltalength=3;config=1408\r\n"
            }
            Encoding::Latm => {
                "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/16000\r\na=fmtp:97 \
                 cpresent=0;object=2;config=400028103fc0\r\n"
            }
            Encoding::Pcmu => "m=audio 0 RTP/AVP 0\r\n",
            Encoding::Pcma => "m=audio 0 RTP/AVP 8\r\n",
            Encoding::G726 => "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\n",
        };
        format!("{lines}a=control:{TRACK}\r\n")
    }

    /// The packet of a frame.
    pub(crate) fn packet(&self, number: u64, ssrc: u32, sequence: u16, timestamp: u32) -> Packet {
        let frame = self.frame(number);
        let payload_type = match self.encoding {
            Encoding::Pcmu => 0,
            Encoding::Pcma => 8,
            Encoding::Aac | Encoding::Latm | Encoding::G726 => 97,
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 4 + frame.len());
        bytes.extend_from_slice(&[0x80, 0x80 | payload_type]);
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&timestamp.to_be_bytes());
        bytes.extend_from_slice(&ssrc.to_be_bytes());
        match self.encoding {
            Encoding::Aac => {
                bytes.extend_from_slice(&[0, 16]);
                bytes.extend_from_slice(&((frame.len() as u16) << 3).to_be_bytes());
            }
            Encoding::Latm => {
                bytes.resize(bytes.len() + frame.len() / 255, 255);
                bytes.push((frame.len() % 255) as u8);
            }
            Encoding::Pcmu | Encoding::Pcma | Encoding::G726 => {}
        }
        bytes.extend_from_slice(&frame);
        Packet { bytes }
    }
}

/// Raw frames between ADTS headers of 7 bytes.
fn adts_frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let [0xff, 0xf1, _, third, fourth, fifth, _, ..] = *bytes {
        let length =
            usize::from(third & 3) << 11 | usize::from(fourth) << 3 | usize::from(fifth >> 5);
        let (frame, rest) = bytes.split_at(length);
        frames.push(&frame[7..]);
        bytes = rest;
    }
    frames
}

/// LC, 16 kHz, mono; made by `ci/clips.sh`.
const AAC: &[u8] = include_bytes!("../../ci/clips/noise.aac");
pub(crate) const TRACK: &str = "trackID=1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clip_has_frames_that_differ() {
        let frames = adts_frames(AAC);
        assert_eq!(frames.len(), 53);
        let bytes: usize = frames.iter().map(|frame| frame.len() + 7).sum();
        assert_eq!(bytes, AAC.len());
        for (index, frame) in frames.iter().enumerate() {
            assert!(!frames[..index].contains(frame), "{index}");
        }
    }
}
