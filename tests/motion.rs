//! Motion seen in a camera's JPEG: it becomes a mark, and what is watched is known.

use crate::support::{Nvr, SHORT_SEGMENTS, config, http::ask, wait_for};
use camera::{Camera, Clip, Pictures};
use serde_json::Value;
use std::process::Command;

/// A grey picture with a dark box so far from the left, by FFmpeg.
fn picture(left: usize) -> Vec<u8> {
    let filter = format!("drawbox=x={left}:y=80:w=40:h=80:color=black:t=fill");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=gray:s=320x240"])
        .args(["-vf", &filter, "-frames:v", "1", "-c:v", "mjpeg", "-f", "image2pipe", "-"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

/// The camera's marks of that kind, newest first.
fn marks(address: &str, kind: &str) -> Vec<Value> {
    let all =
        ask(address, "GET", "/api/marks", &[], "").json()["marks"].as_array().unwrap().clone();
    all.into_iter().filter(|it| it["kind"] == kind).collect()
}

#[test]
fn what_moves_in_the_pictures_is_a_mark_and_without_pictures_nothing_is_watched() {
    let pictures: Vec<_> = (0..8).map(|nth| picture(30 * nth)).collect();
    let camera = Camera::builder().stream("cam", Clip::built_in()).http(0).start().unwrap();
    camera.set_pictures(Pictures::Of(pictures[0].clone()));
    let page = camera.picture_url().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("yard", &camera.url("cam"))]);
    let keys = format!("[[camera]]\nsnapshot = {page:?}\nmotion = \"jpeg\"");
    let text = text.replace("[[camera]]", &keys);
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    wait_for("something is watched", || !marks(&address, "watched").is_empty());
    assert_eq!(marks(&address, "motion"), [] as [Value; 0]);

    // Each request gets the box somewhere else.
    wait_for("motion", || {
        let nth = camera.picture_requests().len();
        camera.set_pictures(Pictures::Of(pictures[nth % pictures.len()].clone()));
        !marks(&address, "motion").is_empty()
    });
    let mark = &marks(&address, "motion")[0];
    assert_eq!((&mark["camera"], &mark["source"]), (&"yard".into(), &"jpeg".into()));
    assert_eq!(nvr.status()["cameras"][0]["marks"]["going_on"], true);

    camera.set_pictures(Pictures::Missing);
    wait_for("both have ended", || {
        let all = [marks(&address, "motion"), marks(&address, "watched")].concat();
        all.iter().all(|mark| mark["end_ms"].is_i64())
    });
    let log = nvr.log();
    let said = log.lines().filter(|line| line.contains("camera=yard motion=")).collect::<Vec<_>>();
    assert!(
        matches!(&said[..], [first, last] if first.contains("motion=watching")
        && last.contains("motion=blind error=") && last.contains("404")),
        "{said:?}"
    );
}
