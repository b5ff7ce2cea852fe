//! An MQTT server that is told everything, and Home Assistant behind it; the server is mosquitto.

mod flood;

use crate::support::{
    Nvr, SHORT_SEGMENTS, config,
    home_assistant::topics_of,
    http::ask,
    let_pass,
    mosquitto::{Broker, Watcher},
    smolnvr, wait_for,
};
use camera::{Camera, Clip};
use serde_json::{Value, json};
use std::{io::Write as _, net::TcpListener, path::Path, process::Command, thread, time::Duration};

const DISCOVERY: &str = "homeassistant/device/test_nvr/config";

fn clip() -> Camera {
    Camera::builder().stream("cam", Clip::built_in()).start().unwrap()
}

fn text(directory: &Path, cameras: &[(&str, &str)], broker: &str) -> String {
    let text = config(directory, SHORT_SEGMENTS, cameras);
    format!("{text}\n[mqtt]\nbroker = {broker:?}\ntopic = \"test/nvr\"\n")
}

/// A recorder of one camera.
fn recorder(camera: &Camera, broker: &str) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let text = text(directory.path(), &[("yard", &camera.url("cam"))], broker);
    Nvr::start_with(directory, &text, &[])
}

fn note(nvr: &Nvr, mark: &Value) -> u16 {
    ask(&nvr.web_address(), "POST", "/api/marks", &[], &mark.to_string()).status
}

fn door(nvr: &Nvr, state: &str) -> u16 {
    note(nvr, &json!({"kind": "door", "camera": "yard", "state": state}))
}

#[test]
fn home_assistant_finds_one_device_and_every_state_that_it_names() {
    let broker = Broker::open();
    let camera = clip();
    let directory = tempfile::tempdir().unwrap();
    let (url, gone) = (camera.url("cam"), "rtsp://127.0.0.1:1/");
    let config = text(directory.path(), &[("yard", &url), ("gate", gone)], &broker.url());
    let config = config.replace("name = \"yard\"", "name = \"yard\"\nlabel = 'Hof \"Süd\"'");
    let nvr = Nvr::start_with(directory, &config, &[]);
    nvr.wait_for_log("mqtt=connected server=mqtt://127.0.0.1");
    // Whoever comes later gets it from the server.
    nvr.wait_for_recording(&[]);
    let watcher = Watcher::new(&broker);
    wait_for("the device", || !watcher.last(DISCOVERY).is_empty());
    let device: Value = serde_json::from_str(&watcher.last(DISCOVERY)).unwrap();
    for topic in topics_of(&device) {
        wait_for(&topic, || !watcher.last(&topic).is_empty());
    }
    assert_eq!(device["cmps"]["yard_recording"]["name"], "Hof \"Süd\" recording");
    for (topic, state) in [
        ("status", "online"),
        ("card/state", "ok"),
        ("card/problem", "OFF"),
        ("yard/online", "ON"),
        ("yard/recording", "ON"),
        ("yard/motion", "OFF"),
        ("yard/days", "None"),
        ("gate/online", "OFF"),
    ] {
        watcher.wait(&format!("test/nvr/{topic}"), state);
    }
    let (_, shown, _) = {
        let file = nvr.directory.path().join("smolnvr.toml");
        smolnvr(&["check", "-c", file.to_str().unwrap()])
    };
    let line = format!(
        "mqtt: mqtt://127.0.0.1:{}: states and marks below test/nvr, for Home Assistant in {DISCOVERY}",
        broker.port
    );
    assert!(shown.contains(&line), "{shown}");
}

