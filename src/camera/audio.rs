//! The sound track of a session: its RTP and RTCP in, frames into an intake.
//!
//! Knows nothing of: sockets, which transport brings the packets beyond its order.

use crate::{
    media::{Clock, Intake},
    rtp::{
        self, AudioDepacketizer, Order, Receiver,
        rtcp::{self, Rtcp},
    },
    rtsp::{Media, Presentation},
};
use std::time::Instant;

/// From packets of the sound track to frames.
pub(super) struct Audio {
    pub track: usize,
    receiver: Receiver,
    depacketizer: AudioDepacketizer,
}

impl Audio {
    /// The sound track that was set up; `None` where there is none.
    pub fn new(presentation: &Presentation, intake: &mut Intake) -> Option<Audio> {
        let mut tracks = presentation.tracks.iter().enumerate();
        let (index, track) =
            tracks.find(|(_, it)| it.media == Media::Audio && it.transport.is_some())?;
        let depacketizer = track.audio()?;
        intake.begin_audio(track.clock_rate);
        let receiver = Receiver::new(track.payload_type, Order::Reliable);
        Some(Audio { track: index, receiver, depacketizer })
    }

    pub fn handle_packet(&mut self, bytes: &[u8], intake: &mut Intake, now: Instant) {
        let Ok(packet) = rtp::Packet::parse(bytes) else { return };
        let depacketizer = &mut self.depacketizer;
        self.receiver.handle_packet(packet, now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    pub fn handle_report(&mut self, bytes: &[u8], intake: &mut Intake) {
        note_reports(bytes, Clock::Audio, &self.receiver, intake);
    }
}

/// Hands on what a track's source says of its clock.
pub(super) fn note_reports(bytes: &[u8], clock: Clock, receiver: &Receiver, intake: &mut Intake) {
    for report in rtcp::parse(bytes) {
        if let Rtcp::SenderReport(report) = report
            && receiver.may_be_source(report.ssrc)
        {
            intake.sender_report(clock, &report);
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
