//! Replies: a status, header fields and a body in; the response written by picoserve out.
//!
//! A body is bytes, a range of a recording, or an endless stream, sent in bounded pieces.
//! Spec: RFC 9110 §8, §15.
//! Knows nothing of: routes.

use super::{
    access::{Challenge, Refusal},
    link::{Link, Occupation},
    playback::FileBody,
};
use crate::{camera::Picture, limits};
use picoserve::{
    ResponseSent,
    io::{Read, Write},
    response::{
        Connection, Content, HeadersIter, IntoResponse as _, Response, ResponseWriter, StatusCode,
        custom::{CustomBody, CustomResponse},
    },
};
use std::{borrow::Cow, fmt::Display, pin::Pin, rc::Rc};

/// A reply to a request.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: Body,
}

/// Header fields other than `Content-Type`, `Content-Length` and `Connection`.
pub(super) type Headers = Vec<(&'static str, Cow<'static, str>)>;

pub(super) enum Body {
    None,
    Bytes {
        kind: &'static str,
        bytes: Cow<'static, [u8]>,
    },
    /// Produced while it is sent, with a known length.
    Made {
        kind: &'static str,
        length: usize,
        maker: Box<dyn Maker>,
    },
    Picture(Rc<Picture>),
    File(Box<FileBody>),
    Stream {
        kind: &'static str,
        source: Box<dyn Source>,
    },
}

/// Produces a body without having all of it in memory.
pub(super) trait Maker {
    /// Appends a piece, counted from 0, with the same content each time; returns false after the
    /// last.
    fn make(&self, piece: usize, out: &mut Vec<u8>) -> bool;
}

/// Produces a stream piece by piece.
pub(super) trait Source {
    /// Waits for the next piece and appends it. Cancel-safe: a piece not returned is not lost.
    fn next<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Pin<Box<dyn Future<Output = Piece> + 'a>>;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// Text; sent as a text message over a WebSocket.
    Text,
    Binary,
    End,
}

impl Answer {
    pub fn new(status: u16, body: Body) -> Answer {
        Answer { status, headers: Headers::new(), body }
    }

    pub fn json(value: &impl serde::Serialize) -> Answer {
        // Numbers, text and lists cannot fail.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        Answer::of_json(200, bytes)
    }

    /// A body produced while it is sent.
    pub fn made(kind: &'static str, maker: impl Maker + 'static) -> Answer {
        let (mut length, mut piece) = (0, Vec::new());
        for at in 0.. {
            piece.clear();
            if !maker.make(at, &mut piece) {
                break;
            }
            length += piece.len();
        }
        let maker = Box::new(maker);
        Answer::new(200, Body::Made { kind, length, maker }).with("Cache-Control", "no-store")
    }

    fn of_json(status: u16, bytes: Vec<u8>) -> Answer {
        Answer::new(status, Body::Bytes { kind: "application/json", bytes: bytes.into() })
            .with("Cache-Control", "no-store")
    }

    pub fn error(status: u16, error: impl Into<String>) -> Answer {
        let error = serde_json::json!({"error": error.into()});
        Answer::of_json(status, error.to_string().into_bytes())
    }

    /// An endless reply. Its header fields tell proxies to pass it on at once: otherwise nginx
    /// buffers it, and others buffer what they may compress (RFC 9111 §5.2.2.6).
    pub fn endless(kind: &'static str, source: Box<dyn Source>) -> Answer {
        Answer::new(200, Body::Stream { kind, source })
            .with("Cache-Control", "no-store, no-transform")
            .with("X-Accel-Buffering", "no")
    }

    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends the reply.
    pub async fn write<R: Read, W: ResponseWriter<Error = R::Error>>(
        self,
        method: &str,
        link: &Rc<Link>,
        connection: Connection<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        let status = StatusCode::new(self.status);
        let headers = Fields(self.headers);
        let (kind, length, payload) = match self.body {
            Body::None => {
                let response = Response::empty(status).with_headers(headers);
                return response.write_to(connection, writer).await;
            }
            Body::Stream { kind, source } => {
                link.close();
                link.occupy(Occupation::Stream);
                let body = (method != "HEAD").then_some(source);
                let response = CustomResponse::build(status)
                    .with_header("Content-Type", kind)
                    .with_headers(headers)
                    .with_body(Streamed(body));
                return response.write_to(connection, writer).await;
            }
            Body::Bytes { kind, bytes } => (kind, bytes.len(), Payload::Bytes(bytes)),
            Body::Made { kind, length, maker } => (kind, length, Payload::Made(maker)),
            Body::Picture(it) => ("image/jpeg", it.jpeg.len(), Payload::Picture(it)),
            // At most 2 GiB, where a segment ends.
            Body::File(body) => (
                "video/mp4",
                usize::try_from(body.bytes()).unwrap_or(0),
                Payload::File(body, Rc::clone(link)),
            ),
        };
        let payload = if method == "HEAD" { Payload::Head } else { payload };
        let content = Sized { kind, length, payload };
        Response::new(status, content).with_headers(headers).write_to(connection, writer).await
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let mut answer = Answer::of_json(refusal.status(), json(&refusal).into_bytes());
        if let Some(wait) = refusal.retry_after() {
            let seconds = wait.as_millis().div_ceil(1000);
            answer = answer.with("Retry-After", seconds.to_string());
        }
        match refusal.challenge() {
            Challenge::Basic => answer.with("WWW-Authenticate", "Basic realm=\"smolnvr\""),
            Challenge::None => answer,
        }
    }
}

