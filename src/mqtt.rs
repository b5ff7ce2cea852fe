//! An MQTT client: bytes of the connection in; bytes to send, and what arrived, out.
//!
//! Spec: MQTT 3.1.1 (OASIS, 2014), of which it needs this much: its sessions are clean, it sends
//! with quality of service 0 and 1, and receives with 0 or 1. Knows nothing of: sockets, topics.

use crate::limits::{MQTT_ANSWER_TIMEOUT, MQTT_KEEP_ALIVE, MQTT_PACKET_BYTES_MAX};
use std::{fmt, time::Instant};

/// One connection.
#[derive(Debug)]
pub struct Client {
    /// To be sent, in this order; the owner takes it.
    pub out: Vec<u8>,
    /// A packet that is not complete yet.
    input: Vec<u8>,
    /// Bytes of a packet that is too long to keep.
    skip: usize,
    is_open: bool,
    /// Identifies what was last sent with quality of service 1, or subscribed to.
    id: u16,
    /// When the message was sent that waits for its confirmation; one at a time.
    unconfirmed: Option<Instant>,
    /// When the server has to answer CONNECT, or the last PINGREQ.
    answer_by: Option<Instant>,
    next_ping: Instant,
}

/// How a client introduces itself.
#[derive(Debug)]
pub struct Login<'a> {
    pub client_id: &'a str,
    pub user_and_password: Option<(&'a str, &'a str)>,
    /// What the server says, and retains, once this client is gone: topic and payload.
    pub will: (&'a str, &'a str),
}

/// What arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MqttEvent<'a> {
    /// The server accepted us.
    Open,
    Message {
        topic: &'a str,
        payload: &'a [u8],
        /// It was sent before we subscribed to it, possibly long ago.
        retained: bool,
    },
    /// What was sent last with [`Client::publish_surely`] arrived.
    Confirmed,
    /// The server does not let us subscribe to something.
    Denied,
}

/// Whether the server keeps a message for those who subscribe later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retain {
    No,
    Yes,
}

/// Why the connection is of no further use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The code of its CONNACK (§3.2.2.3).
    Refused(u8),
    /// What it sent is not MQTT, or not allowed at this moment.
    NotMqtt,
    Silent,
}

impl Client {
    /// A new connection, with CONNECT in `out`. Texts longer than 65,535 bytes are cut.
    pub fn new(login: &Login<'_>, now: Instant) -> Client {
        let mut body = Vec::new();
        text(&mut body, "MQTT");
        let with_password = if login.user_and_password.is_some() { 0xc0 } else { 0 };
        // Version 4 is 3.1.1; the session is clean, the will is retained (§3.1.2.3).
        body.extend_from_slice(&[4, 0x02 | 0x04 | 0x20 | with_password]);
        let keep_alive = u16::try_from(2 * MQTT_KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX);
        body.extend_from_slice(&keep_alive.to_be_bytes());
        text(&mut body, login.client_id);
        text(&mut body, login.will.0);
        text(&mut body, login.will.1);
        if let Some((user, password)) = login.user_and_password {
            text(&mut body, user);
            text(&mut body, password);
        }
        let mut out = Vec::new();
        packet(&mut out, CONNECT, &[&body]);
        Client {
            out,
            input: Vec::new(),
            skip: 0,
            is_open: false,
            id: 0,
            unconfirmed: None,
            answer_by: Some(now + MQTT_ANSWER_TIMEOUT),
            next_ping: now + MQTT_KEEP_ALIVE,
        }
    }

    /// Returns true once the server accepted us: before that, nothing may be sent.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns true if [`Client::publish_surely`] may be called.
    pub fn is_confirmed(&self) -> bool {
        self.is_open && self.unconfirmed.is_none()
    }

    /// Sends a message at most once (§4.3.1).
    pub fn publish(&mut self, topic: &str, payload: &[u8], retain: Retain) {
        let mut head = Vec::new();
        text(&mut head, topic);
        packet(&mut self.out, PUBLISH | u8::from(retain == Retain::Yes), &[&head, payload]);
    }

    /// Sends a message at least once, if the owner sends it again over the next connection unless
    /// it is [`MqttEvent::Confirmed`] (§4.3.2).
    pub fn publish_surely(&mut self, topic: &str, payload: &[u8], now: Instant) {
        let mut head = Vec::new();
        text(&mut head, topic);
        head.extend_from_slice(&self.next_id().to_be_bytes());
        packet(&mut self.out, PUBLISH | 0x02, &[&head, payload]);
        self.unconfirmed = Some(now);
    }

    /// Asks for the messages of these topics. Before anything is published surely.
    pub fn subscribe(&mut self, topics: &[&str]) {
        let mut body = self.next_id().to_be_bytes().to_vec();
        for topic in topics {
            text(&mut body, topic);
            body.push(0);
        }
        packet(&mut self.out, SUBSCRIBE | 0x02, &[&body]);
    }

    fn next_id(&mut self) -> u16 {
        // 0 is none (§2.3.1).
        self.id = self.id.checked_add(1).unwrap_or(1);
        self.id
    }

    /// Takes bytes of the server, and passes on what arrived.
    ///
    /// # Errors
    /// `Refused` and `NotMqtt`.
    pub fn handle_bytes(
        &mut self,
        mut bytes: &[u8],
        sink: &mut dyn FnMut(MqttEvent<'_>),
    ) -> Result<(), Error> {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            let room = MQTT_PACKET_BYTES_MAX.saturating_sub(self.input.len());
            let (taken, rest) = bytes.split_at(room.min(bytes.len()));
            self.input.extend_from_slice(taken);
            bytes = rest;
            let mut input = std::mem::take(&mut self.input);
            let used = self.handle_packets(&input, sink)?;
            input.drain(..used);
            self.input = input;
        }
    }

