//! Links: the addresses by which other programs show the cameras, as a page to copy from.
//!
//! Plain HTML with neither script nor image, so that the recorder's own page does not grow.
//! Spec: docs/configuration.md, "Streams for other programs".
//! Knows nothing of: sockets.

use super::{
    Web,
    answer::{Answer, Body},
};
use crate::{config, http::request::Head, units::WallTime};
use std::fmt::{self, Write as _};

/// What the addresses consist of.
struct Links<'a> {
    /// As the browser calls this machine, with its port.
    host: &'a str,
    config: &'a config::Config,
    now: WallTime,
}

impl Web {
    /// `GET /links`.
    pub(super) fn links(&self, head: &Head<'_>) -> Answer {
        let (host, now) = (head.field("host").unwrap_or("recorder"), self.daemon.clock.now());
        let links = Links { host, config: &self.daemon.config.borrow(), now };
        let bytes = links.page().into_bytes().into();
        Answer::new(200, Body::Bytes { kind: "text/html; charset=utf-8", bytes })
            .with("Cache-Control", "no-store")
    }
}

impl Links<'_> {
    fn page(&self) -> String {
        let mut out = String::from(HEAD);
        if self.user().is_empty() {
            out.push_str("<p>Click on an address to select it.</p>");
        } else {
            out.push_str(PASSWORD);
        }
        // Writing to a String cannot fail.
        for camera in self.config.camera.iter() {
            let _ = self.write_camera(camera, &mut out);
        }
        if self.config.rtsp.listen.is_none() {
            out.push_str(RTSP_IS_OFF);
        } else if !self.config.camera.is_empty() {
            let _ = self.write_recipes(&mut out);
        }
        out + "</main>\n"
    }

    fn write_camera(&self, camera: &config::Camera, out: &mut String) -> fmt::Result {
        let name = camera.name.as_str();
        write!(out, "<h2>{}</h2><dl>", Text(camera.label()))?;
        let mut line = |what, address: String| {
            write!(out, "<dt>{what}</dt><dd><code>{}</code></dd>", Text(&address))
        };
        if let Some(address) = self.rtsp(name) {
            line("RTSP", address.clone())?;
            if camera.live_url.is_some() {
                line("RTSP, smaller", address + "/live")?;
            }
        }
        let http = |path: String| ["http://", self.user(), self.host, &path].concat();
        line("Live, MP4", http(format!("/live/{name}.mp4")))?;
        let hour_ago = self.now.0.saturating_sub(3_600_000);
        line("Since an hour ago, HLS", http(format!("/hls/{name}.m3u8?from={hour_ago}")))?;
        line("Picture", http(format!("/snapshot/{name}.jpg")))?;
        out.write_str("</dl>\n")
    }

    /// What to write into other programs.
    fn write_recipes(&self, out: &mut String) -> fmt::Result {
        out.write_str(
            "<h2>VLC, mpv, ffplay</h2><p>Open the RTSP address; where VLC was built without RTSP, \
             as in Debian, open Live, MP4.</p>\n<h2>go2rtc</h2><pre>streams:",
        )?;
        for camera in self.config.camera.iter() {
            let name = camera.name.as_str();
            write!(out, "\n  {name}: {}", Text(&self.rtsp(name).unwrap_or_default()))?;
        }
        out.write_str("</pre>\n<h2>Frigate</h2><pre>cameras:")?;
        for camera in self.config.camera.iter() {
            let name = camera.name.as_str();
            let rtsp = self.rtsp(name).unwrap_or_default();
            let rtsp = Text(&rtsp);
            write!(out, "\n  {name}:\n    ffmpeg:\n      inputs:")?;
            let mut input = |end, roles| {
                write!(out, "\n        - path: {rtsp}{end}\n          roles: [{roles}]")
            };
            if camera.live_url.is_some() {
                input("/live", "detect")?;
                input("", "record")?;
            } else {
                input("", "detect, record")?;
            }
        }
        out.write_str(
            "</pre>\n<h2>Home Assistant</h2><p>Add the integration Generic Camera: RTSP as the \
             stream source, Picture as the still image, TCP, Basic.</p>\n",
        )
    }

    fn rtsp(&self, camera: &str) -> Option<String> {
        let port = self.config.rtsp.listen?.port();
        // A port follows the last colon, unless that is part of an IPv6 address.
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => self.host,
        };
        Some(format!("rtsp://{}{host}:{port}/{camera}", self.user()))
    }

    fn user(&self) -> &'static str {
        match self.config.web.auth {
            config::Auth::Password => "x:PASSWORD@",
            config::Auth::None => "",
        }
    }
}

