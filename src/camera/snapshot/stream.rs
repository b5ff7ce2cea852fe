//! Pictures of a JPEG stream over RTSP: a URL in, JPEGs out.
//!
//! Spec: RFC 2326, RFC 2435.

use super::error::Error;
use crate::{
    camera::{self, Connector},
    http::url::Target,
    limits::{SNAPSHOT_TIMEOUT, TEARDOWN_TIMEOUT},
    rtp::{JpegDepacketizer, JpegError, Order, Packet, Receiver},
    rtsp::{Output, PacketKind, Presentation, Session, SessionOptions, Tracks},
    runtime::{self, Async},
};
use smol::future;
use std::{io, net::TcpStream, time::Instant};

/// A session for pictures, separate from the recorded one.
pub struct JpegStream {
    socket: Async<TcpStream>,
    session: Session,
    video: Option<(usize, Receiver)>,
    depacketizer: JpegDepacketizer,
    /// Why the last picture failed.
    trouble: Option<JpegError>,
    /// Requests not sent yet.
    outgoing: Vec<u8>,
}

impl JpegStream {
    /// Connects; `next` opens the session. `seed` is for nonces.
    ///
    /// # Errors
    /// Those of [`Connector::connect`].
    pub async fn open(target: &Target, seed: u64) -> Result<JpegStream, Error> {
        let socket = Connector::new(target).connect().await?;
        let options = SessionOptions { tracks: Tracks::Jpeg, ..SessionOptions::new(seed) };
        Ok(JpegStream {
            socket,
            session: Session::new(target, options, runtime::now()),
            video: None,
            depacketizer: JpegDepacketizer::default(),
            trouble: None,
            outgoing: Vec::new(),
        })
    }

    /// Waits for the next complete picture and stores it in `picture`. Cancel-safe.
    ///
    /// # Errors
    /// The session ended or has no JPEG. After [`SNAPSHOT_TIMEOUT`] without a picture: why the last
    /// one failed, or `TooSlow`.
    pub async fn next(&mut self, picture: &mut Vec<u8>) -> Result<(), Error> {
        let deadline = runtime::now() + SNAPSHOT_TIMEOUT;
        loop {
            let now = runtime::now();
            if self.drain(picture, now)? {
                self.trouble = None;
                return Ok(());
            }
            if now >= deadline {
                return Err(self.trouble.map_or(Error::TooSlow, Error::Stream));
            }
            self.flush(deadline).await?;
            self.read(deadline).await?;
        }
    }

    /// Sends TEARDOWN within [`TEARDOWN_TIMEOUT`].
    pub async fn tear_down(mut self) {
        let now = runtime::now();
        self.session.teardown(now);
        while let Ok(Some(output)) = self.session.poll(now) {
            if let Output::Send(bytes) = output {
                self.outgoing.extend_from_slice(bytes);
            }
        }
        let _ = self.flush(now + TEARDOWN_TIMEOUT).await;
    }

    /// Processes outputs of the session up to the end of a picture; returns true if there was one.
    fn drain(&mut self, picture: &mut Vec<u8>, now: Instant) -> Result<bool, Error> {
        while let Some(output) = self.session.poll(now).map_err(camera::Error::Session)? {
            match output {
                Output::Send(bytes) => self.outgoing.extend_from_slice(bytes),
                Output::Playing(presentation) => self.video = video(presentation),
                Output::Closed => return Err(camera::Error::Closed.into()),
                Output::Packet { track, kind: PacketKind::Rtp, bytes } => {
                    let Some((_, receiver)) = self.video.as_mut().filter(|(it, _)| *it == track)
                    else {
                        continue;
                    };
                    let Ok(packet) = Packet::parse(bytes) else { continue };
                    let (depacketizer, trouble) = (&mut self.depacketizer, &mut self.trouble);
                    let mut is_whole = false;
                    receiver.handle_packet(packet, now, &mut |packet, lost| match depacketizer
                        .handle_packet(&packet, lost)
                    {
                        Ok(None) => {}
                        Ok(Some(whole)) => {
                            picture.clear();
                            picture.extend_from_slice(whole);
                            is_whole = true;
                        }
                        Err(error) => *trouble = Some(error),
                    });
                    if is_whole {
                        return Ok(true);
                    }
                }
                Output::Packet { .. } | Output::Stray { .. } => {}
            }
        }
        Ok(false)
    }

    /// Waits for data, for the session's deadline, or until `deadline`.
    async fn read(&mut self, deadline: Instant) -> Result<(), Error> {
        let until = self.session.deadline().map_or(deadline, |session| session.min(deadline));
        let readable = self.socket.readable();
        let readable = async { readable.await.map_err(camera::Error::Broken) };
        let expired = async {
            runtime::sleep_until(until).await;
            Ok(())
        };
        future::or(readable, expired).await?;
        match self.socket.read_now(self.session.space()) {
            Ok(0) => return Err(camera::Error::Session(self.session.disconnected()).into()),
            Ok(count) => self.session.filled(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(camera::Error::Broken(error).into()),
        }
        let now = runtime::now();
        if self.session.deadline().is_some_and(|deadline| deadline <= now) {
            self.session.handle_timeout(now).map_err(camera::Error::Session)?;
        }
        Ok(())
    }

    /// Sends pending requests. Cancel-safe: nothing is sent twice.
    async fn flush(&mut self, deadline: Instant) -> Result<(), Error> {
        while !self.outgoing.is_empty() {
            let patience = deadline.saturating_duration_since(runtime::now());
            let written = runtime::timeout(patience, self.socket.write(&self.outgoing)).await;
            match written.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())) {
                Ok(0) => return Err(camera::Error::Broken(io::ErrorKind::WriteZero.into()).into()),
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) => return Err(camera::Error::Broken(error).into()),
            }
        }
        Ok(())
    }
}

/// Returns the track that was set up.
fn video(presentation: &Presentation) -> Option<(usize, Receiver)> {
    let mut tracks = presentation.tracks.iter().enumerate();
    let (track, found) = tracks.find(|(_, track)| track.transport.is_some())?;
    Some((track, Receiver::new(found.payload_type, Order::Reliable)))
}
