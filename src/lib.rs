//! smolnvr: an IP camera's RTSP stream in, MP4 files on an SD card out, on a board with 32 MB.
//!
//! # The line
//!
//! Bytes flow one way, through layers that import only upward in the list below (`ci/layers.sh`):
//!
//! ```text
//! camera ┬TCP─▶ rtsp::Session ─┬▶ rtp::Receiver ─▶ rtp::Depacketizer ─▶ media::Intake ─▶ media::Ring
//!        └UDP──────────────────┘  order, loss      access units         gate, times      (RAM)
//!
//! Ring ─▶ recorder::Recorder ─▶ storage::Card ─▶ storage::Segment ─▶ card
//!         fragments, cuts        (card thread)     one file
//!
//! segments ──▶ clip::Clip ──▶ one MP4 file, handed out as it is made
//!          └─▶ hls ──▶ a playlist, and the segments in one time, as they lie
//!
//! Ring ──▶ web::Live (MP4, WebSocket), relay (RTSP) ──▶ viewers
//!
//! camera ──HTTP, or RTP/JPEG──▶ camera::Snapshots      only while somebody looks
//! Ring ──key frame──▶ still::Stills ──JPEG──┘          a process that makes it and exits
//!
//! camera ──RTSP──▶ FFmpeg ─▶ card ─▶ storage::Card     engine = "ffmpeg": takes up what it wrote
//! ```
//!
//! - **Values without IO.** Everything from `rtsp` to `recorder` is a value that is handed bytes and
//!   the time and answers what to do; so is the card's logic. Sockets and clocks are in `camera`,
//!   `daemon` and the thread of `storage`, each small.
//! - **One ring a camera.** A frame is written once, into one allocation; the recorder (and
//!   every viewer) reads it there by number. A reader that is overtaken goes on at a key frame.
//! - **Sound beside it** (`audio = true`) goes the same way: `rtp::AudioDepacketizer`, a part of the
//!   ring of its own, a second track in each fragment. `media::sync` puts it on the video's time line.
//! - **Two threads of ours.** The main thread runs everything but the card; the card thread owns
//!   every media file, because a card stalls for seconds. Between them are bounded queues, and two
//!   fragment buffers that go back and forth. The reactor has a third thread, which sleeps while no
//!   socket is waited for: see `runtime` for how that makes a recorded frame cost about one call.
//! - **Other programs are children.** `process` starts them by our own binary, which binds them to us
//!   and bounds them; `ffmpeg` has one record a camera, one at a time, and judges it by what became
//!   durable.
//! - **Files are the database.** A name, a number and a box of ours in each head say all.
//!
//! # Memory
//!
//! Every bound is named in `limits`. What is resident while one camera is recorded: the ring
//! (`buffer_kb`), two fragment buffers, one RTSP buffer of 68 KB, and 32 bytes a segment.

// The order of the layers: a module imports only what stands above it.
pub mod units;
pub mod limits;
pub mod bits;
pub mod http;
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
pub mod still;
pub mod mp4;
pub mod clip;
pub mod hls;
pub mod storage;
pub mod config;
pub mod camera;
pub mod recorder;
pub mod ffmpeg;
pub mod daemon;
pub mod web;
pub mod relay;
pub mod cli;
