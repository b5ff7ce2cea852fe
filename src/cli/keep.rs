//! `smolnvr keep`: keeps a span from expiring, or releases it.

use super::{Arguments, Usage, client, print, status};
use crate::zone::Zone;
use std::process::ExitCode;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    On,
    Off,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let (camera, from, to) = arguments.camera_and_span(&Zone::of_this_machine())?;
    let (method, done) = match arguments.keep.unwrap_or(Keep::On) {
        Keep::On => ("PUT", "kept"),
        Keep::Off => ("DELETE", "no longer kept"),
    };
    let target = format!("/api/keep/{camera}?from={}&to={}", from.0, to.0);
    let answer = match client::ask(arguments, method, &target) {
        Ok(reply) => reply.json(),
        Err(status) => return Ok(status),
    };
    let number = |name: &str| answer[name].as_i64().unwrap_or(0);
    let (segments, size) = (number("segments"), status::size(number("bytes")));
    let left = match number("left") {
        0 => String::new(),
        left => format!("; {left} more cannot be marked: export them"),
    };
    print(&format!("{done}: {segments} recordings, {size}{left}\n"));
    Ok(if segments > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
