//! The description of a stream: a clip in, an SDP out.
//!
//! Spec: RFC 4566, RFC 2326 appendix C, RFC 6184 §8.1, RFC 7798 §7.1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clip::{Clip, Codec};
use crate::packetize::PAYLOAD_TYPE;

/// Where the client gets VPS, SPS and PPS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ParameterSets {
    #[default]
    Both,
    /// In the SDP only; removed from the stream.
    Sdp,
    /// In the stream only, where the clip has them.
    InBand,
}

/// The codec announced in the description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Announced {
    #[default]
    AsItIs,
    /// A fault: a camera that is set to JPEG, which cannot be recorded.
    Jpeg,
}

/// Describes `clip` as one video track with the control address [`TRACK`].
pub fn describe(clip: &Clip, parameter_sets: ParameterSets, announced: Announced) -> String {
    let media = match announced {
        Announced::AsItIs => media(clip, parameter_sets),
        Announced::Jpeg => format!("m=video 0 RTP/AVP {JPEG}\r\n"),
    };
    format!(
        "v=0\r\n\
         o=- 1 1 IN IP4 127.0.0.1\r\n\
         s=smolnvr test camera\r\n\
         c=IN IP4 0.0.0.0\r\n\
         t=0 0\r\n\
         a=control:*\r\n\
         {media}\
         a=framerate:{}\r\n\
         a=control:{TRACK}\r\n",
        (clip.frame_rate() * 100.0).round() / 100.0
    )
}

fn media(clip: &Clip, parameter_sets: ParameterSets) -> String {
    let name = match clip.codec() {
        Codec::H264 => "H264",
        Codec::H265 => "H265",
        Codec::Jpeg => "JPEG",
    };
    let mut format = match clip.codec() {
        Codec::H264 => format!("packetization-mode=1{}", profile_level_id(clip)),
        Codec::H265 | Codec::Jpeg => String::new(),
    };
    if parameter_sets != ParameterSets::InBand && clip.codec() != Codec::Jpeg {
        if !format.is_empty() {
            format.push(';');
        }
        format.push_str(&sprop(clip));
    }
    if !format.is_empty() {
        format = format!("a=fmtp:{PAYLOAD_TYPE} {format}\r\n");
    }
    format!(
        "m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\n\
         a=rtpmap:{PAYLOAD_TYPE} {name}/90000\r\n\
         {format}"
    )
}

fn profile_level_id(clip: &Clip) -> String {
    let sets = clip.parameter_sets();
    match sets.iter().find(|set| clip.codec().nal_type(set) == 7) {
        Some([_, profile, constraints, level, ..]) => {
            format!(";profile-level-id={profile:02X}{constraints:02X}{level:02X}")
        }
        _ => String::new(),
    }
}

fn sprop(clip: &Clip) -> String {
    let sets = clip.parameter_sets();
    let of = |kinds: &[u8]| {
        let chosen = sets.iter().filter(|set| kinds.contains(&clip.codec().nal_type(set)));
        chosen.map(|set| STANDARD.encode(set)).collect::<Vec<_>>().join(",")
    };
    match clip.codec() {
        Codec::H264 => format!("sprop-parameter-sets={}", of(&[7, 8])),
        Codec::H265 => {
            format!("sprop-vps={};sprop-sps={};sprop-pps={}", of(&[32]), of(&[33]), of(&[34]))
        }
        Codec::Jpeg => String::new(),
    }
}

pub const TRACK: &str = "trackID=0";
/// The static payload type of JPEG (RFC 3551 §6), which needs no `rtpmap`.
const JPEG: u8 = 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_where_they_were_requested() {
        let clip = Clip::committed("plain.h264").unwrap();
        let sdp = describe(&clip, ParameterSets::Both, Announced::AsItIs);
        assert!(sdp.contains("a=fmtp:96 packetization-mode=1;profile-level-id=64"), "{sdp}");
        assert!(sdp.contains(";sprop-parameter-sets=Z2"), "{sdp}");
        assert!(sdp.contains("a=framerate:25\r\n"), "{sdp}");
        assert!(!describe(&clip, ParameterSets::InBand, Announced::AsItIs).contains("sprop"));

        let clip = Clip::committed("plain.h265").unwrap();
        let sdp = describe(&clip, ParameterSets::Sdp, Announced::AsItIs);
        assert!(sdp.contains("a=fmtp:96 sprop-vps=QAE"), "{sdp}");
        assert!(sdp.contains(";sprop-sps=QgE") && sdp.contains(";sprop-pps=RAH"), "{sdp}");
        assert!(!describe(&clip, ParameterSets::InBand, Announced::AsItIs).contains("fmtp"));
    }

    #[test]
    fn a_stream_announced_as_jpeg_does_not_mention_its_codec() {
        let sdp = describe(&Clip::built_in(), ParameterSets::Both, Announced::Jpeg);
        assert!(sdp.contains("m=video 0 RTP/AVP 26\r\na=framerate:25\r\n"), "{sdp}");
        assert!(!sdp.contains("H264") && !sdp.contains("sprop"), "{sdp}");
    }
}
