//! `smolnvr status`: the state of everything, as text or as the daemon's JSON.

use super::{Arguments, Format, Usage, client, print};
use crate::units::WallTime;
use serde_json::Value;
use std::{fmt::Write as _, process::ExitCode};

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    arguments.no_operand()?;
    let reply = match client::ask(arguments, "GET", "/api/status") {
        Ok(reply) => reply,
        Err(status) => return Ok(status),
    };
    match arguments.format() {
        Format::Json => print(&[&String::from_utf8_lossy(&reply.body), "\n"].concat()),
        Format::Text => print(&text(&reply.json())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writing to a String cannot fail.
fn text(status: &Value) -> String {
    let mut text = String::new();
    let (memory, clock, storage) = (&status["memory"], &status["clock"], &status["storage"]);
    let running = span(number(&status["uptime_s"]).unwrap_or(0) * 1000);
    let megabytes = number(&memory["rss_kb"]).unwrap_or(0) as f64 / 1024.0;
    let version = word(&status["version"]);
    let _ = writeln!(text, "smolnvr {version}, running for {running}, {megabytes:.1} MB of memory");
    let now = WallTime(number(&clock["now_ms"]).unwrap_or(0));
    let mark = if clock["trusted"] == true {
        ""
    } else {
        " (not set: recordings get their true times once it is)"
    };
    let _ = writeln!(text, "clock: {now}{mark}");
    text += &card(storage, &status["cameras"]);
    text += &copies(&status["archive"]);
    let Some(cameras) = status["cameras"].as_array().filter(|cameras| !cameras.is_empty()) else {
        return text + "no camera is configured\n";
    };
    let header = ["CAMERA", "STATE", "VIDEO", "RECORDING", "STORED", "LOST"].map(str::to_owned);
    let cameras_told = cameras.iter().map(|camera| row(camera, now));
    let rows: Vec<_> = [header].into_iter().chain(cameras_told).collect();
    text.push('\n');
    text += &table(&rows);
    for camera in cameras {
        if let Some(error) = camera["last_error"].as_str() {
            let _ = writeln!(text, "{}: {error}", word(&camera["name"]));
        }
    }
    for camera in cameras.iter().filter(|camera| camera["engine"] == "ffmpeg") {
        let (name, ffmpeg) = (word(&camera["name"]), &camera["ffmpeg"]);
        let tool = ffmpeg["tool"].as_str().unwrap_or("FFmpeg (version unknown yet)");
        let restarts = number(&ffmpeg["restarts"]).unwrap_or(0);
        let _ = writeln!(text, "{name}: by {tool}, restarts: {restarts}");
        for line in ffmpeg["log"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "{name}: FFmpeg: {}", word(line));
        }
    }
    text
}

fn card(storage: &Value, cameras: &Value) -> String {
    let mut text = format!("card: {}", word(&storage["state"]));
    if let Some(reason) = storage["reason"].as_str() {
        let _ = write!(text, " ({reason})");
    }
    if let Some(path) = storage["path"].as_str() {
        let _ = write!(text, ", {path}");
    }
    if let (Some(free), Some(total)) =
        (number(&storage["free_bytes"]), number(&storage["total_bytes"]))
    {
        let _ = write!(text, ", {} of {} free", size(free), size(total));
    }
    let count = number(&storage["segments"]).unwrap_or(0);
    let bytes = size(number(&storage["bytes"]).unwrap_or(0));
    let reading = if storage["list_complete"] == false { " so far" } else { "" };
    let _ = writeln!(text, "\nrecordings: {count}, {bytes}{reading}{}", fits(cameras));
    text + &endurance(storage)
}

/// How far copies to a store have come.
fn copies(archive: &Value) -> String {
    let Some(state) = archive["state"].as_str() else { return String::new() };
    let (count, bytes) = (number(&archive["backlog"]), number(&archive["backlog_bytes"]));
    let why = archive["reason"].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
    let bytes = size(bytes.unwrap_or(0));
    format!("copies: {state}{why}, {} recordings, {bytes} to send\n", count.unwrap_or(0))
}

/// What is known of the card itself.
fn endurance(storage: &Value) -> String {
    let mut facts = Vec::new();
    let lengths = (number(&storage["written_bytes"]), number(&storage["total_bytes"]));
    if let (Some(written), Some(total @ 1..)) = lengths {
        facts.push(format!("written over {:.1} times", written as f64 / total as f64));
    }
    if let Some(longest) = number(&storage["write_p99_ms"]) {
        facts.push(format!("99 of 100 writes within {longest} ms"));
    }
    if storage["aligned"] == false {
        facts.push("partition not aligned to its blocks: format it again".into());
    }
    if storage["keeps_data"] == false {
        facts.push("it does not keep what is written: replace it".into());
    }
    if facts.is_empty() { String::new() } else { format!("wear: {}\n", facts.join("; ")) }
}

/// How many days the card holds, for the camera with the least.
fn fits(cameras: &Value) -> String {
    let days = cameras.as_array().into_iter().flatten();
    let days = days.filter_map(|camera| camera["days_fit"].as_f64()).reduce(f64::min);
    days.map_or_else(String::new, |days| format!("; the card holds the last {days:.1} days"))
}

fn row(camera: &Value, now: WallTime) -> [String; 6] {
    let mut state = word(&camera["state"]).to_owned();
    if let Some(since) = number(&camera["since_ms"]) {
        let _ = write!(state, " {}", span(now.0.saturating_sub(since).max(0)));
    }
    [
        word(&camera["name"]).to_owned(),
        state,
        video(camera),
        recording(camera),
        number(&camera["durable_age_ms"]).map_or_else(nothing, |age| span(age) + " ago"),
        losses(&camera["losses"]),
    ]
}

fn video(camera: &Value) -> String {
    let Some(codec) = camera["codec"].as_str() else { return nothing() };
    let dimension = |key| number(&camera[key]).unwrap_or(0);
    if camera["engine"] == "ffmpeg" {
        return format!("{codec} {} kbit/s", dimension("kbit_s"));
    }
    let mut text = format!("{codec} {}x{}", dimension("width"), dimension("height"));
    if camera["state"] == "live" {
        let fps = camera["fps"].as_f64().unwrap_or(0.0);
        let _ = write!(text, " {fps:.1} fps {} kbit/s", dimension("kbit_s"));
    }
    text
}

fn recording(camera: &Value) -> String {
    match number(&camera["segment"]) {
        Some(segment) => format!("{segment:03}.mp4"),
        None if camera["waits_for_event"] == true => "no event".into(),
        None if camera["recording_wanted"] == true => "waiting".into(),
        None => "off".into(),
    }
}

/// Lists causes with losses.
fn losses(losses: &Value) -> String {
    let causes = losses.as_object().into_iter().flatten();
    let counted = causes.filter_map(|(cause, count)| Some((cause, number(count)?)));
    let told: Vec<_> = counted
        .filter(|(_, count)| *count > 0)
        .map(|(cause, count)| format!("{} {count}", cause.replace('_', " ")))
        .collect();
    if told.is_empty() { nothing() } else { told.join(", ") }
}

/// Pads columns to their widest field.
fn table(rows: &[[String; 6]]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, field) in row.iter().enumerate() {
            let widths = rows.iter().filter_map(|row| row.get(column));
            let width = widths.map(|field| field.chars().count()).max().unwrap_or(0);
            let _ = write!(line, "{field:width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The two largest units, or tenths of a second.
fn span(millis: i64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if seconds < 10 {
        super::seconds(millis)
    } else if minutes == 0 {
        format!("{seconds} s")
    } else if hours == 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else if days == 0 {
        format!("{hours} h {} min", minutes % 60)
    } else {
        format!("{days} d {} h", hours % 24)
    }
}

pub(super) fn size(bytes: i64) -> String {
    if bytes < 1_000_000_000 {
        return format!("{:.1} MB", bytes as f64 / 1e6);
    }
    format!("{:.1} GB", bytes as f64 / 1e9)
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn nothing() -> String {
    "-".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_is_told_in_a_table() {
        let losses = json!({"network": 12, "card": 0, "viewer": 0, "malformed": 0, "undecodable": 0, "too_large": 3});
        let none = json!({"network": 0, "card": 0, "viewer": 0, "malformed": 0, "undecodable": 0, "too_large": 0});
        let status = json!({
            "version": "0.1.0", "uptime_s": 7380,
            "clock": {"now_ms": 1_795_336_213_000_i64, "trusted": true},
            "memory": {"rss_kb": 3277, "peak_kb": 3420},
            "storage": {
                "state": "ok", "reason": null, "path": "/mnt/mmcblk0p1/recordings",
                "free_bytes": 23_100_000_000_i64, "total_bytes": 59_500_000_000_i64,
                "segments": 123, "bytes": 512_000_000, "list_complete": false,
                "written_bytes": 202_300_000_000_i64, "write_p99_ms": 16, "aligned": false, "keeps_data": false
            },
            "cameras": [
                {"name": "yard", "state": "live", "since_ms": 1_795_336_200_000_i64, "codec": "h264", "width": 1920, "height": 1080,
                 "fps": 25.0, "kbit_s": 4012, "segment": 14, "recording_wanted": true, "days_fit": 13.04,
                 "durable_age_ms": 800, "losses": losses, "last_error": "frames of more than 1024 KB do not fit"},
                {"name": "gate-long", "state": "waiting", "since_ms": 1_795_336_212_500_i64, "codec": null, "segment": null,
                 "recording_wanted": true, "durable_age_ms": null, "losses": none,
                 "last_error": "nothing is listening on that port"},
            ]
        });
        assert_eq!(
            text(&status),
            "smolnvr 0.1.0, running for 2 h 3 min, 3.2 MB of memory\n\
             clock: 2026-11-22T08:30:13Z\n\
             card: ok, /mnt/mmcblk0p1/recordings, 23.1 GB of 59.5 GB free\n\
             recordings: 123, 512.0 MB so far; the card holds the last 13.0 days\n\
             wear: written over 3.4 times; 99 of 100 writes within 16 ms; partition not aligned to its blocks: format it again; it does not keep what is written: replace it\n\
             \n\
             CAMERA     STATE          VIDEO                                RECORDING  STORED     LOST\n\
             yard       live 13 s      h264 1920x1080 25.0 fps 4012 kbit/s  014.mp4    0.8 s ago  network 12, too large 3\n\
             gate-long  waiting 0.5 s  -                                    waiting    -          -\n\
             yard: frames of more than 1024 KB do not fit\n\
             gate-long: nothing is listening on that port\n"
        );
    }

    #[test]
    fn an_answer_that_lacks_everything_is_still_told() {
        assert!(text(&json!({})).ends_with("no camera is configured\n"));
        assert!(text(&json!({"cameras": [{}]})).contains("\n?       ?      -"));
        assert!(text(&json!([1])).starts_with("smolnvr ?"));
    }

    #[test]
    fn spans_and_sizes_are_short() {
        for (millis, told) in [
            (0, "0.0 s"),
            (9_940, "9.9 s"),
            (59_999, "59 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(millis), told);
        }
        assert_eq!((&*size(1_500_000), &*size(64_000_000_000)), ("1.5 MB", "64.0 GB"));
    }
}
