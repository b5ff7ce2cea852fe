//! The init script and the supervisor, as BusyBox runs them on a board.

use crate::support::{
    assert_all_whole,
    busybox::{applets, copy, said},
    config, let_pass, wait_for, wait_for_within,
};
use camera::{Camera, Clip};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tempfile::TempDir;

/// The contract: a daemon that died runs again within this time.
const AGAIN: Duration = Duration::from_secs(3);
/// The supervisor waits 2 s before it starts another; after this it would have.
const SETTLED: Duration = Duration::from_secs(4);

/// A board's file system as far as these scripts see it.
struct Board {
    directory: TempDir,
    /// Supervisors go by their name: each test has its own.
    supervisor: String,
}

impl Board {
    fn new(config: &str) -> Board {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::tempdir().unwrap();
        let board = Board { supervisor: format!("n{}-{number}d", process::id()), directory };
        applets(&board.path("bin"));
        copy("overlay/etc/init.d/S97smolnvr", &board.path("S97smolnvr"));
        fs::write(
            board.path("default"),
            format!(
                "BINARY={}\nSUPERVISOR={}\nCONFIG={}\nSOCKET={}\n",
                env!("CARGO_BIN_EXE_smolnvr"),
                board.path(&board.supervisor).display(),
                board.path("smolnvr.toml").display(),
                board.path("smolnvr.sock").display(),
            ),
        )
        .unwrap();
        fs::create_dir(board.path("recordings")).unwrap();
        fs::write(board.path("smolnvr.toml"), config).unwrap();
        board
    }

    fn without_camera() -> Board {
        let board = Board::new("");
        let config = config(board.directory.path(), "", &[]);
        fs::write(board.path("smolnvr.toml"), config).unwrap();
        board
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the init script; what it said, and its exit status.
    fn service(&self, arguments: &[&str]) -> (String, i32) {
        let output = Command::new("busybox")
            .arg("sh")
            .arg(self.path("S97smolnvr"))
            .args(arguments)
            .env("PATH", self.path("bin"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (said(&output), output.status.code().unwrap())
    }

    fn assert_service(&self, arguments: &[&str], expected: &str) {
        assert_eq!(self.service(arguments), (format!("{expected}\n"), 0), "{arguments:?}");
    }

    fn start(&self) {
        self.assert_service(&["start"], "Starting smolnvr: OK");
    }

    /// Process ids of what runs with an argument or name that ends so.
    fn processes(&self, name: &Path) -> Vec<u32> {
        let name = name.to_str().unwrap().as_bytes();
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_it = |&id: &u32| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0).any(|word| word == name)
        };
        numbers.filter(is_it).collect()
    }

    /// A child of one has its arguments until it runs another program.
    fn supervisors(&self) -> Vec<u32> {
        let all = self.processes(&self.path(&self.supervisor));
        let parent = |id: &u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
            line.trim().parse().ok()
        };
        let is_child = |id: &u32| parent(id).is_some_and(|parent| all.contains(&parent));
        all.iter().copied().filter(|id| !is_child(id)).collect()
    }

    /// The supervisor is of the same binary, and called by another name; so is a child of its for a
    /// moment.
    fn daemons(&self) -> Vec<u32> {
        let mut all = self.processes(&self.path("smolnvr.toml"));
        let binary = env!("CARGO_BIN_EXE_smolnvr").as_bytes();
        all.retain(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0).next() == Some(binary)
        });
        all
    }

    fn assert_one(&self) -> u32 {
        assert_eq!(self.supervisors().len(), 1);
        let [daemon] = self.daemons()[..] else { panic!("{:?}", self.daemons()) };
        daemon
    }

    fn assert_none(&self) {
        assert_eq!((self.supervisors(), self.daemons()), (vec![], vec![]));
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        for id in self.supervisors().into_iter().chain(self.daemons()) {
            kill(id, "KILL");
        }
    }
}

fn kill(id: u32, signal: &str) {
    let _ = Command::new("kill").args(["-s", signal, &id.to_string()]).status();
}

#[test]
fn it_starts_once_and_stops_once() {
    let board = Board::without_camera();
    assert_eq!(board.service(&["status"]), ("smolnvr does not run\n".into(), 3));
    board.start();
    let first = board.assert_one();
    board.assert_service(&["start"], "Starting smolnvr: OK (runs already)");
    assert_eq!(board.assert_one(), first);
    board.assert_service(&["status"], "smolnvr runs");
    board.assert_service(&["reload"], "Reloading smolnvr: OK");
    board.assert_service(&["restart"], "Stopping smolnvr: OK\nStarting smolnvr: OK");
    assert_ne!(board.assert_one(), first);
    board.assert_service(&["stop"], "Stopping smolnvr: OK");
    board.assert_none();
    board.assert_service(&["stop"], "Stopping smolnvr: OK");
    assert_eq!(board.service(&["reload"]), ("Reloading smolnvr: FAIL\n".into(), 1));
}

