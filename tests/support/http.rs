//! HTTP by hand, so that tests can send malformed requests.

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, socket_with,
    sockopt::set_socket_recv_buffer_size,
};
use serde_json::Value;
use std::{
    fmt,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// Longer than any timeout of the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer, or the part of it that came before the connection ended.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0 if no status came.
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The cookie of `Set-Cookie`, as a client sends it back.
    pub fn cookie(&self) -> String {
        let cookie = self.field("Set-Cookie").unwrap_or_else(|| panic!("no cookie: {self:?}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The whole answer as text.
    pub fn text(&self) -> String {
        [&self.head, "\n", &String::from_utf8_lossy(&self.body)].concat()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.body[..self.body.len().min(200)];
        write!(f, "{:?} {:?}", self.head, String::from_utf8_lossy(body))
    }
}

/// A connection, and received bytes that belong to no answer yet.
pub struct Client<S> {
    pub stream: S,
    read: Vec<u8>,
}

impl Client<TcpStream> {
    pub fn new(address: &str) -> Client<TcpStream> {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// From another address of this machine, 127.0.0.`last`.
    pub fn from(last: u8, address: &str) -> Client<TcpStream> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0)).unwrap();
        connect(&socket, &address.parse::<SocketAddrV4>().unwrap()).unwrap();
        Client::over(TcpStream::from(socket))
    }

    /// A client whose system buffers only a few KB.
    pub fn narrow(address: &str) -> Client<TcpStream> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        set_socket_recv_buffer_size(&socket, 4096).unwrap();
        connect(&socket, &address.parse::<SocketAddrV4>().unwrap()).unwrap();
        Client::over(TcpStream::from(socket))
    }

    fn over(stream: TcpStream) -> Client<TcpStream> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, read: Vec::new() }
    }
}

impl Client<UnixStream> {
    pub fn local(path: &Path) -> Client<UnixStream> {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, read: Vec::new() }
    }
}

impl<S: Read + Write> Client<S> {
    /// Sends as much as the server accepts: it may close the connection before the end.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends method, target, fields and body unchanged, adds `Host` and the body's length, and
    /// waits for the answer.
    pub fn ask(&mut self, method: &str, target: &str, fields: &[&str], body: &str) -> Answer {
        self.begin(method, target, fields, body);
        if method == "HEAD" { self.head() } else { self.answer() }
    }

    /// The same without waiting for the answer.
    pub fn begin(&mut self, method: &str, target: &str, fields: &[&str], body: &str) {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
        for field in fields {
            request.push_str(field);
            request.push_str("\r\n");
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.send(request.as_bytes());
    }

    /// The next answer; status 0 if the server closed the connection without one.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.field("Content-Length").map(|length| length.parse().unwrap());
        let length: usize = length.unwrap_or(0);
        answer.body = self.bytes(length);
        answer
    }

    /// This many bytes of a body; fewer if the connection ends before.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count && self.more() {}
        let rest = self.read.split_off(count.min(self.read.len()));
        std::mem::replace(&mut self.read, rest)
    }

    /// A body up to and including the next `mark`; `None` if the connection ends before.
    pub fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark) {
                return Some(self.bytes(at + mark.len()));
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// The head of the next answer; its body remains to be read.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.more() {
                return Answer::default();
            }
        };
        let rest = self.read.split_off(end);
        let head = std::mem::replace(&mut self.read, rest);
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// Everything up to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.read)
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(count) => {
                self.read.extend_from_slice(&piece[..count]);
                count > 0
            }
            Err(error) if is_timeout(&error) => panic!("no answer for {PATIENCE:?}"),
            // The server resets the connection if it did not read all input.
            Err(_) => false,
        }
    }
}

/// Sends bytes on a new connection and returns the first answer.
pub fn send(address: &str, bytes: &[u8]) -> Answer {
    let mut client = Client::new(address);
    client.send(bytes);
    client.answer()
}

/// Makes one request on a new connection.
pub fn ask(address: &str, method: &str, target: &str, fields: &[&str], body: &str) -> Answer {
    Client::new(address).ask(method, target, fields, body)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The `Host` of the tests' requests; an address with any port is accepted.
pub const HOST: &str = "127.0.0.1:8080";
pub const ORIGIN: &str = "Origin: http://127.0.0.1:8080";
