//! The launcher: what a new process does before it becomes the program it was started for.
//!
//! Arguments in, no return: `smolnvr launch PARENT MEMORY NICENESS USER PROGRAM ARGUMENTS…`,
//! written and read only here. std leaves the signal mask empty and SIGPIPE at its default.

use super::{ChildLog, ExitStatus};
use rustix::{
    io::Errno,
    process::{
        Gid, Resource, Rlimit, Signal, Uid, geteuid, getppid, nice,
        set_parent_process_death_signal, setrlimit,
    },
    thread::{
        CapabilitiesSecureBits, set_capabilities_secure_bits, set_no_new_privs, set_thread_gid,
        set_thread_groups, set_thread_uid,
    },
};
use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    process::{Command, ExitCode},
};

/// The limits of a child.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// Private memory; 0: no limit.
    pub memory_bytes: u64,
    pub niceness: u8,
    pub user: User,
}

/// The user a child runs as if we are root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum User {
    /// Our user, without root's capabilities. For programs that write to the card: all files on a
    /// FAT file system belong to the user that mounted it.
    #[default]
    Same,
    /// An unprivileged user, for programs that decode camera data and need nothing but pipes and
    /// sockets.
    Nobody,
}

impl Bounds {
    /// Returns the launcher's own arguments; the program and its arguments follow.
    pub fn arguments(&self) -> [String; 5] {
        let parent = std::process::id().to_string();
        let user = if self.user == User::Nobody { NOBODY } else { 0 }.to_string();
        [COMMAND.into(), parent, self.memory_bytes.to_string(), self.niceness.to_string(), user]
    }
}

/// Becomes the program named in `arguments` if they begin with `launch`, and returns only if that
/// fails; returns `None` if they begin with anything else.
pub fn launch(arguments: &[OsString]) -> Option<ExitCode> {
    let [command, parent, memory, niceness, user, program, rest @ ..] = arguments else {
        return None;
    };
    if command != COMMAND {
        return None;
    }
    let number = |text: &OsString| text.to_str()?.parse::<u64>().ok();
    let (parent, memory, niceness) = (number(parent)?, number(memory)?, number(niceness)?);
    let user = if number(user)? == 0 { User::Same } else { User::Nobody };
    let niceness = u8::try_from(niceness).unwrap_or(19);
    let bounds = Bounds { memory_bytes: memory, niceness, user };
    // Changing the user clears the parent-death signal, so `bind` comes last.
    let error = match bound(&bounds).and_then(|()| bind(parent)) {
        Ok(()) => Command::new(program).args(rest).exec(),
        Err(error) => error,
    };
    // Read by `failure`. If standard error is closed, nobody can be told.
    let _ = writeln!(io::stderr(), "{FAILURE}{}", error.raw_os_error().unwrap_or(0));
    Some(ExitCode::from(FAILED))
}

/// Ties this process to its parent. The kernel sends the signal when the *thread* that forked ends;
/// we fork on the main thread, which lasts as long as the process.
fn bind(parent: u64) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended just before.
    match getppid() {
        Some(now) if u64::try_from(now.as_raw_nonzero().get()) == Ok(parent) => Ok(()),
        _ => Err(io::ErrorKind::NotConnected.into()),
    }
}

fn bound(bounds: &Bounds) -> io::Result<()> {
    // When memory runs out this process is killed first, before the recorder. Raising the score
    // needs no privilege; without procfs it stays unchanged.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let only = |value| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, only(0))?;
    if bounds.memory_bytes > 0 {
        // RLIMIT_DATA counts all private writable memory since Linux 4.7. RLIMIT_AS would count the
        // program itself, whose size differs from build to build.
        setrlimit(Resource::Data, only(bounds.memory_bytes))?;
    }
    if bounds.niceness > 0 {
        nice(bounds.niceness.into())?;
    }
    give_up_powers(bounds.user)
}

/// Gives up privileges for good. There is one thread, so per-thread calls apply to the whole
/// process.
fn give_up_powers(user: User) -> io::Result<()> {
    set_no_new_privs(true)?;
    if !geteuid().is_root() {
        return Ok(());
    }
    let given_up = match user {
        User::Same => {
            // From exec on, root without capabilities: the owner of root's files and nothing more.
            // It could not write to a folder of another owner, so there the capabilities stay.
            let is_roots = fs::metadata(".").is_ok_and(|folder| folder.uid() == 0);
            let no_root = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
            if is_roots { set_capabilities_secure_bits(no_root) } else { Ok(()) }
        }
        User::Nobody => set_thread_groups(&[])
            .and_then(|()| set_thread_gid(Gid::from_raw(NOBODY)))
            .and_then(|()| set_thread_uid(Uid::from_raw(NOBODY))),
    };
    match given_up {
        // In a container, root may have nothing to give up and no other user to become.
        Err(Errno::PERM | Errno::INVAL) => Ok(()),
        result => Ok(result?),
    }
}

/// Returns the error of exec(2) if the launcher did not become the program.
pub(super) fn failure(status: ExitStatus, log: &ChildLog) -> Option<io::Error> {
    let said = log.last();
    let code = said.strip_prefix(FAILURE)?.parse().ok();
    let code = code.filter(|_| status.code() == Some(FAILED.into()))?;
    Some(io::Error::from_raw_os_error(code))
}

const COMMAND: &str = "launch";
/// The user that owns no files, on every Linux.
const NOBODY: u32 = 65534;
const FAILURE: &str = "smolnvr launch: os error ";
/// The exit status shells use for a program that cannot be run.
const FAILED: u8 = 127;
