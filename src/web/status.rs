//! The state of everything: one value, which `GET /api/status` shows as JSON.
//!
//! Spec: docs/http.md.

use super::{Web, answer::Answer, live::mime_type, sound, times::ClockStatus};
use crate::{
    camera::State,
    daemon::{Station, archived::Archived, history::Change},
    ffmpeg::Runner,
    limits,
    media::Intake,
    runtime,
    storage::{catalog::RecordingTotals, layout::Asked},
    sys::kilobytes,
};
use serde::Serialize;
use std::{fs, time::Instant};

mod metrics;

/// `GET /api/status`.
#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    uptime_s: u64,
    /// Whether pictures of recordings are available.
    pictures: bool,
    clock: ClockStatus,
    memory: Memory,
    storage: StorageStatus,
    /// Present if `archive.url` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<Archived>,
    cameras: Vec<CameraStatus>,
    /// Former cameras that still have recordings.
    former: Vec<Former>,
    /// Oldest first; present if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeStatus>>,
}

#[derive(Serialize)]
struct Memory {
    rss_kb: u64,
    peak_kb: u64,
    available_kb: u64,
}

#[derive(Serialize)]
struct StorageStatus {
    state: &'static str,
    reason: Option<String>,
    path: Option<String>,
    free_bytes: Option<u64>,
    total_bytes: Option<u64>,
    /// Size of our recordings, as far as their heads have been read.
    bytes: u64,
    segments: usize,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
    keep_free_percent: u64,
    /// Marks that the card did not accept in time.
    marks_lost: u64,
    list_complete: bool,
    /// 99 of 100 writes to the card took no longer.
    write_p99_ms: Option<u64>,
    /// Bytes of recordings written to the card over its life.
    written_bytes: Option<u64>,
    /// Whether its partition begins with a block of its flash.
    aligned: Option<bool>,
    /// Whether all samples that were read back were as written.
    keeps_data: bool,
    /// Of the camera that has waited longest; `None` if none is recorded.
    durable_age_ms: Option<u64>,
}

#[derive(Serialize)]
struct Former {
    name: String,
    segments: usize,
    bytes: u64,
    /// Bytes of kept recordings.
    kept_bytes: u64,
    oldest: Option<u32>,
    newest: Option<u32>,
}

#[derive(Serialize)]
struct CameraStatus {
    name: String,
    label: String,
    state: &'static str,
    since_ms: i64,
    /// When the last frame arrived; before the first, since when one is expected.
    last_frame_ms: i64,
    engine: &'static str,
    /// Present if FFmpeg records the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    ffmpeg: Option<FfmpegStatus>,
    /// Why there is no live view.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_live: Option<&'static str>,
    codec: Option<&'static str>,
    mime: Option<String>,
    /// The sound that comes beside it, if it is taken.
    sound: Option<&'static str>,
    width: Option<u32>,
    height: Option<u32>,
    fps: f64,
    kbit_s: u64,
    recording: bool,
    recording_wanted: bool,
    /// It records only events, and there is none.
    waits_for_event: bool,
    marks: MarksStatus,
    segment: Option<u32>,
    segment_start_ms: Option<i64>,
    segment_ms: Option<u32>,
    segments: usize,
    kept_segments: usize,
    /// Bytes of kept recordings.
    kept_bytes: u64,
    /// Bytes of recordings reduced to their key frames.
    thinned_bytes: u64,
    /// How many days of recordings the card holds in the long run; `None` until there is a day of
    /// them.
    days_fit: Option<f64>,
    oldest: Option<u32>,
    newest: Option<u32>,
    /// Since the daemon started.
    frames: u64,
    losses: Losses,
    viewers: usize,
    live_waits: bool,
    durable_age_ms: Option<u64>,
    last_error: Option<String>,
}

/// Marks since the daemon started.
#[derive(Serialize)]
struct MarksStatus {
    made: u64,
    /// Because there were too many.
    refused: u64,
    /// An event is going on.
    going_on: bool,
}

#[derive(Serialize)]
struct FfmpegStatus {
    /// Its version and path, once known.
    tool: Option<String>,
    restarts: u64,
    /// Its last lines of output, oldest first.
    log: Vec<String>,
}

/// Lost frames by cause. `network` counts missing packets and the frames they broke, `malformed`
/// what the camera sent wrong.
#[derive(Serialize)]
struct Losses {
    network: u64,
    card: u64,
    viewer: u64,
    malformed: u64,
    undecodable: u64,
    too_large: u64,
    /// Frames dropped because the camera caused too many short files.
    too_short: u64,
    /// Packets and frames of sound, for any reason.
    audio: u64,
}

