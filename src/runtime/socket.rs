//! Nonblocking sockets: each is registered with the thread's epoll (edge-triggered) while it is
//! awaited, so that a wait costs no system call of its own.
//!
//! Spec: epoll(7).

use crate::limits::SOCKET_TURNS_MAX;
use rustix::event::{
    EventfdFlags, Timespec,
    epoll::{self, CreateFlags, EventData, EventFlags},
    eventfd,
};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, Read, Write},
    mem::MaybeUninit,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// A socket of this thread, awaited inside [`super::block_on`].
#[derive(Debug)]
pub struct Async<T: AsFd> {
    source: Rc<Source>,
    io: T,
}

/// What can be waited for.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

/// What is known of a descriptor.
#[derive(Debug)]
struct Source {
    /// Its place among the sources, while it is registered.
    place: Cell<Option<usize>>,
    interest: Cell<EventFlags>,
    ways: [Readiness; 2],
}

#[derive(Debug)]
struct Readiness {
    /// It may be ready: an attempt is worth a system call.
    is_ready: Cell<bool>,
    /// It stays ready: the other side has closed.
    is_over: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl<T: AsFd> Async<T> {
    /// # Errors
    /// The descriptor cannot be made nonblocking.
    pub fn new(io: T) -> io::Result<Async<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        let way = || Readiness {
            is_ready: Cell::new(true),
            is_over: Cell::new(false),
            waiting: RefCell::default(),
        };
        let source = Source {
            place: Cell::new(None),
            interest: Cell::new(EventFlags::empty()),
            ways: [way(), way()],
        };
        Ok(Async { source: Rc::new(source), io })
    }

    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Waits until an attempt to read is worth it. After an attempt outside of [`Async::attempt`]
    /// that found nothing, [`Async::drained`] must be called. Cancel-safe.
    ///
    /// # Errors
    /// The kernel has no room to watch it.
    pub async fn readable(&self) -> io::Result<()> {
        self.source.wait(self.io.as_fd(), Way::In).await
    }

    /// Returns false if an attempt to read would find nothing.
    pub fn is_readable(&self) -> bool {
        self.source.way(Way::In).is_ready.get()
    }

    /// Attempts to read now.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn attempt<R>(&self, read: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let result = read(&self.io);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.drained();
        }
        result
    }

    /// Reports that nothing is left to read for now.
    pub fn drained(&self) {
        self.source.spent(Way::In);
    }

    /// Waits until an attempt to write is worth it, which another thread may make: it must write until
    /// it is told that there is no room, or it ends with [`Async::has_room`]. Cancel-safe.
    ///
    /// # Errors
    /// The kernel has no room to watch it.
    pub async fn writable(&self) -> io::Result<()> {
        self.source.wait(self.io.as_fd(), Way::Out).await?;
        // Before the attempt: the kernel may report new room before its result is here.
        self.source.spent(Way::Out);
        Ok(())
    }

    /// Reports that the attempt ended for another reason than lack of room.
    pub fn has_room(&self) {
        self.source.way(Way::Out).is_ready.set(true);
    }

    /// Stops waking the thread for this socket until it is awaited again.
    pub fn leave(&self) {
        self.source.leave(self.io.as_fd());
    }

    /// Reads or writes as soon as that does not wait. Cancel-safe.
    async fn when_ready<R>(
        &self,
        way: Way,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.source.wait(self.io.as_fd(), way).await?;
            match operation(&self.io) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source.spent(way),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A connection.
impl<T: AsFd> Async<T>
where
    for<'a> &'a T: Read + Write,
{
    /// Reads what has arrived, once something has; 0 at the end. Cancel-safe.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.when_ready(Way::In, |mut io| io.read(buffer)).await?;
        self.read_of(count, buffer.len());
        Ok(count)
    }

    /// Reads what has arrived, now.
    ///
    /// # Errors
    /// Those of the socket; `WouldBlock` if there is nothing.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.attempt(|mut io| io.read(buffer))?;
        self.read_of(count, buffer.len());
        Ok(count)
    }

    /// Writes as much as there is room for, once there is some. Cancel-safe.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.when_ready(Way::Out, |mut io| io.write(bytes)).await
    }

    /// # Errors
    /// Those of the socket.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// A read that left room in the buffer has taken everything.
    fn read_of(&self, count: usize, room: usize) {
        if count > 0 && count < room {
            self.drained();
        }
    }
}

