//! Other programs, as the daemon runs them: bounded, always ended, always reaped.

use smol::LocalExecutor;
use smolnvr::{
    process::{Error, Exit, Pipe, Process, Program, User},
    runtime,
};
use std::{
    fs,
    io::{BufRead as _, BufReader, ErrorKind},
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const SMOLNVR: &str = env!("CARGO_BIN_EXE_smolnvr");
/// Long for this machine, whatever else it does.
const PATIENCE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Program {
    Program::new("sh").arguments(["-c", script]).launched_by(SMOLNVR)
}

fn run<T>(work: impl AsyncFnOnce() -> T) -> T {
    runtime::block_on(&LocalExecutor::new(), work())
}

fn answer(program: &Program, input: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    run(async || program.run(input, bytes_max, PATIENCE).await)
}

fn text(program: &Program) -> String {
    String::from_utf8(answer(program, b"", 4096).unwrap()).unwrap()
}

/// Neither alive nor a zombie.
async fn gone(id: u32) {
    let started = runtime::now();
    while Path::new("/proc").join(id.to_string()).exists() {
        assert!(started.elapsed() < PATIENCE, "{id} is still there");
        runtime::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for this much output.
async fn said(process: &mut Process, words: &str) {
    let log = process.log().clone();
    let heard = async {
        while !log.lines().iter().any(|line| line.contains(words)) {
            runtime::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = async {
        let exit = process.wait().await;
        panic!("{exit}: {:?}", log.lines());
    };
    runtime::timeout(PATIENCE, smol::future::or(heard, ended)).await.expect("not said");
}

#[test]
fn more_than_a_pipe_holds_goes_through_a_program_and_back() {
    let input: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let cat = Program::new("cat").launched_by(SMOLNVR);
    assert_eq!(answer(&cat, &input, input.len()).unwrap(), input);
    let long = answer(&cat, &input, input.len() - 1);
    assert!(matches!(long, Err(Error::TooLong(999_999))), "{long:?}");
}

#[test]
fn a_program_that_can_not_be_run_is_told_from_one_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("program");
    fs::write(&file, "no program").unwrap();
    for (path, kind) in
        [(folder.path().join("missing"), ErrorKind::NotFound), (file, ErrorKind::PermissionDenied)]
    {
        match answer(&Program::new(path).launched_by(SMOLNVR), b"", 9) {
            Err(Error::NotStarted(error)) => assert_eq!(error.kind(), kind),
            other => panic!("{other:?}"),
        }
    }
    match answer(&shell("echo one >&2; echo two >&2; exit 127"), b"", 9) {
        Err(Error::Failed { status, said }) => {
            assert_eq!((status.code(), &*said), (Some(127), "two"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_child_is_limited_and_killed_first_when_memory_runs_out() {
    let script = "cat /proc/self/oom_score_adj; ulimit -c; ulimit -d; pwd";
    assert_eq!(text(&shell(script).memory_max(256 << 20)), "1000\n0\n262144\n/\n");
    let niceness = |program: Program| text(&program).trim().parse::<i8>().unwrap();
    let ours = niceness(shell("nice"));
    assert_eq!(niceness(shell("nice").niceness(5)), (ours + 5).min(19));
    // `tail` keeps its input: more than fits into memory.
    let greedy = shell("head -c 100000000 /dev/zero | tail -c 100000000 | wc -c");
    assert_eq!(text(&greedy).trim(), "100000000");
    assert_eq!(text(&greedy.memory_max(64 << 20)).trim(), "0");
}

#[test]
fn a_child_has_no_more_rights_than_it_needs_and_cannot_regain_any() {
    let script = "id -u; id -G; grep -e NoNewPrivs -e CapEff /proc/self/status";
    let said = |program: Program| {
        let text = text(&program);
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let nobody = said(shell(script).user(User::Nobody));
    let same = said(shell(script));
    assert!(nobody.ends_with(&["NoNewPrivs:".into(), "1".into()]), "{nobody:?}");
    assert!(same.ends_with(&["NoNewPrivs:".into(), "1".into()]), "{same:?}");
    if rustix::process::geteuid().is_root() {
        let none = ["CapEff:", "0000000000000000", "NoNewPrivs:", "1"];
        assert_eq!(nobody, [&["65534", "65534"][..], &none].concat());
        assert_eq!(same.first().unwrap(), "0");
        assert!(same.ends_with(&none.map(str::to_owned)), "{same:?}");
        // It may not even read our files, but is still tied to our process.
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("ours");
        fs::write(&ours, "secret").unwrap();
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o600)).unwrap();
        let cat = Program::new("cat").argument(&ours).user(User::Nobody).launched_by(SMOLNVR);
        assert!(matches!(answer(&cat, b"", 99), Err(Error::Failed { .. })));
    }
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_its_own_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("children");
    let script = format!("echo $$ > {0}; sleep 1000 & echo $! >> {0}; wait", file.display());
    let all_gone = async || {
        for id in fs::read_to_string(&file).unwrap().lines() {
            gone(id.parse().unwrap()).await;
        }
        fs::remove_file(&file).unwrap();
    };
    run(async || {
        let limit = Duration::from_millis(500);
        let result = shell(&script).run(b"", 9, limit).await;
        assert!(matches!(result, Err(Error::TimedOut(it)) if it == limit), "{result:?}");
        all_gone().await;
        let dropped = shell(&script).start(Pipe::None, Pipe::None).unwrap();
        while fs::read_to_string(&file).unwrap_or_default().lines().count() < 2 {
            runtime::sleep(Duration::from_millis(5)).await;
        }
        drop(dropped);
        all_gone().await;
    });
}

/// A hook that starts something in the background kept all that came after it waiting, up to a minute.
#[test]
fn a_program_that_leaves_a_child_behind_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // The child lives until the pipe is opened, and holds standard output and standard error.
    let script = format!("echo done; (read -r word <{}; exit) &", pipe.display());
    assert_eq!(text(&shell(&script)), "done\n");
    // Opened for both it waits for nobody, should the child be gone.
    drop(fs::File::options().read(true).write(true).open(&pipe).unwrap());
}

#[test]
fn a_stop_is_a_signal_to_exit_first_and_then_a_kill() {
    // As in the daemon: a signal that is ignored, as in a shell's background, stays so in children.
    let (_received, sent) = std::os::unix::net::UnixStream::pair().unwrap();
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, sent).unwrap();
    run(async || {
        let script =
            "trap 'echo bye >&2; exit 3' INT; echo ready >&2; while :; do sleep 0.01; done";
        let mut orderly = shell(script).start(Pipe::None, Pipe::None).unwrap();
        said(&mut orderly, "ready").await;
        let log = orderly.log().clone();
        let exit = orderly.stop().await;
        assert!(matches!(exit, Some(Exit::Status(status)) if status.code() == Some(3)));
        assert_eq!(log.last(), "bye");

        let script = "trap '' INT; echo ready >&2; while :; do sleep 0.01; done";
        let mut stubborn = shell(script).start(Pipe::None, Pipe::None).unwrap();
        said(&mut stubborn, "ready").await;
        let id = stubborn.id();
        let exit = stubborn.stop().await;
        assert!(matches!(exit, Some(Exit::Status(status)) if status.signal() == Some(9)));
        gone(id).await;
    });
}

#[test]
fn a_stopped_process_is_ended_too_and_one_that_is_let_go_of_is_reaped() {
    run(async || {
        let mut frozen =
            shell("echo ready >&2; kill -STOP $$").start(Pipe::None, Pipe::None).unwrap();
        said(&mut frozen, "ready").await;
        let id = frozen.id();
        assert!(frozen.stop().await.is_some());
        gone(id).await;
        let dropped = shell("sleep 1000").start(Pipe::Piped, Pipe::Piped).unwrap();
        let id = dropped.id();
        drop(dropped);
        gone(id).await;
    });
}

#[test]
fn secrets_are_masked_in_the_log_of_a_child() {
    run(async || {
        let script = "echo rtsp://admin:hush@camera/ failed >&2";
        let program = shell(script).secrets(["admin:hush".to_owned()]);
        let mut process = program.start(Pipe::None, Pipe::None).unwrap();
        let log = process.log().clone();
        process.wait().await;
        assert_eq!(log.lines(), ["rtsp://***@camera/ failed"]);
    });
}

#[test]
fn no_child_outlives_a_parent_that_is_killed() {
    let script = format!("{SMOLNVR} launch $$ 0 0 65534 sleep 1000 & echo $!; wait");
    let mut parent =
        Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let id: u32 = line.trim().parse().unwrap();
    let name = Path::new("/proc").join(id.to_string()).join("comm");
    run(async || {
        while fs::read_to_string(&name).unwrap() != "sleep\n" {
            runtime::sleep(Duration::from_millis(5)).await;
        }
        parent.kill().unwrap();
        parent.wait().unwrap();
        gone(id).await;
    });
}

#[test]
fn a_child_whose_parent_ended_before_it_was_bound_to_it_does_not_start() {
    let output =
        Command::new(SMOLNVR).args(["launch", "1", "0", "0", "0", "echo", "hello"]).output();
    let output = output.unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(127), 0));
}
