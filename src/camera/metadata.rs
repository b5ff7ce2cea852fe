//! The metadata track of a session: its packets in, what the camera's detectors say out.
//!
//! Spec: ONVIF Streaming §5.2.1.1: a document spans packets; the marker is on its last one.

use crate::{
    limits,
    onvif::notice::{Notice, notices},
    rtp,
    rtsp::Presentation,
};

/// Turns packets of the metadata track into notices.
pub(super) struct MetadataTrack {
    pub track: usize,
    payload_type: u8,
    document: Vec<u8>,
    /// The number of the next packet.
    next: Option<u16>,
    /// The document is not whole: a packet is missing, or it is too long.
    is_broken: bool,
    /// Not taken yet.
    pub notices: Vec<Notice>,
}

impl MetadataTrack {
    /// Returns the metadata track that was set up, if there is one.
    pub fn new(presentation: &Presentation) -> Option<MetadataTrack> {
        let mut tracks = presentation.tracks.iter().enumerate();
        let (track, it) = tracks.find(|(_, it)| it.is_metadata() && it.transport.is_some())?;
        Some(MetadataTrack {
            track,
            payload_type: it.payload_type,
            document: Vec::new(),
            next: None,
            is_broken: false,
            notices: Vec::new(),
        })
    }

    /// Takes a packet of the track.
    pub fn take(&mut self, bytes: &[u8]) {
        let Ok(packet) = rtp::Packet::parse(bytes) else { return };
        if packet.payload_type != self.payload_type {
            return;
        }
        let number = packet.sequence_number;
        let is_next = self.next.is_none_or(|next| next == number);
        self.next = Some(number.wrapping_add(1));
        if !is_next || self.document.len() + packet.payload.len() > limits::METADATA_BYTES_MAX {
            self.document = Vec::new();
            // Every document begins like this; the rest of a document means nothing.
            self.is_broken = !packet.payload.starts_with(b"<");
        }
        if !self.is_broken {
            self.document.extend_from_slice(packet.payload);
        }
        if packet.marker || is_whole(&self.document) {
            let found = notices(&std::mem::take(&mut self.document));
            let room = limits::NOTICES_MAX.saturating_sub(self.notices.len());
            self.notices.extend(found.into_iter().take(room));
            self.is_broken = false;
        }
    }
}

/// Quirk: no marker; the root ends with the packet.
fn is_whole(document: &[u8]) -> bool {
    let end = document.trim_ascii_end();
    let last = end.iter().rposition(|byte| *byte == b'<').and_then(|at| end.get(at..));
    last.is_some_and(|tag| tag.starts_with(b"</") && tag.ends_with(b"MetadataStream>"))
}

#[cfg(test)]
#[path = "tests/metadata.rs"]
mod tests;
