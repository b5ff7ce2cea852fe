//! The configuration, shown and changed over HTTP while the daemon runs.

use crate::support::{
    Nvr, SHORT_SEGMENTS, config,
    http::{Answer, Client, HOST, ORIGIN, ask},
    port::Port,
    wait_for,
};
use camera::{Auth, Camera, Clip, Options, Scheme, Speed};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

/// A daemon with its own comments in its file, and where it is.
fn nvr(cameras: &[(&str, &str)], storage: &str) -> (Nvr, String) {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), storage, cameras);
    let nvr = Nvr::start_with(directory, &format!("# Mine.\n{text}\n# The end.\n"), &[]);
    let address = nvr.web_address();
    (nvr, address)
}

fn file(nvr: &Nvr) -> PathBuf {
    nvr.directory.path().join("smolnvr.toml")
}

fn text(nvr: &Nvr) -> String {
    fs::read_to_string(file(nvr)).unwrap()
}

fn shown(address: &str) -> Value {
    let answer = ask(address, "GET", "/api/config", &[], "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn change(address: &str, change: &Value) -> Answer {
    ask(address, "PUT", "/api/config", &[ORIGIN], &change.to_string())
}

fn change_to(address: &str, wanted: &Value) -> Value {
    let answer = change(address, wanted);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn a_change_takes_effect_on_a_camera_that_goes_on() {
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { speed: Speed::Times(4.0), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let (mut nvr, address) = nvr(
        &[("camera", &camera.url("cam"))],
        "segment_seconds = 3600 # long\nkeep_free_percent = 0",
    );
    nvr.wait_for_recording(&[]);
    let before = text(&nvr);
    let answer = change_to(&address, &json!({"storage": {"segment_seconds": 2}}));
    assert_eq!(answer, shown(&address));
    assert_eq!(answer["storage"]["segment_seconds"], 2);
    assert_eq!(text(&nvr), before.replace("3600 # long", "2 # long"));
    assert_eq!(file(&nvr).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    wait_for("short recordings", || nvr.files().len() > 2);
    assert_eq!(camera.sessions().len(), 1);
    assert!(nvr.terminate().0.success());
    crate::support::assert_all_whole(&nvr.recordings());
}

#[test]
fn the_first_camera_comes_from_the_page() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let (nvr, address) = nvr(&[], SHORT_SEGMENTS);
    let before = text(&nvr);
    let mut wanted = shown(&address);
    assert_eq!(wanted["camera"], json!([]));
    wanted["camera"] = json!([{"name": "yard", "folder": ".", "url": camera.url("cam"), "record": true, "transport": "tcp"}]);
    let answer = change_to(&address, &wanted);
    assert_eq!(answer["camera"][0]["buffer_kb"], 2048, "every key is there");
    nvr.wait_for_recording(&[]);
    let section =
        format!("\n[[camera]]\nname = \"yard\"\nurl = {:?}\nfolder = \".\"\n", camera.url("cam"));
    assert_eq!(text(&nvr), before + &section);
}

#[test]
fn a_password_is_never_given_out_and_always_kept() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let with_password =
        |url: String| url.replace("rtsp://", "rtsp://admin:hunter2@") + "?token=hunter2";
    let url = with_password(camera.url("cam"));
    let (nvr, address) = nvr(&[("camera", &url)], SHORT_SEGMENTS);
    let answer = ask(&address, "GET", "/api/config", &[], "");
    assert!(!answer.text().contains("hunter2"), "{answer:?}");
    let mut wanted = answer.json();
    let shown_url = url.replace("hunter2", "***");
    assert_eq!(wanted["camera"][0]["url"], shown_url);

    wanted["camera"][0]["name"] = "yard".into();
    wanted["camera"][0]["live_url"] = shown_url.replace("/cam", "/small").into();
    let answer = change(&address, &wanted);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.text().contains("hunter2"), "{answer:?}");
    let live_url = url.replace("/cam", "/small");
    let section =
        format!("name = \"yard\"\nurl = {url:?}\nbuffer_kb = 8192\nlive_url = {live_url:?}\n");
    assert!(text(&nvr).contains(&section), "{}", text(&nvr));

    for (body, words) in [
        (
            json!({"camera": [{"name": "yard", "url": "rtsp://a:***@b/"}]}),
            "camera.url: *** stands for the password of 127.0.0.1: enter it",
        ),
        (
            json!({"camera": [{"name": "yard", "url": url, "live_url": "rtsp://a:***@b/"}]}),
            "camera.live_url: *** stands",
        ),
        (
            json!({"camera": [{"name": "yard", "url": url, "snapshot": "http://a:***@b/"}]}),
            "camera.snapshot: *** stands",
        ),
        (
            json!({"camera": [{"name": "new", "url": "rtsp://a:***@b/"}]}),
            "no password is stored to replace ***: enter the password",
        ),
    ] {
        let answer = change(&address, &body);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.text().contains(words) && !answer.text().contains("hunter2"), "{answer:?}");
    }
    assert!(!nvr.log().contains("hunter2"));
}

