//! Transports: packets in, bytes on a socket out.
//!
//! Spec: RFC 2326 §10.12 (interleaved). Over TCP nothing is ever dropped: a slow client blocks the
//! sender. Over UDP a long frame is spread a little, because receive buffers hold about 100
//! packets.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::faults::Outgoing;
use crate::locked;
use crate::packetize::Packet;

/// The sending half of a connection, shared by replies and media.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: Mutex<TcpStream>,
    /// For closing without waiting for the writer.
    closer: TcpStream,
    /// Replies waiting for the lock: media lets them go first.
    waiting: AtomicUsize,
}

impl Writer {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Writer> {
        let closer = stream.try_clone()?;
        Ok(Writer { stream: Mutex::new(stream), closer, waiting: AtomicUsize::new(0) })
    }

    pub(crate) fn reply(&self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let result = locked(&self.stream).write_all(bytes);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        result
    }

    fn media(&self, bytes: &[u8]) -> io::Result<()> {
        while self.waiting.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        locked(&self.stream).write_all(bytes)
    }

    /// Ends the connection after everything written. The client's direction stays open until the
    /// client closes it, so that no reset overtakes the last bytes.
    pub(crate) fn close(&self) {
        let _ = self.closer.shutdown(Shutdown::Write); // fails where the client was faster
    }
}

/// Where a session's media goes.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp { writer: Arc<Writer>, rtp_channel: u8, rtcp_channel: u8 },
    Udp { rtp: UdpSocket, rtcp: UdpSocket, rtp_to: SocketAddr, rtcp_to: SocketAddr },
}

impl Transport {
    pub(crate) fn udp(rtp_to: SocketAddr, rtcp_to: SocketAddr) -> io::Result<Transport> {
        let (rtp, rtcp) = udp_pair()?;
        rtcp.set_nonblocking(true)?;
        Ok(Transport::Udp { rtp, rtcp, rtp_to, rtcp_to })
    }

    /// The port that sends RTP over UDP.
    pub(crate) fn server_port(&self) -> Option<u16> {
        match self {
            Transport::Tcp { .. } => None,
            Transport::Udp { rtp, .. } => rtp.local_addr().ok().map(|address| address.port()),
        }
    }

    /// Sends the packets of one frame.
    pub(crate) fn send(&self, packets: &[Outgoing]) -> io::Result<()> {
        match self {
            Transport::Tcp { writer, rtp_channel, .. } => {
                let mut out = Vec::new();
                for packet in packets {
                    match packet {
                        Outgoing::Packet(Packet { bytes }) | Outgoing::Extra(bytes) => {
                            interleaved(&mut out, *rtp_channel, bytes);
                        }
                        Outgoing::Raw(bytes) => out.extend_from_slice(bytes),
                    }
                }
                writer.media(&out)
            }
            Transport::Udp { rtp, rtp_to, .. } => {
                for (index, packet) in packets.iter().enumerate() {
                    if index > 0 && index.is_multiple_of(UDP_BURST_PACKETS) {
                        thread::sleep(UDP_BURST_PAUSE);
                    }
                    let (Outgoing::Packet(Packet { bytes })
                    | Outgoing::Extra(bytes)
                    | Outgoing::Raw(bytes)) = packet;
                    rtp.send_to(bytes, rtp_to)?;
                }
                Ok(())
            }
        }
    }

    /// The client's next RTCP packet over UDP; those over TCP are read by the connection.
    pub(crate) fn control(&self, buffer: &mut [u8]) -> Option<usize> {
        match self {
            Transport::Tcp { .. } => None,
            Transport::Udp { rtcp, .. } => rtcp.recv(buffer).ok(),
        }
    }

    /// Sends bytes on the client's connection that are not a packet of this session.
    pub(crate) fn send_block(&self, channel: u8, bytes: &[u8]) -> io::Result<()> {
        match self {
            Transport::Tcp { writer, .. } => {
                let mut out = Vec::new();
                interleaved(&mut out, channel, bytes);
                writer.media(&out)
            }
            Transport::Udp { .. } => Ok(()),
        }
    }

    /// Sends one compound RTCP packet.
    pub(crate) fn send_control(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Transport::Tcp { writer, rtcp_channel, .. } => {
                let mut out = Vec::new();
                interleaved(&mut out, *rtcp_channel, bytes);
                writer.media(&out)
            }
            Transport::Udp { rtcp, rtcp_to, .. } => rtcp.send_to(bytes, rtcp_to).map(|_| ()),
        }
    }
}

fn interleaved(out: &mut Vec<u8>, channel: u8, bytes: &[u8]) {
    out.extend_from_slice(&[b'$', channel]);
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes()); // at most PACKET_BYTES_MAX
    out.extend_from_slice(bytes);
}

/// Two adjacent ports, the first one even (RFC 3550 §11).
fn udp_pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let mut last_error = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..UDP_PAIR_TRIES {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        if port % 2 == 0 {
            match UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1)) {
                Ok(second) => return Ok((first, second)),
                Err(error) => last_error = error,
            }
        }
    }
    Err(last_error)
}

const UDP_BURST_PACKETS: usize = 16;
const UDP_BURST_PAUSE: Duration = Duration::from_micros(500);
const UDP_PAIR_TRIES: usize = 100;
