//! Cameras that break the RFCs: each quirk by itself, over TCP and over UDP, recorded exactly and
//! in one session; and what a camera may do to a session that goes on.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_exact, assert_ffmpeg_is_silent, config, frames_in, let_pass, mp4,
    record_to_the_end, recordings_in, wait_for,
};
use camera::{Auth, Camera, Clip, Faults, Options, Quirk, Quirks, Scheme, Speed, Switch, Timeout};
use std::{path::Path, time::Duration};

const FRAMES: usize = 300;
/// A ring of 2 MB holds them all: none is overtaken, however long the card takes.
const SENT: u64 = 1600;
/// As many cameras as one recorder takes.
const AT_ONCE: usize = 14;

/// Records a camera for each quirk, all at once.
fn quirks_over(transport: &str) {
    let clip = Clip::committed("slices.h264").unwrap();
    for quirks in Quirk::ALL.chunks(AT_ONCE) {
        let mut builder = Camera::builder().auth(Auth::new(Scheme::Digest, "admin", "secret"));
        for &(name, quirk) in quirks {
            let options = Options {
                // Longer than a keepalive's interval.
                speed: Speed::Times(4.0),
                session_timeout_seconds: 1,
                frames: Some(SENT),
                quirks: Quirks(vec![quirk]),
                ..Options::default()
            };
            builder = builder.stream_with(name, clip.clone(), options);
        }
        let camera = builder.start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let with_password =
            |name: &str| camera.url(name).replace("rtsp://", "rtsp://admin:secret@");
        let cameras: Vec<(String, String)> =
            quirks.iter().map(|(name, _)| ((*name).to_owned(), with_password(name))).collect();
        let cameras: Vec<(&str, &str)> =
            cameras.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
        let text = config(directory.path(), SHORT_SEGMENTS, &cameras);
        let text = text.replace("buffer_kb = 8192", "buffer_kb = 2048");
        let text = text.replace("buffer_kb", &format!("transport = {transport:?}\nbuffer_kb"));
        let mut nvr = Nvr::start_with(directory, &text, &[]);
        let further = quirks.iter().skip(1).map(|(name, _)| nvr.recordings().join(name));
        let folders: Vec<_> = std::iter::once(nvr.recordings()).chain(further).collect();
        for folder in &folders {
            wait_for(&format!("frames in {}", folder.display()), || {
                folder.is_dir() && frames_in(&recordings_in(folder)) >= FRAMES
            });
        }
        let (status, _) = nvr.terminate();
        assert!(status.success(), "{status}");
        for folder in &folders {
            let files = recordings_in(folder);
            println!("{}", folder.display());
            assert_exact(&files, &clip, 0, frames_in(&files) as u64);
        }
        assert_eq!(camera.sessions().len(), quirks.len(), "one session each");
        assert_ffmpeg_is_silent(&recordings_in(&folders[0]));
        assert_eq!(nvr.complaints(), Vec::<String>::new());
    }
}

#[test]
fn every_quirk_over_tcp() {
    quirks_over("tcp");
}

#[test]
fn every_quirk_over_udp() {
    quirks_over("udp");
}

fn recorded(clip: &str, options: Options) -> (Camera, Nvr) {
    let clip = Clip::committed(clip).unwrap();
    let options = Options { frames: Some(FRAMES as u64), ..options };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, FRAMES as u64);
    (camera, nvr)
}

#[test]
fn a_session_timeout_enforced_to_the_second_never_strikes() {
    let options = Options {
        speed: Speed::Times(3.0), // 4 s
        session_timeout_seconds: 1,
        timeout: Timeout::Enforced,
        ..Options::default()
    };
    let (camera, nvr) = recorded("plain.h264", options);
    let sessions = camera.sessions();
    assert!(sessions.len() == 1 && sessions[0].keepalives >= 4, "{sessions:?}");
    assert_exact(&nvr.files(), &Clip::committed("plain.h264").unwrap(), 0, FRAMES as u64);
}

#[test]
fn a_server_that_closes_behind_its_challenge_is_asked_again_with_the_answer() {
    for scheme in [Scheme::Basic, Scheme::Digest] {
        let quirks = Quirks(vec![Quirk::CloseBehindChallenge]);
        let options = Options { quirks, speed: Speed::Times(10.0), ..Options::default() };
        let nvr = recorded_with_a_password(scheme, options);
        assert_eq!(nvr.complaints(), Vec::<String>::new());
    }
}

/// Records a camera that asks for a password exactly, and in one session.
fn recorded_with_a_password(scheme: Scheme, options: Options) -> Nvr {
    let clip = Clip::built_in();
    let options = Options { frames: Some(FRAMES as u64), ..options };
    let camera = Camera::builder()
        .auth(Auth::new(scheme, "admin", "secret"))
        .stream_with("cam", clip.clone(), options)
        .start()
        .unwrap();
    let url = camera.url("cam").replace("rtsp://", "rtsp://admin:secret@");
    let mut nvr = Nvr::start(&url, SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, FRAMES as u64);
    assert_eq!(camera.sessions().len(), 1, "{}", nvr.log());
    assert_exact(&nvr.files(), &clip, 0, FRAMES as u64);
    nvr
}

