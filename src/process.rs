//! Other programs: a program and its bounds in, a child with its pipes out.
//!
//! A child is started through our own binary ([`launch`]), which makes it end with us, bounds it, gives
//! up what rights it needs not and then becomes the program: no code of ours runs between fork and exec. It is always reaped, never a
//! process of its own accord after us, and what it says is kept in a few lines. Spec: POSIX.1, prctl(2).
//! Knows nothing of: what the programs are for.

mod launch;
mod log;

pub use self::{
    launch::{User, launch},
    log::Log,
};
pub use async_process::{ChildStdin, ChildStdout, ExitStatus};

use crate::{limits, runtime};
use async_process::{Child, Command, Stdio};
use rustix::process::{Pid, Signal, kill_process_group};
use smol::{
    future,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};
use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    fmt, io,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    time::Duration,
};

/// A program, what it is told and what it may use.
#[derive(Clone, Debug)]
pub struct Program {
    path: OsString,
    arguments: Vec<OsString>,
    bounds: launch::Bounds,
    secrets: Vec<String>,
    directory: PathBuf,
    launcher: PathBuf,
}

/// Whether there is a pipe to its standard input, or from its standard output. Its standard error is
/// always read: [`Process::log`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pipe {
    None,
    Piped,
}

/// A running child; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Option<Pid>,
    log: Log,
    exit: Option<Result<ExitStatus, i32>>,
}

/// How a child ended.
#[derive(Debug)]
pub enum Exit {
    /// `NotStarted` for what exec(2) answered: the program is missing, not executable, no program.
    NotStarted(io::Error),
    Status(ExitStatus),
}

/// Why a program gave no answer.
#[derive(Debug)]
pub enum Error {
    /// The system refused a process or a pipe.
    System(io::Error),
    /// The program can not be run, see [`Exit::NotStarted`].
    NotStarted(io::Error),
    TimedOut(Duration),
    /// It wrote more than this.
    TooLong(usize),
    /// It ended with an error; its last words.
    Failed {
        status: ExitStatus,
        said: String,
    },
}

impl Program {
    /// `path` as execvp(3) takes it: without a slash it is looked for in `PATH`.
    pub fn new(path: impl Into<OsString>) -> Program {
        Program {
            path: path.into(),
            arguments: Vec::new(),
            bounds: launch::Bounds::default(),
            secrets: Vec::new(),
            directory: PathBuf::from("/"),
            launcher: PathBuf::from(OURSELVES),
        }
    }

    /// Our own binary, whatever became of its file; `command`: its first argument.
    pub fn ourselves(command: &str) -> Program {
        Program::new(OURSELVES).argument(command)
    }

    pub fn argument(mut self, argument: impl Into<OsString>) -> Program {
        self.arguments.push(argument.into());
        self
    }

    pub fn arguments<T: AsRef<OsStr>>(mut self, more: impl IntoIterator<Item = T>) -> Program {
        self.arguments.extend(more.into_iter().map(|it| it.as_ref().to_owned()));
        self
    }

    /// Bytes of memory of its own; beyond it, allocations fail.
    pub fn memory_max(mut self, bytes: u64) -> Program {
        self.bounds.memory_bytes = bytes;
        self
    }

    /// Gives way to what matters more: 0 to 19.
    pub fn niceness(mut self, niceness: u8) -> Program {
        self.bounds.niceness = niceness;
        self
    }

    /// As whom it runs, where we are root.
    pub fn user(mut self, user: User) -> Program {
        self.bounds.user = user;
        self
    }

    /// Where it works; what it writes by relative names lies on that file system, whatever is mounted
    /// there meanwhile. `/` unless this is called.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Program {
        self.directory = directory.into();
        self
    }

    /// Text that is kept out of [`Process::log`]: `***` stands in its place.
    pub fn secrets(mut self, secrets: impl IntoIterator<Item = String>) -> Program {
        self.secrets.extend(secrets);
        self
    }

    /// For tests, whose own binary is another one.
    pub fn launched_by(mut self, launcher: impl Into<PathBuf>) -> Program {
        self.launcher = launcher.into();
        self
    }

    /// Starts it, in a process group of its own, so that a Ctrl-C at our terminal is ours to handle.
    ///
    /// # Errors
    /// The system's. That the program itself can not be run is told by [`Process::wait`].
    pub fn start(&self, input: Pipe, output: Pipe) -> io::Result<Process> {
        let mut command = std::process::Command::new(&self.launcher);
        command.args(self.bounds.arguments()).arg(&self.path).args(&self.arguments);
        command.process_group(0).current_dir(&self.directory);
        let mut command = Command::from(command);
        command.stdin(input.stdio()).stdout(output.stdio()).stderr(Stdio::piped());
        let child = command.kill_on_drop(true).spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Process { child, group, log: Log::new(self.secrets.clone()), exit: None })
    }

    /// Runs it to its end: `input` to its standard input, what it writes to its standard output back.
    ///
    /// # Errors
    /// All of [`Error`]; the child is gone then, too.
    pub async fn run(
        &self,
        input: &[u8],
        output_bytes_max: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, Error> {
        let piped = if input.is_empty() { Pipe::None } else { Pipe::Piped };
        let mut process = self.start(piped, Pipe::Piped).map_err(Error::System)?;
        let (stdin, stdout) = (process.take_input(), process.take_output());
        let talk = future::zip(feed(stdin, input), collect(stdout, output_bytes_max));
        let work = async {
            // A child that writes too much is not waited for.
            future::try_zip(async { talk.await.1 }, process.end()).await
        };
        let result = runtime::timeout(limit, work).await;
        match result {
            Some(Ok((output, ()))) => Ok(output),
            Some(Err(error)) => {
                process.kill().await;
                Err(error)
            }
            None => {
                process.kill().await;
                Err(Error::TimedOut(limit))
            }
        }
    }
}

