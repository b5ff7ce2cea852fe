//! `smolnvr mark` makes a mark; `smolnvr events` lists and follows them.

use super::{
    Arguments, Format, Usage,
    client::{self, Events},
    complain,
    keep::Keep,
    moment, print, print_json, seconds,
};
use crate::{clock, limits, units::WallTime, zone::Zone};
use serde_json::{Value, json};
use std::process::ExitCode;

pub(super) fn mark(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let operands: Vec<_> = arguments.operands.iter().map(|it| it.to_string_lossy()).collect();
    let (camera, kind, words) = match operands.as_slice() {
        [kind] => (None, kind, None),
        [camera, kind] => (Some(camera), kind, None),
        [camera, kind, words] => (Some(camera), kind, Some(words)),
        _ => return Err(Usage("expected [CAMERA] KIND [WORDS]".into())),
    };
    let (from, to) = times(arguments)?;
    let mut body = json!({"kind": kind});
    let state = arguments.keep.map(|it| if it == Keep::On { "on" } else { "off" });
    let fields = [
        ("camera", camera.map(|camera| json!(camera))),
        ("words", words.map(|words| json!(words))),
        ("state", state.map(|state| json!(state))),
        ("begin_ms", from.map(|from| json!(from.0))),
        ("end_ms", to.map(|to| json!(to.0))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    Ok(match client::ask_with(arguments, "POST", "/api/marks", Some(&body)) {
        Ok(reply) => {
            show(&reply.json(), arguments.format(), &Zone::of_this_machine());
            ExitCode::SUCCESS
        }
        Err(status) => status,
    })
}

pub(super) fn events(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let camera = arguments.operand()?.map(|name| name.to_string_lossy());
    let (from, to) = times(arguments)?;
    let mut target = "/api/marks".to_owned();
    target += &match camera.as_deref() {
        Some(camera) => client::camera_parameter(camera)?,
        None => "?".into(),
    };
    let last = arguments.last.map(|last| last.min(limits::LIST_ENTRIES_MAX) as i64);
    let numbers = [("from", from.map(|from| from.0)), ("to", to.map(|to| to.0)), ("limit", last)];
    for (name, value) in numbers {
        if let Some(value) = value {
            target += &format!("&{name}={value}");
        }
    }
    // Listens first, so that nothing is missed.
    let coming = arguments.follow.then(|| Events::begin(&client::socket(arguments)));
    let coming = match coming.transpose() {
        Ok(coming) => coming,
        Err(failure) => {
            complain(failure);
            return Ok(ExitCode::FAILURE);
        }
    };
    let (zone, format) = (Zone::of_this_machine(), arguments.format());
    match client::ask(arguments, "GET", &target) {
        Ok(reply) => {
            let marks = reply.json();
            let marks = marks["marks"].as_array().into_iter().flatten();
            marks.rev().for_each(|mark| show(mark, format, &zone));
        }
        Err(status) => return Ok(status),
    }
    Ok(coming.map_or(ExitCode::SUCCESS, |coming| follow(coming, camera.as_deref(), format, &zone)))
}

fn follow(mut coming: Events, camera: Option<&str>, format: Format, zone: &Zone) -> ExitCode {
    loop {
        match coming.next("mark") {
            Ok(Some(mark)) if camera.is_none_or(|camera| mark["camera"] == camera) => {
                show(&mark, format, zone);
            }
            Ok(Some(_)) => {}
            Ok(None) => return ExitCode::SUCCESS,
            Err(failure) => {
                complain(failure);
                return ExitCode::FAILURE;
            }
        }
    }
}

fn times(arguments: &Arguments) -> Result<(Option<WallTime>, Option<WallTime>), Usage> {
    let (now, zone) = (clock::now(), Zone::of_this_machine());
    let time = |text: &Option<String>| {
        text.as_ref().map(|text| moment::moment(text, now, &zone)).transpose()
    };
    Ok((time(&arguments.from)?, time(&arguments.to)?))
}

fn show(mark: &Value, format: Format, zone: &Zone) {
    match format {
        Format::Json => print_json(mark),
        Format::Text => print(&line(mark, zone)),
    }
}

fn line(mark: &Value, zone: &Zone) -> String {
    let text = |name: &str| mark[name].as_str().unwrap_or_default();
    let begin = mark["begin_ms"].as_i64().unwrap_or(0);
    let length = match mark["end_ms"].as_i64() {
        Some(end) => seconds(end - begin),
        None => "now".into(),
    };
    let doubt = if mark["clock_trusted"] == true { "" } else { "?" };
    let begin = moment::local(WallTime(begin), zone);
    let (camera, kind, source, words) =
        (text("camera"), text("kind"), text("source"), text("words"));
    let line = format!("{begin}{doubt}\t{camera}\t{kind}\t{length}\t{source}\t{words}");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_line_for_people() {
        let mark = json!({
            "camera": "yard", "source": "script", "kind": "door", "begin_ms": 1_795_528_800_000_i64,
            "end_ms": 1_795_528_812_340_i64, "clock_trusted": true, "words": "Front door",
        });
        let expected = "2026-11-24T14:00:00Z\tyard\tdoor\t12.3 s\tscript\tFront door\n";
        assert_eq!(line(&mark, &Zone::UTC), expected);
        let open =
            json!({"camera": "yard", "kind": "door", "source": "s", "begin_ms": 5, "end_ms": null});
        assert_eq!(line(&open, &Zone::UTC), "1970-01-01T00:00:00Z?\tyard\tdoor\tnow\ts\n");
    }
}
