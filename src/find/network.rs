//! Probes out, answers in, over UDP.

use crate::{
    http::local::is_local,
    limits::{FIND_DATAGRAM_BYTES_MAX, FIND_DEVICES_MAX, FIND_INTERFACES_MAX, FIND_RECEIVE_BYTES},
    onvif::probe::{self, Device, ProbeKind, SCHEDULE, uuid},
    runtime, sys,
};
use rustix::net::sockopt;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// A host that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub address: IpAddr,
    /// `None` if it was found by its name alone.
    pub device: Option<Device>,
}

impl Answer {
    /// Whether the same camera sent both, from two of its addresses.
    pub fn is_same_camera(&self, other: &Answer) -> bool {
        let (Some(one), Some(two)) = (&self.device, &other.device) else { return false };
        let names = |device: &Device, address| device.addresses.contains(&address);
        !one.id.is_empty()
            && one.id == two.id
            && names(one, other.address)
            && names(two, self.address)
    }
}

/// Probes all networks of this machine until `until`, or one address until it answers.
pub(super) fn search(only: Option<IpAddr>, until: Instant) -> Vec<Answer> {
    let Ok(mut search) = Search::new(only) else { return Vec::new() };
    search.run(until);
    search.answers
}

/// Returns true if this address is one of this machine's.
pub(super) fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

struct Search {
    socket: UdpSocket,
    only: Option<IpAddr>,
    ids: Vec<String>,
    answers: Vec<Answer>,
}

impl Search {
    fn new(only: Option<IpAddr>) -> io::Result<Search> {
        let any = if only.is_some_and(|it| it.is_ipv6()) { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any)?;
        // Many cameras answer at the same moment. If it is refused, the later rounds help.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, FIND_RECEIVE_BYTES);
        Ok(Search { socket, only, ids: Vec::new(), answers: Vec::new() })
    }

    fn run(&mut self, until: Instant) {
        let start = runtime::now();
        let mut schedule = SCHEDULE.iter().copied().peekable();
        let mut buffer = vec![0; FIND_DATAGRAM_BYTES_MAX];
        while self.only.is_none() || self.answers.is_empty() {
            let now = runtime::now();
            while let Some((_, kind)) =
                schedule.next_if(|(at, _)| start + Duration::from_millis(*at) <= now)
            {
                self.send(kind);
            }
            let next = schedule.peek().map(|(at, _)| start + Duration::from_millis(*at));
            let left = next.unwrap_or(until).min(until).saturating_duration_since(now);
            if now >= until || self.socket.set_read_timeout(Some(left.max(TICK))).is_err() {
                return;
            }
            // An error is the timeout, or about a probe that did not arrive.
            if let Ok((count, from)) = self.socket.recv_from(&mut buffer) {
                self.take(buffer.get(..count).unwrap_or_default(), from);
            }
        }
    }

    /// Sends to all networks; one that refuses has no camera.
    fn send(&mut self, kind: ProbeKind) {
        let random = sys::random().and_then(|bytes| bytes.first_chunk().copied());
        let id = uuid(random.unwrap_or_default());
        let datagram = kind.datagram(&id);
        let socket = &self.socket;
        let to = match (self.only, kind) {
            (Some(_), ProbeKind::Mdns) => return,
            (Some(address), _) => SocketAddr::new(address, PORT),
            (None, ProbeKind::Mdns) => SocketAddr::new(IpAddr::V4(MDNS_GROUP), MDNS_PORT),
            (None, _) => SocketAddr::new(IpAddr::V4(GROUP), PORT),
        };
        if kind != ProbeKind::Mdns {
            self.ids.push(id);
        }
        if self.only.is_some() {
            let _ = socket.send_to(&datagram, to);
            return;
        }
        // Numbers that no interface has are refused.
        for interface in 1..=FIND_INTERFACES_MAX {
            let any = Ipv4Addr::UNSPECIFIED;
            if sockopt::set_ip_multicast_if_with_ifindex(socket, &any, &any, interface).is_ok() {
                let _ = socket.send_to(&datagram, to);
            }
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let address = from.ip();
        // Hosts on the Internet do not count, nor any but the requested one.
        let is_wanted = match self.only {
            Some(only) => only == address,
            None => is_local(address) || is_own(address),
        };
        if !is_wanted {
            return;
        }
        if probe::is_mdns_answer(datagram) {
            self.add(Answer { address, device: None });
        }
        for device in probe::matches(datagram, address, &self.ids) {
            self.add(Answer { address, device: Some(device) });
        }
    }

    /// Adds what is new. Quirk: cheap cameras have one id for all of a series, so a device is known
    /// by its address, too.
    fn add(&mut self, new: Answer) {
        let id = |answer: &Answer| answer.device.as_ref().map(|it| it.id.clone());
        let is_known = self.answers.iter().any(|known| {
            let has_id = id(&new).is_some_and(|it| !it.is_empty());
            known == &new || has_id && known.address == new.address && id(known) == id(&new)
        });
        if !is_known && self.answers.len() < FIND_DEVICES_MAX {
            self.answers.push(new);
        }
    }
}

/// WS-Discovery (April 2005) §2.4.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const PORT: u16 = 3702;
/// RFC 6762 §3.
const MDNS_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_PORT: u16 = 5353;
/// The shortest wait: zero would mean no limit.
const TICK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cameras_of_one_id_are_two_and_one_that_answers_twice_is_one() {
        let mut search = Search::new(None).unwrap();
        let answer = |last, name: &str| Answer {
            address: IpAddr::from([192, 168, 1, last]),
            device: Some(Device {
                id: "urn:uuid:1".into(),
                name: name.into(),
                ..Device::default()
            }),
        };
        for (last, name) in [(20, ""), (21, ""), (20, "yard"), (21, ""), (20, "")] {
            search.add(answer(last, name));
        }
        assert_eq!(search.answers, [answer(20, ""), answer(21, "")]);
    }
}
