//! The web server: the page, its API, recordings and live video, on picoserve.
//!
//! ```text
//! web.rs          state shared by all connections
//! ├─ slots        the limit of connections, and which one is closed first
//! ├─ listener     a port that follows the configuration
//! ├─ access       permissions
//! ├─ link         a connection; the gate that reads heads
//! ├─ socket       picoserve's traits on smol
//! ├─ service      a connection's requests: admitted, read, answered
//! ├─ routes       the table: method and path → answer
//! ├─ session      logging in and out, the password
//! ├─ answer       status, header fields, body → bytes, in bounded pieces
//! ├─ api          requests of the page
//! ├─ marks        marks, accepted and listed
//! ├─ times        recorded spans, gaps and days
//! ├─ status       the state of everything, as JSON and for Prometheus
//! ├─ events       server-sent events
//! ├─ playback     recordings, with ranges
//! ├─ keep         keeps, releases and deletes spans
//! ├─ clip         many recordings as one file
//! ├─ hls          many recordings as a playlist
//! ├─ thumbnail    a picture of a recording, in builds with pictures
//! ├─ links        a page of addresses for other programs
//! ├─ viewers      live video
//! ├─ places       the limit of media connections, and which one makes way
//! ├─ live         frames of a ring as endless MP4
//! ├─ packer       frames → fragments
//! ├─ sound        the sound beside them
//! ├─ unread       bounds the pictures that wait for slow viewers
//! ├─ settings     the configuration, shown and changed
//! ├─ find         looks for cameras
//! ├─ probe        tests a camera before it is saved
//! └─ assets       the page itself, in the binary
//! ```
//! Everything here runs on the main thread, and nothing waits for the card there.

pub mod access;
mod answer;
mod api;
mod assets;
mod clip;
mod events;
mod find;
mod hls;
mod keep;
mod link;
mod links;
mod listener;
mod live;
mod marks;
mod packer;
mod places;
mod playback;
mod probe;
mod routes;
mod service;
mod session;
mod settings;
mod slots;
mod socket;
mod sound;
mod status;
#[cfg(feature = "pictures")]
mod thumbnail;
mod times;
mod unread;
mod viewers;

pub(crate) use self::{
    link::{bound, is_hung_up},
    listener::Listener,
    places::{Client, MediaPlace},
};

