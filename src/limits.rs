//! Every bound of the program, each with its reason; the sum of what is resident is asserted below.
//!
//! In the order of the layers. Bytes unless the name says otherwise. A queue's bound comes with what
//! happens when it is full.

use crate::units::Ticks;
use std::time::Duration;

const KIB: usize = 1024;

// --- logger ---------------------------------------------------------------------------------

/// One line: with its prefix it fits a syslog datagram (1,024 bytes, RFC 3164 §4.1) and a pipe's
/// atomic write. The rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 900;
/// Lines of one kind and camera in a period; more are counted. The boards' log holds 16 to 200 KB: what one
/// camera says must not push out the rest.
pub const LOG_REPEATS_MAX: u32 = 10;
pub const LOG_REPEATS_PERIOD: Duration = Duration::from_secs(60);
/// Kinds that are counted; the one whose period began first is forgotten.
pub const LOG_KINDS_MAX: usize = 64;

// --- zone -----------------------------------------------------------------------------------

/// Changes of local time that somebody may say: two a year for four years.
pub const ZONE_CHANGES_MAX: usize = 8;
/// A compiled zone file; the largest has 4 KB. The rest is left.
pub const ZONE_FILE_BYTES_MAX: u64 = 64 << 10;

// --- runtime --------------------------------------------------------------------------------

/// Threads that wait for name servers and small files: cameras whose names are looked up in vain, all of
/// them, leave some to the page.
pub const WORKERS_MAX: usize = CAMERAS_MAX + 4;
/// What one may use; of that a password or a name takes some 10 KB.
pub const WORKER_STACK_BYTES: usize = 256 * KIB;

// --- process --------------------------------------------------------------------------------

/// Lines that are kept of what a child says …
pub const PROCESS_LOG_LINES_MAX: usize = 8;
/// … and of each: an error with an address in it …
pub const PROCESS_LOG_LINE_BYTES_MAX: usize = 300;
/// … of which so much is looked at first, since secrets in it may be long.
pub const PROCESS_LOG_RAW_BYTES_MAX: usize = 2 * KIB;
/// How long a child's last words are waited for once it has ended: they are in the pipe.
pub const PROCESS_LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a child may take to end in order; FFmpeg takes milliseconds, and a card that stalls 2 s.
pub const PROCESS_STOP_TIMEOUT: Duration = Duration::from_secs(2);

// --- codec, rtp -----------------------------------------------------------------------------

/// One SPS, PPS or VPS; real ones stay under 200 bytes. A longer one is ignored.
pub const PARAMETER_SET_BYTES_MAX: usize = 4 * KIB;
/// All parameter sets of a stream (H.264 allows 32 SPS and 256 PPS, which have 4 KB together); the one
/// that changed longest ago makes way.
pub const PARAMETER_SETS_BYTES_MAX: usize = 32 * KIB;
/// Parameter sets that kept still for so many pictures (a minute) may begin a file when they change, since
/// not every player reads them in samples; sooner, a camera would make a file of every picture group.
pub const PARAMETER_SETS_STILL_PICTURES: u32 = 1500;
/// Parameter sets that one parameter of an SDP is read for: all ids of SPS and PPS. Further ones are
/// ignored.
pub const SDP_PARAMETER_SETS_MAX: usize = 32 + 256;
/// An AudioSpecificConfig; real ones have 2 to 7 bytes. A longer one is refused.
pub const AUDIO_CONFIGURATION_BYTES_MAX: usize = 64;
/// One frame of sound; AAC has at most 6,144 bits a channel, Opus 1,275 bytes. A longer one is dropped.
pub const AUDIO_FRAME_BYTES_MAX: usize = 8 * KIB;
/// Packets that wait for a missing one over UDP; then the missing one is lost.
pub const REORDER_PACKETS_MAX: usize = 32;
/// How long they wait.
pub const REORDER_DELAY_MAX: Duration = Duration::from_millis(200);
/// Payload of a packet that may wait; no Ethernet frame holds more. For a larger one what is missing
/// is given up at once.
pub const REORDER_PACKET_BYTES_MAX: usize = 2 * KIB;

// --- http -----------------------------------------------------------------------------------

/// Head of a message from a camera, HTTP or RTSP; real ones stay under 2 KB. More is an error.
pub const HEAD_BYTES_MAX: usize = 8 * KIB;
/// Header fields of one message from a camera. More is an error.
pub const HEAD_FIELDS_MAX: usize = 64;

// --- rtsp -----------------------------------------------------------------------------------