#[test]
fn a_switch_turns_recording_off_and_on_and_its_state_follows() {
    let broker = Broker::open();
    let camera = clip();
    let nvr = recorder(&camera, &broker.url());
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/yard/recording", "ON");
    nvr.wait_for_recording(&[]);
    broker.publish("test/nvr/yard/recording/set", "OFF", &["-q", "1"]);
    watcher.wait("test/nvr/yard/recording", "OFF");
    wait_for("the file's end", || nvr.status()["cameras"][0]["recording"] == false);
    broker.publish("test/nvr/yard/recording/set", "ON", &[]);
    watcher.wait("test/nvr/yard/recording", "ON");
    wait_for("a recording", || nvr.status()["cameras"][0]["recording"] == true);
    assert_eq!(watcher.of("test/nvr/yard/recording"), ["ON", "OFF", "ON"], "it never flickers");
    // By others, too; and what is no command changes nothing.
    assert_eq!(ask(&nvr.web_address(), "POST", "/api/record/stop", &[], "").status, 200);
    watcher.wait("test/nvr/yard/recording", "OFF");
    for (topic, payload) in [
        ("test/nvr/yard/recording/set", "on"),
        ("test/nvr/none/recording/set", "ON"),
        ("test/nvr/yard/recording/set", &*"ON".repeat(50_000)),
    ] {
        broker.publish(topic, payload, &[]);
    }
    // Everything before it was heard once this is.
    assert_eq!(door(&nvr, "on"), 200);
    watcher.wait("test/nvr/yard/motion", "ON");
    broker.publish("homeassistant/status", "online", &[]);
    wait_for("the device again", || watcher.of(DISCOVERY).len() == 2);
    assert_eq!(watcher.last("test/nvr/yard/recording"), "OFF");
    assert_eq!(nvr.complaints(), [""; 0]);
}

#[test]
fn a_command_that_the_server_kept_is_not_obeyed_at_every_start() {
    let broker = Broker::open();
    broker.publish("test/nvr/yard/recording/set", "OFF", &["-r"]);
    let camera = clip();
    let nvr = recorder(&camera, &broker.url());
    nvr.wait_for_log("camera=yard mqtt: a command that the server kept is not obeyed");
    nvr.wait_for_recording(&[]);
    assert_eq!(nvr.status()["cameras"][0]["recording_wanted"], true);
    // The same said now is a command.
    broker.publish("test/nvr/yard/recording/set", "OFF", &["-r"]);
    wait_for("its effect", || nvr.status()["cameras"][0]["recording_wanted"] == false);
}

#[test]
fn home_assistant_gets_everything_again_after_a_start() {
    let broker = Broker::open();
    let camera = clip();
    let _nvr = recorder(&camera, &broker.url());
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/status", "online");
    let states = watcher.of("test/nvr/yard/online").len();
    broker.publish("homeassistant/status", "offline", &[]);
    broker.publish("homeassistant/status", "online", &[]);
    wait_for("the device and its states", || {
        watcher.of(DISCOVERY).len() == 2
            && watcher.of("test/nvr/status").len() == 2
            && watcher.of("test/nvr/yard/online").len() > states
    });
    let devices = watcher.of(DISCOVERY);
    assert_eq!(devices[0], devices[1]);
}

#[test]
fn a_door_is_told_at_once_as_a_state_and_as_a_mark() {
    let broker = Broker::open();
    let camera = clip();
    let nvr = recorder(&camera, &broker.url());
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/yard/motion", "OFF");
    assert_eq!(door(&nvr, "on"), 200);
    watcher.wait("test/nvr/yard/motion", "ON");
    assert_eq!(door(&nvr, "off"), 200);
    watcher.wait("test/nvr/yard/motion", "OFF");
    wait_for("both marks", || watcher.of("test/nvr/yard/mark").len() == 2);
    let marks = watcher.of("test/nvr/yard/mark");
    let marks: Vec<Value> = marks.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(marks[0]["end_ms"].is_null() && marks[1]["end_ms"].is_i64(), "{marks:?}");
    assert_eq!(marks[0]["begin_ms"], marks[1]["begin_ms"]);
    // A moment ends by itself.
    assert_eq!(note(&nvr, &json!({"kind": "bell", "camera": "yard"})), 200);
    watcher.wait("test/nvr/yard/motion", "ON");
    watcher.wait("test/nvr/yard/motion", "OFF");
}

#[test]
fn a_picture_is_sent_when_a_mark_begins() {
    let broker = Broker::open();
    let camera = Camera::builder().stream("cam", Clip::built_in()).http(0).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = text(directory.path(), &[("yard", &camera.url("cam"))], &broker.url());
    let page = format!("snapshot = {:?}\nbuffer_kb", camera.picture_url().unwrap());
    let nvr = Nvr::start_with(directory, &text.replace("buffer_kb", &page), &[]);
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/yard/motion", "OFF");
    assert_eq!(watcher.of("test/nvr/yard/picture").len(), 0, "nobody asked");
    for state in ["on", "off", "on", "off"] {
        assert_eq!(door(&nvr, state), 200);
    }
    wait_for("a picture", || !watcher.of("test/nvr/yard/picture").is_empty());
    wait_for("four marks", || watcher.of("test/nvr/yard/mark").len() == 4);
    let port = broker.port.to_string();
    let picture = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port, "-t", "test/nvr/yard/picture", "-C", "1", "-N"])
        .output()
        .unwrap();
    let picture = picture.stdout;
    assert!(picture.starts_with(&[0xff, 0xd8]) && picture.ends_with(&[0xff, 0xd9]));
    assert_eq!(picture, ask(&nvr.web_address(), "GET", "/snapshot/yard.jpg", &[], "").body);
}

