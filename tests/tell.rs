//! Programs and web servers that are told what happens.

use crate::support::{
    Nvr, SHORT_SEGMENTS, config,
    http::{ORIGIN, ask},
    let_pass, smolnvr, wait_for,
};
use camera::{Camera, Clip};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// A folder that every user may write to, with a script in it.
fn folder_with(script: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let hook = directory.path().join("hook");
    set_script(&hook, script);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    directory
}

fn set_script(hook: &Path, script: &str) {
    let draft = hook.with_extension("new");
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&draft, hook).unwrap();
}

/// A recorder of the built-in clip with these keys of `[hooks]`.
fn recorder(directory: TempDir, hooks: &str) -> (Camera, Nvr) {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let nvr = Nvr::start_with(directory, &format!("{text}\n[hooks]\n{hooks}\n"), &[]);
    (camera, nvr)
}

fn note(nvr: &Nvr, mark: &Value) -> u16 {
    ask(&nvr.web_address(), "POST", "/api/marks", &[], &mark.to_string()).status
}

fn door(nvr: &Nvr, state: &str) -> u16 {
    note(nvr, &json!({"kind": "door", "words": "at $HOME; \"{kind}\"", "state": state}))
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// How often the log says this.
fn count(nvr: &Nvr, text: &str) -> usize {
    nvr.log().matches(text).count()
}

#[test]
fn a_program_is_told_of_a_door_when_it_opens_and_when_it_closes() {
    let directory = folder_with(
        "cd \"$1\" && shift && { echo \"$SMOLNVR_CAMERA $SMOLNVR_SOURCE $SMOLNVR_KIND $SMOLNVR_BEGIN_MS \
         end=$SMOLNVR_END_MS $SMOLNVR_WORDS\"; for it; do echo \"$it\"; done; id -u; \
         grep NoNewPrivs /proc/self/status; } >>told",
    );
    let (hook, told) = (directory.path().join("hook"), directory.path().join("told"));
    let hooks = format!(
        "on_mark = [{hook:?}, {:?}, \"{{begin}}: {{kind}}\", \"{{words}}\", \"{{unknown}}\"]",
        directory.path()
    );
    let (_camera, nvr) = recorder(directory, &hooks);
    assert_eq!(door(&nvr, "on"), 200);
    wait_for("the first call", || lines(&told).len() == 6);
    let first = lines(&told);
    let (head, rest) = first[0].split_once(" end=").unwrap();
    assert!(head.starts_with("camera script door 1"), "{head}");
    assert_eq!(rest, " at $HOME; \"{kind}\"", "no end yet, and no shell looked at it");
    assert!(first[1].ends_with("Z: door") && first[1].len() == 26, "{}", first[1]);
    assert_eq!(first[2..4], ["at $HOME; \"{kind}\"", "{unknown}"]);
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap());
    assert_eq!(first[4], if owner == 0 { "65534".to_owned() } else { owner.to_string() });
    assert_eq!(first[5], "NoNewPrivs:\t1");
    // Watching is no news, nor is a refusal.
    assert_eq!(note(&nvr, &json!({"kind": "watched"})), 200);
    assert_eq!(note(&nvr, &json!({"kind": "door", "camera": "none"})), 404);
    assert_eq!(door(&nvr, "off"), 200);
    wait_for("the second call", || lines(&told).len() == 12);
    let second = &lines(&told)[6];
    let (begin, end) = second.split_once(" end=").unwrap();
    assert_eq!(begin, head);
    assert!(end.starts_with('1'), "{second}");
}

#[test]
fn a_recording_is_handed_over_once_it_is_complete() {
    let directory = folder_with("cp \"$1\" \"$2\" && echo \"$SMOLNVR_BYTES $1\" >>\"$2/told\"");
    let copies = directory.path().join("copies");
    fs::create_dir(&copies).unwrap();
    fs::set_permissions(&copies, fs::Permissions::from_mode(0o777)).unwrap();
    let hook = directory.path().join("hook");
    let (_camera, nvr) =
        recorder(directory, &format!("on_segment = [{hook:?}, \"{{file}}\", {copies:?}]"));
    wait_for("three recordings", || lines(&copies.join("told")).len() >= 3);
    for line in lines(&copies.join("told")) {
        let (bytes, file) = line.split_once(' ').unwrap();
        let copy = copies.join(Path::new(file).file_name().unwrap());
        assert_eq!(fs::metadata(&copy).unwrap().len().to_string(), bytes, "{line}");
        let (status, verdict, _) = smolnvr(&["verify", copy.to_str().unwrap()]);
        assert_eq!(status, Some(0), "{verdict}");
    }
    let names: Vec<_> = lines(&copies.join("told"));
    let mut once = names.clone();
    once.dedup();
    assert_eq!(names, once);
    assert_eq!(nvr.complaints(), [""; 0]);
}

