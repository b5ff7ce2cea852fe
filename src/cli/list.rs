//! `smolnvr list`: the recordings known to the running daemon, or read from the files.

pub(super) mod card;

use super::{
    Arguments, Format, Usage,
    client::{self, ClientError},
    complain, moment, print, seconds,
};
use crate::{clock, limits, units::WallTime, zone::Zone};
use serde::Serialize;
use serde_json::Value;
use std::{path::PathBuf, process::ExitCode};

/// One recording, with the names of `/api/recordings`.
#[derive(Serialize)]
pub(super) struct ListEntry {
    /// Empty until known, if the file does not contain it.
    pub camera: String,
    number: u32,
    file: String,
    #[serde(skip)]
    pub path: PathBuf,
    /// For a foreign file: its modification time minus its duration.
    pub start_ms: i64,
    clock_trusted: bool,
    /// `None` if the head does not contain it: FFmpeg's fragmented files, and files cut short.
    duration_ms: Option<i64>,
    pub bytes: u64,
    codec: Option<String>,
    mime: Option<String>,
    state: String,
}

/// Which recordings to show, and how.
struct Shown<'a> {
    camera: Option<&'a str>,
    from: i64,
    to: i64,
    /// The newest ones per camera.
    last: usize,
    format: Format,
    zone: &'a Zone,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let camera = arguments.operand()?.map(|name| name.to_string_lossy());
    let (now, zone) = (clock::now(), Zone::of_this_machine());
    let moment = |text: &Option<String>, else_: i64| match text {
        Some(text) => moment::moment(text, now, &zone).map(|time| time.0),
        None => Ok(else_),
    };
    let shown = Shown {
        camera: camera.as_deref(),
        from: moment(&arguments.from, i64::MIN)?,
        to: moment(&arguments.to, i64::MAX)?,
        last: arguments.last.unwrap_or(usize::MAX),
        format: arguments.format(),
        zone: &zone,
    };
    let daemon = match arguments.asks_daemon() {
        true => shown.ask(arguments)?,
        false => None,
    };
    let lines = match daemon {
        Some(lines) => lines,
        None => card::read(arguments, shown.camera).map(|entries| shown.pick(&entries)),
    };
    Ok(match lines {
        Ok(lines) => {
            shown.print(&lines);
            ExitCode::SUCCESS
        }
        Err(status) => status,
    })
}

