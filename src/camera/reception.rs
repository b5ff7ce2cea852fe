//! Processes the packets of a playing session, over any transport.
//!
//! Knows nothing of: sockets, requests.

use super::{
    Error,
    arrivals::{Arrivals, FrameCount},
    audio::Audio,
    metadata::MetadataTrack,
    video::{RtcpEvent, Video},
};
use crate::{
    limits,
    media::Intake,
    rtp::Packet,
    rtsp::{PacketKind, Presentation},
    units::WallTime,
};
use std::time::Instant;

/// The tracks that were set up, and whether they deliver.
pub(super) struct Reception {
    /// `None` until the session plays.
    pub video: Option<Video>,
    /// `None` if no sound is wanted or offered.
    audio: Option<Audio>,
    /// `None` if none is wanted or offered.
    pub metadata: Option<MetadataTrack>,
    pub arrivals: Arrivals,
    /// The video comes on a channel of no track.
    is_astray: bool,
    /// The camera's wall time from its first report.
    pub wall_time: Option<WallTime>,
}

impl Reception {
    pub fn new(now: Instant) -> Reception {
        Reception {
            video: None,
            audio: None,
            metadata: None,
            arrivals: Arrivals::from(FrameCount::default(), now),
            is_astray: false,
            wall_time: None,
        }
    }

    /// Starts with the playing session.
    pub fn begin(
        &mut self,
        presentation: &Presentation,
        seed: u64,
        intake: &mut Intake,
        now: Instant,
    ) {
        self.video = Video::new(presentation, seed, intake, now);
        self.audio = if intake.wants_audio() { Audio::new(presentation, intake) } else { None };
        self.metadata = MetadataTrack::new(presentation);
        self.arrivals = Arrivals::from(FrameCount::of(intake), now);
    }

    /// Processes a packet of a track; of unwanted tracks, only numbers matter.
    ///
    /// # Errors
    /// `Bye`: the video's source ended. `CodecChanged`: its codec changed.
    pub fn take(
        &mut self,
        track: usize,
        kind: PacketKind,
        bytes: &[u8],
        intake: &mut Intake,
        now: Instant,
    ) -> Result<(), Error> {
        if kind == PacketKind::Rtcp {
            self.arrivals.lives(now);
        }
        if let Some(audio) = self.audio.as_mut().filter(|it| it.track == track) {
            audio.handle(kind, bytes, intake, now);
            if kind == PacketKind::Rtp {
                self.take_stray(bytes);
            }
            return Ok(());
        }
        let Some(video) = self.video.as_mut().filter(|it| it.track == track) else {
            if let Some(metadata) = self.metadata.as_mut()
                && metadata.track == track
                && kind == PacketKind::Rtp
            {
                metadata.take(bytes);
            }
            if kind == PacketKind::Rtp {
                self.take_stray(bytes);
            }
            return Ok(());
        };
        match kind {
            PacketKind::Rtp => {
                self.arrivals.packet(now);
                if let (Some(audio), Some(number)) = (&mut self.audio, number_of(bytes)) {
                    audio.receiver.came_elsewhere(number);
                }
                video.handle_packet(bytes, intake, now)?;
            }
            PacketKind::Rtcp => match video.handle_report(bytes, intake, now) {
                RtcpEvent::Bye => return Err(Error::Bye),
                RtcpEvent::WallTime(time) => self.wall_time = Some(time),
                RtcpEvent::Nothing => {}
            },
        }
        Ok(())
    }

    /// Processes a packet on a channel that was not set up.
    ///
    /// Quirk: channels other than those agreed on. While none of the video's packets comes as
    /// agreed, those of its payload type are its.
    ///
    /// # Errors
    /// Those of [`Reception::take`].
    pub fn take_unknown(
        &mut self,
        bytes: &[u8],
        intake: &mut Intake,
        now: Instant,
    ) -> Result<(), Error> {
        let is_astray = self.is_astray || !self.arrivals.any();
        match self.video.as_ref().filter(|video| is_astray && video.announces(bytes)) {
            Some(video) => {
                self.is_astray = true;
                self.take(video.track, PacketKind::Rtp, bytes, intake, now)
            }
            None => {
                self.take_stray(bytes);
                Ok(())
            }
        }
    }

    /// Processes a packet of no track of ours: only its sequence number may matter.
    fn take_stray(&mut self, bytes: &[u8]) {
        if let (Some(video), Some(number)) = (&mut self.video, number_of(bytes)) {
            video.receiver.came_elsewhere(number);
        }
    }

    /// Returns true if the camera numbers the packets of all tracks together.
    pub fn shares_a_count(&self) -> bool {
        self.video.as_ref().is_some_and(|video| video.receiver.shares_its_count())
    }

    /// The camera's sound is not what it announced.
    pub fn sound_is_of_other_type(&self) -> bool {
        self.audio.as_ref().is_some_and(Audio::is_of_other_type)
    }

    /// Gives up on overdue packets.
    pub fn handle_timeout(&mut self, intake: &mut Intake, now: Instant) {
        if let Some(video) = &mut self.video {
            video.handle_timeout(intake, now);
        }
        if let Some(audio) = &mut self.audio {
            audio.handle_timeout(intake, now);
        }
    }

    /// Ends the run: the last access unit is kept if it is complete.
    pub fn end(&mut self, intake: &mut Intake, now: Instant) {
        if let Some(audio) = &mut self.audio {
            audio.handle_timeout(intake, now + limits::REORDER_DELAY_MAX);
        }
        if let Some(video) = &mut self.video {
            video.end(intake, now);
        }
    }
}

fn number_of(bytes: &[u8]) -> Option<u16> {
    Packet::sequence_number_of(bytes)
}
