//! Bounds the memory of large pictures on their way to viewers: each viewer holds a copy until its
//! client has read it.
//!
//! Without room, a viewer waits. If a client reads nothing for a while, its connection is closed to
//! make room. Knows nothing of: frames, sockets.

use super::link::Link;
use crate::{limits, runtime::Signal};
use std::{cell::RefCell, net::Shutdown, rc::Rc, time::Instant};

pub(super) struct Unread {
    bytes_max: usize,
    copies: RefCell<Vec<Picture>>,
    /// Signals that there may be room again.
    pub freed: Signal,
}

/// One viewer's copy.
struct Picture {
    link: Rc<Link>,
    bytes: usize,
    since: Instant,
}

impl Unread {
    pub fn new(bytes_max: usize) -> Unread {
        Unread { bytes_max, copies: RefCell::default(), freed: Signal::default() }
    }

    /// Returns true if a viewer that holds no copy may hold one of this many bytes. A copy larger
    /// than the bound is admitted if it is the only one.
    pub fn admits(&self, link: &Rc<Link>, bytes: usize, now: Instant) -> bool {
        let mut copies = self.copies.borrow_mut();
        while !copies.is_empty() {
            let taken: usize = copies.iter().map(|copy| copy.bytes).sum();
            if taken + bytes <= self.bytes_max {
                break;
            }
            let is_stuck = |copy: &Picture| {
                let since = copy.since.max(copy.link.taken.get());
                now.saturating_duration_since(since) >= limits::LIVE_UNREAD_TIMEOUT
            };
            match copies.iter().position(is_stuck) {
                Some(at) => copies.remove(at).link.stream.shut_down(Shutdown::Both),
                None => return false,
            }
        }
        copies.push(Picture { link: Rc::clone(link), bytes, since: now });
        true
    }

    /// Removes the viewer's copy, if it has one.
    pub fn release(&self, link: &Rc<Link>) {
        let mut copies = self.copies.borrow_mut();
        if let Some(at) = copies.iter().position(|copy| Rc::ptr_eq(&copy.link, link)) {
            copies.remove(at);
            // Waiting viewers look again, and need to borrow the list.
            drop(copies);
            self.freed.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{access::Peer, link::Stream},
        *,
    };
    use crate::runtime::{self, Async};
    use std::{io::Read as _, os::unix::net::UnixStream};

    #[test]
    fn large_pictures_wait_for_room_and_a_client_that_reads_nothing_makes_way() {
        let client = || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            theirs.set_nonblocking(true).unwrap();
            (Rc::new(Link::new(Stream::Unix(Async::new(ours).unwrap()), Peer::Unix)), theirs)
        };
        let ((a, mut of_a), (b, mut of_b), (c, _of_c)) = (client(), client(), client());
        let is_cut = |client: &mut UnixStream| matches!(client.read(&mut [0]), Ok(0));
        let (unread, start) = (Unread::new(300), runtime::now());
        assert!(unread.admits(&a, 1000, start), "alone it may be of any size");
        unread.release(&a);
        assert!(unread.admits(&a, 150, start));
        assert!(unread.admits(&b, 150, start + limits::LIVE_UNREAD_TIMEOUT / 2));
        assert!(!unread.admits(&c, 1, start));
        assert!(!is_cut(&mut of_a));
        assert!(unread.admits(&c, 150, start + limits::LIVE_UNREAD_TIMEOUT));
        assert!(is_cut(&mut of_a) && !is_cut(&mut of_b), "the one that waits for longest");
        unread.release(&a);
        assert!(!unread.admits(&a, 1, start));
        unread.release(&b);
        assert!(unread.admits(&a, 150, start));
    }
}
