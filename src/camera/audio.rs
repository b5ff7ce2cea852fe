//! The sound track of a session: its RTP and RTCP in, frames into an intake.
//!
//! Knows nothing of: when to read, who wants the frames.

use super::video::order;
use crate::{
    media::{Clock, Intake},
    rtp::{
        self, AudioDepacketizer, Receiver,
        rtcp::{self, Rtcp},
    },
    rtsp::{Media, PacketKind, Presentation},
};
use std::time::Instant;

/// From packets of the sound track to frames.
pub(super) struct Audio {
    pub track: usize,
    pub receiver: Receiver,
    depacketizer: AudioDepacketizer,
}

impl Audio {
    /// The sound track that was set up; `None` where there is none.
    pub fn new(presentation: &Presentation, intake: &mut Intake) -> Option<Audio> {
        let tracks = presentation.tracks.iter().enumerate();
        let mut tracks = tracks.filter(|(_, track)| track.media == Media::Audio);
        let (index, track, transport) =
            tracks.find_map(|(index, track)| Some((index, track, track.transport?)))?;
        let depacketizer = track.audio()?;
        intake.begin_audio(track.clock_rate);
        let receiver = Receiver::new(track.payload_type, order(transport)).announced(track.ssrc);
        Some(Audio { track: index, receiver, depacketizer })
    }

    pub fn handle(&mut self, kind: PacketKind, bytes: &[u8], intake: &mut Intake, now: Instant) {
        match kind {
            PacketKind::Rtp => self.handle_packet(bytes, intake, now),
            PacketKind::Rtcp => self.handle_report(bytes, intake),
        }
    }

    /// Gives up packets that were waited for too long.
    pub fn handle_timeout(&mut self, intake: &mut Intake, now: Instant) {
        let depacketizer = &mut self.depacketizer;
        self.receiver.handle_timeout(now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    fn handle_packet(&mut self, bytes: &[u8], intake: &mut Intake, now: Instant) {
        let Ok(packet) = rtp::Packet::parse(bytes) else { return };
        let depacketizer = &mut self.depacketizer;
        self.receiver.handle_packet(packet, now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    fn handle_report(&mut self, bytes: &[u8], intake: &mut Intake) {
        for report in rtcp::parse(bytes) {
            if let Rtcp::SenderReport(report) = report
                && self.receiver.may_be_source(report.ssrc)
            {
                intake.sender_report(Clock::Audio, &report);
            }
        }
    }
}

/// What becomes of the camera's sound, for the log.
pub(super) fn outcome(presentation: &Presentation) -> String {
    let tracks = || presentation.tracks.iter().filter(|track| track.media == Media::Audio);
    if let Some(track) = tracks().find(|track| track.transport.is_some()) {
        let format = track.audio().and_then(|audio| audio.format().cloned());
        let name = format.as_ref().map_or(track.encoding.as_str(), |format| format.name());
        return format!("sound=\"{name}, {} Hz\"", track.clock_rate);
    }
    match tracks().next() {
        None => "sound=none reason=\"the camera offers none\"".to_owned(),
        Some(track) if track.audio().is_some() => {
            "sound=none reason=\"the camera refuses to send it\"".to_owned()
        }
        Some(track) => format!(
            "sound=none reason=\"{} is not recorded: set the camera to AAC, Opus or G.711\"",
            track.encoding
        ),
    }
}
