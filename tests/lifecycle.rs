//! The daemon's life, ended properly or not: what is on the card afterwards, and how the next start
//! continues.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, assert_exact, assert_ffmpeg_is_silent, config,
    frames_in, port::Port, record_to_the_end, smolnvr, states_of, wait_for,
};
use camera::{Camera, Clip, Options, SessionState, Speed};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LONG_SEGMENTS: &str = "segment_seconds = 60\nsync_seconds = 1\nkeep_free_percent = 0";
/// The contract.
const END_LIMIT: Duration = Duration::from_secs(2);

fn camera(clip: &str, options: Options) -> (Clip, Camera) {
    let clip = Clip::committed(clip).unwrap();
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    (clip, camera)
}

fn at(speed: f64) -> Options {
    Options { speed: Speed::Times(speed), ..Options::default() }
}

/// Frames that the newest session has sent.
fn sent(camera: &Camera) -> u64 {
    camera.sessions().last().map_or(0, |session| session.frames)
}

fn ends_in_order(signal: &str) {
    let (clip, camera) = camera("bframes.h264", at(1.0));
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    wait_for("a second file", || nvr.files().len() >= 2 && sent(&camera) >= 65);
    let sent = sent(&camera);
    let (status, elapsed) = nvr.end_with(signal);
    assert!(status.success(), "{status}");
    assert!(elapsed < END_LIMIT, "took {elapsed:?} to end");
    assert_all_whole(&nvr.recordings());
    let files = nvr.files();
    let stored = u64::try_from(frames_in(&files)).unwrap();
    assert!(stored >= sent, "all that was sent before the signal is kept: {stored} of {sent}");
    assert_exact(&files, &clip, 0, stored);
    let torn_down = camera.wait(Duration::from_secs(10), |sessions| {
        sessions.iter().all(|session| session.state == SessionState::TornDown)
    });
    assert!(torn_down, "{:?}", camera.sessions());
    assert_eq!(nvr.complaints(), [""; 0]);
    // Every message about a camera names it, even the last one.
    wait_for("the last file's line", || nvr.log().matches(" closed\n").count() == files.len());
    assert!(!nvr.log().contains("camera= "), "{}", nvr.log());
}

#[test]
fn sigterm_closes_all_files_in_time() {
    ends_in_order("TERM");
}

#[test]
fn sigint_closes_all_files_in_time() {
    ends_in_order("INT");
}

#[test]
fn sigterm_while_nothing_listens_at_the_camera() {
    ends_without_camera(&Port::closed(), "nothing is listening on that port");
}

#[test]
fn sigterm_in_the_midst_of_a_connect() {
    // The first try timed out, the second is under way or about to be.
    ends_without_camera(&Port::dead(), "does not answer");
}

