//! The description of the API against the running daemon; and that no route is missing in it.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config,
    http::{Client, ORIGIN, ask},
    wait_for, with_password,
};
use camera::{Camera, Clip, Options, Speed};
use std::{path::Path, process::Command};

const PASSWORD: &str = "correct horse";

#[test]
fn the_daemon_keeps_to_the_description_of_its_api() {
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { speed: Speed::Times(4.0), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let text = with_password(&text);
    // Nothing makes snapshots: their answer is the same however busy the machine is.
    let text = text + "\n[ffmpeg]\npath = \"/nowhere/ffmpeg\"\n";
    let mut nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    let password = format!("{{\"password\":\"{PASSWORD}\"}}");
    assert_eq!(ask(&address, "PUT", "/api/password", &[ORIGIN], &password).status, 200);
    assert_eq!(ask(&address, "GET", "/api/openapi.json", &[], "").status, 401);
    wait_for("some files", || nvr.files().len() > 3);

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("sh")
        .arg(root.join("ci/python.sh"))
        .arg(root.join("ci/openapi.py"))
        .args([format!("http://{address}"), PASSWORD.to_owned()])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    wait_for("the end that was asked for", || nvr.try_wait().is_some());
    assert!(nvr.try_wait().unwrap().success());
    assert!(!nvr.log().contains("panicked"));
    assert_all_whole(&nvr.recordings());
}

#[test]
fn every_route_is_described_with_its_methods() {
    let text = include_str!("../src/web/openapi.json");
    let description: serde_json::Value = serde_json::from_str(text).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let nvr = Nvr::start_with(directory, "[web]\nlisten = \"127.0.0.1:0\"\n", &[]);
    // No password is set: on its own socket everything is answered.
    let socket = nvr.directory.path().join("smolnvr.sock");
    nvr.web_address();
    for (route, methods) in description["paths"].as_object().unwrap() {
        let target = route.replace("{camera}", "none").replace("{number}", "1");
        let answer = Client::local(&socket).ask("PATCH", &target, &[], "");
        let mut described: Vec<_> =
            methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if described.contains(&"GET".to_owned()) {
            described.push("HEAD".to_owned());
        }
        described.sort();
        let mut allowed: Vec<_> = answer.field("Allow").unwrap_or("").split(", ").collect();
        allowed.sort();
        assert_eq!(
            (answer.status, allowed),
            (405, described.iter().map(|it| &**it).collect()),
            "{route}"
        );
    }
}
