//! The launcher: what a new process does before it becomes the program that it was started for.
//!
//! Arguments in, no return: `smolnvr launch PARENT MEMORY NICENESS USER PROGRAM ARGUMENTS…`, written and
//! read here alone. std leaves the signal mask empty and SIGPIPE at its default. Knows nothing of: pipes.

use super::{ExitStatus, Log};
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

/// What a child may use.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// Of memory of its own; 0: no bound.
    pub memory_bytes: u64,
    pub niceness: u8,
    pub user: User,
}

/// As whom a child runs, where we are root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum User {
    /// As us, but without root's powers: what writes to the card has to, since all files of a FAT file
    /// system are of whoever mounted it.
    #[default]
    Same,
    /// What a camera sends is decoded, and nothing but pipes and sockets is needed for that.
    Nobody,
}

impl Bounds {
    /// The launcher's own arguments; the program and its own follow.
    pub fn arguments(&self) -> [String; 5] {
        let parent = std::process::id().to_string();
        let user = if self.user == User::Nobody { NOBODY } else { 0 }.to_string();
        [COMMAND.into(), parent, self.memory_bytes.to_string(), self.niceness.to_string(), user]
    }
}

/// Becomes the program that is named in `arguments`, which begin with `launch`; `None` where they
/// begin with anything else. Returns only where that fails.
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
    // A signal at the parent's death is forgotten with a change of the user.
    let error = match bound(&bounds).and_then(|()| bind(parent)) {
        Ok(()) => Command::new(program).args(rest).exec(),
        Err(error) => error,
    };
    // Read by `failure`. Where nobody listens, nobody wants to know.
    let _ = writeln!(io::stderr(), "{FAILURE}{}", error.raw_os_error().unwrap_or(0));
    Some(ExitCode::from(FAILED))
}

/// Ends with the parent from now on. The signal comes when the *thread* ends that forked; ours forks
/// on the main thread, which lasts as long as the process.
fn bind(parent: u64) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended just before.
    match getppid() {
        Some(now) if u64::try_from(now.as_raw_nonzero().get()) == Ok(parent) => Ok(()),
        _ => Err(io::ErrorKind::NotConnected.into()),
    }
}

fn bound(bounds: &Bounds) -> io::Result<()> {
    // Where memory runs out it goes first, before what records. Raising needs no right; without
    // procfs it stays as it is.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let only = |value| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, only(0))?;
    if bounds.memory_bytes > 0 {
        // All that is private and can be written, since Linux 4.7. The address space would count the
        // program itself as well, which no build has as large as another.
        setrlimit(Resource::Data, only(bounds.memory_bytes))?;
    }
    if bounds.niceness > 0 {
        nice(bounds.niceness.into())?;
    }
    give_up_powers(bounds.user)
}

/// No program that it runs gets more rights again. There is one thread: what is said of it is said of
/// the process.
fn give_up_powers(user: User) -> io::Result<()> {
    set_no_new_privs(true)?;
    if !geteuid().is_root() {
        return Ok(());
    }
    let given_up = match user {
        User::Same => {
            // Root without capabilities, from exec on: the owner of root's files, and no more. Another
            // owner's folder it could not write to then.
            let is_roots = fs::metadata(".").is_ok_and(|folder| folder.uid() == 0);
            let no_root = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
            if is_roots { set_capabilities_secure_bits(no_root) } else { Ok(()) }
        }
        User::Nobody => set_thread_groups(&[])
            .and_then(|()| set_thread_gid(Gid::from_raw(NOBODY)))
            .and_then(|()| set_thread_uid(Uid::from_raw(NOBODY))),
    };
    match given_up {
        // In a container root may have nothing to give up, and nobody else to be.
        Err(Errno::PERM | Errno::INVAL) => Ok(()),
        result => Ok(result?),
    }
}

/// What exec(2) answered, where the launcher did not become the program.
pub(super) fn failure(status: ExitStatus, log: &Log) -> Option<io::Error> {
    let said = log.last();
    let code = said.strip_prefix(FAILURE)?.parse().ok();
    let code = code.filter(|_| status.code() == Some(FAILED.into()))?;
    Some(io::Error::from_raw_os_error(code))
}

const COMMAND: &str = "launch";
/// The user without any files, on every Linux.
const NOBODY: u32 = 65534;
const FAILURE: &str = "smolnvr launch: os error ";
/// As a shell's for a program that can not be run.
const FAILED: u8 = 127;
