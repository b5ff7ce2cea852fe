//! A connection as picoserve sees it: smol's sockets and timers behind picoserve's traits.
//!
//! The gate comes before picoserve: no byte of a request reaches it until the whole head has been
//! read and validated, so that both understand the same request.
//! Knows nothing of: routes, permissions.

use super::{
    access::{Form, Pass, Peer, Refusal},
    answer,
};
use crate::{
    http::request::{self, Head},
    limits, runtime,
};
use embedded_io_async::{ErrorType, Read};
use picoserve::{
    Timeouts, Timer,
    io::{BaseWrite, Socket, Write},
    mem::{BorrowedBuffer, BorrowedCursor},
    time::Duration,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use smol::Async;
use std::{
    cell::{Cell, RefCell},
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
    rc::Rc,
    time::Instant,
};

/// The runtime's name for picoserve.
pub(super) struct Smol;

/// Sleeps on the main thread's list.
#[derive(Clone, Copy)]
pub(super) struct SmolTimer;

impl Timer<Smol> for SmolTimer {
    fn delay(&self, duration: Duration) -> impl Future<Output = ()> {
        runtime::sleep(std::time::Duration::from_millis(duration.as_millis()))
    }
}

pub(super) enum Stream {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Occupation {
    /// Waiting for a request, or for the rest of its head.
    Idle,
    /// Waiting for a request's body.
    Body,
    /// Producing the reply.
    Work,
    /// A password waits for its turn, since somebody guesses.
    Turn,
    /// Waiting for the client to accept the reply.
    Answer,
    /// The same, for a recording.
    Recording,
    /// Sending an endless reply; input from the client is ignored.
    Stream,
    WebSocket,
}

impl Occupation {
    /// Returns true if it may last as long as the client likes.
    pub fn is_endless(self) -> bool {
        matches!(self, Occupation::Recording | Occupation::Stream | Occupation::WebSocket)
    }
}

/// A connection, shared by its task and the list of all connections.
pub(super) struct Link {
    pub stream: Stream,
    pub peer: Peer,
    pub occupation: Cell<Occupation>,
    /// When that began.
    pub since: Cell<Instant>,
    /// The permission of its last request.
    pub pass: RefCell<Option<Pass>>,
    gate: RefCell<Gate>,
    /// The head of the request being served.
    head: RefCell<Vec<u8>>,
}

/// The buffer between the socket and picoserve.
struct Gate {
    /// Empty until the first byte arrives.
    buffer: Box<[u8]>,
    /// Read from the socket but not passed on: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Bytes that may be passed on: the rest of a valid head, and its body.
    allowed: u64,
    /// When the first byte of the next head arrived.
    began: Option<Instant>,
    /// Bytes of foreign cookies removed from this head.
    left_out: usize,
    is_closed: bool,
}

impl Stream {
    /// Waits for data, or the end of the connection.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => socket.readable().await,
            Stream::Unix(socket) => socket.readable().await,
        }
    }

    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.read_with(|mut socket| socket.read(buffer)).await,
            Stream::Unix(socket) => socket.read_with(|mut socket| socket.read(buffer)).await,
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.write_with(|mut socket| socket.write(bytes)).await,
            Stream::Unix(socket) => socket.write_with(|mut socket| socket.write(bytes)).await,
        }
    }

    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    pub fn shut_down(&self, how: Shutdown) {
        // Fails if the client is gone.
        let _ = match self {
            Stream::Tcp(socket) => socket.get_ref().shutdown(how),
            Stream::Unix(socket) => socket.get_ref().shutdown(how),
        };
    }
}

/// Bounds what the kernel keeps for a client, and how long.
pub(crate) fn bound(socket: &TcpStream) {
    // Left alone it grows to megabytes.
    let bytes = limits::WEB_SEND_BUFFER_BYTES;
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket, bytes);
    let _ = socket.set_nodelay(true);
    // Counted by the kernel too: what it finds room for is not yet taken by the client.
    let patience = u32::try_from(limits::WEB_WRITE_TIMEOUT.as_millis()).unwrap_or(0);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(socket, patience);
}

