use super::{driver::Backoff, *};
use crate::rtsp;
use camera::{Auth, Clip, Faults, Options, Scheme, SessionState, Speed};
use smol::{LocalExecutor, future};
use std::{
    cell::Cell,
    io::{self, Read as _, Write as _},
    net::TcpListener,
    thread,
};

/// Counts events, and stops the camera after so many batches with frames, or runs.
struct Watcher<'a> {
    camera: &'a Camera,
    gulps: Cell<u32>,
    gulps_max: u32,
    runs: Cell<u32>,
    runs_max: u32,
}

impl Observer for Watcher<'_> {
    fn frames(&self) -> ControlFlow<Duration> {
        self.gulps.set(self.gulps.get() + 1);
        if self.gulps.get() == self.gulps_max {
            self.camera.stop();
        }
        ControlFlow::Continue(())
    }

    fn state_changed(&self) {}

    fn run_ended(&self) {
        self.runs.set(self.runs.get() + 1);
        if self.runs.get() == self.runs_max {
            self.camera.stop();
        }
    }
}

fn camera(url: &str) -> Camera {
    Camera::new("camera".into(), url.parse().unwrap(), Intake::new(4 << 20), 7)
}

fn watcher(camera: &Camera, gulps_max: u32, runs_max: u32) -> Watcher<'_> {
    Watcher { camera, gulps: Cell::new(0), gulps_max, runs: Cell::new(0), runs_max }
}

fn plain() -> Clip {
    Clip::committed("plain.h264").unwrap()
}

fn refused() -> Error {
    Error::Session(rtsp::Error::Unauthorized { user: None })
}

#[test]
fn a_stop_ends_the_run_with_a_teardown() {
    let server = camera::Camera::builder().stream("cam", plain()).start().unwrap();
    let camera = camera(&server.url("cam"));
    let watcher = watcher(&camera, 3, 9);
    runtime::block_on(&LocalExecutor::new(), camera.run(&watcher));
    assert_eq!((camera.state(), watcher.runs.get()), (State::Off, 1));
    assert!(server.wait(Duration::from_secs(5), |sessions| {
        sessions.iter().all(|session| session.state == SessionState::TornDown)
    }));
}

#[test]
fn a_stop_while_connecting_ends_at_once() {
    // Accepts the connection and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let camera = camera(&format!("rtsp://{}/", listener.local_addr().unwrap()));
    let watcher = watcher(&camera, 0, 0);
    let begun = runtime::now();
    runtime::block_on(
        &LocalExecutor::new(),
        future::zip(camera.run(&watcher), async {
            runtime::sleep(Duration::from_millis(50)).await;
            camera.stop();
        }),
    );
    // Otherwise it would wait for the answer first.
    assert!(begun.elapsed() < limits::REPLY_TIMEOUT / 2, "{:?}", begun.elapsed());
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let faults = Faults { drop_after: Some(20), ..Faults::default() };
    let options = Options { speed: Speed::Times(10.0), faults, ..Options::default() };
    let server = camera::Camera::builder().stream_with("cam", plain(), options).start().unwrap();
    let camera = camera(&server.url("cam"));
    let watcher = watcher(&camera, 0, 2);
    runtime::block_on(&LocalExecutor::new(), camera.run(&watcher));
    assert!(watcher.gulps.get() >= 2, "both runs had frames");
    let numbers = camera.intake.borrow().ring.numbers();
    assert_eq!(numbers.end, 40, "each run's 20 frames are in the ring");
}

/// Ends the first run at its first frames, and stops the camera at those of the second.
struct Watchdog<'a> {
    camera: &'a Camera,
    runs: Cell<u32>,
}

impl Observer for Watchdog<'_> {
    fn frames(&self) -> ControlFlow<Duration> {
        if self.runs.get() == 0 {
            return ControlFlow::Break(limits::DURABLE_TIMEOUT);
        }
        self.camera.stop();
        ControlFlow::Continue(())
    }

    fn state_changed(&self) {}

    fn run_ended(&self) {
        self.runs.set(self.runs.get() + 1);
    }
}

