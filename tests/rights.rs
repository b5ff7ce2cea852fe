//! Permissions: each cell of the table in docs/access.md is tried.

use crate::support::{
    Nvr, SHORT_SEGMENTS, config,
    http::{Client, ORIGIN, ask},
    port::Port,
    with_password,
};
use camera::{Camera, Clip};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

const PASSWORD: &str = r#"{"password":"correct horse"}"#;
const SAME_PASSWORD: &str = r#"{"password":"correct horse","old":"correct horse"}"#;
/// `x:correct horse`.
const BASIC: &str = "Authorization: Basic eDpjb3JyZWN0IGhvcnNl";
const LINK: [&str; 3] =
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];

type Request = (&'static str, &'static str, &'static str);

/// The request of a row; `None` if it needs a daemon without a password.
fn requests(row: &str) -> Option<&'static [Request]> {
    Some(match row {
        "`GET /`" => &[("GET", "/", ""), ("HEAD", "/", ""), ("GET", "/app.js", "")],
        "`GET /api/session`" => &[("GET", "/api/session", "")],
        "`POST /api/session` with the password" => &[("POST", "/api/session", PASSWORD)],
        "everything else that reads: recordings, live, settings" => &[
            ("GET", "/api/status", ""),
            ("GET", "/api/recordings", ""),
            ("GET", "/recordings/camera/000.mp4", ""),
            ("GET", "/snapshot/none.jpg", ""),
            ("GET", "/live/none.mp4", ""),
            ("GET", "/api/config", ""),
            ("GET", "/api/openapi.json", ""),
            ("GET", "/metrics", ""),
        ],
        "everything that changes: recording, deleting, shutting down" => &[
            ("POST", "/api/record/stop", ""),
            ("DELETE", "/api/recordings/camera/0", ""),
            ("PUT", "/api/keep/camera?from=1&to=2", ""),
            ("POST", "/api/storage/resume", ""),
            ("POST", "/api/nothing", ""),
        ],
        "`PUT /api/config`: cameras, how long recordings are kept" => {
            &[("PUT", "/api/config", r#"{"storage":{"keep_days":3}}"#)]
        }
        "`PUT /api/config`: programs, folders, access" => &[
            ("PUT", "/api/config", r#"{"ffmpeg":{"path":"/bin/true"}}"#),
            ("PUT", "/api/config", r#"{"web":{"hosts":["evil.example"]}}"#),
        ],
        "`PUT /api/password` with the old one" => &[("PUT", "/api/password", SAME_PASSWORD)],
        "`PUT /api/password` without it" => &[("PUT", "/api/password", PASSWORD)],
        "the first password, from the local network"
        | "the same through a proxy"
        | "anything else before there is a password" => return None,
        other => panic!("no such row: {other}"),
    })
}

/// Rows of the table: the request, and a word for each kind of client.
fn table() -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access.md");
    let text = fs::read_to_string(page).unwrap();
    let section = text.split("## Who may do what").nth(1).unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn daemon() -> (Nvr, String, Port) {
    let port = Port::closed();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &port.url("cam"))]);
    let nvr = Nvr::start_with(directory, &with_password(&text), &[]);
    let address = nvr.web_address();
    (nvr, address, port)
}

/// Returns true if a kind of client is admitted; `session` is a login's cookie.
fn may(nvr: &Nvr, who: usize, session: &str, more: &[&str], request: Request) -> bool {
    let (method, target, body) = request;
    let foreign = [session, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"];
    let fields: &[&str] = match who {
        0 | 3 => &[],
        1 => &[session, ORIGIN],
        2 => &[BASIC],
        _ => &foreign,
    };
    let fields: Vec<_> = fields.iter().chain(more).copied().filter(|it| !it.is_empty()).collect();
    let answer = if who == 3 {
        let socket = nvr.directory.path().join("smolnvr.sock");
        Client::local(&socket).ask(method, target, &fields, body)
    } else {
        ask(&nvr.web_address(), method, target, &fields, body)
    };
    assert!([200, 400, 401, 403, 404, 405, 409].contains(&answer.status), "{request:?} {answer:?}");
    // Without the old password, a new one is refused for lacking it.
    ![400, 401, 403].contains(&answer.status)
}

#[test]
fn every_cell_of_the_table_is_true() {
    let (nvr, address, _port) = daemon();
    assert_eq!(ask(&address, "PUT", "/api/password", &[ORIGIN], PASSWORD).status, 200);
    let table = table();
    assert!(table.len() > 10, "{table:?}");
    for row in &table {
        let [what, cells @ ..] = row.as_slice() else { panic!("{row:?}") };
        assert_eq!(cells.len(), 5, "{row:?}");
        for request in requests(what).unwrap_or_default() {
            for (who, cell) in cells.iter().enumerate() {
                // A new password may have ended the last one.
                let session = ask(&address, "POST", "/api/session", &[ORIGIN], PASSWORD);
                let session = ["Cookie: ", &session.cookie()].concat();
                let is_so = may(&nvr, who, &session, &[], *request);
                assert_eq!(is_so, cell == "yes", "{what}: {request:?} by number {who}");
                if cell == "by a link" && request.1 == "/" {
                    assert_eq!(ask(&address, request.0, request.1, &LINK, "").status, 200);
                }
            }
        }
    }
}

#[test]
fn the_table_is_also_true_before_a_password_is_set() {
    const FIRST: Request = ("PUT", "/api/password", PASSWORD);
    for row in table() {
        let [what, cells @ ..] = row.as_slice() else { panic!("{row:?}") };
        if requests(what).is_some() {
            continue;
        }
        for (who, cell) in cells.iter().enumerate() {
            let (nvr, address, _port) = daemon();
            // There is no session yet, and no right password: who says that he has one is a
            // stranger.
            let session = "Cookie: smolnvr-00000000=AAAAAAAAAAAAAAAAAAAAAA";
            if what.starts_with("anything") {
                for request in [("GET", "/api/status", ""), ("POST", "/api/record/stop", "")] {
                    assert_eq!(
                        may(&nvr, who, session, &[], request),
                        cell == "yes",
                        "{what} {who}"
                    );
                }
                continue;
            }
            // A session and Basic are not to be had: the row is about strangers, the socket and
            // pages.
            if [1, 2].contains(&who) {
                assert_eq!(cell, "no");
                assert_eq!(ask(&address, "POST", "/api/session", &[ORIGIN], PASSWORD).status, 403);
                continue;
            }
            let is_proxy = what.contains("proxy");
            if is_proxy && who == 3 {
                // No proxy speaks to it.
                continue;
            }
            let more: &[&str] = if is_proxy { &["X-Forwarded-For: 192.168.1.9"] } else { &[] };
            assert_eq!(may(&nvr, who, session, more, FIRST), cell == "yes", "{what} {who}");
        }
    }
}

#[test]
fn files_have_their_modes_whatever_mask_they_are_made_under() {
    for umask in ["000", "077"] {
        let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
        let nvr = Nvr::start_with_umask(directory, &with_password(&text), umask);
        nvr.wait_for_recording(&[]);
        let address = nvr.web_address();
        let answer = ask(&address, "PUT", "/api/password", &[ORIGIN], PASSWORD);
        let cookie = ["Cookie: ", &answer.cookie()].concat();
        let change = r#"{"storage":{"keep_days":3}}"#;
        let changed = ask(&address, "PUT", "/api/config", &[&cookie, ORIGIN], change);
        assert_eq!(changed.status, 200, "{changed:?}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for secret in ["smolnvr.toml", "smolnvr.passwd", "smolnvr.sock"] {
            assert_eq!(mode(&nvr.directory.path().join(secret)), 0o600, "{umask} {secret}");
        }
        let file = nvr.files()[0].clone();
        assert_eq!(mode(&file), 0o644, "{umask}");
        assert_eq!(mode(file.parent().unwrap()), 0o755, "{umask}");
    }
}
