//! What FFmpeg is told: those of the old system, in the words of the FFmpeg that is there.
//!
//! Spec: ffmpeg(1), ffmpeg-formats(1). Knows nothing of: processes.

use crate::{
    config::Transport,
    limits,
    process::Program,
    tool::{Address, Tool},
};

/// One recording.
pub(super) struct Job<'a> {
    /// With its password.
    pub url: &'a str,
    pub transport: Transport,
    pub segment_seconds: u64,
    /// Of the first file.
    pub number: u32,
    /// Of the files' names.
    pub pattern: &'a str,
}

/// The FFmpeg that does the job, in the folder that it is to write to.
pub(super) fn program(tool: &Tool, job: &Job) -> Program {
    Program::new(tool.path()).arguments(arguments(tool, job))
}

/// What its standard input is to say; empty where it has none.
pub(super) fn script(tool: &Tool, job: &Job) -> String {
    job.address().script(tool)
}

fn arguments(tool: &Tool, job: &Job) -> Vec<String> {
    let mut all: Vec<String> =
        ["-hide_banner", "-loglevel", "warning", "-nostats"].map(String::from).into();
    all.extend(job.address().arguments(tool));
    let mut put = |words: &[&str]| all.extend(words.iter().map(|&word| word.to_owned()));
    // Named, since FFmpeg chooses by the ending of the files' names. Times stay those of RTP: else it
    // counts them in frames where the stream names a rate.
    put(&["-map", "0:v:0", "-c", "copy", "-an", "-copytb", "1", "-avoid_negative_ts", "make_zero"]);
    // A remark that makes the head long enough for an index.
    put(&["-metadata", &format!("comment={}", ".".repeat(limits::FFMPEG_COMMENT_BYTES))]);
    put(&["-f", "segment", "-segment_time", &job.segment_seconds.to_string()]);
    // The first frame of a run has no time of its own with it, and all others are one frame early: a key
    // frame that is due is not to be missed by that.
    put(&["-segment_time_delta", "0.1"]);
    put(&["-segment_format", "mp4", "-segment_format_options", FRAGMENTED]);
    put(&["-reset_timestamps", "1", "-segment_start_number", &job.number.to_string()]);
    put(&[job.pattern]);
    all
}

impl Job<'_> {
    fn address(&self) -> Address<'_> {
        Address { url: self.url, transport: self.transport.name() }
    }
}

/// A fragment ends at a key frame, as the old system's did, or after a second: with it the head of a
/// recording is on the card before the first picture group ends. Without the flush 256 KB gather, which
/// a small stream takes half a minute for.
const FRAGMENTED: &str = "movflags=frag_keyframe+empty_moov+default_base_moof:frag_duration=1000000:flush_packets=1:video_track_timescale=90000";

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: Job = Job {
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
