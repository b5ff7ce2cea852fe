//! Metadata beside a clip: XML documents in, packets out.
//!
//! Spec: ONVIF Streaming §5.2.1.1. Knows nothing of: the documents' contents.

use crate::packetize::{HEADER_BYTES, Packet};

/// The metadata track of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// The first document of each session; [`Camera::say`](crate::Camera::say) sends further ones.
    pub greeting: String,
    pub setup: Setup,
}

/// How the camera answers SETUP of the metadata track.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Setup {
    #[default]
    Accept,
    Refuse,
    /// It closes the connection.
    Close,
    /// It does not answer.
    Ignore,
}

/// The `m=` section.
pub(crate) fn description() -> String {
    format!(
        "m=application 0 RTP/AVP {PAYLOAD_TYPE}\r\n\
         a=rtpmap:{PAYLOAD_TYPE} vnd.onvif.metadata/90000\r\na=control:{TRACK}\r\n"
    )
}

/// The packets of a document; the first has this sequence number.
pub(crate) fn packets(document: &str, ssrc: u32, sequence: u16, timestamp: u32) -> Vec<Packet> {
    let pieces = document.as_bytes().chunks(PIECE_BYTES);
    let count = pieces.len();
    let packet = |(nth, piece): (usize, &[u8])| {
        let marker = if nth + 1 == count { 0x80 } else { 0 };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + piece.len());
        bytes.extend_from_slice(&[0x80, marker | PAYLOAD_TYPE]);
        bytes.extend_from_slice(&sequence.wrapping_add(nth as u16).to_be_bytes());
        bytes.extend_from_slice(&timestamp.to_be_bytes());
        bytes.extend_from_slice(&ssrc.to_be_bytes());
        bytes.extend_from_slice(piece);
        Packet { bytes }
    };
    pieces.enumerate().map(packet).collect()
}

const PAYLOAD_TYPE: u8 = 107;
/// Short, so that each document takes several packets.
const PIECE_BYTES: usize = 200;
pub(crate) const TRACK: &str = "trackID=2";
