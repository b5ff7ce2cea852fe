//! Every bound of the program, each with its reason; the sum of what is resident is asserted below.
//!
//! Bytes unless the name says otherwise. A queue's bound comes with what happens when it is full.

use std::{num::NonZero, time::Duration};

const KIB: usize = 1024;

// --- rtsp -----------------------------------------------------------------------------------

/// One `$` block holds at most 65,535 bytes behind its 4 (RFC 2326 §10.12); a gulp fits beside it.
pub const RTSP_BUFFER_BYTES: usize = 68 * KIB;
/// Header part of an RTSP message; real ones stay under 2 KB. More is an error.
pub const RTSP_HEADER_BYTES_MAX: usize = 8 * KIB;
/// An SDP; real ones stay under 4 KB. More is an error.
pub const RTSP_BODY_BYTES_MAX: usize = 16 * KIB;
/// Header fields of one message. More is an error.
pub const RTSP_HEADERS_MAX: usize = 64;
/// Bytes in a row that are neither a message nor a `$` block; two of the largest blocks cut short.
/// More is an error.
pub const RTSP_JUNK_BYTES_MAX: usize = 128 * KIB;
/// `m=` sections that are looked at; further ones are ignored.
pub const SDP_MEDIA_MAX: usize = 16;
/// One TCP connect; a camera that is there answers in milliseconds.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// One RTSP reply. Cameras that wake an encoder take 3 s.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to reach a camera.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// After 401 the interval doubles up to this: cameras lock accounts.
pub const RETRY_INTERVAL_UNAUTHORIZED_MAX: Duration = Duration::from_secs(60);
/// Session timeout where the camera names none (RFC 2326 §12.37).
pub const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// No frame for so long while playing: the connection counts as dead.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// Receive buffer of a camera's socket as asked for (the kernel doubles it for its own use): a gulp
/// and a key frame's burst.
pub const CAMERA_RECEIVE_BYTES: usize = 128 * KIB;
/// What may gather in the socket before it is read, while nobody watches …
pub const GULP_BYTES: usize = 56 * KIB;
/// … and how long.
pub const GULP_INTERVAL_MAX: Duration = Duration::from_millis(100);
pub const GULP_INTERVAL_MIN: Duration = Duration::from_millis(5);
/// How long TEARDOWN may take before the socket is simply closed.
pub const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(500);

// --- codec, rtp -----------------------------------------------------------------------------

/// One SPS, PPS or VPS; real ones stay under 200 bytes. A longer one is ignored.
pub const PARAMETER_SET_BYTES_MAX: usize = 4 * KIB;
/// Parameter sets of one kind (H.264 allows 32 SPS and 256 PPS); further ones are ignored.
pub const PARAMETER_SETS_MAX: usize = 16;
/// Packets that wait for a missing one over UDP; then the missing one is lost.
pub const REORDER_PACKETS_MAX: usize = 32;
/// How long they wait.
pub const REORDER_DELAY_MAX: Duration = Duration::from_millis(200);
/// Payload of a packet that may wait; no Ethernet frame holds more. For a larger one what is missing
/// is given up at once.
pub const REORDER_PACKET_BYTES_MAX: usize = 2 * KIB;

// --- media ----------------------------------------------------------------------------------

/// Frames that a ring lists at most, whatever their size: 80 s at 25 fps.
pub const RING_FRAMES_MAX: usize = 2048;
/// Pictures that H.264 and H.265 allow to be reordered (MaxDpbFrames).
pub const REORDER_FRAMES_MAX: usize = 16;

// --- mp4, recorder --------------------------------------------------------------------------

/// A fragment ends after so much media (a larger frame is a fragment of its own) …
pub const FRAGMENT_BYTES_MAX: usize = 256 * KIB;
/// … or after so many ticks (1 s) …
pub const FRAGMENT_TICKS_MAX: i64 = 90_000;
/// … or after so many frames, which bounds its `trun`.
pub const FRAGMENT_FRAMES_MAX: usize = 256;
/// Entries that the reserved room in front of a segment holds: a key frame a second for 4 min;
/// longer segments merge neighbours.
pub const INDEX_ENTRIES_MAX: usize = 240;
/// A segment ends here whatever comes; FAT32 would end it at 4 GiB.
pub const SEGMENT_BYTES_MAX: u64 = 2 << 30;

/// At start-up the NAL units in so much of an unclosed file's end are looked at: a power cut garbles
/// what was not durable, 8 s of it at 16 Mbit/s.
pub const REPAIR_TAIL_BYTES: u64 = 16 << 20;

// --- storage --------------------------------------------------------------------------------

/// Fragments on their way to the card, over all cameras; the recorder waits when they are out and the ring fills.
pub const FRAGMENT_BUFFERS: usize = 2;
/// Commands that wait for the card; more are given back to whoever sends them.
pub const CARD_COMMANDS_MAX: usize = 32;
/// Events of the card that are not yet read; the card thread waits.
pub const CARD_EVENTS_MAX: usize = 64;
/// A card that is well is looked at again after this: it may be pulled while nothing is written.
pub const CARD_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A card that failed counts as well again when nothing fails for so long and nothing is written.
pub const CARD_FAILING_INTERVAL: Duration = Duration::from_secs(10);
/// That hour.
pub const REMOUNT_PERIOD: Duration = Duration::from_secs(3600);
/// How often the lock file of an upgrade is looked for.
pub const LOCK_FILE_INTERVAL: Duration = Duration::from_secs(1);
/// Tries to create one segment, each with a recording less (a full folder may need some in a row).
pub const CARD_OPEN_TRIES_MAX: usize = 4;
/// Recordings that go before one segment is opened or one fragment written; the rest goes later.
pub const CARD_DELETIONS_AT_ONCE_MAX: usize = 64;
/// Between two steps of what can wait (reading a head, deleting one more): leaves the processor alone.
pub const CARD_STEP_INTERVAL: Duration = Duration::from_millis(20);
/// How often room and age are looked at.
pub const CARD_ROOM_INTERVAL: Duration = Duration::from_secs(60);
/// The first statvfs of a card where nothing is recorded; it can take seconds.
pub const CARD_ROOM_DELAY: Duration = Duration::from_secs(10);
/// What a fragment buffer keeps when it comes back: a full fragment and its header.
pub const FRAGMENT_BUFFER_BYTES: usize = FRAGMENT_BYTES_MAX + 16 * KIB;
/// Threads for name resolution and small files; the pool would else grow to 500.
pub const BLOCKING_THREADS_MAX: NonZero<usize> = NonZero::new(2).expect("is not zero");
/// Stack of the card thread.
pub const CARD_THREAD_STACK_BYTES: usize = 64 * KIB;
/// Recordings in one folder: FAT holds 32,767 names of ours.
pub const RECORDINGS_PER_FOLDER_MAX: usize = 30_000;
/// A card in trouble is looked at again after this.
pub const CARD_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Remounts of a card that turned read-only, an hour.
pub const CARD_REMOUNTS_PER_HOUR_MAX: usize = 3;
/// A released card is taken back by itself after this.
pub const CARD_RELEASE_MAX: Duration = Duration::from_secs(600);
/// Room that is taken ahead of a segment whose size is not yet known, and step of its growth.
pub const ALLOCATION_STEP_BYTES: u64 = 8 << 20;
/// How long an orderly end waits for a stalled card.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
