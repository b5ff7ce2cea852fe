//! Listens to a camera's own detectors over ONVIF: in the metadata track of its RTSP session, or by
//! a subscription if that track is silent.
//!
//! Spec: ONVIF Streaming §5.2, Core §9.

use super::MotionWatch;
use crate::{
    camera::{Connector, snapshot::ask},
    clock, config,
    daemon::Daemon,
    http::{response::Response, url::Target},
    limits,
    onvif::{
        notice::{Notice, Ongoing},
        pull::{Next, Pull, Reply, Request},
        soap,
    },
    runtime, sys,
};
use smol::future;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// The detectors of one camera.
///
/// *Cost*: a document as it arrives, and a connection while the camera has nothing to say.
pub(super) struct Onvif {
    target: Target,
    course: RefCell<Ongoing>,
    pull: RefCell<Pull>,
    /// The metadata track of this session has reported something.
    is_track_heard: Cell<bool>,
    is_subscribed: Cell<bool>,
    /// Why it fails; `None` while that is not known.
    reason: Cell<Option<&'static str>>,
}

impl Onvif {
    pub fn new(camera: &config::Camera, seed: u64) -> Onvif {
        let target = camera.url.0.clone();
        let mut ports = PORTS.to_vec();
        if let config::Snapshot::Url(url) = &camera.snapshot {
            // A camera's services are usually where its page is.
            ports.insert(0, url.target().port());
        }
        Onvif {
            pull: RefCell::new(Pull::new(target.credentials().cloned(), ports, seed)),
            target,
            course: RefCell::default(),
            is_track_heard: Cell::new(false),
            is_subscribed: Cell::new(false),
            reason: Cell::new(None),
        }
    }

    pub async fn watch(&self, watch: &MotionWatch, daemon: &Rc<Daemon>) {
        future::or(self.go_on(watch, daemon), self.subscribe(watch, daemon)).await;
    }

    /// Repeats what goes on while the camera can be heard.
    async fn go_on(&self, watch: &MotionWatch, daemon: &Rc<Daemon>) {
        loop {
            runtime::sleep(limits::NOTICE_INTERVAL).await;
            if self.is_track_heard.get() || self.is_subscribed.get() {
                watch.watches(daemon);
            } else {
                self.course.borrow_mut().clear();
                if let Some(reason) = self.reason.get() {
                    watch.is_blind(daemon, &reason);
                }
            }
            let mut course = self.course.borrow_mut();
            course.going_on(runtime::now(), &mut |kind| watch.moves(daemon, kind.name()));
        }
    }

    /// Subscribes while the metadata track says nothing.
    async fn subscribe(&self, watch: &MotionWatch, daemon: &Rc<Daemon>) {
        runtime::sleep(limits::METADATA_PATIENCE).await;
        loop {
            let mut pause = limits::NOTICE_INTERVAL;
            if !self.is_track_heard.get() || self.is_subscribed.get() {
                let asked = runtime::now();
                let request = self.pull.borrow_mut().request(random(), asked, clock::now());
                let reply = self.post(&request).await;
                let now = runtime::now();
                let next = self.pull.borrow_mut().answered(reply.as_ref(), now, clock::now());
                match next {
                    Next::Ask => continue,
                    Next::Heard(notices) => {
                        self.is_subscribed.set(true);
                        self.reason.set(None);
                        self.hear(&notices, watch, daemon);
                        // Some cameras answer at once instead of waiting for news.
                        runtime::sleep_until(asked + limits::PULL_INTERVAL_MIN).await;
                        continue;
                    }
                    Next::Pause(span, reason) => {
                        self.is_subscribed.set(false);
                        self.reason.set(Some(reason));
                        pause = span;
                    }
                }
            }
            runtime::sleep(pause).await;
        }
    }

    /// Ends the subscription: cameras hold few. Once more with a nonce of its own, where each is for
    /// one request.
    pub async fn unsubscribe(&self) {
        for _ in 0..2 {
            let request = self.pull.borrow_mut().end(random(), clock::now());
            let Some(request) = request else { return };
            let reply = self.post(&request).await;
            if !reply.is_some_and(|reply| self.pull.borrow_mut().ended(&reply)) {
                return;
            }
        }
    }

    async fn post(&self, request: &Request) -> Option<Reply> {
        let Request { place, authorization, envelope, form, action, patience } = request;
        let target = self.target.http_page(place.port, &place.path);
        let authorization = authorization.as_deref();
        let form = (*form, &**action);
        let question = soap::post(&place.path, target.authority(), authorization, envelope, form);
        let mut connector = Connector::new(&target);
        let response = Response::document(limits::METADATA_BYTES_MAX);
        // On the heap: most of the time only a timer is needed.
        let answer = Box::pin(ask(&mut connector, &question, response));
        let response = runtime::timeout(*patience, answer).await?.ok()?;
        let (status, challenges) = (response.status, response.challenges.clone());
        Some(Reply { status, challenges, document: response.into_body() })
    }

    /// Processes notices of the metadata track.
    pub fn hear_track(&self, notices: &[Notice], watch: &MotionWatch, daemon: &Rc<Daemon>) {
        self.is_track_heard.set(true);
        self.hear(notices, watch, daemon);
    }

    pub fn track_ended(&self) {
        self.is_track_heard.set(false);
    }

    fn hear(&self, notices: &[Notice], watch: &MotionWatch, daemon: &Rc<Daemon>) {
        watch.watches(daemon);
        for notice in notices {
            if self.course.borrow_mut().take(*notice, runtime::now()) {
                watch.moves(daemon, notice.kind.name());
            }
        }
    }
}

fn random() -> [u8; 16] {
    let random = sys::random().unwrap_or_default();
    random.first_chunk().copied().unwrap_or_default()
}

/// Where cameras have their device service: most, Reolink, several, Xiongmai, Tapo.
const PORTS: [u16; 5] = [80, 8000, 8080, 8899, 2020];