/// One `$` block holds at most 65,535 bytes behind its 4 (RFC 2326 §10.12); a gulp fits beside it.
pub const RTSP_BUFFER_BYTES: usize = 68 * KIB;
/// An SDP; real ones stay under 4 KB. More is an error.
pub const RTSP_BODY_BYTES_MAX: usize = 16 * KIB;
/// Bytes in a row that are neither a message nor a `$` block; two of the largest blocks cut short.
/// More is an error.
pub const RTSP_JUNK_BYTES_MAX: usize = 128 * KIB;
/// `m=` sections that are looked at; further ones are ignored.
pub const SDP_MEDIA_MAX: usize = 16;
/// Tracks that are set up: video and its sound.
pub const TRACKS_MAX: usize = 2;
/// One RTSP reply. Cameras that wake an encoder take 3 s. What is waited while a session is opened grows
/// from here: [`PATIENCE`].
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages of a server that nobody asked for within [`CHATTER_INTERVAL`]; some ask whether we live every
/// few seconds. More is an error: each costs time of the processor.
pub const CHATTER_MESSAGES_MAX: u32 = 256;
pub const CHATTER_INTERVAL: Duration = Duration::from_secs(10);
/// Session timeout where the camera names none (RFC 2326 §12.37).
pub const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How long TEARDOWN may take before the socket is simply closed.
pub const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(500);

// --- media ----------------------------------------------------------------------------------

/// Frames that a ring lists at most, whatever their size: 80 s at 25 fps.
pub const RING_FRAMES_MAX: usize = 2048;
/// Parameter sets of all frames that a ring lists: many hundreds of the usual 100 bytes. Where they change so
/// often that they take more, the oldest frames make way.
pub const RING_PARAMETER_SETS_BYTES_MAX: usize = 64 * KIB;
/// A ring that is too small for a frame grows: while the frame comes to no more than this, since it may
/// have no end …
pub const RING_BYTES_AT_ONCE_MAX: usize = 4 << 20;
/// … and once it has ended to twice its size, for the next one, as large as `buffer_kb` can make it …
pub const RING_BYTES_MAX: usize = 64 << 20;
/// … and each time to no more than one part in so many of the memory that is free. A board with 32 MB has
/// none to spare.
pub const RING_MEMORY_PART: u64 = 8;
/// Of a ring with sound, one part in so many is the sound's: 4 Mbit/s of video, 256 kbit/s of sound …
pub const AUDIO_RING_PART: usize = 16;
/// … and it needs no more than this: a minute at 64 kbit/s.
pub const AUDIO_RING_BYTES_MAX: usize = 512 * KIB;
/// Frames of sound that a ring lists at most: 21 s of AAC at 48 kHz.
pub const AUDIO_RING_FRAMES_MAX: usize = 1024;
/// Pictures that H.264 and H.265 allow to be reordered (MaxDpbFrames).
pub const REORDER_FRAMES_MAX: usize = 16;
/// What a server kept of the last seconds comes at once after PLAY: for so long at most it is not yet
/// decided when the run began.
pub const BURST_TIMEOUT: Duration = Duration::from_secs(4);

// --- mp4 ------------------------------------------------------------------------------------

/// A fragment ends after so much media (a larger frame is a fragment of its own) …
pub const FRAGMENT_BYTES_MAX: usize = 256 * KIB;
/// … or after so many ticks (1 s) …
pub const FRAGMENT_TICKS_MAX: i64 = 90_000;
/// … or after so many frames, which bounds its `trun`.
pub const FRAGMENT_FRAMES_MAX: usize = 256;
/// Sound in a fragment, of its [`FRAGMENT_BYTES_MAX`]: 256 kbit/s for as long as it lasts. The rest goes
/// into the next one …
pub const AUDIO_FRAGMENT_BYTES_MAX: usize = 32 * KIB;
/// … and so does what is more than this: Opus may have 400 frames a second, real ones have 50.
pub const AUDIO_FRAGMENT_FRAMES_MAX: usize = 256;
/// Entries that the reserved room in front of a segment holds: a key frame a second for 4 min;
/// longer segments merge neighbours.
pub const INDEX_ENTRIES_MAX: usize = 240;
/// A segment ends here whatever comes; FAT32 would end it at 4 GiB.
pub const SEGMENT_BYTES_MAX: u64 = 2 << 30;

// --- storage --------------------------------------------------------------------------------

