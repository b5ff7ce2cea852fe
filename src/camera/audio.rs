//! The sound track of a session: its RTP and RTCP in, frames into an intake.

use super::video::order;
use crate::{
    media::{Intake, TrackClock},
    rtp::{
        self, AudioDepacketizer, Receiver,
        rtcp::{self, Rtcp},
    },
    rtsp::{Media, PacketKind, Presentation},
};
use std::time::Instant;

/// Turns packets of the sound track into frames.
pub(super) struct Audio {
    pub track: usize,
    parser: rtp::Parser,
    pub receiver: Receiver,
    depacketizer: AudioDepacketizer,
}

impl Audio {
    /// Returns the sound track that was set up, if there is one.
    pub fn new(presentation: &Presentation, intake: &mut Intake) -> Option<Audio> {
        let tracks = presentation.tracks.iter().enumerate();
        let mut tracks = tracks.filter(|(_, track)| track.media == Media::Audio);
        let (index, track, transport) =
            tracks.find_map(|(index, track)| Some((index, track, track.transport?)))?;
        let depacketizer = track.audio()?;
        intake.begin_audio(track.clock_rate);
        let receiver = Receiver::new(track.payload_type, order(transport)).announced(track.ssrc);
        let parser = rtp::Parser::default();
        Some(Audio { track: index, parser, receiver, depacketizer })
    }

    /// Returns true if all packets have another payload type than the announced one.
    pub fn is_of_other_type(&self) -> bool {
        let statistics = self.receiver.statistics();
        statistics.received == 0 && statistics.foreign >= FOREIGN_MIN
    }

    pub fn handle(&mut self, kind: PacketKind, bytes: &[u8], intake: &mut Intake, now: Instant) {
        match kind {
            PacketKind::Rtp => self.handle_packet(bytes, intake, now),
            PacketKind::Rtcp => self.handle_report(bytes, intake),
        }
    }

    /// Gives up on packets that are overdue.
    pub fn handle_timeout(&mut self, intake: &mut Intake, now: Instant) {
        let depacketizer = &mut self.depacketizer;
        self.receiver.handle_timeout(now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    fn handle_packet(&mut self, bytes: &[u8], intake: &mut Intake, now: Instant) {
        let Ok(packet) = self.parser.parse(bytes) else { return };
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
                intake.sender_report(TrackClock::Audio, &report);
            }
        }
    }
}

/// More packets than a camera sends of comfort noise before the first word.
const FOREIGN_MIN: u64 = 50;

/// Describes for the log what happens to the camera's sound.
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
            "sound=none reason=\"the camera refused to send it\"".to_owned()
        }
        Some(track) => format!(
            "sound=none reason=\"{} is not supported: set the camera to AAC, Opus or G.711\"",
            track.encoding
        ),
    }
}
