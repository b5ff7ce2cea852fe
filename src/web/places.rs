//! Places of connections that carry media, a bounded number in all.
//!
//! A client that gave the password keeps its place. With `auth = "none"` the places are shared out
//! by address, so that one neighbour cannot hold all of them. Knows nothing of: streams, sockets.

use super::{access::Source, link::Occupation};
use crate::runtime::Signal;
use std::{cell::RefCell, rc::Rc, time::Instant};

/// A connection that carries media.
pub(crate) trait Client {
    /// When it last read something.
    fn taken(&self) -> Instant;
    fn shut_down(&self);
    /// Returns true once either side has shut it down.
    fn is_hung_up(&self) -> bool;
    /// Notes what it is occupied with, which decides who makes way.
    fn occupy(&self, _with: Occupation) {}
}

pub(super) struct Places {
    most: usize,
    /// Oldest first.
    taken: RefCell<Vec<Rc<Holder>>>,
    /// Signals that some may be free.
    pub freed: Signal,
}

struct Holder {
    client: Rc<dyn Client>,
    /// `None` if it keeps its places.
    source: Option<Source>,
    places: usize,
}

/// One client's places, held until this is dropped.
pub(crate) struct MediaPlace {
    places: Rc<Places>,
    holder: Rc<Holder>,
}

impl Places {
    pub fn new(most: usize) -> Rc<Places> {
        Rc::new(Places { most, taken: RefCell::default(), freed: Signal::default() })
    }

    /// Takes this many places. While too few are free, the address with the most loses those of its
    /// oldest client, provided that it has more than the new client's address would have.
    pub fn take(
        self: &Rc<Self>,
        client: Rc<dyn Client>,
        source: Option<Source>,
        places: usize,
    ) -> Option<MediaPlace> {
        // Nobody makes way in vain.
        let (mut left, mut gone) = (self.taken.borrow().clone(), Vec::new());
        while left.iter().map(|it| it.places).sum::<usize>() + places > self.most {
            let at = first_to_go(&left, source, places)?;
            gone.push(left.remove(at));
        }
        for other in gone {
            other.client.shut_down();
            self.leave(&other);
        }
        let holder = Rc::new(Holder { client, source, places });
        self.taken.borrow_mut().push(Rc::clone(&holder));
        Some(MediaPlace { places: Rc::clone(self), holder })
    }

    fn leave(&self, holder: &Rc<Holder>) {
        self.taken.borrow_mut().retain(|other| !Rc::ptr_eq(other, holder));
        self.freed.notify();
    }
}

impl Drop for MediaPlace {
    fn drop(&mut self) {
        self.places.leave(&self.holder);
    }
}

/// The one of these that makes way for a newcomer who wants this many places.
fn first_to_go(taken: &[Rc<Holder>], newcomer: Option<Source>, places: usize) -> Option<usize> {
    let count = |source: Option<Source>| -> usize {
        taken.iter().filter(|other| other.source == source).map(|other| other.places).sum()
    };
    let own = newcomer.map_or(0, |_| count(newcomer));
    let others = taken.iter().enumerate().filter(|(_, other)| other.source.is_some());
    // `max_by_key` returns the last of equals: reversed, the oldest.
    let (at, most) = others.rev().max_by_key(|(_, other)| count(other.source))?;
    (newcomer.is_none() || count(most.source) > own + places).then_some(at)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{limits, runtime};
    use std::{cell::Cell, net::IpAddr};

    pub struct TestClient {
        pub taken: Cell<Instant>,
        pub is_cut: Cell<bool>,
    }

    impl TestClient {
        pub fn new() -> Rc<TestClient> {
            Rc::new(TestClient { taken: Cell::new(runtime::now()), is_cut: Cell::new(false) })
        }
    }

    impl Client for TestClient {
        fn taken(&self) -> Instant {
            self.taken.get()
        }

        fn shut_down(&self) {
            self.is_cut.set(true);
        }

        fn is_hung_up(&self) -> bool {
            self.is_cut.get()
        }
    }

    fn neighbour(number: u8) -> Option<Source> {
        Some(Source::of(IpAddr::from([10, 0, 0, number])))
    }

    #[test]
    fn a_neighbour_with_all_places_makes_way_until_they_are_shared_evenly() {
        let places = Places::new(limits::WEB_MEDIA_MAX);
        let come = |source| {
            let client = TestClient::new();
            places
                .take(Rc::clone(&client) as Rc<dyn Client>, source, 1)
                .map(|place| (client, place))
        };
        let first: Vec<_> = (0..6).map(|_| come(neighbour(1)).unwrap()).collect();
        let second: Vec<_> = (0..3).map(|_| come(neighbour(2)).unwrap()).collect();
        let is_cut: Vec<bool> = first.iter().map(|(client, _)| client.is_cut.get()).collect();
        assert_eq!(is_cut, [true, true, true, false, false, false], "the oldest");
        assert!(come(neighbour(2)).is_none() && come(neighbour(1)).is_none());
        let third = come(neighbour(3)).unwrap();
        // The owner logs in to a recorder whose places others hold.
        let owner = come(None).unwrap();
        assert_eq!(places.taken.borrow().len(), limits::WEB_MEDIA_MAX);
        drop((first, second, third));
        let owners: Vec<_> = (0..5).map(|_| come(None).unwrap()).collect();
        assert!(come(None).is_none() && come(neighbour(1)).is_none());
        assert!(!owner.0.is_cut.get());
        drop((owner, owners));
        assert!(places.taken.borrow().is_empty());
    }

    #[test]
    fn a_neighbour_who_holds_nearly_all_makes_way_for_one_who_wants_little() {
        let places = Places::new(100);
        let come = |source, count| {
            let client = TestClient::new();
            let place = places.take(Rc::clone(&client) as Rc<dyn Client>, source, count)?;
            Some((client, place))
        };
        let [large, small] = [(neighbour(1), 70), (neighbour(1), 20)]
            .map(|(source, count)| come(source, count).unwrap());
        assert!(come(neighbour(1), 20).is_none(), "it has the most itself");
        assert!(come(neighbour(2), 90).is_none(), "it would have as many");
        assert!(come(neighbour(2), 81).is_none() && !large.0.is_cut.get(), "in vain");
        let other = come(neighbour(2), 60).unwrap();
        assert_eq!([&large, &small].map(|(client, _)| client.is_cut.get()), [true, false]);
        // As much as two of them hold.
        let owner = come(None, 100).unwrap();
        assert!(small.0.is_cut.get() && other.0.is_cut.get());
        assert!(come(neighbour(3), 1).is_none() && come(None, 1).is_none());
        drop(owner);
        assert!(come(neighbour(3), 100).is_some());
    }
}
