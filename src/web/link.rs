//! A connection: its socket, what it is doing, and by whose permission.
//!
//! No byte of a request is passed on until the whole head has been read and validated, so that
//! picoserve and we understand the same request.
//! Knows nothing of: routes, picoserve.

mod gate;

use self::gate::RequestGate;
use super::{
    access::{Pass, Peer, Refusal},
    answer,
    places::Client,
};
use crate::{
    limits,
    runtime::{self, Async},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    net::sockopt::{set_socket_linger, set_socket_send_buffer_size, set_tcp_user_timeout},
};
use std::{
    cell::{Cell, RefCell},
    io::{self, Write as _},
    net::{Shutdown, TcpStream},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

pub(super) enum Stream {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Occupation {
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
    /// When its client last took something.
    pub taken: Cell<Instant>,
    /// The permission of its last request.
    pub pass: RefCell<Option<Pass>>,
    gate: RefCell<RequestGate>,
    /// The head of the request being served.
    head: RefCell<Vec<u8>>,
}

impl Stream {
    /// Waits for data, or the end of the connection.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => socket.readable().await,
            Stream::Unix(socket) => socket.readable().await,
        }
    }

    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.read(buffer).await,
            Stream::Unix(socket) => socket.read(buffer).await,
        }
    }

    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.write(bytes).await,
            Stream::Unix(socket) => socket.write(bytes).await,
        }
    }

    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => socket.write_all(bytes).await,
            Stream::Unix(socket) => socket.write_all(bytes).await,
        }
    }

    /// Waits for room, for an attempt to write on another thread: see [`Async::writable`].
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => socket.writable().await,
            Stream::Unix(socket) => socket.writable().await,
        }
    }

    pub fn has_room(&self) {
        match self {
            Stream::Tcp(socket) => socket.has_room(),
            Stream::Unix(socket) => socket.has_room(),
        }
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
    // Without a limit it grows to megabytes.
    let bytes = limits::WEB_SEND_BUFFER_BYTES;
    let _ = set_socket_send_buffer_size(socket, bytes);
    let _ = socket.set_nodelay(true);
    // The kernel has to enforce this: what it buffers has not been accepted by the client yet.
    let patience = u32::try_from(limits::WEB_WRITE_TIMEOUT.as_millis()).unwrap_or(0);
    let _ = set_tcp_user_timeout(socket, patience);
}

impl Client for Link {
    fn taken(&self) -> Instant {
        self.taken.get()
    }

    fn shut_down(&self) {
        self.stream.shut_down(Shutdown::Both);
    }

    fn is_hung_up(&self) -> bool {
        match &self.stream {
            Stream::Tcp(socket) => is_hung_up(socket.get_ref()),
            Stream::Unix(socket) => is_hung_up(socket.get_ref()),
        }
    }

    fn occupy(&self, with: Occupation) {
        self.occupy(with);
    }
}

/// Returns true if the client accepts no more data, or has ended its own.
pub(crate) fn is_hung_up(socket: &dyn AsFd) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)];
    // Does not wait; on an error the client counts as present.
    rustix::event::poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

impl Link {
    pub fn new(stream: Stream, peer: Peer) -> Link {
        if let Stream::Tcp(socket) = &stream {
            bound(socket.get_ref());
        }
        Link {
            stream,
            peer,
            occupation: Cell::new(Occupation::Idle),
            since: Cell::new(runtime::now()),
            taken: Cell::new(runtime::now()),
            pass: RefCell::default(),
            gate: RefCell::default(),
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

    /// Lets the kernel keep this much for the client, who takes a recording.
    pub fn widen(&self, bytes: usize) {
        if let Stream::Tcp(socket) = &self.stream {
            let _ = set_socket_send_buffer_size(socket.get_ref(), bytes);
        }
    }

    /// Makes closing it discard what was not sent, which would otherwise live for minutes in the
    /// kernel.
    pub fn abandon(&self) {
        if let Stream::Tcp(socket) = &self.stream {
            let _ = set_socket_linger(socket.get_ref(), Some(Duration::ZERO));
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

    /// Another descriptor of its socket, for another thread.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        match &self.stream {
            Stream::Tcp(socket) => socket.get_ref().as_fd().try_clone_to_owned(),
            Stream::Unix(socket) => socket.get_ref().as_fd().try_clone_to_owned(),
        }
    }

    /// Returns true if a body is still to come.
    pub fn expects_body(&self) -> bool {
        self.gate.borrow().expects_more()
    }

    /// Ends the connection, for the server, without reading an unwanted body.
    pub fn leave_body(&self) {
        self.gate.borrow_mut().leave_body();
    }

    /// Accepts no further request on this connection.
    pub fn close(&self) {
        self.gate.borrow_mut().close();
    }

    pub fn is_closed(&self) -> bool {
        self.gate.borrow().is_closed()
    }

    /// Returns validated heads with their bodies to picoserve, and then 0.
    pub async fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        if self.occupation.get() == Occupation::Stream {
            return self.stream.read(out).await;
        }
        loop {
            let allowed = {
                let mut gate = self.gate.borrow_mut();
                if let Some(count) = gate.hand_over(out) {
                    return Ok(count);
                }
                gate.allowed()
            };
            if allowed > 0 {
                let room = out.len().min(allowed);
                let count = self.stream.read(out.get_mut(..room).unwrap_or_default()).await?;
                self.gate.borrow_mut().passed_by(count);
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
                if gate.is_closed() {
                    return Ok(None);
                }
                if let Some(verdict) = gate.examine(&mut self.head.borrow_mut()) {
                    return Ok(Some(verdict));
                }
                piece.len().min(gate.make_room())
            };
            // A separate buffer, because the gate's must not be borrowed across an await.
            let read = self.stream.read(piece.get_mut(..room).unwrap_or_default());
            let began = self.gate.borrow().began();
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
