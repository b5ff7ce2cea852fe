//! Pictures: serves a JPEG by HTTP, as cameras do beside their streams.
//!
//! Spec: RFC 9112. `GET /image.jpg` with any query; one request per connection. Knows nothing of:
//! RTSP, clips.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::auth::Auth;
use crate::locked;

/// How `/image.jpg` is answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Pictures {
    /// With a `Content-Length`.
    #[default]
    Whole,
    /// Another whole picture.
    Of(Vec<u8>),
    /// The usual picture after this long.
    Late(Duration),
    Chunked,
    /// Without a length: the body ends with the connection.
    UntilClose,
    /// An endless stream of pictures.
    Multipart,
    /// 503: JPEG is off, as majestic answers.
    Off,
    /// 404: the picture has another path.
    Missing,
    /// Fewer bytes than announced.
    CutShort,
    /// 200, and a page instead of a picture.
    NotJpeg,
    /// A body that never ends.
    Endless,
    /// The connection stays open, but nothing comes.
    Silent,
    /// 302 to this address; other paths have the picture.
    Elsewhere(String),
}

/// One request and the answer it got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PictureRequest {
    pub path: String,
    pub status: u16,
    pub at: Instant,
}

/// The listener; dropping it closes all its connections and waits for its threads.
#[derive(Debug)]
pub(crate) struct Pages {
    shared: Arc<Shared>,
    pub(crate) port: u16,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    auth: Option<Auth>,
    nonce: String,
    pictures: Mutex<Pictures>,
    requests: Mutex<Vec<PictureRequest>>,
    connections: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

impl Pages {
    pub(crate) fn start(port: u16, auth: Option<Auth>, nonce: String) -> io::Result<Pages> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            auth,
            nonce,
            pictures: Mutex::default(),
            requests: Mutex::default(),
            connections: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        let listener = thread::Builder::new()
            .name("pictures".into())
            .spawn(move || accept(&accepting, &listener))?;
        Ok(Pages { shared, port, listener: Some(listener) })
    }

    pub(crate) fn set(&self, pictures: Pictures) {
        *locked(&self.shared.pictures) = pictures;
    }

    pub(crate) fn requests(&self) -> Vec<PictureRequest> {
        locked(&self.shared.requests).clone()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)); // wakes the listener
        if let Some(listener) = self.listener.take() {
            let _ = listener.join(); // its panic is on standard error already
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Ok(stream) = stream else { continue };
        if let Ok(clone) = stream.try_clone() {
            locked(&shared.connections).push(clone);
        }
        let shared = shared.clone();
        threads.push(thread::spawn(move || {
            let _ = shared.serve(&stream); // the client left; its request is recorded
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }
    for stream in locked(&shared.connections).iter() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut input = BufReader::new(stream);
        let Some((path, authorization)) = request(&mut input)? else { return Ok(()) };
        let pictures = locked(&self.pictures).clone();
        let mut out = stream;
        let status = self.status(&path, authorization.as_deref(), &pictures);
        locked(&self.requests).push(PictureRequest { path, status, at: Instant::now() });
        match status {
            200 => send(out, &pictures),
            302 => {
                let Pictures::Elsewhere(to) = &pictures else { return Ok(()) };
                write!(out, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
            }
            401 => {
                let auth = self.auth.as_ref();
                let challenge = auth.map(|auth| auth.challenge(&self.nonce)).unwrap_or_default();
                write!(
                    out,
                    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\n\
                     Content-Length: 0\r\n\r\n"
                )
            }
            _ => write!(out, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"),
        }
    }

    fn status(&self, path: &str, authorization: Option<&str>, pictures: &Pictures) -> u16 {
        let is_the_address = path.split('?').next() == Some(PATH);
        match pictures {
            _ if self
                .auth
                .as_ref()
                .is_some_and(|auth| !auth.accepts(&self.nonce, "GET", path, authorization)) =>
            {
                401
            }
            Pictures::Elsewhere(_) if is_the_address => 302,
            Pictures::Elsewhere(_) => 200,
            Pictures::Missing => 404,
            _ if !is_the_address => 404,
            Pictures::Off => 503,
            _ => 200,
        }
    }
}

/// Path and `Authorization` of a GET.
fn request(input: &mut impl BufRead) -> io::Result<Option<(String, Option<String>)>> {
    let mut lines = Vec::new();
    for line in input.take(HEAD_BYTES_MAX).lines() {
        match line? {
            line if line.is_empty() => break,
            line => lines.push(line),
        }
    }
    let mut words = lines.first().map(|line| line.split(' ')).into_iter().flatten();
    let (Some("GET"), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    let mut fields = lines.iter().filter_map(|line| line.split_once(':'));
    let authorization = fields.find(|(name, _)| name.eq_ignore_ascii_case("Authorization"));
    Ok(Some((path.to_owned(), authorization.map(|(_, value)| value.trim().to_owned()))))
}

fn send(mut out: &TcpStream, pictures: &Pictures) -> io::Result<()> {
    let picture = match pictures {
        Pictures::Of(picture) => picture,
        _ => PICTURE,
    };
    let length = picture.len();
    let head =
        |fields: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n{fields}\r\n");
    match pictures {
        Pictures::Chunked => {
            write!(out, "{}", head("Transfer-Encoding: chunked\r\n"))?;
            for piece in PICTURE.chunks(1000) {
                write!(out, "{:x}\r\n", piece.len())?;
                out.write_all(piece)?;
                write!(out, "\r\n")?;
            }
            write!(out, "0\r\n\r\n")
        }
        Pictures::UntilClose => {
            write!(out, "{}", head(""))?;
            out.write_all(PICTURE)
        }
        Pictures::Multipart => {
            write!(
                out,
                "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=--next\r\n\r\n"
            )?;
            loop {
                write!(out, "--next\r\nContent-Type: image/jpeg\r\n\r\n")?;
                out.write_all(PICTURE)?;
                write!(out, "\r\n")?;
            }
        }
        Pictures::CutShort => {
            write!(out, "{}", head(&format!("Content-Length: {length}\r\n")))?;
            out.write_all(&PICTURE[..length / 2])
        }
        Pictures::NotJpeg => {
            let page = "<html>log in</html>";
            write!(out, "{}{page}", head(&format!("Content-Length: {}\r\n", page.len())))
        }
        Pictures::Endless => {
            write!(out, "{}", head(""))?;
            loop {
                out.write_all(PICTURE)?;
            }
        }
        // Until the client gives up.
        Pictures::Silent => out.read(&mut [0]).map(drop),
        _ => {
            if let Pictures::Late(span) = pictures {
                thread::sleep(*span);
            }
            write!(out, "{}", head(&format!("Content-Length: {length}\r\n")))?;
            out.write_all(picture)
        }
    }
}

/// The picture that is served: 160x120 in 4:2:0.
pub const PICTURE: &[u8] = include_bytes!("../../ci/clips/quality75.jpg");
const PATH: &str = "/image.jpg";
const HEAD_BYTES_MAX: u64 = 16 * 1024;
