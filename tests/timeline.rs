//! What was recorded when, according to `/api/timeline` and `/api/days`, on a machine whose clock
//! is trusted.

use crate::support::{Nvr, SHORT_SEGMENTS, config, http::ask, step_the_clock, unix_time, wait_for};
use camera::{Camera, Clip, Options, Speed};
use serde_json::Value;

/// Records a clip in its own time over and over, on a machine whose clock was set.
fn recording() -> (Nvr, String, Camera) {
    let directory = tempfile::tempdir().unwrap();
    step_the_clock(directory.path());
    let (nvr, address, camera) = recording_in(directory);
    assert_eq!(nvr.status()["clock"]["trusted"], true);
    (nvr, address, camera)
}

fn recording_in(directory: tempfile::TempDir) -> (Nvr, String, Camera) {
    let camera = playing(0);
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    nvr.wait_for_recording(&[]);
    (nvr, address, camera)
}

/// A camera at that port.
fn playing(port: u16) -> Camera {
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { speed: Speed::Times(1.0), ..Options::default() };
    Camera::builder().port(port).stream_with("cam", clip, options).start().unwrap()
}

fn now() -> i64 {
    i64::try_from(unix_time().as_millis()).unwrap()
}

fn get(address: &str, target: &str) -> Value {
    let answer = ask(address, "GET", target, &[], "");
    assert_eq!(answer.status, 200, "{target} {answer:?}");
    answer.json()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value}"))
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn spans_gaps_and_days_are_those_of_the_recordings() {
    let (nvr, address, _camera) = recording();
    wait_for("three recordings", || nvr.files().len() > 2);
    let open = get(&address, "/api/timeline");
    assert_eq!((rows(&open["spans"]).len(), rows(&open["gaps"]).len()), (1, 0), "{open}");
    let grown = number(&open["spans"][0][1]);
    wait_for("the open recording grows", || {
        number(&get(&address, "/api/timeline")["spans"][0][1]) > grown
    });
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    let stopped = now();
    // A recording begins with the picture group that is under way, of 2 s.
    wait_for("five seconds", || now() > stopped + 5000);
    let gap = get(&address, "/api/timeline")["gaps"].clone();
    assert_eq!(rows(&gap).len(), 1, "nothing is recorded now: {gap}");
    assert_eq!(gap[0][2], "stopped");
    assert_eq!(ask(&address, "POST", "/api/record/start", &[], "").status, 200);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);

    let list = get(&address, "/api/recordings");
    let list: Vec<_> = rows(&list["recordings"]).iter().rev().collect();
    let (first, last) = (list[0], list[list.len() - 1]);
    let end = |it: &Value| number(&it["start_ms"]) + number(&it["duration_ms"]);
    let seen = get(&address, "/api/timeline?camera=camera");
    assert_eq!(
        (&seen["camera"], &seen["complete"], &seen["read_to"]),
        (&"camera".into(), &true.into(), &Value::Null)
    );
    assert_eq!(number(&seen["to"]) - number(&seen["from"]), 86_400_000, "the last day");
    let spans = rows(&seen["spans"]);
    assert_eq!(spans.len(), 2, "{seen}");
    assert_eq!((&spans[0][0], &spans[0][2]), (&first["start_ms"], &first["number"]));
    assert_eq!((number(&spans[1][1]), &spans[1][3]), (end(last), &last["number"]));
    let between = [&spans[0][1], &spans[1][0]].map(number);
    assert!(between[1] - between[0] >= 2000, "{seen}");
    assert_eq!([0, 1].map(|at| number(&seen["gaps"][0][at])), between);
    assert_eq!(seen["gaps"][0][2], "stopped");
    // Spans that reach into the time are told whole.
    let inside = number(&spans[0][1]) - 1;
    let part = get(&address, &format!("/api/timeline?from={inside}&to={}", inside + 1));
    assert_eq!(
        (number(&part["spans"][0][1]), rows(&part["spans"]).len()),
        (inside + 1, 1),
        "{part}"
    );

    // Local days, whatever the zone: a recording is in the day in which it began and ended.
    let recorded: i64 = list.iter().map(|it| number(&it["duration_ms"])).sum();
    let bytes: i64 = list.iter().map(|it| number(&it["bytes"])).sum();
    for tz in ["0", "840", "-720", "60,1774746000000:120,1792890000000:60"] {
        let days = get(&address, &format!("/api/days?camera=camera&tz={tz}"));
        let sum = |name: &str| rows(&days[name]).iter().map(number).sum::<i64>();
        assert!((sum("seconds") * 1000 - recorded).abs() <= 1000, "{days} {recorded}");
        assert_eq!(sum("bytes"), bytes, "{days}");
        assert!(rows(&days["kept"]).len() == rows(&days["seconds"]).len());
        let (first, seen) = (first["start_ms"].clone(), days["first"].as_str().unwrap());
        let offset = if tz.len() > 5 { 60 } else { tz.parse().unwrap() };
        let expected = (number(&first) + offset * 60_000) / 86_400_000;
        assert_eq!((&seen[..2], day_of(seen)), ("20", expected));
    }
    assert!(get(&address, "/api/days")["first"].is_string(), "by the zone of this machine");
}