#[test]
fn a_run_of_which_nothing_becomes_durable_is_ended_and_begun_anew() {
    let server = camera::Camera::builder().stream("cam", plain()).start().unwrap();
    let camera = camera(&server.url("cam"));
    let watchdog = Watchdog { camera: &camera, runs: Cell::new(0) };
    runtime::block_on(&LocalExecutor::new(), camera.run(&watchdog));
    assert_eq!((watchdog.runs.get(), server.sessions().len()), (2, 2));
    assert_eq!(camera.last_error(), None, "the second one lives");
}

#[test]
fn a_wrong_password_is_tried_ever_more_rarely() {
    let server = camera::Camera::builder()
        .auth(Auth::new(Scheme::Digest, "admin", "right"))
        .stream("cam", plain())
        .start()
        .unwrap();
    let url = server.url("cam").replace("rtsp://", "rtsp://admin:wrong@");
    let camera = camera(&url);
    let watcher = watcher(&camera, 0, 0);
    let mut driver = Driver::new(&camera, &watcher);
    let received = driver.receive();
    let error = runtime::block_on(&LocalExecutor::new(), received).unwrap_err();
    assert!(error.is_about_credentials(), "{error}");
    let mut backoff = Backoff::new();
    let waits: Vec<_> =
        (0..7).map(|_| backoff.after(&error, State::Connecting).as_secs()).collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn a_camera_that_is_off_in_between_does_not_shorten_the_wait_after_a_401() {
    let mut backoff = Backoff::new();
    let off = Error::Broken(io::ErrorKind::ConnectionReset.into());
    backoff.after(&refused(), State::Connecting);
    assert_eq!(backoff.after(&off, State::Connecting), limits::RETRY_INTERVAL);
    assert_eq!(backoff.after(&refused(), State::Connecting), limits::RETRY_INTERVAL * 4);
    // Only a stream does.
    assert_eq!(backoff.after(&off, State::Live), limits::RETRY_INTERVAL);
    assert_eq!(backoff.after(&refused(), State::Connecting), limits::RETRY_INTERVAL * 2);
}

#[test]
fn a_host_that_is_no_camera_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let camera = camera(&format!("rtsp://{}/", listener.local_addr().unwrap()));
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1000]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let watcher = watcher(&camera, 0, 0);
    let mut driver = Driver::new(&camera, &watcher);
    let received = driver.receive();
    let error = runtime::block_on(&LocalExecutor::new(), received).unwrap_err();
    assert!(matches!(error, Error::Session(_)), "{error}");
    server.join().unwrap();
}

#[test]
fn the_first_viewer_does_not_wait_for_a_gulp() {
    let camera = camera("rtsp://127.0.0.1/");
    let executor = LocalExecutor::new();
    runtime::block_on(&executor, async {
        let gulp = || camera.or_watched(future::pending());
        let (step, first) = future::zip(gulp(), async { camera.watch() }).await;
        assert_eq!(step.unwrap(), Activity::Idle);
        // From now on it waits for packets instead of reading in batches.
        let limited = runtime::timeout(Duration::from_millis(20), gulp());
        let (waited, second) = future::zip(limited, async { camera.watch() }).await;
        assert!(waited.is_none());
        drop((first, second));
        assert_eq!(camera.viewers(), 0);
        let (step, _third) = future::zip(gulp(), async { camera.watch() }).await;
        assert_eq!(step.unwrap(), Activity::Idle);
    });
}

/// Uniview does not answer (ireader/media-server#163).
#[test]
fn a_camera_that_fails_at_setup_of_its_metadata_is_streamed_without_them() {
    for setup in [camera::Setup::Close, camera::Setup::Ignore] {
        let metadata = camera::Metadata { setup, ..Default::default() };
        let options = Options { metadata: Some(metadata), ..Options::default() };
        let server = camera::Camera::builder().options(options).stream("cam", plain());
        let server = server.start().unwrap();
        let camera = camera(&server.url("cam")).with(Metadata::IfOffered);
        let watcher = watcher(&camera, 1, 9);
        runtime::block_on(&LocalExecutor::new(), camera.run(&watcher));
        let (gulps, runs) = (watcher.gulps.get(), watcher.runs.get());
        assert_eq!((gulps, runs), (1, 2), "{setup:?}: the second one succeeds");
    }
}
