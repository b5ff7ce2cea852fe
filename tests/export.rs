//! Recordings listed and saved from a shell, by time.

use crate::{
    clip::{recorded, span},
    support::{http::ask, smolnvr},
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixListener,
    path::Path,
    process::Command,
    thread,
};

/// Runs a command in a folder of its own, in Berlin: status, standard output, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .args(arguments)
        .current_dir(folder)
        .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        .output()
        .unwrap();
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn an_export_is_what_the_server_hands_out_also_where_none_runs() {
    let (mut nvr, address, _camera) = recorded();
    let socket = nvr.directory.path().join("smolnvr.sock");
    let config = nvr.directory.path().join("smolnvr.toml");
    let [socket, config] = [&socket, &config].map(|path| path.to_str().unwrap());
    let (begin, end) = span(&address);
    let [from, to] = [begin + 1500, end - 500].map(|time| time.to_string());
    let export = ["export", "camera", &from, &to];
    let target = format!("/clip/camera.mp4?from={from}&to={to}");
    let wanted = ask(&address, "GET", &target, &[], "");
    let name = wanted.field("Content-Disposition").unwrap().split('"').nth(1).unwrap().to_owned();

    let folder = tempfile::tempdir().unwrap();
    let (status, said, complaint) =
        run(folder.path(), &[&export[..], &["--socket", socket]].concat());
    assert_eq!((status, &*complaint), (Some(0), ""));
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with(&format!("{name}: 20")) && said.contains("+0"), "{said}");
    assert_eq!(names_in(folder.path()), [&*name]);
    assert!(fs::read(folder.path().join(&name)).unwrap() == wanted.body);

    let to_output = ["-o", "-", "--socket", socket];
    let (status, film, complaint) = run(folder.path(), &[&export[..], &to_output].concat());
    assert_eq!((status, &*complaint), (Some(0), ""));
    assert!(film == wanted.body);
    // Something other than a file is written to, and not replaced.
    let to_device = ["-o", "/dev/null", "--socket", socket];
    assert_eq!(run(folder.path(), &[&export[..], &to_device].concat()).0, Some(0));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());

    assert!(nvr.terminate().0.success());
    let film = folder.path().join("there.mp4");
    let to_file = ["-o", film.to_str().unwrap(), "-c", config];
    let (status, _, complaint) = run(folder.path(), &[&export[..], &to_file].concat());
    assert_eq!((status, &*complaint), (Some(0), ""));
    assert!(fs::read(&film).unwrap() == wanted.body);
    fs::remove_file(&film).unwrap();
    let never = ["export", "camera", "2001-01-01", "+1h", "-o", film.to_str().unwrap()];
    let (status, _, complaint) = run(folder.path(), &[&never[..], &["-c", config]].concat());
    assert_eq!((status, &*complaint), (Some(1), "smolnvr: nothing was recorded then\n"));
    assert_eq!(names_in(folder.path()), [&*name]);
}

/// A socket that answers one request with `answer` and hangs up; returns the request's first line.
fn daemon(path: &Path, answer: &str) -> thread::JoinHandle<String> {
    let (listener, answer) = (UnixListener::bind(path).unwrap(), answer.to_owned());
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let asked = lines.next().unwrap().unwrap();
        assert!(lines.any(|line| line.unwrap().is_empty()));
        stream.write_all(answer.as_bytes()).unwrap();
        asked
    })
}

#[test]
fn half_an_export_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nvr");
    let socket = path.to_str().unwrap();
    let target = folder.path().join("film.mp4");
    let export = ["export", "yard", "-10m", "now", "--socket", socket];
    let export = [&export[..], &["-o", target.to_str().unwrap()]].concat();
    for (answer, complaint) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", "closed the connection"),
        ("HTTP/1.1 503 \r\nContent-Length: 17\r\n\r\n{\"error\":\"later\"}", "later"),
        ("nothing like it\r\n\r\n", "not from smolnvr"),
    ] {
        // One that is there already is not harmed.
        fs::write(&target, "before").unwrap();
        let daemon = daemon(&path, answer);
        let (status, _, said) = smolnvr(&export);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(complaint) && said.lines().count() == 1, "{said}");
        assert!(daemon.join().unwrap().starts_with("GET /clip/yard.mp4?from="));
        assert_eq!(fs::read_to_string(&target).unwrap(), "before");
        fs::remove_file(&path).unwrap();
        assert_eq!(names_in(folder.path()), ["film.mp4"]);
    }
    let (status, _, said) = smolnvr(&export);
    assert_eq!(status, Some(1));
    assert!(said.contains("no daemon is running"), "{said}");
}

