//! A camera that FFmpeg records: the same frames as by the native engine, whatever happens to
//! FFmpeg.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, card::Card, config, engines, frames_in, http, let_pass,
    mp4, recordings_in, smolnvr, wait_for, wait_for_within,
};
use camera::{Auth, Builder, Camera, Clip, Options, Scheme, Speed};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The promise, regardless of the fault.
const RECORDING_AGAIN: Duration = Duration::from_secs(15);

fn camera() -> Builder {
    Camera::builder().stream("cam", Clip::built_in())
}

/// A configuration in which this FFmpeg records a camera.
fn by_ffmpeg(directory: &Path, url: &str, path: &Path) -> String {
    config(directory, SHORT_SEGMENTS, &[("camera", url)])
        .replace("buffer_kb = 8192", "engine = \"ffmpeg\"\naudio = true")
        + &format!("\n[ffmpeg]\npath = {path:?}\n")
}

fn start(url: &str) -> Nvr {
    start_with(url, Path::new("ffmpeg"))
}

fn start_with(url: &str, path: &Path) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let text = by_ffmpeg(directory.path(), url, path);
    Nvr::start_with(directory, &text, &[])
}

/// An FFmpeg that reports the real one's version, and otherwise runs `script`.
fn stand_in(directory: &Path, script: &str) -> PathBuf {
    let path = directory.join("stand-in");
    let asked = "case \"$*\" in *-version*|*-formats*|*demuxer=rtsp*) exec ffmpeg \"$@\";; esac";
    fs::write(&path, format!("#!/bin/sh\n{asked}\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The children of a process that are no zombies, and those that are.
fn children(parent: u32) -> (Vec<u32>, Vec<u32>) {
    let (mut alive, mut zombies) = (Vec::new(), Vec::new());
    for entry in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap().split(' ');
        let state = fields.next().unwrap_or_default().to_owned();
        if fields.next().and_then(|it| it.parse().ok()) == Some(parent) {
            if state == "Z" { &mut zombies } else { &mut alive }.push(id);
        }
    }
    (alive, zombies)
}

/// The FFmpeg that a daemon has started, once it is one.
fn ffmpeg_of(nvr: &Nvr) -> u32 {
    let mut found = None;
    wait_for("an FFmpeg that records", || {
        found = children(nvr.id()).0.into_iter().find(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("segment") && !line.starts_with("/proc/self/exe")
        });
        found.is_some()
    });
    found.unwrap()
}

fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &id.to_string()]).status();
    assert!(status.unwrap().success());
}