impl Link {
    pub fn new(stream: Stream, peer: Peer) -> Link {
        if let Stream::Tcp(socket) = &stream {
            bound(socket.get_ref());
        }
        let gate = Gate {
            buffer: Box::default(),
            start: 0,
            end: 0,
            allowed: 0,
            began: None,
            left_out: 0,
            is_closed: false,
        };
        Link {
            stream,
            peer,
            occupation: Cell::new(Occupation::Idle),
            since: Cell::new(runtime::now()),
            pass: RefCell::default(),
            gate: RefCell::new(gate),
            head: RefCell::default(),
        }
    }

    pub fn occupy(&self, occupation: Occupation) {
        self.occupation.set(occupation);
        self.since.set(runtime::now());
        // The session may have ended while the reply was produced.
        if occupation.is_endless() && self.is_over() {
            self.stream.shut_down(Shutdown::Both);
        }
    }

    /// Returns true if its last request came from a known client.
    pub fn is_owners(&self) -> bool {
        let is_known = |pass: &Pass| pass.who.is_owner() && !pass.is_over();
        self.peer == Peer::Unix || self.pass.borrow().as_ref().is_some_and(is_known)
    }

    /// Returns true if the permission of its last request is no longer valid.
    pub fn is_over(&self) -> bool {
        self.pass.borrow().as_ref().is_some_and(Pass::is_over)
    }

    /// Takes the validated head of the request to be served.
    pub fn take_head(&self) -> Vec<u8> {
        self.head.take()
    }

    /// Sends the reason and closes the connection, as far as possible without waiting.
    pub fn refuse(&self, refusal: &Refusal) {
        let message = answer::message(refusal);
        let _ = match &self.stream {
            Stream::Tcp(socket) => socket.get_ref().write(message.as_bytes()),
            Stream::Unix(socket) => socket.get_ref().write(message.as_bytes()),
        };
    }

    /// Whether the client will take no answer any more, or says that it sends nothing more.
    pub fn is_hung_up(&self) -> bool {
        let poll = |fd: &dyn AsFd| {
            let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::RDHUP)];
            // With no time to wait; what can not be asked is there.
            rustix::event::poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
        };
        match &self.stream {
            Stream::Tcp(socket) => poll(socket.get_ref()),
            Stream::Unix(socket) => poll(socket.get_ref()),
        }
    }

    /// Returns true if a body is still to come.
    pub fn expects_body(&self) -> bool {
        let gate = self.gate.borrow();
        gate.allowed > (gate.end - gate.start) as u64
    }

    /// Ends the connection, for the server, without reading an unwanted body.
    pub fn leave_body(&self) {
        let mut gate = self.gate.borrow_mut();
        gate.allowed = 0;
        gate.is_closed = true;
    }

    /// Accepts no further request on this connection.
    pub fn close(&self) {
        self.gate.borrow_mut().is_closed = true;
    }

    /// Returns validated heads with their bodies to picoserve, and then 0.
    async fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        if self.occupation.get() == Occupation::Stream {
            return self.stream.read(out).await;
        }
        loop {
            let allowed = {
                let mut gate = self.gate.borrow_mut();
                if let Some(count) = gate.hand_over(out) {
                    return Ok(count);
                }
                usize::try_from(gate.allowed).unwrap_or(usize::MAX)
            };
            if allowed > 0 {
                let room = out.len().min(allowed);
                let count = self.stream.read(out.get_mut(..room).unwrap_or_default()).await?;
                self.gate.borrow_mut().allowed -= count as u64;
                return Ok(count);
            }
            match self.next_head().await? {
                Some(Ok(())) => self.occupy(Occupation::Work),
                Some(Err(refusal)) => {
                    self.close();
                    let answer = answer::message(&refusal);
                    let sent = self.stream.write_all(answer.as_bytes());
                    let _ = runtime::timeout(limits::WEB_WRITE_TIMEOUT, sent).await;
                    return Ok(0);
                }
                None => return Ok(0),
            }
        }
    }

    /// Reads until a head is complete; `None` if no further one comes.
    async fn next_head(&self) -> io::Result<Option<Result<(), Refusal>>> {
        if self.occupation.get() != Occupation::Idle {
            self.occupy(Occupation::Idle);
        }
        loop {
            let mut piece = [0; 512];
            let room = {
                let mut gate = self.gate.borrow_mut();
                if gate.is_closed {
                    return Ok(None);
                }
                if let Some(verdict) = gate.examine(&mut self.head.borrow_mut()) {
                    return Ok(Some(verdict));
                }
                piece.len().min(gate.make_room())
            };
            // A separate buffer, because the gate's must not be borrowed across an await.
            let read = self.stream.read(piece.get_mut(..room).unwrap_or_default());
            let began = self.gate.borrow().began;
            let count = match began {
                None => read.await?,
                Some(began) => {
                    let deadline = began + limits::WEB_HEAD_TIMEOUT;
                    let left = deadline.saturating_duration_since(runtime::now());
                    match runtime::timeout(left, read).await {
                        Some(count) => count?,
                        None => return Ok(Some(Err(Refusal::Slow))),
                    }
                }
            };
            if count == 0 {
                return Ok(None);
            }
            self.gate.borrow_mut().take(piece.get(..count).unwrap_or_default(), runtime::now());
        }
    }
}

