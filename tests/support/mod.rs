//! Shared by the end-to-end tests: a running smolnvr, and the content of its files.

#![allow(clippy::disallowed_methods, reason = "tests wait for conditions of other processes")]

pub mod addresses;
pub mod busybox;
pub mod card;
pub mod engines;
pub mod home_assistant;
pub mod http;
pub mod mosquitto;
pub mod mp4;
pub mod port;
pub mod server;
pub mod store;
pub mod stream;
pub mod trace;
pub mod watch;
pub mod ws;

use camera::{Camera, Clip, Codec, Options, SessionState};
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;
use watch::Watch;

/// A running smolnvr, with configuration, lock and recordings in a temporary folder.
pub struct Nvr {
    pub directory: TempDir,
    program: PathBuf,
    arguments: Vec<String>,
    child: Child,
    log: Arc<Mutex<String>>,
}

/// The `[storage]` section of the tests, beside the path.
pub const SHORT_SEGMENTS: &str = "segment_seconds = 2\nsync_seconds = 1\nkeep_free_percent = 0";

impl Nvr {
    /// Starts it with one camera called `camera`.
    pub fn start(url: &str, storage: &str) -> Nvr {
        Nvr::start_in(tempfile::tempdir().unwrap(), url, storage)
    }

    pub fn start_in(directory: TempDir, url: &str, storage: &str) -> Nvr {
        let text = config(directory.path(), storage, &[("camera", url)]);
        Nvr::start_with(directory, &text, &[])
    }

    /// Starts it with a configuration and arguments of the test's own.
    pub fn start_with(directory: TempDir, config: &str, arguments: &[&str]) -> Nvr {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_smolnvr"));
        Nvr::start_program(program, directory, config, arguments)
    }

    /// The same with another umask.
    pub fn start_with_umask(directory: TempDir, config: &str, umask: &str) -> Nvr {
        let program = directory.path().join("smolnvr");
        let real = env!("CARGO_BIN_EXE_smolnvr");
        let script = format!("#!/bin/sh\numask {umask}\nexec {real} \"$@\"\n");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Nvr::start_program(program, directory, config, &[])
    }

    /// The same with the release build, which is built if it is not up to date.
    pub fn start_release(directory: TempDir, config: &str) -> Nvr {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--bin", "smolnvr"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success());
        let target = Path::new(env!("CARGO_BIN_EXE_smolnvr")).ancestors().nth(2).unwrap();
        Nvr::start_program(target.join("release/smolnvr"), directory, config, &[])
    }

    fn start_program(
        program: PathBuf,
        directory: TempDir,
        config: &str,
        arguments: &[&str],
    ) -> Nvr {
        write_config(directory.path(), config);
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>();
        let (child, log) = spawn(&program, directory.path(), &arguments);
        Nvr { directory, program, arguments, child, log }
    }

    /// Starts it again with the existing recordings.
    pub fn restart(&mut self) {
        assert!(self.child.try_wait().unwrap().is_some(), "it still runs");
        (self.child, self.log) = spawn(&self.program, self.directory.path(), &self.arguments);
    }

    /// Writes another configuration and reloads it.
    pub fn reconfigure(&self, config: &str) {
        write_config(self.directory.path(), config);
        self.signal("HUP");
    }

    /// Changes the configuration file for the next start.
    pub fn set_config(&self, change: impl FnOnce(&str) -> String) {
        write_config(self.directory.path(), &change(&self.config_text()));
    }