/// Stack of the card thread.
pub const CARD_THREAD_STACK_BYTES: usize = 64 * KIB;
/// Commands that wait for the card; more are given back to whoever sends them.
pub const CARD_COMMANDS_MAX: usize = 32;
/// Events of the card that are not yet read; the card thread waits.
pub const CARD_EVENTS_MAX: usize = 64;
/// A card in trouble is looked at again, and a segment tried again, after this.
pub const CARD_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// A card that is well is looked at again after this: it may be pulled while nothing is written.
pub const CARD_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A card that failed counts as well again when nothing fails for so long and nothing is written.
pub const CARD_FAILING_INTERVAL: Duration = Duration::from_secs(10);
/// Files of a camera that were given up over an error and are not yet mended, of which it is known how
/// much is durable; while the card fails, few come to be.
pub const GIVEN_UP_MAX: usize = 16;
/// Remounts of a card that turned read-only, an hour.
pub const CARD_REMOUNTS_PER_HOUR_MAX: usize = 3;
/// That hour.
pub const REMOUNT_PERIOD: Duration = Duration::from_secs(3600);
/// A released card is taken back by itself after this.
pub const CARD_RELEASE_MAX: Duration = Duration::from_secs(600);
/// How often the lock file of an upgrade is looked for.
pub const LOCK_FILE_INTERVAL: Duration = Duration::from_secs(1);
/// Recordings in one folder on FAT, which holds 32,767 names of ours.
pub const FAT_RECORDINGS_MAX: usize = 30_000;
/// Recordings in one folder elsewhere: 8 MB of list, which only a machine with more than a board's memory has.
pub const RECORDINGS_LISTED_MAX: usize = 250_000;
/// Folders in the storage path that are looked at for what a former camera left; more are foreign.
pub const FORMER_FOLDERS_MAX: usize = 64;
/// Newest heads of such a folder that are read before anything else is known, to learn whose it is.
pub const FORMER_HEADS_MAX: usize = 3;
/// Tries to create one segment, each with a recording less (a full folder may need some in a row).
pub const CARD_OPEN_TRIES_MAX: usize = 4;
/// Recordings that go before one segment is opened or one fragment written; the rest goes later.
pub const CARD_DELETIONS_AT_ONCE_MAX: usize = 64;
/// Between two steps of what can wait (reading a head, deleting one more): leaves the processor
/// alone.
pub const CARD_STEP_INTERVAL: Duration = Duration::from_millis(20);
/// Boxes of a file that are passed to learn its length: 512 fragments, or half a second of reading. FFmpeg
/// cuts a minute into some 30.
pub const LENGTH_BOXES_MAX: u32 = 1024;
/// A larger `moof` does not tell a length; one of a minute has 30 KB.
pub const MOOF_BYTES_MAX: u64 = 256 * 1024;
/// Of what recordings may fill, the share that may be kept for good: the rest is recorded over.
pub const KEPT_PERCENT_MAX: u64 = 50;
/// Recordings that are kept, released or deleted by one wish: a day of segments of a minute.
pub const SPAN_SEGMENTS_MAX: usize = 1500;
/// How often room and age are looked at.
pub const CARD_ROOM_INTERVAL: Duration = Duration::from_secs(60);
/// The first statvfs of a card where nothing is recorded; it can take seconds.
pub const CARD_ROOM_DELAY: Duration = Duration::from_secs(10);
/// Room that is taken ahead of a segment whose size is not yet known, and step of its growth.
pub const ALLOCATION_STEP_BYTES: u64 = 8 << 20;
/// At start-up the NAL units in so much of an unclosed file's end are looked at: a power cut garbles
/// what was not durable, 8 s of it at 16 Mbit/s.
pub const REPAIR_TAIL_BYTES: u64 = 16 << 20;

/// How often what another program writes is looked at.
pub const STAGED_LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Files of it that are taken up in one look; there are more only where the card stalled for minutes.
pub const STAGED_FILES_MAX: usize = 16;

/// Stack of the thread that reads recordings for people.
pub const READER_THREAD_STACK_BYTES: usize = 64 * KIB;
/// Reads that wait for it: more than there are connections that carry media. More are refused.
pub const READER_JOBS_MAX: usize = 32;

// --- storage: what was recorded when ----------------------------------------------------------

/// Recordings that lie less than so many milliseconds apart are one span: a file begins where the one before
/// ends, but for what a clock is set by.
pub const COVERAGE_JOIN_MS: i64 = 2000;
/// Spans of a day in one answer: with the gaps between them 2 KB …
pub const COVERAGE_SPANS_PER_DAY: usize = 20;
/// … and of more than a week: 16 KB.
pub const COVERAGE_SPANS_MAX: usize = 160;
/// Days of which spans are told at a time.
pub const COVERAGE_DAYS_MAX: i64 = 32;
/// Days of which sums are told at a time: more than a year.
pub const DAYS_MAX: i64 = 400;

