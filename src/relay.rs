//! RTSP server for other programs: VLC, FFmpeg, Frigate and others connect to this board and not to
//! the camera, which supports one or two sessions only.
//!
//! ```text
//! relay.rs         listens; one task per client
//! ├─ seats         which clients have a place, and which one loses it
//! ├─ client        one connection: requests, packets, the end
//! ├─ session       RTSP requests → replies
//! ├─ description   what a stream holds → SDP
//! ├─ playback      frames of the ring → packets, on the client's time line
//! └─ packetizer    frame → RTP packets
//! ```
//! A client costs only its packets: frames are read from the ring. Access follows the rules of `GET
//! /live`. Spec: RFC 2326. Off unless `rtsp.listen` is set.

mod client;
mod description;
mod packetizer;
mod playback;
mod seats;
mod session;

use self::{client::Client, seats::Seats};
use crate::{
    limits,
    runtime::{self, Async},
    web::{Listener, Web},
};
use std::{
    net::{IpAddr, TcpStream},
    rc::Rc,
};

/// Listens on `rtsp.listen` until the daemon ends.
pub(crate) fn start(web: Rc<Web>) {
    let executor = Rc::clone(&web.daemon.executor);
    runtime::spawn(&executor, serve(web));
}

async fn serve(web: Rc<Web>) {
    let seats = Rc::<Seats>::default();
    let listener = Listener {
        daemon: &web.daemon,
        name: "rtsp",
        address: |config| config.rtsp.listen,
        living: &seats.living,
        most: &|| limits::RELAY_CONNECTIONS_MAX + limits::RELAY_SPARE_CONNECTIONS,
        take: &|socket, address| take(&web, &seats, socket, address.ip().to_canonical()),
    };
    listener.run().await;
}

fn take(web: &Rc<Web>, seats: &Rc<Seats>, socket: Async<TcpStream>, peer: IpAddr) {
    // Every seat is taken by a client that keeps it, so this one is disconnected.
    let Some(seat) = seats.take(socket, peer) else { return };
    let (web, seats) = (Rc::clone(web), Rc::clone(seats));
    let executor = Rc::clone(&web.daemon.executor);
    runtime::spawn(&executor, async move {
        match Client::new(web, Rc::clone(&seat)) {
            Ok(client) => Box::pin(client.serve()).await,
            Err(error) => log::debug!("rtsp: a client left at once: {error}"),
        }
        seats.leave(&seat);
    });
}
