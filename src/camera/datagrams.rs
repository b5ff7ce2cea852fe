//! UDP ports: a camera's datagrams in, reports and hole punches out. Datagrams from other addresses
//! are ignored.
//!
//! Spec: RFC 3550 §11 (RTP on an even port, RTCP on the next).
//! Knows nothing of: packets, tracks.

use crate::{limits, rtsp::PacketKind};
use smol::Async;
use std::{
    cell::Cell,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
};

/// The two ports of one track.
pub(super) struct Ports {
    rtp: Async<UdpSocket>,
    rtcp: Async<UdpSocket>,
    rtp_port: u16,
    camera: SocketAddr,
    /// The track received here; `None` before the session plays.
    track: Option<usize>,
    /// The camera's ports, if it told them.
    to: Option<(u16, u16)>,
    /// Whether the RTP and RTCP sockets are connected to these: then the kernel drops datagrams
    /// from elsewhere before they fill a buffer.
    connected: [Cell<bool>; 2],
}

impl Ports {
    /// Opens ports on `local`, the address from which the camera is reached.
    ///
    /// # Errors
    /// The system has no free ports.
    pub fn bind(local: IpAddr, camera: SocketAddr) -> io::Result<Ports> {
        let (rtp, rtcp) = pair(local)?;
        let rtp_port = rtp.local_addr()?.port();
        // A key frame arrives in one burst. Root may exceed the system's limit; without that,
        // bursts lose more packets, which are counted.
        let bytes = limits::DATAGRAM_RECEIVE_BYTES;
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&rtp, bytes).is_err() {
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&rtp, bytes);
        }
        let _ =
            rustix::net::sockopt::set_socket_recv_buffer_size(&rtcp, limits::REPORT_RECEIVE_BYTES);
        let (rtp, rtcp) = (Async::new(rtp)?, Async::new(rtcp)?);
        let connected = Default::default();
        Ok(Ports { rtp, rtcp, rtp_port, camera, track: None, to: None, connected })
    }

    pub fn rtp_port(&self) -> u16 {
        self.rtp_port
    }

    pub fn track(&self) -> Option<usize> {
        self.track
    }

    /// Assigns the track and the camera's ports, and opens a path from them through a NAT or a
    /// firewall by sending a few empty packets. Losing them does no harm.
    pub fn open(&mut self, track: usize, to: Option<(u16, u16)>, report: &[u8]) {
        (self.track, self.to) = (Some(track), to);
        for _ in 0..limits::PUNCHES {
            self.send(PacketKind::Rtp, &EMPTY_PACKET);
            self.send(PacketKind::Rtcp, report);
        }
    }

    /// Sends to the camera, if its ports are known.
    pub fn send(&self, kind: PacketKind, bytes: &[u8]) {
        let Some((rtp, rtcp)) = self.to else { return };
        let (socket, port) = match kind {
            PacketKind::Rtp => (&self.rtp, rtp),
            PacketKind::Rtcp => (&self.rtcp, rtcp),
        };
        let to = SocketAddr::new(self.camera.ip(), port);
        // A packet that cannot be sent now is not worth waiting for.
        let _ = socket.get_ref().send_to(bytes, to);
    }

    /// Receives the camera's next waiting datagram and returns its length; `None` if there is none.
    ///
    /// Quirk: cameras send from other ports than they announced, so only the address is compared.
    pub fn receive(&self, kind: PacketKind, into: &mut [u8]) -> Option<usize> {
        let [rtp, rtcp] = &self.connected;
        let (socket, told, connected) = match kind {
            PacketKind::Rtp => (self.rtp.get_ref(), self.to.map(|(rtp, _)| rtp), rtp),
            PacketKind::Rtcp => (self.rtcp.get_ref(), self.to.map(|(_, rtcp)| rtcp), rtcp),
        };
        for _ in 0..limits::DATAGRAMS_AT_ONCE_MAX {
            match socket.recv_from(into) {
                Ok((count, from)) if from.ip() == self.camera.ip() => {
                    if told == Some(from.port()) && !connected.get() {
                        connected.set(socket.connect(from).is_ok());
                    }
                    return Some(count);
                }
                // From another address; or an ICMP error about an earlier packet, reported once.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => {}
            }
        }
        None
    }

    /// Waits for an RTP packet from any sender.
    ///
    /// # Errors
    /// System errors.
    pub async fn readable(&self) -> io::Result<()> {
        self.rtp.readable().await
    }
}