// --- recorder -------------------------------------------------------------------------------

/// Segments shorter than [`SHORT_SEGMENT_TICKS`] that a camera may make in a row; more of its frames are
/// dropped …
pub const SHORT_SEGMENTS_AT_ONCE_MAX: u32 = 15;
/// … but for one more after each of these: at most 30 in any minute.
pub const SHORT_SEGMENT_INTERVAL: Duration = Duration::from_secs(4);
/// 2 s, the shortest that `segment_seconds` may ask for.
pub const SHORT_SEGMENT_TICKS: Ticks = Ticks::from_seconds(2);

// --- config ---------------------------------------------------------------------------------

/// The configuration's file; the shipped one has 3 KB. More is an error.
pub const CONFIG_BYTES_MAX: usize = 64 * KIB;
/// How deep its lists and tables nest, and how many names a key has; ours go to two. More is an error.
pub const TOML_DEPTH_MAX: usize = 8;
/// Keys of one section; the largest of ours has ten. More is an error.
pub const TOML_KEYS_MAX: usize = 64;
/// A camera's URL: it stands in every request. More is an error.
pub const URL_BYTES_MAX: usize = 1000;
/// Each has its ring and its place in the card's folder; the page shows them side by side.
pub const CAMERAS_MAX: usize = 16;
/// A camera's label: a line of the page. More is an error.
pub const LABEL_CHARS_MAX: usize = 64;
/// `buffer_kb` where the configuration says nothing: 4 s at 4 Mbit/s.
pub const BUFFER_KB_DEFAULT: u64 = 2048;

// --- camera ---------------------------------------------------------------------------------

/// From the name to a connection; a camera that is there answers in milliseconds.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Addresses of a name that are tried, each for its share of that time.
pub const CONNECT_ADDRESSES_MAX: usize = 4;
/// From the beginning of one try to reach a camera to the next.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// After 401 the interval doubles up to this: cameras lock accounts.
pub const RETRY_INTERVAL_UNAUTHORIZED_MAX: Duration = Duration::from_secs(60);
/// No frame for so long while playing, from a camera that sends more of them than one in a few seconds, or
/// shows no other sign of life: the connection counts as dead.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// No frame for so long from one that sends few and lives: time lapses send one in 30 s.
pub const FRAME_TIMEOUT_MAX: Duration = Duration::from_secs(35);
/// A camera that sends nothing is asked so often whether it lives; it has the rest of `FRAME_TIMEOUT` to
/// answer.
pub const LIFE_INTERVAL: Duration = Duration::from_secs(4);
/// The socket's own signs of life (tcp(7)): silent for so long, then asked so often, then dead after. A
/// camera that lost its power is so found out while its answer is waited for.
pub const TCP_KEEPALIVE_IDLE: Duration = Duration::from_secs(3);
pub const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
pub const TCP_KEEPALIVE_TRIES: u32 = 4;
/// What the other end of a connection does not confirm for so long: it is dead.
pub const TCP_CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// Frames, but for so long none that can be decoded; cameras that save bits send a key frame every
/// 20 s.
pub const KEY_FRAME_TIMEOUT: Duration = Duration::from_secs(60);
/// Something comes, but for so long nothing that can be recorded: what is wrong is said, within 5 s.
pub const TROUBLE_DELAY: Duration = Duration::from_secs(4);
/// For so long after the last one it is said that frames are too large; busy scenes come and go.
pub const TOO_LARGE_TOLD: Duration = Duration::from_secs(60);
/// How often a camera's failure is said that comes over and over …
pub const FAILURE_TOLD_INTERVAL: Duration = Duration::from_secs(3600);
/// … and of how many different ones that is known; the one told longest ago is forgotten.
pub const FAILURES_TOLD_MAX: usize = 8;
/// Receive buffer of a camera's socket as asked for (the kernel doubles it for its own use): a gulp
/// and a key frame's burst.
pub const CAMERA_RECEIVE_BYTES: usize = 128 * KIB;
/// Receive buffer for RTP over UDP as asked for: what 100 Mbit/s brings between two reads, each
/// packet of it charged with the network driver's whole buffer.
pub const DATAGRAM_RECEIVE_BYTES: usize = 256 * KIB;
/// The same for RTCP: a report every few seconds.
pub const REPORT_RECEIVE_BYTES: usize = 8 * KIB;
/// A datagram; IP holds no more.
pub const DATAGRAM_BYTES_MAX: usize = 64 * KIB;
/// Datagrams that are taken in one go; then others have their turn. More than the buffer holds.
pub const DATAGRAMS_AT_ONCE_MAX: usize = 512;
/// How long datagrams gather before they are read, while nobody watches.
pub const DATAGRAM_INTERVAL: Duration = Duration::from_millis(20);
/// How often the connection of a session whose packets come over UDP is looked at: what it brings is
/// answers to keepalives, or its end.
pub const CONTROL_INTERVAL: Duration = Duration::from_millis(500);
/// Packets that open the way through a NAT, on each port: one may be lost.
pub const PUNCHES: usize = 2;
/// Tries to find two neighbouring ports.
pub const PORT_TRIES_MAX: usize = 32;
/// Between two receiver reports (RFC 3550 §6.2).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// No packet at all for so long after PLAY: the other lower transport is tried.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a reply, and the first packet behind PLAY, are waited for: more after each try that ended for
/// lack of them, since cameras that wake up or are far away take 7 to 25 s.
pub const PATIENCE: [(Duration, Duration); 4] = [
    (REPLY_TIMEOUT, SILENCE_TIMEOUT),
    (Duration::from_secs(10), Duration::from_secs(10)),
    (Duration::from_secs(20), Duration::from_secs(20)),
    (Duration::from_secs(30), Duration::from_secs(30)),
];
/// Redirects that are followed in a row.
pub const REDIRECTS_MAX: usize = 4;
/// What may gather in the socket before it is read, while nobody watches …
pub const GULP_BYTES: usize = 56 * KIB;
/// … and how long.
pub const GULP_INTERVAL_MAX: Duration = Duration::from_millis(100);
pub const GULP_INTERVAL_MIN: Duration = Duration::from_millis(5);
/// Reads in a row from a socket that does not run dry; then others have their turn.
pub const GULP_READS_MAX: usize = 2;
/// Rounds of these at the end of a run: what waits in a socket is no more than its buffer.
pub const REST_GULPS_MAX: usize = 64;
/// How long a camera is looked at that is only asked what it sends …
pub const PROBE_SPAN: Duration = Duration::from_secs(5);
/// … and how long its first key frame is waited for.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(15);
/// Its ring: a key frame of a 4K camera fits half of it.
pub const PROBE_RING_BYTES: usize = 4096 * KIB;

