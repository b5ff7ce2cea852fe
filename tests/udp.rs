//! Over UDP: exact where nothing is lost, exactly counted where something is; and from one
//! transport to the other where a camera wants it.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_exact, assert_ffmpeg_is_silent, bench_clip, config,
    record_to_the_end,
    stream::{assert_holds, counted, decodable},
    wait_for,
};
use camera::{Camera, Clip, Faults, Options, SessionState, Speed, TransportKind, Transports};
use std::time::Duration;

/// Starts a recorder that asks for UDP.
fn over_udp(url: &str, storage: &str) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), storage, &[("camera", url)]);
    let text = text.replace("buffer_kb", "transport = \"udp\"\nbuffer_kb");
    Nvr::start_with(directory, &text, &[])
}

fn camera(clip: &Clip, options: Options) -> Camera {
    Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap()
}

fn fast(frames: u64) -> Options {
    Options { speed: Speed::Times(10.0), frames: Some(frames), ..Options::default() }
}

fn records_exactly(name: &str, faults: Faults) {
    const FRAMES: u64 = 400;
    let clip = Clip::committed(name).unwrap();
    let camera = camera(&clip, Options { faults, ..fast(FRAMES) });
    let mut nvr = over_udp(&camera.url("cam"), SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, FRAMES);
    assert_eq!(camera.sessions()[0].transport, TransportKind::Udp);
    let files = nvr.files();
    assert_exact(&files, &clip, 0, FRAMES);
    assert_ffmpeg_is_silent(&files);
    assert_eq!(counted(&nvr.log(), "lost"), 0);
}

#[test]
fn h264_with_b_frames() {
    records_exactly("bframes.h264", Faults::default());
}

#[test]
fn h264_with_several_slices_a_frame() {
    records_exactly("slices.h264", Faults::default());
}

#[test]
fn h265_with_open_picture_groups() {
    records_exactly("opengop.h265", Faults::default());
}

#[test]
fn datagrams_that_overtake_each_other_and_come_twice() {
    let faults = Faults { reorder_per_mille: 100, double_per_mille: 100, ..Faults::default() };
    records_exactly("slices.h264", faults);
}

/// Five minutes in ten times real time; at full length, with large frames, in real time, with
/// `SMOLNVR_SOAK=1` (`make soak`).
#[test]
fn of_five_minutes_with_one_per_cent_of_the_packets_lost_every_whole_frame_is_exact_or_counted() {
    const FRAMES: u64 = 5 * 60 * 25;
    let soak = std::env::var_os("SMOLNVR_SOAK").is_some();
    let (clip, speed) =
        if soak { (bench_clip(), 1.0) } else { (Clip::committed("slices.h264").unwrap(), 10.0) };
    let faults = Faults { lose_per_mille: 10, ..Faults::default() };
    let speed = Speed::Times(speed);
    let camera = camera(&clip, Options { speed, faults, ..fast(FRAMES) });
    let mut nvr = over_udp(&camera.url("cam"), "keep_free_percent = 0");
    let finished = camera.wait(Duration::from_secs(400), |sessions| {
        sessions.iter().any(|session| session.state == SessionState::Finished)
    });
    assert!(finished, "{}", nvr.log());
    let session = camera.sessions()[0].clone();
    let expected = decodable(&clip, &session);
    wait_for("most frames on disk", || {
        crate::support::frames_in(&nvr.files()) + 60 >= expected.len()
    });
    let (status, _) = nvr.terminate();
    assert!(status.success(), "{status}");
    let (files, log) = (nvr.files(), nvr.log());
    assert_holds(&files, &clip, &expected);
    assert_ffmpeg_is_silent(&files);
    let lost = counted(&log, "lost");
    assert_eq!(lost, session.lost, "{log}");
    assert_eq!(counted(&log, "packets"), session.packets, "{log}");
    let whole = session.frames - session.broken.len() as u64;
    assert_eq!(counted(&log, "frames_undecodable"), whole - expected.len() as u64, "{log}");
    assert_eq!(camera.sessions().len(), 1, "one session for all of it");
    println!(
        "1 % lost over UDP, 5 min: {} packets sent, {} lost, {lost} counted; of {FRAMES} frames {} \
         broken, {} stored, {} undecodable",
        session.packets,
        session.lost,
        session.broken.len(),
        expected.len(),
        whole - expected.len() as u64
    );
}