impl Async<TcpStream> {
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(address: SocketAddr) -> io::Result<Async<TcpStream>> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            Async::new(TcpStream::from(socket_with(family, SocketType::STREAM, flags, None)?))?;
        match connect(&socket.io, &address) {
            Ok(()) => return Ok(socket),
            Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        socket.source.spent(Way::Out);
        socket.source.wait(socket.io.as_fd(), Way::Out).await?;
        match socket.io.take_error()? {
            None => Ok(socket),
            Some(error) => Err(error),
        }
    }
}

impl Async<TcpListener> {
    /// # Errors
    /// Those of accept(2).
    pub async fn accept(&self) -> io::Result<(Async<TcpStream>, SocketAddr)> {
        let (socket, address) = self.when_ready(Way::In, TcpListener::accept).await?;
        Ok((Async::new(socket)?, address))
    }
}

impl Async<UnixListener> {
    /// # Errors
    /// Those of accept(2).
    pub async fn accept(&self) -> io::Result<Async<UnixStream>> {
        Async::new(self.when_ready(Way::In, UnixListener::accept).await?.0)
    }
}

impl<T: AsFd> Drop for Async<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Source {
    fn way(&self, way: Way) -> &Readiness {
        let [read, write] = &self.ways;
        match way {
            Way::In => read,
            Way::Out => write,
        }
    }

    fn spent(&self, way: Way) {
        let way = self.way(way);
        way.is_ready.set(way.is_over.get());
    }

    async fn wait(self: &Rc<Self>, fd: BorrowedFd<'_>, way: Way) -> io::Result<()> {
        poll_fn(|context| self.poll(fd, way, context)).await
    }