fn is_there(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

fn wait_until_recorded_again(nvr: &Nvr, before: &[PathBuf]) {
    wait_for_within(RECORDING_AGAIN, &format!("a new recording\n{}", nvr.log()), || {
        let new = nvr.files().into_iter().filter(|file| !before.contains(file));
        frames_in(&new.collect::<Vec<_>>()) > 0
    });
}

/// Numbers go on from 0 without a gap, but for files in which there was nothing yet.
fn assert_numbered(files: &[PathBuf], log: &str) {
    let names = (0..).map(|number| format!("{number:03}.mp4"));
    let mut names = names.filter(|name| !log.contains(&format!("file={name} deleted=Empty")));
    for file in files {
        assert_eq!(file.file_name().unwrap().to_str().unwrap(), names.next().unwrap(), "{log}");
    }
}

#[test]
fn both_engines_record_the_same_camera_into_the_same_files() {
    const FRAMES: u64 = 400;
    for name in ["plain.h264", "plain.h265"] {
        let clip = Clip::committed(name).unwrap();
        let options =
            Options { speed: Speed::Times(8.0), frames: Some(FRAMES), ..Options::default() };
        let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let url = camera.url("cam");
        let text = config(directory.path(), SHORT_SEGMENTS, &[("one", &url), ("two", &url)]);
        let second = text.rfind("buffer_kb = 8192").unwrap();
        let (first, second) = text.split_at(second);
        let text = [first, &second.replace("buffer_kb = 8192", "engine = \"ffmpeg\"")].concat();
        let mut nvr = Nvr::start_with(directory, &text, &[]);
        let theirs = nvr.recordings().join("two");
        wait_for("most frames on disk", || {
            theirs.exists() && frames_in(&recordings_in(&theirs)) as u64 >= FRAMES - 30
        });
        let (status, _) = nvr.terminate();
        assert!(status.success(), "{status}");
        engines::assert_same(&nvr.files(), &recordings_in(&theirs), &clip);
        let folder = nvr.recordings().join("two");
        assert_all_whole(&folder);
        for file in recordings_in(&folder) {
            let movie = mp4::read(&file).unwrap();
            let (sizes, end) = movie.index.as_ref().expect("an index");
            assert_eq!(*end, movie.first_moof);
            let keys = movie.samples.iter().filter(|sample| sample.key).count();
            assert_eq!(sizes.len(), keys, "{}: an entry a key frame", file.display());
            assert_eq!(movie.first_moof + sizes.iter().sum::<u32>() as usize, movie.bytes);
        }
    }
}

#[test]
fn an_ffmpeg_that_is_killed_or_frozen_makes_way_for_the_next() {
    let camera = camera().auth(Auth::new(Scheme::Digest, "admin", "hush-hush")).start().unwrap();
    let url = camera.url("cam").replace("rtsp://", "rtsp://admin:hush-hush@");
    let mut nvr = start(&url);
    nvr.wait_for_log("state=live engine=ffmpeg");
    let first = ffmpeg_of(&nvr);
    let arguments = fs::read(format!("/proc/{first}/cmdline")).unwrap();
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    assert!(!arguments.contains("hush-hush") && arguments.contains("concat"), "{arguments}");
    let status = nvr.status();
    let shown = &status["cameras"][0];
    assert_eq!((&shown["engine"], &shown["state"]), (&"ffmpeg".into(), &"live".into()), "{shown}");
    assert_eq!((&shown["codec"], &shown["recording"]), (&"h264".into(), &true.into()));
    assert!(shown["ffmpeg"]["tool"].as_str().unwrap().starts_with("FFmpeg "), "{shown}");
    let live = http::ask(&nvr.web_address(), "GET", "/live/camera.mp4", &[], "");
    assert_eq!(live.status, 503);
    assert!(live.json()["error"].as_str().unwrap().contains("no live video: FFmpeg records"));

    for (victim, name) in [(first, "KILL"), (0, "STOP")] {
        let victim = if victim == 0 { ffmpeg_of(&nvr) } else { victim };
        let before = nvr.files();
        let kept: BTreeMap<_, _> = before[..before.len() - 1]
            .iter()
            .map(|file| (file.clone(), fs::read(file).unwrap()))
            .collect();
        signal(victim, name);
        // The frozen one may begin a file when it is woken to end.
        let mut files_of_it = None;
        wait_for_within(RECORDING_AGAIN, &format!("another FFmpeg\n{}", nvr.log()), || {
            // Neither alive nor a zombie.
            if is_there(victim) {
                return false;
            }
            let files_of_it = files_of_it.get_or_insert_with(|| nvr.files().len());
            nvr.files().get(*files_of_it..).is_some_and(|new| frames_in(new) > 0)
        });
        for (file, bytes) in kept {
            assert!(fs::read(&file).unwrap() == bytes, "{} was touched", file.display());
        }
        assert_eq!(children(nvr.id()).1, Vec::<u32>::new(), "zombies");
    }
    assert_eq!(nvr.status()["cameras"][0]["ffmpeg"]["restarts"], 2);
    let last = ffmpeg_of(&nvr);
    let (status, _) = nvr.terminate();
    assert!(status.success() && !is_there(last));
    assert_numbered(&nvr.files(), &nvr.log());
    assert_all_whole(&nvr.recordings());
    assert!(!nvr.log().contains("hush-hush"));
}

#[test]
fn a_killed_daemon_leaves_no_ffmpeg_and_goes_on_and_so_does_a_camera_that_comes_back() {
    let camera = camera().start().unwrap();
    let port = camera.url("cam").rsplit(':').next().unwrap().replace("/cam", "");
    let mut nvr = start(&camera.url("cam"));
    wait_for("a second recording", || nvr.files().len() > 1 && frames_in(&nvr.files()[1..]) > 0);
    let ffmpeg = ffmpeg_of(&nvr);
    nvr.kill();
    wait_for("FFmpeg to go with it", || !is_there(ffmpeg));
    let before = nvr.files();
    nvr.restart();
    wait_until_recorded_again(&nvr, &before);

    drop(camera);
    nvr.wait_for_log("state=waiting engine=ffmpeg error=");
    let before = nvr.files();
    let _camera = self::camera().port(port.parse().unwrap()).start().unwrap();
    wait_until_recorded_again(&nvr, &before);

    // Start and stop, as people want it.
    let address = nvr.web_address();
    let answer = http::ask(&address, "POST", "/api/record/stop", &[], "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(children(nvr.id()).0, Vec::<u32>::new(), "no FFmpeg while nothing is recorded");
    let shown = &nvr.status()["cameras"][0];
    assert_eq!((&shown["state"], &shown["recording"]), (&"off".into(), &false.into()));
    let before = nvr.files();
    assert_all_whole(&nvr.recordings());
    http::ask(&address, "POST", "/api/record/start", &[], "");
    wait_until_recorded_again(&nvr, &before);
    assert_numbered(&nvr.files(), &nvr.log());
    assert!(nvr.terminate().0.success());
    assert_all_whole(&nvr.recordings());
}

#[test]
fn what_ffmpeg_does_wrong_is_said_and_leaves_nothing_behind() {
    let camera = camera().start().unwrap();
    let url = camera.url("cam").replace("rtsp://", "rtsp://admin:hush-hush@");
    let endless = "while :; do sleep 0.05; done";
    let cases = [
        ("echo \"$0: rtsp://admin:hush-hush@camera/: refused\" >&2; exit 1".to_owned(), "refused"),
        (format!("echo I hang >&2; {endless}"), "no output of FFmpeg reached the card for 15 s"),
        (format!("trap '' INT; echo I stay >&2; {endless}"), "reached the card for 15 s"),
        (
            "while :; do echo garbage >> 000.new; echo more > 001.mp4.txt; sleep 0.05; done".into(),
            "reached the card for 15 s",
        ),
    ];
    let started = cases.map(|(script, words)| {
        let directory = tempfile::tempdir().unwrap();
        let path = stand_in(directory.path(), &script);
        (start_with(&url, &path), directory, words)
    });
    for (nvr, _, words) in &started {
        wait_for(&format!("{words}, got {}", nvr.log()), || nvr.log().contains(words));
        let shown = &nvr.status()["cameras"][0];
        assert_eq!((&shown["engine"], &shown["recording"]), (&"ffmpeg".into(), &false.into()));
    }
    let log = &started[1].0.status()["cameras"][0]["ffmpeg"]["log"];
    assert_eq!(log[0], "I hang", "its words are shown");
    // Growing pauses: 1, 2, 4 and then 5 s, for some 20 s.
    let restarts = &started[0].0.status()["cameras"][0]["ffmpeg"]["restarts"];
    assert!((3..=8).contains(&restarts.as_u64().unwrap()), "{restarts}");
    for (mut nvr, _directory, _) in started {
        let id = nvr.id();
        let (all, _) = children(id);
        assert!(nvr.terminate().0.success());
        assert!(all.into_iter().all(|id| !is_there(id)), "an FFmpeg is left");
        assert_eq!(nvr.files(), Vec::<PathBuf>::new());
        assert!(!nvr.recordings().join("000.new").exists(), "what is no recording went");
        assert!(!nvr.log().contains("hush-hush"), "{}", nvr.log());
    }
}

#[test]
fn an_ffmpeg_that_can_not_be_used_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let executable = |name: &str, bytes: &[u8]| {
        fs::write(file(name), bytes).unwrap();
        fs::set_permissions(file(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    fs::write(file("plain"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(file("plain"), fs::Permissions::from_mode(0o644)).unwrap();
    let mut head = fs::read("/proc/self/exe").unwrap()[..4096].to_vec();
    head[18] ^= 0x3e; // EM_NONE on the build machine's own number, or what no machine has
    head[19] = 0;
    head[18] = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    executable("foreign", &head);
    executable("loader", b"#!/no/such/shell\n");
    executable("text", b"no program");
    executable(
        "old",
        b"#!/bin/sh\necho 'ffmpeg version 2.8.6 Copyright'\n\
          echo 'libavformat    56. 40.101 / 56. 40.101'\n",
    );
    executable("other", b"#!/bin/sh\necho I am no FFmpeg\n");
    for (name, words) in [
        ("missing", "no FFmpeg ("),
        ("missing", "install it or set `path` in [ffmpeg]"),
        ("plain", "is not executable: chmod +x"),
        ("foreign", "is built for "),
        ("loader", "needs a missing system library"),
        ("text", "is not a program"),
        ("old", "is FFmpeg 2.8.6: 3.2 or later is needed"),
        ("other", "does not behave like FFmpeg (I am no FFmpeg)"),
    ] {
        let text = by_ffmpeg(directory.path(), "rtsp://127.0.0.1/", &file(name));
        fs::write(file("smolnvr.toml"), text).unwrap();
        let (_, said, _) = smolnvr(&["check", "-c", file("smolnvr.toml").to_str().unwrap()]);
        assert!(said.contains("camera camera: not recorded: ") && said.contains(words), "{said}");
    }
    let (_, said, _) = smolnvr(&["check", "-c", file("smolnvr.toml").to_str().unwrap()]);
    assert!(said.contains(
        "camera camera: no sound is recorded: audio = true requires engine = \"native\""
    ));
    // The daemon says the same.
    let nvr = start_with("rtsp://127.0.0.1/", &file("foreign"));
    nvr.wait_for_log("is built for ");
    assert_eq!(nvr.status()["cameras"][0]["state"], "waiting");
}

#[test]
fn nothing_is_written_where_a_card_was_and_a_full_one_goes_on() {
    let camera = camera().start().unwrap();
    let card = Card::new(64);
    card.mount("rw");
    let directory = tempfile::tempdir().unwrap();
    // The first one fills the card, the others are real.
    let path = stand_in(
        directory.path(),
        "if mkdir \"$0.full\"; then head -c 100000000 /dev/zero > 000.new; exit 1; fi
         exec ffmpeg \"$@\"",
    );
    let text = by_ffmpeg(directory.path(), &camera.url("cam"), &path)
        .replace("require_mount = false\n", "");
    let recordings = format!("path = {:?}", card.recordings());
    let text: Vec<_> = text
        .lines()
        .map(|line| if line.contains("/recordings\"") { recordings.as_str() } else { line })
        .collect();
    let mut nvr = Nvr::start_with(directory, &text.join("\n"), &[]);
    card.assert_records_within(RECORDING_AGAIN, &[]);
    assert!(nvr.log().contains("FFmpeg exited: exit status: 1"), "{}", nvr.log());

    let ffmpeg = ffmpeg_of(&nvr);
    card.unmount();
    wait_for_within(RECORDING_AGAIN, "FFmpeg to end", || !is_there(ffmpeg));
    let_pass(Duration::from_millis(500));
    assert_eq!(fs::read_dir(card.path()).unwrap().count(), 0, "written under the mount point");
    card.mount("rw");
    let before = card.files();
    card.assert_records_within(RECORDING_AGAIN, &before);
    assert!(nvr.terminate().0.success());
    assert_numbered(&card.files(), &nvr.log());
    assert_all_whole(&card.recordings());
}
