//! A camera's address, passed to FFmpeg: through a pipe if this FFmpeg can read it there, because
//! arguments are visible in `ps`.
//!
//! Spec: ffmpeg(1), ffmpeg-formats(1), ffmpeg-protocols(1).

use super::Tool;
use crate::limits;

/// The input for FFmpeg.
pub struct Address<'a> {
    /// Includes the password.
    pub url: &'a str,
    /// `tcp` or `udp`.
    pub transport: &'static str,
}

impl Address<'_> {
    /// Returns the text for FFmpeg's standard input, empty if it needs none.
    pub fn script(&self, tool: &Tool) -> String {
        if tool.shows_address() {
            return String::new();
        }
        // Within quotes only the quote itself is special.
        let url = self.url.replace('\'', r"'\''");
        let mut script = format!("ffconcat version 1.0\nfile '{url}'\n");
        for (option, value) in self.options(tool) {
            script += &format!("option {option} {value}\n");
        }
        script
    }

    /// Returns the arguments up to and including the input.
    pub fn arguments(&self, tool: &Tool) -> Vec<String> {
        let mut all = Vec::new();
        let mut put = |words: &[&str]| all.extend(words.iter().map(|&word| word.to_owned()));
        if tool.shows_address() {
            put(&["-nostdin"]);
            for (option, value) in self.options(tool) {
                put(&[&format!("-{option}"), &value]);
            }
            put(&["-fflags", "+genpts", "-i", self.url]);
        } else {
            put(&["-fflags", "+genpts", "-f", "concat", "-safe", "0"]);
            put(&["-protocol_whitelist", "pipe,rtsp,rtp,tcp,udp", "-i", "pipe:0"]);
        }
        all
    }

    /// Options of the RTSP demuxer.
    fn options(&self, tool: &Tool) -> Vec<(&'static str, String)> {
        let mut options = vec![("rtsp_transport", self.transport.to_owned())];
        if let Some(timeout) = tool.timeout_option() {
            options.push((timeout, limits::FFMPEG_SOCKET_TIMEOUT.as_micros().to_string()));
        }
        options
    }
}
