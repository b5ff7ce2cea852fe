//! Streams for other programs, by RTSP: VLC, FFmpeg, Frigate and others ask this board, and not the
//! camera, which bears one or two sessions.
//!
//! ```text
//! relay.rs         listens; one task a client
//! ├─ client        one connection: requests, packets, its end
//! ├─ session       RTSP requests → replies
//! ├─ description   what a stream holds → SDP
//! ├─ playback      frames of the ring → packets, on the client's time line
//! └─ packetizer    frame → RTP packets
//! ```
//! A client costs its packets alone: frames are read from the ring. Access follows the rules of
//! `GET /live`. Spec: RFC 2326. Off unless `rtsp.listen` is set.

mod client;
mod description;
mod packetizer;
mod playback;
mod session;

use self::client::Client;
use crate::{
    limits,
    runtime::{self, Signal},
    web::Web,
};
use smol::Async;
use std::{
    cell::Cell,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    rc::Rc,
};

/// State shared by all connections.
struct Relay {
    web: Rc<Web>,
    /// The number of connections.
    living: Cell<usize>,
    ended: Signal,
}

/// Counted while it lives.
struct Living(Rc<Relay>);

impl Drop for Living {
    fn drop(&mut self) {
        self.0.living.set(self.0.living.get().saturating_sub(1));
        self.0.ended.notify();
    }
}

/// Listens on `rtsp.listen` until the daemon ends.
pub(crate) fn start(web: Rc<Web>) {
    let executor = Rc::clone(&web.daemon.executor);
    let relay = Rc::new(Relay { web, living: Cell::new(0), ended: Signal::default() });
    runtime::spawn(&executor, relay.serve());
}

impl Relay {
    async fn serve(self: Rc<Self>) {
        let mut told = None;
        loop {
            let changed = self.web.daemon.reloaded.changed();
            let Some(address) = self.address() else {
                changed.await;
                continue;
            };
            match listen(address) {
                Ok(listener) => {
                    told = None;
                    // Port 0 leaves the choice to the system.
                    let bound = listener.get_ref().local_addr().unwrap_or(address);
                    log::info!("rtsp=listening address={bound}");
                    smol::future::or(self.accept(&listener), self.moved(address)).await;
                }
                Err(error) => {
                    let text = error.to_string();
                    if told.as_deref() != Some(&*text) {
                        log::error!("rtsp=waiting address={address} error=\"{text}\"");
                        told = Some(text);
                    }
                    runtime::sleep(limits::WEB_RETRY_INTERVAL).await;
                }
            }
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.web.daemon.config.borrow().rtsp.listen
    }

    /// Returns when the configuration names another address, or none.
    async fn moved(&self, address: SocketAddr) {
        loop {
            let changed = self.web.daemon.reloaded.changed();
            if self.address() != Some(address) {
                return;
            }
            changed.await;
        }
    }

    async fn accept(self: &Rc<Self>, listener: &Async<TcpListener>) {
        loop {
            self.room().await;
            match listener.accept().await {
                Ok((socket, _)) => self.take(socket),
                Err(error) => log::warn!("rtsp: accepting a connection failed: {error}"),
            }
            // As over HTTP: a flood of connections must not starve the recorder.
            runtime::sleep(limits::WEB_ACCEPT_INTERVAL).await;
        }
    }

    /// Waits until one more connection may live.
    async fn room(&self) {
        loop {
            let ended = self.ended.changed();
            if self.living.get() < limits::RELAY_CONNECTIONS_MAX {
                return;
            }
            ended.await;
        }
    }

    fn take(self: &Rc<Self>, socket: Async<TcpStream>) {
        self.living.set(self.living.get() + 1);
        let living = Living(Rc::clone(self));
        runtime::spawn(&self.web.daemon.executor, async move {
            match Client::new(Rc::clone(&living.0.web), socket) {
                Ok(client) => Box::pin(client.serve()).await,
                Err(error) => log::debug!("rtsp: a client left at once: {error}"),
            }
        });
    }
}

fn listen(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    let listener = Async::<TcpListener>::bind(address)?;
    // A client that waits there costs the kernel memory.
    rustix::net::listen(listener.get_ref(), limits::WEB_BACKLOG)?;
    Ok(listener)
}
