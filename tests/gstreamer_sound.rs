//! Sound of a foreign server: the file holds what GStreamer's sends, packet by packet, as far from
//! the picture as in the file that it plays.

use crate::support::{
    Nvr, assert_all_whole, assert_ffmpeg_is_silent, config, server::Server, wait_for,
};
use serde_json::Value;
use std::{path::Path, process::Command};

const SEGMENTS: &str = "segment_seconds = 60\nsync_seconds = 1\nkeep_free_percent = 0";
/// 6 s of pictures.
const ENOUGH: usize = 150;
/// A frame of sound of any codec here, in seconds.
const FRAME: f64 = 0.064;
/// How far from the picture sound may lie, in seconds: where it comes before the server's reports,
/// arrival tells, and datagrams are read up to 100 ms late.
const OFF_MAX: f64 = 0.15;

/// One packet of a file.
#[derive(Debug)]
struct Packet {
    time: f64,
    hash: String,
}

/// The packets of a file's first stream of a kind, as FFmpeg reads them.
fn packets(file: &Path, kind: &str) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", &format!("{kind}:0"), "-show_data_hash", "md5"])
        .args(["-show_entries", "packet=pts_time,data_hash", "-of", "json"])
        .arg(file)
        .output()
        .unwrap();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packet = |packet: &Value| Packet {
        time: packet["pts_time"].as_str().unwrap().parse().unwrap(),
        hash: packet["data_hash"].as_str().unwrap().to_owned(),
    };
    read["packets"].as_array().unwrap().iter().map(packet).collect()
}

/// Twelve seconds of a picture with noise to hear, no two packets alike.
fn make(file: &Path, encoder: &[&str]) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error"])
        .args(["-f", "lavfi", "-i", "testsrc2=size=480x272:rate=25:duration=12"])
        .args(["-f", "lavfi", "-i", "anoisesrc=amplitude=0.3:seed=3:sample_rate=48000:duration=12"])
        .args(["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "0", "-ac", "1"])
        .args(encoder)
        .arg(file)
        .status();
    assert!(status.unwrap().success());
}

fn records_exactly(sound: &str, encoder: &[&str], transport: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clip.mp4");
    make(&file, encoder);
    let server = Server::gstreamer_with_sound(&file, sound);
    let text = config(directory.path(), SEGMENTS, &[("camera", &server.url)]);
    let keys = format!("audio = true\ntransport = {transport:?}\nbuffer_kb");
    let mut nvr = Nvr::start_with(directory, &text.replace("buffer_kb", &keys), &[]);
    wait_for("the clip on disk", || crate::support::frames_in(&nvr.files()) >= ENOUGH);
    assert!(nvr.terminate().0.success());
    assert_all_whole(&nvr.recordings());
    assert_ffmpeg_is_silent(&nvr.files());

    let recorded = &nvr.files()[0];
    let [sent, stored] = [&file, recorded].map(|file| (packets(file, "v"), packets(file, "a")));
    // The first picture has other parameter sets about it.
    let picture = sent.0.iter().position(|it| it.hash == stored.0[1].hash).unwrap();
    let zero = sent.0[picture].time - stored.0[1].time;
    let first = sent.1.iter().position(|it| it.hash == stored.1[0].hash).unwrap();
    assert!(stored.1.len() as f64 * FRAME > 4.0, "{} packets", stored.1.len());
    for (sent, stored) in sent.1[first..].iter().zip(&stored.1) {
        assert_eq!(sent.hash, stored.hash, "at {}", stored.time);
        let off = stored.time + zero - sent.time;
        assert!(off.abs() <= OFF_MAX, "{off} s off at {}", stored.time);
    }
    println!("{sound} over {transport}: from {zero} s on, sound packet {first}");
}

const AAC: [&str; 6] = ["-c:a", "aac", "-b:a", "32k", "-ar", "16000"];

#[test]
fn aac() {
    records_exactly("aac", &AAC, "tcp");
    records_exactly("aac", &AAC, "udp");
}

#[test]
fn aac_as_latm() {
    records_exactly("latm", &AAC, "tcp");
}

#[test]
fn opus() {
    records_exactly("opus", &["-c:a", "libopus", "-b:a", "32k"], "tcp");
    records_exactly("opus", &["-c:a", "libopus", "-b:a", "32k"], "udp");
}