impl Gate {
    /// Copies bytes that may be passed on; `None` if there are none.
    fn hand_over(&mut self, out: &mut [u8]) -> Option<usize> {
        let waiting = self.buffer.get(self.start..self.end)?;
        let allowed = usize::try_from(self.allowed).unwrap_or(usize::MAX);
        let count = waiting.len().min(allowed).min(out.len());
        if count == 0 {
            return None;
        }
        out.get_mut(..count)?.copy_from_slice(waiting.get(..count)?);
        self.start += count;
        self.allowed -= count as u64;
        Some(count)
    }

    /// Validates the head as far as it has been read; `None` if more is needed.
    fn examine(&mut self, kept: &mut Vec<u8>) -> Option<Result<(), Refusal>> {
        let waiting = self.buffer.get(self.start..self.end)?;
        let mut form = Form::default();
        let Some(length) = request::length(waiting) else {
            // An error is reported at once. A full buffer means that the head is too long, unless
            // foreign cookies fill it.
            let verdict = form.take(waiting);
            let is_full = !waiting.is_empty() && waiting.len() >= self.buffer.len();
            if is_full && verdict.is_ok() && self.leave_cookies_out() {
                return None;
            }
            let too_long = is_full.then(|| Err(form.too_long()));
            return verdict.map_or_else(|refusal| Some(Err(refusal)), |()| too_long);
        };
        self.began = None;
        self.left_out = 0;
        let head = waiting.get(..length)?;
        kept.clear();
        kept.extend_from_slice(head);
        Some(form.take(head).map(|()| {
            // After an upgrade, nothing is a request any more.
            let is_upgrade = Head::read(head).is_some_and(|head| head.is_upgrade());
            let all = if is_upgrade { u64::MAX } else { length as u64 + form.body_left() };
            self.allowed = all;
        }))
    }

    /// Removes foreign cookies: other servers on the same host may have set more than fit.
    fn leave_cookies_out(&mut self) -> bool {
        let waiting = self.buffer.get_mut(self.start..self.end).unwrap_or_default();
        let kept = request::without_others_cookies(waiting);
        let more = waiting.len() - kept;
        self.end = self.start + kept;
        self.left_out += more;
        more > 0 && self.left_out <= limits::HTTP_COOKIES_BYTES_MAX
    }