/// Two adjacent ports, the first one even.
pub(crate) fn pair(local: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let bind = |port| UdpSocket::bind((local, port));
    let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..limits::PORT_TRIES_MAX {
        let first = bind(0)?;
        let port = first.local_addr()?.port();
        let second = bind(port ^ 1);
        match second {
            Ok(second) if port.is_multiple_of(2) => return Ok((first, second)),
            Ok(second) => return Ok((second, first)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// An RTP header without payload (RFC 3550 §5.1).
const EMPTY_PACKET: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn ports(camera: [u8; 4]) -> Ports {
        Ports::bind(HERE, SocketAddr::from((camera, 554))).unwrap()
    }

    fn send(to: u16, bytes: &[u8]) {
        let socket = UdpSocket::bind((HERE, 0)).unwrap();
        assert_eq!(socket.send_to(bytes, (HERE, to)).unwrap(), bytes.len());
    }

    #[test]
    fn rtp_has_an_even_port_and_rtcp_the_next() {
        let ports: Vec<Ports> = (0..20).map(|_| ports([127, 0, 0, 1])).collect();
        for ports in &ports {
            assert!(ports.rtp_port().is_multiple_of(2));
            let rtcp = ports.rtcp.get_ref().local_addr().unwrap().port();
            assert_eq!(rtcp, ports.rtp_port() + 1);
        }
    }

    #[test]
    fn what_the_camera_sends_is_taken_from_whichever_port() {
        let ports = ports([127, 0, 0, 1]);
        let mut buffer = [0; 100];
        assert_eq!(ports.receive(PacketKind::Rtp, &mut buffer), None);
        send(ports.rtp_port(), b"rtp");
        send(ports.rtp_port() + 1, b"rtcp");
        assert_eq!(ports.receive(PacketKind::Rtp, &mut buffer), Some(3));
        assert_eq!(ports.receive(PacketKind::Rtcp, &mut buffer), Some(4));
        assert_eq!(ports.receive(PacketKind::Rtcp, &mut buffer), None);
    }

    #[test]
    fn what_a_stranger_sends_is_not_taken() {
        let ports = ports([127, 0, 0, 99]);
        send(ports.rtp_port(), b"rtp");
        assert_eq!(ports.receive(PacketKind::Rtp, &mut [0; 100]), None);
    }

    #[test]
    fn once_the_camera_sends_from_its_port_others_are_not_heard() {
        let camera = ports([127, 0, 0, 1]);
        let mut ports = ports([127, 0, 0, 1]);
        ports.open(0, Some((camera.rtp_port(), camera.rtp_port() + 1)), b"report");
        let from_its_port = |bytes: &[u8]| {
            camera.rtp.get_ref().send_to(bytes, (HERE, ports.rtp_port())).unwrap();
        };
        let mut buffer = [0; 100];
        send(ports.rtp_port(), b"another");
        assert_eq!(
            ports.receive(PacketKind::Rtp, &mut buffer),
            Some(7),
            "nobody else is known yet"
        );
        from_its_port(b"one");
        assert_eq!(ports.receive(PacketKind::Rtp, &mut buffer), Some(3));
        send(ports.rtp_port(), b"another");
        assert_eq!(ports.receive(PacketKind::Rtp, &mut buffer), None);
        from_its_port(b"two");
        assert_eq!(ports.receive(PacketKind::Rtp, &mut buffer), Some(3));
        assert_eq!(camera.receive(PacketKind::Rtp, &mut buffer), Some(EMPTY_PACKET.len()));
    }

    #[test]
    fn a_hole_is_punched_on_both_ports_of_the_camera() {
        let camera = ports([127, 0, 0, 1]);
        let mut ports = ports([127, 0, 0, 1]);
        ports.send(PacketKind::Rtcp, b"to nobody yet");
        ports.open(0, Some((camera.rtp_port(), camera.rtp_port() + 1)), b"report");
        let mut buffer = [0; 100];
        for _ in 0..limits::PUNCHES {
            assert_eq!(camera.receive(PacketKind::Rtp, &mut buffer), Some(EMPTY_PACKET.len()));
            assert_eq!(camera.receive(PacketKind::Rtcp, &mut buffer), Some(6));
        }
        assert_eq!(camera.receive(PacketKind::Rtcp, &mut buffer), None);
        // A closed port replies with an error, which must not end the reception.
        drop(camera);
        ports.send(PacketKind::Rtp, b"x");
        send(ports.rtp_port(), b"rtp");
        assert_eq!(ports.receive(PacketKind::Rtp, &mut buffer), Some(3));
    }
}