/// Text inside an element.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|it| match it {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            it => f.write_char(it),
        })
    }
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
    <meta name=\"color-scheme\" content=\"dark light\"><title>Links</title>\
    <link rel=\"stylesheet\" href=\"/style.css\">\n\
    <main class=\"links\"><h1>Links</h1><p><a href=\"/\">Back to the recorder</a></p>\n";
const PASSWORD: &str = "<p>Click on an address to select it. Write the page’s password for PASSWORD, \
    special characters percent-encoded; the user name does not matter.</p>\n";
const RTSP_IS_OFF: &str = "<h2>RTSP</h2><p>Most other programs want RTSP, which is off. Write this into \
    smolnvr.toml:</p><pre>[rtsp]\nlisten = \"0.0.0.0:8554\"</pre>\n";

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[[camera]]\nname = \"yard\"\nlabel = \"Back <yard> & barn\"\n\
        url = \"rtsp://admin:hunter2@192.168.1.20/\"\nlive_url = \"rtsp://192.168.1.20/2\"\n\
        [[camera]]\nname = \"door\"\nurl = \"rtsp://192.168.1.21/\"\n";

    fn page(more: &str, host: &str) -> String {
        let config = config::Config::parse(&[CONFIG, more].concat(), "test".as_ref()).unwrap();
        Links { host, config: &config, now: WallTime(1_795_336_213_000) }.page()
    }

    #[test]
    fn every_address_is_there_and_no_password_of_a_camera() {
        let page = page("[rtsp]\nlisten = \"0.0.0.0:8554\"\n", "nvr.lan:8080");
        for address in [
            "rtsp://x:PASSWORD@nvr.lan:8554/yard<",
            "rtsp://x:PASSWORD@nvr.lan:8554/yard/live<",
            "http://x:PASSWORD@nvr.lan:8080/live/yard.mp4<",
            "http://x:PASSWORD@nvr.lan:8080/hls/yard.m3u8?from=1795332613000<",
            "http://x:PASSWORD@nvr.lan:8080/snapshot/yard.jpg<",
            "<h2>Back &lt;yard> &amp; barn</h2>",
            "<pre>streams:\n  yard: rtsp://x:PASSWORD@nvr.lan:8554/yard\n  door: ",
            "- path: rtsp://x:PASSWORD@nvr.lan:8554/yard/live\n",
            "- path: rtsp://x:PASSWORD@nvr.lan:8554/door\n          roles: [detect, record]<",
        ] {
            assert!(page.contains(address), "{address}: {page}");
        }
        assert!(!page.contains("hunter2") && !page.contains("192.168"), "{page}");
    }

    #[test]
    fn without_rtsp_it_says_how_to_have_it_and_without_a_password_there_is_none() {
        let page = page("[web]\nauth = \"none\"\n", "[fe80::1]");
        assert!(page.contains("listen = \"0.0.0.0:8554\"") && !page.contains("rtsp://"), "{page}");
        assert!(page.contains("http://[fe80::1]/live/yard.mp4") && !page.contains('@'), "{page}");
    }

    #[test]
    fn the_host_of_rtsp_is_that_of_the_page_without_its_port() {
        for (host, rtsp) in [
            ("192.168.1.5:8080", "rtsp://192.168.1.5:8554/yard"),
            ("nvr", "rtsp://nvr:8554/yard"),
            ("[fe80::1]", "rtsp://[fe80::1]:8554/yard"),
            ("[fe80::1]:8080", "rtsp://[fe80::1]:8554/yard"),
        ] {
            let more = "[web]\nauth = \"none\"\n[rtsp]\nlisten = \"0.0.0.0:8554\"\n";
            let page = page(more, host);
            assert!(page.contains(rtsp), "{rtsp}: {page}");
        }
    }
}
