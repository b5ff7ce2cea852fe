//! Child processes: a program and its limits in, a child with its pipes out.
//!
//! A child is started through our own binary ([`launch`]), which ties its life to ours, limits it,
//! drops the privileges it does not need, and then executes the program: none of our code runs
//! between fork and exec. A child is always reaped, never outlives us, and its last lines of output
//! are kept.
//! Spec: POSIX.1, prctl(2).

mod launch;
mod log;

pub use self::{
    launch::{User, launch},
    log::ChildLog,
};
pub use async_process::{ChildStdin, ChildStdout, ExitStatus};

use crate::{
    limits,
    runtime::{self, Flag},
};
use async_process::{Child, Command, Stdio};
use rustix::process::{Pid, Signal, kill_process_group};
use smol::{
    future,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};
use std::{
    cell::Cell,
    convert::Infallible,
    ffi::{OsStr, OsString},
    fmt, io,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

/// A program with its arguments and limits.
#[derive(Clone, Debug)]
pub struct Program {
    path: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    bounds: launch::Bounds,
    secrets: Vec<String>,
    directory: PathBuf,
    launcher: PathBuf,
}

/// Whether to connect a pipe to a child's standard input or output. Standard error is always read:
/// [`Process::log`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pipe {
    None,
    Piped,
}

/// A running child; dropping it kills it and its own children.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Option<Pid>,
    log: ChildLog,
    exit: Option<Result<ExitStatus, i32>>,
}

/// How a child ended.
#[derive(Debug)]
pub enum Exit {
    /// exec(2) failed: the program is missing, not executable, or not a program.
    NotStarted(io::Error),
    Status(ExitStatus),
}

/// Why a program did not produce its output.
#[derive(Debug)]
pub enum Error {
    /// The system refused a process or a pipe.
    System(io::Error),
    /// The program cannot be run; see [`Exit::NotStarted`].
    NotStarted(io::Error),
    TimedOut(Duration),
    /// It wrote more than this many bytes.
    TooLong(usize),
    /// It exited with an error; `said` is its last line.
    Failed {
        status: ExitStatus,
        said: String,
    },
}

impl Program {
    /// A program at `path`, which is searched for in `PATH` unless it contains a slash, as
    /// execvp(3) does.
    pub fn new(path: impl Into<OsString>) -> Program {
        Program {
            path: path.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            bounds: launch::Bounds::default(),
            secrets: Vec::new(),
            directory: PathBuf::from("/"),
            launcher: PathBuf::from(OURSELVES),
        }
    }

    /// Our own binary, even if its file was replaced; `command` is its first argument.
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

    /// Adds a variable to its environment.
    pub fn variable(mut self, name: String, value: String) -> Program {
        self.variables.push((name, value));
        self
    }

    /// Limits the child's private memory in bytes; allocations beyond it fail.
    pub fn memory_max(mut self, bytes: u64) -> Program {
        self.bounds.memory_bytes = bytes;
        self
    }

    /// Sets the niceness, 0 to 19.
    pub fn niceness(mut self, niceness: u8) -> Program {
        self.bounds.niceness = niceness;
        self
    }

    /// Sets the user it runs as if we are root.
    pub fn user(mut self, user: User) -> Program {
        self.bounds.user = user;
        self
    }

