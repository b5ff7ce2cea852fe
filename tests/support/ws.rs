//! A WebSocket client by hand (RFC 6455).

use super::http::Client;
use std::{io::Write as _, net::TcpStream};

/// An open WebSocket.
pub struct WebSocket {
    client: Client<TcpStream>,
}

/// A message of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// With its status code, or 0.
    Close(u16),
    /// The connection ended.
    End,
}

impl WebSocket {
    /// # Panics
    /// If the server's answer does not follow §4.2.2.
    pub fn open(address: &str, target: &str) -> WebSocket {
        WebSocket::over(Client::new(address), target)
    }

    pub fn over(client: Client<TcpStream>, target: &str) -> WebSocket {
        WebSocket::with(client, target, &[])
    }

    pub fn with(mut client: Client<TcpStream>, target: &str, fields: &[&str]) -> WebSocket {
        client.begin("GET", target, &[UPGRADE, fields].concat(), "");
        let answer = client.head();
        assert_eq!(answer.status, 101, "{answer:?}");
        // This key and answer are the example of §1.3.
        assert_eq!(answer.field("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(answer.field("Upgrade").is_some_and(|it| it.eq_ignore_ascii_case("websocket")));
        WebSocket { client }
    }

    /// The next message, whole.
    pub fn next(&mut self) -> Message {
        let (mut message, mut kind) = (Vec::new(), 0);
        loop {
            let Some((first, payload)) = self.frame() else { return Message::End };
            match first & 0x0f {
                0 => assert!(kind != 0, "a continuation of nothing"),
                8 => {
                    let code =
                        payload.get(..2).map_or(0, |code| code[0] as u16 * 256 + code[1] as u16);
                    return Message::Close(code);
                }
                10 => return Message::Pong(payload),
                other => kind = other,
            }
            message.extend_from_slice(&payload);
            if first & 0x80 != 0 {
                return match kind {
                    1 => Message::Text(String::from_utf8(message).unwrap()),
                    2 => Message::Binary(message),
                    other => panic!("opcode {other}"),
                };
            }
        }
    }

    /// The next message, which must be text.
    pub fn text(&mut self) -> String {
        match self.next() {
            Message::Text(text) => text,
            other => panic!("text was expected, not {other:?}"),
        }
    }

    /// The next message, which must be binary.
    pub fn binary(&mut self) -> Vec<u8> {
        match self.next() {
            Message::Binary(bytes) => bytes,
            other => panic!("bytes were expected, not {other:?}"),
        }
    }

    pub fn ping(&mut self, payload: &[u8]) {
        self.send(9, payload);
    }

    pub fn close(&mut self) {
        self.send(8, &1000_u16.to_be_bytes());
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mask = [1, 2, 3, 4];
        let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap()];
        frame.extend(mask);
        frame.extend(masked);
        let _ = self.client.stream.write_all(&frame);
    }

    /// First byte and payload of a frame.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head: [u8; 2] = self.client.bytes(2).try_into().ok()?;
        assert!(head[0] & 0x70 == 0 && head[1] & 0x80 == 0, "reserved bits, or masked: {head:?}");
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.client.bytes(2).try_into().ok()?)),
            127 => u64::from_be_bytes(self.client.bytes(8).try_into().ok()?),
            short => u64::from(short),
        };
        let length = usize::try_from(length).unwrap();
        let payload = self.client.bytes(length);
        (payload.len() == length).then_some((head[0], payload))
    }
}

/// The fields that a browser sends; the key is the example of §1.3.
const UPGRADE: &[&str] = &[
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Origin: http://127.0.0.1:8080",
];
