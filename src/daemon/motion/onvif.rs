//! Listens to a camera's own detectors, over ONVIF: in the metadata track of its RTSP session.
//!
//! Spec: ONVIF Streaming §5.2, Core §9.

use super::Watch;
use crate::{
    daemon::Daemon,
    limits,
    onvif::notice::{Course, Notice},
    runtime,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// The detectors of one camera.
///
/// *Cost*: a document of the track, as it arrives.
#[derive(Default)]
pub(super) struct Onvif {
    course: RefCell<Course>,
    /// The metadata track of this session told something.
    is_track_heard: Cell<bool>,
}

impl Onvif {
    pub async fn watch(&self, watch: &Watch, daemon: &Rc<Daemon>) {
        loop {
            runtime::sleep(limits::NOTICE_INTERVAL).await;
            if self.is_track_heard.get() {
                watch.watches(daemon);
            } else {
                self.course.borrow_mut().clear();
                watch.is_blind(daemon, &NO_TRACK);
            }
            let mut course = self.course.borrow_mut();
            course.going_on(runtime::now(), &mut |kind| watch.moves(daemon, kind.name()));
        }
    }

    /// Takes what the metadata track said.
    pub fn hear_track(&self, notices: &[Notice], watch: &Watch, daemon: &Rc<Daemon>) {
        self.is_track_heard.set(true);
        self.hear(notices, watch, daemon);
    }

    pub fn track_ended(&self) {
        self.is_track_heard.set(false);
    }

    fn hear(&self, notices: &[Notice], watch: &Watch, daemon: &Rc<Daemon>) {
        watch.watches(daemon);
        for notice in notices {
            if self.course.borrow_mut().take(*notice, runtime::now()) {
                watch.moves(daemon, notice.kind.name());
            }
        }
    }
}

const NO_TRACK: &str = "the camera's detectors say nothing in its RTSP session";