impl Shown<'_> {
    /// Asks the daemon; newest last. `None` if none can be asked.
    fn ask(&self, arguments: &Arguments) -> Result<Option<Result<Vec<String>, ExitCode>>, Usage> {
        let socket = client::socket(arguments);
        let status = match client::request(&socket, "GET", "/api/status", None) {
            Err(ClientError::NoDaemon(_) | ClientError::Socket { .. })
                if arguments.socket.is_none() =>
            {
                return Ok(None);
            }
            Err(failure) => {
                complain(failure);
                return Ok(Some(Err(ExitCode::FAILURE)));
            }
            Ok(reply) => reply.check().map(|reply| reply.json()),
        };
        if let Some(name) = self.camera {
            client::camera_parameter(name)?;
        }
        Ok(Some(status.and_then(|status| self.ask_for_cameras(arguments, &status))))
    }

    fn ask_for_cameras(
        &self,
        arguments: &Arguments,
        status: &Value,
    ) -> Result<Vec<String>, ExitCode> {
        let storage = &status["storage"];
        if storage["path"].is_null() {
            complain(storage["reason"].as_str().unwrap_or("there is no card"));
            return Err(ExitCode::FAILURE);
        }
        let all = ["cameras", "former"].map(|list| status[list].as_array());
        let names =
            all.into_iter().flatten().flatten().filter_map(|camera| camera["name"].as_str());
        let names: Vec<_> =
            names.filter(|name| self.camera.is_none_or(|wanted| wanted == *name)).collect();
        if let Some(wanted) = self.camera.filter(|_| names.is_empty()) {
            complain(format_args!("there is no camera named {wanted:?}"));
            return Err(ExitCode::FAILURE);
        }
        let mut lines = Vec::new();
        for name in names {
            let begin = lines.len();
            self.ask_for_camera(arguments, name, &mut lines)?;
            lines.get_mut(begin..).unwrap_or_default().reverse();
        }
        if storage["list_complete"] == false {
            complain("the card is still being read: older recordings may be missing");
        }
        Ok(lines)
    }

    /// Asks for one camera, newest first.
    fn ask_for_camera(
        &self,
        arguments: &Arguments,
        name: &str,
        lines: &mut Vec<String>,
    ) -> Result<(), ExitCode> {
        let (mut left, mut page) = (self.last, String::new());
        while left > 0 {
            let limit = left.min(limits::CLIENT_LIST_PAGE);
            let mut target = format!("/api/recordings?camera={name}&limit={limit}{page}");
            for (name, time) in [("from", self.from), ("to", self.to)] {
                if ![i64::MIN, i64::MAX].contains(&time) {
                    target += &format!("&{name}={time}");
                }
            }
            let list = client::ask(arguments, "GET", &target)?.json();
            let recordings = list["recordings"].as_array().map_or(&[][..], |it| it);
            for recording in recordings {
                lines.push(match self.format {
                    Format::Json => recording.to_string(),
                    Format::Text => self.line(&ListEntry::from(recording)),
                });
            }
            left = left.saturating_sub(recordings.len());
            match list["next"].as_u64().filter(|_| !recordings.is_empty()) {
                Some(next) => page = format!("&before={next}"),
                None => break,
            }
        }
        Ok(())
    }

    /// `entries` are ordered by camera, newest last.
    fn pick(&self, entries: &[ListEntry]) -> Vec<String> {
        let mut lines = Vec::new();
        for entries in entries.chunk_by(|one, next| one.camera == next.camera) {
            let wanted = entries.iter().rev().filter(|entry| entry.lies_in(self.from, self.to));
            let begin = lines.len();
            lines.extend(wanted.take(self.last).map(|entry| match self.format {
                // Numbers and text cannot fail.
                Format::Json => serde_json::to_string(entry).unwrap_or_default(),
                Format::Text => self.line(entry),
            }));
            lines.get_mut(begin..).unwrap_or_default().reverse();
        }
        lines
    }

    fn line(&self, entry: &ListEntry) -> String {
        let ListEntry { camera, file, state, .. } = entry;
        let mark = if entry.clock_trusted { ' ' } else { '?' };
        // Its head has not been read yet.
        let start = match &**state {
            "unread" => String::new(),
            _ => moment::local(WallTime(entry.start_ms), self.zone),
        };
        let length = entry.duration_ms.map_or_else(|| "?".to_owned(), seconds);
        let kilobytes = entry.bytes / 1024;
        let codec = entry.codec.as_deref().unwrap_or("?");
        format!("{camera}\t{file}\t{start}{mark}\t{length:>8}\t{kilobytes:>8} KB\t{codec}\t{state}")
    }

    fn print(&self, lines: &[String]) {
        match self.format {
            Format::Json => print(&format!("[{}]\n", lines.join(","))),
            Format::Text => lines.iter().for_each(|line| print(&format!("{line}\n"))),
        }
    }
}

impl ListEntry {
    fn lies_in(&self, from: i64, to: i64) -> bool {
        self.start_ms.saturating_add(self.duration_ms.unwrap_or(0)) >= from && self.start_ms < to
    }

    /// The same, but true if its length is unknown.
    pub fn may_hold(&self, from: i64, to: i64) -> bool {
        self.start_ms < to && (self.duration_ms.is_none() || self.lies_in(from, to))
    }
}

impl From<&Value> for ListEntry {
    fn from(recording: &Value) -> ListEntry {
        let text = |name: &str| recording[name].as_str().map(str::to_owned);
        ListEntry {
            camera: text("camera").unwrap_or_default(),
            number: 0,
            file: text("file").unwrap_or_default(),
            path: PathBuf::new(),
            start_ms: recording["start_ms"].as_i64().unwrap_or(0),
            clock_trusted: recording["clock_trusted"] == true,
            duration_ms: recording["duration_ms"].as_i64(),
            bytes: recording["bytes"].as_u64().unwrap_or(0),
            codec: text("codec"),
            mime: None,
            state: text("state").unwrap_or_default(),
        }
    }
}
