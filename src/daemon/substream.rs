//! A camera's smaller stream for viewers, fetched from when the first viewer arrives until shortly
//! after the last one left.
//!
//! Knows nothing of: recorders.

use crate::{
    camera::{Camera, Observer},
    http::url::Target,
    limits,
    media::Intake,
    rtsp::LowerTransport,
    runtime::{self, Flag, Signal},
};
use smol::future;
use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
    rc::Rc,
    time::Duration,
};

/// The smaller stream of a camera.
///
/// *Cost*: a ring of [`limits::LIVE_RING_BYTES`] while there are viewers, otherwise nothing.
pub struct SubStream {
    name: String,
    target: Target,
    transport: LowerTransport,
    audio: bool,
    seed: Cell<u64>,
    /// Present while there are viewers, and shortly after.
    camera: RefCell<Option<Rc<Camera>>>,
    wanted: Signal,
    stop: Flag,
}

impl SubStream {
    /// `name` is the camera's; `seed` is for nonces and must differ at every start.
    pub fn new(
        name: &str,
        target: Target,
        transport: LowerTransport,
        audio: bool,
        seed: u64,
    ) -> SubStream {
        SubStream {
            // A camera's name has no dot, so this one is unique in the log.
            name: [name, ".live"].concat(),
            target,
            transport,
            audio,
            seed: Cell::new(seed),
            camera: RefCell::new(None),
            wanted: Signal::default(),
            stop: Flag::default(),
        }
    }

    /// Returns the camera to read from, and starts it if it is not running.
    pub fn camera(&self) -> Rc<Camera> {
        let mut camera = self.camera.borrow_mut();
        let camera = camera.get_or_insert_with(|| {
            // Far from the seeds that this camera counts up from here.
            self.seed.set(self.seed.get().wrapping_add(1 << 32));
            let (name, target) = (self.name.clone(), self.target.clone());
            let ring = if self.audio { Intake::with_audio } else { Intake::new };
            let camera = Camera::new(name, target, ring(limits::LIVE_RING_BYTES), self.seed.get());
            Rc::new(camera.over(self.transport))
        });
        self.wanted.notify();
        Rc::clone(camera)
    }

    pub fn viewers(&self) -> usize {
        self.camera.borrow().as_ref().map_or(0, |camera| camera.viewers())
    }

    /// Runs the camera whenever it is wanted, until [`SubStream::stop`]. To be called once.
    pub async fn run(&self) {
        loop {
            let camera = self.wanted.until_some(|| self.camera.borrow().clone());
            let Some(camera) = self.stop.or_raised(camera).await else { return };
            // On the heap, so that it takes memory only while there are viewers.
            Box::pin(future::zip(camera.run(&Nobody), self.end(&camera))).await;
        }
    }

    /// Ends [`SubStream::run`]; to viewers the camera is off.
    pub fn stop(&self) {
        self.stop.raise();
    }

    /// Stops `camera` when it has had no viewers for a while.
    async fn end(&self, camera: &Camera) {
        loop {
            let change = future::or(camera.viewers_changed(), self.wanted.changed());
            let is_over = async {
                if camera.viewers() > 0 {
                    change.await;
                    return false;
                }
                runtime::timeout(limits::LIVE_IDLE_TIMEOUT, change).await.is_none()
            };
            if self.stop.or_raised(is_over).await.unwrap_or(true) {
                // No await from here on: a viewer that comes now gets a new camera.
                self.camera.replace(None);
                return camera.stop();
            }
        }
    }
}

/// An observer that does nothing: viewers read the ring when it signals a change.
struct Nobody;

impl Observer for Nobody {
    fn frames(&self) -> ControlFlow<Duration> {
        ControlFlow::Continue(())
    }

    fn state_changed(&self) {}

    fn run_ended(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Counted;
    use camera::{Clip, SessionState};
    use smol::LocalExecutor;
    use std::rc::Weak;

    /// Runs `test` beside the smaller stream of a test camera.
    fn run(test: impl AsyncFnOnce(&SubStream, &camera::Camera)) {
        let server = camera::Camera::builder().stream("small", Clip::built_in()).start().unwrap();
        let live = Rc::new(SubStream::new(
            "yard",
            server.url("small").parse().unwrap(),
            LowerTransport::Tcp,
            false,
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

    fn look(live: &SubStream) -> (Rc<Camera>, Counted) {
        let camera = live.camera();
        let viewer = camera.watch();
        (camera, viewer)
    }

    async fn frame(camera: &Camera) {
        until(|| camera.intake.borrow().ring.numbers().end > 0).await;
    }

    #[test]
    fn the_first_viewer_starts_the_stream_and_a_while_after_the_last_it_and_its_ring_are_gone() {
        run(async |live, server| {
            runtime::sleep(Duration::from_millis(100)).await;
            assert!(server.sessions().is_empty(), "nobody looks");
            let ((first, one), (second, other)) = (look(live), look(live));
            assert!(Rc::ptr_eq(&first, &second));
            assert_eq!(live.viewers(), 2);
            frame(&first).await;
            assert_eq!(server.sessions().len(), 1);
            let ring: Weak<Camera> = Rc::downgrade(&first);
            drop((one, other));
            let left = runtime::now();
            drop((first, second));
            until(|| server.sessions()[0].state == SessionState::TornDown).await;
            assert!(left.elapsed() + Duration::from_millis(50) > limits::LIVE_IDLE_TIMEOUT);
            until(|| ring.upgrade().is_none()).await;
            // A later viewer starts it again.
            let (third, _viewer) = look(live);
            frame(&third).await;
            assert_eq!(server.sessions().len(), 2);
        });
    }

    #[test]
    fn a_viewer_soon_after_the_last_one_finds_the_stream_running() {
        run(async |live, server| {
            let (first, viewer) = look(live);
            frame(&first).await;
            drop(viewer);
            runtime::sleep(Duration::from_millis(300)).await;
            let (second, _viewer) = look(live);
            assert!(Rc::ptr_eq(&first, &second));
            runtime::sleep(limits::LIVE_IDLE_TIMEOUT).await;
            assert_eq!(server.sessions().len(), 1);
            assert_eq!(server.sessions()[0].state, SessionState::Playing);
        });
    }

    #[test]
    fn a_stop_ends_the_stream_whoever_looks() {
        run(async |live, server| {
            let (camera, _viewer) = look(live);
            frame(&camera).await;
            live.stop();
            until(|| server.sessions()[0].state == SessionState::TornDown).await;
            assert_eq!(camera.state(), crate::camera::State::Off);
        });
    }
}