    /// Handles the complete packets at the beginning of `input`; returns their length.
    fn handle_packets(
        &mut self,
        input: &[u8],
        sink: &mut dyn FnMut(MqttEvent<'_>),
    ) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let Some((kind, start, length)) = fixed_header(rest)? else { return Ok(used) };
            if !self.is_open && (kind & 0xf0 != CONNACK || length < 2) {
                return Err(Error::NotMqtt);
            }
            let end = start + length;
            if let Some(body) = rest.get(start..end) {
                self.handle_packet(kind, body, sink)?;
                used += end;
            } else if end <= MQTT_PACKET_BYTES_MAX {
                return Ok(used);
            } else if kind & 0xf0 == PUBLISH {
                // A message too long for anything we understand.
                self.skip = end - rest.len();
                return Ok(input.len());
            } else {
                return Err(Error::NotMqtt);
            }
        }
    }

    fn handle_packet(
        &mut self,
        kind: u8,
        body: &[u8],
        sink: &mut dyn FnMut(MqttEvent<'_>),
    ) -> Result<(), Error> {
        match (kind & 0xf0, body) {
            (CONNACK, &[_, 0]) if !self.is_open => {
                self.is_open = true;
                self.answer_by = None;
                sink(MqttEvent::Open);
            }
            // Servers of MQTT 5 alone say so in a longer one.
            (CONNACK, &[_, code, ..]) if !self.is_open && code != 0 => {
                return Err(Error::Refused(code));
            }
            (PUBLISH, body) => {
                let (topic, rest) = split_text(body).ok_or(Error::NotMqtt)?;
                let payload = match (kind >> 1 & 3, rest) {
                    (0, payload) => payload,
                    (1, [high, low, payload @ ..]) => {
                        packet(&mut self.out, PUBACK, &[&[*high, *low]]);
                        payload
                    }
                    _ => return Err(Error::NotMqtt),
                };
                sink(MqttEvent::Message { topic, payload, retained: kind & 1 != 0 });
            }
            (PUBACK, &[high, low]) => {
                // A late answer to another message does not count.
                if u16::from_be_bytes([high, low]) == self.id && self.unconfirmed.take().is_some() {
                    sink(MqttEvent::Confirmed);
                }
            }
            (SUBACK, [_, _, codes @ ..]) => {
                if codes.contains(&0x80) {
                    sink(MqttEvent::Denied);
                }
            }
            (PINGRESP, []) => self.answer_by = None,
            _ => return Err(Error::NotMqtt),
        }
        Ok(())
    }

    /// When [`Client::handle_time`] is due.
    pub fn deadline(&self) -> Instant {
        let confirmed_by = self.unconfirmed.map(|since| since + MQTT_ANSWER_TIMEOUT);
        let due = [self.answer_by, confirmed_by, Some(self.next_ping)];
        due.into_iter().flatten().min().unwrap_or(self.next_ping)
    }

    /// Sends PINGREQ when it is time, and notices missing answers.
    ///
    /// # Errors
    /// `Silent`: a server that is gone may keep the connection open for ever.
    pub fn handle_time(&mut self, now: Instant) -> Result<(), Error> {
        let is_late = self.answer_by.is_some_and(|by| by <= now)
            || self.unconfirmed.is_some_and(|since| since + MQTT_ANSWER_TIMEOUT <= now);
        if is_late {
            return Err(Error::Silent);
        }
        if self.is_open && self.next_ping <= now {
            packet(&mut self.out, PINGREQ, &[]);
            self.next_ping = now + MQTT_KEEP_ALIVE;
            self.answer_by = Some(now + MQTT_ANSWER_TIMEOUT);
        }
        Ok(())
    }
}

/// Returns the first byte of a packet, where its content starts, and its length (§2.2.3); `None` if
/// more bytes are needed.
fn fixed_header(input: &[u8]) -> Result<Option<(u8, usize, usize)>, Error> {
    let Some((&kind, rest)) = input.split_first() else { return Ok(None) };
    let mut length = 0;
    for (at, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((kind, at + 2, length)));
        }
    }
    if rest.len() < 4 { Ok(None) } else { Err(Error::NotMqtt) }
}

/// Appends a packet whose content is these parts.
fn packet(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    out.push(kind);
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    while length > 0x7f {
        out.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap_or(0));
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends a text with its length (§1.5.3).
fn text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes.get(..length.into()).unwrap_or_default());
}

fn split_text(body: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((str::from_utf8(text).ok()?, rest))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Refused(4 | 5) => "it refuses user and password",
            Error::Refused(2) => "it refuses the client's name",
            Error::Refused(3) => "it is not available",
            Error::Refused(_) => "it does not speak MQTT 3.1.1",
            Error::NotMqtt => "what it sends is not MQTT",
            Error::Silent => "it does not answer",
        })
    }
}

impl std::error::Error for Error {}

/// Types of packets, each with its flags' bits 0 (§2.2.1).
const CONNECT: u8 = 1 << 4;
const CONNACK: u8 = 2 << 4;
const PUBLISH: u8 = 3 << 4;
const PUBACK: u8 = 4 << 4;
const SUBSCRIBE: u8 = 8 << 4;
const SUBACK: u8 = 9 << 4;
const PINGREQ: u8 = 12 << 4;
const PINGRESP: u8 = 13 << 4;

#[cfg(test)]
mod tests;