#[derive(Serialize)]
pub(super) struct ChangeStatus {
    at_ms: i64,
    kind: &'static str,
    camera: Option<String>,
    text: String,
}

/// Whether to include the last changes of state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    Told,
    Left,
}

impl Web {
    pub(super) fn status(&self) -> Answer {
        Answer::json(&self.state(Changes::Told))
    }

    pub(super) fn state(&self, changes: Changes) -> Status {
        let daemon = &self.daemon;
        let now = runtime::now();
        let stations = daemon.stations.borrow();
        let mut cameras: Vec<_> = stations.iter().map(|it| self.camera_state(it, now)).collect();
        let former = self.count_recordings(&mut cameras);
        let history = daemon.history.borrow();
        let changes = (changes == Changes::Told)
            .then(|| history.changes.iter().map(ChangeStatus::of).collect());
        Status {
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: now.duration_since(daemon.started).as_secs(),
            pictures: cfg!(feature = "pictures"),
            clock: self.clock_status(),
            memory: memory(),
            storage: self.storage_state(&cameras),
            archive: daemon.archived.borrow().clone(),
            cameras,
            former,
            changes,
        }
    }

    fn storage_state(&self, cameras: &[CameraStatus]) -> StorageStatus {
        let card = self.daemon.card.borrow();
        let catalog = self.catalog();
        let entries = || catalog.folders().iter().flat_map(|folder| folder.entries());
        let starts = || entries().filter(|it| it.clock_trusted).map(|entry| entry.start.0);
        StorageStatus {
            state: card.name(),
            reason: Some(card.reason()).filter(|it| !it.is_empty()).map(str::to_owned),
            path: catalog.root.as_ref().map(|path| path.display().to_string()),
            free_bytes: catalog.space.map(|space| space.free),
            total_bytes: catalog.space.map(|space| space.total),
            bytes: entries().map(|entry| entry.bytes).sum(),
            segments: entries().count(),
            oldest_ms: starts().min(),
            newest_ms: starts().max(),
            keep_free_percent: self.daemon.config.borrow().storage.keep_free_percent.get(),
            marks_lost: self.daemon.marks.borrow().lost,
            list_complete: catalog.complete(),
            write_p99_ms: catalog.facts.writes.p99_ms(),
            written_bytes: catalog.facts.written_bytes,
            aligned: catalog.facts.is_aligned,
            keeps_data: catalog.facts.wrong_bytes_at.is_none(),
            durable_age_ms: cameras.iter().filter_map(|camera| camera.durable_age_ms).max(),
        }
    }

    /// Fills in the recordings of each camera; returns those of former cameras.
    fn count_recordings(&self, cameras: &mut [CameraStatus]) -> Vec<Former> {
        let catalog = self.catalog();
        let retained = self.daemon.config.borrow().storage.retained();
        for (name, days) in catalog.days(retained) {
            if let Some(camera) = cameras.iter_mut().find(|camera| camera.name == name) {
                camera.days_fit = days.map(|days| (days * 10.0).round() / 10.0);
            }
        }
        let mut former = Vec::new();
        for (name, tally) in catalog.tallies() {
            let RecordingTotals {
                segments,
                bytes,
                kept_segments,
                kept_bytes,
                thinned_bytes,
                oldest,
                newest,
            } = tally;
            match cameras.iter_mut().find(|camera| camera.name == name) {
                Some(it) => {
                    (it.segments, it.oldest, it.newest) = (segments, oldest, newest);
                    (it.kept_segments, it.kept_bytes) = (kept_segments, kept_bytes);
                    it.thinned_bytes = thinned_bytes;
                }
                None => {
                    let name = name.to_owned();
                    former.push(Former { name, segments, bytes, kept_bytes, oldest, newest });
                }
            }
        }
        former
    }

    fn marks_of(&self, camera: &str) -> MarksStatus {
        let book = self.daemon.marks.borrow();
        let (made, refused) = book.count(camera);
        MarksStatus { made, refused, going_on: book.is_going_on(camera) }
    }