#[test]
fn a_new_challenge_in_mid_session_is_answered() {
    let options = Options {
        speed: Speed::Times(3.0),
        session_timeout_seconds: 1,
        timeout: Timeout::Enforced,
        renew_nonce_every: Some(3),
        ..Options::default()
    };
    for scheme in [Scheme::Digest, Scheme::DigestSha256] {
        recorded_with_a_password(scheme, options.clone());
    }
}

#[test]
fn garbage_and_absurd_lengths_between_the_packets_do_no_harm() {
    let faults = Faults { garbage_every: Some(7), absurd_every: Some(11), ..Faults::default() };
    let options = Options { speed: Speed::Times(10.0), faults, ..Options::default() };
    let (_, nvr) = recorded("slices.h264", options);
    assert_exact(&nvr.files(), &Clip::committed("slices.h264").unwrap(), 0, FRAMES as u64);
}

#[test]
fn new_parameter_sets_in_mid_stream_begin_a_segment() {
    let (first, second) =
        (Clip::committed("plain.h264").unwrap(), Clip::committed("slices.h264").unwrap());
    let after = first.access_units().len() as u64;
    let switch = Some(Switch { after, clip: second.clone() });
    let options = Options { speed: Speed::Times(10.0), switch, ..Options::default() };
    let (camera, nvr) = recorded("plain.h264", options);
    assert_eq!(camera.sessions().len(), 1);
    let files = nvr.files();
    assert_ffmpeg_is_silent(&files);
    let of_first = files.iter().scan(0, |frames, file| {
        *frames += mp4::read(file).unwrap().samples.len() as u64;
        Some(*frames)
    });
    let of_first = of_first.take_while(|frames| *frames <= after).count();
    assert_exact(&files[..of_first], &first, 0, after);
    assert_exact(&files[of_first..], &second, 0, FRAMES as u64 - after);
}

#[test]
fn a_source_that_begins_anew_in_mid_session_costs_nothing_but_what_it_says() {
    let faults = Faults { restart_after: Some(100), ..Faults::default() };
    let options = Options { speed: Speed::Times(10.0), faults, ..Options::default() };
    let (camera, nvr) = recorded("plain.h264", options);
    assert_eq!(camera.sessions().len(), 1);
    assert_ffmpeg_is_silent(&nvr.files());
    // Frame 100 is a key frame: nothing is between it and the one before.
    assert!(Clip::committed("plain.h264").unwrap().frame(100).unit.key);
    assert_exact(&nvr.files(), &Clip::committed("plain.h264").unwrap(), 0, FRAMES as u64);
}

#[test]
fn a_slow_link_loses_nothing() {
    let faults = Faults { link_kbit: Some(1500), ..Faults::default() };
    let options = Options { speed: Speed::Times(10.0), faults, ..Options::default() };
    let (_, nvr) = recorded("plain.h264", options);
    assert_exact(&nvr.files(), &Clip::committed("plain.h264").unwrap(), 0, FRAMES as u64);
}

/// A camera that redirects its clients.
fn redirecting(to: &str) -> Camera {
    let options = Options { redirect: Some(to.to_owned()), ..Options::default() };
    let builder = Camera::builder().auth(Auth::new(Scheme::Digest, "admin", "secret"));
    builder.stream_with("cam", Clip::built_in(), options).start().unwrap()
}

#[test]
fn a_redirect_is_followed_and_another_host_gets_no_password() {
    let auth = Auth::new(Scheme::Basic, "admin", "secret");
    let there = Camera::builder().auth(auth).stream("cam", Clip::built_in()).start().unwrap();
    let here = redirecting(&there.url("cam"));
    let url = here.url("cam").replace("rtsp://", "rtsp://admin:secret@");
    let nvr = Nvr::start(&url, SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    assert_eq!((here.sessions().len(), there.sessions().len()), (0, 1));
    assert_eq!(nvr.complaints(), Vec::<String>::new());

    // The same machine by another name is another host.
    let here = redirecting(&there.url("cam").replace("127.0.0.1", "localhost"));
    let url = here.url("cam").replace("rtsp://", "rtsp://admin:secret@");
    let nvr = Nvr::start(&url, SHORT_SEGMENTS);
    nvr.wait_for_log(
        "401 Unauthorized: the camera requires a user and password, but the URL has none",
    );
    let_pass(Duration::from_millis(100));
    assert!(!nvr.log().contains("secret"), "{}", nvr.log());
    assert_eq!(there.sessions().len(), 1);
}

#[test]
fn the_control_socket_changes_a_running_camera() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("camera.sock");
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let control = camera::Control::bind(&socket).unwrap();
    std::thread::spawn({
        let socket: Box<Path> = socket.clone().into();
        move || {
            let client = std::os::unix::net::UnixStream::connect(socket).unwrap();
            let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
            for (line, answer) in [
                ("cam stall-after 5", "ok"),
                ("cam stall-after soon", "stall-after: \"soon\" is no number"),
                ("cam off", "ok"),
            ] {
                writeln!(&client, "{line}").unwrap();
                assert_eq!(lines.next().unwrap().unwrap(), answer);
            }
        }
    });
    control.serve_one(&camera).unwrap();
    assert_eq!(camera.faults("cam"), Some(Faults::default()));
}
