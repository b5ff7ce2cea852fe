//! Listens to the detectors of majestic, over a WebSocket.
//!
//! Each message is `{"src":"motion","active":true,…}`: at every change, repeated while it lasts,
//! and one a second while nothing is seen. Spec: RFC 6455 §4; majestic's `/ws/analytics`.

use super::MotionWatch;
use crate::{
    camera::Connector,
    config,
    daemon::Daemon,
    http::{
        auth::{Authenticator, Challenge},
        head::Head,
        question::question,
        url::{HTTP_PORT, Target},
        websocket::{Messages, WebSocketMessage, accept, pong},
    },
    limits,
    runtime::{self, Async},
    sys,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{net::TcpStream, rc::Rc};

/// The detectors of the camera's board.
///
/// *Cost*: one connection and a message of it.
pub(super) struct Analytics {
    target: Target,
    seed: u64,
}

impl Analytics {
    pub fn new(camera: &config::Camera, seed: u64) -> Analytics {
        // The host and port of the JPEG, if configured: the port may be another one.
        let target = match &camera.snapshot {
            config::Snapshot::Url(url) => {
                let target = url.target();
                target.http_page(target.port(), PATH)
            }
            _ => camera.url.0.http_page(HTTP_PORT, PATH),
        };
        Analytics { target, seed }
    }

    pub async fn watch(&self, watch: &MotionWatch, daemon: &Rc<Daemon>) {
        let credentials = self.target.credentials().cloned();
        let mut way = (Connector::new(&self.target), Authenticator::new(credentials, self.seed));
        loop {
            let (Ok(reason) | Err(reason)) = self.listen(&mut way, watch, daemon).await;
            watch.is_blind(daemon, &reason);
            runtime::sleep(limits::MOTION_RETRY_INTERVAL).await;
        }
    }

    /// Listens until that fails; returns why.
    async fn listen(
        &self,
        way: &mut (Connector, Authenticator),
        watch: &MotionWatch,
        daemon: &Rc<Daemon>,
    ) -> Result<String, String> {
        let mut messages = Messages::default();
        let mut socket = self.open(way, &mut messages).await?;
        let mut bytes = [0; 1024];
        loop {
            while let Some(message) = messages.poll().map_err(|error| error.to_string())? {
                match message {
                    WebSocketMessage::Data(text) => take(&text, watch, daemon),
                    WebSocketMessage::Ping(payload) => {
                        let [a, b, c, d, ..] = sys::random().unwrap_or_default();
                        let answer = pong(&payload, [a, b, c, d]);
                        socket.write_all(&answer).await.map_err(|error| error.to_string())?;
                    }
                    WebSocketMessage::Close => return Ok("the camera ended the WebSocket".into()),
                }
            }
            let count = read(&mut socket, &mut bytes).await?;
            messages.handle_bytes(bytes.get(..count).unwrap_or_default());
        }
    }

    /// Connects, and agrees on a WebSocket; answers one challenge.
    async fn open(
        &self,
        (connector, authenticator): &mut (Connector, Authenticator),
        messages: &mut Messages,
    ) -> Result<Async<TcpStream>, String> {
        let random = sys::random().unwrap_or_default();
        let key = STANDARD.encode(random.get(..16).unwrap_or_default());
        for is_challenged in [false, true] {
            let mut socket = connector.connect().await.map_err(|error| error.to_string())?;
            let authorization = authenticator.authorization("GET", PATH);
            let fields = [
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", &key),
                ("Authorization", authorization.as_deref().unwrap_or_default()),
            ];
            let question = question("GET", PATH, self.target.authority(), &fields);
            socket.write_all(question.as_bytes()).await.map_err(|error| error.to_string())?;
            let mut answer = Vec::new();
            let mut bytes = [0; 512];
            loop {
                let count = read(&mut socket, &mut bytes).await?;
                answer.extend_from_slice(bytes.get(..count).unwrap_or_default());
                let Some((head, length)) = Head::parse(&answer).map_err(|it| it.to_string())?
                else {
                    continue;
                };
                let is_agreed = head.field("Sec-WebSocket-Accept") == Some(&accept(&key));
                match head.status("HTTP/1.") {
                    Some(101) if is_agreed => {
                        messages.handle_bytes(answer.get(length..).unwrap_or_default());
                        return Ok(socket);
                    }
                    Some(401) if !is_challenged => {
                        let mut challenges = head.fields("WWW-Authenticate");
                        match authenticator.challenged(&mut challenges) {
                            Challenge::New | Challenge::Stale => break,
                            _ => return Err(refused(401)),
                        }
                    }
                    status => return Err(refused(status.unwrap_or(0))),
                }
            }
        }
        Err(refused(401))
    }
}

async fn read(socket: &mut Async<TcpStream>, bytes: &mut [u8]) -> Result<usize, String> {
    match runtime::timeout(limits::ANALYTICS_TIMEOUT, socket.read(bytes)).await {
        None => Err("the camera says nothing any more".into()),
        Some(Ok(0)) => Err("the camera closed the connection".into()),
        Some(result) => result.map_err(|error| error.to_string()),
    }
}

/// Processes a detector's message.
fn take(text: &[u8], watch: &MotionWatch, daemon: &Rc<Daemon>) {
    watch.watches(daemon);
    let Ok(said) = serde_json::from_slice::<serde_json::Value>(text) else { return };
    if said["active"] == true
        && let Some(kind) = said["src"].as_str()
    {
        watch.moves(daemon, kind);
    }
}

fn refused(status: u16) -> String {
    match status {
        401 => {
            "401: majestic wants a user and password, of its page, in the camera's URL".to_owned()
        }
        404 => "404: this majestic has no /ws/analytics, or the camera is another one".to_owned(),
        503 => "503: majestic serves four listeners already".to_owned(),
        status => format!("{status}: the camera's answer for /ws/analytics"),
    }
}

const PATH: &str = "/ws/analytics";
