//! The supervisor: runs the daemon, and restarts it after a crash.
//!
//! `smolnvr supervise PROGRAM run ARGUMENT…` is called only by the init script, through a link
//! named `smolnvrd`, by which the process can be found. PROGRAM is looked up each time, so that a
//! new version takes over. The supervisor is the same binary as the daemon, so that nearly all of
//! its memory is shared. What it needs only after a crash, it does only then: the kernel maps 64 KB
//! of the program at a touch, and counts them for each of both.

use super::{Arguments, wrong_usage};
use crate::{
    daemon::{self, Lock},
    limits::RESTART_DELAY,
    logger,
};
use log::LevelFilter;
use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::Path,
    process::{Command, ExitCode},
    sync::Once,
    thread,
    time::Duration,
};

/// Supervises if `arguments` begin with `supervise`; `None` otherwise. Ends with the daemon if that
/// exited normally (0), cannot run at all (2), or if another one is already running.
pub(super) fn supervise(arguments: &[OsString]) -> Option<ExitCode> {
    let [command, program, rest @ ..] = arguments else { return None };
    if command != "supervise" {
        return None;
    }
    // When memory runs out, the kernel should kill another process; the daemon inherits this.
    // Without the privilege, or without procfs, the score stays unchanged.
    let _ = fs::write("/proc/self/oom_score_adj", "-500");
    // Keep no folder busy. Changing to the root cannot fail.
    let _ = env::set_current_dir("/");
    Some(keep_running(Command::new(program).args(rest), rest))
}

fn keep_running(daemon: &mut Command, arguments: &[OsString]) -> ExitCode {
    loop {
        match daemon.status() {
            Ok(status) => match status.code() {
                Some(0) => return ExitCode::SUCCESS,
                Some(2) => return wrong_usage(),
                Some(_) if another_runs(arguments) => return ExitCode::FAILURE,
                _ => complain(format_args!("the daemon ended with {status}: restarting it")),
            },
            Err(error) => complain(format_args!("{}: {error}", daemon.get_program().display())),
        }
        pause(RESTART_DELAY);
        // A firmware upgrade needs the card to itself.
        while Path::new(daemon::SYSUPGRADE_LOCK).exists() {
            pause(Duration::from_secs(1));
        }
    }
}

/// Returns true if the daemon could not start because another one holds its socket.
fn another_runs(arguments: &[OsString]) -> bool {
    // The daemon refuses wrong arguments itself.
    let given = Arguments::parse(arguments.iter().cloned()).ok().and_then(|given| given.socket);
    let socket = given.unwrap_or_else(daemon::runtime_path);
    Lock::share(&socket).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn complain(message: fmt::Arguments<'_>) {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| logger::start(LevelFilter::Info));
    log::error!("{message}");
}

#[expect(clippy::disallowed_methods, reason = "the pause between attempts; signals end it")]
fn pause(span: Duration) {
    thread::sleep(span);
}
