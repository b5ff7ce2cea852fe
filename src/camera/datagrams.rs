//! UDP ports: a camera's datagrams in, reports and hole punches out. Datagrams from other addresses
//! are ignored.
//!
//! Spec: RFC 3550 §11 (RTP on an even port, RTCP on the next).
//! Knows nothing of: packets, tracks.

use crate::{
    limits,
    limits::{DATAGRAM_BYTES_MAX, DATAGRAM_SLOT_BYTES, DATAGRAM_SLOTS, DATAGRAMS_THAT_TELL},
    rtsp::PacketKind,
    runtime::Async,
    sys::{self, Datagram},
};
use std::{
    cell::Cell,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
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

/// Datagrams that were received together, in slots of one buffer.
#[derive(Default)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    /// Of each slot.
    slot_bytes: usize,
    size: Size,
    received: [Datagram; DATAGRAM_SLOTS],
    count: usize,
    camera: Option<IpAddr>,
}

/// What datagrams to expect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Any size; this many in a row have fitted a slot.
    Any(u32),
    Slot,
    /// Any size, for good: one did not fit.
    Large,
}

impl Default for Size {
    fn default() -> Size {
        Size::Any(0)
    }
}

impl Inbox {
    /// The camera's datagrams, in the order of their arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let slots = self.buffer.chunks(self.slot_bytes.max(1)).zip(&self.received).take(self.count);
        let is_whole = |it: &Datagram| !it.is_cut && it.from.map(|from| from.ip()) == self.camera;
        slots.filter_map(move |(slot, it)| slot.get(..it.bytes).filter(|_| is_whole(it)))
    }

    /// Whether nothing else had arrived.
    pub fn is_last(&self) -> bool {
        self.slot_bytes == DATAGRAM_SLOT_BYTES && self.count < DATAGRAM_SLOTS
    }

    fn receive(&mut self, socket: &UdpSocket, camera: IpAddr) -> io::Result<()> {
        self.count = 0;
        self.camera = Some(camera);
        if let Size::Any(DATAGRAMS_THAT_TELL..) = self.size {
            self.size = Size::Slot;
        }
        self.slot_bytes = match self.size {
            Size::Slot => DATAGRAM_SLOT_BYTES,
            Size::Any(_) | Size::Large => DATAGRAM_BYTES_MAX,
        };
        self.buffer.resize(DATAGRAM_BYTES_MAX, 0);
        self.count = sys::receive_datagrams(
            socket.as_fd(),
            &mut self.buffer,
            self.slot_bytes,
            &mut self.received,
        )?;
        for it in self.received.iter().take(self.count) {
            self.size = match self.size {
                Size::Any(_) if it.bytes > DATAGRAM_SLOT_BYTES => Size::Any(0),
                Size::Any(fitting) => Size::Any(fitting + 1),
                Size::Slot if it.is_cut => Size::Large,
                size => size,
            };
        }
        Ok(())
    }
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

    /// Receives datagrams that wait; returns false if there are none.
    ///
    /// Quirk: cameras send from other ports than they announced, so only the address is compared.
    pub fn receive(&self, kind: PacketKind, inbox: &mut Inbox) -> bool {
        let [rtp, rtcp] = &self.connected;
        let (socket, told, connected) = match kind {
            PacketKind::Rtp => (&self.rtp, self.to.map(|(rtp, _)| rtp), rtp),
            PacketKind::Rtcp => (&self.rtcp, self.to.map(|(_, rtcp)| rtcp), rtcp),
        };
        for _ in 0..limits::DATAGRAMS_AT_ONCE_MAX {
            match socket.attempt(|socket| inbox.receive(socket, self.camera.ip())) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error about an earlier packet, reported once.
                Err(_) => {}
            }
        }
        if inbox.is_last() {
            socket.drained();
        }
        if let Some(told) = told.filter(|_| !connected.get()) {
            let told = SocketAddr::new(self.camera.ip(), told);
            let mut received = inbox.received.iter().take(inbox.count);
            if received.any(|it| it.from == Some(told)) {
                connected.set(socket.get_ref().connect(told).is_ok());
            }
        }
        inbox.count > 0
    }

    /// The kernel's buffer for RTP packets, in bytes as the kernel counts them.
    pub fn buffer_bytes(&self) -> usize {
        rustix::net::sockopt::socket_recv_buffer_size(self.rtp.get_ref()).unwrap_or(0)
    }

    /// Stops waking the thread for each packet.
    pub fn leave(&self) {
        self.rtp.leave();
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

    /// The length of the next datagram.
    fn receive(ports: &Ports, kind: PacketKind) -> Option<usize> {
        let mut inbox = Inbox::default();
        while ports.receive(kind, &mut inbox) {
            if let Some(bytes) = inbox.datagrams().next() {
                return Some(bytes.len());
            }
        }
        None
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
    fn the_cameras_datagrams_are_taken_from_any_port() {
        let ports = ports([127, 0, 0, 1]);
        assert_eq!(receive(&ports, PacketKind::Rtp), None);
        send(ports.rtp_port(), b"rtp");
        send(ports.rtp_port() + 1, b"rtcp");
        assert_eq!(receive(&ports, PacketKind::Rtp), Some(3));
        assert_eq!(receive(&ports, PacketKind::Rtcp), Some(4));
        assert_eq!(receive(&ports, PacketKind::Rtcp), None);
    }

    #[test]
    fn datagrams_of_strangers_are_ignored() {
        let ports = ports([127, 0, 0, 99]);
        send(ports.rtp_port(), b"rtp");
        assert_eq!(receive(&ports, PacketKind::Rtp), None);
    }

    #[test]
    fn once_the_camera_sends_from_its_port_others_are_not_heard() {
        let camera = ports([127, 0, 0, 1]);
        let mut ports = ports([127, 0, 0, 1]);
        ports.open(0, Some((camera.rtp_port(), camera.rtp_port() + 1)), b"report");
        let from_its_port = |bytes: &[u8]| {
            camera.rtp.get_ref().send_to(bytes, (HERE, ports.rtp_port())).unwrap();
        };
        send(ports.rtp_port(), b"another");
        assert_eq!(receive(&ports, PacketKind::Rtp), Some(7), "nobody else is known yet");
        from_its_port(b"one");
        assert_eq!(receive(&ports, PacketKind::Rtp), Some(3));
        send(ports.rtp_port(), b"another");
        assert_eq!(receive(&ports, PacketKind::Rtp), None);
        from_its_port(b"two");
        assert_eq!(receive(&ports, PacketKind::Rtp), Some(3));
        assert_eq!(receive(&camera, PacketKind::Rtp), Some(EMPTY_PACKET.len()));
    }

    #[test]
    fn a_hole_is_punched_on_both_ports_of_the_camera() {
        let camera = ports([127, 0, 0, 1]);
        let mut ports = ports([127, 0, 0, 1]);
        ports.send(PacketKind::Rtcp, b"to nobody yet");
        ports.open(0, Some((camera.rtp_port(), camera.rtp_port() + 1)), b"report");
        for _ in 0..limits::PUNCHES {
            assert_eq!(receive(&camera, PacketKind::Rtp), Some(EMPTY_PACKET.len()));
            assert_eq!(receive(&camera, PacketKind::Rtcp), Some(6));
        }
        assert_eq!(receive(&camera, PacketKind::Rtcp), None);
        // A closed port replies with an error, which must not end the reception.
        drop(camera);
        ports.send(PacketKind::Rtp, b"x");
        send(ports.rtp_port(), b"rtp");
        assert_eq!(receive(&ports, PacketKind::Rtp), Some(3));
    }

    #[test]
    fn many_small_datagrams_come_at_once_and_a_large_one_makes_room_for_all_to_come() {
        let ports = ports([127, 0, 0, 1]);
        let mut inbox = Inbox::default();
        let mut sizes = |sent: &[usize]| {
            sent.iter().for_each(|&size| send(ports.rtp_port(), &vec![7; size]));
            let (mut sizes, mut calls) = (Vec::new(), 0);
            while ports.receive(PacketKind::Rtp, &mut inbox) {
                sizes.extend(inbox.datagrams().map(<[u8]>::len));
                calls += 1;
            }
            (sizes, calls)
        };
        for _ in 0..DATAGRAMS_THAT_TELL {
            assert_eq!(sizes(&[1400]), (vec![1400], 1));
        }
        let many: Vec<usize> = (0..20).map(|nth| 1400 + nth).collect();
        assert_eq!(sizes(&many), (many, 2));
        assert_eq!(sizes(&[1, 9000, 2]), (vec![1, 2], 1), "the large one is lost");
        assert_eq!(sizes(&[1, 9000, 2]), (vec![1, 9000, 2], 3));
    }
}
