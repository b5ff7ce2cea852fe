//! A minimal client: requests in, replies and packets out, over one TCP connection.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use camera::{Clip, Session};

#[path = "../reassemble/mod.rs"]
mod reassemble;

pub struct Client {
    input: BufReader<TcpStream>,
    url: String,
    cseq: u32,
    pub session: String,
    /// Sent with every request.
    pub authorization: Option<String>,
    /// Packets that came before a reply: channel, bytes.
    packets: VecDeque<(u8, Vec<u8>)>,
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

impl Client {
    pub fn new(url: &str) -> Client {
        let host = url.trim_start_matches("rtsp://").split('/').next().unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client {
            input: BufReader::new(stream),
            url: url.into(),
            cseq: 0,
            session: String::new(),
            authorization: None,
            packets: VecDeque::new(),
        }
    }

    /// Sends `method` for the stream's address + `suffix` with further header lines.
    pub fn request(&mut self, method: &str, suffix: &str, headers: &str) -> Reply {
        self.cseq += 1;
        let (url, cseq) = (&self.url, self.cseq);
        let mut text = format!("{method} {url}{suffix} RTSP/1.0\r\nCSeq: {cseq}\r\n{headers}");
        if !self.session.is_empty() {
            text.push_str(&format!("Session: {}\r\n", self.session));
        }
        if let Some(authorization) = &self.authorization {
            text.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        self.send(format!("{text}\r\n").as_bytes());
        let reply = self.reply();
        assert_eq!(reply.header("CSeq"), cseq.to_string());
        reply
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.input.get_mut().write_all(bytes).unwrap();
    }

    pub fn reply(&mut self) -> Reply {
        while self.input.fill_buf().unwrap().first() == Some(&b'$') {
            let packet = self.block();
            self.packets.push_back(packet);
        }
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.input.read_line(&mut head).unwrap() > 0, "closed in a reply: {head:?}");
        }
        let mut reply = Reply { status: head[9..12].parse().unwrap(), head, body: String::new() };
        let mut body = vec![0; reply.header("Content-Length").parse().unwrap_or(0)];
        self.input.read_exact(&mut body).unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    pub fn set_up(&mut self, transport: &str) -> Reply {
        let reply = self.request("SETUP", "/trackID=0", &format!("Transport: {transport}\r\n"));
        assert_eq!(reply.status, 200, "{}", reply.head);
        self.session = reply.header("Session").split(';').next().unwrap().into();
        reply
    }

    /// SETUP over this connection, and PLAY.
    pub fn play(&mut self) {
        self.set_up("RTP/AVP/TCP;unicast;interleaved=0-1");
        let reply = self.request("PLAY", "", "");
        assert_eq!(reply.status, 200, "{}", reply.head);
    }

    /// The next block: channel, bytes. `None` at the end of the connection.
    pub fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        if let Some(packet) = self.packets.pop_front() {
            return Some(packet);
        }
        if self.input.fill_buf().unwrap().is_empty() { None } else { Some(self.block()) }
    }

    /// The next byte received; `None` at the end of the connection, even after a reset.
    pub fn byte(&mut self) -> Option<u8> {
        let mut one = [0];
        match self.input.read(&mut one) {
            Ok(1) => Some(one[0]),
            _ => None,
        }
    }

    fn block(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 4];
        self.input.read_exact(&mut header).unwrap();
        assert_eq!(header[0], b'$');
        let mut bytes = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
        self.input.read_exact(&mut bytes).unwrap();
        (header[1], bytes)
    }

    /// The RTP packets of the next frame, reports left out. `None` at the end of the connection.
    pub fn frame(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut frame = Vec::new();
        loop {
            match self.packet() {
                Some((0, bytes)) => {
                    let marker = bytes[1] & 0x80 != 0;
                    frame.push(bytes);
                    if marker {
                        return Some(frame);
                    }
                }
                Some(_) => {}
                None => {
                    assert!(frame.is_empty(), "the connection ends within a frame");
                    return None;
                }
            }
        }
    }
}

/// Checks that the packets are frame `number` of the session: every NAL unit, time and sequence
/// number.
pub fn assert_frame(
    clip: &Clip,
    session: &Session,
    number: u64,
    sequence: &mut u16,
    packets: &[Vec<u8>],
) {
    let first = clip.frame(session.first_frame);
    let frame = clip.frame(session.first_frame + number);
    let timestamp = session.first_timestamp.wrapping_add((frame.pts - first.pts) as u32);
    for packet in packets {
        assert_eq!(packet[2..4], sequence.to_be_bytes(), "sequence, frame {number}");
        assert_eq!(packet[4..8], timestamp.to_be_bytes(), "timestamp, frame {number}");
        assert!(packet.len() <= 1400);
        *sequence = sequence.wrapping_add(1);
    }
    let slices = packets.iter().map(Vec::as_slice);
    let nals = reassemble::nal_units(clip.codec().header_bytes(), slices);
    assert!(nals == frame.unit.nals, "NAL units, frame {number}");
}
