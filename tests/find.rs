//! Finding cameras: which are found, what they are told, and what they are not told.

use crate::support::{
    Nvr, SHORT_SEGMENTS,
    http::{ORIGIN, ask},
    port::Port,
    smolnvr,
};
use camera::{Auth, Camera, Clip, Scheme};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    iter,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

/// `smolnvr find --json`: its status, and the cameras.
fn find(arguments: &[&str], password: Option<&str>) -> (Option<i32>, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .args(["find", "--json"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    if let Some(password) = password {
        writeln!(input, "{password}").unwrap();
    }
    // It does not read what it needs not, and may be gone by now.
    drop(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

/// The virtual camera of `ci/onvif_camera.py`.
struct Foreign {
    child: Child,
    address: String,
    requests: Receiver<String>,
}

impl Foreign {
    fn start(account: &[&str]) -> Foreign {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("sh")
            .arg(root.join("ci/python.sh"))
            .arg(root.join("ci/onvif_camera.py"))
            .args(account)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, requests) = channel();
        let said = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let port = requests.recv().unwrap();
        Foreign { child, address: format!("127.0.0.1:{port}"), requests }
    }

    /// How many requests had a token, since this was last asked.
    fn tokens(&self) -> usize {
        // What was said before is known once this is.
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let mark = "POST /onvif/x HTTP/1.1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmark";
        socket.write_all(mark.as_bytes()).unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
        let before = self.requests.iter().take_while(|line| line != "mark");
        before.filter(|line| line == "token").count()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn a_camera_of_others_is_found_by_multicast_and_shows_its_streams() {
    let camera = Foreign::start(&[]);
    let (status, found) = find(&[], None);
    assert_eq!(status, Some(0), "{found}");
    let onvif = json!(format!("http://{}/onvif/device_service", camera.address));
    let one = found.as_array().unwrap().iter().find(|it| it["onvif"] == onvif);
    let one = one.unwrap_or_else(|| panic!("{found}"));
    assert_eq!((&one["address"], &one["name"]), (&json!("127.0.0.1"), &json!("Virtual")), "{one}");

    let (status, found) = find(&[&camera.address], None);
    assert_eq!(status, Some(0), "{found}");
    let one = &found[0];
    assert_eq!((&one["maker"], &one["model"]), (&json!("PythonCam"), &json!("VirtualCam-1")));
    let urls: Vec<_> = one["streams"].as_array().unwrap().iter().map(|it| &it["url"]).collect();
    let main = json!("rtsp://127.0.0.1:8554/video_main");
    assert_eq!(urls, [&main, &json!("rtsp://127.0.0.1:8554/video_sub")]);
    assert_eq!(one["snapshot"], json!(format!("http://{}/snapshot.jpg", camera.address)));
}

#[test]
fn a_camera_of_others_gets_a_wrong_password_no_more_than_twice() {
    let camera = Foreign::start(&["admin", "p&ss \"word\""]);
    let (status, found) = find(&[&camera.address], None);
    assert_eq!((status, &found[0]["needs_password"]), (Some(1), &json!(true)), "{found}");
    assert_eq!(camera.tokens(), 0);
    let (status, found) = find(&[&camera.address, "--user", "admin"], Some("p&ss \"word\""));
    assert_eq!(status, Some(0), "{found}");
    assert_eq!(found[0]["streams"][0]["width"], 1920);
    assert!(camera.tokens() > 3);
    let (status, found) = find(&[&camera.address, "--user", "admin"], Some("wrong"));
    assert_eq!((status, &found[0]["needs_password"]), (Some(1), &json!(true)), "{found}");
    assert!(found[0]["error"].as_str().unwrap().contains("refuses this user and password"));
    assert!((1..=2).contains(&camera.tokens()));
}

/// A camera that speaks HTTP as `answer` does: the head and body of a request in, a reply out. Its
/// port, and the heads of all requests.
fn camera(answer: fn(&str, &str) -> String) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    thread::spawn(move || {
        let mut open = Vec::new();
        for socket in listener.incoming().map_while(Result::ok) {
            let Some((head, body)) = request(&socket) else { continue };
            let reply = answer(&head, &body);
            seen.lock().unwrap().push(head);
            let _ = (&socket).write_all(reply.as_bytes());
            // Only what announces its length is closed.
            open.extend(Some(socket).filter(|_| !reply.contains("Content-Length")));
        }
    });
    (port, heads)
}

fn request(socket: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.split("Content-Length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

fn reply(status: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
}

fn soap(body: &str) -> String {
    let document = format!("<Envelope><Body>{body}</Body></Envelope>");
    reply("200 OK", "Content-Type: application/soap+xml\r\n", &document)
}

/// Wants Digest for all but the clock, knows Media2 by name only, and has everything elsewhere.
fn digest_camera(head: &str, body: &str) -> String {
    let asks = |name: &str| body.contains(&format!("<{name} "));
    if asks("GetSystemDateAndTime") {
        return soap("<GetSystemDateAndTimeResponse/>");
    }
    // MD5 of the password is not checked here: what counts is how often it comes.
    if !head.contains("Authorization: Digest username=\"admin\"") {
        let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
        return reply("401 Unauthorized", challenge, "");
    }
    if asks("GetServices") {
        let service = |version: u8, path: &str| {
            format!(
                "<Service><Namespace>http://www.onvif.org/ver{version}0/media/wsdl</Namespace>\
                 <XAddr>http://10.99.99.99:1/{path}</XAddr></Service>"
            )
        };
        return soap(&(service(1, "one") + &service(2, "two")));
    }
    if head.starts_with("POST /two ") {
        let fault = "<Fault><Code><Value>ter:ActionNotSupported</Value></Code></Fault>";
        return reply("500 Error", "", &format!("<Envelope><Body>{fault}</Body></Envelope>"));
    }
    if asks("GetProfiles") {
        return soap("<Profiles token=\"a&amp;b\"><Name>main</Name></Profiles>");
    }
    if asks("GetStreamUri") && body.contains("<ProfileToken>a&amp;b</ProfileToken>") {
        return soap("<Uri> rtsp://127.0.1.1:8555/x?a=1&b=2 </Uri>");
    }
    soap("")
}

#[test]
fn a_camera_with_digest_is_asked_for_media_when_it_has_no_media2() {
    let (port, _) = camera(digest_camera);
    let address = format!("127.0.0.1:{port}");
    let (status, found) = find(&[&address, "--user", "admin"], Some("secret"));
    assert_eq!(status, Some(0), "{found}");
    assert_eq!(found[0]["streams"][0]["url"], "rtsp://127.0.0.1:8555/x?a=1&b=2");
}

#[test]
fn a_camera_that_answers_only_named_actions_shows_its_streams_and_one_that_refuses_them_too() {
    fn named(head: &str, body: &str) -> String {
        let name = body.split("<s:Body").nth(1).unwrap().split('<').nth(1).unwrap();
        let (name, rest) = name.split_once(' ').unwrap();
        let namespace = rest.split('"').nth(1).unwrap();
        let action = format!("soap+xml; charset=utf-8; action=\"{namespace}/{name}\"\r\n");
        if head.contains(&action) { digest_camera(head, body) } else { reply("200 OK", "", "") }
    }
    fn plain(head: &str, body: &str) -> String {
        if head.contains("action=") {
            reply("500 Error", "", "")
        } else {
            digest_camera(head, body)
        }
    }
    for answer in [named, plain] {
        let (port, heads) = camera(answer);
        let (status, found) =
            find(&[&format!("127.0.0.1:{port}"), "--user", "admin"], Some("secret"));
        assert_eq!(status, Some(0), "{found}");
        assert_eq!(found[0]["streams"][0]["url"], "rtsp://127.0.0.1:8555/x?a=1&b=2");
        // Only the clock, without a password, is asked for both ways.
        let heads = heads.lock().unwrap();
        let unnamed = heads.iter().filter(|head| !head.contains("action=")).count();
        assert!(unnamed == 2 || unnamed == heads.len(), "{heads:#?}");
    }
}

#[test]
fn a_camera_that_knows_soap_1_1_alone_shows_its_streams() {
    fn old(head: &str, body: &str) -> String {
        let is_old = head.contains("Content-Type: text/xml")
            && body.contains("\"http://schemas.xmlsoap.org/soap/envelope/\"")
            && head.contains("SOAPAction: \"http://www.onvif.org/ver");
        if is_old { digest_camera(head, body) } else { reply("200 OK", "", "") }
    }
    let (port, heads) = camera(old);
    let (status, found) = find(&[&format!("127.0.0.1:{port}"), "--user", "admin"], Some("secret"));
    assert_eq!(status, Some(0), "{found}");
    assert_eq!(found[0]["streams"][0]["url"], "rtsp://127.0.0.1:8555/x?a=1&b=2");
    // No password comes in a form that is not understood.
    let heads = heads.lock().unwrap();
    let dressed = heads.iter().filter(|head| head.contains("Authorization:"));
    assert!(dressed.clone().count() > 0 && dressed.clone().all(|it| it.contains("text/xml")));
}

#[test]
fn a_camera_that_says_no_length_and_leaves_its_connections_open_is_heard() {
    fn open(head: &str, body: &str) -> String {
        let reply = digest_camera(head, body);
        let (fields, document) = reply.split_once("Content-Length").unwrap();
        [fields, "\r\n", document.split_once("\r\n\r\n").unwrap().1].concat()
    }
    let (port, _) = camera(open);
    let (status, found) = find(&[&format!("127.0.0.1:{port}"), "--user", "admin"], Some("secret"));
    assert_eq!(status, Some(0), "{found}");
    assert_eq!(found[0]["streams"][0]["url"], "rtsp://127.0.0.1:8555/x?a=1&b=2");
}

#[test]
fn one_that_answers_passwords_with_nothing_hears_two_of_them() {
    fn silent(head: &str, body: &str) -> String {
        match head.contains("Authorization:") {
            false if !body.contains("<GetSystemDateAndTime ") => digest_camera(head, body),
            false => soap("<GetSystemDateAndTimeResponse/>"),
            true => reply("400 Bad Request", "", ""),
        }
    }
    let (port, heads) = camera(silent);
    let (status, found) = find(&[&format!("127.0.0.1:{port}"), "--user", "x"], Some("y"));
    assert_eq!((status, &found[0]["needs_password"]), (Some(1), &json!(true)), "{found}");
    let heads = heads.lock().unwrap();
    assert_eq!(heads.iter().filter(|head| head.contains("Authorization:")).count(), 2);
}

#[test]
fn a_camera_that_refuses_every_password_hears_two_and_then_nothing() {
    fn refuses(head: &str, body: &str) -> String {
        if body.contains("<GetSystemDateAndTime ") {
            return soap("<GetSystemDateAndTimeResponse/>");
        }
        // A new nonce each time, so that the client cannot tell by it.
        let nonce = head.len() + body.len();
        let challenge = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"\r\n");
        reply("401 Unauthorized", &challenge, "")
    }
    let (port, heads) = camera(refuses);
    let (status, found) = find(&[&format!("127.0.0.1:{port}"), "--user", "x"], Some("y"));
    assert_eq!((status, &found[0]["needs_password"]), (Some(1), &json!(true)), "{found}");
    // The clock twice, the first request without a password, then Digest, then a token.
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 5, "{heads:#?}");
    assert_eq!(heads.iter().filter(|head| head.contains("Authorization:")).count(), 1);
}

#[test]
fn nobody_is_redirected_and_no_page_that_is_not_a_camera_gets_a_password() {
    fn elsewhere(_: &str, _: &str) -> String {
        reply("302 Found", "Location: http://127.0.0.1:1/onvif/device_service\r\n", "")
    }
    fn page(_: &str, _: &str) -> String {
        reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"router\"\r\n", "<html></html>")
    }
    for answer in [elsewhere, page] {
        let (port, heads) = camera(answer);
        let (status, _) = find(&[&format!("127.0.0.1:{port}"), "--user", "x"], Some("y"));
        assert_eq!(status, Some(1));
        let heads = heads.lock().unwrap();
        assert!(heads.iter().all(|head| !head.contains("Authorization:")), "{heads:#?}");
        assert_eq!(heads.len(), 1, "{heads:#?}");
    }
}

#[test]
fn a_camera_without_onvif_is_found_by_the_path_of_its_maker() {
    let clip = || Clip::committed("plain.h264").unwrap();
    let auth = Auth::new(Scheme::Digest, "admin", "secret");
    let camera = Camera::builder()
        .stream("Streaming/Channels/101", clip())
        .stream("Streaming/Channels/102", clip())
        .auth(auth)
        .start()
        .unwrap();
    let address = format!("rtsp://127.0.0.1:{}", camera.port());
    let (status, found) = find(&[&address], None);
    assert_eq!((status, &found[0]["needs_password"]), (Some(1), &json!(true)), "{found}");
    let (status, found) = find(&[&address, "--user", "admin"], Some("secret"));
    assert_eq!(status, Some(0), "{found}");
    for (stream, path) in [(0, "101"), (1, "102")] {
        let url = format!("{address}/Streaming/Channels/{path}");
        assert_eq!(found[0]["streams"][stream]["url"], url, "{found}");
        assert_eq!(found[0]["streams"][stream]["codec"], "h264");
    }
    let (status, found) = find(&[&address, "--user", "admin"], Some("wrong"));
    assert_eq!((status, &found[0]["needs_password"]), (Some(1), &json!(true)), "{found}");
}

#[test]
fn the_path_that_was_given_is_tried_and_a_server_without_a_stream_is_told_from_none() {
    let clip = Clip::committed("plain.h264").unwrap();
    let auth = Auth::new(Scheme::Digest, "admin", "s/e@c");
    let camera = Camera::builder().stream("of/no/maker", clip).auth(auth).start().unwrap();
    let url = camera.url("of/no/maker");
    let (status, found) = find(&[&url], None);
    assert_eq!((status, &found[0]["needs_password"]), (Some(1), &json!(true)), "{found}");
    let (status, found) = find(&[&url.replace("//", "//admin:s%2Fe%40c@")], None);
    assert_eq!((status, &found[0]["streams"][0]["url"]), (Some(0), &json!(url)), "{found}");

    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder().stream("of/no/maker", clip).start().unwrap();
    let (status, _, complaint) = smolnvr(&["find", &camera.url("")]);
    assert_eq!(status, Some(1));
    assert!(complaint.contains("speaks RTSP, but has no stream where"), "{complaint}");
}

#[test]
fn a_host_that_accepts_and_says_nothing_is_given_up_after_one_question() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    thread::spawn(move || listener.incoming().for_each(|it| kept.lock().unwrap().push(it)));
    let (status, _, complaint) = smolnvr(&["find", &address]);
    assert_eq!(status, Some(1), "{complaint}");
    // Whether anything listens, and the question.
    assert_eq!(asked.lock().unwrap().len(), 2);
}

/// The timeout was for each read: a device that sent a byte now and then blocked all searches for
/// hours.
#[test]
#[expect(clippy::disallowed_methods, reason = "the pace of a slow device")]
fn a_device_whose_answer_comes_byte_by_byte_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/slow", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let bytes = iter::repeat_n(b"a".as_slice(), 100);
            let rest = b"\r\nContent-Length: 10\r\n\r\nH264/90000".as_slice();
            let mut pieces =
                iter::once(b"RTSP/1.0 200 OK\r\nX: ".as_slice()).chain(bytes).chain([rest]);
            // Until the other side has closed.
            let _ = pieces.try_for_each(|piece| {
                thread::sleep(Duration::from_millis(100));
                socket.write_all(piece)
            });
        }
    });
    let (status, _, complaint) = smolnvr(&["find", &url]);
    assert_eq!(status, Some(1), "{complaint}");
}

