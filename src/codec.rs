//! Codecs: what the sample entry of an MP4 file needs to know of H.264 and H.265.
//!
//! Parameter sets in, their meaning and the decoder configuration record out.
//! Spec: ITU-T H.264 and H.265 §7.3, ISO/IEC 14496-15. Knows nothing of: RTP, files.

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Codec {
    H264,
    H265,
}
