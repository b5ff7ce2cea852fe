//! One camera's streams, by the RTSP paths that makers use.
//!
//! Spec: RFC 2326 §10.2 (DESCRIBE).

use super::{Camera, Stream, connect};
use crate::{
    http::{
        auth::{Authenticator, Challenge},
        head::Head,
        url::{Credentials, RTSP_PORT, Target},
    },
    limits::{FIND_REFUSALS_MAX, HEAD_BYTES_MAX, RTSP_BODY_BYTES_MAX},
    onvif::place::HostlessUrl,
    runtime,
};
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpStream},
    time::Duration,
};

/// What is at a path.
enum Answer {
    /// A stream, of this codec.
    Stream(&'static str),
    /// It shows the stream only to its users.
    Refused,
    Nothing,
    /// Nothing speaks RTSP here.
    NoServer,
}

/// Tries of one camera's paths.
pub(super) struct Tries {
    ip: IpAddr,
    authenticator: Authenticator,
    /// How often the credentials were refused.
    pub refusals: usize,
    /// Something speaks RTSP.
    pub met_server: bool,
}

impl Tries {
    pub fn new(ip: IpAddr, credentials: Option<Credentials>) -> Tries {
        let authenticator = Authenticator::new(credentials, 0);
        Tries { ip, authenticator, refusals: 0, met_server: false }
    }

    /// Tries paths at these ports, up to the first that leads to a stream; adds that stream and
    /// the smaller one beside it.
    pub fn look(&mut self, camera: &mut Camera, ports: &[u16], paths: &[(&str, Option<&str>)]) {
        for &port in ports {
            for (main, small) in paths {
                match self.describe(port, main) {
                    Answer::Stream(codec) => {
                        camera.streams.push(stream(self.ip, port, main, codec));
                        if let Some(small) = small
                            && let Answer::Stream(codec @ "h264") = self.describe(port, small)
                        {
                            camera.streams.push(stream(self.ip, port, small, codec));
                        }
                        return;
                    }
                    Answer::Refused => {
                        camera.needs_password = true;
                        return;
                    }
                    Answer::Nothing => self.met_server = true,
                    Answer::NoServer => break,
                }
            }
        }
    }

    fn describe(&mut self, port: u16, path: &str) -> Answer {
        let uri = place(port, path).at(&self.ip.to_string(), "rtsp", RTSP_PORT);
        let Ok(target) = uri.parse::<Target>() else { return Answer::NoServer };
        self.ask(&target).unwrap_or(Answer::NoServer)
    }

    /// Asks over a connection of its own; a second time with the password.
    fn ask(&mut self, target: &Target) -> Option<Answer> {
        let mut socket = connect(self.ip, target.port(), PATIENCE)?;
        let mut authorization = None;
        for number in ["1", "2"] {
            let question = question(target.uri(), number, authorization.as_deref());
            socket.write_all(question.as_bytes()).ok()?;
            let reply = read_reply(&mut socket)?;
            let (head, head_len) = Head::parse(&reply).ok()??;
            match head.status("RTSP/")? {
                200 => {
                    return Some(codec(reply.get(head_len..).unwrap_or_default()))
                        .map(|codec| codec.map_or(Answer::Nothing, Answer::Stream));
                }
                401 | 403 if authorization.is_some() => {
                    self.refusals += 1;
                    return Some(Answer::Refused);
                }
                401 if self.refusals < FIND_REFUSALS_MAX => {
                    let mut challenges = head.fields("WWW-Authenticate");
                    match self.authenticator.challenged(&mut challenges) {
                        Challenge::NoCredentials | Challenge::Unknown => {
                            return Some(Answer::Refused);
                        }
                        _ => {}
                    }
                    authorization = self.authenticator.authorization("DESCRIBE", target.uri());
                }
                401 => return Some(Answer::Refused),
                _ => return Some(Answer::Nothing),
            }
        }
        None
    }
}

fn question(uri: &str, number: &str, authorization: Option<&str>) -> String {
    let authorization = authorization.map(|it| ["Authorization: ", it, "\r\n"].concat());
    [
        "DESCRIBE ",
        uri,
        " RTSP/1.0\r\nCSeq: ",
        number,
        "\r\nUser-Agent: smolnvr/",
        env!("CARGO_PKG_VERSION"),
        "\r\nAccept: application/sdp\r\n",
        &authorization.unwrap_or_default(),
        "\r\n",
    ]
    .concat()
}

/// Reads one reply; its body only as far as it says how long it is.
fn read_reply(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut reply = Vec::new();
    let mut bytes = [0; 2048];
    // For the whole reply: a server that sends a byte now and then would block all searches.
    let deadline = runtime::now() + PATIENCE;
    loop {
        if let Some((head, head_len)) = Head::parse(&reply).ok()? {
            let body: usize =
                head.field("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if reply.len() >= head_len + body.min(RTSP_BODY_BYTES_MAX) {
                return Some(reply);
            }
        }
        let left = deadline.checked_duration_since(runtime::now()).filter(|it| !it.is_zero())?;
        socket.set_read_timeout(Some(left)).ok()?;
        let count = socket.read(&mut bytes).ok()?;
        if count == 0 || reply.len() > HEAD_BYTES_MAX + RTSP_BODY_BYTES_MAX {
            return (!reply.is_empty()).then_some(reply);
        }
        reply.extend_from_slice(bytes.get(..count)?);
    }
}

/// Returns the codec of a description; `None` if it cannot be recorded.
fn codec(description: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(description).to_ascii_uppercase();
    [("H264/", "h264"), ("H265/", "h265")]
        .iter()
        .find(|(word, _)| text.contains(word))
        .map(|it| it.1)
}

fn place(port: u16, path: &str) -> HostlessUrl {
    HostlessUrl { port, path: path.to_owned() }
}

fn stream(ip: IpAddr, port: u16, path: &str, codec: &str) -> Stream {
    let url = place(port, path).at(&ip.to_string(), "rtsp", RTSP_PORT);
    Stream { url, codec: codec.to_owned(), ..Stream::default() }
}

/// The usual ports.
pub(super) const PORTS: [u16; 2] = [RTSP_PORT, 8554];
/// The main stream's path and that of the smaller one: OpenIPC; thingino; Hikvision; Dahua,
/// Intelbras; Reolink; Tapo; AXIS; boards with HiSilicon's kit; Yoosee; many.
pub(super) const PATHS: [(&str, Option<&str>); 10] = [
    ("/stream=0", Some("/stream=1")),
    ("/ch0", Some("/ch1")),
    ("/Streaming/Channels/101", Some("/Streaming/Channels/102")),
    ("/cam/realmonitor?channel=1&subtype=0", Some("/cam/realmonitor?channel=1&subtype=1")),
    ("/h264Preview_01_main", Some("/h264Preview_01_sub")),
    ("/stream1", Some("/stream2")),
    ("/axis-media/media.amp", Some("/axis-media/media.amp?resolution=640x360")),
    ("/11", Some("/12")),
    ("/onvif1", Some("/onvif2")),
    ("/", Some("/live/sub")),
];
/// For a connection, and for a whole answer.
const PATIENCE: Duration = Duration::from_millis(1000);
