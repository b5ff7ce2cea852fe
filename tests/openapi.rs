//! The description of the API against the running daemon.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config,
    http::{ORIGIN, ask},
    wait_for, with_password,
};
use camera::{Camera, Clip, Options, Speed};
use std::{path::Path, process::Command};

const PASSWORD: &str = "correct horse";

#[test]
fn the_daemon_keeps_to_the_description_of_its_api() {
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { speed: Speed::Times(4.0), ..Options::default() };
    let camera = Camera::builder().stream_with("stream=0", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("stream=0"))]);
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
