//! The targets, and how much each may take.

mod aac;
mod digest;
mod h264;
mod h265;
mod jpeg;
mod latm;
mod opus;
mod receiver;
mod rtcp;
mod rtp_packet;
mod rtsp_session;
mod sdp;
mod url;

use crate::Target;

const KIB: usize = 1024;

pub static TARGETS: &[Target] = &[
    Target::of("rtsp_session", rtsp_session::rtsp_session, 8, 1024).words(rtsp_session::WORDS),
    Target::of("sdp", sdp::sdp, 16, 2048).words(sdp::WORDS),
    Target::of("url", url::url, 2, 64).words(url::WORDS),
    Target::of("digest", digest::digest, 4, 64).words(digest::WORDS),
    Target::of("rtp_packet", rtp_packet::rtp_packet, 2, 16),
    Target::of("rtcp", rtcp::rtcp, 2, 64),
    Target::of("receiver", receiver::receiver, 2, 512),
    Target::of("h264", h264::h264, 8, 512),
    Target::of("h265", h265::h265, 8, 512),
    Target::of("jpeg", jpeg::jpeg, 4, 4096),
    Target::of("aac", aac::aac, 4, 1024).words(aac::WORDS),
    Target::of("latm", latm::latm, 4, 1024).words(latm::WORDS),
    Target::of("opus", opus::opus, 2, 1024),
];

impl Target {
    /// Bounds in KiB.
    const fn of(name: &'static str, run: fn(&[u8]), input: usize, memory: usize) -> Target {
        let (input_bytes_max, memory_bytes_max) = (input * KIB, memory * KIB);
        Target { name, run, words: &[], input_bytes_max, memory_bytes_max }
    }

    const fn words(mut self, words: &'static [&'static str]) -> Target {
        self.words = words;
        self
    }
}