use self::{
    access::{
        Access,
        password::{self, Password},
        secret,
    },
    link::Link,
    places::Places,
    service::Service,
    slots::Slots,
    socket::{Conn, Smol, SmolTimer},
    unread::Unread,
};
use crate::{
    daemon::{Daemon, Station},
    limits,
    runtime::{self, Async, Count, Signal},
    storage::{catalog::Catalog, reader::ReadThread},
    sys,
};
use picoserve::{Config, Router, Server, Timeouts, time};
use smol::lock::Mutex;
use std::{
    cell::RefCell,
    fs, io,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    rc::Rc,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

/// State shared by all connections.
pub(crate) struct Web {
    pub(crate) daemon: Rc<Daemon>,
    access: RefCell<Access>,
    /// Held while a password is checked.
    checking: Mutex<()>,
    pub(crate) reader: ReadThread,
    /// Tells this daemon's lists of recordings from those of other runs.
    epoch: u32,
    slots: Slots,
    places: Rc<Places>,
    /// Recordings of the clips being sent, which take memory.
    clips: Rc<Places>,
    pub(crate) unread: Unread,
    /// What the kernel may keep for a client that takes a recording.
    send_buffer_bytes: usize,
    /// Held while a picture of a recording is made.
    #[cfg(feature = "pictures")]
    thumbnail: Mutex<()>,
    /// Running tests of a camera: one at most.
    probing: Count,
    /// Running changes of the configuration: one at most.
    configuring: Count,
    /// Long bodies from clients that need no login: one at most.
    much_is_said: Count,
    timeouts: Config,
}

/// Listens on `web.listen` and on the control socket until the daemon ends.
///
/// # Errors
/// The system refused a thread, or the socket cannot be created.
pub(crate) fn start(daemon: &Rc<Daemon>) -> io::Result<Rc<Web>> {
    let access = {
        let password = password::read(&password::path(&daemon.options.config_file));
        if let Password::Unreadable(why) = &password {
            log::error!(
                "web: logging in is impossible: {why}; set a new password with `smolnvr passwd`"
            );
        }
        let web = &daemon.config.borrow().web;
        Access::new(web, &access::host::own_name(), password, assets::PATHS, secret::random)
    };
    let web = Rc::new(Web {
        daemon: Rc::clone(daemon),
        access: RefCell::new(access),
        checking: Mutex::new(()),
        reader: ReadThread::start()?,
        epoch: epoch(),
        slots: Slots::default(),
        places: Places::new(limits::WEB_MEDIA_MAX),
        clips: Places::new(limits::CLIPS_SEGMENTS_MAX),
        unread: Unread::new(
            memory_part(limits::LIVE_UNREAD_MEMORY_PART).max(limits::LIVE_UNREAD_BYTES_MIN),
        ),
        send_buffer_bytes: memory_part(limits::WEB_RECORDING_SEND_BUFFER_MEMORY_PART).clamp(
            limits::WEB_RECORDING_SEND_BUFFER_BYTES_MIN,
            limits::WEB_RECORDING_SEND_BUFFER_BYTES_MAX,
        ),
        #[cfg(feature = "pictures")]
        thumbnail: Mutex::new(()),
        probing: Count::default(),
        configuring: Count::default(),
        much_is_said: Count::default(),
        timeouts: timeouts(),
    });
    let control = control_socket(&daemon.options.socket)?;
    runtime::spawn(&daemon.executor, Rc::clone(&web).serve_control(control));
    runtime::spawn(&daemon.executor, Rc::clone(&web).follow_config());
    runtime::spawn(&daemon.executor, Rc::clone(&web).serve_network());
    Ok(web)
}

impl Web {
    async fn serve(self: Rc<Self>, link: Rc<Link>) {
        let mut buffer = vec![0; limits::HTTP_HEAD_BYTES_MAX];
        let router =
            Router::from_service(Service { web: Rc::clone(&self), link: Rc::clone(&link) });
        let conn = Conn::new(Rc::clone(&link));
        let server =
            Server::<Smol, _, _, _>::custom(&router, SmolTimer, &self.timeouts, &mut buffer);
        // Whatever went wrong, the client has been told as far as possible.
        let _ = server.serve(conn).await;
    }

    pub(crate) fn station(&self, name: &str) -> Option<Rc<Station>> {
        let stations = self.daemon.stations.borrow();
        stations.iter().find(|station| station.camera.name == name).cloned()
    }

    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // If the card thread panicked, the list is as good as before.
        self.daemon.desk.storage.catalog().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `job` to completion even if the client disconnects.
    async fn to_its_end<T: 'static>(&self, job: impl Future<Output = T> + 'static) -> T {
        let (done, outcome) = (Signal::default(), Rc::new(RefCell::new(None)));
        let (ended, kept) = (done.clone(), Rc::clone(&outcome));
        runtime::spawn(&self.daemon.executor, async move {
            let value = job.await;
            kept.replace(Some(value));
            ended.notify();
        });
        done.until_some(|| outcome.take()).await
    }
}

fn epoch() -> u32 {
    let [a, b, c, d, ..] = sys::random().unwrap_or_default();
    u32::from_be_bytes([a, b, c, d])
}

/// Creates the control socket, accessible only by its owner from the start.
fn control_socket(path: &Path) -> io::Result<Async<UnixListener>> {
    let new = path.with_extension("sock.new");
    for old in [&new, path] {
        match fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, path)?;
    Async::new(listener)
}

/// One part in `parts` of the free memory.
fn memory_part(parts: u64) -> usize {
    usize::try_from(sys::memory_available() / parts).unwrap_or(usize::MAX)
}

fn timeouts() -> Config {
    let millis = |span: Duration| {
        time::Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    };
    Config::new(Timeouts {
        start_read_request: millis(limits::WEB_FIRST_REQUEST_TIMEOUT),
        persistent_start_read_request: millis(limits::WEB_IDLE_TIMEOUT),
        read_request: millis(limits::WEB_REQUEST_TIMEOUT),
        write: millis(limits::WEB_WRITE_TIMEOUT),
    })
    .keep_connection_alive()
}