#[test]
fn receiver_reports_tell_what_was_lost() {
    const FRAMES: u64 = 250;
    for udp in [true, false] {
        let faults = Faults { lose_every: Some(20), ..Faults::default() };
        let camera =
            camera(&Clip::committed("slices.h264").unwrap(), Options { faults, ..fast(FRAMES) });
        let url = camera.url("cam");
        let nvr =
            if udp { over_udp(&url, SHORT_SEGMENTS) } else { Nvr::start(&url, SHORT_SEGMENTS) };
        wait_for("a report behind the last frame", || {
            let sessions = camera.sessions();
            let Some(session) = sessions.first() else { return false };
            session.reception.is_some_and(|it| u64::from(it.lost) == session.lost)
                && session.state == SessionState::Finished
        });
        let session = camera.sessions()[0].clone();
        let reception = session.reception.unwrap();
        let sent = session.packets + session.lost;
        let last = u64::from(session.first_sequence) + sent - 1;
        // The very last packet may be one that is lost.
        assert!(last - u64::from(reception.highest_sequence_number) <= 1, "{reception:?} {sent}");
        assert!((10..16).contains(&reception.fraction_lost), "a twentieth of 256: {reception:?}");
        assert!(reception.last_sender_report != 0, "{reception:?}");
        assert!(reception.since_sender_report < 10 << 16, "{reception:?}");
        drop(nvr);
    }
}

fn falls_back(options: Options, configured_udp: bool, reason: &str) {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = camera(&clip, options);
    let url = camera.url("cam");
    let nvr = if configured_udp {
        over_udp(&url, SHORT_SEGMENTS)
    } else {
        Nvr::start(&url, SHORT_SEGMENTS)
    };
    nvr.wait_for_recording(&[]);
    let other = if configured_udp { TransportKind::Tcp } else { TransportKind::Udp };
    assert_eq!(camera.sessions().last().unwrap().transport, other);
    let said = format!("trying={} reason=\"{reason}\"", if configured_udp { "tcp" } else { "udp" });
    assert!(nvr.log().contains(&said), "{said}\n{}", nvr.log());
    assert_eq!(nvr.complaints(), Vec::<String>::new());
}

#[test]
fn a_camera_that_refuses_tcp_is_recorded_over_udp() {
    let options = Options { transports: Transports::Udp, ..Options::default() };
    falls_back(options, false, "461 Unsupported Transport: the camera does not stream over TCP");
}

#[test]
fn a_camera_that_refuses_udp_is_recorded_over_tcp() {
    let options = Options { transports: Transports::Tcp, ..Options::default() };
    falls_back(options, true, "461 Unsupported Transport: the camera does not stream over UDP");
}

#[test]
fn a_camera_that_sends_nothing_over_tcp_is_recorded_over_udp() {
    let options = Options { silent_over: Some(TransportKind::Tcp), ..Options::default() };
    falls_back(options, false, "the camera plays, but no packet arrived over TCP for 3 s");
}

#[test]
fn a_camera_that_sends_nothing_over_udp_is_recorded_over_tcp() {
    let options = Options { silent_over: Some(TransportKind::Udp), ..Options::default() };
    falls_back(options, true, "the camera plays, but no packet arrived over UDP for 3 s");
}

#[test]
fn probing_a_camera_that_streams_over_udp_only() {
    let options = Options { transports: Transports::Udp, ..Options::default() };
    let camera = camera(&Clip::committed("plain.h264").unwrap(), options);
    let (status, said, complaints) = crate::support::smolnvr(&["probe", &camera.url("cam")]);
    assert_eq!((status, complaints.as_str()), (Some(0), ""));
    assert!(said.contains("H264"), "{said}");
}
