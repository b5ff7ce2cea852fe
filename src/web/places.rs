//! Places of media connections: [`limits::WEB_MEDIA_MAX`] in all.
//!
//! A client that gave the password keeps its place. With `auth = "none"` the places are shared out
//! by address, so that one neighbour cannot hold all of them. Knows nothing of: streams, sockets.

use super::access::Source;
use crate::limits;
use std::{cell::RefCell, rc::Rc, time::Instant};

/// A connection that carries media.
pub(crate) trait Client {
    /// When it last read something.
    fn taken(&self) -> Instant;
    fn shut_down(&self);
}

#[derive(Default)]
pub(super) struct Places {
    /// Oldest first.
    taken: RefCell<Vec<Rc<Holder>>>,
}

struct Holder {
    client: Rc<dyn Client>,
    /// `None` if it keeps its place.
    source: Option<Source>,
}

/// A place, held until it is dropped.
pub(crate) struct MediaPlace {
    places: Rc<Places>,
    holder: Rc<Holder>,
}

impl Places {
    /// Takes a place. If none is free, the address with the most places loses its oldest, provided
    /// that it still has as many as the new client's address then.
    pub fn take(
        self: &Rc<Self>,
        client: Rc<dyn Client>,
        source: Option<Source>,
    ) -> Option<MediaPlace> {
        let holder = Rc::new(Holder { client, source });
        if self.taken.borrow().len() >= limits::WEB_MEDIA_MAX {
            let other = self.first_to_go(source)?;
            other.client.shut_down();
            self.leave(&other);
        }
        self.taken.borrow_mut().push(Rc::clone(&holder));
        Some(MediaPlace { places: Rc::clone(self), holder })
    }

    fn first_to_go(&self, newcomer: Option<Source>) -> Option<Rc<Holder>> {
        let taken = self.taken.borrow();
        let count = |source| taken.iter().filter(|other| other.source == source).count();
        let own = newcomer.map_or(0, |_| count(newcomer));
        let others = taken.iter().filter(|other| other.source.is_some());
        // `max_by_key` returns the last of equals: reversed, the oldest.
        let most = others.rev().max_by_key(|other| count(other.source))?;
        (newcomer.is_none() || count(most.source) > own + 1).then(|| Rc::clone(most))
    }

    fn leave(&self, holder: &Rc<Holder>) {
        self.taken.borrow_mut().retain(|other| !Rc::ptr_eq(other, holder));
    }
}

impl Drop for MediaPlace {
    fn drop(&mut self) {
        self.places.leave(&self.holder);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runtime;
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
    }

    fn neighbour(number: u8) -> Option<Source> {
        Some(Source::of(IpAddr::from([10, 0, 0, number])))
    }

    #[test]
    fn a_neighbour_with_all_places_makes_way_until_they_are_shared_evenly() {
        let places = Rc::new(Places::default());
        let come = |source| {
            let client = TestClient::new();
            places.take(Rc::clone(&client) as Rc<dyn Client>, source).map(|place| (client, place))
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
}
