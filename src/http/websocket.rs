//! A WebSocket from its client's side: bytes of a server in, its messages out.
//!
//! Spec: RFC 6455 §4.1, §5. Knows nothing of: sockets, extensions, messages of our own.

use crate::limits::WEBSOCKET_MESSAGE_BYTES_MAX;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lhash::Sha1;
use std::fmt;

/// What follows a server's agreement.
#[derive(Debug, Default)]
pub struct Messages {
    /// At most one frame and what was read behind it.
    input: Vec<u8>,
    /// The fragments of a message so far.
    message: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebSocketMessage {
    /// Text or binary, whole.
    Data(Vec<u8>),
    /// To be answered by [`pong`].
    Ping(Vec<u8>),
    Close,
}

/// Why there is nothing more to read: the server's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebSocketError {
    TooLong,
    /// Masked, of an extension, or a kind that does not exist.
    Malformed,
}

/// The field that a server has to send for this key, which is 16 random bytes in Base64 (§4.2.2).
pub fn accept(key: &str) -> String {
    let text = [key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(Sha1::new().const_update(text.as_bytes()).const_result())
}

/// The answer to a ping; the mask must be random (§5.3).
pub fn pong(ping: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0x80 | PONG, 0x80 | u8::try_from(ping.len()).unwrap_or(0)];
    frame.extend(mask);
    frame.extend(ping.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

impl Messages {
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next message; `None` until more bytes have come. To be called until then.
    ///
    /// # Errors
    /// Why there is none, and will be none.
    pub fn poll(&mut self) -> Result<Option<WebSocketMessage>, WebSocketError> {
        loop {
            let Some((first, payload)) = self.frame()? else { return Ok(None) };
            let (is_last, kind) = (first & 0x80 != 0, first & 0x7f);
            match (kind, is_last) {
                (CONTINUATION | TEXT | BINARY, _) => {
                    if self.message.len() + payload.len() > WEBSOCKET_MESSAGE_BYTES_MAX {
                        return Err(WebSocketError::TooLong);
                    }
                    self.message.extend(payload);
                    if is_last {
                        return Ok(Some(WebSocketMessage::Data(std::mem::take(&mut self.message))));
                    }
                }
                (CLOSE, true) => return Ok(Some(WebSocketMessage::Close)),
                (PING, true) => return Ok(Some(WebSocketMessage::Ping(payload))),
                (PONG, true) => {}
                _ => return Err(WebSocketError::Malformed),
            }
        }
    }

    /// The next frame's first byte and payload (§5.2).
    fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, WebSocketError> {
        let [first, second, rest @ ..] = &*self.input else { return Ok(None) };
        let (first, is_masked) = (*first, second & 0x80 != 0);
        let (length, rest) = match (second & 0x7f, rest) {
            (127, _) => return Err(WebSocketError::TooLong),
            (126, [high, low, rest @ ..]) => (u16::from_be_bytes([*high, *low]).into(), rest),
            (126, _) => return Ok(None),
            (length, rest) => (usize::from(length), rest),
        };
        if is_masked || first & 0x08 != 0 && length > CONTROL_BYTES_MAX {
            return Err(WebSocketError::Malformed);
        }
        if length > WEBSOCKET_MESSAGE_BYTES_MAX {
            return Err(WebSocketError::TooLong);
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let payload = payload.to_vec();
        let behind = self.input.len() - rest.len() + length;
        self.input.drain(..behind);
        Ok(Some((first, payload)))
    }
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WebSocketError::TooLong => "the camera's WebSocket message is too long",
            WebSocketError::Malformed => "the camera's WebSocket is broken",
        })
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// A control frame's payload (§5.5).
const CONTROL_BYTES_MAX: usize = 125;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u16;
        let mut frame = vec![first];
        match length {
            ..126 => frame.push(length as u8),
            _ => frame.extend([&[126][..], &length.to_be_bytes()].concat()),
        }
        frame.extend(payload);
        frame
    }

    /// All messages of bytes that come in pieces, and why there are no more.
    fn messages(bytes: &[u8], piece: usize) -> (Vec<WebSocketMessage>, Option<WebSocketError>) {
        let (mut reader, mut all) = (Messages::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            reader.handle_bytes(piece);
            loop {
                match reader.poll() {
                    Ok(Some(message)) => all.push(message),
                    Ok(None) => break,
                    Err(error) => return (all, Some(error)),
                }
            }
        }
        (all, None)
    }

    #[test]
    fn messages_are_the_same_however_their_bytes_come() {
        let long = vec![b'x'; 1000];
        let bytes = [
            frame(0x81, b"one"),
            frame(0x01, b"two, "),
            frame(0x89, b"are you there?"),
            frame(0x80, b"in two"),
            frame(0x8a, b""),
            frame(0x82, &long),
            frame(0x88, b"\x03\xe8"),
        ]
        .concat();
        let expected = [
            WebSocketMessage::Data(b"one".to_vec()),
            WebSocketMessage::Ping(b"are you there?".to_vec()),
            WebSocketMessage::Data(b"two, in two".to_vec()),
            WebSocketMessage::Data(long),
            WebSocketMessage::Close,
        ];
        for piece in 1..=bytes.len() {
            assert_eq!(messages(&bytes, piece), (expected.to_vec(), None), "{piece}");
        }
    }

    #[test]
    fn masked_unknown_and_too_long_frames_end_it() {
        let too_long = vec![0; WEBSOCKET_MESSAGE_BYTES_MAX / 2 + 1];
        let two = [frame(0x01, &too_long), frame(0x00, &too_long)].concat();
        for (bytes, error) in [
            (vec![0x81, 0x80, 1, 2, 3, 4], WebSocketError::Malformed),
            (frame(0xc1, b"an extension"), WebSocketError::Malformed),
            (frame(0x83, b""), WebSocketError::Malformed),
            (frame(0x09, b"in pieces"), WebSocketError::Malformed),
            (frame(0x89, &[0; 126]), WebSocketError::Malformed),
            (vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 0], WebSocketError::TooLong),
            (vec![0x82, 126, 0xff, 0xff], WebSocketError::TooLong),
            (two, WebSocketError::TooLong),
        ] {
            assert_eq!(messages(&bytes, 7), (vec![], Some(error)), "{:?}", bytes.get(..8));
        }
    }

    #[test]
    fn keys_and_pongs_are_those_of_the_specification() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let hello = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(pong(b"Hello", [0x37, 0xfa, 0x21, 0x3d]), hello);
    }
}
