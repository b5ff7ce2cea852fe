//! The smaller stream of a camera, for viewers: fetched from the moment when the first one comes until
//! a while after the last one left.
//!
//! Knows nothing of: recorders, what viewers do with the frames.

use crate::{
    camera::{Camera, Error, Observer},
    http::url::Target,
    limits,
    media::Intake,
    rtsp::LowerTransport,
    runtime::{self, Signal},
};
use smol::future;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// *Cost*: a ring of [`limits::LIVE_RING_BYTES`] while there are viewers, nothing else.
pub struct Live {
    name: String,
    target: Target,
    transport: LowerTransport,
    seed: Cell<u64>,
    /// While there are viewers, and a while longer.
    camera: RefCell<Option<Rc<Camera>>>,
    wanted: Signal,
    stopped: Cell<bool>,
}

impl Live {
    /// `name`: the camera's; `seed`: for nonces, different at every start.
    pub fn new(name: &str, target: Target, transport: LowerTransport, seed: u64) -> Live {
        Live {
            // No camera's name has a dot: log lines tell them apart.
            name: [name, ".live"].concat(),
            target,
            transport,
            seed: Cell::new(seed),
            camera: RefCell::new(None),
            wanted: Signal::default(),
            stopped: Cell::new(false),
        }
    }

    /// The camera to read from; it is started where it does not run.
    pub fn camera(&self) -> Rc<Camera> {
        let mut camera = self.camera.borrow_mut();
        let camera = camera.get_or_insert_with(|| {
            // Far from those of the connections that it will count from here.
            self.seed.set(self.seed.get().wrapping_add(1 << 32));
            let (name, target) = (self.name.clone(), self.target.clone());
            let camera =
                Camera::new(name, target, Intake::new(limits::LIVE_RING_BYTES), self.seed.get());
            Rc::new(camera.over(self.transport))
        });
        self.wanted.notify();
        Rc::clone(camera)
    }

    pub fn viewers(&self) -> usize {
        self.camera.borrow().as_ref().map_or(0, |camera| camera.viewers())
    }

    /// Runs the camera whenever it is wanted, until [`Live::stop`]. To be run once.
    pub async fn run(&self) {
        loop {
            let wanted = self.wanted.changed();
            if self.stopped.get() {
                return;
            }
            let camera = self.camera.borrow().clone();
            let Some(camera) = camera else {
                wanted.await;
                continue;
            };
            // On the heap, and only while there are viewers.
            Box::pin(future::zip(camera.run(&Nobody), self.end(&camera))).await;
        }
    }

    /// Ends [`Live::run`]; viewers see the camera off.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.wanted.notify();
    }

    /// Ends `camera` when nobody has looked for a while.
    async fn end(&self, camera: &Camera) {
        loop {
            let change = future::or(camera.watched_or_not(), self.wanted.changed());
            let is_over = match camera.viewers() {
                _ if self.stopped.get() => true,
                0 => runtime::timeout(limits::LIVE_IDLE_TIMEOUT, change).await.is_none(),
                _ => {
                    change.await;
                    false
                }
            };
            if is_over {
                // From here on without a pause: who comes now gets another one.
                self.camera.replace(None);
                return camera.stop();
            }
        }
    }
}

/// Viewers read the ring when they are told that it changed.
struct Nobody;

impl Observer for Nobody {
    fn frames(&self) -> Result<(), Error> {
        Ok(())
    }

    fn state_changed(&self) {}

    fn run_ended(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use camera::{Clip, SessionState};
    use smol::LocalExecutor;
    use std::{rc::Weak, time::Duration};

    /// Runs `test` beside the smaller stream of a test camera.
    fn run(test: impl AsyncFnOnce(&Live, &camera::Camera)) {
        let server = camera::Camera::builder().stream("small", Clip::built_in()).start().unwrap();
        let live = Rc::new(Live::new(
            "yard",
            server.url("small").parse().unwrap(),
            LowerTransport::Tcp,
            1,
        ));
        let executor = LocalExecutor::new();
        let running = Rc::clone(&live);
        let running = executor.spawn(async move { running.run().await });
        runtime::block_on(&executor, async {
            test(&live, &server).await;
            live.stop();
            running.await;
        });
    }

    async fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            runtime::sleep(Duration::from_millis(10)).await;
        }
    }

    fn look(live: &Live) -> Rc<Camera> {
        let camera = live.camera();
        camera.viewer_came();
        camera
    }

    async fn frame(camera: &Camera) {
        until(|| camera.intake.borrow().ring.numbers().end > 0).await;
    }

    #[test]
    fn the_first_viewer_starts_the_stream_and_a_while_after_the_last_it_and_its_ring_are_gone() {
        run(async |live, server| {
            runtime::sleep(Duration::from_millis(100)).await;
            assert!(server.sessions().is_empty(), "nobody looks");
            let (first, second) = (look(live), look(live));
            assert!(Rc::ptr_eq(&first, &second));
            assert_eq!(live.viewers(), 2);
            frame(&first).await;
            assert_eq!(server.sessions().len(), 1);
            let ring: Weak<Camera> = Rc::downgrade(&first);
            first.viewer_left();
            second.viewer_left();
            let left = runtime::now();
            drop((first, second));
            until(|| server.sessions()[0].state == SessionState::TornDown).await;
            assert!(left.elapsed() + Duration::from_millis(50) > limits::LIVE_IDLE_TIMEOUT);
            until(|| ring.upgrade().is_none()).await;
            // And for who comes later it is there again.
            frame(&look(live)).await;
            assert_eq!(server.sessions().len(), 2);
        });
    }

    #[test]
    fn who_comes_soon_after_the_last_viewer_finds_the_stream_running() {
        run(async |live, server| {
            let first = look(live);
            frame(&first).await;
            first.viewer_left();
            runtime::sleep(Duration::from_millis(300)).await;
            let second = look(live);
            assert!(Rc::ptr_eq(&first, &second));
            runtime::sleep(limits::LIVE_IDLE_TIMEOUT).await;
            assert_eq!(server.sessions().len(), 1);
            assert_eq!(server.sessions()[0].state, SessionState::Playing);
        });
    }

    #[test]
    fn a_stop_ends_the_stream_whoever_looks() {
        run(async |live, server| {
            let camera = look(live);
            frame(&camera).await;
            live.stop();
            until(|| server.sessions()[0].state == SessionState::TornDown).await;
            assert_eq!(camera.state(), crate::camera::State::Off);
        });
    }
}