    pub fn config_text(&self) -> String {
        fs::read_to_string(self.directory.path().join("smolnvr.toml")).unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn recordings(&self) -> PathBuf {
        self.directory.path().join("recordings")
    }

    /// The recordings by number.
    pub fn files(&self) -> Vec<PathBuf> {
        recordings_in(&self.recordings())
    }

    /// The address of its page: `127.0.0.1:40917`.
    pub fn web_address(&self) -> String {
        self.wait_for_log("web=listening address=");
        let log = self.log();
        let address = log.rsplit("web=listening address=").next().unwrap();
        address.lines().next().unwrap().to_owned()
    }

    /// The answer of `/api/status`.
    pub fn status(&self) -> Value {
        http::ask(&self.web_address(), "GET", "/api/status", &[], "").json()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_for(&format!("log line with {text:?}, got {}", self.log()), || {
            self.log().contains(text)
        });
    }

    /// Warnings and errors in the log so far.
    pub fn complaints(&self) -> Vec<String> {
        let is_one = |line: &&str| {
            line.starts_with("smolnvr: warning:") || line.starts_with("smolnvr: error:")
        };
        self.log().lines().filter(is_one).map(str::to_owned).collect()
    }

    /// Waits until frames reach files that are not in `before`.
    pub fn wait_for_recording(&self, before: &[PathBuf]) {
        wait_for("a recording", || {
            let new = self.files().into_iter().filter(|file| !before.contains(file));
            frames_in(&new.collect::<Vec<_>>()) > 0
        });
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Sends SIGTERM; returns the exit status, and how long it took, less the time that a busy
    /// machine withheld.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.end_with("TERM")
    }

    /// The same with another signal.
    pub fn end_with(&mut self, signal: &str) -> (ExitStatus, Duration) {
        let mut watch = Watch::start(self.id());
        self.signal(signal);
        loop {
            let took = watch.elapsed();
            if let Some(status) = self.try_wait() {
                return (status, took);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Nvr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of smolnvr\n{}---", self.log());
        }
    }
}

/// A configuration with recordings in a folder of `directory`, further keys of `[storage]`, and
/// cameras by name and URL. The page requires no password.
pub fn config(directory: &Path, storage: &str, cameras: &[(&str, &str)]) -> String {
    let recordings = directory.join("recordings");
    let cameras = cameras.iter().map(|(name, url)| {
        format!("[[camera]]\nname = {name:?}\nurl = {url:?}\nbuffer_kb = 8192\n\n")
    });
    format!(
        "[storage]\npath = {recordings:?}\nrequire_mount = false\n{storage}\n\n{}\
         [web]\nlisten = \"127.0.0.1:0\"\nauth = \"none\"\n\n[log]\nlevel = \"debug\"\n",
        cameras.collect::<String>()
    )
}

/// A daemon that records the plain clip, sent with these options, with further keys of `[web]`;
/// also returns its address, the camera and the clip.
pub fn recording(options: Options, web: &str) -> (Nvr, String, Camera, Clip) {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let nvr = Nvr::start_with(directory, &text.replace("[web]\n", &["[web]\n", web].concat()), &[]);
    let address = nvr.web_address();
    (nvr, address, camera, clip)
}

/// The same, but the page requires the password.
pub fn with_password(config: &str) -> String {
    config.replace("auth = \"none\"\n", "")
}

fn write_config(directory: &Path, config: &str) {
    fs::create_dir_all(directory.join("recordings")).unwrap();
    fs::write(directory.join("smolnvr.toml"), config).unwrap();
}

fn spawn(program: &Path, directory: &Path, arguments: &[String]) -> (Child, Arc<Mutex<String>>) {
    let mut child = Command::new(program)
        .arg("run")
        .arg("-c")
        .arg(directory.join("smolnvr.toml"))
        .arg("--socket")
        .arg(directory.join("smolnvr.sock"))
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let (pipe, sink) = (child.stderr.take().unwrap(), Arc::clone(&log));
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut log = sink.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    (child, log)
}

/// Runs the program to its end; returns status, standard output and standard error.
pub fn smolnvr(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_smolnvr")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// 10 s of 1080p at 4 Mbit/s, a key frame every 50 frames; made by `ci/clips.sh`.
pub fn bench_clip() -> Clip {
    cached_clip("bench.h264")
}

/// 250 pictures that each show their number, a key frame every 25; made by `ci/clips.sh`.
pub fn numbered_clip() -> Clip {
    cached_clip("numbered.h264")
}

/// Two minutes that begin with an IDR picture and then refresh gradually, with a recovery point
/// each second.
pub fn refreshing_clip() -> Clip {
    const FRAMES: u64 = 120 * 25;
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25"])
        .args(["-frames:v", &FRAMES.to_string(), "-c:v", "libx264", "-pix_fmt", "yuv420p"])
        .args(["-x264-params", "keyint=25:intra-refresh=1:bframes=0:sliced-threads=0"])
        .args(["-f", "h264", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let times: String = (0..FRAMES).map(|frame| format!("{}\n", frame * 3600)).collect();
    Clip::new(Codec::H264, &output.stdout, &times).unwrap()
}

fn cached_clip(name: &str) -> Clip {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    Clip::load(cache.join("smolnvr/clips").join(name)).expect("`make test` makes it")
}

/// The result of `smolnvr verify --json` by file name: the state and, for a damaged file, the
/// reason.
pub fn states_of(folder: &Path) -> Vec<(String, String)> {
    let (_, output, complaints) = smolnvr(&["verify", "--json", folder.to_str().unwrap()]);
    assert_eq!(complaints, "");
    let verdicts: Value = serde_json::from_str(&output).unwrap();
    let of = |verdict: &Value| {
        let text = |key: &str| verdict[key].as_str().unwrap_or_default().to_owned();
        let name = Path::new(&text("file")).file_name().unwrap().to_str().unwrap().to_owned();
        (name, format!("{} {}", text("state"), text("reason")).trim().to_owned())
    };
    verdicts.as_array().unwrap().iter().map(of).collect()
}

/// Checks that a folder holds recordings, and only whole ones.
pub fn assert_all_whole(folder: &Path) {
    let states = states_of(folder);
    assert!(!states.is_empty(), "no recording in {}", folder.display());
    assert!(states.iter().all(|(_, state)| state == "whole"), "{states:?}");
}

/// Makes smolnvr remember that the clock was an hour behind at boot: it was set since, and is
/// trusted.
pub fn step_the_clock(directory: &Path) {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let boot = read("/proc/sys/kernel/random/boot_id").trim().replace('-', "");
    let uptime: f64 = read("/proc/uptime").split(' ').next().unwrap().parse().unwrap();
    let booted = unix_time().as_millis() as i64 - (uptime * 1000.0) as i64 - 3_600_000;
    fs::write(directory.join("smolnvr.clock"), format!("{boot} {booted}\n")).unwrap();
}

/// Since 1970.
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// Waits, because something must not happen in that time.
pub fn let_pass(span: Duration) {
    thread::sleep(span);
}

/// Waits for a condition, for at most two minutes: beside busy programs, a second's work takes
/// thirty.
pub fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    wait_for_within(Duration::from_secs(120), what, condition);
}

pub fn wait_for_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {limit:?} for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn recordings_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "mp4"))
        .collect();
    files.sort_by_key(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u32>().ok());
    files
}

/// Frames in all files that can be read so far.
pub fn frames_in(files: &[PathBuf]) -> usize {
    files.iter().filter_map(|file| mp4::read(file).ok()).map(|movie| movie.samples.len()).sum()
}

/// Waits until the camera has sent all its frames and all but the last fragment is in the files,
/// then ends smolnvr, which stores the rest.
pub fn record_to_the_end(nvr: &mut Nvr, camera: &Camera, frames: u64) {
    let finished = camera.wait(Duration::from_secs(120), |sessions| {
        sessions.iter().any(|session| session.state == SessionState::Finished)
    });
    assert!(finished, "the camera did not come to its end\n{}", nvr.log());
    wait_for("what it sent to arrive", || !port::is_sending(camera.port()));
    let enough = usize::try_from(frames).unwrap().saturating_sub(30);
    wait_for("most frames on disk", || frames_in(&nvr.files()) >= enough);
    let (status, elapsed) = nvr.terminate();
    assert!(status.success(), "{status}");
    assert!(elapsed < Duration::from_secs(2), "took {elapsed:?} to end");
}

/// Checks that the files hold the clip's frames from `first` on, each once, in order: every VCL NAL
/// unit byte for byte, every presentation time tick for tick, decode times strictly increasing.
pub fn assert_exact(files: &[PathBuf], clip: &Clip, first: u64, frames: u64) {
    let mut number = first;
    for file in files {
        let movie = mp4::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.display();
        assert!(!movie.samples.is_empty(), "{name} is empty");
        let opening = &movie.samples[0];
        assert!(opening.key, "{name} does not start with a key frame");
        assert_eq!((opening.decode, opening.presentation), (0, 0), "{name}");
        let base = i64::try_from(clip.frame(number).pts).unwrap();
        let mut last_decode = -1;
        for sample in &movie.samples {
            let expected = clip.frame(number);
            let presentation = i64::try_from(expected.pts).unwrap() - base;
            assert_eq!(sample.presentation, presentation, "{name}: frame {number}");
            assert!(sample.decode > last_decode, "{name}: frame {number}");
            last_decode = sample.decode;
            assert_eq!(sample.key, expected.unit.key, "{name}: frame {number}");
            let sent: Vec<&[u8]> = vcl(clip.codec(), &expected.unit.nals);
            let stored: Vec<&[u8]> = vcl(clip.codec(), &sample.nals);
            assert!(sent == stored, "{name}: frame {number} differs");
            number += 1;
        }
        assert_eq!(
            movie.sample_entry,
            if clip.codec() == Codec::H264 { *b"avc1" } else { *b"hvc1" }
        );
        let end = |sample: &mp4::Sample| {
            sample.decode.max(sample.presentation) + i64::from(sample.duration)
        };
        assert_eq!(Some(movie.duration), movie.samples.iter().map(end).max(), "{name}: duration");
    }
    assert_eq!(number - first, frames, "frames in {} files", files.len());
}

/// Checks that a movie holds frames of the clip without a gap, from a key frame and time 0 on, as
/// exactly as [`assert_exact`]; returns the first frame's number in the clip.
pub fn assert_is_part_of(movie: &mp4::Movie, clip: &Clip) -> u64 {
    let opening = &movie.samples[0];
    let first = frame_number(opening, clip);
    assert!(opening.key, "frame {first} is no key frame");
    assert_eq!((opening.decode, opening.presentation), (0, 0));
    let base = i64::try_from(clip.frame(first).pts).unwrap();
    let mut last_decode = -1;
    for (number, sample) in (first..).zip(&movie.samples) {
        let expected = clip.frame(number);
        let sent = vcl(clip.codec(), &expected.unit.nals);
        assert!(vcl(clip.codec(), &sample.nals) == sent, "frame {number} differs");
        let presentation = i64::try_from(expected.pts).unwrap() - base;
        assert_eq!(sample.presentation, presentation, "frame {number}");
        assert!(sample.decode > last_decode, "frame {number}");
        last_decode = sample.decode;
        assert_eq!(sample.key, expected.unit.key, "frame {number}");
    }
    first
}

/// The number of the frame in the clip that a sample contains.
pub fn frame_number(sample: &mp4::Sample, clip: &Clip) -> u64 {
    let media = vcl(clip.codec(), &sample.nals);
    let mut frames = clip.access_units().iter();
    let number = frames.position(|unit| vcl(clip.codec(), &unit.nals) == media);
    number.expect("a frame of the clip") as u64
}

pub fn vcl(codec: Codec, nals: &[Vec<u8>]) -> Vec<&[u8]> {
    nals.iter().map(Vec::as_slice).filter(|nal| codec.is_vcl(nal)).collect()
}

/// Makes FFmpeg read and decode each file; it must print nothing.
pub fn assert_ffmpeg_is_silent(files: &[PathBuf]) {
    for file in files {
        let path = file.to_str().unwrap();
        let probe = ["-v", "warning", "-count_packets", "-show_streams", path];
        let decode = ["-nostdin", "-xerror", "-v", "warning", "-i", path];
        // Without it, FFmpeg's null output rounds uneven times to a frame rate, and warns about
        // that.
        let decode = [&decode[..], &["-enc_time_base", "-1", "-f", "null", "-"]].concat();
        for (program, arguments) in [("ffprobe", &probe[..]), ("ffmpeg", &decode[..])] {
            let output = Command::new(program).args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{program} {path}: {said}");
        }
    }
}
