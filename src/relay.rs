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
    runtime::{self, Count, Counted},
    web::{Listener, Web},
};
use smol::Async;
use std::{net::TcpStream, rc::Rc};

/// Listens on `rtsp.listen` until the daemon ends.
pub(crate) fn start(web: Rc<Web>) {
    let executor = Rc::clone(&web.daemon.executor);
    runtime::spawn(&executor, serve(web));
}

async fn serve(web: Rc<Web>) {
    let living = Count::default();
    let listener = Listener {
        daemon: &web.daemon,
        name: "rtsp",
        address: |config| config.rtsp.listen,
        living: &living,
        most: &|| limits::RELAY_CONNECTIONS_MAX,
        take: &|socket, _| take(&web, socket, living.enter()),
    };
    listener.run().await;
}

fn take(web: &Rc<Web>, socket: Async<TcpStream>, living: Counted) {
    let web = Rc::clone(web);
    let executor = Rc::clone(&web.daemon.executor);
    runtime::spawn(&executor, async move {
        let _living = living;
        match Client::new(web, socket) {
            Ok(client) => Box::pin(client.serve()).await,
            Err(error) => log::debug!("rtsp: a client left at once: {error}"),
        }
    });
}