#[test]
fn a_server_that_was_away_is_told_the_newest_state_and_the_marks_meanwhile() {
    let mut broker = Broker::open();
    let camera = clip();
    let nvr = recorder(&camera, &broker.url());
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/status", "online");
    broker.stop();
    nvr.wait_for_log("it closed the connection");
    for state in ["on", "off", "on"] {
        assert_eq!(door(&nvr, state), 200);
    }
    assert_eq!(ask(&nvr.web_address(), "POST", "/api/record/stop", &[], "").status, 200);
    nvr.wait_for_log("nothing is listening on that port");
    broker.restart();
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/yard/motion", "ON");
    watcher.wait("test/nvr/yard/recording", "OFF");
    watcher.wait("test/nvr/status", "online");
    wait_for("the marks", || watcher.of("test/nvr/yard/mark").len() >= 3);
    assert!(!watcher.last(DISCOVERY).is_empty());
    assert_eq!(nvr.log().matches("nothing is listening on that port").count(), 1, "said once");
}

#[test]
fn a_recorder_that_is_killed_stopped_or_given_no_server_is_shown_offline() {
    let broker = Broker::open();
    let camera = clip();
    let mut nvr = recorder(&camera, &broker.url());
    let watcher = Watcher::new(&broker);
    watcher.wait("test/nvr/status", "online");
    nvr.kill();
    watcher.wait("test/nvr/status", "offline");
    nvr.restart();
    watcher.wait("test/nvr/status", "online");
    assert!(nvr.terminate().0.success());
    watcher.wait("test/nvr/status", "offline");
    nvr.restart();
    watcher.wait("test/nvr/status", "online");
    nvr.reconfigure(&nvr.config_text().replace(&broker.url(), ""));
    watcher.wait("test/nvr/status", "offline");
}

/// A recorder of two cameras, once the server has a picture of one of them; and its configuration
/// without that camera.
fn yard_and_gate(broker: &Broker) -> (Camera, Nvr, String, Watcher) {
    let camera = clip();
    let directory = tempfile::tempdir().unwrap();
    let url = camera.url("cam");
    let both = text(directory.path(), &[("yard", &url), ("gate", &url)], &broker.url());
    let one = text(directory.path(), &[("yard", &url)], &broker.url());
    let nvr = Nvr::start_with(directory, &both, &[]);
    let watcher = Watcher::new(broker);
    watcher.wait("test/nvr/gate/online", "ON");
    broker.publish("test/nvr/gate/picture", "JPEG", &["-r"]);
    (camera, nvr, one, watcher)
}

fn nothing_is_kept_of_gate(watcher: &Watcher) {
    for what in ["recording", "motion", "online", "days", "picture"] {
        watcher.wait(&format!("test/nvr/gate/{what}"), "");
    }
}

#[test]
fn a_camera_that_is_removed_disappears() {
    let broker = Broker::open();
    let (_camera, nvr, one, watcher) = yard_and_gate(&broker);
    watcher.wait("test/nvr/gate/picture", "JPEG");
    nvr.reconfigure(&one);
    wait_for("another device", || watcher.of(DISCOVERY).len() == 2);
    let device: Value = serde_json::from_str(&watcher.last(DISCOVERY)).unwrap();
    assert_eq!(device["cmps"]["gate_recording"], json!({"p": "switch"}));
    nothing_is_kept_of_gate(&watcher);
    watcher.wait("test/nvr/yard/online", "ON");
    assert_eq!(watcher.of("test/nvr/status"), ["online"], "without a break");
}

