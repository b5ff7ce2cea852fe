//! The targets, and how much each may take.

mod aac;
mod access;
mod audio_config;
mod config;
mod config_edit;
mod digest;
mod h264;
mod h265;
mod http_form;
mod identity;
mod intake;
mod jpeg;
mod jpeg_means;
mod latm;
mod marks;
mod mountinfo;
mod mp4_repair;
mod mp4_scan;
mod mqtt;
mod names;
mod onvif;
mod opus;
mod parameter_sets;
mod password;
mod range;
mod receiver;
mod rtcp;
mod rtp_packet;
mod rtsp_session;
mod sdp;
mod snapshot;
mod url;
mod websocket;
mod xml;

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
    Target::of("jpeg_means", jpeg_means::jpeg_means, 8, 128),
    Target::of("aac", aac::aac, 4, 1024).words(aac::WORDS),
    Target::of("latm", latm::latm, 4, 1024).words(latm::WORDS),
    Target::of("opus", opus::opus, 2, 1024),
    Target::of("parameter_sets", parameter_sets::parameter_sets, 8, 512),
    Target::of("audio_config", audio_config::audio_config, 1, 64),
    Target::of("intake", intake::intake, 4, 2048),
    Target::of("mp4_scan", mp4_scan::mp4_scan, 16, 256),
    Target::of("mp4_repair", mp4_repair::mp4_repair, 4, 256),
    Target::of("identity", identity::identity, 1, 16),
    Target::of("marks", marks::marks, 4, 256).words(marks::WORDS),
    Target::of("names", names::names, 1, 16).words(names::WORDS),
    Target::of("config", config::config, 8, 2048).words(config::WORDS),
    Target::of("config_edit", config_edit::config_edit, 8, 4096).words(config_edit::WORDS),
    Target::of("http_form", http_form::http_form, 8, 128).words(http_form::WORDS),
    Target::of("range", range::range, 1, 16).words(range::WORDS),
    Target::of("access", access::access, 4, 128).words(access::WORDS),
    Target::of("password", password::password, 1, 16).words(password::WORDS),
    Target::of("snapshot", snapshot::snapshot, 8, 2048).words(snapshot::WORDS),
    Target::of("mqtt", mqtt::mqtt, 2, 512),
    Target::of("websocket", websocket::websocket, 4, 128),
    Target::of("xml", xml::xml, 8, 256).words(xml::WORDS),
    Target::of("onvif", onvif::onvif, 8, 512).words(onvif::WORDS),
    Target::of("mountinfo", mountinfo::mountinfo, 2, 64).words(mountinfo::WORDS),
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
