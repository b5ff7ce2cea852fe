//! Ports of 127.0.0.1 that behave like a camera that is off, that hangs, or whose cable is dead.

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with,
    sockopt,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

/// A port reserved while this lives. Connections are refused, or never answered.
pub struct Port {
    number: u16,
    _sockets: Vec<OwnedFd>,
}

impl Port {
    /// A free port on which nothing listens.
    pub fn closed() -> Port {
        let (number, socket) = bound(0);
        Port { number, _sockets: vec![socket] }
    }

    /// The same with a certain port.
    pub fn closed_at(number: u16) -> Port {
        Port { number, _sockets: vec![bound(number).1] }
    }

    /// A port that never answers: the queue of a listener that accepts nobody is full, so the
    /// kernel silently drops further connections, as a dead cable does.
    pub fn dead() -> Port {
        let (number, socket) = bound(0);
        listen(&socket, 0).unwrap();
        let filler = new_socket();
        connect(&filler, &address(number)).unwrap();
        Port { number, _sockets: vec![socket, filler] }
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    pub fn url(&self, name: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{name}", self.number)
    }
}

/// Whether bytes written to connections of this port have yet to reach the other end's kernel: a
/// busy machine delivers them late, even to itself.
pub fn is_sending(number: u16) -> bool {
    let local = format!("0100007F:{number:04X}");
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&local) && !fields.nth(2).unwrap().starts_with("00000000:")
    })
}

fn bound(number: u16) -> (u16, OwnedFd) {
    let socket = new_socket();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &address(number)).unwrap();
    let number = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap().port();
    (number, socket)
}

fn new_socket() -> OwnedFd {
    // Programs started meanwhile must not inherit it.
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
}

fn address(number: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, number)
}