fn ends_without_camera(port: &Port, said: &str) {
    let mut nvr = Nvr::start(&port.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_log(said);
    let (status, elapsed) = nvr.terminate();
    assert!(status.success(), "{status}");
    assert!(elapsed < END_LIMIT, "took {elapsed:?} to end");
    assert_eq!(nvr.files(), [""; 0].map(PathBuf::from));
}

#[test]
fn killed_in_mid_segment_it_loses_two_seconds_at_most_and_goes_on() {
    let (clip, camera) = camera("bframes.h265", at(1.0));
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    // In the midst of the third file.
    wait_for("some frames", || sent(&camera) >= 130 && nvr.files().len() == 3);
    let sent = sent(&camera);
    nvr.kill();

    let files = nvr.files();
    assert_eq!(files.len(), 3, "{files:?}");
    let states: Vec<_> = states_of(&nvr.recordings());
    let states: Vec<_> = states.iter().map(|(name, state)| (&**name, &**state)).collect();
    assert_eq!(states, [("000.mp4", "whole"), ("001.mp4", "whole"), ("002.mp4", "cut")]);
    let stored = u64::try_from(frames_in(&files)).unwrap();
    assert!(
        sent.saturating_sub(stored) <= 2 * 25,
        "sync_seconds + 1 s: {stored} of {sent} frames are stored"
    );
    assert_ffmpeg_is_silent(&files);

    nvr.restart();
    nvr.wait_for_log("file=002.mp4 repaired: ");
    wait_for("the next file", || nvr.files().len() == 4);
    nvr.wait_for_recording(&files);
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert_all_whole(&nvr.recordings());
    assert_ffmpeg_is_silent(&nvr.files());
    // Mending took nothing away; a durable whole file has its duration in the head.
    assert_exact(&files, &clip, 0, stored);
    assert_eq!(nvr.files()[3].file_name().unwrap(), "003.mp4");
}

#[test]
fn killed_again_and_again_every_file_stays_readable() {
    let (_, camera) = camera("plain.h264", at(10.0));
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    for round in 1..=5 {
        let before = nvr.files();
        nvr.wait_for_recording(&before);
        nvr.kill();
        // The newest before may have been empty, and is gone then.
        assert!(nvr.files().last() > before.last(), "round {round}");
        nvr.restart();
    }
    nvr.wait_for_recording(&nvr.files());
    // Killed between taking a file's room and writing its head: an empty file stays, which might be
    // anybody's.
    let is_empty = |file: &Path| fs::metadata(file).unwrap().len() == 0;
    wait_for("all to be repaired", || {
        states_of(&nvr.recordings())
            .iter()
            .rev()
            .skip(1)
            .all(|(name, state)| state == "whole" || is_empty(&nvr.recordings().join(name)))
    });
    let (status, _) = nvr.terminate();
    assert!(status.success());
    let empty = nvr.files().into_iter().filter(|file| is_empty(file));
    empty.for_each(|file| fs::remove_file(file).unwrap());
    assert_all_whole(&nvr.recordings());
    assert_ffmpeg_is_silent(&nvr.files());
    // A file without a single whole fragment is removed, and its number not used again.
    assert!(nvr.files().len() > 5, "{:?}", nvr.files());
}

#[test]
fn foreign_files_and_gaps_are_left_alone() {
    let (clip, camera) = camera("plain.h264", Options { frames: Some(200), ..at(1.0) });
    let directory = tempfile::tempdir().unwrap();
    let recordings = directory.path().join("recordings");
    fs::create_dir_all(recordings.join("020.mp4")).unwrap(); // a folder of that name
    let foreign: BTreeMap<&str, &str> = [
        ("foo.txt", "notes"),
        ("7.mp4", "too short a name"),
        ("abc.mp4", "no number"),
        ("014.mp4", "no recording, whatever its name"),
        ("0100.mp4", "neither is this"),
        ("103.mp4", "nor this"),
        ("101.mp4.bak", ""),
    ]
    .into();
    for (name, content) in &foreign {
        fs::write(recordings.join(name), content).unwrap();
    }
    let storage = SHORT_SEGMENTS.replace("segment_seconds = 2", "segment_seconds = 4");
    let config = config(directory.path(), &storage, &[("camera", &camera.url("cam"))]);
    let mut nvr = Nvr::start_with(directory, &config, &[]);
    // Another program uses the next number while smolnvr runs, within the first file's 4 s.
    wait_for("the first file", || recordings.join("104.mp4").exists());
    fs::write(recordings.join("105.mp4"), "put there meanwhile").unwrap();
    record_to_the_end(&mut nvr, &camera, 200);

    for (name, content) in foreign.iter().chain([(&"105.mp4", &"put there meanwhile")]) {
        assert_eq!(fs::read_to_string(recordings.join(name)).unwrap(), *content, "{name}");
    }
    let ours = ["104.mp4", "106.mp4"].map(|name| recordings.join(name));
    assert_exact(&ours, &clip, 0, 200);
    let count = fs::read_dir(&recordings).unwrap().count();
    for of_ours in ["000.idx", "000.cnt"] {
        assert!(recordings.join(of_ours).exists(), "{of_ours}");
    }
    assert_eq!(count, foreign.len() + 2 + ours.len() + 2, "nothing else is there");
}

/// On the boards a panic is an illegal instruction, and nothing else would tell where.
#[test]
fn a_crash_is_logged_with_its_address() {
    let (_, camera) = camera("plain.h264", at(1.0));
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    let (status, _) = nvr.end_with("ILL");
    assert_eq!(status.signal(), Some(4));
    nvr.wait_for_log("smolnvr: error: crashed at 0x");
}

#[test]
fn recordings_of_the_old_system_are_listed_and_numbers_go_on() {
    let (clip, camera) = camera("plain.h265", Options { frames: Some(100), ..at(10.0) });
    let directory = tempfile::tempdir().unwrap();
    let recordings = directory.path().join("recordings");
    fs::create_dir_all(&recordings).unwrap();
    let old = ["000.mp4", "001.mp4"].map(|name| recordings.join(name));
    for file in &old {
        write_as_the_old_system(file);
    }
    let before = old.each_ref().map(|file| fs::read(file).unwrap());
    let config = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let mut nvr = Nvr::start_with(directory, &config, &[]);
    record_to_the_end(&mut nvr, &camera, 100);

    assert_eq!(old.each_ref().map(|file| fs::read(file).unwrap()), before, "they stay as they are");
    assert_exact(&nvr.files()[2..], &clip, 0, 100);
    let file = nvr.directory.path().join("smolnvr.toml");
    let (status, output, _) = smolnvr(&["list", "-c", file.to_str().unwrap(), "--json"]);
    assert_eq!(status, Some(0));
    let list: serde_json::Value = serde_json::from_str(&output).unwrap();
    let names = |entry: &serde_json::Value| entry["file"].as_str().unwrap().to_owned();
    let names: Vec<String> = list.as_array().unwrap().iter().map(names).collect();
    assert_eq!(names, ["000.mp4", "001.mp4", "002.mp4", "003.mp4"]);
    assert_all_whole(&nvr.recordings());
}

fn write_as_the_old_system(file: &Path) {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/clips/plain.h264");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-r", "25", "-i"])
        .arg(clip)
        .args(["-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof"])
        .arg(file)
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_wrong_configuration_changes_nothing_and_a_right_one_applies() {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder()
        .stream_with("cam", clip.clone(), at(2.0))
        .stream_with("yard", clip.clone(), at(2.0))
        .start()
        .unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), LONG_SEGMENTS);
    nvr.wait_for_recording(&[]);
    let text =
        |storage: &str, cameras: &[(&str, &str)]| config(nvr.directory.path(), storage, cameras);
    let (cam, yard) = (camera.url("cam"), camera.url("yard"));

    let wrong = LONG_SEGMENTS.replace("60", "1");
    nvr.reconfigure(&text(&wrong, &[("camera", &cam)]));
    nvr.wait_for_log("configuration not reloaded: ");
    let [complaint] = &nvr.complaints()[..] else { panic!("{:?}", nvr.complaints()) };
    for part in ["smolnvr.toml:4:", "segment_seconds", "from 2 to 3600"] {
        assert!(complaint.contains(part), "{part} is not in {complaint}");
    }
    let frames = frames_in(&nvr.files());
    wait_for("more frames", || frames_in(&nvr.files()) > frames + 50);
    assert_eq!(nvr.files().len(), 1, "it goes on where it was");

    // Shorter segments: cut at the next key frame, nothing lost between the files.
    nvr.reconfigure(&text(SHORT_SEGMENTS, &[("camera", &cam)]));
    nvr.wait_for_log("configuration reloaded");
    wait_for("shorter segments", || nvr.files().len() >= 3);
    assert_eq!(camera.sessions().len(), 1, "the connection stays");

    let sent = sent(&camera);
    nvr.reconfigure(&text(SHORT_SEGMENTS, &[("camera", &cam), ("yard", &yard)]));
    let folder = nvr.recordings().join("yard");
    wait_for("the second camera's recording", || {
        folder.is_dir() && frames_in(&crate::support::recordings_in(&folder)) > 0
    });
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert_all_whole(&nvr.recordings());
    assert_all_whole(&folder);
    // The first connection's files were opened before the new cameras were taken up.
    let log = nvr.log();
    let until = log.rfind("configuration reloaded").unwrap();
    let opened = log[..until].lines().filter(|line| line.ends_with("opened")).count();
    let files = &nvr.files()[..opened];
    let stored = u64::try_from(frames_in(files)).unwrap();
    assert!(stored >= sent, "{stored} of {sent}");
    assert_exact(files, &clip, 0, stored);
}

