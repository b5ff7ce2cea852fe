//! RTSP servers of other projects, each a process that ends when its value is dropped; and checks
//! of the files recorded from them.

use super::{Nvr, assert_ffmpeg_is_silent, frames_in, mp4, port::Port, record_to_the_end, vcl};
use camera::{Camera, Clip, Codec, Options, Speed};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

const LONG_SEGMENTS: &str = "segment_seconds = 60\nsync_seconds = 1\nkeep_free_percent = 0";

/// An RTSP server in a process of its own.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    /// GStreamer's server, which plays a file to each client from the beginning.
    pub fn gstreamer(file: &Path, codec: Codec) -> Server {
        Server::gstreamer_of(file, &[if codec == Codec::H264 { "h264" } else { "h265" }])
    }

    /// The same with the file's sound, sent as `aac`, `latm` or `opus`, beside H.264.
    pub fn gstreamer_with_sound(file: &Path, sound: &str) -> Server {
        Server::gstreamer_of(file, &["h264", sound])
    }

    /// The same with tracks as `ci/gst_server.py` names them.
    pub fn gstreamer_of(file: &Path, tracks: &[&str]) -> Server {
        let mut child = Command::new("/usr/bin/python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/gst_server.py"))
            .arg(file)
            .args(tracks)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").unwrap_or_default().trim().to_owned();
        assert!(!url.is_empty(), "the server does not start: is python3-gi there?");
        Server { child, url }
    }

    /// VLC's server, over UDP only, which plays a file once: clients join in the middle. It refuses
    /// to run as root.
    pub fn vlc(file: &Path) -> Server {
        let folder = file.parent().unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        let port = Port::closed();
        let number = port.number();
        let url = port.url("cam");
        drop(port);
        let is_root = fs::metadata("/proc/self").unwrap();
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "vlc"];
        let root = std::os::unix::fs::MetadataExt::uid(&is_root) == 0;
        let command: &[&str] = if root { &nobody } else { &["vlc"] };
        let child = Command::new(command[0])
            .args(&command[1..])
            .args(["--intf", "dummy", "--no-audio", "--quiet", "--sout"])
            .arg(format!("#rtp{{sdp={url}}}"))
            .arg(file)
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        super::wait_for("VLC to listen", || TcpStream::connect(("127.0.0.1", number)).is_ok());
        Server { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes `frames` frames of a clip, with their times, into an ordinary MP4 file: smolnvr records
/// the test camera (`exact.rs` shows that the result is the clip), and FFmpeg rewrites that.
pub fn make_mp4(clip: &Clip, frames: u64, file: &Path) {
    let options = Options { speed: Speed::Times(20.0), frames: Some(frames), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), LONG_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, frames);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&nvr.files()[0])
        .args(["-c", "copy", "-video_track_timescale", "90000"])
        .arg(file)
        .status();
    assert!(status.unwrap().success());
}

/// Records a server until `enough` frames are on the card, and checks that they are a part of the
/// clip without a gap. Times may be off by `tolerance` ticks if the server counts in other units.
pub fn assert_records_clip(nvr: &mut Nvr, clip: &Clip, enough: usize, tolerance: i64) {
    super::wait_for("the clip's frames on disk", || frames_in(&nvr.files()) >= enough);
    let (status, _) = nvr.terminate();
    assert!(status.success(), "{status}");
    let files = nvr.files();
    assert_eq!(files.len(), 1, "one run, one file: {files:?}");
    let movie = mp4::read(&files[0]).unwrap();
    assert!(movie.samples.len() >= enough, "{} frames", movie.samples.len());
    assert_is_part_of_clip(&movie, clip, tolerance);
    assert_ffmpeg_is_silent(&files);
}

/// A server may begin with any key frame, and its clock may start anywhere; from there on every VCL
/// NAL unit is the clip's byte for byte and every presentation time tick for tick.
fn assert_is_part_of_clip(movie: &mp4::Movie, clip: &Clip, tolerance: i64) {
    let opening = vcl(clip.codec(), &movie.samples[0].nals);
    let units = clip.access_units().iter();
    let first = units.map(|unit| vcl(clip.codec(), &unit.nals)).position(|it| it == opening);
    let first = u64::try_from(first.expect("the first frame is one of the clip")).unwrap();
    let base = i64::try_from(clip.frame(first).pts).unwrap();
    let mut last_decode = -1;
    // Leading pictures are shown before the first one, and refer to pictures before the run.
    let frames = (first..).map(|number| (number, clip.frame(number)));
    let frames = frames.filter(|(_, frame)| i64::try_from(frame.pts).unwrap() >= base);
    for ((number, frame), sample) in frames.zip(&movie.samples) {
        let (sent, stored) = (vcl(clip.codec(), &frame.unit.nals), vcl(clip.codec(), &sample.nals));
        assert!(sent == stored, "frame {number} differs");
        let presentation = i64::try_from(frame.pts).unwrap() - base;
        let difference = (sample.presentation - presentation).abs();
        assert!(difference <= tolerance, "frame {number}: {difference} ticks");
        assert!(sample.decode > last_decode, "frame {number}");
        last_decode = sample.decode;
        assert_eq!(sample.key, frame.unit.key, "frame {number}");
    }
}

pub fn recorder(url: &str, transport: &str) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let text = super::config(directory.path(), LONG_SEGMENTS, &[("camera", url)]);
    let text = text.replace("buffer_kb", &format!("transport = {transport:?}\nbuffer_kb"));
    Nvr::start_with(directory, &text, &[])
}
