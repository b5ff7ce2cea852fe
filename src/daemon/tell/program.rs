//! Runs a program for each thing that happens, one at a time, as an unprivileged user.

use super::{super::Daemon, Listener};
use crate::{
    limits,
    process::{Program, User},
};
use std::rc::Rc;

pub(super) async fn run(daemon: Rc<Daemon>, command: Vec<String>, mut listener: Listener) {
    let Some((path, arguments)) = command.split_first() else { return };
    loop {
        let news = listener.next(&daemon).await;
        let mut program = Program::new(path)
            .arguments(arguments.iter().map(|argument| news.filled(argument)))
            .niceness(limits::STILL_NICENESS)
            .user(User::Nobody);
        for (name, value) in news.texts() {
            program = program.variable(["SMOLNVR_", name].concat().to_ascii_uppercase(), value);
        }
        let ended = program.run(b"", limits::HOOK_OUTPUT_BYTES_MAX, limits::HOOK_TIMEOUT);
        let ended = Box::pin(ended).await;
        listener.say(ended.map(drop).map_err(|error| [path, ": ", &error.to_string()].concat()));
    }
}
