//! The minimum cost of recording: unpacks RTP over RTSP and writes it, and checks nothing.
//!
//!     floor URL FILE
//!
//! `ci/bench.py` compares smolnvr with it. It reads nine times a second, joins H.264 fragments,
//! writes 256 KB at a time and syncs every 5 s. It works with the test camera only.

#![expect(clippy::disallowed_methods, reason = "it is a driver, and nothing else")]

use std::{
    env,
    error::Error,
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

const GULP: Duration = Duration::from_millis(110);
const SYNC: Duration = Duration::from_secs(5);
const BLOCK: usize = 256 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, url, file] = &arguments[..] else { return Err("usage: floor URL FILE".into()) };
    let host = url.split('/').nth(2).ok_or("a URL has a host")?;
    let mut socket = TcpStream::connect(host)?;
    ask(&mut socket, &format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n"))?;
    let setup = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";
    let head =
        ask(&mut socket, &format!("SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 2\r\n{setup}\r\n\r\n"))?;
    let session = head.split("Session: ").nth(1).and_then(|it| it.split([';', '\r']).next());
    let session = session.ok_or("no session")?;
    ask(&mut socket, &format!("PLAY {url} RTSP/1.0\r\nCSeq: 3\r\nSession: {session}\r\n\r\n"))?;

    let mut file = File::create(file)?;
    let (mut input, mut end) = (vec![0; 1 << 20], 0);
    let mut out = Vec::with_capacity(2 * BLOCK);
    let mut synced = Instant::now();
    loop {
        thread::sleep(GULP);
        end += socket.read(&mut input[end..])?;
        let mut start = 0;
        while let [b'$', channel, high, low, rest @ ..] = &input[start..end] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(packet) = rest.get(..length) else { break };
            if *channel == 0 {
                unpack(packet, &mut out);
            }
            start += 4 + length;
        }
        input.copy_within(start..end, 0);
        end -= start;
        if out.len() >= BLOCK {
            file.write_all(&out)?;
            out.clear();
            if synced.elapsed() >= SYNC {
                file.sync_data()?;
                synced = Instant::now();
            }
        }
    }
}

/// Sends a request and returns the answer's head; the body is read and dropped.
fn ask(socket: &mut TcpStream, request: &str) -> Result<String, Box<dyn Error>> {
    socket.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head)?;
    let length = head.split("Content-Length: ").nth(1).and_then(|it| it.split('\r').next());
    let mut body = vec![0; length.map_or(Ok(0), str::parse)?];
    socket.read_exact(&mut body)?;
    Ok(head)
}

/// Appends the NAL unit of a packet after its length. For fragments, the length remains the first
/// fragment's.
fn unpack(packet: &[u8], out: &mut Vec<u8>) {
    let [indicator, rest @ ..] = &packet[12..] else { return };
    match (indicator & 0x1f, rest) {
        (28, [header, bytes @ ..]) => {
            if header & 0x80 != 0 {
                out.extend([0, 0, 0, 0, indicator & 0xe0 | header & 0x1f]);
            }
            out.extend(bytes);
        }
        _ => {
            out.extend((packet.len() as u32 - 12).to_be_bytes());
            out.extend(&packet[12..]);
        }
    }
}
