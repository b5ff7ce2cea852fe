//! Viewers: live video as a file and over a WebSocket.

use super::{
    Web,
    access::Who,
    answer::{Answer, Piece, Source},
    live::{Framing, Live},
    places::{Client, MediaPlace},
    routes::{Asked, Outcome},
};
use crate::limits;
use std::{net::IpAddr, pin::Pin, rc::Rc};

impl Web {
    /// Takes a place among the media connections, or returns the reply that none is free. A HEAD
    /// request needs no place.
    pub(super) fn media_place(&self, asked: &Asked<'_>) -> Result<Option<MediaPlace>, Answer> {
        if asked.head.method == "HEAD" {
            return Ok(None);
        }
        let most = limits::WEB_MEDIA_MAX;
        let error = || format!("{most} players are connected, which is the limit: close one");
        let address = asked.link.peer.address();
        let place = self.take_media_place(asked.link.clone(), asked.who, address);
        let place = place.ok_or_else(|| Answer::error(503, error()).with("Retry-After", "2"))?;
        Ok(Some(place))
    }

    /// The same for clients that do not speak HTTP.
    pub(crate) fn take_media_place(
        &self,
        client: Rc<dyn Client>,
        who: Who,
        address: Option<IpAddr>,
    ) -> Option<MediaPlace> {
        self.places.take(client, who.sharer(address), 1)
    }

    /// `GET /live/{camera}` as a WebSocket.
    pub(super) fn web_socket(self: &Rc<Self>, asked: &Asked<'_>) -> Outcome {
        let camera = asked.head.path().strip_prefix("/live/").unwrap_or_default();
        match self.live(asked, camera, Framing::Messages) {
            Ok((source, place)) => Outcome::Socket(Box::new(source), place),
            Err(answer) => Outcome::Answer(answer),
        }
    }

    /// `GET /live/{camera}` without an upgrade. Browsers hide from pages why a WebSocket was
    /// refused; this request shows it.
    pub(super) fn no_web_socket(self: &Rc<Self>, asked: &Asked<'_>, camera: &str) -> Answer {
        let Some(station) = self.station(camera) else { return no_camera() };
        if let Some(reason) = station.no_live() {
            return Answer::error(503, reason.to_owned());
        }
        match self.media_place(asked) {
            Ok(_) => {
                Answer::error(426, "this is a WebSocket: upgrade").with("Upgrade", "websocket")
            }
            Err(answer) => answer,
        }
    }

    /// `GET /live/{camera}.mp4`.
    pub(super) fn live_file(self: &Rc<Self>, asked: &Asked<'_>, file: &str) -> Answer {
        let camera = file.strip_suffix(".mp4").unwrap_or(file);
        match self.live(asked, camera, Framing::File) {
            Ok((source, place)) => {
                Answer::endless("video/mp4", Box::new(Placed { source, _place: place }))
            }
            Err(answer) => answer,
        }
    }

    fn live(
        self: &Rc<Self>,
        asked: &Asked<'_>,
        camera: &str,
        framing: Framing,
    ) -> Result<(Live, Option<MediaPlace>), Answer> {
        let station = self.station(camera).ok_or_else(no_camera)?;
        if let Some(reason) = station.no_live() {
            return Err(Answer::error(503, reason.to_owned()));
        }
        let place = self.media_place(asked)?;
        let with_sound = asked.head.parameter("sound").is_some();
        Ok((Live::new(self, station, framing, with_sound, asked.link.clone()), place))
    }
}

fn no_camera() -> Answer {
    Answer::error(404, "no such camera")
}

/// A source and its place among the media connections.
struct Placed<S> {
    source: S,
    _place: Option<MediaPlace>,
}

impl<S: Source> Source for Placed<S> {
    fn next<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Pin<Box<dyn Future<Output = Piece> + 'a>> {
        self.source.next(out)
    }
}
