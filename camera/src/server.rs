//! The camera: a listener on loopback, its streams, and statistics of what they sent.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::auth::Auth;
use crate::clip::Clip;
use crate::connection::Connection;
use crate::faults::Faults;
use crate::http::{Pages, PictureRequest, Pictures};
use crate::locked;
use crate::session::ssrc;
use crate::statistics::{Board, Session, SessionState, TransportKind};
use crate::stream::{Options, Speed, Stream};

/// A running camera. Dropping it closes all its connections and waits for its threads.
#[derive(Debug)]
pub struct Camera {
    shared: Arc<Shared>,
    port: u16,
    listener: Option<JoinHandle<()>>,
    pages: Option<Pages>,
}

/// Configures a camera and starts it.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    port: u16,
    auth: Option<Auth>,
    options: Options,
    streams: Vec<(String, Clip, Option<Options>)>,
    http: Option<u16>,
}

impl Builder {
    /// Offers `clip` as `/name`, played with the options of the whole camera.
    pub fn stream(mut self, name: &str, clip: Clip) -> Builder {
        self.streams.push((name.to_owned(), clip, None));
        self
    }

    /// Offers `clip` as `/name`, played with these options.
    pub fn stream_with(mut self, name: &str, clip: Clip, options: Options) -> Builder {
        self.streams.push((name.to_owned(), clip, Some(options)));
        self
    }

    /// Options of streams that have none of their own.
    pub fn options(mut self, options: Options) -> Builder {
        self.options = options;
        self
    }

    pub fn speed(mut self, speed: Speed) -> Builder {
        self.options.speed = speed;
        self
    }

    /// Each session ends after this many frames; see [`Options::then`].
    pub fn frames(mut self, frames: u64) -> Builder {
        self.options.frames = Some(frames);
        self
    }

    pub fn faults(mut self, faults: Faults) -> Builder {
        self.options.faults = faults;
        self
    }

    /// Requires a password; OPTIONS never needs one.
    pub fn auth(mut self, auth: Auth) -> Builder {
        self.auth = Some(auth);
        self
    }

    /// Offers a JPEG at `http://127.0.0.1:PORT/image.jpg` too, to the same user; 0: any free port.
    pub fn http(mut self, port: u16) -> Builder {
        self.http = Some(port);
        self
    }

    /// The default, 0, is any free port.
    pub fn port(mut self, port: u16) -> Builder {
        self.port = port;
        self
    }

    /// Listens on 127.0.0.1; clients can connect as soon as this returns.
    ///
    /// # Errors
    /// The port is taken, or a name is empty or used twice.
    pub fn start(self) -> Result<Camera, StartError> {
        let mut streams: Vec<Arc<Stream>> = Vec::new();
        for (name, clip, options) in self.streams {
            let name = name.trim_matches('/').to_owned();
            if name.is_empty() || streams.iter().any(|stream| stream.name == name) {
                return Err(StartError::Name(name));
            }
            let options = options.unwrap_or_else(|| self.options.clone());
            streams.push(Arc::new(Stream::new(name, clip, options)));
        }
        let listen = |error| StartError::Listen(self.port, error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let pages = self.http.map(|port| {
            let nonces = RandomState::new();
            let nonce = format!("{:016x}{:016x}", hashed(&nonces, 0), hashed(&nonces, 1));
            let pages = Pages::start(port, self.auth.clone(), nonce);
            pages.map_err(|error| StartError::Listen(port, error))
        });
        let pages = pages.transpose()?;
        let shared = Arc::new(Shared {
            streams,
            auth: self.auth,
            board: Arc::default(),
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = shared.clone();
        let listener = thread::Builder::new()
            .name("listener".into())
            .spawn(move || accept(&accepting, &listener))
            .map_err(listen)?;
        Ok(Camera { shared, port, listener: Some(listener), pages })
    }
}

impl Camera {
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a stream, without name and password.
    pub fn url(&self, name: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{name}", self.port)
    }

    /// The addresses of all streams, in the order they were given.
    pub fn urls(&self) -> Vec<String> {
        self.shared.streams.iter().map(|stream| self.url(&stream.name)).collect()
    }

    /// The JPEG's address, without name and password; `None` without [`Builder::http`].
    pub fn picture_url(&self) -> Option<String> {
        self.pages.as_ref().map(|pages| format!("http://127.0.0.1:{}/image.jpg", pages.port))
    }

    /// Changes how requests for the JPEG are answered.
    pub fn set_pictures(&self, pictures: Pictures) {
        if let Some(pages) = &self.pages {
            pages.set(pictures);
        }
    }

    /// The requests by HTTP so far, oldest first.
    pub fn picture_requests(&self) -> Vec<PictureRequest> {
        self.pages.as_ref().map(Pages::requests).unwrap_or_default()
    }

    /// What each of the newest 1,000 sessions has sent so far, oldest first. A frame counts after
    /// the socket has accepted it, so the client may be a moment ahead: see [`Camera::wait`].
    pub fn sessions(&self) -> Vec<Session> {
        self.shared.board.sessions()
    }

    /// Waits until `met` returns true for the sessions; returns false if it does not within
    /// `timeout`.
    pub fn wait(&self, timeout: Duration, met: impl Fn(&[Session]) -> bool) -> bool {
        let end = Instant::now() + timeout;
        while !met(&self.sessions()) {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(WAIT_POLL);
        }
        true
    }

    /// Changes a stream's faults, also in sessions that already play. Returns false if there is no
    /// such stream.
    pub fn set_faults(&self, name: &str, faults: Faults) -> bool {
        let stream = self.shared.stream(name);
        stream.map(|stream| stream.set_faults(faults)).is_some()
    }

    /// Sends a document in a stream's metadata track, to all sessions that set it up.
    pub fn say(&self, name: &str, document: &str) {
        if let Some(stream) = self.shared.stream(name) {
            stream.say(document.to_owned());
        }
    }

    /// A stream's current faults.
    pub fn faults(&self, name: &str) -> Option<Faults> {
        self.shared.stream(name).map(|stream| stream.faults())
    }

    /// Cuts all connections, as when a pulled cable is noticed; keeps listening.
    pub fn disconnect_all(&self) {
        self.shared.disconnect_all();
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)); // wakes the listener
        if let Some(listener) = self.listener.take() {
            let _ = listener.join(); // its panic is on standard error already
        }
    }
}

/// Why a camera does not start.
#[derive(Debug)]
pub enum StartError {
    Listen(u16, io::Error),
    Name(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(port, error) => write!(f, "127.0.0.1:{port}: {error}"),
            StartError::Name(name) => write!(f, "stream name {name:?} is empty or there twice"),
        }
    }
}

