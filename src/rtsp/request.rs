//! Requests of the client, and replies to requests of the server: their parts in, bytes out.
//!
//! Spec: RFC 2326 §6, §7, §10.

use super::presentation::TrackTransport;

/// A method used by this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Options,
    Describe,
    Setup,
    Play,
    GetParameter,
    Teardown,
}

pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) uri: &'a str,
    pub(super) cseq: u32,
    pub(super) user_agent: &'a str,
    pub(super) authorization: Option<String>,
    pub(super) session: Option<&'a str>,
    /// The transport requested by SETUP.
    pub(super) transport: TrackTransport,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Options => "OPTIONS",
            Method::Describe => "DESCRIBE",
            Method::Setup => "SETUP",
            Method::Play => "PLAY",
            Method::GetParameter => "GET_PARAMETER",
            Method::Teardown => "TEARDOWN",
        }
    }
}

impl Request<'_> {
    /// Appends the request, which has no body.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        append(out, &[self.method.name(), " ", self.uri, " RTSP/1.0\r\nCSeq: "]);
        append(out, &[&self.cseq.to_string(), "\r\nUser-Agent: ", self.user_agent]);
        if let Some(authorization) = &self.authorization {
            append(out, &["\r\nAuthorization: ", authorization]);
        }
        if let Some(session) = self.session {
            append(out, &["\r\nSession: ", session]);
        }
        match self.method {
            Method::Describe => append(out, &["\r\nAccept: application/sdp"]),
            Method::Setup => {
                let (kind, first, second) = match self.transport {
                    TrackTransport::Interleaved { rtp, rtcp } => {
                        ("RTP/AVP/TCP;unicast;interleaved=", u16::from(rtp), u16::from(rtcp))
                    }
                    TrackTransport::Datagrams { rtp_port, .. } => {
                        ("RTP/AVP;unicast;client_port=", rtp_port, rtp_port.saturating_add(1))
                    }
                };
                let (first, second) = (first.to_string(), second.to_string());
                append(out, &["\r\nTransport: ", kind, &first, "-", &second]);
            }
            Method::Play => append(out, &["\r\nRange: npt=0.000-"]),
            Method::Options | Method::GetParameter | Method::Teardown => {}
        }
        append(out, &["\r\n\r\n"]);
    }
}

/// Appends a reply without a body; `status` is the code with its reason.
pub(super) fn write_reply(out: &mut Vec<u8>, status: &str, cseq: u32, session: Option<&str>) {
    append(out, &["RTSP/1.0 ", status, "\r\nCSeq: ", &cseq.to_string()]);
    if let Some(session) = session {
        append(out, &["\r\nSession: ", session]);
    }
    append(out, &["\r\n\r\n"]);
}

/// Appends a `$` block (§10.12), unless the payload is too long for one.
pub(super) fn write_block(out: &mut Vec<u8>, channel: u8, payload: &[u8]) {
    if let Ok(length) = u16::try_from(payload.len()) {
        out.extend_from_slice(&[b'$', channel]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(payload);
    }
}

fn append(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}
