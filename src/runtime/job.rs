//! Work for another thread, and its answer, which a task of this one awaits.
//!
//! Hardly any code is generic, because there are two dozen types of answers.

use std::{
    any::Any,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

pub type Job = Box<dyn FnOnce() + Send>;

type Value = Box<dyn Any + Send>;

/// Returns a job for another thread, and a future of the result of `work`. The future gives `None`
/// if the job was dropped undone. Dropping the future does not cancel the work.
pub fn job<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Job, JobAnswer<T>) {
    let slot = Slot::default();
    let promise = Promise(slot.clone());
    let job = Box::new(move || promise.keep(Box::new(work())));
    (job, JobAnswer(slot, PhantomData))
}

/// Cancel-safe.
pub struct JobAnswer<T>(Slot, PhantomData<fn() -> T>);

impl<T: 'static> Future for JobAnswer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let value = self.0.poll(context);
        value.map(|value| value.and_then(|value| value.downcast().ok()).map(|value| *value))
    }
}

#[derive(Clone, Default)]
struct Slot(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    value: Option<Value>,
    is_over: bool,
    waker: Option<Waker>,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<Value>> {
        let mut state = self.state();
        if state.is_over {
            return Poll::Ready(state.value.take());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

struct Promise(Slot);

impl Promise {
    fn keep(self, value: Value) {
        self.0.state().value = Some(value);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::{block_on, poll_once};
    use std::thread;

    #[test]
    fn an_answer_comes_from_another_thread() {
        let (job, answer) = job(|| thread::current().id());
        let worker = thread::spawn(job);
        let expected = worker.thread().id();
        assert_eq!(block_on(answer), Some(expected));
    }

    #[test]
    fn a_job_that_nobody_does_has_no_answer() {
        let (job, mut answer) = job(|| 42);
        assert_eq!(block_on(poll_once(&mut answer)), None);
        drop(job);
        assert_eq!(block_on(answer), None);
    }

    #[test]
    fn an_answer_that_nobody_awaits_is_dropped() {
        let value = Arc::new(());
        let answered = Arc::clone(&value);
        let (job, answer) = job(move || answered);
        drop(answer);
        job();
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
