//! A connection's requests: admitted, read, answered.

use super::{
    MediaPlace, Web,
    access::{Refusal, Who},
    answer::{Answer, Piece, Source, recycle},
    link::{Link, Occupation},
    routes::{Asked, Outcome},
};
use crate::{
    http::request::Head,
    limits,
    mp4::identity::ClockTrust,
    runtime::{self, Counted},
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

impl PathRouterService for Service {
    async fn call_path_router_service<R: Read, W: ResponseWriter<Error = R::Error>>(
        &self,
        (): &(),
        (): (),
        _: Path<'_>,
        mut request: Request<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        let _busy = self.web.daemon.busy.enter();
        let head = self.link.take_head();
        let head = Head::read(&head);
        let outcome = match head {
            None => Outcome::Answer(Answer::error(400, "malformed request")),
            Some(head) => match self.web.admit(&head, &self.link).await {
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
                            // Boxed: some routes need much memory, an idle connection none of it.
                            let asked = Asked { head, body: &body, link: &self.link, who };
                            Box::pin(self.web.answer(&asked)).await
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
    /// Refuses a request without reading its body, and closes the connection.
    fn refuse(&self, refusal: Refusal) -> Answer {
        self.link.pass.replace(None);
        let answer = Answer::from(refusal);
        if !self.link.expects_body() {
            return answer;
        }
        self.link.leave_body();
        answer.with("Connection", "close")
    }

    /// Decides whether a client may send a body of this length. A client that is not logged in
    /// sends a password; with `auth = "none"`, one at a time may send more.
    fn bound_body(&self, who: Who, length: usize) -> Result<Option<Counted>, Refusal> {
        match who {
            _ if length <= limits::HTTP_BODY_BYTES_OF_STRANGERS_MAX => Ok(None),
            Who::Stranger => Err(Refusal::BodyTooLarge),
            Who::Anybody => self.web.much_is_said.try_enter(1).map(Some).ok_or(Refusal::Busy),
            Who::Unix | Who::Session | Who::Basic => Ok(None),
        }
    }

    /// Asks for the body if the client waits for that (RFC 9110 §10.1.1).
    async fn ask_for_body(&self, head: &Head<'_>) {
        let waits = head.field("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue"));
        if waits && self.link.expects_body() {
            // If the client is gone, the missing body will show it.
            let sent = self.link.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            let _ = runtime::timeout(limits::WEB_WRITE_TIMEOUT, sent).await;
        }
    }
}

/// Reads a request's body, whose length the gate has checked.
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
    fn with_common_fields(&self, answer: Answer) -> Answer {
        // A clock that is not set must not send a date (RFC 9110 §6.6.1).
        let is_set = self.daemon.trust.get() == ClockTrust::Trusted;
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

/// Sends a source over a WebSocket, and answers the client's control frames (RFC 6455 §5.5).
struct Viewer {
    source: Box<dyn Source>,
    _place: Option<MediaPlace>,
}

impl WebSocketCallback for Viewer {
    async fn run<R: Read, W: Write<Error = R::Error>>(
        mut self,
        mut rx: SocketRx<R>,
        mut tx: SocketTx<W>,
    ) -> Result<(), W::Error> {
        let mut piece = Vec::new();
        // Control frames hold at most 125 bytes, and no other frames are expected.
        let mut said = [0; 128];
        loop {
            let message = rx.next_message(&mut said, self.source.next(&mut piece)).await?;
            match message {
                Either::Second(Piece::Binary) => tx.send_binary(&piece).await?,
                Either::Second(Piece::Text) => {
                    tx.send_text(std::str::from_utf8(&piece).unwrap_or_default()).await?;
                }
                Either::Second(Piece::End) => {
                    return tx.close((1001, "the stream has ended")).await;
                }
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
