//! A bounded queue of events from the card thread to one task on the main thread.
//!
//! Not one of smol's channels: those wake the receiver while they hold the lock, so that on two
//! cores every event costs three more futex calls.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// Creates a queue of at most `capacity` events.
pub(super) fn queue<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        events: VecDeque::with_capacity(capacity),
        capacity,
        waker: None,
        is_eager: true,
        ends: Ends::Both,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), room: Condvar::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The card thread's end.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// The main thread's end.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    room: Condvar,
}

#[derive(Debug)]
struct State<T> {
    events: VecDeque<T>,
    capacity: usize,
    /// The waiting task's.
    waker: Option<Waker>,
    /// It is woken by quiet events too.
    is_eager: bool,
    ends: Ends,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ends {
    Both,
    One,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Volume {
    Loud,
    Quiet,
}

/// The other end has been dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

impl<T> Sender<T> {
    /// Sends an event; waits while the queue is full. A quiet one wakes nobody unless it is asked
    /// for.
    pub(super) fn send(&self, event: T, volume: Volume) -> Result<(), Closed> {
        let mut state = self.0.lock();
        while state.events.len() == state.capacity && state.ends == Ends::Both {
            state = self.0.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ends == Ends::One {
            return Err(Closed);
        }
        state.events.push_back(event);
        let is_heard = volume == Volume::Loud || state.is_eager;
        let waker = if is_heard { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Returns the next event; only one task may wait. Cancel-safe.
    ///
    /// # Errors
    /// The card thread has ended and all its events have been read.
    pub async fn recv(&self) -> Result<T, Closed> {
        poll_fn(|context| {
            let mut state = self.0.lock();
            if let Some(event) = state.events.pop_front() {
                let was_full = state.events.len() + 1 == state.capacity;
                drop(state);
                if was_full {
                    self.0.room.notify_one();
                }
                return Poll::Ready(Ok(event));
            }
            if state.ends == Ends::One {
                return Poll::Ready(Err(Closed));
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Whether quiet events are waited for, too.
    pub fn be_eager(&self, is_eager: bool) {
        let mut state = self.0.lock();
        state.is_eager = is_eager;
        let is_due = is_eager && !state.events.is_empty();
        let waker = if is_due { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    #[cfg(test)]
    pub fn recv_blocking(&self) -> Result<T, Closed> {
        smol::future::block_on(self.recv())
    }

    #[cfg(test)]
    pub fn is_full(&self) -> bool {
        let state = self.0.lock();
        state.events.len() == state.capacity
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.ends = Ends::One;
        let waker = state.waker.take();
        drop(state);
        self.room.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Volume::{Loud, Quiet},
        *,
    };
    use std::{
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        task::{Context, Wake},
        thread,
    };

    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_quiet_event_waits_for_a_loud_one_or_for_somebody_who_needs_it() {
        let bell = Arc::new(Bell(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&bell));
        let mut context = Context::from_waker(&waker);
        for is_needed in [false, true] {
            let (sender, receiver) = queue(3);
            let mut waiting = Box::pin(receiver.recv());
            receiver.be_eager(false);
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            let before = bell.0.load(Relaxed);
            sender.send(1, Quiet).unwrap();
            assert_eq!(bell.0.load(Relaxed), before);
            match is_needed {
                false => sender.send(2, Loud).unwrap(),
                true => receiver.be_eager(true),
            }
            assert_eq!(bell.0.load(Relaxed), before + 1);
            assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Ok(1)));
        }
    }

    #[test]
    fn events_come_in_order_through_a_queue_that_is_smaller() {
        let (sender, receiver) = queue(3);
        let thread =
            thread::spawn(move || (0..1000).try_for_each(|number| sender.send(number, Loud)));
        for number in 0..1000 {
            assert_eq!(receiver.recv_blocking(), Ok(number));
        }
        assert_eq!(receiver.recv_blocking(), Err(Closed));
        assert_eq!(thread.join().unwrap(), Ok(()));
    }

    #[test]
    fn data_sent_before_the_end_is_still_read() {
        let (sender, receiver) = queue(3);
        sender.send(1, Loud).unwrap();
        drop(sender);
        assert_eq!((receiver.recv_blocking(), receiver.recv_blocking()), (Ok(1), Err(Closed)));
    }

    #[test]
    fn a_sender_that_waits_for_room_learns_that_nobody_reads() {
        let (sender, receiver) = queue(1);
        sender.send(1, Loud).unwrap();
        let thread = thread::spawn(move || sender.send(2, Loud));
        drop(receiver);
        assert_eq!(thread.join().unwrap(), Err(Closed));
    }
}
