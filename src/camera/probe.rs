//! A short test of a camera: its tracks, and its video over a few seconds.

use super::{
    Activity, Connection, Error,
    route::{Retry, Route},
};
use crate::{
    http::url::Target,
    limits,
    media::Intake,
    rtsp::{self, LowerTransport, Media, Tracks},
    runtime,
    units::Ticks,
};
use serde::Serialize;
use smol::LocalExecutor;
use std::{cell::RefCell, time::Duration};

#[derive(Clone, Debug, Serialize)]
pub struct ProbeReport {
    pub tracks: Vec<TrackReport>,
    /// `None` if no key frame arrived.
    pub video: Option<VideoReport>,
    pub packets_lost: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct TrackReport {
    pub encoding: String,
    pub clock_rate: u32,
    /// Only for a sound track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<SoundReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SoundReport {
    /// `None` if it is not supported, or if only the stream tells the kind.
    pub codec: Option<&'static str>,
    pub channels: u8,
    pub recorded: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct VideoReport {
    pub codec: &'static str,
    /// As in RFC 6381.
    pub mime: String,
    pub width: u32,
    pub height: u32,
    pub fps: f64,
    pub kbit_s: u64,
    /// Mean over the key frames seen, if there were two.
    pub key_frame_distance_ms: Option<i64>,
}

/// How long to test, and with how much memory.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Time from the first key frame on.
    pub span: Duration,
    /// Time to wait for that frame.
    pub patience: Duration,
    pub ring_bytes: usize,
}

/// Tests a camera for [`limits::PROBE_SPAN`] from its first key frame on, on this thread.
///
/// # Errors
/// Why there is no stream; nothing is known about the tracks then.
pub fn run(target: &Target) -> Result<ProbeReport, Error> {
    let executor = LocalExecutor::new();
    let effort = Effort {
        span: limits::PROBE_SPAN,
        patience: limits::PROBE_PATIENCE,
        ring_bytes: limits::PROBE_RING_BYTES,
    };
    runtime::block_on(&executor, look(target, effort)).map(|(report, _)| report)
}

/// Tests a camera and returns a report with the frames received. Follows redirects, and tries UDP
/// if the camera does not stream over TCP.
///
/// # Errors
/// As [`run`].
pub async fn look(target: &Target, effort: Effort) -> Result<(ProbeReport, Intake), Error> {
    let mut route = Route::new(target.clone(), Tracks::Video, LowerTransport::Tcp);
    loop {
        let connection = route.connect(u64::from(std::process::id())).await?;
        match look_at(connection, effort).await {
            Ok(found) => return Ok(found),
            Err(error) => {
                if let Retry::Later(error) = route.after(error, false) {
                    return Err(error);
                }
            }
        }
    }
}

async fn look_at(
    mut connection: Connection,
    effort: Effort,
) -> Result<(ProbeReport, Intake), Error> {
    let intake = RefCell::new(Intake::new(effort.ring_bytes));
    intake.borrow_mut().begin_run();
    let mut sums = Sums::default();
    let mut deadline = None;
    while deadline.is_none_or(|deadline| runtime::now() < deadline) {
        // Reads every packet as it arrives, to end on time.
        match connection.step(&intake, true).await? {
            Activity::Playing => deadline = Some(runtime::now() + effort.patience),
            Activity::Frames => {
                if sums.frames == 0 {
                    deadline = Some(runtime::now() + effort.span);
                }
                sums.add(&intake.borrow());
            }
            Activity::Idle => {}
        }
    }
    let tracks = connection.presentation.iter().flat_map(|presentation| &presentation.tracks);
    let tracks = tracks.map(TrackReport::of).collect();
    connection.tear_down().await;
    let intake = intake.into_inner();
    let packets_lost = intake.losses().packets;
    Ok((ProbeReport { tracks, video: sums.video(&intake), packets_lost }, intake))
}

impl TrackReport {
    fn of(track: &rtsp::Track) -> TrackReport {
        let sound = (track.media == Media::Audio).then(|| {
            let audio = track.audio();
            let format = audio.as_ref().and_then(|audio| audio.format());
            SoundReport {
                codec: format.map(|format| format.name()),
                channels: format.map_or(track.channels, |format| format.channels()),
                recorded: audio.is_some(),
            }
        });
        TrackReport { encoding: track.encoding.clone(), clock_rate: track.clock_rate, sound }
    }
}

/// Sums over the frames so far.
#[derive(Default)]
struct Sums {
    next: u64,
    frames: u64,
    bytes: u64,
    first: Option<Ticks>,
    last: Ticks,
    keys: i64,
    first_key: Ticks,
    last_key: Ticks,
}

impl Sums {
    fn add(&mut self, intake: &Intake) {
        for number in self.next..intake.ring.numbers().end {
            let Some((frame, bytes)) = intake.ring.get(number) else { continue };
            self.frames += 1;
            self.bytes += bytes.len() as u64;
            self.first.get_or_insert(frame.decode);
            self.last = frame.decode;
            if frame.is_key() {
                if self.keys == 0 {
                    self.first_key = frame.presentation;
                }
                self.last_key = frame.presentation;
                self.keys += 1;
            }
        }
        self.next = intake.ring.numbers().end;
    }

    fn video(&self, intake: &Intake) -> Option<VideoReport> {
        let (frame, _) = intake.ring.get(intake.ring.numbers().end.checked_sub(1)?)?;
        let span = (self.last - self.first?).as_millis().max(1);
        let seconds = span as f64 / 1000.0;
        let picture = frame.parameter_sets.picture();
        let distance = (self.last_key - self.first_key).as_millis();
        Some(VideoReport {
            codec: frame.parameter_sets.codec().name(),
            mime: frame.parameter_sets.mime(),
            width: picture.width,
            height: picture.height,
            fps: self.frames.saturating_sub(1) as f64 / seconds,
            kbit_s: (self.bytes as f64 * 8.0 / 1000.0 / seconds) as u64,
            key_frame_distance_ms: (self.keys > 1).then(|| distance / (self.keys - 1)),
        })
    }
}