// --- camera: snapshots, live ------------------------------------------------------------------

/// One JPEG; 640x360 has 60 KB at most, a busy 1080p one 400 KB. A larger one is an error.
pub const SNAPSHOT_BYTES_MAX: usize = 512 * KIB;
/// What is read at once of a camera's HTTP reply, and of its head at most.
pub const SNAPSHOT_READ_BYTES: usize = 8 * KIB;
/// From one question for a picture to the end of its reply; cameras that wake an encoder take 3 s.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(5);
/// Going through all ways to a picture; then the viewer hears that there is none.
pub const SNAPSHOT_SEARCH_TIMEOUT: Duration = Duration::from_secs(22);
/// Redirects of one question that are followed.
pub const SNAPSHOT_REDIRECTS_MAX: usize = 2;
/// When no way led to a picture, or the camera refused the password, all are tried again after this.
pub const SNAPSHOT_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// Nobody asked for a picture for so long: it is let go, and the stream it came from.
pub const SNAPSHOT_IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// A preview made of a key frame fits this; never is one made larger.
pub const PREVIEW_WIDTH: usize = 640;
pub const PREVIEW_HEIGHT: usize = 360;
/// A key frame with its parameter sets; those of 4K at 16 Mbit/s stay under 1 MB. Of a larger one no
/// picture is made.
pub const STILL_INPUT_BYTES_MAX: usize = 2048 * KIB;
/// Making a picture of it; FFmpeg takes 0.3 s on a PC, and on a board seconds.
pub const STILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How much it gives way to what records, 0 to 19: a third of the processor where all want it. With a
/// tenth it took longer than that timeout on a machine with ten other programs at work.
pub const STILL_NICENESS: u8 = 5;
/// What our own decoder takes at most of each sample of a picture's luma (9.1 was measured, of H.264 in
/// eight slices) …
#[cfg(feature = "pictures")]
pub const STILL_BYTES_PER_PIXEL: u64 = 10;
/// … and beside that, with the key frame and the JPEG.
#[cfg(feature = "pictures")]
pub const STILL_BYTES_FIXED: u64 = 3 << 20;
/// Both together: 1080p, and not more.
#[cfg(feature = "pictures")]
pub const STILL_BYTES_MAX: u64 = 24 << 20;
/// Ring of the smaller stream for viewers, while there are any: 4 s at 1 Mbit/s.
pub const LIVE_RING_BYTES: usize = 512 * KIB;
/// The last viewer left so long ago: the smaller stream is let go. Shorter than that, a page that is
/// loaded again finds it running.
pub const LIVE_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

