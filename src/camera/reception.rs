//! What is made of the packets of a session that plays, however they come.
//!
//! Knows nothing of: sockets, requests.

use super::{
    Error,
    arrivals::Arrivals,
    video::{Heard, Video},
};
use crate::{
    media::Intake,
    rtsp::{PacketKind, Presentation},
    units::WallTime,
};
use std::time::Instant;

/// The tracks that were set up, and whether something comes of them.
pub(super) struct Reception {
    /// `None` until the session plays.
    pub video: Option<Video>,
    pub arrivals: Arrivals,
    /// The camera's wall time as its first report told it.
    pub wall_time: Option<WallTime>,
}

impl Reception {
    pub fn new(now: Instant) -> Reception {
        Reception { video: None, arrivals: Arrivals::from(now), wall_time: None }
    }

    /// The session began to play.
    pub fn begin(&mut self, presentation: &Presentation, seed: u64, now: Instant) {
        self.video = Video::new(presentation, seed, now);
        self.arrivals = Arrivals::from(now);
    }

    /// Takes a packet of a track; those of tracks that are not wanted are passed over.
    ///
    /// # Errors
    /// `Bye`: the video's source is at its end.
    pub fn take(
        &mut self,
        track: usize,
        kind: PacketKind,
        bytes: &[u8],
        intake: &mut Intake,
        now: Instant,
    ) -> Result<(), Error> {
        let Some(video) = self.video.as_mut().filter(|it| it.track == track) else { return Ok(()) };
        match kind {
            PacketKind::Rtp => {
                self.arrivals.packet();
                video.handle_packet(bytes, intake, now);
            }
            PacketKind::Rtcp => match video.handle_report(bytes, now) {
                Heard::Bye => return Err(Error::Bye),
                Heard::WallTime(time) => self.wall_time = Some(time),
                Heard::Nothing => {}
            },
        }
        Ok(())
    }

    /// The run is over: the last access unit goes out if it is complete.
    pub fn end(&mut self, intake: &mut Intake, now: Instant) {
        if let Some(video) = &mut self.video {
            video.end(intake, now);
        }
    }
}