#[test]
fn a_camera_that_is_removed_while_the_recorder_is_off_disappears_at_its_next_start() {
    let broker = Broker::open();
    let (_camera, mut nvr, one, watcher) = yard_and_gate(&broker);
    // Anybody may say anything there.
    broker.publish("test/nvr/\"x/recording", "ON", &["-r"]);
    assert!(nvr.terminate().0.success());
    nvr.set_config(|_| one.clone());
    nvr.restart();
    wait_for("the device without it", || {
        let device = serde_json::from_str::<Value>(&watcher.last(DISCOVERY)).unwrap();
        device["cmps"]["gate_recording"] == json!({"p": "switch"})
    });
    nothing_is_kept_of_gate(&watcher);
    watcher.wait("test/nvr/yard/online", "ON");
}

#[test]
fn a_refused_password_is_logged_once_and_never_shown() {
    let broker = Broker::start("allow_anonymous false\npassword_file /dev/null");
    let url = broker.url().replace("mqtt://", "mqtt://nvr:hunter2@");
    let camera = clip();
    let nvr = recorder(&camera, &url);
    let said = format!("mqtt: {}: it refuses user and password", broker.url());
    nvr.wait_for_log(&said);
    let before = nvr.files();
    // Two more tries, after 1 and 2 s.
    let_pass(Duration::from_secs(4));
    nvr.wait_for_recording(&before);
    assert_eq!(nvr.log().matches(&said).count(), 1);
    let shown = ask(&nvr.web_address(), "GET", "/api/config", &[], "").text();
    assert!(shown.contains("mqtt://nvr:***@"), "{shown}");
    assert!(!shown.contains("hunter2") && !nvr.log().contains("hunter2"));
}

#[test]
fn the_right_password_opens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let mut tool = Command::new("mosquitto_passwd");
    let made = tool.args(["-b", "-c"]).arg(&file).args(["nvr", "p@ss"]).status();
    assert!(made.unwrap().success());
    let broker = Broker::start(&format!("allow_anonymous false\npassword_file {}", file.display()));
    let camera = clip();
    let nvr = recorder(&camera, &broker.url().replace("mqtt://", "mqtt://nvr:p%40ss@"));
    nvr.wait_for_log("mqtt=connected");
}

#[test]
fn two_recorders_with_one_topic_log_why_they_lose_their_server() {
    let broker = Broker::open();
    let camera = clip();
    let recorders = [recorder(&camera, &broker.url()), recorder(&camera, &broker.url())];
    wait_for("the reason", || {
        recorders
            .iter()
            .any(|it| it.log().contains("give each recorder an `mqtt.topic` of its own"))
    });
}

#[test]
fn a_server_that_closes_on_large_packets_is_reported_with_the_remedy() {
    let broker = Broker::start("allow_anonymous true\nmax_packet_size 1000");
    let camera = clip();
    let nvr = recorder(&camera, &broker.url());
    nvr.wait_for_log("see how large its packets may be");
    nvr.wait_for_recording(&nvr.files());
    assert_eq!(nvr.log().matches("again and again").count(), 1, "said once");
}

#[test]
fn a_server_that_does_not_speak_mqtt_or_hangs_is_reported_and_recording_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for (nth, socket) in listener.incoming().enumerate() {
            let mut socket = socket.unwrap();
            match nth {
                0 => socket.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").unwrap(),
                1 => socket.write_all(&[0x20, 2, 0, 1]).unwrap(),
                2 => drop(socket.write_all(&[0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0xff])),
                // Says nothing, reads nothing.
                3 => {}
                // Opens, and reads nothing.
                _ => socket.write_all(&[0x20, 2, 0, 0]).unwrap(),
            }
            kept.push(socket);
        }
    });
    let camera = clip();
    let nvr = recorder(&camera, &format!("mqtt://127.0.0.1:{port}"));
    nvr.wait_for_log(&format!("mqtt: mqtt://127.0.0.1:{port}: what it sends is not MQTT"));
    nvr.wait_for_log("it does not speak MQTT 3.1.1");
    nvr.wait_for_log("it does not answer");
    let before = nvr.files();
    nvr.wait_for_recording(&before);
    wait_for("the one that opens", || nvr.log().contains("mqtt=connected"));
    for _ in 0..100 {
        door(&nvr, "on");
        door(&nvr, "off");
    }
    let before = nvr.files();
    nvr.wait_for_recording(&before);
    assert!(nvr.log().matches("it does not answer").count() <= 2);
}
