//! `smolnvr run`: the daemon, in the foreground.

use super::{Arguments, Usage, complain};
use crate::{
    archive,
    daemon::{self, Daemon, DaemonOptions, InitialRecording, Lock},
    logger, relay, web,
};
use std::{io, process::ExitCode, rc::Rc};

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    arguments.no_operand()?;
    let config = match arguments.read_config() {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    logger::start(config.log.level.0);
    // Recordings are readable by every user and writable only by their owner, whatever the caller's
    // umask; secret files have modes of their own.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let socket = arguments.socket.clone().unwrap_or_else(daemon::runtime_path);
    let _lock = match Lock::take(&socket) {
        Ok(lock) => lock,
        Err(error) => {
            let lock = Lock::path(&socket);
            let lock = lock.display();
            match error.kind() {
                io::ErrorKind::WouldBlock => complain("another smolnvr is already running"),
                io::ErrorKind::PermissionDenied => {
                    complain(format_args!("{lock}: {error}; use --socket to name another place"));
                }
                _ => complain(format_args!("{lock}: {error}")),
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let options = DaemonOptions {
        config_file: arguments.config_file(),
        recording: arguments.recording.unwrap_or(InitialRecording::AsConfigured),
        socket,
    };
    let serve = |daemon: &Rc<Daemon>| {
        let web = web::start(daemon)?;
        archive::start(Rc::clone(&web));
        relay::start(web);
        Ok(())
    };
    Ok(match daemon::run(options, config, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    })
}
