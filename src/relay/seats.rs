//! Seats: the connections that have a place, and which one loses it to a new client.
//!
//! A client that plays, or gave the password, keeps its seat. Among the others, the address with
//! the most seats loses its oldest. So even without a password, requests alone cannot keep other
//! clients out. Knows nothing of: requests.

use crate::{
    limits,
    runtime::{self, Async, Count, Counted},
    web::{Client, access::Source, is_hung_up},
};
use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, Shutdown, TcpStream},
    rc::Rc,
    time::Instant,
};

#[derive(Default)]
pub(super) struct Seats {
    /// Oldest first.
    taken: RefCell<Vec<Rc<Seat>>>,
    /// Connections whose task has not ended yet, even if they lost their seat.
    pub living: Count,
}

pub(super) struct Seat {
    pub socket: Async<TcpStream>,
    pub peer: IpAddr,
    pub keeps: Cell<bool>,
    /// When its client last read something.
    pub taken: Cell<Instant>,
    _living: Counted,
}

impl Client for Seat {
    fn taken(&self) -> Instant {
        self.taken.get()
    }

    fn shut_down(&self) {
        let _ = self.socket.get_ref().shutdown(Shutdown::Both);
    }

    fn is_hung_up(&self) -> bool {
        is_hung_up(self.socket.get_ref())
    }
}

impl Seats {
    /// Gives a client a seat; `None` if every seat is taken by a client that keeps it.
    pub fn take(&self, socket: Async<TcpStream>, peer: IpAddr) -> Option<Rc<Seat>> {
        let living = self.living.enter();
        let taken = Cell::new(runtime::now());
        let seat = Rc::new(Seat { socket, peer, keeps: Cell::new(false), taken, _living: living });
        if self.taken.borrow().len() >= limits::RELAY_CONNECTIONS_MAX {
            let other = self.first_to_go()?;
            // Its task notices, and ends.
            other.shut_down();
            self.leave(&other);
        }
        self.taken.borrow_mut().push(Rc::clone(&seat));
        Some(seat)
    }

    pub fn leave(&self, seat: &Rc<Seat>) {
        self.taken.borrow_mut().retain(|other| !Rc::ptr_eq(other, seat));
    }

    fn first_to_go(&self) -> Option<Rc<Seat>> {
        let taken = self.taken.borrow();
        let others = || taken.iter().filter(|seat| !seat.keeps.get());
        let places = |of: &Seat| {
            let source = Source::of(of.peer);
            others().filter(|seat| Source::of(seat.peer) == source).count()
        };
        // `max_by_key` returns the last of equals: reversed, the oldest.
        others().rev().max_by_key(|seat| places(seat)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_address_with_many_seats_loses_one_and_a_client_that_plays_stays() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seats = Seats::default();
        let come = |peer: u8| {
            let socket = Async::new(TcpStream::connect(address).unwrap()).unwrap();
            seats.take(socket, IpAddr::from([10, 0, 0, peer]))
        };
        let peers = || -> Vec<u8> {
            let last = |seat: &Rc<Seat>| match seat.peer {
                IpAddr::V4(address) => address.octets()[3],
                IpAddr::V6(_) => 0,
            };
            seats.taken.borrow().iter().map(last).collect()
        };
        let plays = come(1).unwrap();
        plays.keeps.set(true);
        come(2).unwrap();
        (0..6).for_each(|_| drop(come(1)));
        assert_eq!(peers(), [1, 2, 1, 1, 1, 1, 1, 1]);
        come(3).unwrap();
        come(2).unwrap();
        assert_eq!(peers(), [1, 2, 1, 1, 1, 1, 3, 2], "the oldest of those that do not play");
        // Reconnecting does not push out others either.
        (0..9).for_each(|_| drop(come(1)));
        assert_eq!(peers(), [1, 2, 3, 2, 1, 1, 1, 1]);
        assert!(Rc::ptr_eq(&plays, &seats.taken.borrow()[0]));
        seats.taken.borrow().iter().for_each(|seat| seat.keeps.set(true));
        assert!(come(4).is_none());
    }

    /// Its password was held for seconds all the same, and the place of its task with it: meanwhile
    /// no new client was taken.
    #[test]
    fn a_client_that_lost_its_seat_waits_for_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let seats = Seats::default();
        let seat = seats.take(Async::new(socket).unwrap(), IpAddr::from([10, 0, 0, 1])).unwrap();
        assert!(!seat.is_hung_up());
        seat.shut_down();
        assert!(seat.is_hung_up());
    }
}