#[test]
fn the_page_asks_one_at_a_time_and_not_the_internet() {
    let port = Port::closed();
    let nvr = Nvr::start(&port.url("cam"), SHORT_SEGMENTS);
    let address = nvr.web_address();
    let post = |question: &str| ask(&address, "POST", "/api/discover", &[ORIGIN], question);
    let clip = Clip::committed("plain.h264").unwrap();
    let camera = Camera::builder().stream("stream=0", clip).start().unwrap();
    let found = post(&json!({"address": camera.url("")}).to_string());
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(found.json()["cameras"][0]["streams"][0]["url"], camera.url("stream=0"));
    for (question, status) in [
        ("", 400),
        ("[]", 400),
        ("{\"user\":\"x\",\"password\":\"y\"}", 400),
        ("{\"address\":\"8.8.8.8\"}", 400),
        ("{\"address\":\"a b\"}", 400),
        ("{\"address\":\"rtsp://127.0.0.1:1\"}", 502),
    ] {
        let answer = post(question);
        assert_eq!(answer.status, status, "{question} {answer:?}");
    }
    let dead = Port::dead();
    let question = json!({"address": format!("127.0.0.1:{}", dead.number())}).to_string();
    thread::scope(|scope| {
        let first = scope.spawn(|| post(&question));
        let second = scope.spawn(|| post(&question));
        let mut answers = [first.join().unwrap().status, second.join().unwrap().status];
        answers.sort_unstable();
        assert_eq!(answers, [409, 502]);
    });
}

#[test]
fn find_says_what_is_wrong_with_an_address() {
    for (arguments, status, words) in [
        (&["find", "8.8.8.8"][..], 1, "8.8.8.8 is not in a private network"),
        (&["find", "a b"], 1, "expected an IP address or a host name"),
        (&["find", "--user", "x"], 2, "--user is for one camera"),
        (&["find", "a", "b"], 2, "unexpected argument \"b\""),
        (&["find", "rtsp://127.0.0.1:1"], 1, "answers neither as an ONVIF camera nor over RTSP"),
    ] {
        let (code, _, complaint) = smolnvr(arguments);
        assert_eq!(code, Some(status), "{complaint}");
        assert!(complaint.contains(words), "{complaint}");
    }
}
