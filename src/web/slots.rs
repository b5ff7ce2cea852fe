//! Connections: who has a place, and which one is closed when there are too many.
//!
//! A connection counts from `accept(2)` to the end of its task; further clients wait in the
//! kernel's queue. A client that is known (by session, Basic or the control socket) keeps its place
//! while it is active. Among the others, the address with the most connections loses one.
//! Knows nothing of: requests, permissions.

use super::{
    Web,
    access::{Peer, Refusal, Source},
    link::{Link, Occupation, Stream},
    listener::{Listener, hold_off},
};
use crate::{
    limits,
    runtime::{self, Async, Count},
};
use std::{cell::RefCell, cmp::Reverse, net::Shutdown, os::unix::net::UnixListener, rc::Rc};

/// The connections that have a place.
#[derive(Default)]
pub(super) struct Slots {
    links: RefCell<Vec<Rc<Link>>>,
    /// TCP connections whose task has not ended, including those that lost their place.
    living: Count,
}

impl Slots {
    fn remove(&self, link: &Rc<Link>) {
        self.links.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
    }

    /// Closes a connection. Its place is free at once; its task ends when it notices.
    fn let_go(&self, link: &Rc<Link>) {
        link.stream.shut_down(Shutdown::Both);
        link.close();
        self.remove(link);
    }

    /// The connection that loses its place to a new one: among those that are ending, then those
    /// waiting for a request, then those whose client is slow, the oldest of the address with the
    /// most.
    fn first_to_go(&self) -> Option<Rc<Link>> {
        let links = self.links.borrow();
        let source = |link: &Link| link.peer.address().map(Source::of);
        let places = |of: &Link| {
            let same = |link: &&Rc<Link>| !link.is_owners() && source(link) == source(of);
            links.iter().filter(same).count()
        };
        let ranked = links.iter().filter_map(|link| {
            let rank = match (link.occupation.get(), link.is_owners()) {
                _ if link.peer == Peer::Unix => return None,
                (Occupation::Idle, _) if link.is_closed() => 0,
                (Occupation::Idle, false) => 1,
                (Occupation::Idle, true) => 2,
                (Occupation::Work | Occupation::Turn, _) | (_, true) => return None,
                (_, false) => 3,
            };
            Some((rank, Reverse(places(link)), link.since.get(), link))
        });
        let first = ranked.min_by_key(|(rank, places, since, _)| (*rank, *places, *since));
        first.map(|(_, _, _, link)| Rc::clone(link))
    }

    /// Closes connections whose session or password is no longer valid.
    pub fn end_what_is_over(&self) {
        let is_over = |link: &&Rc<Link>| link.occupation.get().is_endless() && link.is_over();
        let over: Vec<_> = self.links.borrow().iter().filter(is_over).cloned().collect();
        over.iter().for_each(|link| self.let_go(link));
    }

    /// Finds a place for a client that turned out to be known although no connection could be
    /// closed for it: closes the newest one waiting for its password check, or else the oldest
    /// stream.
    pub fn squeeze_in(&self, link: &Rc<Link>, most: usize) {
        let first = {
            let links = self.links.borrow();
            if links.len() <= most {
                return;
            }
            let of = |occupation| links.iter().filter(move |it| it.occupation.get() == occupation);
            let newest = of(Occupation::Turn).max_by_key(|other| other.since.get());
            let streams = of(Occupation::Stream).filter(|other| !Rc::ptr_eq(other, link));
            newest.or_else(|| streams.min_by_key(|other| other.since.get())).cloned()
        };
        if let Some(first) = first {
            self.let_go(&first);
        }
    }
}

impl Web {
    pub(super) async fn serve_control(self: Rc<Self>, listener: Async<UnixListener>) {
        loop {
            match listener.accept().await {
                Ok(socket) => self.take(Stream::Unix(socket), Peer::Unix),
                Err(error) => hold_off("web", &error).await,
            }
        }
    }

    pub(super) async fn serve_network(self: Rc<Self>) {
        let listener = Listener {
            daemon: &self.daemon,
            name: "web",
            address: |config| Some(config.web.listen),
            living: &self.slots.living,
            most: &|| self.places() + limits::WEB_SPARE_PLACES,
            take: &|socket, address| {
                self.take(Stream::Tcp(socket), Peer::Address(address.ip().to_canonical()));
            },
        };
        listener.run().await;
    }

    fn places(&self) -> usize {
        let most = self.daemon.config.borrow().web.connections_max.get();
        usize::try_from(most).unwrap_or(usize::MAX / 2)
    }

    /// Gives a connection a place, closing another one if necessary.
    fn take(self: &Rc<Self>, stream: Stream, peer: Peer) {
        let link = Rc::new(Link::new(stream, peer));
        let living = (peer != Peer::Unix).then(|| self.slots.living.enter());
        let taken = self.slots.links.borrow().len();
        if peer != Peer::Unix && taken >= self.places() {
            match self.slots.first_to_go() {
                Some(other) => self.slots.let_go(&other),
                // It may be a known client, which its first request will show.
                None if taken < self.places() + limits::WEB_SPARE_PLACES => {}
                None => return link.refuse(&Refusal::NoSlot),
            }
        }
        self.slots.links.borrow_mut().push(Rc::clone(&link));
        let web = Rc::clone(self);
        runtime::spawn(&self.daemon.executor, async move {
            let _living = living;
            // A connection that never sends anything gets no buffers.
            let first = runtime::timeout(limits::WEB_FIRST_REQUEST_TIMEOUT, link.stream.readable());
            if let Some(Ok(())) = first.await {
                Box::pin(Rc::clone(&web).serve(Rc::clone(&link))).await;
            }
            web.slots.remove(&link);
        });
    }

    /// Notes the permission for this request's reply; a known client gets a place.
    pub(super) fn admitted(&self, link: &Rc<Link>, pass: super::access::Pass) {
        let is_owner = pass.who.is_owner();
        link.pass.replace(Some(pass));
        if is_owner {
            self.slots.squeeze_in(link, self.places());
        }
    }
}