#[test]
fn what_is_no_span_is_refused_before_anybody_is_asked() {
    for (arguments, words) in [
        (&["export", "yard", "14:27"][..], "expected CAMERA FROM TO"),
        (&["export", "yard", "14:27", "25:00"], "\"25:00\" is not a time"),
        (&["keep", "yard", "14:28", "14:27"], "14:27 is not later than 14:28"),
        (&["export", "a/b", "14:27", "14:28"], "is not a valid camera name"),
        (&["list", "--last", "x"], "x"),
        (&["list", "--from", "soon"], "\"soon\" is not a time"),
    ] {
        let (status, _, said) = smolnvr(arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn keep_asks_the_daemon_and_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nvr");
    let keep = ["keep", "yard", "1795528800000", "+5m", "--socket", path.to_str().unwrap()];
    for (off, answer, status, asked, said) in [
        (&[][..], "{\"segments\":5,\"bytes\":9000000}", 0, "PUT", "kept: 5 recordings, 9.0 MB\n"),
        (&["--off"], "{\"segments\":0,\"bytes\":0}", 1, "DELETE", "no longer kept: 0 recordings"),
    ] {
        let length = answer.len();
        let daemon =
            daemon(&path, &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}"));
        let (code, output, complaint) = smolnvr(&[&keep[..], off].concat());
        assert_eq!((code, &*complaint), (Some(status), ""));
        assert!(output.starts_with(said), "{output}");
        let target = "/api/keep/yard?from=1795528800000&to=1795529100000";
        assert_eq!(daemon.join().unwrap(), format!("{asked} {target} HTTP/1.1"));
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn recordings_are_listed_by_time_newest_last() {
    let (nvr, address, _camera) = recorded();
    let socket = nvr.directory.path().join("smolnvr.sock");
    let config = nvr.directory.path().join("smolnvr.toml");
    let list = ask(&address, "GET", "/api/recordings", &[], "").json();
    let mut wanted: Vec<(String, i64)> = list["recordings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["file"].as_str().unwrap().to_owned(), it["start_ms"].as_i64().unwrap()))
        .collect();
    wanted.reverse();
    assert!(wanted.len() >= 3);
    let folder = nvr.directory.path();
    for way in [["--socket", socket.to_str().unwrap()], ["-c", config.to_str().unwrap()]] {
        let list = |more: &[&str]| {
            let (status, output, complaint) = run(folder, &[&["list"][..], &way, more].concat());
            assert_eq!((status, &*complaint), (Some(0), ""));
            let output = String::from_utf8(output).unwrap();
            let files = output.lines().map(|line| line.split('\t').nth(1).unwrap().to_owned());
            (files.collect::<Vec<_>>(), output)
        };
        let names = |range: std::ops::Range<usize>| -> Vec<String> {
            wanted[range].iter().map(|(file, _)| file.clone()).collect()
        };
        let (files, output) = list(&[]);
        assert_eq!(files, names(0..wanted.len()));
        let line = output.lines().next().unwrap();
        assert!(line.contains("+01:00") || line.contains("+02:00"), "{line}");
        assert_eq!(list(&["--last", "2"]).0, names(wanted.len() - 2..wanted.len()));
        let [second, third] = [1, 2].map(|nth: usize| (wanted[nth].1 + 500).to_string());
        assert_eq!(list(&["camera", "--from", &second, "--to", &third]).0, names(1..3));
        assert_eq!(list(&["--to", &second, "--last", "1"]).0, names(1..2));
        assert_eq!(list(&["--from", "-1h", "--to", "now"]).0, names(0..wanted.len()));
        assert_eq!(list(&["--to", "-1d"]).0, names(0..0));
        let (status, _, complaint) = run(folder, &[&["list", "attic"][..], &way].concat());
        assert_eq!(
            (status, &*complaint),
            (Some(1), "smolnvr: there is no camera named \"attic\"\n")
        );
        let (_, json, _) = run(folder, &[&["list", "--json", "--last", "1"][..], &way].concat());
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json[0]["file"], wanted[wanted.len() - 1].0);
        assert_eq!(json.as_array().unwrap().len(), 1);
    }
}
