//! Copies sent to stores that fail in every way: in the end each has every closed recording once,
//! and recording lost nothing.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole,
    card::Card,
    config,
    http::ask,
    step_the_clock,
    store::{Behaviour, Kind, Store},
    wait_for, wait_for_within,
};
use camera::{Camera, Clip, Options, Speed};
use serde_json::Value;
use std::{fs, time::Duration};

/// After the last failure: the longest pause the test causes, and what was left to send.
const A_WHILE: Duration = Duration::from_secs(240);

fn start(store: &Store, keys: &str) -> (Nvr, Camera) {
    let options = Options { speed: Speed::Times(4.0), ..Options::default() };
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    step_the_clock(directory.path());
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let text = format!("{text}\n[archive]\nurl = {:?}\n{keys}\n", store.url());
    (Nvr::start_with(directory, &text, &[]), camera)
}

fn archive(nvr: &Nvr) -> Value {
    nvr.status()["archive"].clone()
}

/// Stops recording, and waits until nothing is left to send.
fn assert_has_all_in_the_end(store: &Store, nvr: &Nvr) {
    let address = nvr.web_address();
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    wait_for_within(A_WHILE, "the store to have all", || {
        let it = archive(nvr);
        it["state"] == "idle" && it["backlog"] == 0
    });
    assert_eq!(archive(nvr)["skipped"], 0);
    let files = store.files();
    for path in nvr.files() {
        let (bytes, name) = (fs::read(&path).unwrap(), path.file_name().unwrap().to_owned());
        let same = files.values().filter(|it| **it == bytes).count();
        assert_eq!(same, 1, "{name:?} among {:?}", files.keys());
    }
    assert_eq!(files.len(), nvr.files().len(), "{:?}", files.keys());
    assert_eq!(nvr.status()["cameras"][0]["losses"]["card"], 0);
}

fn sent(nvr: &Nvr) -> u64 {
    archive(nvr)["sent"].as_u64().unwrap_or(0)
}

fn failures(nvr: &Nvr) -> u64 {
    archive(nvr)["failures"].as_u64().unwrap_or(0)
}

fn fails_and_comes_back(kind: Kind, behaviours: &[Behaviour]) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::start(kind, directory.path());
    let (mut nvr, _camera) = start(&store, "kb_per_second = 100000");
    wait_for("the first copies", || sent(&nvr) >= 2);
    for &behaviour in behaviours {
        store.behave(behaviour);
        let before = failures(&nvr);
        wait_for("failures", || failures(&nvr) >= before + 2);
        wait_for("a pause", || archive(&nvr)["state"] == "waiting");
        store.behave(Behaviour::Passes);
        let before = sent(&nvr);
        wait_for("the next copy", || sent(&nvr) > before);
    }
    store.stop();
    wait_for("the store to be missed", || archive(&nvr)["state"] == "waiting");
    let said = nvr.log().matches("archive=waiting").count();
    assert!(said <= 2 * behaviours.len() + 1, "each is said once: {:#?}", nvr.complaints());
    nvr.kill();
    store.go_on();
    nvr.restart();
    wait_for("a copy after the restart", || sent(&nvr) > 0);
    assert_has_all_in_the_end(&store, &nvr);
    assert!(nvr.terminate().0.success());
}

#[test]
fn an_s3_store_that_fails_and_a_daemon_that_is_killed_leave_every_recording_there_once() {
    fails_and_comes_back(Kind::S3, &[Behaviour::Answers(503), Behaviour::BreaksOff]);
}

#[test]
fn a_webdav_store_that_fails_and_a_daemon_that_is_killed_leave_every_recording_there_once() {
    let behaviours = [403, 500, 507].map(Behaviour::Answers);
    fails_and_comes_back(
        Kind::WsgiDav { digest: true },
        &[&behaviours[..], &[Behaviour::BreaksOff]].concat(),
    );
}

#[test]
fn copies_outlast_ten_power_cuts() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::Nginx, directory.path());
    let (mut nvr, _camera) = start(&store, "");
    store.behave(Behaviour::Slow);
    for _ in 0..10 {
        let before = store.asked("PUT");
        wait_for("a copy under way", || store.asked("PUT") > before);
        nvr.kill();
        nvr.restart();
    }
    store.behave(Behaviour::Passes);
    wait_for("a copy", || sent(&nvr) > 0);
    assert_has_all_in_the_end(&store, &nvr);
    assert!(nvr.terminate().0.success());
    assert_all_whole(&nvr.recordings());
}

#[test]
fn a_store_without_room_gets_every_recording_once_there_is_some() {
    let card = Card::new(8);
    card.mount("rw");
    let store = Store::start(Kind::Rclone, &card.path());
    let (mut nvr, _camera) = start(&store, "kb_per_second = 100000");
    wait_for("the first copy", || sent(&nvr) >= 1);
    let ballast = card.path().join("ballast");
    let _ = std::io::copy(&mut std::io::repeat(0), &mut fs::File::create(&ballast).unwrap());
    wait_for("failures", || failures(&nvr) >= 2);
    fs::remove_file(ballast).unwrap();
    assert_has_all_in_the_end(&store, &nvr);
    assert!(nvr.terminate().0.success());
    drop(store);
    card.unmount();
}

#[test]
fn a_slow_store_delays_nothing_and_basic_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::WsgiDav { digest: false }, directory.path());
    store.behave(Behaviour::Slow);
    let (mut nvr, _camera) = start(&store, "");
    wait_for("some copies", || sent(&nvr) >= 3);
    assert_has_all_in_the_end(&store, &nvr);
    // The camera's folder and the day's, and another's if midnight came.
    assert!(store.asked("MKCOL") <= 3);
    assert_eq!(store.asked("PUT"), nvr.files().len());
    assert!(nvr.terminate().0.success());
    assert_all_whole(&nvr.recordings());
}

