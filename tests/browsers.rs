//! The page in Firefox and in WebKitGTK, by WebDriver, with the same steps in each.

use crate::{
    page::{Browser, copy_to_last_week, port_of, start, target},
    support::{numbered_clip, record_to_the_end, with_password},
};
use camera::{Camera, Clip, Options, Speed};
use std::iter;

/// The length of the recordings: short, so that many cuts are soon played across.
const LENGTH_MS: i64 = 4000;

#[test]
fn firefox_shows_finds_and_hands_on() {
    use_the_page_in("firefox");
}

#[test]
fn webkit_shows_finds_and_hands_on() {
    use_the_page_in("webkit");
}

fn use_the_page_in(engine: &str) {
    let frames = LENGTH_MS as u64 / 40;
    let options = Options { speed: Speed::Times(10.0), frames: Some(frames), ..Options::default() };
    let fast = Camera::builder().stream_with("cam", numbered_clip(), options).start().unwrap();
    let b_frames = Clip::committed("bframes.h264").unwrap();
    let camera = Camera::builder().stream("cam", numbered_clip()).stream("yard", b_frames);
    let camera = camera.start().unwrap();
    let cameras = [("camera", &*fast.url("cam")), ("yard", &camera.url("yard"))];
    let mut nvr = start(&cameras, "segment_seconds = 10\nkeep_free_percent = 0", with_password);
    record_to_the_end(&mut nvr, &fast, frames);
    let first = copy_to_last_week(&nvr, LENGTH_MS);
    nvr.set_config(|text| text.replace(&fast.url("cam"), &camera.url("cam")));
    nvr.restart();

    let screenshots = target().join("page");
    let arguments = [engine, &port_of(&nvr), &first.to_string(), screenshots.to_str().unwrap()];
    let mut browser = Browser::start("engines.py", &arguments);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}
