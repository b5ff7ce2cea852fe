//! The end-to-end tests: a running smolnvr, a camera that plays clips, and what people do with
//! both.
//!
//! One program, a module a subject; `cargo test --test main exact::` runs one of them. `support` is
//! what they share. `day.rs` is a program of its own, since it looks at the memory of its own
//! process.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

mod access;
mod archive;
mod browsers;
mod card;
mod chromium;
mod clip;
mod clip_of_many;
mod commands;
mod conformance;
mod control;
mod crowd;
mod engines;
mod exact;
mod export;
mod faults;
mod ffmpeg;
mod find;
mod fleet;
mod gstreamer;
mod gstreamer_sound;
mod hls;
mod hostile;
mod hour;
mod index;
mod install;
mod keep;
mod lifecycle;
mod live;
mod marks;
mod motion;
mod mqtt;
mod openapi;
mod package;
mod page;
mod parameter_sets;
mod pictures;
mod previews;
mod process;
mod prometheus;
mod proxies;
mod quirks;
mod readme;
mod relay;
mod reload;
mod rights;
mod service;
mod settings;
mod sound;
mod strangers;
mod streams;
mod tell;
mod thin;
mod timeline;
mod times;
mod udp;
mod vlc;
mod web;
mod wishes;