#[test]
fn wrong_keys_are_said_and_no_password_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::S3, directory.path());
    let (nvr, _camera) = start(&store, "");
    let address = nvr.web_address();
    nvr.set_config(|text| text.replace("S3RVER:S3RVER", "OTHER:hunter2"));
    nvr.signal("HUP");
    nvr.wait_for_log("check user and password in archive.url, and the clock");
    for target in ["/api/status", "/api/config", "/metrics"] {
        let text = ask(&address, "GET", target, &[], "").body;
        assert!(!String::from_utf8_lossy(&text).contains("hunter2"), "{target}");
    }
    assert!(!nvr.log().contains("hunter2"));
    assert!(nvr.status()["archive"]["backlog"].is_number());
}

/// Only the status of an answer was understood: that the store had moved, which region it wanted,
/// and how wrong the clock was went unsaid.
#[test]
fn what_a_store_says_of_its_place_and_its_time_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::S3, directory.path());
    for (says, shown) in [
        (
            "307 Temporary Redirect\r\nLocation: http://nvr.s3.example/x",
            "(Location: http://nvr.s3.example/x)",
        ),
        (
            "301 Moved Permanently\r\nx-amz-bucket-region: eu-west-1",
            "(x-amz-bucket-region: eu-west-1)",
        ),
        (
            "403 Forbidden\r\nDate: Mon, 30 Nov 2026 08:15:00 GMT",
            "(Date: Mon, 30 Nov 2026 08:15:00 GMT)",
        ),
    ] {
        store.behave(Behaviour::Says(says));
        let (nvr, _camera) = start(&store, "");
        wait_for(shown, || archive(&nvr)["reason"].as_str().is_some_and(|it| it.ends_with(shown)));
    }
}

/// A server that shows its page whatever it is asked for counted as a store that has everything.
#[test]
fn a_server_that_answers_everything_with_a_page_has_no_recordings() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::S3, directory.path());
    store.behave(Behaviour::Says("200 OK\r\nContent-Type: text/html; charset=utf-8"));
    let (nvr, _camera) = start(&store, "");
    wait_for("a failure", || failures(&nvr) >= 1);
    assert_eq!(sent(&nvr), 0);
}

/// An interim answer that came while a recording was sent was taken for a refusal.
#[test]
fn a_store_that_says_early_that_it_is_at_work_gets_every_recording() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::Rclone, directory.path());
    store.behave(Behaviour::IsEarly);
    let (nvr, _camera) = start(&store, "");
    wait_for("some copies", || sent(&nvr) >= 2);
    assert_eq!(failures(&nvr), 0);
    assert_has_all_in_the_end(&store, &nvr);
}

/// A proxy before Nextcloud gives up after a minute, while Nextcloud is still at work. When it
/// finished, it deleted the recording that had been sent again meanwhile.
#[test]
fn a_move_that_a_proxy_did_not_wait_for_leaves_every_recording_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::Rclone, directory.path());
    store.behave(Behaviour::MovesLate);
    let (nvr, _camera) = start(&store, "");
    wait_for_within(A_WHILE, "a second recording to be moved", || store.asked("MOVE") >= 2);
    assert!(failures(&nvr) >= 2, "the proxy's answer, and the lock's");
    store.behave(Behaviour::Passes);
    assert_has_all_in_the_end(&store, &nvr);
    assert_eq!(sent(&nvr), nvr.files().len() as u64, "each was sent, whenever that was known");
}

/// Keys with only `s3:PutObject` and `s3:GetObject` get 403 for what is missing, and so nothing was
/// ever sent.
#[test]
fn keys_that_may_not_list_the_bucket_are_enough() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::S3, directory.path());
    store.behave(Behaviour::HidesWhatIsMissing);
    let (mut nvr, _camera) = start(&store, "");
    wait_for("some copies", || sent(&nvr) >= 2);
    nvr.kill();
    nvr.restart();
    wait_for("a copy after the restart", || sent(&nvr) > 0);
    assert_eq!(failures(&nvr), 0);
    assert_has_all_in_the_end(&store, &nvr);
}

/// A bucket that locks objects against deletion kept a copy of each attempt.
#[test]
fn keys_that_may_not_read_what_they_put_are_told_so_after_one_copy() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::S3, directory.path());
    store.behave(Behaviour::HidesAll);
    let (nvr, _camera) = start(&store, "");
    wait_for("failures", || failures(&nvr) >= 3);
    assert_eq!(store.asked("PUT"), 1);
    nvr.wait_for_log("it has to let these keys read, too");
    store.behave(Behaviour::Passes);
    assert_has_all_in_the_end(&store, &nvr);
}

#[test]
fn a_store_that_asks_to_be_left_alone_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::start(Kind::S3, directory.path());
    store.behave(Behaviour::Says("503 Service Unavailable\r\nRetry-After: 3600"));
    let (nvr, _camera) = start(&store, "");
    wait_for("the refusal", || failures(&nvr) >= 1);
    let reason = archive(&nvr)["reason"].clone();
    assert!(reason.as_str().unwrap().ends_with("(Retry-After: 3600)"), "{reason}");
    // Several times its own first pause.
    let before = nvr.files().len();
    wait_for("more recordings", || nvr.files().len() >= before + 12);
    assert_eq!((failures(&nvr), store.asked("HEAD")), (1, 1));
}
