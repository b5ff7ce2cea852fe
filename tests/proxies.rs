//! nginx, Caddy and HAProxy in front: as docs/access.md has them, and as they come.

use crate::support::{
    Nvr, SHORT_SEGMENTS, config,
    http::{Answer, Client, ORIGIN, ask},
    port::Port,
    wait_for, with_password,
};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

const PASSWORD: &str = r#"{"password":"correct horse"}"#;
const NAME: &str = "nvr.example.org";
/// Browsers speak TLS to the proxy.
const BROWSER: &str = "Origin: https://nvr.example.org";

/// A proxy with a configuration of its own, which ends with this.
struct Proxy {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// `text` has LISTEN where the port belongs and FOLDER where files do.
    fn start(program: &str, arguments: &[&str], text: &str) -> Proxy {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let text = text.replace("LISTEN", &port.to_string()).replace("FOLDER", path);
        let file = folder.path().join("conf");
        fs::write(&file, text).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .arg(&file)
            .env("XDG_DATA_HOME", path)
            .env("XDG_CONFIG_HOME", path)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        wait_for(program, || TcpStream::connect(&address).is_ok());
        Proxy { child, address, _folder: folder }
    }

    fn nginx(server: &str) -> Proxy {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path FOLDER/{name};"))
            .concat();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let text = format!(
            "daemon off; {user} pid FOLDER/pid; error_log FOLDER/error;\nevents {{}}\n\
             http {{ access_log off; {temporary}\n{server}\n}}\n"
        );
        Proxy::start("/usr/sbin/nginx", &["-c"], &text)
    }

    fn caddy(site: &str) -> Proxy {
        let text = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}\n");
        Proxy::start("caddy", &["run", "--adapter", "caddyfile", "--config"], &text)
    }

    fn haproxy(target: &str) -> Proxy {
        let text = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             frontend page\n bind 127.0.0.1:LISTEN\n default_backend nvr\n\
             backend nvr\n option httpchk\n server nvr {target} check inter 100ms\n"
        );
        Proxy::start("/usr/sbin/haproxy", &["-db", "-f"], &text)
    }
}

/// The block of that kind in docs/access.md, for a proxy and a recorder on this machine, without
/// TLS.
fn documented(kind: &str, target: &str) -> String {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access.md")).unwrap();
    let block = text.split(&format!("```{kind}\n")).nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let lines = block.lines().filter(|line| !line.contains("ssl_certificate"));
    let block = lines.map(|line| format!("{line}\n")).collect::<String>();
    assert!(block.contains(NAME) && block.contains("192.168.1.10:8080"), "{block}");
    block.replace("192.168.1.10:8080", target)
}

fn recorder() -> (Nvr, String, Port) {
    let port = Port::closed();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &port.url("cam"))]);
    let text = with_password(&text).replace("[web]\n", &format!("[web]\nhosts = [\"{NAME}\"]\n"));
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    assert_eq!(ask(&address, "PUT", "/api/password", &[ORIGIN], PASSWORD).status, 200);
    (nvr, address, port)
}

/// A request as a browser sends it to the proxy; `host` is what its address bar says.
fn browse(proxy: &Proxy, host: &str, method: &str, target: &str, more: &str, body: &str) -> Answer {
    let mut client = Client::new(&proxy.address);
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{more}Content-Length: {length}\r\n\r\n{body}"
    );
    let request = if length == 0 { request.replace("Content-Length: 0\r\n", "") } else { request };
    client.send(request.as_bytes());
    client.answer()
}

/// Logs in through a proxy and changes something; the cookie.
fn use_page(proxy: &Proxy, host: &str, origin: &str) -> String {
    let page = browse(proxy, host, "GET", "/", "Accept-Encoding: gzip\r\n", "");
    assert_eq!(page.status, 200, "{page:?}");
    let fields = format!("{origin}\r\nContent-Type: application/json\r\n");
    let session = browse(proxy, host, "POST", "/api/session", &fields, PASSWORD);
    assert_eq!(session.status, 200, "{session:?}");
    let cookie = format!("Cookie: {}\r\n", session.cookie());
    let fields = [&fields, &cookie[..]].concat();
    let wish = r#"{"storage":{"keep_days":3}}"#;
    let changed = browse(proxy, host, "PUT", "/api/config", &fields, wish);
    assert_eq!(changed.status, 200, "{changed:?}");
    cookie
}