// --- ffmpeg ---------------------------------------------------------------------------------

/// What FFmpeg says of itself; the list of all its formats has 20 KB.
pub const FFMPEG_ANSWER_BYTES_MAX: usize = 64 * KIB;
/// How long it is asked; one on a slow card takes a second to be read.
pub const FFMPEG_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Remark that lengthens the head of what it writes: room for an identity and 80 entries of an index,
/// a key frame a second for more than a minute; longer segments merge neighbours.
pub const FFMPEG_COMMENT_BYTES: usize = 1100;
/// How long its sockets may be silent, and a connection may take.
pub const FFMPEG_SOCKET_TIMEOUT: Duration = Duration::from_secs(5);
/// From its start until something reaches the card: it looks at the stream for up to 5 s, and key
/// frames may be 10 s apart.
pub const FFMPEG_START_TIMEOUT: Duration = Duration::from_secs(15);
/// It writes a fragment a second: one of which nothing reached the card for so long makes way for the
/// next, which records 15 s after what went wrong.
pub const FFMPEG_STALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Between one that ended and the next; doubles, up to what leaves a camera that comes back time to be
/// recorded within 15 s.
pub const FFMPEG_RETRY_INTERVAL_MIN: Duration = Duration::from_secs(1);
pub const FFMPEG_RETRY_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// Ring of a camera that FFmpeg records: no frame ever comes into it.
pub const FFMPEG_RING_BYTES: usize = 4 * KIB;

// --- recorder, daemon -----------------------------------------------------------------------

/// Fragments on their way to the card, over all cameras; the recorder waits when they are out and
/// the ring fills.
pub const FRAGMENT_BUFFERS: usize = 2;
/// What a fragment buffer keeps when it comes back: a full fragment and its header.
pub const FRAGMENT_BUFFER_BYTES: usize = FRAGMENT_BYTES_MAX + 16 * KIB;
/// A segment is opened, or cut, when its sound is there as well, or lags behind the video by this.
pub const AUDIO_WAIT: Ticks = Ticks::from_seconds(1);
/// Frames come, and for so long none became durable (or twice `sync_seconds`, if that is longer):
/// the camera's run is begun anew, or the card's state says why.
pub const DURABLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the wall clock is looked at: whether it was set, whether it is to be trusted.
pub const CLOCK_INTERVAL: Duration = Duration::from_secs(5);
/// How long an orderly end waits for a stalled card.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// A signal so soon after the first is the same wish: Ctrl-C reaches a whole group of processes, and
/// some of them pass it on.
pub const SIGNAL_ECHO: Duration = Duration::from_secs(1);

/// How long the answer to a wish to record waits for the first fragment to reach the card: a key frame
/// may be seconds away.
pub const RECORD_START_TIMEOUT: Duration = Duration::from_secs(5);
/// How long people wait for what they asked of the card: it may stall for seconds.
pub const CARD_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The same where a span has many recordings, each written and synced on its own; people hear before
/// their own patience ends ([`CLIENT_TIMEOUT`]), and the card goes on.
pub const SPAN_ANSWER_TIMEOUT: Duration = Duration::from_secs(25);
/// How long the answers that are on their way delay the end of the process.
pub const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(1);
/// Changes of state, and fates of recordings, that are remembered for those who look.
pub const HISTORY_ENTRIES_MAX: usize = 50;

// --- web ------------------------------------------------------------------------------------

