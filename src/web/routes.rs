//! Routes: a request in, the answer to it out. One match for all of them.
//!
//! Nothing of an address is decoded, and none reaches the file system: cameras' names and numbers are
//! looked up. Spec: docs/http.md. Knows nothing of: sockets.

use super::{
    Busy, Exclusive, MediaPlace, Web,
    access::{Peer, Refusal, Who},
    answer::{Answer, Body, Piece, Source, recycle},
    assets,
    events::Feed,
    head::Head,
    live::{Form, Live},
    socket::{Link, Occupation},
};
use crate::{
    limits,
    mp4::identity::Clock,
    runtime,
    storage::{DeleteError, layout},
};
use picoserve::{
    ResponseSent,
    extract::FromRequest as _,
    futures::Either,
    io::{Read, Write},
    request::{Path, Request},
    response::{
        IntoResponse as _, ResponseWriter, WebSocketUpgrade,
        ws::{Message, SocketRx, SocketTx, WebSocketCallback},
    },
    routing::PathRouterService,
};
use std::rc::Rc;

/// Serves one connection.
pub(super) struct Service {
    pub web: Rc<Web>,
    pub link: Rc<Link>,
}

/// What becomes of a request.
enum Outcome {
    Answer(Answer),
    /// The connection becomes a WebSocket.
    Socket(Box<dyn Source>, MediaPlace),
}

/// A request that was read whole.
struct Asked<'a> {
    head: Head<'a>,
    body: &'a [u8],
    peer: Peer,
    who: Who,
}

impl PathRouterService for Service {
    async fn call_path_router_service<R: Read, W: ResponseWriter<Error = R::Error>>(
        &self,
        (): &(),
        (): (),
        _: Path<'_>,
        mut request: Request<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        let _busy = Busy::new(&self.web.daemon);
        let head = self.link.take_head();
        let head = Head::read(&head);
        let peer = self.link.peer;
        let outcome = match head {
            None => Outcome::Answer(Answer::error(400, "this is no request")),
            Some(head) => match self.web.admit(&head, peer).await {
                Err(refusal) => Outcome::Answer(self.refuse(refusal)),
                Ok(pass) => {
                    let who = pass.who;
                    self.web.admitted(&self.link, pass);
                    match self.bound_body(who, request.body_connection.content_length()) {
                        Err(refusal) => Outcome::Answer(self.refuse(refusal)),
                        Ok(_turn) => {
                            self.link.occupy(Occupation::Body);
                            self.ask_for_body(&head).await;
                            let body = read_body(&mut request).await?;
                            self.link.occupy(Occupation::Work);
                            // Boxed: some routes hold much, and an idle connection none of it.
                            Box::pin(self.web.answer(Asked { head, body: &body, peer, who })).await
                        }
                    }
                }
            },
        };
        let method = head.map_or("GET", |head| head.method);
        match outcome {
            Outcome::Answer(answer) => {
                let connection = request.body_connection.finalize().await?;
                self.link.occupy(Occupation::Answer);
                let answer = self.web.with_common_fields(answer);
                answer.write(method, &self.link, connection, writer).await
            }
            Outcome::Socket(source, place) => {
                self.link.occupy(Occupation::WebSocket);
                let parts = request.parts;
                let upgrade =
                    WebSocketUpgrade::from_request(&(), parts, request.body_connection.body());
                match upgrade.await {
                    Ok(upgrade) => {
                        let connection = request.body_connection.finalize().await?;
                        let viewer = Viewer { source, _place: place };
                        upgrade.on_upgrade(viewer).write_to(connection, writer).await
                    }
                    Err(rejection) => {
                        let connection = request.body_connection.finalize().await?;
                        rejection.write_to(connection, writer).await
                    }
                }
            }
        }
    }
}

impl Service {
    /// A refusal needs no body: it is answered, and the connection closed.
    fn refuse(&self, refusal: Refusal) -> Answer {
        self.link.pass.replace(None);
        let answer = Answer::from(refusal);
        if !self.link.expects_body() {
            return answer;
        }
        self.link.leave_body();
        answer.with("Connection", "close")
    }

