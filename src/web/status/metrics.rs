//! `GET /metrics`: the state of everything for Prometheus.
//!
//! Spec: the Prometheus text format, 0.0.4; names and units as `promtool check metrics` wants them.

use super::{CameraStatus, Changes, Losses, Status};
use crate::web::{
    Web,
    answer::{Answer, Body},
};
use std::fmt::{Display, Write as _};

impl Web {
    pub(in crate::web) fn metrics(&self) -> Answer {
        let text = metrics(&self.state(Changes::Left));
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        Answer::new(200, Body::Bytes { kind, bytes: text.into_bytes().into() })
            .with("Cache-Control", "no-store")
    }
}

/// Formats each metric with its values.
fn metrics(status: &Status) -> String {
    let mut out = String::new();
    begin(&mut out, "gauge", "build_info", "1, with the version.");
    line(&mut out, "build_info", &format_args!("{{version=\"{}\"}}", status.version), 1);
    begin(&mut out, "gauge", "storage_state", "1, with the state of the card.");
    line(&mut out, "storage_state", &format_args!("{{state=\"{}\"}}", status.storage.state), 1);
    for (kind, name, help, value) in OF_THE_BOARD {
        begin(&mut out, kind, name, help);
        if let Some(value) = value(status) {
            line(&mut out, name, &"", value);
        }
    }
    for (kind, name, help, value) in OF_A_CAMERA {
        begin(&mut out, kind, name, help);
        for camera in &status.cameras {
            if let Some(value) = value(camera) {
                line(&mut out, name, &format_args!("{{camera=\"{}\"}}", camera.name), value);
            }
        }
    }
    let name = "camera_losses_total";
    begin(&mut out, "counter", name, "Frames or packets lost, by cause.");
    for camera in &status.cameras {
        for (cause, count) in camera.losses.by_cause() {
            let labels = format_args!("{{camera=\"{}\",cause=\"{cause}\"}}", camera.name);
            line(&mut out, name, &labels, count);
        }
    }
    out
}

fn begin(out: &mut String, kind: &str, name: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP smolnvr_{name} {help}\n# TYPE smolnvr_{name} {kind}");
}

/// Seconds are given in milliseconds.
fn line(out: &mut String, name: &str, labels: &dyn Display, value: u64) {
    let scale = if name.ends_with("_seconds") { "e-3" } else { "" };
    let _ = writeln!(out, "smolnvr_{name}{labels} {value}{scale}");
}

impl Losses {
    fn by_cause(&self) -> [(&'static str, u64); 8] {
        [
            ("network", self.network),
            ("card", self.card),
            ("viewer", self.viewer),
            ("malformed", self.malformed),
            ("undecodable", self.undecodable),
            ("too_large", self.too_large),
            ("too_short", self.too_short),
            ("audio", self.audio),
        ]
    }
}

/// Kind, name, help, and the value if it is known.
type Metric<T> = (&'static str, &'static str, &'static str, fn(&T) -> Option<u64>);

const OF_THE_BOARD: [Metric<Status>; 16] = [
    ("gauge", "uptime_seconds", "Since the daemon started.", |it| Some(it.uptime_s * 1000)),
    ("gauge", "resident_memory_bytes", "VmRSS.", |it| Some(it.memory.rss_kb << 10)),
    ("gauge", "peak_memory_bytes", "VmHWM.", |it| Some(it.memory.peak_kb << 10)),
    ("gauge", "clock_trusted", "1 if the clock was set.", |it| Some(it.clock.trusted.into())),
    ("gauge", "storage_ok", "1 if the card accepts recordings.", |it| {
        Some((it.storage.state == "ok").into())
    }),
    ("gauge", "storage_free_bytes", "Free space on the card.", |it| it.storage.free_bytes),
    ("gauge", "storage_total_bytes", "Size of the card.", |it| it.storage.total_bytes),
    ("gauge", "storage_write_p99_seconds", "99 of 100 writes took no longer.", |it| {
        it.storage.write_p99_ms
    }),
    ("counter", "storage_written_bytes_total", "Written to the card over its life.", |it| {
        it.storage.written_bytes
    }),
    (
        "gauge",
        "storage_keeps_data",
        "0 if the card gave back other bytes than were written.",
        |it| Some(it.storage.keeps_data.into()),
    ),
    ("gauge", "storage_recordings_bytes", "Size of the recordings.", |it| Some(it.storage.bytes)),
    ("gauge", "archive_ok", "1 if the store takes recordings.", |it| {
        Some(it.archive.as_ref()?.reason.is_none().into())
    }),
    ("gauge", "archive_backlog_bytes", "Closed recordings the store does not have.", |it| {
        Some(it.archive.as_ref()?.backlog_bytes)
    }),
    ("counter", "archive_sent_bytes_total", "Recordings brought to the store.", |it| {
        Some(it.archive.as_ref()?.sent_bytes)
    }),
    ("counter", "archive_skipped_total", "Recordings left out of the store.", |it| {
        Some(it.archive.as_ref()?.skipped)
    }),
    ("counter", "marks_lost_total", "Marks the card did not accept in time.", |it| {
        Some(it.storage.marks_lost)
    }),
];

const OF_A_CAMERA: [Metric<CameraStatus>; 16] = [
    ("counter", "camera_marks_total", "Marks made.", |it| Some(it.marks.made)),
    ("counter", "camera_marks_refused_total", "Marks refused: too many.", |it| {
        Some(it.marks.refused)
    }),
    ("gauge", "camera_marked", "1 while something goes on.", |it| Some(it.marks.going_on.into())),
    ("gauge", "camera_live", "1 if the camera sends video.", |it| {
        Some((it.state == "live").into())
    }),
    ("gauge", "camera_recording", "1 while recording.", |it| Some(it.recording.into())),
    ("gauge", "camera_frames_per_second", "Frame rate over the last seconds.", |it| {
        Some(it.fps.round() as u64)
    }),
    ("gauge", "camera_bytes_per_second", "Data rate over the last seconds.", |it| {
        Some(it.kbit_s * 125)
    }),
    ("gauge", "camera_viewers", "Live viewers.", |it| Some(it.viewers as u64)),
    ("gauge", "camera_recordings", "Recordings on the card.", |it| Some(it.segments as u64)),
    ("gauge", "camera_kept_bytes", "Size of kept recordings.", |it| Some(it.kept_bytes)),
    ("gauge", "camera_thinned_bytes", "Size of recordings reduced to key frames.", |it| {
        Some(it.thinned_bytes)
    }),
    ("counter", "camera_frames_total", "Frames taken.", |it| Some(it.frames)),
    ("counter", "camera_ffmpeg_restarts_total", "Restarts of FFmpeg.", |it| {
        Some(it.ffmpeg.as_ref()?.restarts)
    }),
    ("gauge", "camera_durable_age_seconds", "Age of the last durable frame.", |it| {
        it.durable_age_ms
    }),
    ("gauge", "camera_recording_wanted", "1 if its video should be recorded now.", |it| {
        Some((it.recording_wanted && !it.waits_for_event).into())
    }),
    ("gauge", "camera_retention_seconds", "How much the card holds, by its last week.", |it| {
        Some((it.days_fit? * 86_400_000.0) as u64)
    }),
];