impl Process {
    /// The pipe to its standard input, once.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The pipe from its standard output, once.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// What it said last on standard error; goes on with [`Process::wait`].
    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads what it says until it ends. Cancel-safe.
    pub async fn wait(&mut self) -> Exit {
        let result = match self.exit {
            Some(result) => result,
            None => {
                let status = future::or(self.child.status(), self.listen()).await;
                // What it said at last is in the pipe; a grandchild may hold the other end.
                let rest = self.listen_to_end();
                runtime::timeout(limits::PROCESS_LAST_WORDS_TIMEOUT, rest).await;
                status.map_err(|error| error.raw_os_error().unwrap_or(0))
            }
        };
        self.exit = Some(result);
        match result {
            Ok(status) => match launch::failure(status, &self.log) {
                Some(error) => Exit::NotStarted(error),
                None => Exit::Status(status),
            },
            Err(code) => Exit::NotStarted(io::Error::from_raw_os_error(code)),
        }
    }

    /// Ends it: SIGINT, which programs take as the wish to end in order (FFmpeg 7.0 only the second
    /// time), and SIGKILL where [`limits::PROCESS_STOP_TIMEOUT`] does not suffice.
    pub async fn stop(mut self) -> Option<Exit> {
        for _ in 0..2 {
            self.signal(Signal::INT);
            // One that somebody stopped hears nothing before it goes on.
            self.signal(Signal::CONT);
            let exit = runtime::timeout(limits::PROCESS_STOP_TIMEOUT / 2, self.wait()).await;
            if exit.is_some() {
                return exit;
            }
        }
        self.kill().await
    }

    /// Ends it at once, its own children too. `None`: it hangs in the kernel, and is reaped whenever
    /// it comes back.
    pub async fn kill(mut self) -> Option<Exit> {
        self.signal(Signal::KILL);
        runtime::timeout(limits::PROCESS_STOP_TIMEOUT, self.wait()).await
    }

    /// Nothing is sent once it was reaped: its number may be another's.
    fn signal(&self, signal: Signal) {
        if let (None, Some(group)) = (self.exit, self.group) {
            // That it is gone already is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    async fn end(&mut self) -> Result<(), Error> {
        match self.wait().await {
            Exit::Status(status) if status.success() => Ok(()),
            Exit::Status(status) => Err(Error::Failed { status, said: self.log.last() }),
            Exit::NotStarted(error) => Err(Error::NotStarted(error)),
        }
    }

    /// Reads standard error for as long as it lasts, and never returns.
    async fn listen<T>(&mut self) -> T {
        self.listen_to_end().await;
        future::pending().await
    }

    async fn listen_to_end(&mut self) {
        let mut buffer = [0; 512];
        while let Some(stderr) = &mut self.child.stderr {
            match stderr.read(&mut buffer).await {
                Ok(count) if count > 0 => self.log.take(buffer.get(..count).unwrap_or_default()),
                _ => self.child.stderr = None,
            }
        }
        self.log.end();
    }
}

impl Pipe {
    fn stdio(self) -> Stdio {
        match self {
            Pipe::None => Stdio::null(),
            Pipe::Piped => Stdio::piped(),
        }
    }
}

/// Reaps children for as long as it runs; without it a thread of its own does. Kernels before 5.3
/// have no pidfd: SIGCHLD is used there.
pub async fn reap() -> Infallible {
    async_process::driver().await
}

async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A child that does not read to the end has its reason: it is in its status.
        let _ = stdin.write_all(input).await;
    }
}

async fn collect(stdout: Option<ChildStdout>, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let mut output = Vec::new();
    let Some(stdout) = stdout else { return Ok(output) };
    let limit = bytes_max as u64 + 1;
    stdout.take(limit).read_to_end(&mut output).await.map_err(Error::System)?;
    if output.len() > bytes_max { Err(Error::TooLong(bytes_max)) } else { Ok(output) }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::NotStarted(error) => write!(f, "not started: {error}"),
            Exit::Status(status) => status.fmt(f),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System(error) => write!(f, "no process: {error}"),
            Error::NotStarted(error) => write!(f, "not started: {error}"),
            Error::TimedOut(limit) => write!(f, "not done after {} s", limit.as_secs()),
            Error::TooLong(bytes) => write!(f, "more than {bytes} bytes came"),
            Error::Failed { status, said } if said.is_empty() => status.fmt(f),
            Error::Failed { status, said } => write!(f, "{status}: {said}"),
        }
    }
}

impl std::error::Error for Error {}

/// Our own binary, also where its file was replaced or deleted.
const OURSELVES: &str = "/proc/self/exe";