    /// Whether somebody may send so much. Strangers say a password, and where nobody is asked for one,
    /// one at a time may say more.
    fn bound_body(&self, who: Who, length: usize) -> Result<Option<Exclusive<'_>>, Refusal> {
        match who {
            _ if length <= limits::HTTP_BODY_BYTES_OF_STRANGERS_MAX => Ok(None),
            Who::Stranger => Err(Refusal::BodyTooLarge),
            Who::Anybody => Exclusive::take(&self.web.much_is_said).map(Some).ok_or(Refusal::Busy),
            Who::Unix | Who::Session | Who::Basic => Ok(None),
        }
    }

    /// Says that a body is wanted, to a client who waits for that (RFC 9110 §10.1.1).
    async fn ask_for_body(&self, head: &Head<'_>) {
        let waits = head.field("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue"));
        if waits && self.link.expects_body() {
            // Who has gone is noticed by the body that does not come.
            let sent = self.link.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            let _ = runtime::timeout(limits::WEB_WRITE_TIMEOUT, sent).await;
        }
    }
}

/// The body of a request, which the gate has found short enough.
async fn read_body<R: Read>(request: &mut Request<'_, R>) -> Result<Vec<u8>, R::Error> {
    let mut reader = request.body_connection.body().reader();
    let mut body = vec![0; reader.content_length().min(limits::HTTP_BODY_BYTES_MAX)];
    let mut filled = 0;
    while let Some(room) = body.get_mut(filled..).filter(|room| !room.is_empty()) {
        match reader.read(room).await? {
            0 => break,
            count => filled += count,
        }
    }
    body.truncate(filled);
    Ok(body)
}

impl Web {
    async fn answer(self: &Rc<Self>, asked: Asked<'_>) -> Outcome {
        let head = &asked.head;
        if head.is_upgrade() {
            return self.web_socket(head);
        }
        // A HEAD is a GET whose body is not sent.
        let method = if head.method == "HEAD" { "GET" } else { head.method };
        let path = head.path();
        // A route has one way to be written.
        if path != "/" && path.split('/').skip(1).any(str::is_empty) {
            return not_found();
        }
        let mut segments = path.split('/').skip(1);
        let route = [(); 4].map(|()| segments.next().unwrap_or_default());
        if segments.next().is_some() {
            return not_found();
        }
        let answer = match (method, route) {
            ("GET", ["api", "status", "", ""]) => self.status(),
            ("GET", ["api", "events", "", ""]) => self.events(),
            ("GET", ["api", "session", "", ""]) => self.session(asked.who),
            ("POST", ["api", "session", "", ""]) => self.log_in(asked.body, asked.peer).await,
            ("DELETE", ["api", "session", "", ""]) => self.log_out(head),
            ("PUT", ["api", "password", "", ""]) => {
                self.change_password(asked.body, asked.peer).await
            }
            ("POST", ["api", "record", "start", ""]) => self.record_start(head).await,
            ("POST", ["api", "record", "stop", ""]) => self.record_stop(head).await,
            ("POST", ["api", "shutdown", "", ""]) => self.shutdown().await,
            ("POST", ["api", "storage", "release", ""]) => self.storage_release().await,
            ("POST", ["api", "storage", "resume", ""]) => self.storage_resume().await,
            ("GET", ["api", "config", "", ""]) => self.config(),
            ("PUT", ["api", "config", "", ""]) => self.change_config(asked.body, asked.peer).await,
            ("POST", ["api", "probe", "", ""]) => self.probe(asked.body).await,
            ("GET", ["api", "recordings", "", ""]) => self.recordings(head),
            ("DELETE", ["api", "recordings", camera, number]) if !number.is_empty() => {
                self.delete_recording(camera, number).await
            }
            #[cfg(feature = "pictures")]
            ("GET", ["recordings", camera, file, ""]) if file.ends_with(".jpg") => {
                self.thumbnail(head, camera, file).await
            }
            #[cfg(not(feature = "pictures"))]
            ("GET", ["recordings", _, file, ""]) if file.ends_with(".jpg") => {
                Answer::error(404, "this smolnvr is built without pictures of recordings")
            }
            ("GET", ["clip", file, "", ""]) => self.clip(head, file).await,
            ("GET", ["recordings", camera, file, ""]) => self.recording(head, camera, file).await,
            ("GET", ["snapshot", file, "", ""]) => self.snapshot(file).await,
            ("GET", ["live", file, "", ""]) => self.live_file(file),
            // A proxy that asks whether somebody is there.
            ("OPTIONS", ["", "", "", ""]) if head.field("host").is_none() => {
                Answer::new(204, Body::None).with("Allow", "GET, HEAD")
            }
            ("GET", ["api", "openapi.json", "", ""]) => assets::answer(head, "api/openapi.json"),
            ("GET", ["metrics", "", "", ""]) => self.metrics(),
            ("GET", [name, "", "", ""]) if assets::find(name).is_some() => {
                assets::answer(head, name)
            }
            _ => match allowed(route) {
                "" => return not_found(),
                methods if methods.split(", ").any(|it| it == head.method) => return not_found(),
                methods => Answer::error(405, format!("only {methods} is possible here"))
                    .with("Allow", methods),
            },
        };
        Outcome::Answer(answer)
    }