/// Connections beyond `connections_max` that may exist: they are about to end, or turn out to be of
/// somebody known.
pub const WEB_SPARE_PLACES: usize = 4;
/// Clients that wait in the kernel to be taken; further ones try again.
pub const WEB_BACKLOG: i32 = 32;
/// Connections are taken so far apart, 500 a second: a flood costs a tenth of the board's processor …
pub const WEB_ACCEPT_INTERVAL: Duration = Duration::from_millis(2);
/// … but for so many at once, as browsers open them.
pub const WEB_ACCEPT_BURST: u32 = 32;
/// Connections that carry recordings or live video; further ones are answered with 503.
pub const WEB_MEDIA_MAX: usize = 6;
/// What is gathered before it is written to a socket.
pub const WEB_WRITE_BUFFER_BYTES: usize = 2 * KIB;
/// Send buffer of a client's socket as asked for (the kernel doubles it): the whole board has 2.2 MB
/// for TCP.
pub const WEB_SEND_BUFFER_BYTES: usize = 32 * KIB;
/// What of a recording is read and sent at a time.
pub const WEB_PIECE_BYTES: usize = 32 * KIB;
/// The first request of a connection is waited for so long …
pub const WEB_FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// … and each further one.
pub const WEB_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// From the first byte of a head to its last: then 408.
pub const WEB_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// From a request's beginning to the end of its body.
pub const WEB_REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// A client who takes nothing for so long is let go of.
pub const WEB_WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the client's end of a connection is waited for once ours is closed.
pub const WEB_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// After a failure to listen or to accept.
pub const WEB_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Frames of one live fragment: what a viewer is given at a time when he begins, or lags.
pub const LIVE_FRAGMENT_BYTES_MAX: usize = 64 * KIB;
/// What a viewer's buffer keeps after a larger picture.
pub const LIVE_BUFFER_BYTES_KEPT: usize = 32 * KIB;
/// A viewer who is so far behind the stream goes on at a newer key frame, in ticks (2 s).
pub const LIVE_LAG_MAX: Ticks = Ticks::from_seconds(2);
/// Between two status messages to one who listens: at least, and at most.
pub const EVENTS_INTERVAL_MIN: Duration = Duration::from_secs(1);
pub const EVENTS_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Recordings in one answer, where nothing is said and at most.
pub const LIST_ENTRIES_DEFAULT: usize = 100;
pub const LIST_ENTRIES_MAX: usize = 500;
/// Frame rate and bit rate are measured over so many ticks (5 s).
pub const RATE_SPAN: Ticks = Ticks::from_seconds(5);

/// How long the page's look at a camera takes from the first key frame on, and until then: with the
/// connection, 15 s at most.
pub const WEB_PROBE_SPAN: Duration = Duration::from_secs(2);
pub const WEB_PROBE_PATIENCE: Duration = Duration::from_secs(8);
/// Its ring, which the board can spare for so long.
pub const WEB_PROBE_RING_BYTES: usize = 1024 * KIB;
/// The beginning of a picture group that the page is shown of it; a larger key frame goes alone.
pub const WEB_PROBE_PICTURE_BYTES: usize = 128 * KIB;
/// All of it.
pub const WEB_PROBE_TIMEOUT: Duration = Duration::from_secs(15);

// --- web: access ----------------------------------------------------------------------------

/// Request line and header fields; a browser's have under 1 KB. More is 431.
pub const HTTP_HEAD_BYTES_MAX: usize = 4 * KIB;
/// The address in a request line; ours have under 100 bytes. More is 414.
pub const HTTP_TARGET_BYTES_MAX: usize = KIB;
/// Header fields of one request; browsers send under 20. More is 431.
pub const HTTP_FIELDS_MAX: usize = 64;
/// What a client may send as a body: a whole configuration. More is 413.
pub const HTTP_BODY_BYTES_MAX: usize = CONFIG_BYTES_MAX;
/// The same of somebody who is not known: a password of 128 characters, escaped, and the old one.
pub const HTTP_BODY_BYTES_OF_STRANGERS_MAX: usize = KIB;
/// Cookies of others that are left out of one head: a browser keeps 180 for a host, and few of them long.
pub const HTTP_COOKIES_BYTES_MAX: usize = 16 * KIB;
/// Browsers that are logged in; the one that was not used for longest is logged out.
pub const SESSIONS_MAX: usize = 32;
/// A session that is not used for so long ends.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Passwords that are being checked, or wait for it, each for up to 100 ms; more are refused.
pub const PASSWORD_CHECKS_MAX: usize = 4;
/// The longest that an address waits after wrong passwords (1, 2, 4, 5 s).
pub const WRONG_PASSWORD_DELAY_MAX: Duration = Duration::from_secs(5);
/// Wrong passwords are forgotten after this.
pub const WRONG_PASSWORD_MEMORY: Duration = Duration::from_secs(600);
/// Addresses that sent a wrong password, and their networks; the one whose wait ends first is forgotten.
/// More than can wait at one time: `PASSWORD_TRY_INTERVAL` lets 25 guess within the longest wait.
pub const WRONG_PASSWORD_ADDRESSES_MAX: usize = 256;
/// Passwords that all addresses together may try at once, which never sent the right one …
pub const PASSWORD_TRIES_MAX: u32 = 15;
/// … and when there is one more: 5 a second, for a million usual ones more than two days.
pub const PASSWORD_TRY_INTERVAL: Duration = Duration::from_millis(200);
/// Addresses that sent the right password: whoever guesses elsewhere does not make them wait.
pub const RIGHT_PASSWORD_ADDRESSES_MAX: usize = 8;
/// Cookies of our name that are looked at: another server of the same host can set one for each path.
pub const COOKIES_MAX: usize = 32;
/// What happened and was not yet asked for; the oldest is dropped.
pub const ACCESS_NEWS_MAX: usize = 8;