    fn poll(
        self: &Rc<Self>,
        fd: BorrowedFd<'_>,
        way: Way,
        context: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let it = self.way(way);
        if it.is_ready.get() {
            return match DRIVER.with(|driver| driver.takes_turn(context.waker())) {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        }
        let wanted = match way {
            Way::In => EventFlags::IN | EventFlags::RDHUP,
            Way::Out => EventFlags::OUT,
        };
        if !self.interest.get().contains(wanted) {
            DRIVER.with(|driver| driver.watch(fd, self, self.interest.get() | wanted))?;
        }
        let mut waiting = it.waiting.borrow_mut();
        // One waker a task: a task that waits again replaces its own.
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// The next attempt finds out what it is ready for.
    fn leave(&self, fd: BorrowedFd<'_>) {
        if let Some(place) = self.place.take() {
            let _ = DRIVER.try_with(|driver| driver.forget(fd, place));
            self.interest.set(EventFlags::empty());
            self.ways.iter().for_each(|way| way.is_ready.set(true));
        }
    }

    /// Records what the kernel reports, and wakes the tasks that wait for it.
    fn change(&self, flags: EventFlags) {
        let closed = EventFlags::HUP | EventFlags::ERR;
        let ways = [
            (
                Way::In,
                EventFlags::IN | EventFlags::RDHUP | closed,
                EventFlags::RDHUP | EventFlags::HUP,
            ),
            (Way::Out, EventFlags::OUT | closed, EventFlags::HUP),
        ];
        for (way, change, end) in ways {
            if !flags.intersects(change) {
                continue;
            }
            let way = self.way(way);
            way.is_ready.set(true);
            if flags.intersects(end) {
                way.is_over.set(true);
            }
            // Not borrowed while waking: a waker may drop a task that waits here.
            while let Some(waker) = pop(&way.waiting) {
                waker.wake();
            }
        }
    }
}

fn pop(waiting: &RefCell<Vec<Waker>>) -> Option<Waker> {
    waiting.borrow_mut().pop()
}

thread_local! {
    static DRIVER: Driver = Driver::new().expect("every thread that waits has room for an epoll");
}

/// What this thread waits with.
struct Driver {
    epoll: OwnedFd,
    sources: RefCell<Vec<Option<Rc<Source>>>>,
    bell: Arc<Bell>,
    /// How often a socket was ready at once since the last `epoll_wait`.
    turns: Cell<u32>,
    /// Tasks that gave way.
    giving_way: RefCell<Vec<Waker>>,
}

/// Wakes the thread, from any thread.
struct Bell {
    event: OwnedFd,
    state: AtomicU8,
}

/// The thread runs, and the bell has not rung.
const RUNS: u8 = 0;
/// It waits: only in this state does waking it need a system call.
const WAITS: u8 = 1;
/// The bell has rung.
const CALLED: u8 = 2;

impl Driver {
    fn new() -> io::Result<Driver> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Never read: every increment is an edge.
        epoll::add(&epoll, &event, BELL, EventFlags::IN | EventFlags::ET)?;
        let bell = Arc::new(Bell { event, state: AtomicU8::new(RUNS) });
        Ok(Driver {
            epoll,
            sources: RefCell::default(),
            bell,
            turns: Cell::default(),
            giving_way: RefCell::default(),
        })
    }

    /// Returns true if a task may use a socket that is ready now. A peer that always has more data
    /// would otherwise starve all other tasks and timers.
    fn takes_turn(&self, waker: &Waker) -> bool {
        let turns = self.turns.get() + 1;
        let is_in_turn = turns < SOCKET_TURNS_MAX;
        self.turns.set(if is_in_turn { turns } else { 0 });
        if !is_in_turn {
            self.giving_way.borrow_mut().push(waker.clone());
        }
        is_in_turn
    }

    fn watch(&self, fd: BorrowedFd<'_>, source: &Rc<Source>, flags: EventFlags) -> io::Result<()> {
        let mut sources = self.sources.borrow_mut();
        let known = source.place.get();
        let free = || sources.iter().position(Option::is_none).unwrap_or(sources.len());
        let place = known.unwrap_or_else(free);
        let data = EventData::new_u64(place as u64);
        match known {
            Some(_) => epoll::modify(&self.epoll, fd, data, flags | EventFlags::ET)?,
            None => {
                epoll::add(&self.epoll, fd, data, flags | EventFlags::ET)?;
                if place == sources.len() {
                    sources.push(None);
                }
                if let Some(slot) = sources.get_mut(place) {
                    *slot = Some(Rc::clone(source));
                }
            }
        }
        source.place.set(Some(place));
        source.interest.set(flags);
        Ok(())
    }

    fn forget(&self, fd: BorrowedFd<'_>, place: usize) {
        // It cannot fail for a descriptor that is registered.
        let _ = epoll::delete(&self.epoll, fd);
        let source = self.sources.borrow_mut().get_mut(place).and_then(Option::take);
        drop(source);
    }

    /// Waits for a change, the bell, or the end of `span`, and tells those who wait.
    fn wait(&self, span: Option<Duration>) {
        // The bell rang in the meantime: do not wait.
        let is_called = self.bell.state.swap(WAITS, Ordering::SeqCst) == CALLED;
        self.turns.set(0);
        let giving_way = self.giving_way.take();
        let is_called = is_called || !giving_way.is_empty();
        let span = if is_called { Some(Duration::ZERO) } else { span };
        let span = span.map(|span| Timespec {
            tv_sec: span.as_secs().min(DAY_SECONDS).cast_signed(),
            tv_nsec: span.subsec_nanos().into(),
        });
        let mut room = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS_AT_ONCE];
        // An interrupted wait has no events, and is as good as one that was woken.
        let events = epoll::wait(&self.epoll, &mut room, span.as_ref());
        self.bell.state.store(RUNS, Ordering::SeqCst);
        for event in events.as_ref().map_or(&[][..], |(events, _)| events) {
            let place = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            // Not borrowed while waking: a waker may drop a socket.
            let source = self.sources.borrow().get(place).cloned().flatten();
            if let Some(source) = source {
                source.change(event.flags);
            }
        }
        giving_way.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(CALLED, Ordering::SeqCst) == WAITS {
            // It cannot be full: that takes 2^64 calls.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

/// Wakes this thread's [`wait`].
pub(super) fn bell() -> Waker {
    DRIVER.with(|driver| Waker::from(Arc::clone(&driver.bell)))
}

/// Resets the bell: the work it rang for is about to be done.
pub(super) fn answer_bell() {
    DRIVER.with(|driver| driver.bell.state.store(RUNS, Ordering::SeqCst));
}

/// Waits until a socket changed, [`bell`] was rung, or the time is over.
pub(super) fn wait(span: Option<Duration>) {
    DRIVER.with(|driver| driver.wait(span));
}

const BELL: EventData = EventData::new_u64(u64::MAX);
/// Further ones come with the next wait.
const EVENTS_AT_ONCE: usize = 16;
/// Longer waits are cut: epoll counts milliseconds in 31 bits.
const DAY_SECONDS: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{block_on, sleep, timeout};
    use smol::{LocalExecutor, future};
    use std::thread;

    fn run<T>(future: impl Future<Output = T>) -> T {
        block_on(&LocalExecutor::new(), future)
    }

    fn pair() -> (Async<UnixStream>, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        (Async::new(here).unwrap(), there)
    }

    #[test]
    fn data_from_another_thread_is_read_completely() {
        let (socket, mut other) = pair();
        let sender = thread::spawn(move || {
            for number in 0..2000_u32 {
                other.write_all(&number.to_be_bytes()).unwrap();
            }
        });
        let mut bytes = Vec::new();
        run(async {
            let mut room = [0; 64];
            while let count @ 1.. = socket.read(&mut room).await.unwrap() {
                bytes.extend_from_slice(&room[..count]);
            }
        });
        sender.join().unwrap();
        let numbers: Vec<u32> =
            bytes.chunks(4).map(|it| u32::from_be_bytes(it.try_into().unwrap())).collect();
        assert!(numbers.iter().copied().eq(0..2000));
    }

    #[test]
    fn the_end_behind_the_last_bytes_is_read() {
        let (socket, mut other) = pair();
        run(async {
            let reading = async {
                let mut room = [0; 64];
                assert_eq!(socket.read(&mut room).await.unwrap(), 3);
                assert_eq!(socket.read(&mut room).await.unwrap(), 0);
            };
            let sending = async {
                future::yield_now().await;
                other.write_all(b"end").unwrap();
                drop(other);
            };
            future::zip(reading, sending).await;
        });
    }

    #[test]
    fn a_side_that_always_has_more_keeps_the_thread_from_nobody() {
        let (socket, mut other) = pair();
        let endless = async {
            for _ in 0..1_000_000 {
                other.write_all(b"x").unwrap();
                assert_eq!(socket.read(&mut [0]).await.unwrap(), 1);
            }
        };
        assert_eq!(run(timeout(Duration::from_millis(1), endless)), None);
    }

    #[test]
    fn a_full_socket_is_written_to_when_there_is_room_again() {
        let (socket, mut other) = pair();
        let bytes = vec![7; 1 << 20];
        let reader = thread::spawn(move || {
            let mut read = Vec::new();
            other.read_to_end(&mut read).unwrap();
            read
        });
        run(async {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let count = socket.write(rest).await.unwrap();
                rest = &rest[count..];
            }
        });
        drop(socket);
        assert_eq!(reader.join().unwrap(), bytes);
    }

    #[test]
    fn room_that_comes_before_the_news_that_there_is_none_is_not_missed() {
        let (socket, mut other) = pair();
        run(async {
            // As another thread does, whose result comes late.
            let fill = || while (&socket.io).write(&[7; 4096]).is_ok() {};
            for _ in 0..100 {
                socket.writable().await.unwrap();
                fill();
                let mut room = vec![0; 1 << 20];
                assert!(other.read(&mut room).unwrap() > 0);
                future::yield_now().await;
            }
            // It ended without having filled it: no news will come.
            socket.writable().await.unwrap();
            socket.has_room();
            assert!(future::poll_once(Box::pin(socket.writable())).await.is_some());
        });
    }

    #[test]
    fn a_socket_that_was_left_wakes_nobody_and_is_read_when_it_is_awaited_again() {
        let (socket, mut other) = pair();
        run(async {
            assert_eq!(
                timeout(Duration::from_millis(1), socket.readable()).await.map(drop),
                Some(())
            );
            assert!(socket.read_now(&mut [0; 4]).is_err());
            assert!(future::poll_once(Box::pin(socket.readable())).await.is_none());
            socket.leave();
            other.write_all(b"one").unwrap();
            sleep(Duration::from_millis(1)).await;
            assert!(socket.source.place.get().is_none());
            assert_eq!(socket.read(&mut [0; 4]).await.unwrap(), 3);
            other.write_all(b"more").unwrap();
            assert_eq!(socket.read(&mut [0; 4]).await.unwrap(), 4);
            assert_eq!(socket.read_now(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        });
    }

    #[test]
    fn two_tasks_wait_for_the_same_socket() {
        let executor = LocalExecutor::new();
        let (socket, mut other) = pair();
        let socket = Rc::new(socket);
        assert!(socket.read_now(&mut [0; 4]).is_err());
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let socket = Rc::clone(&socket);
                executor.spawn(async move { socket.readable().await })
            })
            .collect();
        block_on(&executor, async {
            future::yield_now().await;
            other.write_all(b"x").unwrap();
            for waiter in waiters {
                waiter.await.unwrap();
            }
        });
    }

    #[test]
    fn a_connection_that_is_refused_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Async::new(listener).unwrap();
        run(async {
            let (connected, accepted) =
                future::zip(Async::connect(address), listener.accept()).await;
            assert_eq!(connected.unwrap().io.local_addr().unwrap(), accepted.unwrap().1);
        });
        drop(listener);
        let error = run(Async::connect(address)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_place_is_used_again_once_its_socket_is_gone() {
        run(async {
            for _ in 0..100 {
                let (socket, _other) = pair();
                assert!(socket.read_now(&mut [0; 4]).is_err());
                assert!(future::poll_once(Box::pin(socket.readable())).await.is_none());
            }
        });
        DRIVER.with(|driver| assert_eq!(driver.sources.borrow().len(), 1));
    }
}
