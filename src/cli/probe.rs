//! `smolnvr probe`: what a camera sends, seen over a few seconds.

use super::{Arguments, Format, complain, print, print_json, usage};
use crate::{
    camera::probe::{self, Report},
    rtsp::Target,
};
use std::process::ExitCode;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let [url] = arguments.operands.as_slice() else {
        complain("probe which URL? `smolnvr probe --help`");
        return usage();
    };
    let target: Target = match url.to_string_lossy().parse() {
        Ok(target) => target,
        Err(error) => {
            complain(&format!("{error}"));
            return usage();
        }
    };
    match probe::run(&target) {
        Ok(report) => {
            match arguments.format {
                Format::Json => print_json(&report),
                Format::Text => print(&text(&report)),
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for track in &report.tracks {
        text += &format!("track: {} {} Hz\n", track.encoding, track.clock_rate);
    }
    let Some(video) = &report.video else {
        return text + "no picture came within five seconds\n";
    };
    let tenths = |value: f64| (value * 10.0).round() / 10.0;
    text += &format!("video: {} {}x{}\n", video.codec, video.width, video.height);
    text += &format!("frame rate: {} a second\n", tenths(video.fps));
    text += &format!("bit rate: {} kbit/s\n", video.kbit_s);
    text += &match video.key_frame_distance_ms {
        Some(millis) => format!("key frames: one every {} s\n", tenths(millis as f64 / 1000.0)),
        None => "key frames: fewer than two in five seconds\n".to_owned(),
    };
    if report.packets_lost > 0 {
        text += &format!("lost packets: {}\n", report.packets_lost);
    }
    text
}
