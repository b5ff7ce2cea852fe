//! Signals sent to the daemon; the handler of each kind writes into a pair of sockets.
//!
//! Spec: signal-safety(7).

use crate::runtime::Async;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};
use smol::future;
use std::{ffi::c_int, io, os::unix::net::UnixStream};

/// The signals handled from now on.
pub(super) struct Signals {
    /// SIGTERM and SIGINT.
    pub(super) ends: SystemSignal,
    pub(super) hangups: SystemSignal,
}

pub(super) struct SystemSignal(Async<UnixStream>);

impl Signals {
    /// # Errors
    /// The system refused a handler.
    pub(super) fn new() -> io::Result<Signals> {
        Ok(Signals {
            ends: SystemSignal::of(&[SIGTERM, SIGINT])?,
            hangups: SystemSignal::of(&[SIGHUP])?,
        })
    }
}

impl SystemSignal {
    fn of(numbers: &[c_int]) -> io::Result<SystemSignal> {
        let (received, sent) = UnixStream::pair()?;
        for number in numbers {
            pipe::register(*number, sent.try_clone()?)?;
        }
        Ok(SystemSignal(Async::new(received)?))
    }

    /// Waits for the next one; several that come at once are one. Cancel-safe.
    pub(super) async fn next(&self) {
        if self.0.read(&mut [0; 16]).await.is_err() {
            // The other end lasts as long as the process, so reading can only fail for lack of
            // memory.
            future::pending::<()>().await;
        }
    }
}
