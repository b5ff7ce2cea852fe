//! What tasks of the main thread wait for: an event, a flag, a count.

use smol::future;
use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// An event that wakes every task waiting for it on this thread, and is not remembered.
#[derive(Clone, Default)]
pub struct Signal(Rc<RefCell<SignalState>>);

#[derive(Default)]
struct SignalState {
    count: u64,
    /// The number of the next wait, and those that go on.
    next: u64,
    waits: Vec<(u64, Waker)>,
}

/// Waits for a [`Signal`].
pub struct Changed {
    state: Rc<RefCell<SignalState>>,
    /// How often it had been notified before.
    seen: u64,
    number: u64,
}

impl Signal {
    pub fn notify(&self) {
        self.0.borrow_mut().count += 1;
        // Not borrowed while waking: a waker may hold the last reference to a task that waits here.
        while let Some((_, waker)) = self.pop() {
            waker.wake();
        }
    }

    fn pop(&self) -> Option<(u64, Waker)> {
        self.0.borrow_mut().waits.pop()
    }

    /// Waits until `is_so`, checking it now and after each [`Signal::notify`]. Cancel-safe.
    pub async fn until(&self, is_so: impl Fn() -> bool) {
        self.until_some(|| is_so().then_some(())).await;
    }

    /// Waits until `find` returns a value, calling it now and after each [`Signal::notify`].
    /// Cancel-safe.
    pub async fn until_some<T>(&self, mut find: impl FnMut() -> Option<T>) -> T {
        loop {
            let changed = self.changed();
            if let Some(value) = find() {
                return value;
            }
            changed.await;
        }
    }

    /// Returns a future that completes at the next [`Signal::notify`] after this call. Cancel-safe.
    pub fn changed(&self) -> Changed {
        let mut state = self.0.borrow_mut();
        state.next += 1;
        Changed { state: Rc::clone(&self.0), seen: state.count, number: state.next }
    }
}

impl Changed {
    /// Takes its waker off the list.
    fn forget(&self) -> Option<(u64, Waker)> {
        let mut state = self.state.borrow_mut();
        let at = state.waits.iter().position(|(number, _)| *number == self.number)?;
        Some(state.waits.swap_remove(at))
    }
}

impl Future for Changed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Dropped last, when the list is not borrowed.
        let _before = self.forget();
        let mut state = self.state.borrow_mut();
        if state.count != self.seen {
            return Poll::Ready(());
        }
        state.waits.push((self.number, context.waker().clone()));
        Poll::Pending
    }
}

/// Clients come and go while nothing happens.
impl Drop for Changed {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Something that happens once, such as a stop, and is remembered.
#[derive(Clone, Default)]
pub struct Flag(Signal);

impl Flag {
    pub fn raise(&self) {
        self.0.notify();
    }

    pub fn is_raised(&self) -> bool {
        self.0.0.borrow().count > 0
    }

    /// Completes once it is raised. Cancel-safe.
    pub async fn raised(&self) {
        self.0.until(|| self.is_raised()).await;
    }

    /// Returns the output of `future`, or `None` as soon as the flag is raised; the future is then
    /// dropped.
    pub async fn or_raised<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let raised = async {
            self.raised().await;
            None
        };
        future::or(raised, async { Some(future.await) }).await
    }
}

/// Counts things, each of which holds a [`Counted`].
#[derive(Clone, Default)]
pub struct Count {
    value: Rc<Cell<usize>>,
    changed: Signal,
}

/// Counts for one until it is dropped.
pub struct Counted(Count);

impl Count {
    pub fn get(&self) -> usize {
        self.value.get()
    }

    /// Counts one more.
    pub fn enter(&self) -> Counted {
        self.set(self.get() + 1);
        Counted(self.clone())
    }

    /// Counts one more unless there are `most` already.
    pub fn try_enter(&self, most: usize) -> Option<Counted> {
        (self.get() < most).then(|| self.enter())
    }

    /// Waits until the count `is_so`. Cancel-safe.
    pub async fn until(&self, is_so: impl Fn(usize) -> bool) {
        self.changed.until(|| is_so(self.get())).await;
    }

    /// Completes when the count next changes. Cancel-safe.
    pub fn changed(&self) -> Changed {
        self.changed.changed()
    }

    fn set(&self, value: usize) {
        self.value.set(value);
        self.changed.notify();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{block_on, spawn, timeout};
    use smol::{LocalExecutor, future::poll_once};
    use std::time::Duration;

    #[test]
    fn a_signal_wakes_every_waiter_once() {
        let executor = LocalExecutor::new();
        let signal = Signal::default();
        let waiters: Vec<_> = (0..3).map(|_| executor.spawn(signal.changed())).collect();
        block_on(&executor, async {
            signal.notify();
            for waiter in waiters {
                waiter.await;
            }
            let late = signal.changed();
            assert_eq!(timeout(Duration::from_millis(1), late).await, None);
        });
    }

    /// The list grew by each client that left, until the next event.
    #[test]
    fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let executor = LocalExecutor::new();
        let signal = Signal::default();
        block_on(&executor, async {
            for _ in 0..3 {
                let wait = signal.changed();
                let client = executor.spawn(async {
                    assert_eq!(timeout(Duration::from_millis(1), wait).await, None);
                });
                client.await;
            }
            assert!(signal.0.borrow().waits.is_empty());
            // The same task still waits.
            let (mut other, mut wait) = (signal.changed(), signal.changed());
            assert_eq!(poll_once(&mut wait).await, None);
            assert_eq!(poll_once(&mut other).await, None);
            drop(other);
            let other = signal.clone();
            spawn(&executor, async move { other.notify() });
            wait.await;
        });
    }

    #[test]
    fn a_condition_that_holds_already_is_not_waited_for() {
        smol::block_on(async {
            Signal::default().until(|| true).await;
            Count::default().until(|count| count == 0).await;
        });
    }

    #[test]
    fn a_raised_flag_ends_what_runs_and_what_is_started_later() {
        let flag = Flag::default();
        let mut running = Box::pin(flag.or_raised(std::future::pending::<()>()));
        smol::block_on(async {
            assert_eq!(poll_once(&mut running).await, None);
            flag.raise();
            assert_eq!(running.await, None);
            assert_eq!(flag.or_raised(async { 7 }).await, None, "the flag goes first");
        });
    }

    #[test]
    fn a_place_is_free_again_once_its_holder_is_dropped() {
        let count = Count::default();
        let first = count.try_enter(1).unwrap();
        assert!(count.try_enter(1).is_none());
        let mut free = Box::pin(count.until(|count| count == 0));
        smol::block_on(async {
            assert_eq!(poll_once(&mut free).await, None);
            drop(first);
            free.await;
        });
        assert_eq!(count.get(), 0);
    }
}