    fn web_socket(self: &Rc<Self>, head: &Head<'_>) -> Outcome {
        let Some(name) = head.path().strip_prefix("/live/") else { return not_found() };
        match self.live(name, Form::Messages) {
            Ok((source, place)) => Outcome::Socket(Box::new(source), place),
            Err(answer) => Outcome::Answer(answer),
        }
    }

    /// `GET /live/{camera}.mp4`.
    fn live_file(self: &Rc<Self>, file: &str) -> Answer {
        let Some(name) = file.strip_suffix(".mp4") else {
            return match self.station(file) {
                // What one would be told: browsers keep that from their pages.
                Some(station) => match (station.no_live(), self.media_place()) {
                    (Some(reason), _) => Answer::error(503, reason.to_owned()),
                    (None, None) => too_many_viewers(),
                    (None, Some(_)) => {
                        Answer::error(426, "this is a WebSocket").with("Upgrade", "websocket")
                    }
                },
                None => Answer::error(404, "no such camera"),
            };
        };
        match self.live(name, Form::File) {
            Ok((source, place)) => {
                let source = Box::new(Placed { source, _place: place });
                endless("video/mp4", source)
            }
            Err(answer) => answer,
        }
    }

    /// `GET /snapshot/{camera}.jpg`.
    async fn snapshot(&self, file: &str) -> Answer {
        let station = file.strip_suffix(".jpg").and_then(|name| self.station(name));
        let Some(station) = station else { return Answer::error(404, "no such camera") };
        match station.snapshots.newest().await {
            Ok(picture) => {
                let age = runtime::now().saturating_duration_since(picture.taken).as_millis();
                Answer::new(200, Body::Picture(picture))
                    .with("Age-Ms", age.to_string())
                    .with("Cache-Control", "no-store")
            }
            Err(reason) => Answer::error(503, reason.to_string()),
        }
    }

    fn live(self: &Rc<Self>, name: &str, form: Form) -> Result<(Live, MediaPlace), Answer> {
        let station = self.station(name).ok_or_else(|| Answer::error(404, "no such camera"))?;
        if let Some(reason) = station.no_live() {
            return Err(Answer::error(503, reason.to_owned()));
        }
        let place = self.media_place().ok_or_else(too_many_viewers)?;
        Ok((Live::new(&self.daemon, station, form), place))
    }

    fn events(self: &Rc<Self>) -> Answer {
        endless("text/event-stream", Box::new(Feed::new(self)))
    }

    async fn delete_recording(&self, camera: &str, file: &str) -> Answer {
        let Some(file) = layout::Asked::parse(file) else {
            return Answer::error(404, "no such recording");
        };
        match self.daemon.delete(camera, file).await {
            Ok(()) => Answer::json(&serde_json::json!({})),
            Err(error) => {
                let status = match error {
                    DeleteError::NotThere => 404,
                    DeleteError::Recording => 409,
                    DeleteError::Card | DeleteError::Failed(_) => 503,
                };
                Answer::error(status, error.to_string())
            }
        }
    }

