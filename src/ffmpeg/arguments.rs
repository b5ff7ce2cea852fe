//! FFmpeg's command line: the options of the old scripts, spelled for the installed version.
//!
//! Spec: ffmpeg(1), ffmpeg-formats(1).

use crate::{
    config::Transport,
    limits,
    process::Program,
    tool::{Address, Tool},
};

/// One recording.
pub(super) struct FfmpegJob<'a> {
    /// Includes the password.
    pub url: &'a str,
    pub transport: Transport,
    pub segment_seconds: u64,
    /// The first file's number.
    pub number: u32,
    /// The pattern of the files' names.
    pub pattern: &'a str,
}

/// The program for `job`, to be run in the folder it writes to.
pub(super) fn program(tool: &Tool, job: &FfmpegJob) -> Program {
    Program::new(tool.path()).arguments(arguments(tool, job))
}

/// The text for its standard input, empty if it needs none.
pub(super) fn script(tool: &Tool, job: &FfmpegJob) -> String {
    job.address().script(tool)
}

fn arguments(tool: &Tool, job: &FfmpegJob) -> Vec<String> {
    let mut all: Vec<String> =
        ["-hide_banner", "-loglevel", "warning", "-nostats"].map(String::from).into();
    all.extend(job.address().arguments(tool));
    let mut put = |words: &[&str]| all.extend(words.iter().map(|&word| word.to_owned()));
    // `-f` is explicit because FFmpeg chooses the format by the file name's extension. `-copytb 1`
    // keeps the times of RTP; otherwise FFmpeg counts frames if the stream states a rate.
    put(&["-map", "0:v:0", "-c", "copy", "-an", "-copytb", "1", "-avoid_negative_ts", "make_zero"]);
    // A comment that makes the head long enough for an index.
    put(&["-metadata", &format!("comment={}", ".".repeat(limits::FFMPEG_COMMENT_BYTES))]);
    put(&["-f", "segment", "-segment_time", &job.segment_seconds.to_string()]);
    // The first frame of a run carries no time of its own, so all others are one frame early. The
    // delta keeps that from missing the key frame at which a segment should end.
    put(&["-segment_time_delta", "0.1"]);
    put(&["-segment_format", "mp4", "-segment_format_options", FRAGMENTED]);
    put(&["-reset_timestamps", "1", "-segment_start_number", &job.number.to_string()]);
    put(&[job.pattern]);
    all
}

impl FfmpegJob<'_> {
    fn address(&self) -> Address<'_> {
        Address { url: self.url, transport: self.transport.name() }
    }
}

/// A fragment ends at a key frame, as in the old system, or after a second, so that a recording's
/// head reaches the card before the first picture group ends. Without `flush_packets` FFmpeg
/// collects 256 KB, which takes half a minute with a small stream.
const FRAGMENTED: &str = "movflags=frag_keyframe+empty_moov+default_base_moof:frag_duration=1000000:flush_packets=1:video_track_timescale=90000";

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: FfmpegJob = FfmpegJob {
        url: "rtsp://admin:it's@camera/",
        transport: Transport::Tcp,
        segment_seconds: 60,
        number: 14,
        pattern: "%03d.new",
    };

    fn line(tool: &Tool) -> String {
        arguments(tool, &JOB).join(" ")
    }

    #[test]
    fn an_old_ffmpeg_is_told_what_the_old_system_told_it() {
        let line = line(&Tool::known(3, Some("stimeout")));
        let comment = ".".repeat(limits::FFMPEG_COMMENT_BYTES);
        assert_eq!(
            line.replace(&comment, "…"),
            "-hide_banner -loglevel warning -nostats -nostdin -rtsp_transport tcp -stimeout 5000000 \
             -fflags +genpts -i rtsp://admin:it's@camera/ -map 0:v:0 -c copy -an -copytb 1 -avoid_negative_ts make_zero \
             -metadata comment=… -f segment -segment_time 60 -segment_time_delta 0.1 -segment_format mp4 \
             -segment_format_options \
             movflags=frag_keyframe+empty_moov+default_base_moof:frag_duration=1000000:flush_packets=1:video_track_timescale=90000 \
             -reset_timestamps 1 -segment_start_number 14 %03d.new"
        );
        assert_eq!(script(&Tool::known(3, Some("stimeout")), &JOB), "");
    }

    #[test]
    fn a_newer_one_reads_the_address_where_nobody_else_does() {
        let tool = Tool::known(5, Some("timeout"));
        let line = line(&tool);
        assert!(!line.contains("admin") && !line.contains("camera"), "{line}");
        assert!(line.contains("-f concat -safe 0"));
        assert_eq!(
            script(&tool, &JOB),
            "ffconcat version 1.0\nfile 'rtsp://admin:it'\\''s@camera/'\n\
             option rtsp_transport tcp\noption timeout 5000000\n"
        );
    }
}
