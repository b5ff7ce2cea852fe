//! A thread that waits until others wake it, or for some time.
//!
//! `std::thread::park_timeout` and whatever else in std waits so can not be used on the boards: where
//! time_t has 64 bits and pointers have 32, std hands its timespec to the old futex call, which takes the
//! upper half of the seconds for nanoseconds. Such a wait ends at the last full second, which is over,
//! and a loop around it spins. rustix gives each call the struct that it takes.
//! Spec: futex(2). Knows nothing of: futures, queues.

use rustix::{
    thread::futex::{self, Flags},
    time::Timespec,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// The place where one thread waits; clones are for those who wake it.
#[derive(Clone, Default, Debug)]
pub struct Parker(Arc<AtomicU32>);

impl Parker {
    /// Waits until [`Parker::wake`] was called since the last time, or `span` is over; without one for
    /// as long as that takes. May end earlier: callers look whether what they wait for is so.
    pub fn park(&self, span: Option<Duration>) {
        let parked = self.0.compare_exchange(RUNS, PARKED, Ordering::AcqRel, Ordering::Acquire);
        if parked.is_ok() {
            let timeout = span.and_then(|span| Timespec::try_from(span).ok());
            // Woken, over, interrupted or woken before it waited: all the same to the caller.
            let _ = futex::wait(&self.0, Flags::PRIVATE, PARKED, timeout.as_ref());
        }
        // Not a store: what was done before a wake that it overwrites must be seen by the caller.
        self.0.swap(RUNS, Ordering::AcqRel);
    }

    /// Ends the wait, or the next one before it begins.
    pub fn wake(&self) {
        if self.0.swap(WOKEN, Ordering::AcqRel) == PARKED {
            // It can not fail for a word of our own.
            let _ = futex::wake(&self.0, Flags::PRIVATE, 1);
        }
    }
}

const RUNS: u32 = 0;
const PARKED: u32 = 1;
const WOKEN: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::atomic::AtomicBool, thread, time::Instant};

    /// What a thread does that waits for `condition`: how often it was awake.
    fn wait_for(parker: &Parker, span: Option<Duration>, condition: impl Fn() -> bool) -> usize {
        (0..)
            .find(|_| {
                condition() || {
                    parker.park(span);
                    false
                }
            })
            .unwrap()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it measures")]
    fn a_wait_lasts_as_long_as_it_was_asked_to() {
        let parker = Parker::default();
        for span in [Duration::from_millis(3), Duration::from_micros(1_100_000)] {
            let end = Instant::now() + span;
            let woken = wait_for(&parker, Some(span), || Instant::now() >= end);
            assert!(woken <= 2, "awake {woken} times in {span:?}");
        }
    }

    #[test]
    fn one_that_was_woken_before_does_not_wait() {
        let parker = Parker::default();
        parker.wake();
        parker.wake();
        parker.park(None);
    }

    #[test]
    fn another_thread_wakes_it() {
        let (parker, done) = (Parker::default(), Arc::new(AtomicBool::new(false)));
        let (waker, flag) = (parker.clone(), done.clone());
        let thread = thread::spawn(move || {
            flag.store(true, Ordering::Release);
            waker.wake();
        });
        wait_for(&parker, None, || done.load(Ordering::Acquire));
        thread.join().unwrap();
    }
}
