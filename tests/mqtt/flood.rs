//! A flood of marks: memory, the card and the MQTT server bear it.

use super::{clip, door, recorder};
use crate::support::{
    http::{Client, ask},
    mosquitto::{Broker, Watcher},
};
use serde_json::json;
use std::{collections::BTreeMap, thread};

#[test]
fn ten_thousand_marks_a_minute_stay_within_bounds() {
    let broker = Broker::open();
    let camera = clip();
    let nvr = recorder(&camera, &broker.url());
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/status", "online");
    nvr.wait_for_recording(&[]);
    let rss = || nvr.status()["memory"]["rss_kb"].as_i64().unwrap();
    for _ in 0..100 {
        door(&nvr, "on");
        door(&nvr, "off");
    }
    let before = rss();
    let address = nvr.web_address();
    let mut client = Client::new(&address);
    let states = ["on", "off"].map(|state| {
        json!({"kind": "door", "camera": "yard", "words": "x".repeat(80), "state": state})
            .to_string()
    });
    for nth in 0..10_000 {
        let status = client.ask("POST", "/api/marks", &[], &states[nth % 2]).status;
        assert!([200, 409, 429].contains(&status), "{status}");
    }
    assert!(rss() < before + 512, "{} KB more", rss() - before);
    let files = nvr.files();
    nvr.wait_for_recording(&files);
    assert_eq!(nvr.status()["cameras"][0]["losses"]["card"], 0);
    door(&nvr, "off");
    watcher.wait("test/nvr/yard/motion", "OFF");
    let mut said = BTreeMap::<String, usize>::new();
    watcher.all().into_iter().for_each(|(topic, _)| *said.entry(topic).or_default() += 1);
    assert!(said["test/nvr/yard/mark"] <= 2 * 100, "{said:?}");
    assert_eq!(said["test/nvr/status"], 1);
}

#[test]
fn a_clip_is_whole_and_memory_bounded_while_marks_pour_in_and_the_server_restarts() {
    let mut broker = Broker::open();
    let camera = clip();
    let nvr = recorder(&camera, &broker.url());
    let address = nvr.web_address();
    nvr.wait_for_recording(&[]);
    nvr.wait_for_recording(&nvr.files());
    let (from, to) = crate::clip::span(&address);
    let target = format!("/clip/yard.mp4?from={from}&to={to}");
    let whole = ask(&address, "GET", &target, &[], "");
    assert_eq!(whole.status, 200);
    let mut client = Client::new(&address);
    let mut flood = |count: usize| {
        for nth in 0..count {
            let state = ["on", "off"][nth % 2];
            let mark =
                json!({"kind": "door", "camera": "yard", "words": "x".repeat(80), "state": state});
            let status = client.ask("POST", "/api/marks", &[], &mark.to_string()).status;
            assert!([200, 409, 429].contains(&status), "{status}");
        }
    };
    flood(500);
    let rss = || nvr.status()["memory"]["rss_kb"].as_i64().unwrap();
    let before = rss();
    for _ in 0..3 {
        let clip = thread::spawn({
            let (address, target) = (address.clone(), target.clone());
            move || ask(&address, "GET", &target, &[], "")
        });
        flood(500);
        broker.stop();
        flood(500);
        broker.restart();
        assert!(clip.join().unwrap().body == whole.body, "the clip is the same each time");
    }
    assert!(rss() < before + 1024, "{} KB more", rss() - before);
    let watcher = Watcher::new(&broker);
    door(&nvr, "off");
    watcher.wait("test/nvr/status", "online");
    watcher.wait("test/nvr/yard/motion", "OFF");
    assert_eq!(nvr.status()["cameras"][0]["losses"]["card"], 0);
    nvr.wait_for_recording(&nvr.files());
}
