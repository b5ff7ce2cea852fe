//! `smolnvr probe`: what a camera sends, observed for a few seconds.

use super::{Arguments, Format, Usage, complain, print, print_json};
use crate::{
    camera::probe::{self, ProbeReport},
    http::url::Target,
};
use std::{fmt::Write as _, process::ExitCode};

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let Some(url) = arguments.operand()? else {
        return Err(Usage("expected a URL".into()));
    };
    let url = match url.to_string_lossy() {
        // Arguments are visible to other users.
        url if url == "-" => super::passwd::line().map_err(|error| Usage(format!("{error}")))?,
        url => url.into_owned(),
    };
    let target: Target = url.trim().parse().map_err(|error| Usage(format!("{error}")))?;
    let report = match probe::run(&target) {
        Ok(report) => report,
        Err(error) => {
            complain(error);
            return Ok(ExitCode::FAILURE);
        }
    };
    match arguments.format() {
        Format::Json => print_json(&report),
        Format::Text => print(&text(&report)),
    }
    Ok(if report.video.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(report: &ProbeReport) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for track in &report.tracks {
        let sound = match &track.sound {
            None => String::new(),
            Some(sound) if !sound.recorded => ", unsupported sound".into(),
            Some(sound) => {
                let plural = if sound.channels == 1 { "" } else { "s" };
                let codec = sound.codec.unwrap_or("sound");
                format!(", {codec}, {} channel{plural}", sound.channels)
            }
        };
        let _ = writeln!(text, "track: {} {} Hz{sound}", track.encoding, track.clock_rate);
    }
    if let Some(video) = &report.video {
        let _ = writeln!(text, "video: {} {}x{}", video.codec, video.width, video.height);
        let _ = writeln!(text, "frame rate: {:.1} per second", video.fps);
        let _ = writeln!(text, "bit rate: {} kbit/s", video.kbit_s);
        let _ = match video.key_frame_distance_ms {
            Some(millis) => writeln!(text, "key frames: one every {:.1} s", millis as f64 / 1000.0),
            None => writeln!(text, "key frames: only one"),
        };
    } else {
        text += "no key frame arrived\n";
    }
    if report.packets_lost > 0 {
        let _ = writeln!(text, "lost packets: {}", report.packets_lost);
    }
    text
}
