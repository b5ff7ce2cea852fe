//! The index on the card: it makes the list, and the files correct it.

use crate::support::{Nvr, SHORT_SEGMENTS, http::ask, wait_for};
use camera::{Camera, Clip};
use std::fs;

#[test]
fn a_start_lists_by_the_index_and_what_somebody_asks_for_is_checked_against_its_file() {
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder().stream("cam", clip).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let recordings = nvr.recordings();
    wait_for("two recordings of two lengths", || recordings.join("001.mp4").exists());
    nvr.terminate();
    let (first, second) = (recordings.join("000.mp4"), recordings.join("001.mp4"));
    let length = |file| fs::metadata(file).unwrap().len();
    assert_ne!(length(&first), length(&second));
    for number in 2..60 {
        fs::copy(&first, recordings.join(format!("{number:03}.mp4"))).unwrap();
    }
    let is_complete = |nvr: &Nvr| nvr.status()["storage"]["list_complete"] == true;
    nvr.restart();
    wait_for("the list", || is_complete(&nvr));
    let index = recordings.join("000.idx");
    wait_for("its index", || fs::metadata(&index).is_ok_and(|it| it.len() >= 60 * 32));
    nvr.terminate();

    // Behind its back, one becomes another, and one no recording at all.
    fs::copy(&second, recordings.join("017.mp4")).unwrap();
    fs::write(recordings.join("018.mp4"), "no recording").unwrap();
    nvr.restart();
    wait_for("the list", || is_complete(&nvr));
    let address = nvr.web_address();
    let listed = |number: u32| {
        let path = format!("/api/recordings?number={number}");
        let list = ask(&address, "GET", &path, &[], "").json();
        list["recordings"][0]["bytes"].as_u64()
    };
    let bytes =
        |number: u32| fs::metadata(recordings.join(format!("{number:03}.mp4"))).unwrap().len();
    assert_eq!(listed(20), Some(bytes(20)));
    wait_for("the truth of one", || listed(17) == Some(bytes(17)));
    wait_for("the truth of the other", || listed(18).is_none());
    assert_eq!(nvr.complaints(), Vec::<String>::new());
}