// --- cli ------------------------------------------------------------------------------------

/// A daemon that died is started again after this: in time for the contract, and no busy loop.
pub const RESTART_DELAY: Duration = Duration::from_secs(2);
/// What the daemon answers to a command; a status of 16 cameras has 10 KB. More is an error.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 1024 * KIB;
/// How long it is waited for: longer than a daemon takes that ends while the card stalls.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Recordings that are asked for at once: 60 KB of JSON, ten times that while it is read.
pub const CLIENT_LIST_PAGE: usize = 200;
/// What of a clip is made at a time where no daemon runs.
pub const CLIENT_PIECE_BYTES: usize = 256 * KIB;
/// How long the first byte of a clip is waited for: the daemon goes over the fragments of up to a day, on a
/// card that others use as well.
pub const CLIENT_CLIP_TIMEOUT: Duration = Duration::from_secs(600);
/// A line that a password is read from; one has at most 128 characters.
pub const PASSWORD_LINE_BYTES_MAX: usize = KIB;

// --- clips ----------------------------------------------------------------------------------

/// A clip waits so long for the one before: players ask again before the last answer has ended.
pub const CLIP_TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Segments of a clip, each some 150 bytes while it is handed out: a day of segments of a minute.
pub const CLIP_SEGMENTS_MAX: usize = 1500;
/// The longest `moov` that a clip takes a track's description from; ours have 1 to 2 KB.
pub const CLIP_MOVIE_BYTES_MAX: usize = 64 << 10;
/// Samples of one fragment that a clip is made of: ours have a second, FFmpeg's a picture group.
pub const CLIP_FRAGMENT_SAMPLES_MAX: usize = 16_384;

// --- the sum --------------------------------------------------------------------------------

/// Anonymous memory while one camera with the default buffer is recorded, 1,000 recordings on the
/// card, and two people look at it with the page open; what has no bound of its own above is as
/// measured.
const RESIDENT_BYTES: usize = (BUFFER_KB_DEFAULT as usize) * KIB
    + RING_FRAMES_MAX * 64 // what the ring knows of each frame
    + RING_PARAMETER_SETS_BYTES_MAX
    + FRAGMENT_BUFFERS * FRAGMENT_BUFFER_BYTES
    + (FRAGMENT_FRAMES_MAX + AUDIO_FRAGMENT_FRAMES_MAX) * 12 // samples of the fragment in the making
    + AUDIO_RING_FRAMES_MAX * 32 + AUDIO_FRAME_BYTES_MAX // sound, whose bytes are a part of the buffer
    + RTSP_BUFFER_BYTES
    + HEAD_BYTES_MAX + RTSP_BODY_BYTES_MAX // a request, an SDP
    + (REORDER_PACKETS_MAX + 1) * REORDER_PACKET_BYTES_MAX // over UDP
    + 4 * KIB // touched of the room for a datagram
    + 1000 * 32 // the catalogue
    + INDEX_ENTRIES_MAX * 16
    + CARD_THREAD_STACK_BYTES
    + READER_THREAD_STACK_BYTES
    + CONNECTIONS_OF_TWO * CONNECTION_BYTES
    + 2 * (LIVE_FRAGMENT_BYTES_MAX + WEB_PIECE_BYTES) // two viewers, one of them a player as well
    + 4 * 32 * KIB // touched of the stacks of main, the reactor and the pool
    + 256 * KIB; // executor, reactor, configuration, the allocator's own

/// One connection: the gate's buffer, picoserve's, the head that is served, what is gathered to be
/// sent, and the task, of 7 KB.
const CONNECTION_BYTES: usize = 3 * HTTP_HEAD_BYTES_MAX + WEB_WRITE_BUFFER_BYTES + 7 * KIB;
/// Browsers keep up to six to a page.
const CONNECTIONS_OF_TWO: usize = 10;

/// The budget of a board with 32 MB.
const RESIDENT_BYTES_MAX: usize = 4_200_000;

const _: () = assert!(RESIDENT_BYTES <= RESIDENT_BYTES_MAX, "more memory than the board has");