    fn with_common_fields(&self, answer: Answer) -> Answer {
        // A clock that was not set says nothing (RFC 9110 §6.6.1).
        let is_set = self.daemon.trust.get() == Clock::Trusted;
        let answer = match is_set {
            true => answer.with("Date", self.daemon.clock.now().http_date()),
            false => answer,
        };
        answer
            .with("X-Content-Type-Options", "nosniff")
            .with("Referrer-Policy", "no-referrer")
            .with("Cross-Origin-Resource-Policy", "same-origin")
            .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    }
}

/// The methods of a route that exists; empty where it does not.
fn allowed(route: [&str; 4]) -> &'static str {
    match route {
        ["api", "status" | "events" | "recordings" | "openapi.json", "", ""]
        | ["metrics", "", "", ""]
        | ["live" | "snapshot" | "clip", _, "", ""]
        | ["recordings", _, _, ""] => "GET, HEAD",
        ["api", "session", "", ""] => "GET, HEAD, POST, DELETE",
        ["api", "config", "", ""] => "GET, HEAD, PUT",
        ["api", "password", "", ""] => "PUT",
        ["api", "record", "start" | "stop", ""]
        | ["api", "shutdown" | "probe", "", ""]
        | ["api", "storage", "release" | "resume", ""] => "POST",
        ["api", "recordings", _, number] if !number.is_empty() => "DELETE",
        [name, "", "", ""] if assets::find(name).is_some() => "GET, HEAD",
        _ => "",
    }
}

/// An answer without an end. Proxies shall pass it on as it comes: nginx gathers what it is not told to
/// leave, and others what they may compress (RFC 9111 §5.2.2.6).
fn endless(kind: &'static str, source: Box<dyn Source>) -> Answer {
    Answer::new(200, Body::Stream { kind, source })
        .with("Cache-Control", "no-store, no-transform")
        .with("X-Accel-Buffering", "no")
}

fn not_found() -> Outcome {
    Outcome::Answer(Answer::error(404, "there is nothing here"))
}

pub(super) fn too_many_viewers() -> Answer {
    let most = limits::WEB_MEDIA_MAX;
    Answer::error(503, format!("{most} players are served already: close one"))
        .with("Retry-After", "2")
}

/// A source with its place among those that carry media.
struct Placed<S> {
    source: S,
    _place: MediaPlace,
}

impl<S: Source> Source for Placed<S> {
    fn next<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Piece> + 'a>> {
        self.source.next(out)
    }
}

/// A WebSocket that is sent what a source gives; what the client says is answered as far as the
/// protocol wants it (RFC 6455 §5.5).
struct Viewer {
    source: Box<dyn Source>,
    _place: MediaPlace,
}

impl WebSocketCallback for Viewer {
    async fn run<R: Read, W: Write<Error = R::Error>>(
        mut self,
        mut rx: SocketRx<R>,
        mut tx: SocketTx<W>,
    ) -> Result<(), W::Error> {
        let mut piece = Vec::new();
        // Control frames hold at most 125 bytes, and nothing else is expected.
        let mut said = [0; 128];
        loop {
            let message = rx.next_message(&mut said, self.source.next(&mut piece)).await?;
            match message {
                Either::Second(Piece::Binary) => tx.send_binary(&piece).await?,
                Either::Second(Piece::Text) => {
                    tx.send_text(std::str::from_utf8(&piece).unwrap_or_default()).await?;
                }
                Either::Second(Piece::End) => return tx.close((1001, "the stream ends")).await,
                Either::First(Ok(Message::Ping(data))) => tx.send_pong(data).await?,
                Either::First(Ok(Message::Close(_))) => return tx.close(None).await,
                Either::First(Ok(_)) => {}
                Either::First(Err(error)) => return tx.close((error.code(), "")).await,
            }
            tx.flush().await?;
            recycle(&mut piece);
        }
    }
}

const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; \
    media-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