    fn camera_state(&self, station: &Station, now: Instant) -> CameraStatus {
        let camera = &station.camera;
        let intake = camera.intake.borrow();
        let newest = newest(&intake);
        let sets = newest.map(|frame| &frame.parameter_sets);
        let is_live = camera.state() == State::Live;
        let rate = if is_live { rate(&intake) } else { Rate::default() };
        let catalog = self.catalog();
        let segment = station.segment();
        let entry = segment.and_then(|number| catalog.find(&camera.name, Asked::Number(number)));
        let entry = entry.map(|(_, entry)| *entry);
        let config = self.daemon.config.borrow();
        let configured = config.camera.iter().find(|it| it.name.as_str() == camera.name);
        let by_ffmpeg = entry.filter(|_| station.ffmpeg.is_some());
        CameraStatus {
            name: camera.name.clone(),
            label: configured.map_or(&*camera.name, |it| it.label()).to_owned(),
            state: camera.state().name(),
            since_ms: self.daemon.clock.now().0 - millis(now, camera.since()),
            last_frame_ms: self.daemon.clock.now().0 - millis(now, station.last_frame()),
            engine: if station.ffmpeg.is_some() { "ffmpeg" } else { "native" },
            ffmpeg: station.ffmpeg.as_ref().map(FfmpegStatus::of),
            no_live: station.no_live(),
            codec: match by_ffmpeg {
                Some(entry) => entry.codec.map(|codec| codec.name()),
                None => sets.map(|sets| sets.codec().name()),
            },
            mime: sets.map(|sets| mime_type(sets, None)),
            sound: sound::name(&intake),
            width: sets.map(|sets| sets.picture().width),
            height: sets.map(|sets| sets.picture().height),
            fps: rate.fps,
            kbit_s: by_ffmpeg.map_or(rate.kbit_s, |entry| {
                entry.bytes * 8 / u64::from(entry.duration_ms.max(1000))
            }),
            recording: segment.is_some(),
            recording_wanted: station.is_asked(),
            waits_for_event: station.waits_for_event(),
            marks: self.marks_of(&camera.name),
            segment,
            segment_start_ms: entry.map(|entry| entry.start.0),
            segment_ms: entry.map(|entry| entry.duration_ms),
            segments: 0,
            kept_segments: 0,
            kept_bytes: 0,
            thinned_bytes: 0,
            days_fit: None,
            oldest: None,
            newest: None,
            frames: intake.ring.numbers().end,
            losses: losses_of(station, &intake),
            viewers: station.viewers(),
            live_waits: is_live
                && !station.has_live_stream()
                && intake.ring.key_until(u64::MAX).is_none(),
            durable_age_ms: station
                .durable_at()
                .map(|at| u64::try_from(millis(now, at)).unwrap_or(0)),
            last_error: camera.last_error(),
        }
    }
}

impl FfmpegStatus {
    fn of(runner: &Runner) -> FfmpegStatus {
        FfmpegStatus { tool: runner.tool(), restarts: runner.restarts(), log: runner.log() }
    }
}

impl ChangeStatus {
    pub fn of(change: &Change) -> ChangeStatus {
        ChangeStatus {
            at_ms: change.at.0,
            kind: change.kind.name(),
            camera: change.camera.clone(),
            text: change.text.clone(),
        }
    }
}

#[derive(Default)]
struct Rate {
    fps: f64,
    kbit_s: u64,
}

fn losses_of(station: &Station, intake: &Intake) -> Losses {
    let losses = intake.losses();
    Losses {
        network: losses.packets + losses.broken,
        card: station.lost_by_card(),
        viewer: station.skipped.get(),
        malformed: losses.malformed,
        undecodable: losses.undecodable,
        too_large: losses.too_large,
        too_short: station.too_short(),
        audio: losses.audio_packets + losses.audio_frames + station.audio_lost_by_card(),
    }
}

fn newest(intake: &Intake) -> Option<&crate::media::Frame> {
    let newest = intake.ring.numbers().end.checked_sub(1)?;
    intake.ring.get(newest).map(|(frame, _)| frame)
}

/// Averages the newest frames in the ring.
fn rate(intake: &Intake) -> Rate {
    let Some(newest) = newest(intake) else { return Rate::default() };
    let (mut frames, mut bytes, mut first) = (0u32, 0, newest.decode);
    for number in intake.ring.numbers().rev() {
        let Some((frame, data)) = intake.ring.get(number) else { break };
        if frame.run != newest.run || newest.decode - frame.decode > limits::RATE_SPAN {
            break;
        }
        (frames, bytes, first) = (frames + 1, bytes + data.len(), frame.decode);
    }
    let span = newest.decode - first + intake.frame_duration();
    let seconds = span.as_millis().max(1) as f64 / 1000.0;
    // Rounded to a tenth for display.
    let fps = (f64::from(frames) / seconds * 10.0).round() / 10.0;
    Rate { fps, kbit_s: (bytes as f64 * 8.0 / 1000.0 / seconds) as u64 }
}

fn millis(now: Instant, then: Instant) -> i64 {
    i64::try_from(now.saturating_duration_since(then).as_millis()).unwrap_or(i64::MAX)
}

/// proc(5).
fn memory() -> Memory {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Memory {
        rss_kb: kilobytes(&status, "VmRSS:"),
        peak_kb: kilobytes(&status, "VmHWM:"),
        available_kb: kilobytes(&machine, "MemAvailable:"),
    }
}
