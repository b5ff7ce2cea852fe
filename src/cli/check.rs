//! `smolnvr check`: prints what `run` would do.

use super::{Arguments, Usage, print};
use crate::{
    config::{self, Config, Engine, Motion, Record},
    daemon, runtime,
    storage::disk::{Disk as _, Mount, linux::LinuxDisk},
    tool::Tool,
};
use smol::LocalExecutor;
use std::{fmt::Write as _, process::ExitCode};

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    arguments.no_operand()?;
    let config = match arguments.read_config() {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let settings = daemon::settings(&config, &[]);
    let file = arguments.config_file();
    let mut text = match config::left_over(&file) {
        Some(old) => format!("{}: missing; {}: ok\n", file.display(), old.display()),
        None => format!("{}: ok\n", file.display()),
    };
    let mut is_found = false;
    for path in &settings.paths {
        let state = match LinuxDisk.mount(path, settings.require_mount) {
            Mount::Absent(reason) => reason,
            _ if is_found => "not used".into(),
            mount => {
                is_found = true;
                if mount == Mount::Writable { "used" } else { "used, but read-only" }.into()
            }
        };
        let _ = writeln!(text, "storage: {}: {state}", path.display());
    }
    if !is_found {
        text += "storage: nothing is recorded until one of these is available\n";
    }
    text_of_cameras(&config, &mut text);
    text_of_receivers(&config, &mut text);
    if config.camera.is_empty() {
        text += "no camera: add a [[camera]] section\n";
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn text_of_cameras(config: &Config, text: &mut String) {
    for camera in config.camera.iter() {
        let name = camera.name.as_str();
        let record = match camera.record {
            Record::On => "recorded from the start",
            Record::Events => "recorded when something happens",
            Record::Off => "recorded on request",
        };
        let sound = if camera.audio && camera.left_out().is_none() { ", with sound" } else { "" };
        let motion = if camera.motion == Motion::Off { "" } else { ", watched for motion" };
        let _ = writeln!(text, "camera {name}: {}, {record}{sound}{motion}", camera.url.0);
        if camera.engine == Engine::Ffmpeg {
            let found = runtime::block_on(&LocalExecutor::new(), Tool::find(&config.ffmpeg.path));
            let _ = match found {
                Ok(tool) if tool.shows_address() => {
                    writeln!(text, "camera {name}: by {tool}; its URL is visible in `ps`")
                }
                Ok(tool) => writeln!(text, "camera {name}: by {tool}"),
                Err(unfit) => writeln!(text, "camera {name}: not recorded: {unfit}"),
            };
        }
        if let Some(left_out) = camera.left_out() {
            let _ = writeln!(text, "camera {name}: {left_out}");
        }
    }
}

/// The programs and servers that are told of marks and recordings.
fn text_of_receivers(config: &Config, text: &mut String) {
    let hooks = &config.hooks;
    for (name, command) in [("on_mark", &hooks.on_mark), ("on_segment", &hooks.on_segment)] {
        // Arguments may be secret.
        if let Some(program) = command.first() {
            let _ = writeln!(text, "{name}: runs {program}");
        }
    }
    if let Some(url) = &hooks.webhook {
        let what = if hooks.webhook_segments { "marks and recordings" } else { "marks" };
        let _ = writeln!(text, "webhook: {}: is sent {what}", url.0);
    }
    if let Some(url) = &config.mqtt.broker {
        let names = daemon::mqtt_names(&config.mqtt);
        let _ = writeln!(text, "mqtt: {}: {names}", url.0);
    }
}
