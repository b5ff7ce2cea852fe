//! The keys of each section, and the words of those settings that are one of a few.

use super::{
    Archive, Auth, Camera, Config, Engine, Ffmpeg, Hooks, Log, LogLevel, Marks, Motion, Mqtt, Rtsp,
    Storage, Transport, Web,
    setting::{Section, Setting, Take, word},
    told::Topic,
    toml::{Node, TomlError},
    values::UrlOrNone,
};
use crate::http::url::Target;
use serde_json::Value as Json;

impl Section for Config {
    fn each(&mut self, take: Take<'_>) {
        take("storage", &mut self.storage);
        take("camera", &mut self.camera);
        take("web", &mut self.web);
        take("rtsp", &mut self.rtsp);
        take("marks", &mut self.marks);
        take("hooks", &mut self.hooks);
        take("mqtt", &mut self.mqtt);
        take("archive", &mut self.archive);
        take("ffmpeg", &mut self.ffmpeg);
        take("log", &mut self.log);
    }
}

impl Section for Storage {
    fn each(&mut self, take: Take<'_>) {
        take("path", &mut self.path);
        take("require_mount", &mut self.require_mount);
        take("segment_seconds", &mut self.segment_seconds);
        take("keep_free_percent", &mut self.keep_free_percent);
        take("keep_days", &mut self.keep_days);
        take("thin_after_days", &mut self.thin_after_days);
        take("event_days", &mut self.event_days);
        take("sync_seconds", &mut self.sync_seconds);
    }
}

impl Section for Camera {
    fn each(&mut self, take: Take<'_>) {
        take("name", &mut self.name);
        take("label", &mut self.label);
        take("folder", &mut self.folder);
        take("url", &mut self.url);
        take("live_url", &mut UrlOrNone(&mut self.live_url, str::parse));
        take("transport", &mut self.transport);
        take("engine", &mut self.engine);
        take("audio", &mut self.audio);
        take("record", &mut self.record);
        take("buffer_kb", &mut self.buffer_kb);
        take("snapshot", &mut self.snapshot);
        take("snapshot_interval_ms", &mut self.snapshot_interval_ms);
        take("motion", &mut self.motion);
        take("motion_sensitivity", &mut self.motion_sensitivity);
        take("motion_mask", &mut self.motion_mask);
    }
}

impl Section for Web {
    fn each(&mut self, take: Take<'_>) {
        take("listen", &mut self.listen);
        take("auth", &mut self.auth);
        take("connections_max", &mut self.connections_max);
        take("hosts", &mut self.hosts);
    }
}

impl Section for Rtsp {
    fn each(&mut self, take: Take<'_>) {
        take("listen", &mut self.listen);
    }
}

impl Section for Marks {
    fn each(&mut self, take: Take<'_>) {
        take("before_seconds", &mut self.before_seconds);
        take("after_seconds", &mut self.after_seconds);
    }
}

impl Section for Hooks {
    fn each(&mut self, take: Take<'_>) {
        take("on_mark", &mut self.on_mark);
        take("on_segment", &mut self.on_segment);
        take("webhook", &mut UrlOrNone(&mut self.webhook, Target::http));
        take("webhook_segments", &mut self.webhook_segments);
    }
}

impl Section for Mqtt {
    fn each(&mut self, take: Take<'_>) {
        take("broker", &mut UrlOrNone(&mut self.broker, Target::mqtt));
        take("topic", &mut Topic(&mut self.topic));
        take("discovery", &mut Topic(&mut self.discovery));
    }
}

impl Section for Archive {
    fn each(&mut self, take: Take<'_>) {
        take("url", &mut self.url);
        take("marked_only", &mut self.marked_only);
        take("kb_per_second", &mut self.kb_per_second);
        take("region", &mut self.region);
    }
}

impl Section for Ffmpeg {
    fn each(&mut self, take: Take<'_>) {
        take("path", &mut self.path);
    }
}

impl Section for Log {
    fn each(&mut self, take: Take<'_>) {
        take("level", &mut self.level);
    }
}

/// A setting whose values are words.
macro_rules! words {
    ($type:ty, $($word:literal = $value:expr),+) => {
        impl Setting for $type {
            fn read(&mut self, node: &Node) -> Result<(), TomlError> {
                *self = node.choice(&[$(($word, $value)),+])?;
                Ok(())
            }

            fn shown(&self) -> Json {
                word(&[$(($word, $value)),+], self)
            }
        }
    };
}

words!(
    Motion,
    "off" = Motion::Off,
    "jpeg" = Motion::Jpeg,
    "majestic" = Motion::Majestic,
    "onvif" = Motion::Onvif
);
words!(Transport, "tcp" = Transport::Tcp, "udp" = Transport::Udp);
words!(Engine, "native" = Engine::Native, "ffmpeg" = Engine::Ffmpeg);
words!(Auth, "password" = Auth::Password, "none" = Auth::None);
words!(
    LogLevel,
    "error" = LogLevel(log::LevelFilter::Error),
    "warn" = LogLevel(log::LevelFilter::Warn),
    "info" = LogLevel(log::LevelFilter::Info),
    "debug" = LogLevel(log::LevelFilter::Debug)
);