#[test]
fn started_daemon_keeps_nothing_of_its_caller() {
    let board = Board::without_camera();
    board.start();
    let mut all = board.supervisors();
    all.push(board.assert_one());
    for id in all {
        let directory = fs::read_link(format!("/proc/{id}/cwd")).unwrap();
        assert_eq!(directory, Path::new("/"));
        for descriptor in 0..3 {
            let open = fs::read_link(format!("/proc/{id}/fd/{descriptor}")).unwrap();
            assert_eq!(open, Path::new("/dev/null"), "{descriptor} of {id}");
        }
    }
}

#[test]
fn daemon_that_was_killed_runs_again_within_3_s() {
    let board = Board::without_camera();
    board.start();
    for _ in 0..2 {
        let daemon = board.assert_one();
        kill(daemon, "KILL");
        wait_for_within(AGAIN, "another daemon", || board.daemons().iter().any(|&id| id != daemon));
    }
    board.assert_one();
    // Between the death and the next start too, `stop` is the end.
    kill(board.assert_one(), "KILL");
    board.assert_service(&["stop"], "Stopping smolnvr: OK");
    let_pass(SETTLED);
    board.assert_none();
}

#[test]
fn killall_with_hup_reaches_the_supervisor_and_does_it_no_harm() {
    let board = Board::without_camera();
    board.start();
    let (supervisor, daemon) = (board.supervisors(), board.assert_one());
    supervisor.iter().chain([&daemon]).for_each(|&id| kill(id, "HUP"));
    kill(daemon, "KILL");
    wait_for_within(AGAIN, "another daemon", || board.daemons().iter().any(|&id| id != daemon));
    assert_eq!(board.supervisors(), supervisor);
}

#[test]
fn daemon_that_ended_by_itself_is_left_alone() {
    let board = Board::without_camera();
    board.start();
    let socket = board.path("smolnvr.sock");
    let (status, _, complaint) =
        crate::support::smolnvr(&["shutdown", "--socket", socket.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{complaint}");
    wait_for("the supervisor's end", || board.supervisors().is_empty());
    let_pass(SETTLED);
    board.assert_none();
    assert_eq!(board.service(&["status"]).1, 3);
}

#[test]
fn wrong_configuration_is_named_and_not_tried_again() {
    let board = Board::new("[storage]\npaht = \"/mnt\"\n");
    let (said, status) = board.service(&["start"]);
    assert_eq!(status, 1);
    assert!(said.starts_with("Starting smolnvr: FAIL\n") && said.contains("paht"), "{said}");
    let_pass(SETTLED);
    board.assert_none();
}

#[test]
fn two_starts_at_once_make_one_daemon() {
    let board = Board::without_camera();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| board.service(&["start"]));
        }
    });
    wait_for("one supervisor", || board.supervisors().len() == 1);
    let_pass(SETTLED);
    board.assert_one();
}

#[test]
fn daemon_of_another_is_neither_doubled_nor_left_when_stopped() {
    let board = Board::without_camera();
    let mut other = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .args(["run", "-c", board.path("smolnvr.toml").to_str().unwrap()])
        .args(["--socket", board.path("smolnvr.sock").to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("its lock", || board.service(&["status"]).1 == 0);
    board.assert_service(&["start"], "Starting smolnvr: OK (runs already)");
    assert_eq!((board.supervisors(), board.daemons()), (vec![], vec![other.id()]));
    // A supervisor that finds the lock taken goes.
    let mut late = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .args(["supervise", env!("CARGO_BIN_EXE_smolnvr"), "run"])
        .args(["-c", board.path("smolnvr.toml").to_str().unwrap()])
        .args(["--socket", board.path("smolnvr.sock").to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(late.wait().unwrap().code(), Some(1));
    let waiter = std::thread::spawn(move || other.wait().unwrap());
    board.assert_service(&["stop"], "Stopping smolnvr: OK");
    assert!(waiter.join().unwrap().success());
}

#[test]
fn files_are_closed_when_stop_returns() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let board = Board::new("");
    let text = config(board.directory.path(), "", &[("camera", &camera.url("cam"))]);
    fs::write(board.path("smolnvr.toml"), text).unwrap();
    board.start();
    let recordings = board.path("recordings");
    wait_for("a recording", || {
        crate::support::frames_in(&crate::support::recordings_in(&recordings)) > 0
    });
    board.assert_service(&["stop"], "Stopping smolnvr: OK");
    assert_all_whole(&recordings);
}

#[test]
fn start_without_recording_records_nothing() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let board = Board::new("");
    let text = config(board.directory.path(), "", &[("camera", &camera.url("cam"))]);
    fs::write(board.path("smolnvr.toml"), text).unwrap();
    board.assert_service(&["start", "--no-record"], "Starting smolnvr: OK");
    let socket = board.path("smolnvr.sock");
    let arguments = ["status", "--json", "--socket", socket.to_str().unwrap()];
    wait_for("the camera", || crate::support::smolnvr(&arguments).1.contains("\"live\""));
    let recordings = board.path("recordings");
    assert!(crate::support::recordings_in(&recordings).is_empty());
    let arguments = ["record", "start", "--socket", socket.to_str().unwrap()];
    assert_eq!(crate::support::smolnvr(&arguments).0, Some(0));
    wait_for("a recording", || !crate::support::recordings_in(&recordings).is_empty());
}