#[test]
fn a_program_that_fails_is_named_once_with_its_last_words() {
    let directory = folder_with("echo 'no such phone' >&2; exit 3");
    let hook = directory.path().join("hook");
    let (_camera, nvr) = recorder(directory, &format!("on_mark = [{hook:?}, \"secret\"]"));
    let said = format!("on_mark: {}: exit status: 3: no such phone", hook.display());
    for state in ["on", "off", "on", "off"] {
        assert_eq!(door(&nvr, state), 200);
    }
    nvr.wait_for_log(&said);
    set_script(&hook, "exit 0");
    wait_for("the end of its trouble", || {
        door(&nvr, "on");
        nvr.log().contains("on_mark=ok")
    });
    assert_eq!(count(&nvr, &said), 1);
    assert!(!nvr.log().contains("secret"));
    // One that is not there.
    fs::remove_file(&hook).unwrap();
    door(&nvr, "off");
    nvr.wait_for_log("not started: No such file");
}

#[test]
fn calls_that_a_slow_program_misses_are_counted_and_recording_goes_on() {
    let directory = folder_with("echo begin >>\"$1\"; sleep 1; echo end >>\"$1\"");
    let (hook, told) = (directory.path().join("hook"), directory.path().join("told"));
    let (_camera, nvr) = recorder(directory, &format!("on_mark = [{hook:?}, {told:?}]"));
    nvr.wait_for_recording(&[]);
    let before = nvr.files();
    for _ in 0..200 {
        door(&nvr, "on");
        door(&nvr, "off");
    }
    nvr.wait_for_log("on_mark: ");
    nvr.wait_for_log(" dropped: they came faster than they were taken");
    nvr.wait_for_recording(&before);
    wait_for("some calls", || lines(&told).len() >= 6);
    let words: Vec<_> = lines(&told);
    assert!(words.chunks_exact(2).all(|pair| pair == ["begin", "end"]), "one at a time: {words:?}");
}

#[test]
fn programs_are_set_only_in_the_file_and_end_when_removed_there() {
    let directory = folder_with("sleep 600 & echo $! >\"$1\"; wait");
    let (hook, told) = (directory.path().join("hook"), directory.path().join("told"));
    let (_camera, nvr) = recorder(directory, &format!("on_mark = [{hook:?}, {told:?}]"));
    for hooks in [json!({"on_mark": ["/bin/true"]}), json!({"webhook": "http://evil/"})] {
        let change = json!({"hooks": hooks}).to_string();
        let answer = ask(&nvr.web_address(), "PUT", "/api/config", &[ORIGIN], &change);
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert_eq!(door(&nvr, "on"), 200);
    wait_for("a child of the script", || lines(&told).len() == 1);
    let child = Path::new("/proc").join(&lines(&told)[0]);
    assert!(child.exists());
    nvr.reconfigure(&nvr.config_text().replace("on_mark", "on_segment"));
    wait_for("the child's end", || !child.exists());
    // The recordings that end from now on go to the new one.
    fs::remove_file(&told).unwrap();
    wait_for("a call for a recording", || lines(&told).len() == 1);
}

/// A web server that answers with these statuses in turn, and with the last one for ever. It keeps
/// what it was sent, and closes no connection.
struct Receiver {
    address: String,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    fn new(statuses: &'static [&'static str]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let sink = Arc::clone(&requests);
        thread::spawn(move || {
            let mut open = Vec::new();
            for (nth, socket) in listener.incoming().enumerate() {
                let mut socket = socket.unwrap();
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).unwrap();
                }
                let length = head.split("Content-Length: ").nth(1).unwrap();
                let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                sink.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
                let status = statuses[nth.min(statuses.len() - 1)];
                let _ = socket.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
                open.push(socket);
            }
        });
        Receiver { address, requests }
    }

    fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