/// Events come through a proxy as they happen.
fn assert_events_pass(proxy: &Proxy, recorder: &str, host: &str, cookie: &str) {
    let mut direct = Client::new(recorder);
    direct.begin("GET", "/api/events", &[cookie.trim_end()], "");
    let mut through = Client::new(&proxy.address);
    through.send(format!("GET /api/events HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n").as_bytes());
    // One that gathers them first has given nothing by then.
    for _ in 0..2 {
        assert!(direct.until(b"data:").is_some());
    }
    through.stream.set_read_timeout(Some(std::time::Duration::from_secs(3))).unwrap();
    assert!(through.until(b"data:").is_some());
}

fn assert_websocket_passes(proxy: &Proxy, host: &str, origin: &str, cookie: &str) {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let fields = [origin, "\r\n", cookie, upgrade].concat();
    let mut client = Client::new(&proxy.address);
    let request = format!("GET /live/camera HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    client.send(request.as_bytes());
    let answer = client.head();
    assert_eq!(answer.status, 101, "{answer:?}");
}

#[test]
fn nginx_as_documented_serves_all_of_the_page() {
    let (_nvr, address, _port) = recorder();
    let server = documented("nginx", &address).replace("listen 443 ssl", "listen 127.0.0.1:LISTEN");
    let proxy = Proxy::nginx(&server);
    let cookie = use_page(&proxy, NAME, BROWSER);
    assert_events_pass(&proxy, &address, NAME, &cookie);
    assert_websocket_passes(&proxy, NAME, BROWSER, &cookie);
}

#[test]
fn nginx_as_it_comes_serves_the_page() {
    let (_nvr, address, _port) = recorder();
    for more in ["", "proxy_set_header Host $host;", "proxy_set_header Host $host:443;"] {
        let proxy = Proxy::nginx(&format!(
            "server {{ listen 127.0.0.1:LISTEN; location / {{ proxy_pass http://{address}; {more} }} }}"
        ));
        // On a port of its own, too.
        for (host, origin) in
            [(NAME, BROWSER), ("nvr.example.org:8443", "Origin: https://nvr.example.org:8443")]
        {
            let cookie = use_page(&proxy, host, origin);
            assert_events_pass(&proxy, &address, host, &cookie);
            // It passes no WebSocket on, which the page is told by these.
            let asked = browse(&proxy, host, "GET", "/live/camera", &cookie, "");
            assert_eq!(asked.status, 426, "{asked:?}");
        }
        let evil = "Origin: https://evil.example\r\n";
        assert_eq!(browse(&proxy, NAME, "POST", "/api/session", evil, PASSWORD).status, 403);
    }
}

#[test]
fn caddy_as_documented_serves_all_of_the_page() {
    let (_nvr, address, _port) = recorder();
    let site = documented("caddyfile", &address).replace(NAME, &format!("http://{NAME}:LISTEN"));
    let site = site.replace("{\n", "{\n\tbind 127.0.0.1\n");
    let proxy = Proxy::caddy(&site);
    let cookie = use_page(&proxy, NAME, BROWSER);
    assert_events_pass(&proxy, &address, NAME, &cookie);
    assert_websocket_passes(&proxy, NAME, BROWSER, &cookie);
}

#[test]
fn haproxy_as_it_comes_serves_all_of_the_page() {
    let (_nvr, address, _port) = recorder();
    let proxy = Proxy::haproxy(&address);
    wait_for("its check of the recorder", || {
        browse(&proxy, NAME, "GET", "/api/session", "", "").status == 200
    });
    let cookie = use_page(&proxy, NAME, BROWSER);
    assert_events_pass(&proxy, &address, NAME, &cookie);
    assert_websocket_passes(&proxy, NAME, BROWSER, &cookie);
}
