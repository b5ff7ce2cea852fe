//! A connection as picoserve sees it: smol's sockets and timers behind picoserve's traits.
//!
//! Knows nothing of: routes, permissions.

use super::link::{Link, Occupation};
use crate::{limits, runtime};
use embedded_io_async::{ErrorType, Read};
use picoserve::{
    Timeouts, Timer,
    io::{BaseWrite, Socket, Write},
    mem::{BorrowedBuffer, BorrowedCursor},
    time::Duration,
};
use std::{io, net::Shutdown, rc::Rc};

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
    link: &'a Link,
    buffer: &'a mut [u8],
    length: usize,
}

impl ErrorType for Outgoing<'_> {
    type Error = io::Error;
}

impl Outgoing<'_> {
    async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.link.stream.write(bytes).await?;
        self.link.taken.set(runtime::now());
        Ok(count)
    }
}

impl BaseWrite for Outgoing<'_> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() >= self.buffer.len() {
            self.flush().await?;
            return self.send(bytes).await;
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
            let count = self.send(waiting).await?;
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
        let (link, buffer) = (&self.link, &mut self.buffer);
        (Incoming(link), Outgoing { link, buffer, length: 0 })
    }

    async fn abort<T: Timer<Smol>>(
        self,
        _: &Timeouts,
        _: &T,
    ) -> Result<(), picoserve::Error<io::Error>> {
        self.link.abandon();
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
        self.link.close();
        self.link.stream.shut_down(Shutdown::Write);
        let mut rest = [0; 128];
        let drained = async { while let Ok(1..) = self.link.stream.read(&mut rest).await {} };
        let _ = runtime::timeout(limits::WEB_CLOSE_TIMEOUT, drained).await;
        Ok(())
    }
}
