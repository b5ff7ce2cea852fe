//! `smolnvr record` and `smolnvr shutdown`: requests to the running daemon.

use super::{Arguments, Usage, client, print};
use serde_json::Value;
use std::process::ExitCode;

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let (wish, camera) = match arguments.operands.as_slice() {
        [wish] => (wish, None),
        [wish, camera] => (wish, Some(camera.to_string_lossy())),
        [_, _, third, ..] => return Err(Usage(format!("unexpected argument {third:?}"))),
        [] => return Err(Usage("expected `record start` or `record stop`".into())),
    };
    if wish != "start" && wish != "stop" {
        return Err(Usage(format!("expected `record start` or `record stop`, not {wish:?}")));
    }
    let parameter = camera.as_deref().map(client::camera_parameter).transpose()?;
    let target = ["/api/record/", &wish.to_string_lossy(), &parameter.unwrap_or_default()].concat();
    let reply = match client::ask(arguments, "POST", &target) {
        Ok(reply) => reply.json(),
        Err(status) => return Ok(status),
    };
    let cameras = reply.get("cameras").and_then(Value::as_array);
    for state in cameras.into_iter().flatten() {
        let name = state.get("name").and_then(Value::as_str).unwrap_or_default();
        if camera.as_ref().is_none_or(|camera| camera == name) {
            let is_recorded = state.get("recording").and_then(Value::as_bool) == Some(true);
            let state = if is_recorded { "recording" } else { "not recording" };
            print(&format!("camera {name}: {state}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn shut_down(arguments: &Arguments) -> Result<ExitCode, Usage> {
    arguments.no_operand()?;
    Ok(match client::ask(arguments, "POST", "/api/shutdown") {
        Ok(_) => {
            print("all files are closed, smolnvr has stopped\n");
            ExitCode::SUCCESS
        }
        Err(status) => status,
    })
}
