//! Stores for copies, each a process of its own: WebDAV by WsgiDAV, S3 by s3rver, which checks
//! signatures; and a line to them that breaks in chosen ways.

use super::{port::Port, wait_for};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tempfile::TempDir;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// With Digest or Basic.
    WebDav {
        digest: bool,
    },
    S3,
}

pub struct Store {
    kind: Kind,
    directory: TempDir,
    port: u16,
    child: Option<Child>,
    line: Line,
}

impl Store {
    pub fn start(kind: Kind) -> Store {
        let port = Port::closed().number();
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("nvr")).unwrap();
        let line = Line::to(port);
        let mut store = Store { kind, directory, port, child: None, line };
        store.go_on();
        store
    }

    pub fn go_on(&mut self) {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = self.directory.path();
        let mut command = Command::new("sh");
        match self.kind {
            Kind::WebDav { digest } => {
                let config = root.join("wsgidav.json");
                let text = serde_json::json!({
                    "host": "127.0.0.1", "port": self.port,
                    "provider_mapping": { "/dav": root },
                    "simple_dc": { "user_mapping": { "*": { "us er": { "password": "p@ss/w" } } } },
                    "http_authenticator": {
                        "accept_basic": !digest, "accept_digest": digest, "default_to_digest": digest,
                    },
                });
                fs::write(&config, text.to_string()).unwrap();
                let run = "from wsgidav.server.server_cli import run; run()";
                command
                    .arg(top.join("ci/python.sh"))
                    .args(["-c", run, "-q", "--config"])
                    .arg(config);
            }
            Kind::S3 => {
                command
                    .arg(top.join("ci/node.sh"))
                    .args(["s3rver", "--silent", "--address", "127.0.0.1", "--no-vhost-buckets"])
                    .args(["--port", &self.port.to_string(), "--configure-bucket", "nvr", "-d"])
                    .arg(root);
            }
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_for("the store", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `archive.url`.
    pub fn url(&self) -> String {
        let (address, line) = ("127.0.0.1", self.line.port);
        match self.kind {
            Kind::WebDav { .. } => format!("http://us%20er:p%40ss%2Fw@{address}:{line}/dav/nvr/"),
            Kind::S3 => format!("s3+http://S3RVER:S3RVER@{address}:{line}/nvr/cam"),
        }
    }

    pub fn behave(&self, behaviour: Behaviour) {
        self.line.mode.store(behaviour as usize, Relaxed);
    }

    /// What it has, by name; parts too.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.directory.path().join("nvr")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let object = name.strip_suffix("._S3rver_object");
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) =
                    if self.kind == Kind::S3 { object } else { Some(name.as_str()) }
                {
                    let bytes = fs::read(PathBuf::from(&path)).unwrap_or_default();
                    found.insert(name.to_owned(), bytes);
                }
            }
        }
        found
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How the line behaves.
#[derive(Clone, Copy)]
pub enum Behaviour {
    Passes,
    Answers503,
    /// After some bytes of a request's body.
    BreaksOff,
    /// 50 KB a second.
    Slow,
}

struct Line {
    port: u16,
    mode: Arc<AtomicUsize>,
}

impl Line {
    fn to(store: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&mode);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mode = shared.load(Relaxed);
                thread::spawn(move || serve(client, store, mode));
            }
        });
        Line { port, mode }
    }
}

fn serve(mut client: TcpStream, store: u16, mode: usize) {
    if mode == Behaviour::Answers503 as usize {
        let _ = client.read(&mut [0; 4096]);
        let _ = client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", store)) else { return };
    let (mut back, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut server, mut passed, mut piece) = (server, 0, [0; 4096]);
    while let Ok(count) = client.read(&mut piece) {
        passed += count;
        let is_broken = mode == Behaviour::BreaksOff as usize && passed > 16_000;
        if count == 0 || is_broken || server.write_all(&piece[..count]).is_err() {
            break;
        }
        if mode == Behaviour::Slow as usize {
            thread::sleep(Duration::from_millis(count as u64 / 50));
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
