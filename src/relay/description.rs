//! The SDP of a relayed stream.
//!
//! Spec: RFC 8866; RFC 6184 §8.2.1, RFC 7798 §7.2.1, RFC 3640 §4.1, RFC 3551 §6, RFC 7587 §7.

use crate::codec::{AudioCodec, AudioFormat, Codec, ParameterSets};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{fmt::Write as _, sync::Arc};

/// The contents of a stream.
#[derive(Clone, Debug)]
pub struct Description {
    /// The camera's name for people.
    pub label: String,
    pub video: Arc<ParameterSets>,
    pub audio: Option<Arc<AudioFormat>>,
}

/// Payload type of the video (RFC 3551 §6: dynamic).
pub const VIDEO_TYPE: u8 = 96;
const FRAME_RATE_MAX: f64 = 240.0;
/// The last segments of the tracks' addresses.
pub const TRACKS: [&str; 2] = ["track1", "track2"];

impl Description {
    pub fn tracks(&self) -> usize {
        1 + usize::from(self.audio.is_some())
    }

    /// `id` must change whenever the text does.
    pub fn sdp(&self, id: u64) -> String {
        // A line break in the label would end the line of the SDP.
        let label: String = self.label.chars().filter(|it| !it.is_control()).collect();
        let mut sdp = format!(
            "v=0\r\no=- {id} 1 IN IP4 0.0.0.0\r\ns={label}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
             a=control:*\r\na=range:npt=now-\r\n"
        );
        self.push_video(&mut sdp);
        if let Some(audio) = &self.audio {
            push_audio(audio, &mut sdp);
        }
        sdp
    }

    fn push_video(&self, sdp: &mut String) {
        let codec = self.video.codec();
        let name = match codec {
            Codec::H264 => "H264",
            Codec::H265 => "H265",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            sdp,
            "m=video 0 RTP/AVP {VIDEO_TYPE}\r\na=rtpmap:{VIDEO_TYPE} {name}/90000\r\n\
             a=fmtp:{VIDEO_TYPE} "
        );
        match codec {
            Codec::H264 => {
                sdp.push_str("packetization-mode=1");
                if let Some([_, profile, constraints, level, ..]) = self.video.nals().next() {
                    let _ =
                        write!(sdp, ";profile-level-id={profile:02x}{constraints:02x}{level:02x}");
                }
                push_sets(sdp, "sprop-parameter-sets", self.video.nals());
            }
            Codec::H265 => {
                // VPS, SPS, PPS: types 32 to 34.
                for (kind, name) in [(32, "sprop-vps"), (33, "sprop-sps"), (34, "sprop-pps")] {
                    let is_kind = |nal: &&[u8]| nal.first().is_some_and(|it| it >> 1 == kind);
                    push_sets(sdp, name, self.video.nals().filter(is_kind));
                }
            }
        }
        let rate = self.video.picture().frame_rate;
        let rate =
            rate.map(|(numerator, denominator)| f64::from(numerator) / f64::from(denominator));
        // Some cameras write their clock rate there, which players would believe.
        if let Some(rate) = rate.filter(|rate| (1.0..=FRAME_RATE_MAX).contains(rate)) {
            let _ = write!(sdp, "\r\na=framerate:{rate:.3}");
        }
        let _ = write!(sdp, "\r\na=control:{}\r\n", TRACKS[0]);
    }
}

fn push_sets<'a>(sdp: &mut String, name: &str, sets: impl Iterator<Item = &'a [u8]>) {
    for (at, set) in sets.enumerate() {
        match at {
            0 if sdp.ends_with(' ') => {}
            0 => sdp.push(';'),
            _ => sdp.push(','),
        }
        if at == 0 {
            sdp.push_str(name);
            sdp.push('=');
        }
        STANDARD.encode_string(set, sdp);
    }
}

/// Payload type of the sound.
pub fn audio_type(format: &AudioFormat) -> u8 {
    // The static types of RFC 3551 §6 have one rate and one channel.
    match (format.codec(), format.clock_rate(), format.channels()) {
        (AudioCodec::Pcmu, 8000, 1) => 0,
        (AudioCodec::Pcma, 8000, 1) => 8,
        _ => VIDEO_TYPE + 1,
    }
}

fn push_audio(format: &AudioFormat, sdp: &mut String) {
    let (kind, rate, channels) = (audio_type(format), format.clock_rate(), format.channels());
    let name = match format.codec() {
        AudioCodec::Aac => "MPEG4-GENERIC",
        AudioCodec::Opus => "opus",
        AudioCodec::Pcmu => "PCMU",
        AudioCodec::Pcma => "PCMA",
    };
    let _ = write!(sdp, "m=audio 0 RTP/AVP {kind}\r\na=rtpmap:{kind} {name}/{rate}");
    if channels > 1 {
        let _ = write!(sdp, "/{channels}");
    }
    if format.codec() == AudioCodec::Aac {
        let _ = write!(
            sdp,
            "\r\na=fmtp:{kind} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;\
             indexlength=3;indexdeltalength=3;config="
        );
        for byte in format.configuration() {
            let _ = write!(sdp, "{byte:02x}");
        }
    }
    let _ = write!(sdp, "\r\na=control:{}\r\n", TRACKS[1]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tests::made_of;

    #[test]
    fn a_clock_rate_in_place_of_the_frame_rate_is_not_passed_on() {
        // Written by x264 for pictures whose times follow no frame rate.
        let sps = [
            0x67, 0x64, 0x00, 0x1f, 0xac, 0xb2, 0x01, 0xe0, 0x22, 0xfd, 0xe0, 0x22, 0x00, 0x00,
            0x03, 0x00, 0x02, 0x00, 0x05, 0x7e, 0x40, 0x1e, 0x30, 0x64, 0x90,
        ];
        let pps = [0x68, 0xeb, 0xc1, 0xd2, 0xc8, 0xb0];
        let video = made_of(&[&sps, &pps]);
        assert_eq!(video.picture().frame_rate, Some((90_000, 1)));
        let description = Description { label: String::new(), video, audio: None };
        let sdp = description.sdp(1);
        assert!(sdp.contains("sprop-parameter-sets=") && !sdp.contains("framerate"), "{sdp}");
    }
}