    fn make_room(&mut self) -> usize {
        if self.buffer.is_empty() {
            self.buffer = vec![0; limits::HTTP_HEAD_BYTES_MAX].into_boxed_slice();
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.buffer.len() - self.end
    }

    fn take(&mut self, bytes: &[u8], now: Instant) {
        self.began.get_or_insert(now);
        let end = self.end + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.end..end) {
            room.copy_from_slice(bytes);
            self.end = end;
        }
    }
}

/// A link with picoserve's write buffer.
pub(super) struct Conn {
    link: Rc<Link>,
    buffer: Box<[u8]>,
}

impl Conn {
    pub fn new(link: Rc<Link>) -> Conn {
        Conn { link, buffer: vec![0; limits::WEB_WRITE_BUFFER_BYTES].into_boxed_slice() }
    }
}

pub(super) struct Incoming<'a>(&'a Link);

impl ErrorType for Incoming<'_> {
    type Error = io::Error;
}

impl Read for Incoming<'_> {
    async fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out).await
    }
}

/// Collects small pieces. `buffer[..length]` has not been sent, even after a cancelled write.
pub(super) struct Outgoing<'a> {
    stream: &'a Stream,
    buffer: &'a mut [u8],
    length: usize,
}

impl ErrorType for Outgoing<'_> {
    type Error = io::Error;
}

impl BaseWrite for Outgoing<'_> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() >= self.buffer.len() {
            self.flush().await?;
            return self.stream.write(bytes).await;
        }
        if self.length + bytes.len() > self.buffer.len() {
            self.flush().await?;
        }
        let end = self.length + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> io::Result<()> {
        while let Some(waiting) = self.buffer.get(..self.length).filter(|it| !it.is_empty()) {
            let count = self.stream.write(waiting).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.buffer.copy_within(count..self.length, 0);
            self.length -= count;
        }
        Ok(())
    }
}

impl Write for Outgoing<'_> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(&mut self, f: F) -> io::Result<R> {
        if self.length == self.buffer.len() {
            self.flush().await?;
        }
        let mut room = BorrowedBuffer::new(self.buffer.get_mut(self.length..).unwrap_or_default());
        let result = f(room.unfilled());
        self.length += room.len();
        Ok(result)
    }
}

impl Socket<Smol> for Conn {
    type Error = io::Error;
    type ReadHalf<'a> = Incoming<'a>;
    type WriteHalf<'a> = Outgoing<'a>;

    fn split(&mut self) -> (Incoming<'_>, Outgoing<'_>) {
        let stream = &self.link.stream;
        (Incoming(&self.link), Outgoing { stream, buffer: &mut self.buffer, length: 0 })
    }

    /// Closes it at once: unsent data would otherwise keep it alive for minutes in the kernel.
    async fn abort<T: Timer<Smol>>(
        self,
        _: &Timeouts,
        _: &T,
    ) -> Result<(), picoserve::Error<io::Error>> {
        if let Stream::Tcp(socket) = &self.link.stream {
            let at_once = Some(std::time::Duration::ZERO);
            let _ = rustix::net::sockopt::set_socket_linger(socket.get_ref(), at_once);
        }
        Ok(())
    }

    /// Half-closes, then drains briefly: closing with unread input makes the kernel send RST, which
    /// can discard the end of our reply.
    async fn shutdown<T: Timer<Smol>>(
        self,
        _: &Timeouts,
        _: &T,
    ) -> Result<(), picoserve::Error<io::Error>> {
        self.link.occupy(Occupation::Idle);
        self.link.stream.shut_down(Shutdown::Write);
        let mut rest = [0; 128];
        let drained = async { while let Ok(1..) = self.link.stream.read(&mut rest).await {} };
        let _ = runtime::timeout(limits::WEB_CLOSE_TIMEOUT, drained).await;
        Ok(())
    }
}