#[test]
fn a_second_daemon_says_so_and_ends() {
    let (_, camera) = camera("plain.h264", at(1.0));
    let nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_log("state=live");
    let path = |name: &str| nvr.directory.path().join(name).to_str().unwrap().to_owned();
    let (config, socket) = (path("smolnvr.toml"), path("smolnvr.sock"));
    let (status, output, complaint) = smolnvr(&["run", "-c", &config, "--socket", &socket]);
    assert_eq!(status, Some(1));
    assert_eq!((&*output, &*complaint), ("", "smolnvr: another smolnvr is already running\n"));
    nvr.wait_for_recording(&[]);
}

#[test]
fn without_record_it_connects_and_records_nothing() {
    let (_, camera) = camera("plain.h264", Options { frames: Some(100), ..at(20.0) });
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let mut nvr = Nvr::start_with(directory, &config, &["--no-record"]);
    nvr.wait_for_log("state=live");
    let finished = |sessions: &[camera::Session]| {
        sessions.iter().any(|session| session.state == SessionState::Finished)
    };
    assert!(camera.wait(Duration::from_secs(10), finished));
    let (status, elapsed) = nvr.terminate();
    assert!(status.success() && elapsed < END_LIMIT);
    assert_eq!(fs::read_dir(nvr.recordings()).unwrap().count(), 0);
}