#[test]
fn a_web_server_gets_marks_and_recordings_as_json() {
    let receiver = Receiver::new(&["204 No Content"]);
    let url = format!("http://user:p%40ss@{}/hook?x=1", receiver.address);
    let hooks = format!("webhook = {url:?}\nwebhook_segments = true");
    let (_camera, nvr) = recorder(tempfile::tempdir().unwrap(), &hooks);
    door(&nvr, "on");
    let of = |event: &str| {
        let mut all = receiver.requests();
        all.retain(|(_, body)| body["event"] == event);
        all
    };
    wait_for("both", || !of("mark").is_empty() && !of("segment").is_empty());
    let (head, mark) = of("mark").remove(0);
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nAuthorization: Basic dXNlcjpwQHNz\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    assert_eq!((&mark["kind"], &mark["end_ms"]), (&json!("door"), &Value::Null));
    let segment = of("segment").remove(0).1;
    let file = fs::metadata(segment["file"].as_str().unwrap()).unwrap();
    assert_eq!(segment["bytes"], file.len());
    assert_eq!(nvr.complaints(), [""; 0]);
    let (_, shown, _) = {
        let file = nvr.directory.path().join("smolnvr.toml");
        smolnvr(&["check", "-c", file.to_str().unwrap()])
    };
    assert!(shown.contains(&format!("webhook: http://{}/hook", receiver.address)), "{shown}");
    let config = ask(&nvr.web_address(), "GET", "/api/config", &[], "").text();
    assert!(config.contains("user:***@"), "{config}");
    assert!(!shown.contains("p%40ss") && !config.contains("p%40ss"));
}

#[test]
fn a_web_server_in_trouble_is_retried_and_one_that_refuses_is_not() {
    let receiver = Receiver::new(&["500 Oops", "503 Busy", "200 OK", "401 No", "401 No", "200 OK"]);
    let hooks = format!("webhook = \"http://{}\"", receiver.address);
    let (_camera, nvr) = recorder(tempfile::tempdir().unwrap(), &hooks);
    door(&nvr, "on");
    wait_for("three tries", || receiver.requests().len() == 3);
    let tries = receiver.requests();
    assert!(tries[0].1 == tries[1].1 && tries[1].1 == tries[2].1, "{tries:?}");
    assert_eq!(nvr.complaints(), [""; 0], "it arrived");
    for state in ["off", "on"] {
        door(&nvr, state);
    }
    let said = format!("webhook: http://{}: it answered 401", receiver.address);
    wait_for("two refusals", || receiver.requests().len() == 5);
    nvr.wait_for_log(&said);
    door(&nvr, "off");
    nvr.wait_for_log("webhook=ok");
    assert_eq!((count(&nvr, &said), receiver.requests().len()), (1, 6));
}

#[test]
fn a_web_server_that_answers_and_keeps_the_connection_is_told_once() {
    let receiver = Receiver::new(&["200 OK"]);
    let hooks = format!("webhook = \"http://{}/\"", receiver.address);
    let (_camera, nvr) = recorder(tempfile::tempdir().unwrap(), &hooks);
    for state in ["on", "off"] {
        door(&nvr, state);
    }
    wait_for("both", || receiver.requests().len() == 2);
    let told = receiver.requests();
    assert_ne!(told[0].1, told[1].1, "the first one again");
    assert_eq!(nvr.complaints(), [""; 0]);
}

#[test]
fn a_web_server_that_hangs_holds_nothing_up() {
    // Accepts in the kernel, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hooks = format!("webhook = \"http://{}/\"", silent.local_addr().unwrap());
    let (_camera, nvr) = recorder(tempfile::tempdir().unwrap(), &hooks);
    nvr.wait_for_recording(&[]);
    for _ in 0..100 {
        door(&nvr, "on");
        door(&nvr, "off");
    }
    let before = nvr.files();
    nvr.wait_for_log("no answer in time");
    nvr.wait_for_recording(&before);
    let_pass(Duration::from_millis(1));
    assert_eq!(count(&nvr, "no answer in time"), 1);
}