    /// Sets the working directory, `/` by default. Relative paths stay on its file system, even if
    /// something else is mounted there later.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Program {
        self.directory = directory.into();
        self
    }

    /// Sets text that [`Process::log`] replaces with `***`.
    pub fn secrets(mut self, secrets: impl IntoIterator<Item = String>) -> Program {
        self.secrets.extend(secrets);
        self
    }

    /// Sets another launcher, for tests, which run from a different binary.
    pub fn launched_by(mut self, launcher: impl Into<PathBuf>) -> Program {
        self.launcher = launcher.into();
        self
    }

    /// Starts the program in a process group of its own, so that a Ctrl-C at our terminal reaches
    /// only us.
    ///
    /// # Errors
    /// System errors. If the program itself cannot be run, [`Process::wait`] says so.
    pub fn start(&self, input: Pipe, output: Pipe) -> io::Result<Process> {
        let mut command = std::process::Command::new(&self.launcher);
        command.args(self.bounds.arguments()).arg(&self.path).args(&self.arguments);
        command.process_group(0).current_dir(&self.directory);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let mut command = Command::from(command);
        command.stdin(input.stdio()).stdout(output.stdio()).stderr(Stdio::piped());
        REAPER.with(Reaper::begin);
        let child = command.kill_on_drop(true).spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Process { child, group, log: ChildLog::new(self.secrets.clone()), exit: None })
    }

    /// Runs it to completion: writes `input` to its standard input and returns its standard output.
    ///
    /// # Errors
    /// Any [`Error`]; the child is gone by then.
    pub async fn run(
        &self,
        input: &[u8],
        output_bytes_max: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, Error> {
        let piped = if input.is_empty() { Pipe::None } else { Pipe::Piped };
        let mut process = self.start(piped, Pipe::Piped).map_err(Error::System)?;
        let (stdin, stdout) = (process.take_input(), process.take_output());
        let (mut output, ended) = (Vec::new(), Flag::default());
        let talk = future::zip(feed(stdin, input), collect(stdout, output_bytes_max, &mut output));
        let end = async {
            let result = process.end().await;
            ended.raise();
            result
        };
        // What it wrote is in the pipe by then, whose other end a grandchild may hold open.
        let patience = async {
            ended.raised().await;
            runtime::sleep(limits::PROCESS_LAST_WORDS_TIMEOUT).await;
            Ok(())
        };
        // Do not wait for a child that writes too much.
        let work = future::try_zip(future::or(async { talk.await.1 }, patience), end);
        let result = runtime::timeout(limit, work).await;
        match result {
            Some(Ok(((), ()))) => Ok(output),
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
    /// Takes the pipe to its standard input; `None` the second time.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Takes the pipe from its standard output; `None` the second time.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its last lines on standard error, updated while [`Process::wait`] runs.
    pub fn log(&self) -> &ChildLog {
        &self.log
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads its standard error until it exits. Cancel-safe.
    pub async fn wait(&mut self) -> Exit {
        let result = match self.exit {
            Some(result) => result,
            None => {
                let status = future::or(self.child.status(), self.listen()).await;
                // Its last words are still in the pipe, whose other end a grandchild may hold open.
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

    /// Stops it: SIGINT, the request to exit cleanly (FFmpeg 7.0 needs it twice), then SIGKILL
    /// after [`limits::PROCESS_STOP_TIMEOUT`].
    pub async fn stop(mut self) -> Option<Exit> {
        for _ in 0..2 {
            self.signal(Signal::INT);
            // A stopped process receives nothing until it continues.
            self.signal(Signal::CONT);
            let exit = runtime::timeout(limits::PROCESS_STOP_TIMEOUT / 2, self.wait()).await;
            if exit.is_some() {
                return exit;
            }
        }
        self.kill().await
    }

    /// Kills it and its own children. Returns `None` if it hangs in the kernel; it is reaped once
    /// it returns.
    pub async fn kill(mut self) -> Option<Exit> {
        self.signal(Signal::KILL);
        runtime::timeout(limits::PROCESS_STOP_TIMEOUT, self.wait()).await
    }

    /// Sends nothing after it was reaped: its id may belong to another process.
    fn signal(&self, signal: Signal) {
        if let (None, Some(group)) = (self.exit, self.group) {
            // ESRCH is fine: the process has already exited.
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

    /// Reads standard error while it is open, and never returns.
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

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
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

/// Reaps the children that this thread starts; otherwise async-process starts a thread for that.
/// Kernels before 5.3 lack pidfd, so SIGCHLD is used there, with a reactor of 60 KB: it is started
/// with the first child.
pub async fn reap() -> Infallible {
    let first = REAPER.with(|it| {
        it.is_ready.set(true);
        it.first.clone()
    });
    first.raised().await;
    match REAPER.with(|it| it.driver.take()) {
        Some(driver) => driver.await,
        None => future::pending().await,
    }
}

thread_local! {
    static REAPER: Reaper = Reaper::default();
}

/// What [`reap`] waits for.
#[derive(Default)]
struct Reaper {
    is_ready: Cell<bool>,
    first: Flag,
    driver: Cell<Option<Pin<Box<dyn Future<Output = Infallible>>>>>,
}

impl Reaper {
    /// Before a child starts: async-process looks then whether its driver runs.
    fn begin(&self) {
        if self.is_ready.get() && !self.first.is_raised() {
            let mut driver = Box::pin(async_process::driver());
            let _ = driver.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            self.driver.set(Some(driver));
            self.first.raise();
        }
    }
}

async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A child may stop reading early; its status gives the reason.
        let _ = stdin.write_all(input).await;
    }
}

async fn collect(
    stdout: Option<ChildStdout>,
    bytes_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), Error> {
    let Some(stdout) = stdout else { return Ok(()) };
    let limit = bytes_max as u64 + 1;
    stdout.take(limit).read_to_end(output).await.map_err(Error::System)?;
    if output.len() > bytes_max { Err(Error::TooLong(bytes_max)) } else { Ok(()) }
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
            Error::System(error) => write!(f, "cannot start a process: {error}"),
            Error::NotStarted(error) => write!(f, "not started: {error}"),
            Error::TimedOut(limit) => write!(f, "not finished after {} s", limit.as_secs()),
            Error::TooLong(bytes) => write!(f, "more than {bytes} bytes of output"),
            Error::Failed { status, said } if said.is_empty() => status.fmt(f),
            Error::Failed { status, said } => write!(f, "{status}: {said}"),
        }
    }
}

impl std::error::Error for Error {}

/// Our own binary, even if its file was replaced or deleted.
const OURSELVES: &str = "/proc/self/exe";