#[test]
fn a_gap_tells_what_it_came_from_also_after_a_restart() {
    let (mut nvr, address, camera) = recording();
    let frames_end =
        |address: &str| number(&rows(&get(address, "/api/timeline")["spans"]).last().unwrap()[1]);
    let causes = |address: &str| {
        let gaps = get(address, "/api/timeline")["gaps"].clone();
        rows(&gaps).iter().map(|gap| gap[2].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let port = camera.port();
    drop(camera);
    wait_for("the camera is missed", || causes(&address) == ["camera"]);
    let _camera = playing(port);
    let before = now();
    wait_for("the recording goes on", || frames_end(&address) > before);
    assert_eq!(causes(&address), ["camera"]);
    nvr.terminate();
    let ended = now();
    wait_for("some seconds", || now() > ended + 3000);
    nvr.restart();
    let address = nvr.web_address();
    wait_for("the recording goes on", || frames_end(&address) > ended + 3000);
    wait_for("every head is read", || get(&address, "/api/timeline")["complete"] == true);
    assert_eq!(causes(&address), ["camera", "off"]);
}

#[test]
fn a_browsers_time_makes_earlier_recordings_certain() {
    let (nvr, address, _camera) = recording_in(tempfile::tempdir().unwrap());
    let tell =
        |now: &str| ask(&address, "POST", "/api/clock", &[], &format!("{{\"now_ms\":{now}}}"));
    if nvr.status()["clock"]["kept_by"] == "kernel" {
        assert_eq!(tell(&now().to_string()).status, 409);
        return;
    }
    assert_eq!(nvr.status()["clock"]["kept_by"], "nobody");
    let is_doubtful = || {
        let spans = get(&address, "/api/timeline")["spans"].clone();
        rows(&spans).iter().any(|span| span[4] == "doubtful")
    };
    wait_for("a recording", is_doubtful);
    for (wrong, status) in [("0", 400), ("4102444800000", 400), ("\"noon\"", 400), ("9e99", 400)] {
        let answer = tell(wrong);
        assert_eq!(answer.status, status, "{wrong} {answer:?}");
        assert!(answer.json()["error"].is_string());
    }
    assert!(is_doubtful());
    let answer = tell(&now().to_string());
    assert_eq!((answer.status, &answer.json()["kept_by"]), (200, &"browser".into()), "{answer:?}");
    wait_for("the recordings get their times", || !is_doubtful());
    assert_eq!(nvr.status()["clock"]["trusted"], true);
    nvr.wait_for_log("recordings got their true times");
}

/// A date's day since 1970, by another way than the program's.
fn day_of(date: &str) -> i64 {
    let output =
        std::process::Command::new("date").args(["-u", "+%s", "-d", date]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse::<i64>().unwrap() / 86_400
}

#[test]
fn an_invalid_request_for_times_gets_a_reason() {
    let (_nvr, address, _camera) = recording();
    let day = 86_400_000_i64;
    for (target, status) in [
        (format!("timeline?from=0&to={}", 32 * day), 200),
        (format!("timeline?from=0&to={}", 32 * day + 1), 400),
        ("timeline?from=2&to=1".into(), 400),
        ("timeline?from=2&to=2".into(), 200),
        (format!("timeline?from={}&to={}", i64::MIN, i64::MAX), 400),
        (format!("timeline?from={}", i64::MIN), 400),
        (format!("timeline?to={}", i64::MIN), 200),
        ("timeline?from=x".into(), 400),
        ("timeline?camera=none".into(), 404),
        (format!("days?from=0&to={}&tz=0", 400 * day), 200),
        (format!("days?from=0&to={}&tz=0", 400 * day + 1), 400),
        (format!("days?from={}&to={}", i64::MIN, i64::MAX), 400),
        (format!("days?to={}", i64::MAX), 200),
        (format!("days?to={}", i64::MIN), 200),
        ("days?from=2&to=1".into(), 400),
        ("days?tz=Europe/Berlin".into(), 400),
        ("days?tz=60,2:0,1:0".into(), 400),
        ("days?tz=60%2C1774746000000%3A120".into(), 200),
        ("days?to=x".into(), 400),
        ("days?camera=none".into(), 404),
    ] {
        let answer = ask(&address, "GET", &format!("/api/{target}"), &[], "");
        assert_eq!(answer.status, status, "{target} {answer:?}");
        assert!(status == 200 || answer.json()["error"].is_string());
    }
    assert_eq!(ask(&address, "POST", "/api/timeline", &[], "").status, 405);
}
