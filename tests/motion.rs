//! Motion seen in a camera's JPEG, or by the camera's own detectors: it becomes a mark, and what is
//! watched is known.

use crate::support::{Nvr, SHORT_SEGMENTS, config, http::ask, wait_for};
use camera::{Auth, Camera, Clip, Metadata, Options, Pictures, Scheme, Setup};
use serde_json::Value;
use smolnvr::http::websocket;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

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
fn motion_in_the_pictures_is_a_mark_and_watching_ends_without_pictures() {
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

#[test]
fn a_message_of_majestic_is_a_mark_and_watching_ends_with_the_websocket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("yard", &camera.url("cam"))]);
    let keys = format!(
        "[[camera]]\nsnapshot = \"http://127.0.0.1:{port}/image.jpg\"\nmotion = \"majestic\""
    );
    let nvr = Nvr::start_with(directory, &text.replace("[[camera]]", &keys), &[]);
    let address = nvr.web_address();
    let (mut socket, _) = listener.accept().unwrap();
    let head: Vec<String> = BufReader::new(&socket)
        .lines()
        .map(Result::unwrap)
        .take_while(|line| !line.is_empty())
        .collect();
    assert_eq!(head[0], "GET /ws/analytics HTTP/1.1");
    let key = head.iter().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    write!(
        socket,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        websocket::accept(key)
    )
    .unwrap();
    let mut frame = |first: u8, text: &str| {
        let frame = [&[first, text.len() as u8], text.as_bytes()].concat();
        socket.write_all(&frame).unwrap();
    };
    frame(0x81, r#"{"src":"motion","active":false,"w":640,"h":360,"n":0,"total":0,"r":[]}"#);
    wait_for("something is watched", || !marks(&address, "watched").is_empty());
    assert_eq!(marks(&address, "motion"), [] as [Value; 0]);
    frame(0x89, "ping");
    frame(0x81, r#"{"src":"motion","active":true,"n":1,"total":1,"r":[[12,30,24,18,0,0]]}"#);
    wait_for("motion", || !marks(&address, "motion").is_empty());
    assert_eq!(marks(&address, "motion")[0]["source"], "majestic");
    let mut pong = [0; 10];
    socket.read_exact(&mut pong).unwrap();
    assert_eq!(pong[..2], [0x8a, 0x84]);
    let unmasked: Vec<u8> = (0..4).map(|nth| pong[6 + nth] ^ pong[2 + nth]).collect();
    assert_eq!(unmasked, b"ping");
    drop(socket);
    drop(listener);
    wait_for("both have ended", || {
        let all = [marks(&address, "motion"), marks(&address, "watched")].concat();
        all.iter().all(|mark| mark["end_ms"].is_i64())
    });
    nvr.wait_for_log("camera=yard motion=blind error=");
}

/// A document of a metadata track.
fn metadata(topic: &str, operation: &str, state: bool) -> String {
    format!(
        "<tt:MetadataStream><tt:Event><wsnt:NotificationMessage><wsnt:Topic>tns1:{topic}</wsnt:Topic>\
         <wsnt:Message><tt:Message UtcTime=\"2026-11-30T06:00:00Z\" PropertyOperation=\"{operation}\">\
         <tt:Data><tt:SimpleItem Name=\"State\" Value=\"{state}\"/></tt:Data></tt:Message></wsnt:Message>\
         </wsnt:NotificationMessage></tt:Event></tt:MetadataStream>"
    )
}

#[test]
fn a_notification_in_the_metadata_track_is_a_mark_and_watching_ends_without_the_track() {
    const ALARM: &str = "VideoSource/MotionAlarm";
    for transport in ["tcp", "udp"] {
        let greeting = metadata(ALARM, "Initialized", true);
        let metadata_track = Metadata { greeting, ..Metadata::default() };
        let options = Options { metadata: Some(metadata_track), ..Options::default() };
        let camera =
            Camera::builder().options(options).stream("cam", Clip::built_in()).start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let text = config(directory.path(), SHORT_SEGMENTS, &[("yard", &camera.url("cam"))]);
        let keys = format!("[[camera]]\nmotion = \"onvif\"\ntransport = \"{transport}\"");
        let nvr = Nvr::start_with(directory, &text.replace("[[camera]]", &keys), &[]);
        let address = nvr.web_address();
        wait_for("something is watched", || !marks(&address, "watched").is_empty());
        assert_eq!(marks(&address, "motion"), [] as [Value; 0], "it began before we listened");

        camera.say("cam", &metadata(ALARM, "Changed", true));
        camera.say("cam", &metadata("RuleEngine/MyRuleDetector/PeopleDetect", "Changed", true));
        wait_for("motion", || !marks(&address, "motion").is_empty());
        wait_for("a person", || !marks(&address, "person").is_empty());
        let mark = &marks(&address, "motion")[0];
        assert_eq!((&mark["camera"], &mark["source"]), (&"yard".into(), &"onvif".into()));
        assert_eq!(nvr.status()["cameras"][0]["marks"]["going_on"], true);
        camera.say("cam", &metadata(ALARM, "Changed", false));
        wait_for("motion has ended", || marks(&address, "motion")[0]["end_ms"].is_i64());
        assert!(marks(&address, "person")[0]["end_ms"].is_null(), "it is still there");
        nvr.wait_for_log("camera=yard state=live");
        drop(camera);
        nvr.wait_for_log("camera=yard motion=blind error=");
        wait_for("all have ended", || {
            let all = [marks(&address, "person"), marks(&address, "watched")].concat();
            all.iter().all(|mark| mark["end_ms"].is_i64())
        });
    }
}

#[test]
fn a_camera_that_refuses_its_metadata_is_recorded_all_the_same() {
    for setup in [Setup::Refuse, Setup::Close] {
        let track = Metadata { setup, ..Metadata::default() };
        let options = Options { metadata: Some(track), ..Options::default() };
        let camera =
            Camera::builder().options(options).stream("cam", Clip::built_in()).start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let text = config(directory.path(), SHORT_SEGMENTS, &[("yard", &camera.url("cam"))]);
        let keys = "[[camera]]\nmotion = \"onvif\"";
        let nvr = Nvr::start_with(directory, &text.replace("[[camera]]", keys), &[]);
        nvr.wait_for_log("camera=yard state=live");
        nvr.wait_for_log("motion=blind error=");
        nvr.wait_for_log("camera=yard file=002.mp4 closed");
    }
}

/// A camera's ONVIF side, with Digest: says each of `said` once, and waits while there is nothing
/// to say.
struct Events {
    port: u16,
    said: Arc<Mutex<Vec<String>>>,
    /// The names of all requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Events {
    fn start() -> Events {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let events = Events { port, said: Arc::default(), asked: Arc::default() };
        let (said, asked) = (Arc::clone(&events.said), Arc::clone(&events.asked));
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (said, asked) = (Arc::clone(&said), Arc::clone(&asked));
                thread::spawn(move || answer(&socket, port, &said, &asked));
            }
        });
        events
    }

    fn count(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|it| *it == name).count()
    }
}