fn json(refusal: &Refusal) -> String {
    let error = refusal.to_string();
    match refusal.retry_after() {
        Some(wait) => {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            serde_json::json!({"error": error, "retry_after_ms": millis}).to_string()
        }
        None => serde_json::json!({"error": error}).to_string(),
    }
}

/// A complete response that closes the connection, for requests that do not reach picoserve.
pub(super) fn message(refusal: &Refusal) -> String {
    let body = json(refusal);
    format!(
        "HTTP/1.1 {} \r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        refusal.status(),
        body.len()
    )
}

struct Fields(Headers);

impl HeadersIter for Fields {
    async fn for_each_header<F: picoserve::response::ForEachHeader>(
        self,
        mut f: F,
    ) -> Result<F::Output, F::Error> {
        for (name, value) in &self.0 {
            f.call(name, value as &dyn Display).await?;
        }
        f.finalize().await
    }
}

/// A body of known length.
struct Sized {
    kind: &'static str,
    length: usize,
    payload: Payload,
}

enum Payload {
    /// Only the header was requested.
    Head,
    Bytes(Cow<'static, [u8]>),
    Made(Box<dyn Maker>),
    Picture(Rc<Picture>),
    File(Box<FileBody>, Rc<Link>),
}

impl Content for Sized {
    fn content_type(&self) -> &'static str {
        self.kind
    }

    fn content_length(&self) -> usize {
        self.length
    }

    async fn write_content<W: Write>(self, mut writer: W) -> Result<(), W::Error> {
        match self.payload {
            Payload::Head => Ok(()),
            Payload::Bytes(bytes) => writer.write_all(&bytes).await,
            Payload::Made(maker) => {
                let mut piece = Vec::new();
                for at in 0.. {
                    piece.clear();
                    if !maker.make(at, &mut piece) {
                        break;
                    }
                    writer.write_all(&piece).await?;
                }
                Ok(())
            }
            Payload::Picture(picture) => writer.write_all(&picture.jpeg).await,
            Payload::File(mut body, link) => {
                link.occupy(Occupation::Recording);
                let mut piece = Vec::new();
                while body.next(&mut piece).await {
                    writer.write_all(&piece).await?;
                }
                // The head, and those pieces, go first.
                writer.flush().await?;
                body.send(&link).await;
                if !body.is_at_end() {
                    // The card returned less than announced; a further response would be taken for
                    // the rest.
                    link.close();
                }
                Ok(())
            }
        }
    }
}

/// An endless body; `None` if only the header was requested.
struct Streamed(Option<Box<dyn Source>>);

impl CustomBody for Streamed {
    async fn write_response_body<W: Write>(self, mut writer: W) -> Result<(), W::Error> {
        let Some(mut source) = self.0 else { return Ok(()) };
        let mut piece = Vec::new();
        while source.next(&mut piece).await != Piece::End {
            writer.write_all(&piece).await?;
            writer.flush().await?;
            recycle(&mut piece);
        }
        Ok(())
    }
}

/// Empties a buffer, and shrinks it if a large picture made it grow.
pub(super) fn recycle(piece: &mut Vec<u8>) {
    piece.clear();
    piece.shrink_to(limits::LIVE_BUFFER_BYTES_KEPT);
}
