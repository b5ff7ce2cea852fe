//! A listener that follows the configuration: it is bound again when its address changes, and tried
//! again while the address cannot be had.
//!
//! Knows nothing of: what a connection is used for.

use crate::{
    config::Config,
    daemon::Daemon,
    limits,
    runtime::{self, Async, Count},
};
use smol::future;
use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
};

/// Where to listen, and what for.
pub(crate) struct Listener<'a> {
    pub daemon: &'a Daemon,
    /// As the log calls it.
    pub name: &'static str,
    /// `None` if it is off.
    pub address: fn(&Config) -> Option<SocketAddr>,
    /// The connections that live.
    pub living: &'a Count,
    /// Beyond this many, further clients wait in the kernel's queue.
    pub most: &'a dyn Fn() -> usize,
    /// Takes a connection.
    pub take: &'a dyn Fn(Async<TcpStream>, SocketAddr),
}

impl Listener<'_> {
    /// Accepts connections, for ever.
    pub async fn run(&self) {
        let mut told = None;
        loop {
            let address = self.daemon.reloaded.until_some(|| self.address()).await;
            match listen(address) {
                Ok(listener) => {
                    told = None;
                    // With port 0, the system chooses the port.
                    let bound = listener.get_ref().local_addr().unwrap_or(address);
                    log::info!("{}=listening address={bound}", self.name);
                    let moved = self.daemon.reloaded.until(|| self.address() != Some(address));
                    future::or(self.accept(&listener), moved).await;
                }
                Err(error) => {
                    let text = error.to_string();
                    if told.as_deref() != Some(&*text) {
                        log::error!("{}=waiting address={address} error=\"{text}\"", self.name);
                        told = Some(text);
                    }
                    runtime::sleep(limits::WEB_RETRY_INTERVAL).await;
                }
            }
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        (self.address)(&self.daemon.config.borrow())
    }

    /// Accepts connections only as fast as the recorder, which shares this thread, can bear.
    async fn accept(&self, listener: &Async<TcpListener>) {
        let mut due = runtime::now();
        loop {
            self.living.until(|living| living < (self.most)()).await;
            match listener.accept().await {
                Ok((socket, address)) => (self.take)(socket, address),
                Err(error) => hold_off(self.name, &error).await,
            }
            let (now, interval) = (runtime::now(), limits::WEB_ACCEPT_INTERVAL);
            due = due.max(now - interval * limits::WEB_ACCEPT_BURST) + interval;
            if due > now {
                runtime::sleep(due - now).await;
            }
            // A queue that never runs dry must not starve other tasks.
            future::yield_now().await;
        }
    }
}

/// Logs that a connection could not be accepted, and waits: it would fail again at once.
pub(super) async fn hold_off(name: &str, error: &io::Error) {
    log::warn!("{name}: cannot accept a connection: {error}");
    runtime::sleep(limits::WEB_RETRY_INTERVAL).await;
}

fn listen(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    let listener = TcpListener::bind(address)?;
    // Connections inherit it, also those that wait.
    let bytes = limits::WEB_RECEIVE_BUFFER_BYTES;
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&listener, bytes);
    // Connections waiting there cost kernel memory.
    rustix::net::listen(&listener, limits::WEB_BACKLOG)?;
    Async::new(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt;

    #[test]
    fn what_strangers_send_unread_takes_little_of_the_kernels_memory() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let _client = TcpStream::connect(listener.get_ref().local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.get_ref().accept().unwrap();
        let bytes = sockopt::socket_recv_buffer_size(&accepted).unwrap();
        assert!(bytes <= 2 * limits::WEB_RECEIVE_BUFFER_BYTES, "{bytes}");
    }
}
