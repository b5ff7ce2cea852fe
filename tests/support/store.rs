//! Stores for copies, each a process: WebDAV by WsgiDAV, nginx and rclone; S3 by s3rver, which
//! knows its keys but accepts any signature. A proxy before them breaks connections in chosen ways.

use super::{port::Port, wait_for};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// WebDAV, with Digest or Basic.
    WsgiDav {
        digest: bool,
    },
    Nginx,
    Rclone,
    S3,
}

pub struct Store {
    kind: Kind,
    root: PathBuf,
    port: u16,
    child: Option<Child>,
    line: Line,
}

impl Store {
    pub fn start(kind: Kind, root: &Path) -> Store {
        let port = Port::closed().number();
        fs::create_dir_all(root.join("nvr/a+b c")).unwrap();
        let line = Line::to(port);
        let mut store = Store { kind, root: root.to_owned(), port, child: None, line };
        store.go_on();
        store
    }

    pub fn go_on(&mut self) {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = &self.root;
        let mut command = Command::new("sh");
        match self.kind {
            Kind::WsgiDav { digest } => {
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
            Kind::Nginx => {
                fs::write(root.join("users"), "us er:{PLAIN}p@ss/w\n").unwrap();
                let (config, port) = (root.join("nginx.conf"), self.port);
                let text = format!(
                    "daemon off; master_process off; pid ROOT/pid; error_log ROOT/error;
                    events {{}} http {{ access_log off; client_body_temp_path ROOT/body;
                    server {{ listen 127.0.0.1:{port}; client_max_body_size 0;
                    auth_basic store; auth_basic_user_file ROOT/users;
                    location /dav/ {{ alias ROOT/; dav_methods PUT DELETE MKCOL MOVE; }} }} }}"
                );
                fs::write(&config, text.replace("ROOT", root.to_str().unwrap())).unwrap();
                command = Command::new("/usr/sbin/nginx");
                command.args(["-e", "stderr", "-c"]).arg(config);
            }
            Kind::Rclone => {
                command = Command::new("rclone");
                let address = format!("127.0.0.1:{}", self.port);
                command.args(["serve", "webdav", "--user", "us er", "--pass", "p@ss/w"]);
                command.args(["--config", "", "--baseurl", "/dav", "--addr", &address]).arg(root);
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
            Kind::WsgiDav { .. } | Kind::Nginx | Kind::Rclone => {
                format!("http://us%20er:p%40ss%2Fw@{address}:{line}/dav/nvr/a+b%20c/")
            }
            Kind::S3 => format!("s3+http://S3RVER:S3RVER@{address}:{line}/nvr/a+b%20c%c3%a9"),
        }
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.line.behaviour.lock().unwrap() = behaviour;
    }

    /// The number of requests with that method.
    pub fn asked(&self, method: &str) -> usize {
        self.line.asked.lock().unwrap().iter().filter(|it| *it == method).count()
    }

    /// The store's files by name, unfinished ones too.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.join("nvr")];
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

/// How the proxy behaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Behaviour {
    Passes,
    Answers(u16),
    /// Answers every request with these lines.
    Says(&'static str),
    /// Sends an interim answer as soon as a request begins.
    IsEarly,
    /// Breaks off after some bytes of a request's body.
    BreaksOff,
    /// 50 KB a second.
    Slow,
    /// Answers as S3 does to keys that may not list a bucket: 403 for what is missing.
    HidesWhatIsMissing,
    /// The same for keys that may write but not read: 403 for everything.
    HidesAll,
    /// Answers a MOVE with a timeout, and the store completes it later; until then nothing else can
    /// be put there.
    MovesLate,
}

struct Line {
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    /// The method of each request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Line {
    fn to(store: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour = Arc::new(Mutex::new(Behaviour::Passes));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let line = Line { port, behaviour: Arc::clone(&behaviour), asked: Arc::clone(&asked) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let behaviour = *behaviour.lock().unwrap();
                let asked = Arc::clone(&asked);
                thread::spawn(move || serve(client, store, behaviour, &asked));
            }
        });
        line
    }
}

/// MOVEs that a store has not completed.
static MOVES: AtomicUsize = AtomicUsize::new(0);

fn serve(mut client: TcpStream, store: u16, behaviour: Behaviour, asked: &Mutex<Vec<String>>) {
    let mut piece = [0; 4096];
    let Ok(count) = client.read(&mut piece) else { return };
    let method = piece[..count].split(|byte| *byte == b' ').next().unwrap();
    let method = String::from_utf8_lossy(method).into_owned();
    asked.lock().unwrap().push(method.clone());
    let head = String::from_utf8_lossy(&piece[..count]).into_owned();
    let has = |field: &str| head.contains(field);
    let answer = match behaviour {
        Behaviour::MovesLate if method == "MOVE" => {
            MOVES.fetch_add(1, Ordering::SeqCst);
            let answer = "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n";
            let _ = client.write_all(answer.as_bytes()).and(client.shutdown(Shutdown::Both));
            thread::sleep(Duration::from_secs(4));
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", store)) {
                let _ = server.write_all(&piece[..count]);
                let _ = server.read_to_end(&mut Vec::new());
            }
            MOVES.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        Behaviour::MovesLate if method == "PUT" && MOVES.load(Ordering::SeqCst) > 0 => {
            "HTTP/1.1 423 Locked\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        Behaviour::HidesAll if method == "HEAD" => {
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        // As S3 does for a bucket that locks objects against deletion.
        _ if method == "PUT" && has("x-amz-date: ") && !has("Content-MD5: ") => {
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        Behaviour::Answers(status) => format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"),
        Behaviour::Says(lines) => format!("HTTP/1.1 {lines}\r\n\r\n"),
        Behaviour::IsEarly => "HTTP/1.1 102 Processing\r\n\r\n".to_owned(),
        _ => String::new(),
    };
    let _ = client.write_all(answer.as_bytes());
    if !answer.is_empty() && behaviour != Behaviour::IsEarly {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", store)) else { return };
    pass_on(client, server, &piece[..count], method == "HEAD", behaviour);
}

/// Passes a request to the store, its reply back, and what else comes.
fn pass_on(
    mut client: TcpStream,
    mut server: TcpStream,
    begun: &[u8],
    is_head: bool,
    behaviour: Behaviour,
) {
    let (mut back, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        if behaviour == Behaviour::HidesWhatIsMissing && is_head {
            let mut answer = Vec::new();
            let _ = back.read_to_end(&mut answer);
            let text = String::from_utf8_lossy(&answer).replacen(" 404 ", " 403 ", 1);
            let _ = to.write_all(text.as_bytes());
        }
        let _ = std::io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut piece = [0; 4096];
    piece[..begun.len()].copy_from_slice(begun);
    let (mut count, mut passed) = (begun.len(), 0);
    while count > 0 {
        passed += count;
        let is_broken = behaviour == Behaviour::BreaksOff && passed > 16_000;
        if is_broken || server.write_all(&piece[..count]).is_err() {
            break;
        }
        if behaviour == Behaviour::Slow {
            thread::sleep(Duration::from_millis(count as u64 / 50));
        }
        count = client.read(&mut piece).unwrap_or(0);
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
