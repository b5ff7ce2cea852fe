//! A server's side of a WebSocket, in pieces.

use crate::source::Source;
use smolnvr::{
    http::websocket::{Messages, WebSocketError, WebSocketMessage, pong},
    limits::WEBSOCKET_MESSAGE_BYTES_MAX,
};

pub fn websocket(data: &[u8]) {
    let mut source = Source::new(data);
    let size = 1 + source.below(300);
    let mut bytes = Vec::new();
    while !source.is_empty() {
        bytes.extend_from_slice(source.piece());
    }
    // However the bytes come, the messages are the same.
    assert_eq!(read(&bytes, size), read(&bytes, bytes.len().max(1)));
}

fn read(bytes: &[u8], size: usize) -> (Vec<WebSocketMessage>, Option<WebSocketError>) {
    let (mut reader, mut all) = (Messages::default(), Vec::new());
    for piece in bytes.chunks(size) {
        reader.handle_bytes(piece);
        loop {
            match reader.poll() {
                Ok(Some(message)) => {
                    match &message {
                        WebSocketMessage::Data(data) => {
                            assert!(data.len() <= WEBSOCKET_MESSAGE_BYTES_MAX)
                        }
                        WebSocketMessage::Ping(ping) => {
                            assert_eq!(pong(ping, [1; 4]).len(), 6 + ping.len())
                        }
                        WebSocketMessage::Close => {}
                    }
                    all.push(message);
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    return (all, Some(error));
                }
            }
        }
    }
    (all, None)
}
