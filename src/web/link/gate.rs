//! The gate: bytes of a socket in, requests with a valid head out.
//!
//! Knows nothing of: sockets, permissions.

use crate::{
    http::request::{self, Head},
    limits,
    web::access::{Form, Refusal},
};
use std::time::Instant;

/// The buffer before picoserve.
#[derive(Default)]
pub(super) struct RequestGate {
    /// Empty until the first byte arrives; it grows with the head.
    buffer: Vec<u8>,
    /// Read from the socket but not passed on: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Bytes that may be passed on: the rest of a valid head, and its body.
    allowed: u64,
    /// When the first byte of the next head arrived.
    began: Option<Instant>,
    /// Bytes of foreign cookies removed from this head.
    left_out: usize,
    is_closed: bool,
}

impl RequestGate {
    /// Bytes that may be passed on without being read again.
    pub fn allowed(&self) -> usize {
        usize::try_from(self.allowed).unwrap_or(usize::MAX)
    }

    /// When the first byte of the next head arrived.
    pub fn began(&self) -> Option<Instant> {
        self.began
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Accepts no further request.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Returns true if a body is still to come.
    pub fn expects_more(&self) -> bool {
        self.allowed > (self.end - self.start) as u64
    }

    /// Closes without passing the rest of a body on.
    pub fn leave_body(&mut self) {
        self.allowed = 0;
        self.is_closed = true;
    }

    /// Counts bytes of a body that went from the socket to picoserve directly.
    pub fn passed_by(&mut self, count: usize) {
        self.allowed = self.allowed.saturating_sub(count as u64);
    }

    /// Copies bytes that may be passed on; `None` if there are none.
    pub fn hand_over(&mut self, out: &mut [u8]) -> Option<usize> {
        let waiting = self.buffer.get(self.start..self.end)?;
        let count = waiting.len().min(self.allowed()).min(out.len());
        if count == 0 {
            return None;
        }
        out.get_mut(..count)?.copy_from_slice(waiting.get(..count)?);
        self.start += count;
        self.allowed -= count as u64;
        Some(count)
    }

    /// Validates the head as far as it has been read; `None` if more is needed.
    pub fn examine(&mut self, kept: &mut Vec<u8>) -> Option<Result<(), Refusal>> {
        let waiting = self.buffer.get(self.start..self.end)?;
        let mut form = Form::default();
        let Some(length) = request::length(waiting) else {
            // An error is reported at once. A full buffer means that the head is too long, unless
            // foreign cookies fill it.
            let verdict = form.take(waiting);
            let is_full = waiting.len() >= limits::HTTP_HEAD_BYTES_MAX;
            if is_full && verdict.is_ok() && self.leave_cookies_out() {
                return None;
            }
            let too_long = is_full.then(|| Err(form.too_long()));
            return verdict.map_or_else(|refusal| Some(Err(refusal)), |()| too_long);
        };
        self.began = None;
        self.left_out = 0;
        let head = waiting.get(..length)?;
        kept.clear();
        kept.extend_from_slice(head);
        Some(form.take(head).map(|()| {
            // After an upgrade, nothing is a request any more.
            let is_upgrade = Head::read(head).is_some_and(|head| head.is_upgrade());
            let all = if is_upgrade { u64::MAX } else { length as u64 + form.body_left() };
            self.allowed = all;
        }))
    }

    /// Removes foreign cookies: other servers on the same host may have set more than fit.
    fn leave_cookies_out(&mut self) -> bool {
        let waiting = self.buffer.get_mut(self.start..self.end).unwrap_or_default();
        let kept = request::without_others_cookies(waiting);
        let more = waiting.len() - kept;
        self.end = self.start + kept;
        self.left_out += more;
        more > 0 && self.left_out <= limits::HTTP_COOKIES_BYTES_MAX
    }

    pub fn make_room(&mut self) -> usize {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() && self.end < limits::HTTP_HEAD_BYTES_MAX {
            let more = self.end.max(HEAD_BYTES_FIRST).min(limits::HTTP_HEAD_BYTES_MAX - self.end);
            self.buffer.reserve_exact(more);
            self.buffer.resize(self.end + more, 0);
        }
        self.buffer.len() - self.end
    }

    pub fn take(&mut self, bytes: &[u8], now: Instant) {
        self.began.get_or_insert(now);
        let end = self.end + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.end..end) {
            room.copy_from_slice(bytes);
            self.end = end;
        }
    }
}

/// What a browser's heads have room in.
const HEAD_BYTES_FIRST: usize = limits::HTTP_HEAD_BYTES_MAX / 4;