#[test]
fn two_cameras_at_once_record_exactly_each_in_its_folder() {
    const FRAMES: u64 = 300;
    let clips = ["bframes.h264", "opengop.h265"].map(|name| Clip::committed(name).unwrap());
    let options = Options { frames: Some(FRAMES), ..at(10.0) };
    let camera = Camera::builder()
        .stream_with("cam", clips[0].clone(), options.clone())
        .stream_with("yard", clips[1].clone(), options)
        .start()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (cam, yard) = (camera.url("cam"), camera.url("yard"));
    let cameras = [("camera", &*cam), ("yard", &*yard)];
    let config = config(directory.path(), SHORT_SEGMENTS, &cameras);
    let mut nvr = Nvr::start_with(directory, &config, &[]);
    let finished = |sessions: &[camera::Session]| {
        sessions.iter().filter(|session| session.state == SessionState::Finished).count() == 2
    };
    assert!(camera.wait(Duration::from_secs(30), finished), "{:?}", camera.sessions());
    let folders = [nvr.recordings(), nvr.recordings().join("yard")];
    wait_for("most frames on disk", || {
        folders.iter().all(|folder| frames_in(&crate::support::recordings_in(folder)) >= 270)
    });
    let (status, elapsed) = nvr.terminate();
    assert!(status.success() && elapsed < END_LIMIT, "{status} after {elapsed:?}");
    for (folder, clip) in folders.iter().zip(&clips) {
        let files = crate::support::recordings_in(folder);
        assert_eq!(files.len(), 6, "{files:?}");
        assert_exact(&files, clip, 0, FRAMES);
        assert_ffmpeg_is_silent(&files);
    }
}
