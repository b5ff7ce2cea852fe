//! The main thread: one executor, one list of sleepers, one place to park.
//!
//! A wake costs one system call: one `epoll_pwait` whose timeout is the next sleeper's, on the
//! thread that works. There is no reactor thread: it would cost an `epoll_ctl` per wait for a
//! socket, two calls per timer, and three more to wake this thread. The clock is read twice a wake:
//! on boards that is a system call too.
//!
//! `socket` has the sockets, `watch` files of other programs, `job` work for other threads, and
//! `signal` what tasks of this thread wait for: an event, a flag, a count.

#![expect(clippy::disallowed_methods, reason = "this is where waiting meets the clock")]

mod job;
mod signal;
mod socket;
mod watch;

pub use job::{Job, job};
pub use signal::{Count, Counted, Flag, Signal};
pub use socket::Async;
pub use watch::FileWatch;

use crate::limits::{WORKER_STACK_BYTES, WORKERS_MAX};
use smol::{LocalExecutor, Task, lock::Semaphore};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// Runs `future`, and the tasks it spawns on `executor`, on this thread until `future` completes.
pub fn block_on<T>(executor: &LocalExecutor<'_>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(executor.run(future));
    let waker = socket::bell();
    let mut context = Context::from_waker(&waker);
    loop {
        NOW.set(Some(Instant::now()));
        while let Some(due) = next_due(now()) {
            due.wake();
        }
        socket::answer_bell();
        let result = future.as_mut().poll(&mut context);
        NOW.set(None);
        if let Poll::Ready(value) = result {
            return value;
        }
        socket::wait(first_deadline().map(|it| it.saturating_duration_since(Instant::now())));
    }
}

/// Spawns a detached task.
pub fn spawn(executor: &LocalExecutor<'static>, future: impl Future<Output = ()> + 'static) {
    task(executor, future).detach();
}

/// Spawns a task. Boxing gives all tasks one type, so that the executor's code is in the binary
/// only once.
pub fn task(
    executor: &LocalExecutor<'static>,
    future: impl Future<Output = ()> + 'static,
) -> Task<()> {
    let future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    executor.spawn(future)
}

/// Returns a future that completes at `deadline`. Cancel-safe; only inside [`block_on`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, number: None }
}

pub fn sleep(span: Duration) -> Sleep {
    sleep_until(now() + span)
}

/// Returns the output of `future`, or `None` if it takes longer than `limit`; the future is then
/// dropped.
pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    smol::future::or(async { Some(future.await) }, async {
        sleep(limit).await;
        None
    })
    .await
}

/// Runs `work`, which may wait for a disk or a name server or compute for long, on a thread of its
/// own, at most [`WORKERS_MAX`] at once. There is no pool: its idle threads would keep waking up,
/// and there is work only once a day. Dropping the future does not cancel the work.
pub async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (job, answer) = job(work);
    set_to_work(job).await;
    answer.await.expect("work ends with its answer")
}

/// Not generic, so that it is in the binary only once.
async fn set_to_work(work: Job) {
    static WORKERS: Semaphore = Semaphore::new(WORKERS_MAX);
    let turn = WORKERS.acquire().await;
    let work = Arc::new(Mutex::new(Some((work, turn))));
    let run = move || {
        let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((work, _turn)) = work {
            work();
        }
    };
    let worker = thread::Builder::new().name("worker".into()).stack_size(WORKER_STACK_BYTES);
    if worker.spawn(run.clone()).is_err() {
        run(); // the system has no room for a thread
    }
}

/// Returns the current time, for drivers. Inside [`block_on`] it is that of the last wake, so work
/// that takes long is not timed by it.
pub fn now() -> Instant {
    NOW.get().unwrap_or_else(Instant::now)
}

pub struct Sleep {
    deadline: Instant,
    /// Its key among the sleepers, once it is registered.
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if now() >= self.deadline {
            return Poll::Ready(());
        }
        // The list must not be borrowed while the previous waker is dropped: that may drop a
        // sleeper.
        let _before = SLEEPERS.with_borrow_mut(|sleepers| {
            let number = *self.number.get_or_insert_with(|| {
                sleepers.count += 1;
                sleepers.count
            });
            sleepers.list.insert((self.deadline, number), context.waker().clone())
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            SLEEPERS.with_borrow_mut(|sleepers| sleepers.list.remove(&(self.deadline, number)));
        }
    }
}

#[derive(Default)]
struct Sleepers {
    list: BTreeMap<(Instant, u64), Waker>,
    count: u64,
}

thread_local! {
    static SLEEPERS: RefCell<Sleepers> = RefCell::default();
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Takes a sleeper whose deadline has passed off the list, in the order of their deadlines.
fn next_due(now: Instant) -> Option<Waker> {
    // Not borrowed while waking: a waker may drop a sleeper.
    SLEEPERS.with_borrow_mut(|sleepers| {
        let first = sleepers.list.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    })
}

fn first_deadline() -> Option<Instant> {
    SLEEPERS.with_borrow(|sleepers| Some(sleepers.list.first_key_value()?.0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path, task::Wake};

    struct Note(u64, Arc<Mutex<Vec<u64>>>);

    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines() {
        let later = Instant::now() + Duration::from_secs(3600);
        let order = Arc::default();
        let _sleepers = [30, 10, 20].map(|millis| {
            let waker = Waker::from(Arc::new(Note(millis, Arc::clone(&order))));
            let mut sleep = Box::pin(sleep_until(later + Duration::from_millis(millis)));
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            sleep
        });
        while let Some(due) = next_due(later + Duration::from_millis(20)) {
            due.wake();
        }
        assert_eq!(*order.lock().unwrap(), [10, 20]);
    }

    #[test]
    fn a_timeout_drops_what_it_waited_for_and_leaves_no_sleeper() {
        let executor = LocalExecutor::new();
        let value = block_on(&executor, async {
            assert_eq!(timeout(Duration::from_secs(3600), async { 7 }).await, Some(7));
            timeout(Duration::from_millis(1), std::future::pending::<()>()).await
        });
        assert_eq!(value, None);
        SLEEPERS.with_borrow(|sleepers| assert!(sleepers.list.is_empty()));
    }

    #[test]
    fn another_thread_wakes_this_one() {
        let executor = LocalExecutor::new();
        let (sender, receiver) = smol::channel::bounded(1);
        let thread = thread::spawn(move || sender.send_blocking(42));
        assert_eq!(block_on(&executor, receiver.recv()), Ok(42));
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_thread_ends_with_its_work() {
        let executor = LocalExecutor::new();
        let thread = block_on(&executor, unblock(|| fs::read_link("/proc/thread-self")));
        let thread = Path::new("/proc").join(thread.unwrap());
        while thread.exists() {
            thread::yield_now();
        }
    }

    #[test]
    fn work_that_nobody_waits_for_any_more_is_done() {
        let executor = LocalExecutor::new();
        let (done, seen) = smol::channel::bounded(1);
        block_on(&executor, async {
            let work = unblock(move || done.send_blocking(7));
            let _ = smol::future::poll_once(Box::pin(work)).await;
            assert_eq!(seen.recv().await, Ok(7));
        });
    }
}
