//! Hostile requests, one a file of `tests/hostile`, named after the status that they get.

use super::*;
use std::{fs, path::Path};

/// Names and values of header fields.
pub type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Names and bytes.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let requests = entries.filter(|path| path.extension().is_some_and(|end| end == "http"));
    requests
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect()
}

/// A head whose form is in order, taken apart as the server does.
pub fn parts(head: &str) -> (&str, &str, Pairs<'_>) {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = target.split('?').next().unwrap();
    let fields = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.as_bytes(), value.trim().as_bytes())
    });
    (method, path, fields.collect())
}

#[test]
fn every_hostile_request_gets_the_status_that_its_file_is_named_after() {
    let files = files();
    assert!(files.len() > 100, "{}", files.len());
    for (name, bytes) in files {
        let expected: u16 = name[..3].parse().unwrap();
        let status =
            Form::default().take(&bytes).map_err(|refusal| refusal.status()).and_then(|()| {
                let text = std::str::from_utf8(&bytes).unwrap();
                let (method, path, fields) = parts(text);
                let mut bench = Bench::new(Password::Unset);
                bench.peer = peer("127.0.0.1");
                let head = AccessHead::read(method, path, &mut fields.into_iter())
                    .map_err(|r| r.status())?;
                bench.access.admit(&head, bench.peer, bench.now).map_err(|refusal| refusal.status())
            });
        assert_eq!(status.map(drop), Err(expected), "{name}");
    }
}

#[test]
fn every_refusal_is_one_line_of_words_without_control_characters() {
    for (name, bytes) in files() {
        if let Err(refusal) = Form::default().take(&bytes) {
            let text = refusal.to_string();
            assert!(!text.is_empty() && !text.contains(char::is_control), "{name}: {text}");
        }
    }
}