#[test]
fn a_probe_uses_the_stored_password() {
    let auth = Auth::new(Scheme::Digest, "admin", "hunter2");
    let camera = Camera::builder().auth(auth).stream("cam", Clip::built_in()).start().unwrap();
    let with =
        |password: &str| camera.url("cam").replace("rtsp://", &format!("rtsp://admin:{password}@"));
    let (_nvr, address) = nvr(&[("camera", &with("hunter2"))], SHORT_SEGMENTS);
    let look =
        |question: Value| ask(&address, "POST", "/api/probe", &[ORIGIN], &question.to_string());
    let known = look(json!({"url": with("***"), "camera": "camera"}));
    assert_eq!(known.status, 200, "{known:?}");
    assert_eq!(known.json()["video"]["codec"], "h264");
    let unknown = look(json!({"url": with("***"), "camera": "other"}));
    assert_eq!(unknown.status, 400, "{unknown:?}");
    assert!(unknown.text().contains("no password is stored"), "{unknown:?}");
    let elsewhere = with("***").replace("127.0.0.1", "127.0.0.9");
    let elsewhere = look(json!({"url": elsewhere, "camera": "camera"}));
    assert_eq!(elsewhere.status, 400, "{elsewhere:?}");
    assert!(elsewhere.text().contains("the password of 127.0.0.1: enter it"), "{elsewhere:?}");
}

#[test]
fn a_wrong_value_is_refused_with_its_key_and_changes_nothing() {
    let port = Port::closed();
    let (nvr, address) = nvr(&[("camera", &port.url("cam"))], SHORT_SEGMENTS);
    let (before, config) = (text(&nvr), shown(&address));
    for (body, words) in [
        (
            r#"{"storage": {"segment_seconds": 1, "keep_days": 3}}"#,
            "storage.segment_seconds: expected a whole number from 2 to 3600",
        ),
        (
            r#"{"storage": {"segment_minutes": 1}}"#,
            "storage.segment_minutes: unknown key, expected",
        ),
        (r#"{"camera": [{"name": "Yard", "url": "rtsp://a"}]}"#, "camera.name: expected 1 to 32"),
        (r#"{"web": {"listen": null}}"#, "web.listen: expected"),
        ("", "as JSON"),
        ("{", "as JSON"),
        ("[]", "expected an object"),
    ] {
        let answer = ask(&address, "PUT", "/api/config", &[ORIGIN], body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains(words), "{body}: {answer:?}");
    }
    assert_eq!((text(&nvr), shown(&address)), (before, config));
    let answer = ask(&address, "DELETE", "/api/config", &[ORIGIN], "");
    assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET, HEAD, PUT")));
}

#[test]
fn a_program_can_be_set_over_the_control_socket_but_not_over_the_network() {
    let (nvr, address) = nvr(&[], SHORT_SEGMENTS);
    let before = text(&nvr);
    let wish = json!({"ffmpeg": {"path": "/mnt/evil.sh"}});
    let refused = change(&address, &wish);
    assert_eq!(refused.status, 403, "{refused:?}");
    let words = "ffmpeg.path: can only be changed in the file or over the control socket";
    assert_eq!(refused.json()["error"], words);
    assert_eq!(text(&nvr), before);
    let socket = nvr.directory.path().join("smolnvr.sock");
    let made = Client::local(&socket).ask("PUT", "/api/config", &[], &wish.to_string());
    assert_eq!((made.status, &made.json()["ffmpeg"]), (200, &wish["ffmpeg"]));
}

#[test]
fn changes_made_by_hand_are_not_overwritten() {
    let (nvr, address) = nvr(&[], SHORT_SEGMENTS);
    let by_hand = text(&nvr).replace("segment_seconds = 2", "segment_seconds = 7");
    fs::write(file(&nvr), &by_hand).unwrap();
    let wish = json!({"storage": {"keep_days": 3}});
    let answer = change(&address, &wish);
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.text().contains("has changed since it was read"), "{answer:?}");
    assert_eq!(text(&nvr), by_hand);

    nvr.signal("HUP");
    nvr.wait_for_log("configuration reloaded");
    let answer = change_to(&address, &wish);
    assert_eq!(
        (&answer["storage"]["segment_seconds"], &answer["storage"]["keep_days"]),
        (&json!(7), &json!(3))
    );
}

#[test]
fn if_the_file_cannot_be_written_nothing_changes_and_the_reason_is_given() {
    let (nvr, address) = nvr(&[], SHORT_SEGMENTS);
    let (before, config) = (text(&nvr), shown(&address));
    // A setting that is not empty cannot be overwritten by any client.
    fs::create_dir_all(nvr.directory.path().join("smolnvr.toml.new/in the way")).unwrap();
    let answer = change(&address, &json!({"storage": {"keep_days": 3}}));
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.text().contains("smolnvr.toml: "), "{answer:?}");
    assert_eq!((text(&nvr), shown(&address)), (before, config));
}

#[test]
fn simultaneous_changes_are_each_made_completely_or_refused() {
    let (nvr, address) = nvr(&[], SHORT_SEGMENTS);
    let days = 1..=8;
    let mut clients: Vec<_> = days.clone().map(|_| Client::new(&address)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/api/session", &[], "").status, 200);
    }
    // All are there when it looks again.
    nvr.signal("STOP");
    for (client, days) in clients.iter_mut().zip(days.clone()) {
        let wish = json!({"storage": {"keep_days": days, "segment_seconds": 100 + days}});
        let (wish, host) = (wish.to_string(), HOST);
        let length = wish.len();
        let request = format!(
            "PUT /api/config HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{wish}"
        );
        client.send(request.as_bytes());
    }
    nvr.signal("CONT");
    let mut made = Vec::new();
    for (client, days) in clients.iter_mut().zip(days) {
        let answer = client.answer();
        match answer.status {
            200 => made.push(days),
            status => assert_eq!(status, 409, "{answer:?}"),
        }
    }
    let config = shown(&address);
    let days = config["storage"]["keep_days"].as_u64().unwrap();
    assert!(made.contains(&days), "{days} of {made:?}");
    assert_eq!(config["storage"]["segment_seconds"], 100 + days);
    assert!(text(&nvr).contains(&format!("segment_seconds = {}\n", 100 + days)), "{}", text(&nvr));
}
