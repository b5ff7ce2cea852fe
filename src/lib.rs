//! smolnvr: an IP camera's RTSP stream in, MP4 files on an SD card out, on a board with 32 MB.
//!
//! # The line
//!
//! Bytes flow one way, through layers that import only upward in the list below (`ci/layers.sh`):
//!
//! ```text
//! camera ┬TCP─▶ rtsp::Session ─┬▶ rtp::Receiver ─▶ Depacketizer ─▶ media::Intake ─▶ media::Ring
//!        └UDP──────────────────┘  order, loss      access units    gate, times      (RAM)
//!
//! Ring ─▶ recorder::Recorder ─▶ storage::Card ─▶ storage::Segment ─▶ card
//!         fragments, cuts        (card thread)     one file
//!
//! segments ──▶ clip::Clip ──▶ one MP4 file, sent as it is made
//!          └─▶ hls ──▶ a playlist, and the segments in one time, as they lie
//!
//! Ring ──▶ web::Live (MP4, WebSocket), relay (RTSP) ──▶ viewers
//!
//! segments ──▶ archive::Errand ──HTTP──▶ WebDAV, S3     off unless archive.url is set
//!
//! camera ──HTTP, or RTP/JPEG──▶ camera::Snapshots      only while someone watches
//! Ring ──key frame──▶ still::Stills ──JPEG──┘          a process that makes it and exits
//!
//! marks, states, segments ──▶ daemon::tell ──▶ programs, a web server, MQTT ──▶ Home Assistant
//!
//! camera ──RTSP──▶ FFmpeg ─▶ card ─▶ storage::Card     engine = "ffmpeg": takes over its files
//! ```
//!
//! - **Values without IO.** Everything from `rtsp` to `recorder` is a value that takes bytes and
//!   the time and returns what to do; so is the card's logic. Sockets and clocks are in `camera`,
//!   `daemon` and the thread of `storage`, each small.
//! - **One ring per camera.** A frame is written once, into one allocation; the recorder and every
//!   viewer read it there by number. A reader that is overtaken continues at a key frame.
//! - **Sound beside it** (`audio = true`) takes the same path: `rtp::AudioDepacketizer`, a separate
//!   part of the ring, a second track in each fragment. `media::sync` places it on the video's time
//!   line.
//! - **Two threads of our own.** The main thread runs everything except the card; the card thread
//!   owns every media file, because a card can stall for seconds. Between them are bounded queues,
//!   and a fragment buffer that goes back and forth. `runtime` explains how a recorded frame costs
//!   less than one system call.
//! - **Other programs are children.** `process` starts them through our own binary, which ties them
//!   to our process and limits them; `ffmpeg` runs one FFmpeg that records one camera, and judges
//!   it by the data that became durable.
//! - **Files are the database.** Everything is in the files: their names, their numbers and a box
//!   of ours in each head.
//!
//! # Memory
//!
//! Every bound is named in `limits`. Memory used while one camera is recorded: the ring
//! (`buffer_kb`), a fragment buffer of 272 KB, an RTSP buffer of 132 KB, and 32 bytes per segment.

// The layers in order: a module imports only modules above it.
pub mod units;
pub mod limits;
pub mod bits;
pub mod http;
pub mod mqtt;
pub mod xml;
pub mod onvif;
pub mod sys;
pub mod clock;
pub mod zone;
pub mod logger;
pub mod runtime;
pub mod process;
pub mod tool;
pub mod codec;
#[cfg(feature = "pictures")]
pub mod picture;
pub mod rtp;
pub mod rtsp;
pub mod media;
pub mod motion;
pub mod still;
pub mod mp4;
pub mod clip;
pub mod hls;
pub mod storage;
pub mod config;
pub mod camera;
pub mod find;
pub mod recorder;
pub mod ffmpeg;
pub mod daemon;
pub mod web;
pub mod relay;
pub mod archive;
pub mod cli;