fn answer(
    mut socket: &TcpStream,
    port: u16,
    said: &Mutex<Vec<String>>,
    asked: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length =
        head.split("Content-Length: ").nth(1).map_or("0", |it| it.split("\r\n").next().unwrap());
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let name = body.split("XMLSchema\"><").nth(1).unwrap_or_default().split(' ').next().unwrap();
    let is_open =
        name == "GetSystemDateAndTime" || head.contains("Authorization: Digest username=\"admin\"");
    asked.lock().unwrap().push(if is_open { name.to_owned() } else { "refused".to_owned() });
    let (status, fields, answer) = match name {
        _ if !is_open => (
            "401 Unauthorized",
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
            String::new(),
        ),
        "GetServices" => (
            "200 OK",
            "",
            format!(
                "<Service><Namespace>http://www.onvif.org/ver10/events/wsdl</Namespace>\
             <XAddr>http://10.9.9.9:{port}/events</XAddr></Service>"
            ),
        ),
        "CreatePullPointSubscription" => (
            "200 OK",
            "",
            format!(
                "<SubscriptionReference><Address>http://0.0.0.0:{port}/pull/1</Address></SubscriptionReference>\
             <CurrentTime>2026-11-30T06:00:00Z</CurrentTime><TerminationTime>2026-11-30T06:05:00Z</TerminationTime>"
            ),
        ),
        "PullMessages" => {
            assert!(head.starts_with("POST /pull/1 "), "{head}");
            let messages = loop {
                let messages = std::mem::take(&mut *said.lock().unwrap());
                if !messages.is_empty() {
                    break messages;
                }
                // A client that has gone wants nothing any more.
                socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                if socket.peek(&mut [0]).is_ok_and(|count| count == 0) {
                    return;
                }
            };
            ("200 OK", "", messages.concat())
        }
        _ => ("200 OK", "", String::new()),
    };
    let answer = format!("<Envelope><Body>{answer}</Body></Envelope>");
    let length = answer.len();
    let _ = write!(socket, "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{answer}");
}

#[test]
fn without_a_metadata_track_a_subscription_is_made_and_ended() {
    let events = Events::start();
    let auth = Auth::new(Scheme::Digest, "admin", "secret");
    let camera = Camera::builder().auth(auth).stream("cam", Clip::built_in()).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = camera.url("cam").replace("rtsp://", "rtsp://admin:secret@");
    let text = config(directory.path(), SHORT_SEGMENTS, &[("yard", &url)]);
    let keys = format!(
        "[[camera]]\nsnapshot = \"http://127.0.0.1:{}/image.jpg\"\nmotion = \"onvif\"",
        events.port
    );
    let nvr = Nvr::start_with(directory, &text.replace("[[camera]]", &keys), &[]);
    let address = nvr.web_address();
    wait_for("something is watched", || !marks(&address, "watched").is_empty());
    assert_eq!(marks(&address, "motion"), [] as [Value; 0]);
    events.said.lock().unwrap().push(metadata("VideoSource/MotionAlarm", "Changed", true));
    wait_for("motion", || !marks(&address, "motion").is_empty());
    assert_eq!(marks(&address, "motion")[0]["source"], "onvif");
    events.said.lock().unwrap().push(metadata("VideoSource/MotionAlarm", "Changed", false));
    wait_for("motion has ended", || marks(&address, "motion")[0]["end_ms"].is_i64());
    assert_eq!(events.count("refused"), 1, "one challenge");
    assert_eq!(events.count("CreatePullPointSubscription"), 1);
    nvr.reconfigure(&nvr.config_text().replace("\"onvif\"", "\"off\""));
    wait_for("it is ended", || events.count("Unsubscribe") == 1);
}
