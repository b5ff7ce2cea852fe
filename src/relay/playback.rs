//! Frames of a ring in, RTP packets for one client out, on the client's own time line.
//!
//! The time line begins with the newest key frame, at time 0, and has no gaps: time also runs on
//! when the camera reconnects, or when frames are skipped because the client is too slow. Knows
//! nothing of: sockets.

use super::packetizer::Packetizer;
use crate::{
    codec::{AudioFormat, Codec},
    limits,
    media::{Follower, Frame, Intake},
    units::{Ticks, WallTime},
};
use std::{sync::Arc, time::Instant};

/// How far one client has got.
#[derive(Debug)]
pub struct Playback {
    codec: Codec,
    audio_format: Option<Arc<AudioFormat>>,
    follower: Follower,
    /// The run being sent, and the client's time minus the ring's.
    run: Option<(u32, Ticks)>,
    /// The client's time at which the next run continues.
    end: Ticks,
    /// The next frame of sound.
    next_audio: u64,
    reported: Option<Instant>,
    /// The next picture is held back until other clients have read theirs.
    pub wants_room: bool,
}

/// The codec differs from the described one: the client must send DESCRIBE again.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed;

impl Playback {
    /// `codec` and `audio_format` are those in the client's description.
    pub fn new(codec: Codec, audio_format: Option<Arc<AudioFormat>>) -> Playback {
        Playback {
            codec,
            audio_format,
            follower: Follower::default(),
            run: None,
            end: Ticks::ZERO,
            next_audio: 0,
            reported: None,
            wants_room: false,
        }
    }

    /// The client's time at which each track continues, on the track's clock.
    pub fn next_times(&self) -> [i64; 2] {
        let audio = self.audio_format.as_ref();
        [self.end.0, audio.map_or(0, |format| self.end.at_rate(format.clock_rate()))]
    }

    /// Appends packets of the frames in the ring, about one batch at most; nothing if the client is
    /// up to date. `admits` says whether there is room for a picture of this many bytes.
    ///
    /// # Errors
    /// The video's codec has changed.
    pub fn write(
        &mut self,
        intake: &Intake,
        is_live: bool,
        tracks: &mut [Option<Packetizer>; 2],
        admits: impl Fn(usize) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Changed> {
        self.wants_room = false;
        let begun = out.len();
        while out.len() - begun < limits::LIVE_FRAGMENT_BYTES_MAX {
            let Some(number) = self.follower.find(intake, is_live) else { break };
            let Some((frame, bytes)) = intake.ring.get(number) else { break };
            if frame.parameter_sets.codec() != self.codec {
                return Err(Changed);
            }
            let Some(shift) = self.shift(frame, intake) else {
                self.follower.lose(); // between two key frames
                break;
            };
            self.wants_room = !admits(bytes.len());
            if self.wants_room {
                break;
            }
            self.follower.go_on(number + 1);
            self.end = self.end.max(frame.presentation + shift + intake.frame_duration());
            if let Some(packetizer) = &mut tracks[0] {
                let sets = frame.is_key().then_some(&frame.parameter_sets).into_iter();
                let sets = sets.flat_map(|it| it.nals());
                let time = (frame.presentation + shift).0;
                packetizer.write_access_unit(self.codec, sets, bytes, time, out);
            }
        }
        self.write_audio(intake, &mut tracks[1], out);
        Ok(())
    }

    /// The client's time minus the ring's for this frame; `None` if the client cannot decode it.
    fn shift(&mut self, frame: &Frame, intake: &Intake) -> Option<Ticks> {
        match self.run {
            Some((run, shift)) if run == frame.run && !self.follower.has_jumped => Some(shift),
            _ if !frame.is_key() => None,
            _ => {
                let shift = self.end - frame.presentation;
                self.run = Some((frame.run, shift));
                self.follower.has_jumped = false;
                let audio = intake.ring.audio.as_ref();
                self.next_audio =
                    audio.map_or(0, |audio| audio.first_from(frame.run, frame.presentation));
                Some(shift)
            }
        }
    }

    fn write_audio(&mut self, intake: &Intake, track: &mut Option<Packetizer>, out: &mut Vec<u8>) {
        let (Some(packetizer), Some(format)) = (track, &self.audio_format) else {
            return;
        };
        let (Some((run, shift)), Some(audio)) = (self.run, &intake.ring.audio) else { return };
        let numbers = audio.numbers();
        for number in self.next_audio.max(numbers.start)..numbers.end {
            let Some((frame, bytes)) = audio.get(number) else { break };
            if frame.run != run {
                // It belongs to a newer run, whose video must come first.
                break;
            }
            self.next_audio = number + 1;
            // Sound in a format other than the described one cannot be sent.
            if *frame.format == **format {
                packetizer.write_audio(
                    format,
                    bytes,
                    frame.time + shift.at_rate(format.clock_rate()),
                    out,
                );
            }
        }
    }

    /// Appends sender reports if they are due.
    pub fn report(
        &mut self,
        intake: &Intake,
        tracks: &[Option<Packetizer>; 2],
        (now, wall): (Instant, WallTime),
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let is_due =
            |last: Instant| now.saturating_duration_since(last) >= limits::RELAY_REPORT_INTERVAL;
        let Some((run, shift)) = self.run.filter(|_| self.reported.is_none_or(is_due)) else {
            return out;
        };
        // The time being filmed now, or if unknown, the time last sent.
        let latest = intake.ring.origin.latest_of(run, now);
        let time = latest.map_or(self.end, |latest| latest + shift);
        self.reported = Some(now);
        for (at, track) in tracks.iter().enumerate() {
            let Some(packetizer) = track else { continue };
            let time = match (at, &self.audio_format) {
                (1, Some(format)) => time.at_rate(format.clock_rate()),
                _ => time.0,
            };
            packetizer.write_sender_report(wall, time, &mut out);
        }
        out
    }
}
