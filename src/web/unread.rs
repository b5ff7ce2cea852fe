//! Bounds the memory of large pictures on their way to viewers: each viewer holds a copy until its
//! client has read it.
//!
//! Without room, a viewer waits. If a client reads nothing for a while, its connection is closed to
//! make room. Knows nothing of: frames, sockets.

use super::places::Client;
use crate::{
    limits,
    runtime::{self, Signal},
};
use std::{cell::RefCell, rc::Rc, time::Instant};

pub(crate) struct Unread {
    bytes_max: usize,
    copies: RefCell<Vec<Copy>>,
    /// Signals that there may be room again.
    pub freed: Signal,
}

/// One viewer's copy.
struct Copy {
    client: Rc<dyn Client>,
    bytes: usize,
    since: Instant,
}

impl Unread {
    pub fn new(bytes_max: usize) -> Unread {
        Unread { bytes_max, copies: RefCell::default(), freed: Signal::default() }
    }

    /// Returns true if a viewer that holds no copy may hold one of this many bytes. Small ones need
    /// no room, and one larger than the bound is admitted if it is the only one.
    pub fn admits(&self, client: &Rc<dyn Client>, bytes: usize) -> bool {
        bytes <= limits::LIVE_FRAGMENT_BYTES_MAX || self.admits_at(client, bytes, runtime::now())
    }

    fn admits_at(&self, client: &Rc<dyn Client>, bytes: usize, now: Instant) -> bool {
        let mut copies = self.copies.borrow_mut();
        while !copies.is_empty() {
            let taken: usize = copies.iter().map(|copy| copy.bytes).sum();
            if taken + bytes <= self.bytes_max {
                break;
            }
            let is_stuck = |copy: &Copy| {
                let since = copy.since.max(copy.client.taken());
                now.saturating_duration_since(since) >= limits::LIVE_UNREAD_TIMEOUT
            };
            match copies.iter().position(is_stuck) {
                Some(at) => copies.remove(at).client.shut_down(),
                None => return false,
            }
        }
        copies.push(Copy { client: Rc::clone(client), bytes, since: now });
        true
    }

    /// Removes the viewer's copy, if it has one.
    pub fn release(&self, client: &Rc<dyn Client>) {
        let mut copies = self.copies.borrow_mut();
        if let Some(at) = copies.iter().position(|copy| Rc::ptr_eq(&copy.client, client)) {
            copies.remove(at);
            // Waiting viewers look again, and need to borrow the list.
            drop(copies);
            self.freed.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::places::tests::TestClient, *};

    #[test]
    fn large_pictures_wait_for_room_and_a_client_that_reads_nothing_makes_way() {
        let clients = [TestClient::new(), TestClient::new(), TestClient::new()];
        let [a, b, c] = clients.each_ref().map(|it| Rc::clone(it) as Rc<dyn Client>);
        let cut = || clients.each_ref().map(|it| it.is_cut.get());
        let (unread, start) = (Unread::new(300), clients[0].taken());
        assert!(unread.admits_at(&a, 1000, start), "alone it may be of any size");
        assert!(unread.admits(&b, limits::LIVE_FRAGMENT_BYTES_MAX), "a small one needs no room");
        unread.release(&a);
        assert!(unread.admits_at(&a, 150, start));
        assert!(unread.admits_at(&b, 150, start + limits::LIVE_UNREAD_TIMEOUT / 2));
        assert!(!unread.admits_at(&c, 1, start));
        assert_eq!(cut(), [false; 3]);
        assert!(unread.admits_at(&c, 150, start + limits::LIVE_UNREAD_TIMEOUT));
        assert_eq!(cut(), [true, false, false], "the one that waits for longest");
        unread.release(&a);
        assert!(!unread.admits_at(&a, 1, start));
        unread.release(&b);
        assert!(unread.admits_at(&a, 150, start));
    }
}
