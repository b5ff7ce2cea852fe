//! The reader: a thread that reads recordings for viewers, so that a stalled card blocks neither
//! the main thread nor other background work.
//!
//! Knows nothing of: HTTP.

use super::disk::{Access, Disk as _, linux::LinuxDisk};
use crate::{
    limits,
    runtime::{self, Job},
};
use std::{
    cell::RefCell,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::mpsc::{self, SyncSender, TrySendError},
    thread,
};

/// Runs jobs one after another. Dropping it ends the thread after the queued jobs.
pub struct ReadThread(SyncSender<Job>);

impl ReadThread {
    /// # Errors
    /// The system refused a thread.
    pub fn start() -> io::Result<ReadThread> {
        let (jobs, inbox) = mpsc::sync_channel::<Job>(limits::READER_JOBS_MAX);
        thread::Builder::new()
            .name("reader".into())
            .stack_size(limits::READER_THREAD_STACK_BYTES)
            .spawn(move || inbox.into_iter().for_each(|job| job()))?;
        Ok(ReadThread(jobs))
    }

    /// Runs a job. Cancel-safe: the job runs anyway.
    ///
    /// # Errors
    /// `ResourceBusy` if [`limits::READER_JOBS_MAX`] jobs are queued.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (job, answer) = runtime::job(job);
        self.queue(job)?;
        answer.await.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn queue(&self, job: Job) -> io::Result<()> {
        self.0.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => io::ErrorKind::ResourceBusy.into(),
            TrySendError::Disconnected(_) => io::ErrorKind::BrokenPipe.into(),
        })
    }
}

/// Reads many files in turn and keeps the last one open.
#[derive(Default)]
pub struct LastFile(RefCell<Option<(u32, File)>>);

impl LastFile {
    /// Reads at most the buffer's length at an offset; `path` returns the path of the numbered
    /// file.
    ///
    /// # Errors
    /// Any error of the card; `NotFound` if `path` returns none.
    pub fn read(
        &self,
        number: u32,
        path: impl FnOnce() -> Option<PathBuf>,
        buffer: &mut [u8],
        at: u64,
    ) -> io::Result<usize> {
        let mut last = self.0.borrow_mut();
        if last.as_ref().is_none_or(|(of, _)| *of != number) {
            let path = path().ok_or(io::ErrorKind::NotFound)?;
            *last = Some((number, LinuxDisk.open(&path, Access::Read)?));
        }
        last.as_ref().map_or(Ok(0), |(_, file)| file.read_at(buffer, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::block_on;
    use std::sync::{Arc, Barrier};

    #[test]
    fn a_job_is_done_on_another_thread() {
        let reader = ReadThread::start().unwrap();
        let here = thread::current().id();
        let there = block_on(reader.run(|| thread::current().id())).unwrap();
        assert_ne!(here, there);
    }

    #[test]
    fn more_jobs_than_may_wait_are_refused() {
        let reader = ReadThread::start().unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let held = Arc::clone(&barrier);
        reader
            .0
            .send(Box::new(move || {
                held.wait();
            }))
            .unwrap();
        let mut accepted = 0;
        while reader.0.try_send(Box::new(|| ())).is_ok() {
            accepted += 1;
        }
        let refused = block_on(reader.run(|| ())).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        // The thread may or may not have taken the first one.
        assert!((limits::READER_JOBS_MAX - 1..=limits::READER_JOBS_MAX).contains(&accepted));
        barrier.wait();
    }
}