impl std::error::Error for StartError {}

/// State shared by all connections of a camera.
#[derive(Debug)]
pub(crate) struct Shared {
    streams: Vec<Arc<Stream>>,
    pub(crate) auth: Option<Auth>,
    pub(crate) board: Arc<Board>,
    stopping: AtomicBool,
    /// The connections by number, so that they can be cut.
    connections: Mutex<Vec<(u64, TcpStream)>>,
}

impl Shared {
    pub(crate) fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.iter().find(|stream| stream.name == name)
    }

    /// Enters a new session into the statistics.
    pub(crate) fn enter(&self, stream: &Stream, transport: TransportKind) -> Session {
        let options = &stream.options;
        self.board.enter(|number| Session {
            number,
            stream: stream.name.clone(),
            transport,
            state: SessionState::Ready,
            first_frame: options.first_frame,
            first_timestamp: options.start_timestamp.unwrap_or_else(|| ssrc(number + 1000)),
            first_sequence: options.start_sequence.unwrap_or_else(|| ssrc(number + 2000) as u16),
            frames: 0,
            packets: 0,
            lost: 0,
            broken: Vec::new(),
            bytes: 0,
            sounds: 0,
            keepalives: 0,
            reports: 0,
            reception: None,
        })
    }

    fn disconnect_all(&self) {
        for (_, stream) in locked(&self.connections).iter() {
            let _ = stream.shutdown(Shutdown::Both); // fails where the client was faster
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    let nonces = RandomState::new();
    for (number, accepted) in (1..).zip(listener.incoming()) {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let nonce = format!("{:016x}{:016x}", hashed(&nonces, number), hashed(&nonces, !number));
        match accepted.and_then(|stream| connect(shared, stream, number, nonce)) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                eprintln!("camera: a connection was not accepted: {error}");
                thread::sleep(ACCEPT_PAUSE); // out of file descriptors: not in a tight loop
            }
        }
    }
    shared.disconnect_all();
    for thread in threads {
        let _ = thread.join(); // its panic is on standard error already
    }
}

fn connect(
    shared: &Arc<Shared>,
    stream: TcpStream,
    number: u64,
    nonce: String,
) -> io::Result<JoinHandle<()>> {
    locked(&shared.connections).push((number, stream.try_clone()?));
    let shared = shared.clone();
    thread::Builder::new().name(format!("connection {number}")).spawn(move || {
        // Clients may vanish at any time; the statistics say how the session ended.
        let _ = Connection::serve(shared.clone(), stream, nonce);
        locked(&shared.connections).retain(|(other, _)| *other != number);
    })
}

fn hashed(state: &RandomState, number: u64) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u64(number);
    hasher.finish()
}

const WAIT_POLL: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
