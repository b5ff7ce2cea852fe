//! Changes as the daemon tells them.
//!
//! Spec: HTML standard §9.2.

use super::{ClientError, Head, Line};
use crate::{limits, runtime};
use serde_json::Value;
use std::path::Path;

/// Server-sent events, as they arrive.
pub struct Events(Line);

impl Events {
    /// # Errors
    /// No daemon is running, or the reply is not a daemon's.
    pub fn begin(socket: &Path) -> Result<Events, ClientError> {
        let deadline = runtime::now() + limits::CLIENT_TIMEOUT;
        let mut line = Line::ask(socket, "GET", "/api/events", None)?;
        loop {
            let is_end = !line.receive(deadline)?;
            if let Some((head, rest)) = Head::split(&line.received)? {
                let is_stream = head.status == 200;
                line.received = rest.to_vec();
                return if is_stream { Ok(Events(line)) } else { Err(ClientError::NoHttp) };
            }
            if is_end || line.received.len() > limits::CLIENT_ANSWER_BYTES_MAX {
                return Err(ClientError::Hangup);
            }
        }
    }

    /// The data of the next event of a name; `None` when the daemon ends.
    ///
    /// # Errors
    /// The daemon is silent, though it tells its state every few seconds.
    pub fn next(&mut self, name: &str) -> Result<Option<Value>, ClientError> {
        let received = |line: &Line| line.received.windows(2).position(|two| two == b"\n\n");
        loop {
            while let Some(end) = received(&self.0) {
                let event: Vec<_> = self.0.received.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event);
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                if field("event: ") == Some(name) {
                    return Ok(field("data: ").and_then(|data| serde_json::from_str(data).ok()));
                }
            }
            if self.0.received.len() > limits::CLIENT_ANSWER_BYTES_MAX {
                return Err(ClientError::TooLong);
            }
            if !self.0.receive(runtime::now() + limits::CLIENT_TIMEOUT)? {
                return Ok(None);
            }
        }
    }
}
