//! The supervisor: runs the daemon, and runs it again where it died.
//!
//! `smolnvr supervise PROGRAM run ARGUMENT…`, called by the init script alone, through a link that is
//! named `smolnvrd`: by that name it is found. PROGRAM is asked for each time, so that a new version
//! takes over. The same binary as the daemon's, so that nearly all of its memory is the daemon's too.

use super::{Arguments, refuse, wrong_usage};
use crate::{
    daemon::{self, Lock},
    limits::RESTART_DELAY,
    logger,
};
use log::LevelFilter;
use std::{
    env,
    ffi::OsString,
    fs, io,
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

/// Supervises where `arguments` begin with `supervise`; `None` where they begin with anything else.
/// Ends with the daemon where that ended by itself (0), can not run at all (2), or another runs already.
pub(super) fn supervise(arguments: &[OsString]) -> Option<ExitCode> {
    let [command, program, rest @ ..] = arguments else { return None };
    if command != "supervise" {
        return None;
    }
    let socket = match Arguments::parse(rest.iter().cloned()) {
        Ok(arguments) => arguments.socket.unwrap_or_else(daemon::runtime_path),
        Err(wrong) => return Some(refuse(&wrong)),
    };
    logger::start(LevelFilter::Info);
    // Where memory runs out, the kernel chooses another process; the daemon inherits it. Without the
    // right to, or without procfs, it is as likely as any.
    let _ = fs::write("/proc/self/oom_score_adj", "-500");
    // No folder is kept busy. There is no root that it could not change to.
    let _ = env::set_current_dir("/");
    Some(keep_running(Command::new(program).args(rest), &socket))
}

fn keep_running(daemon: &mut Command, socket: &Path) -> ExitCode {
    loop {
        match daemon.status() {
            Ok(status) => match status.code() {
                Some(0) => return ExitCode::SUCCESS,
                Some(2) => return wrong_usage(),
                Some(_) if another_runs(socket) => return ExitCode::FAILURE,
                _ => log::error!("ended with {status}, is started again"),
            },
            Err(error) => log::error!("{}: {error}", daemon.get_program().display()),
        }
        pause(RESTART_DELAY);
        // A firmware upgrade wants the card for itself.
        while Path::new(daemon::SYSUPGRADE_LOCK).exists() {
            pause(Duration::from_secs(1));
        }
    }
}

fn another_runs(socket: &Path) -> bool {
    Lock::share(socket).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[expect(clippy::disallowed_methods, reason = "the pace of its tries; a signal ends it at once")]
fn pause(span: Duration) {
    thread::sleep(span);
}
