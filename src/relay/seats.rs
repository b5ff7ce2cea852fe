//! Seats: the connections that have a place, and which one loses it to a new client.
//!
//! A client with a right to the stream keeps its seat. Among the others, the address with the most
//! loses its oldest, so that strangers take seats from strangers.
//! Knows nothing of: requests.

use crate::{
    limits,
    runtime::{Async, Count, Counted},
    web::access::Source,
};
use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, Shutdown, TcpStream},
    rc::Rc,
};

#[derive(Default)]
pub(super) struct Seats {
    /// Oldest first.
    taken: RefCell<Vec<Rc<Seat>>>,
    /// Connections whose task has not ended, including those that lost their seat.
    pub living: Count,
}

pub(super) struct Seat {
    pub socket: Async<TcpStream>,
    pub peer: IpAddr,
    /// Whether its last request was admitted.
    pub is_known: Cell<bool>,
    _living: Counted,
}

impl Seats {
    /// Seats a client; `None` if every seat is taken by one with a right to it.
    pub fn take(&self, socket: Async<TcpStream>, peer: IpAddr) -> Option<Rc<Seat>> {
        let living = self.living.enter();
        let seat = Rc::new(Seat { socket, peer, is_known: Cell::new(false), _living: living });
        if self.taken.borrow().len() >= limits::RELAY_CONNECTIONS_MAX {
            let other = self.first_to_go()?;
            // Its task ends when it notices.
            let _ = other.socket.get_ref().shutdown(Shutdown::Both);
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
        let strangers = || taken.iter().filter(|seat| !seat.is_known.get());
        let places = |of: &Seat| {
            let source = Source::of(of.peer);
            strangers().filter(|seat| Source::of(seat.peer) == source).count()
        };
        // Of equals, the last one: the oldest.
        strangers().rev().max_by_key(|seat| places(seat)).cloned()
    }
}
