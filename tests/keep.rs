//! Recordings that are kept: by the API, in the files, over a restart.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config, frames_in,
    http::{Answer, ORIGIN, ask},
    wait_for, with_password,
};
use camera::{Camera, Clip, Options};
use serde_json::{Value, json};

const FRAMES: u64 = 180;

fn entries(address: &str) -> Vec<Value> {
    let list = ask(address, "GET", "/api/recordings", &[], "").json();
    let mut entries = list["recordings"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

/// Asks for something over the middle of some recordings.
fn span(address: &str, method: &str, route: &str, of: &[Value]) -> Answer {
    let middle = |entry: &Value| {
        entry["start_ms"].as_i64().unwrap() + entry["duration_ms"].as_i64().unwrap() / 2
    };
    let (from, to) = (middle(&of[0]), middle(&of[of.len() - 1]) + 1);
    ask(address, method, &format!("/api/{route}/camera?from={from}&to={to}"), &[], "")
}

#[test]
fn what_is_kept_stays_over_a_restart_and_is_deleted_by_nobody_until_it_is_released() {
    let clip = Clip::committed("bframes.h264").unwrap();
    let options = Options { frames: Some(FRAMES), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let mut nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    wait_for("the recordings", || frames_in(&nvr.files()) as u64 >= FRAMES - 25);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    let before = entries(&address);
    assert!(before.len() > 2 && before.iter().all(|entry| entry["kept"] == false), "{before:?}");

    let answer = span(&address, "PUT", "keep", &before[1..2]);
    let bytes = &before[1]["bytes"];
    assert_eq!(answer.json(), json!({"segments": 1, "bytes": bytes, "left": 0}));
    assert_all_whole(&nvr.recordings());
    assert!(nvr.terminate().0.success());
    nvr.restart();
    let address = nvr.web_address();
    wait_for("the list", || {
        ask(&address, "GET", "/api/recordings", &[], "").json()["complete"] == true
    });
    let kept: Vec<_> = entries(&address).iter().map(|entry| entry["kept"] == true).collect();
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 1);
    assert!(kept[1]);
    let camera = &nvr.status()["cameras"][0];
    assert_eq!((&camera["kept_segments"], &camera["kept_bytes"]), (&json!(1), bytes));

    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    let number = &before[1]["number"];
    let one = format!("/api/recordings/camera/{number}");
    let refused = ask(&address, "DELETE", &one, &[], "");
    assert_eq!((refused.status, refused.text().contains("kept")), (409, true));
    let answer = span(&address, "DELETE", "recordings", &before[..3]).json();
    assert_eq!((&answer["segments"], &answer["left"]), (&json!(2), &json!(1)));
    assert_eq!(entries(&address)[0]["number"], *number);
    assert_eq!(span(&address, "DELETE", "keep", &before[1..2]).status, 200);
    assert_eq!(ask(&address, "DELETE", &one, &[], "").status, 200);
    assert_eq!(
        span(&address, "PUT", "keep", &before[1..2]).status,
        404,
        "nothing is there any more"
    );
    assert_all_whole(&nvr.recordings());
}

#[test]
fn a_span_needs_both_its_ends_and_somebody_who_is_logged_in() {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", "rtsp://127.0.0.1:1/")]);
    let nvr = Nvr::start_with(directory, &with_password(&text), &[]);
    let address = nvr.web_address();
    let password = "{\"password\":\"correct horse\"}";
    assert_eq!(ask(&address, "PUT", "/api/password", &[ORIGIN], password).status, 200);
    let cookie = ask(&address, "POST", "/api/session", &[], password).cookie();
    let cookie = format!("Cookie: {cookie}");
    let routes = [("PUT", "keep"), ("DELETE", "keep"), ("DELETE", "recordings")];
    for (method, route) in routes {
        let status = |query: &str, fields: &[&str]| {
            ask(&address, method, &format!("/api/{route}/camera{query}"), fields, "").status
        };
        assert_eq!(status("?from=1&to=2", &[ORIGIN]), 401);
        for wrong in ["", "?from=1", "?to=1", "?from=a&to=2"] {
            assert_eq!(status(wrong, &[&cookie, ORIGIN]), 400, "{method} {route}{wrong}");
        }
        for nothing in ["?from=1&to=2", "?from=2&to=1"] {
            assert_eq!(status(nothing, &[&cookie, ORIGIN]), 404);
        }
        assert_eq!(status("?from=1&to=2", &[&cookie, "Origin: http://elsewhere"]), 403);
    }
}
