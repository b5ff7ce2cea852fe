//! Every bound in the program, each with its reason, and a compile-time check of their sum.
//!
//! In the order of the layers. Sizes are in bytes unless the name says otherwise. A queue's bound
//! says what happens when the queue is full.

use crate::units::Ticks;
use std::time::Duration;

const KIB: usize = 1024;

// --- logger ---------------------------------------------------------------------------------

/// One log line. With its prefix it fits a syslog datagram (1,024 bytes, RFC 3164 §4.1) and an
/// atomic pipe write. Longer lines are cut.
pub const LOG_LINE_BYTES_MAX: usize = 900;
/// Lines of one kind per camera and period; further ones are only counted. A board's log holds 16
/// to 200 KB, and one camera must not push out everything else.
pub const LOG_REPEATS_MAX: u32 = 10;
pub const LOG_REPEATS_PERIOD: Duration = Duration::from_secs(60);
/// Kinds being counted; the kind whose period began first is forgotten.
pub const LOG_KINDS_MAX: usize = 64;

// --- zone -----------------------------------------------------------------------------------

/// Changes of local time in one zone description: two a year for four years.
pub const ZONE_CHANGES_MAX: usize = 8;
/// A compiled zone file; the largest has 4 KB. Anything beyond is ignored.
pub const ZONE_FILE_BYTES_MAX: u64 = 64 << 10;

// --- runtime --------------------------------------------------------------------------------

/// Threads that wait for name servers and small files. Even if every camera's name lookup hangs, a
/// few are left for the page.
pub const WORKERS_MAX: usize = CAMERAS_MAX + 4;
/// Stack of one worker; hashing a password or resolving a name uses about 10 KB of it.
pub const WORKER_STACK_BYTES: usize = 256 * KIB;
/// Socket operations that a task does without waiting before it lets other tasks run: a client that
/// sends faster than the board reads then holds the thread for a millisecond, not for ever.
pub const SOCKET_TURNS_MAX: u32 = 32;

// --- process --------------------------------------------------------------------------------

/// Lines kept of a child's standard error …
pub const PROCESS_LOG_LINES_MAX: usize = 8;
/// … the length of each, enough for an error with an address in it …
pub const PROCESS_LOG_LINE_BYTES_MAX: usize = 300;
/// … and the bytes collected before secrets, which may be long, are replaced.
pub const PROCESS_LOG_RAW_BYTES_MAX: usize = 2 * KIB;
/// How long to drain a child's standard error after it has exited: its last words are already in
/// the pipe.
pub const PROCESS_LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a child may take to exit cleanly. FFmpeg takes milliseconds; a stalled card takes 2 s.
pub const PROCESS_STOP_TIMEOUT: Duration = Duration::from_secs(2);

// --- codec, rtp -----------------------------------------------------------------------------

/// One SPS, PPS or VPS; real ones stay under 200 bytes. A longer one is ignored.
pub const PARAMETER_SET_BYTES_MAX: usize = 4 * KIB;
/// All parameter sets of a stream (H.264 allows 32 SPS and 256 PPS, 4 KB together in practice).
/// When it is exceeded, the set that changed longest ago is dropped.
pub const PARAMETER_SETS_BYTES_MAX: usize = 32 * KIB;
/// A parameter set that has not changed for this many pictures (a minute) may start a new file when
/// it changes, because some players do not read parameter sets in samples. Sooner than that, a
/// camera could force a new file for every picture group.
pub const PARAMETER_SETS_STILL_PICTURES: u32 = 1500;
/// Parameter sets read from one SDP parameter: every SPS and PPS id. Further ones are ignored.
pub const SDP_PARAMETER_SETS_MAX: usize = 32 + 256;
/// An AudioSpecificConfig; real ones have 2 to 7 bytes. A longer one is refused.
pub const AUDIO_CONFIGURATION_BYTES_MAX: usize = 64;
/// One audio frame. AAC has at most 6,144 bits a channel, Opus 1,275 bytes. A longer one is
/// dropped.
pub const AUDIO_FRAME_BYTES_MAX: usize = 8 * KIB;
/// Packets held back for a missing one over UDP; when full, the missing packet counts as lost.
pub const REORDER_PACKETS_MAX: usize = 32;
/// How long they are held back.
pub const REORDER_DELAY_MAX: Duration = Duration::from_millis(200);
/// Payload of a packet that may be held back; no Ethernet frame holds more. A larger packet is
/// passed on at once, and the missing one counts as lost.
pub const REORDER_PACKET_BYTES_MAX: usize = 2 * KIB;

// --- http -----------------------------------------------------------------------------------

/// Head of a message from a camera, HTTP or RTSP; real ones stay under 2 KB. More is an error.
pub const HEAD_BYTES_MAX: usize = 8 * KIB;
/// A message of a WebSocket; those of majestic's detectors have up to 1.5 KB. More is an error.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 16 * KIB;
/// Header fields of one message from a camera. More is an error.
pub const HEAD_FIELDS_MAX: usize = 64;

// --- xml ------------------------------------------------------------------------------------

/// Nesting depth of elements in a document from a camera; ONVIF's documents reach 15. More is an
/// error.
pub const XML_DEPTH_MAX: usize = 32;

// --- motion ---------------------------------------------------------------------------------

/// Cells across, and down, of the grid in which motion is detected; a cell takes 6 bytes. A cell is
/// one block of 8x8 pixels in pictures of up to 768 pixels a side, and 2x2 or 4x4 blocks in larger
/// ones.
pub const MOTION_CELLS_SIDE_MAX: usize = 96;

/// Interval between two pictures checked for motion: people and cars stay long enough to be in
/// several of them …
pub const MOTION_INTERVAL: Duration = Duration::from_millis(500);
/// … but large pictures are checked less often, so as not to exceed this many bytes a second: a
/// picture of 640x360 has 20 KB, and costs 1 to 2 % of a board's processor …
pub const MOTION_BYTES_PER_SECOND: u64 = 128 * 1024;
/// … and a picture older than this is requested anew, since it was checked before.
pub const MOTION_PICTURE_AGE_MAX: Duration = Duration::from_millis(100);
/// Delay before a camera that gave no picture is asked again.
pub const MOTION_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// A span in which a camera was watched ends this long after the last check.
pub const MOTION_WATCHED: Duration = Duration::from_secs(15);
/// majestic's detectors report at least once a second; after this long without a report they count
/// as silent.
pub const ANALYTICS_TIMEOUT: Duration = Duration::from_secs(10);
/// Notices read from one document, and detectors of a camera that are on at a time. Most cameras
/// have one to three of each, recorders one for each channel.
pub const NOTICES_MAX: usize = 32;
/// An event whose end the camera does not report ends after this …
pub const NOTICE_ON: Duration = Duration::from_secs(30);
/// … or after this if the camera does report ends, since a report may get lost.
pub const NOTICE_ON_MAX: Duration = Duration::from_secs(600);
/// An event that goes on is reported again at this interval, before [`MARK_JOIN`] and
/// [`MOTION_WATCHED`] end it.
pub const NOTICE_INTERVAL: Duration = Duration::from_secs(5);
/// A document of a metadata track; real ones have 1 to 8 KB. A longer one is dropped.
pub const METADATA_BYTES_MAX: usize = 64 * KIB;
/// A metadata track that is silent for this long is assumed to stay silent.
pub const METADATA_PATIENCE: Duration = Duration::from_secs(10);
/// Lifetime of a subscription that is not renewed. After a power cut the camera still holds one
/// that nobody pulls, and many cameras hold only four …
pub const PULL_LIFE: Duration = Duration::from_secs(300);
/// … and the shortest lifetime that is believed, whatever the camera says.
pub const PULL_LIFE_MIN: Duration = Duration::from_secs(30);
/// How long a pull lets the camera wait for an event …
pub const PULL_WAIT: Duration = Duration::from_secs(25);
/// … and the same for a camera that closes connections earlier.
pub const PULL_WAIT_SHORT: Duration = Duration::from_secs(5);
/// Shortest time from one pull to the next.
pub const PULL_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Consecutive pulls that may end without an answer.
pub const PULL_UNANSWERED_MAX: u32 = 4;
/// Pause between a failure and the next subscription: cameras lock the accounts of clients that
/// retry quickly.
pub const PULL_PAUSE: Duration = Duration::from_secs(60);
/// The same after two refused passwords.
pub const PULL_REFUSED_PAUSE: Duration = Duration::from_secs(3600);
/// How long ending a subscription may delay the end of a camera's task.
pub const PULL_END_TIMEOUT: Duration = Duration::from_secs(2);
/// The reference that a camera wants back with each request; AXIS sends 80 bytes.
pub const PULL_REFERENCE_BYTES_MAX: usize = 1024;
/// A session with a metadata track that ends sooner may have ended because of that track, so the
/// next session goes without it.
pub const METADATA_TRUST: Duration = Duration::from_secs(60);
/// Areas of a picture in which motion does not count.
pub const MOTION_AREAS_MAX: usize = 16;

// --- rtsp -----------------------------------------------------------------------------------

/// One `$` block: a 4-byte header and at most 65,535 bytes (RFC 2326 §10.12), plus room to read
/// ahead: what gathers between two reads ([`GULP_BYTES`]) is then read at once.
pub const RTSP_BUFFER_BYTES: usize = 132 * KIB;
/// An SDP body; real ones stay under 4 KB. More is an error.
pub const RTSP_BODY_BYTES_MAX: usize = 16 * KIB;
/// Consecutive bytes that are neither a message nor a `$` block: two of the largest blocks,
/// truncated. More is an error.
pub const RTSP_JUNK_BYTES_MAX: usize = 128 * KIB;
/// `m=` sections read from an SDP; further ones are ignored.
pub const SDP_MEDIA_MAX: usize = 16;
/// Tracks set up in a session: video, its sound, and metadata.
pub const TRACKS_MAX: usize = 3;
/// Timeout of one RTSP reply. Cameras that wake an encoder take 3 s. While a session is being
/// opened it grows as [`PATIENCE`] says.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Unsolicited messages from a server within [`CHATTER_INTERVAL`]; some servers check every few
/// seconds whether the client is alive. More is an error, because each costs processor time.
pub const CHATTER_MESSAGES_MAX: u32 = 256;
pub const CHATTER_INTERVAL: Duration = Duration::from_secs(10);
/// Session timeout for a camera that names none (RFC 2326 §12.37).
pub const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How long TEARDOWN may take before the socket is closed without it.
pub const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(500);

// --- media ----------------------------------------------------------------------------------

/// Frames listed by a ring, whatever their size: 80 s at 25 fps.
pub const RING_FRAMES_MAX: usize = 2048;
/// Parameter sets of all frames in a ring: many hundreds of the usual 100 bytes. When they change
/// so often that they need more, the oldest frames are dropped.
pub const RING_PARAMETER_SETS_BYTES_MAX: usize = 64 * KIB;
/// A ring that is too small for a frame grows, but no further than this while the frame is still
/// arriving, since its end may never come …
pub const RING_BYTES_AT_ONCE_MAX: usize = 4 << 20;
/// … and once the frame has ended, to twice its size for the next one, up to the largest
/// `buffer_kb` …
pub const RING_BYTES_MAX: usize = 64 << 20;
/// … and never beyond one part in this many of the free memory. A board with 32 MB has none to
/// spare.
pub const RING_MEMORY_PART: u64 = 8;
/// One part in this many of a ring with sound holds the sound: 4 Mbit/s of video, 256 kbit/s of
/// sound …
pub const AUDIO_RING_PART: usize = 16;
/// … but no more than this: a minute at 64 kbit/s.
pub const AUDIO_RING_BYTES_MAX: usize = 512 * KIB;
/// Audio frames listed by a ring: 21 s of AAC at 48 kHz.
pub const AUDIO_RING_FRAMES_MAX: usize = 1024;
/// Pictures that H.264 and H.265 may reorder (MaxDpbFrames).
pub const REORDER_FRAMES_MAX: usize = 16;
/// Some servers send the last few seconds in a burst after PLAY. The start time of the run stays
/// undecided for at most this long.
pub const BURST_TIMEOUT: Duration = Duration::from_secs(4);
/// If the ring overtakes the recorder within this time of having been empty, the camera sent a
/// burst; a stalled card takes longer to cause that.
pub const BURST_READ_MAX: Duration = Duration::from_millis(500);

// --- mp4 ------------------------------------------------------------------------------------

/// A fragment ends after this much media (a larger frame is a fragment of its own) …
pub const FRAGMENT_BYTES_MAX: usize = 256 * KIB;
/// … or after this many ticks (1 s) …
pub const FRAGMENT_TICKS_MAX: i64 = 90_000;
/// … or after this many frames, which bounds its `trun`.
pub const FRAGMENT_FRAMES_MAX: usize = 256;
/// Sound in a fragment, as part of [`FRAGMENT_BYTES_MAX`]: 256 kbit/s for its duration. The rest
/// goes into the next fragment …
pub const AUDIO_FRAGMENT_BYTES_MAX: usize = 32 * KIB;
/// … as do frames beyond this number: Opus allows 400 frames a second, real streams have 50.
pub const AUDIO_FRAGMENT_FRAMES_MAX: usize = 256;
/// Entries in the index space reserved at the front of a segment: a key frame a second for 4 min.
/// Longer segments merge neighbouring entries.
pub const INDEX_ENTRIES_MAX: usize = 240;
/// A segment always ends here; FAT32 ends it at 4 GiB.
pub const SEGMENT_BYTES_MAX: u64 = 2 << 30;

// --- storage --------------------------------------------------------------------------------

/// Stack of the card thread.
pub const CARD_THREAD_STACK_BYTES: usize = 64 * KIB;
/// Commands queued for the card; when full, a command is returned to its sender.
pub const CARD_COMMANDS_MAX: usize = 32;
/// Events from the card that have not been read; when full, the card thread waits.
pub const CARD_EVENTS_MAX: usize = 64;
/// Room for names in a new folder on FAT: those of 1,024 recordings, as many as a card of 32 GB
/// holds at 4 Mbit/s. Making the room takes about 100 files and 0.2 s on the board. Twice the room
/// would take four times as long, since FAT compares each new name with all others.
pub const FAT_FOLDER_BYTES: usize = 1024 * 2 * 32;
/// Interval at which a card in trouble is checked, and a failed segment tried, again.
pub const CARD_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which a healthy card is checked: it may be pulled while nothing is being written.
/// The kernel reports mounts without being asked.
pub const CARD_LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// A card that failed, and to which nothing is being written, counts as healthy after this long
/// without a failure.
pub const CARD_FAILING_INTERVAL: Duration = Duration::from_secs(10);
/// Abandoned files of a camera, not yet repaired, whose durable length is remembered. A failing
/// card leaves only a few.
pub const GIVEN_UP_MAX: usize = 16;
/// Remounts per hour of a card that turned read-only.
pub const CARD_REMOUNTS_PER_HOUR_MAX: usize = 3;
/// Period of `CARD_REMOUNTS_PER_HOUR_MAX`.
pub const REMOUNT_PERIOD: Duration = Duration::from_secs(3600);
/// A released card is taken back automatically after this.
pub const CARD_RELEASE_MAX: Duration = Duration::from_secs(600);
/// How often to look for the lock file of a firmware upgrade, in case the kernel does not report
/// it.
pub const LOCK_FILE_INTERVAL: Duration = Duration::from_secs(10);
/// Recordings in one folder on FAT, which holds 32,767 of our names.
pub const FAT_RECORDINGS_MAX: usize = 30_000;
/// Recordings in one folder elsewhere: an 8 MB list, for machines with more memory than a board.
pub const RECORDINGS_LISTED_MAX: usize = 250_000;
/// Folders in the storage path searched for recordings of former cameras; further ones are treated
/// as foreign.
pub const FORMER_FOLDERS_MAX: usize = 64;
/// Newest files of such a folder whose heads are read first, to learn which camera made them.
pub const FORMER_HEADS_MAX: usize = 3;
/// Attempts to create one segment, each after deleting a recording (a full folder may need
/// several).
pub const CARD_OPEN_TRIES_MAX: usize = 4;
/// Recordings deleted before opening one segment or writing one fragment; others are deleted later.
pub const CARD_DELETIONS_AT_ONCE_MAX: usize = 64;
/// Pause between steps of background work (reading a head, deleting another file), to leave the
/// processor free.
pub const CARD_STEP_INTERVAL: Duration = Duration::from_millis(20);
/// Pause between two listings of folders in use, in which other programs may have put recordings, or
/// taken some away …
pub const CARD_NAMES_INTERVAL: Duration = Duration::from_secs(5);
/// … and more for each recording: 30,000 names are read every 5 minutes.
pub const CARD_NAMES_PAUSE: Duration = Duration::from_millis(10);
/// A file that has not changed for so long was copied: a network that stalls for longer ends a copy.
pub const CARD_NAMES_REST: Duration = Duration::from_secs(60);
/// Recordings that are listed after one such listing; more after the next ones.
pub const CARD_NAMES_AT_ONCE: usize = 64;
/// The index is read once the first frame is durable, or this long after the card was found.
pub const CARD_INDEX_DELAY: Duration = Duration::from_secs(5);
/// Bytes of the index read in one step: 1,024 recordings, a few milliseconds on a board.
pub const CARD_INDEX_PIECE_BYTES: usize = 32 * KIB;
/// Recordings checked in one step for whether the index has them.
pub const CARD_INDEX_ROWS_AT_ONCE: usize = 1024;
/// A full index grows by a quarter, by at most this many records at once: 64 KB.
pub const CARD_INDEX_GROWTH_RECORDS_MAX: u32 = 2048;
/// Bytes of an index that are read: twice [`RECORDINGS_LISTED_MAX`] records of 32 bytes.
pub const CARD_INDEX_BYTES_MAX: u64 = 16 << 20;
/// An index that could not be written is tried again after this.
pub const CARD_INDEX_RETRY_INTERVAL: Duration = Duration::from_secs(600);
/// Recordings of a folder that are compared with their files as soon as the index is read: the
/// newest …
pub const CARD_INDEX_NEWEST: usize = 4;
/// … and some spread over the rest, so that an index that belongs to other recordings is detected
/// at once.
pub const CARD_INDEX_SAMPLES: usize = 12;
/// An index that was wrong about this many recordings is dropped, and all files are read.
pub const CARD_INDEX_LIES_MAX: u32 = 4;
/// Part of a recording that is read back to check that the card kept it: a page.
pub const CARD_PROOF_BYTES: usize = 4 * KIB;
/// Recordings of which a sample is remembered for that check, 40 bytes each.
pub const CARD_PROOFS_MAX: usize = 64;
/// Bytes written between two updates of the card's count of written bytes: nine minutes at 4
/// Mbit/s.
pub const CARD_WEAR_STEP_BYTES: u64 = 256 << 20;
/// Interval between two checks of recordings known from the index alone: 2,000 take three hours and
/// a thousandth of the processor's time.
pub const CARD_LEISURE_INTERVAL: Duration = Duration::from_secs(5);
/// Recordings queued for a check because a client asked for them; the rest are checked at
/// [`CARD_LEISURE_INTERVAL`].
pub const CARD_LOOKS_MAX: usize = 256;
/// Boxes read to determine a file's length: 512 fragments, or half a second of reading. FFmpeg
/// writes about 30 fragments a minute.
pub const LENGTH_BOXES_MAX: u32 = 1024;
/// A larger `moof` is not read to determine a length; one that covers a minute has 30 KB.
pub const MOOF_BYTES_MAX: u64 = 256 * 1024;
/// Share of the space for recordings that may be kept for good; the rest is overwritten in time.
pub const KEPT_PERCENT_MAX: u64 = 50;
/// Recordings kept, released or deleted by one request: a day of one-minute segments.
pub const SPAN_SEGMENTS_MAX: usize = 1500;
/// The name of a mark's source, and of its kind: `analytics`, `line-crossed`.
pub const MARK_WORD_BYTES_MAX: usize = 16;
/// A mark's text for people: a line on a phone.
pub const MARK_WORDS_BYTES_MAX: usize = 80;
/// A file of marks, read and written in one piece: about 250 marks, and one cluster of a usual
/// card.
pub const MARK_FILE_BYTES: usize = 32 * KIB;
/// Recordings that share a file of marks; the file is deleted when all of them are gone.
pub const MARK_FILE_RECORDINGS_MAX: u32 = 1000;
/// Interval at which a mark that goes on is written again: a power cut loses at most this much of
/// it.
pub const MARK_REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// Files of marks in a folder, 4 MB in all; beyond that the oldest are deleted. With one-minute
/// recordings they cover three months.
pub const MARK_FILES_MAX: usize = 128;
/// Lines waiting for the card, which may be away for minutes; when full, the oldest is dropped and
/// counted.
pub const MARKS_WAITING_MAX: usize = 64;
/// Such lines written in one step.
pub const MARKS_AT_ONCE: usize = 8;
/// Spans of marks that are not yet entered in their recordings; when full, two of them become one.
pub const MARK_SPANS_MAX: usize = 16;
/// Marks held back while files are read because they may still change: more than can go on at a
/// time ([`MARKS_GOING_ON_MAX`]), and more than are remembered ([`HISTORY_ENTRIES_MAX`]).
pub const MARKS_UNSETTLED_MAX: usize = 2 * HISTORY_ENTRIES_MAX;
/// Share of a camera's recordings that `event_days` protects; beyond it, the oldest are deleted
/// like all others.
pub const EVENT_PERCENT_MAX: u64 = 50;
/// Thinning old recordings: fragments read in one step of the survey …
pub const THIN_FRAGMENTS_AT_ONCE: usize = 8;
/// … and bytes copied in one step.
pub const THIN_PIECE_BYTES: usize = 64 * KIB;
/// Pause between two steps: at most 640 KB/s, where a camera of 4 Mbit/s needs 50 KB/s.
pub const THIN_STEP_INTERVAL: Duration = Duration::from_millis(100);
/// A step later than this shows that the card is busy or slow: thinning pauses for ten times the
/// delay.
pub const THIN_LATENESS_MAX: Duration = Duration::from_millis(50);
/// Bytes of a copy written between two syncs; more would delay the next sync of a recording.
pub const THIN_UNSYNCED_BYTES_MAX: usize = 512 * KIB;
/// The largest key frame that is copied, since it is held in memory, and the most key frames of a
/// recording. A recording that exceeds either is not thinned.
pub const THIN_FRAME_BYTES_MAX: usize = 1024 * KIB;
pub const THIN_KEY_FRAMES_MAX: usize = 4096;
/// How often free space and age are checked.
pub const CARD_ROOM_INTERVAL: Duration = Duration::from_secs(60);
/// Delay of the first statvfs of a card on which nothing is being recorded; it can take seconds.
pub const CARD_ROOM_DELAY: Duration = Duration::from_secs(10);
/// Space allocated ahead of a segment of unknown size, and the step in which it grows.
pub const ALLOCATION_STEP_BYTES: u64 = 8 << 20;
/// At start-up, the NAL units in the last part of an unclosed file are checked: a power cut
/// corrupts what was not durable, 8 s at 16 Mbit/s.
pub const REPAIR_TAIL_BYTES: u64 = 16 << 20;

/// How often to look for files written by another program.
pub const STAGED_LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Such files taken over at a time; there are more only if the card stalled for minutes.
pub const STAGED_FILES_MAX: usize = 16;

/// Stack of the thread that reads recordings for viewers.
pub const READER_THREAD_STACK_BYTES: usize = 64 * KIB;
/// Reads queued for that thread: more than there are media connections. Further ones are refused.
pub const READER_JOBS_MAX: usize = 32;

/// Boots whose beginning is remembered. Heads are read newest first, so a recording older than this
/// many boots belongs to none of them.
pub const BOOTS_KNOWN_MAX: usize = 64;
/// Boots of a folder whose recordings still lack a trusted time; beyond that, recordings of the
/// oldest boots get theirs at the next start.
pub const DOUBTS_MAX: usize = 32;

// --- storage: what was recorded when ----------------------------------------------------------

/// Recordings less than this many milliseconds apart form one span: a file begins where the one
/// before ends, unless the clock was corrected meanwhile.
pub const COVERAGE_JOIN_MS: i64 = 2000;
/// Bytes of a day in one answer; marks get what spans and gaps leave.
pub const TIMELINE_DAY_BYTES: usize = 2 * KIB;
/// Spans of a day in one answer: with the gaps between them and the kept spans, they take three
/// quarters of it …
pub const COVERAGE_SPANS_PER_DAY: usize = 12;
/// … and spans of more than a week: 16 KB.
pub const COVERAGE_SPANS_MAX: usize = 8 * COVERAGE_SPANS_PER_DAY;
/// Marks, and watched spans, that an answer holds even if everything else leaves no room.
pub const TIMELINE_MARKS_MIN: usize = 6;
/// Days whose spans fit into one answer.
pub const COVERAGE_DAYS_MAX: i64 = 32;
/// Days whose totals fit into one answer: more than a year.
pub const DAYS_MAX: i64 = 400;

// --- recorder -------------------------------------------------------------------------------

/// Segments shorter than [`SHORT_SEGMENT_TICKS`] that a camera may cause in a row; beyond that, its
/// frames are dropped …
pub const SHORT_SEGMENTS_AT_ONCE_MAX: u32 = 15;
/// … except for one more segment per interval: at most 30 in any minute.
pub const SHORT_SEGMENT_INTERVAL: Duration = Duration::from_secs(4);
/// 2 s, the smallest `segment_seconds`.
pub const SHORT_SEGMENT_TICKS: Ticks = Ticks::from_seconds(2);
/// Full segments smaller than [`SMALL_SEGMENT_BYTES`] that a camera may cause in a row, however
/// fast its timestamps run; beyond that, a segment goes on …
pub const SMALL_SEGMENTS_AT_ONCE_MAX: u32 = 30;
/// … except for one more per interval: as many as the smallest `segment_seconds` makes in real
/// time.
pub const SMALL_SEGMENT_INTERVAL: Duration = Duration::from_secs(2);
/// At this size [`FAT_RECORDINGS_MAX`] recordings fill a card of 512 GB, so its space runs out
/// before its names do.
pub const SMALL_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

// --- config ---------------------------------------------------------------------------------

/// The configuration file; the shipped one has 3 KB. More is an error.
pub const CONFIG_BYTES_MAX: usize = 64 * KIB;
/// Nesting depth of lists and tables, and the parts of a dotted key; ours need two. More is an
/// error.
pub const TOML_DEPTH_MAX: usize = 8;
/// Keys in one section; our largest has ten. More is an error.
pub const TOML_KEYS_MAX: usize = 64;
/// A camera's URL, which is repeated in every request. More is an error.
pub const URL_BYTES_MAX: usize = 1000;
/// Cameras; each has a ring and a folder, and the page shows them side by side.
pub const CAMERAS_MAX: usize = 16;
/// A camera's label: one line on the page. More is an error.
pub const LABEL_CHARS_MAX: usize = 64;
/// Default of `buffer_kb`: 4 s at 4 Mbit/s.
pub const BUFFER_KB_DEFAULT: u64 = 2048;

// --- camera ---------------------------------------------------------------------------------

/// From looking up the name to being connected; a reachable camera answers in milliseconds.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Addresses tried for a name; each gets its share of that time.
pub const CONNECT_ADDRESSES_MAX: usize = 4;
/// From the start of one attempt to reach a camera to the start of the next.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// After a 401 the interval doubles up to this, because cameras lock accounts.
pub const RETRY_INTERVAL_UNAUTHORIZED_MAX: Duration = Duration::from_secs(60);
/// A playing connection counts as dead after this long without a frame, unless the camera sends a
/// frame only every few seconds and shows another sign of life.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a camera that sends few frames but is alive: time lapses send one in 30 s.
pub const FRAME_TIMEOUT_MAX: Duration = Duration::from_secs(35);
/// How often a silent camera is asked for a sign of life; it has the rest of `FRAME_TIMEOUT` to
/// answer.
pub const LIFE_INTERVAL: Duration = Duration::from_secs(4);
/// TCP keepalive (tcp(7)): idle time, interval and number of probes. It detects a camera that lost
/// power while a reply is outstanding.
pub const TCP_KEEPALIVE_IDLE: Duration = Duration::from_secs(3);
pub const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
pub const TCP_KEEPALIVE_TRIES: u32 = 4;
/// A connection is dead when sent data stays unacknowledged for this long.
pub const TCP_CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream of frames without a key frame counts as undecodable after this; cameras that save
/// bandwidth send a key frame every 20 s.
pub const KEY_FRAME_TIMEOUT: Duration = Duration::from_secs(60);
/// When data arrives but nothing recordable, the trouble is reported after this, and so within 5 s.
pub const TROUBLE_DELAY: Duration = Duration::from_secs(4);
/// The report that frames are too large stands for this long after the last such frame; busy scenes
/// come and go.
pub const TOO_LARGE_TOLD: Duration = Duration::from_secs(60);
/// How often a repeated camera failure is logged again …
pub const FAILURE_TOLD_INTERVAL: Duration = Duration::from_secs(3600);
/// … and how many different failures are remembered; the one logged longest ago is forgotten.
pub const FAILURES_TOLD_MAX: usize = 8;
/// Requested receive buffer of a camera's socket (the kernel doubles it for its own use): what one
/// read takes, and a key frame's burst.
pub const CAMERA_RECEIVE_BYTES: usize = 256 * KIB;
/// Requested receive buffer for RTP over UDP: what 100 Mbit/s brings between two reads. The kernel
/// charges each packet with the network driver's whole buffer.
pub const DATAGRAM_RECEIVE_BYTES: usize = 256 * KIB;
/// The same for RTCP: one report every few seconds.
pub const REPORT_RECEIVE_BYTES: usize = 8 * KIB;
/// A datagram; IP allows no more. A camera's are far smaller: once this many …
pub const DATAGRAM_BYTES_MAX: usize = 64 * KIB;
/// … have fitted into an Ethernet frame …
pub const DATAGRAMS_THAT_TELL: u32 = 256;
/// … several are read at once into slots of this size. A longer one is then lost, but only the
/// first: after it the slots are as large as a datagram.
pub const DATAGRAM_SLOT_BYTES: usize = 2 * KIB;
pub const DATAGRAM_SLOTS: usize = 16;
/// Datagrams read in one go before other tasks run: more than the buffer holds.
pub const DATAGRAMS_AT_ONCE_MAX: usize = 512;
/// How long datagrams accumulate at most before they are read while there are no viewers.
pub const DATAGRAM_INTERVAL_MAX: Duration = Duration::from_millis(100);
/// How often the RTSP connection is read while packets come over UDP: it only carries replies to
/// keepalives, or ends.
pub const CONTROL_INTERVAL: Duration = Duration::from_millis(500);
/// Packets sent from each port to open a path through a NAT; one may be lost.
pub const PUNCHES: usize = 2;
/// Attempts to find two adjacent free ports.
pub const PORT_TRIES_MAX: usize = 32;
/// Interval of receiver reports (RFC 3550 §6.2).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// After PLAY, the other lower transport is tried if no packet arrives for this long.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(3);
/// A description without a length, or shorter than its length, counts as whole when nothing follows
/// for this long: less than the timeout of any reply, more than a lost segment takes to be sent
/// again.
pub const DESCRIPTION_PAUSE: Duration = Duration::from_secs(3);
/// Timeouts of a reply, and of the first packet after PLAY. Each attempt that ran into them moves
/// one step on, because cameras that wake up or are far away take 7 to 25 s.
pub const PATIENCE: [(Duration, Duration); 4] = [
    (REPLY_TIMEOUT, SILENCE_TIMEOUT),
    (Duration::from_secs(10), Duration::from_secs(10)),
    (Duration::from_secs(20), Duration::from_secs(20)),
    (Duration::from_secs(30), Duration::from_secs(30)),
];
/// Consecutive redirects that are followed.
pub const REDIRECTS_MAX: usize = 4;
/// Bytes that may accumulate in a socket before it is read, while there are no viewers …
pub const GULP_BYTES: usize = 128 * KIB;
/// … and in the sockets of all cameras together: the kernel counts each byte nearly twice, and
/// allows 2.2 MB on the board …
pub const GULPS_BYTES: usize = 384 * KIB;
/// … and the longest and the shortest time between two reads.
pub const GULP_INTERVAL_MAX: Duration = Duration::from_millis(250);
pub const GULP_INTERVAL_MIN: Duration = Duration::from_millis(5);
/// Consecutive reads from a socket that does not run dry; then other tasks run.
pub const GULP_READS_MAX: usize = 2;
/// Rounds of such reads at the end of a run: a socket holds no more than its buffer.
pub const REST_GULPS_MAX: usize = 64;
/// How long `probe` watches a camera after its first key frame …
pub const PROBE_SPAN: Duration = Duration::from_secs(5);
/// … and how long it waits for that key frame.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(15);
/// The ring of a probe: a 4K key frame fits into half of it.
pub const PROBE_RING_BYTES: usize = 4096 * KIB;

// --- find -----------------------------------------------------------------------------------

/// How long cameras are looked for: answers come within 3 s of the last probe, most within 1 s …
pub const FIND_TIMEOUT: Duration = Duration::from_millis(4500);
/// … and how long it may take to learn whether a named host is an ONVIF camera: five usual ports,
/// up to 0.3 s each if nothing answers, then a probe, repeated after 0.5 and 1 s. With its RTSP
/// ports, a silent host takes 5 s.
pub const FIND_GUESS_TIMEOUT: Duration = Duration::from_secs(3);
/// Cameras in one answer; further ones are not shown.
pub const FIND_DEVICES_MAX: usize = 64;
/// The highest number of a network interface on which cameras are looked for; boards have 3.
pub const FIND_INTERFACES_MAX: u32 = 32;
/// Requested receive buffer while looking: 64 cameras that answer each probe at once.
pub const FIND_RECEIVE_BYTES: usize = 256 * KIB;
/// A datagram in answer to a probe; real ones have 1 to 3 KB. More is cut off.
pub const FIND_DATAGRAM_BYTES_MAX: usize = 16 * KIB;
/// Asking one camera for its streams takes 5 to 8 requests, each within this …
pub const FIND_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// … and all of them within this; slow cameras take a second for each.
pub const FIND_LOOKUP_TIMEOUT: Duration = Duration::from_secs(12);
/// One document; the profiles of a camera have 5 to 40 KB, with analytics up to 100. The rest of a
/// longer one, as recorders with many channels send, is not read: the whole profiles in it count,
/// and the answer says that there are more.
pub const FIND_DOCUMENT_BYTES_MAX: usize = 128 * KIB;
/// Profiles of one camera that are looked at; cameras have 2 to 5.
pub const FIND_PROFILES_MAX: usize = 16;
/// Requests with a password that a camera may refuse: cameras lock accounts after 3 to 30.
pub const FIND_REFUSALS_MAX: usize = 2;

// --- camera: snapshots, live ------------------------------------------------------------------

/// One JPEG; 640x360 has at most 60 KB, a busy 1080p picture 400 KB. A larger one is an error.
pub const SNAPSHOT_BYTES_MAX: usize = 512 * KIB;
/// One read from a camera's HTTP reply, and the limit of its head.
pub const SNAPSHOT_READ_BYTES: usize = 8 * KIB;
/// From a request for a picture to the end of its reply; cameras that wake an encoder take 3 s.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time to try every source of pictures; after it the viewer is told that there is none.
pub const SNAPSHOT_SEARCH_TIMEOUT: Duration = Duration::from_secs(22);
/// Redirects followed for one request.
pub const SNAPSHOT_REDIRECTS_MAX: usize = 2;
/// When no source gave a picture, or the camera refused the password, all are tried again after
/// this.
pub const SNAPSHOT_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// A picture, and the stream it came from, are dropped after this long without a request.
pub const SNAPSHOT_IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// A preview made from a key frame fits this size and is never enlarged.
pub const PREVIEW_WIDTH: usize = 640;
pub const PREVIEW_HEIGHT: usize = 360;
/// A key frame with its parameter sets; those of 4K at 16 Mbit/s stay under 1 MB. No picture is
/// made from a larger one.
pub const STILL_INPUT_BYTES_MAX: usize = 2048 * KIB;
/// Making a picture from a key frame; FFmpeg takes 0.3 s on a PC and seconds on a board.
pub const STILL_TIMEOUT: Duration = Duration::from_secs(10);
/// Niceness of that process, 0 to 19: it gets a third of a busy processor. With a tenth it exceeded
/// the timeout on a machine with ten other programs at work.
pub const STILL_NICENESS: u8 = 5;
/// Memory of our own decoder per luma sample (9.1 bytes measured, H.264 in eight slices) …
#[cfg(feature = "pictures")]
pub const STILL_BYTES_PER_PIXEL: u64 = 10;
/// … plus this, which includes the key frame and the JPEG.
#[cfg(feature = "pictures")]
pub const STILL_BYTES_FIXED: u64 = 3 << 20;
/// Both together: enough for 1080p and no more.
#[cfg(feature = "pictures")]
pub const STILL_BYTES_MAX: u64 = 24 << 20;
/// Ring of the smaller stream, kept while it has viewers: 4 s at 1 Mbit/s.
pub const LIVE_RING_BYTES: usize = 512 * KIB;
/// The smaller stream is closed this long after its last viewer left, so that reloading the page
/// finds it running.
pub const LIVE_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

// --- ffmpeg ---------------------------------------------------------------------------------

/// FFmpeg's output about itself; the list of all its formats has 20 KB.
pub const FFMPEG_ANSWER_BYTES_MAX: usize = 64 * KIB;
/// Timeout of such a query; loading FFmpeg from a slow card takes a second.
pub const FFMPEG_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Length of the comment that enlarges the head of FFmpeg's files: room for an identity and 80
/// index entries, a key frame a second for more than a minute. Longer segments merge neighbouring
/// entries.
pub const FFMPEG_COMMENT_BYTES: usize = 1100;
/// FFmpeg's timeout for connecting and for a silent socket.
pub const FFMPEG_SOCKET_TIMEOUT: Duration = Duration::from_secs(5);
/// From FFmpeg's start until its first bytes reach the card: it analyses the stream for up to 5 s,
/// and key frames may be 10 s apart.
pub const FFMPEG_START_TIMEOUT: Duration = Duration::from_secs(15);
/// FFmpeg, which writes a fragment a second, is restarted if none of its output has reached the
/// card for this long, so that recording resumes within 15 s.
pub const FFMPEG_STALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Delay between FFmpeg's exit and its restart; it doubles up to the maximum, which lets a
/// returning camera be recorded within 15 s.
pub const FFMPEG_RETRY_INTERVAL_MIN: Duration = Duration::from_secs(1);
pub const FFMPEG_RETRY_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// Ring of a camera recorded by FFmpeg: it stays empty.
pub const FFMPEG_RING_BYTES: usize = 4 * KIB;

// --- recorder, daemon -----------------------------------------------------------------------

/// Fragments on their way to the card, over all cameras; when all are in use, the recorder waits
/// and the ring fills. A second buffer would save nothing: filling one takes a thousandth of the
/// time that writing it takes.
pub const FRAGMENT_BUFFERS: usize = 1;
/// Capacity that a returned fragment buffer keeps: a full fragment and its header.
pub const FRAGMENT_BUFFER_BYTES: usize = FRAGMENT_BYTES_MAX + 16 * KIB;
/// How far sound may lag behind video before a segment is opened or cut without it.
pub const AUDIO_WAIT: Ticks = Ticks::from_seconds(1);
/// Frames arrive, but none became durable for this long (or twice `sync_seconds`, if that is
/// longer): the camera's run is restarted, or the card's state gives the reason.
pub const DURABLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to check whether the wall clock was set and can be trusted.
pub const CLOCK_INTERVAL: Duration = Duration::from_secs(10);
/// How long a clean shutdown waits for a stalled card.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// A second signal within this time is taken for the same request: Ctrl-C reaches a whole process
/// group, and some processes pass it on.
pub const SIGNAL_ECHO: Duration = Duration::from_secs(1);

/// How long a request to start recording waits for the first fragment to reach the card: the next
/// key frame may be seconds away.
pub const RECORD_START_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a viewer's request to the card, which may stall for seconds.
pub const CARD_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a span of many recordings, each of which is written and synced separately. Shorter
/// than the client's own timeout ([`CLIENT_TIMEOUT`]); the card finishes the work in any case.
pub const SPAN_ANSWER_TIMEOUT: Duration = Duration::from_secs(25);
/// How long unfinished replies may delay the end of the process.
pub const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(1);
/// A report repeated within this time continues the same mark: ten thousand reports a minute make
/// one.
pub const MARK_JOIN: Duration = Duration::from_secs(10);
/// Marks of a camera in a burst: every door of a house, or a detector that watches a party …
pub const MARKS_IN_A_ROW_MAX: u64 = 60;
/// … and the interval of further ones: 8,640 a day, 1.5 MB. More are refused and counted.
pub const MARK_INTERVAL: Duration = Duration::from_secs(10);
/// Marks that go on at a time, about 200 bytes each; beyond that, the one due to end first ends at
/// once.
pub const MARKS_GOING_ON_MAX: usize = 32;
/// A mark that a script begins and does not end ends after this.
pub const MARK_ON_TIMEOUT: Duration = Duration::from_secs(3600);
/// State changes, marks, and lost or deleted recordings, remembered for display. A program or
/// server that lags further behind misses the oldest, and is told so.
pub const HISTORY_ENTRIES_MAX: usize = 50;

// --- mqtt -----------------------------------------------------------------------------------

/// Interval at which the server is pinged. The server is asked to report us gone after three times
/// as long.
pub const MQTT_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Timeout of an answer, and of a write.
pub const MQTT_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A packet from the server; commands and answers stay under 150 bytes. Longer messages are
/// skipped.
pub const MQTT_PACKET_BYTES_MAX: usize = 512;

// --- tell -----------------------------------------------------------------------------------

/// How long `on_mark` and `on_segment` may run: enough to send a minute of video over a slow line.
/// The next call waits.
pub const HOOK_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes they may write to their standard output, which nobody reads; more ends them.
pub const HOOK_OUTPUT_BYTES_MAX: usize = 16 * KIB;
/// Pause before the MQTT server is tried again, doubled each time up to the longest …
pub const MQTT_PAUSE_MIN: Duration = Duration::from_secs(1);
pub const MQTT_PAUSE_MAX: Duration = Duration::from_secs(60);
/// … until a connection lasts this long. If one ends sooner, another client may have the same name:
/// the server then closes the older connection.
pub const MQTT_STEADY: Duration = Duration::from_secs(20);
/// Interval of changes published over MQTT; only the newest state of each topic is published.
pub const MQTT_STATE_INTERVAL: Duration = Duration::from_millis(250);
/// Interval at which a camera's picture, and the days that fit on the card, are published over
/// MQTT.
pub const MQTT_PICTURE_INTERVAL: Duration = Duration::from_secs(60);
/// A picture sent over MQTT; brokers keep it in memory. A larger one is not sent.
pub const MQTT_PICTURE_BYTES_MAX: usize = 128 * KIB;
/// Timeout of one request to the webhook, including the connection.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses before further attempts; after the last, that report is dropped.
pub const WEBHOOK_RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

// --- web ------------------------------------------------------------------------------------

/// Connections beyond `connections_max`: they are about to end, or turn out to belong to a
/// logged-in client.
pub const WEB_SPARE_PLACES: usize = 4;
/// Connections waiting in the kernel to be accepted; further clients have to retry.
pub const WEB_BACKLOG: i32 = 32;
/// Requested receive buffer of a client's socket (the kernel doubles it). Strangers can fill those
/// of all connections, also of waiting ones: with the usual 128 KB each, they would take the
/// board's 2.2 MB for TCP, which the camera needs.
pub const WEB_RECEIVE_BUFFER_BYTES: usize = 4 * KIB;
/// Pause between accepted connections, 500 a second: a flood costs a tenth of the board's processor
/// …
pub const WEB_ACCEPT_INTERVAL: Duration = Duration::from_millis(2);
/// … after this many at once, as browsers open them.
pub const WEB_ACCEPT_BURST: u32 = 32;
/// Connections that carry recordings or live video; further ones get 503.
pub const WEB_MEDIA_MAX: usize = 6;
/// Bytes collected before a write to a socket.
pub const WEB_WRITE_BUFFER_BYTES: usize = 2 * KIB;
/// Requested send buffer of a client's socket (the kernel doubles it): the whole board has 2.2 MB
/// for TCP.
pub const WEB_SEND_BUFFER_BYTES: usize = 32 * KIB;
/// Bytes of a clip read and sent at a time, which pass through memory. Each piece costs eleven system
/// calls, since no file stays open between two, but with 64 KB the heap grew by 2.7 MB while a long
/// clip was sent.
pub const WEB_PIECE_BYTES: usize = 32 * KIB;
/// Bytes of a recording sent at a time, past memory, if the client takes them that fast: other
/// readers wait 50 ms for a card that reads 10 MB a second.
pub const WEB_SEND_BYTES: u64 = 512 << 10;
/// Requested send buffer while a recording is sent: with less, loopback, whose packets have 64 KB,
/// waits for every acknowledgement (2 MB/s) …
pub const WEB_RECORDING_SEND_BUFFER_BYTES_MIN: usize = 64 * KIB;
/// … or one part in this many of the free memory, so that [`WEB_MEDIA_MAX`] clients take at most a
/// twentieth of it …
pub const WEB_RECORDING_SEND_BUFFER_MEMORY_PART: u64 = 256;
/// … up to this: more makes it no faster.
pub const WEB_RECORDING_SEND_BUFFER_BYTES_MAX: usize = 256 * KIB;
/// Timeout for the first request on a connection …
pub const WEB_FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// … and for each further one.
pub const WEB_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// From the first byte of a request's head to its last; then 408.
pub const WEB_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// From a request's beginning to the end of its body.
pub const WEB_REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection is closed when the client accepts no data for this long.
pub const WEB_WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait for the client to close after we have.
pub const WEB_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after a failure to listen or accept.
pub const WEB_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of frames in one live fragment, when a viewer starts or lags behind.
pub const LIVE_FRAGMENT_BYTES_MAX: usize = 64 * KIB;
/// Larger pictures that clients have not read yet, over all clients: three of a 4 Mbit/s stream,
/// since a board with 32 MB can spare no more …
pub const LIVE_UNREAD_BYTES_MIN: usize = 384 * KIB;
/// … or one part in this many of the free memory, if that is more.
pub const LIVE_UNREAD_MEMORY_PART: u64 = 32;
/// A client that reads nothing of such a picture for this long is disconnected if others need its
/// share.
pub const LIVE_UNREAD_TIMEOUT: Duration = Duration::from_secs(2);
/// Capacity that a viewer's buffer keeps after a larger picture.
pub const LIVE_BUFFER_BYTES_KEPT: usize = 32 * KIB;
/// A viewer this far behind the stream (2 s) skips to a newer key frame.
pub const LIVE_LAG_MAX: Ticks = Ticks::from_seconds(2);
/// Shortest and longest interval between two status events to one listener.
pub const EVENTS_INTERVAL_MIN: Duration = Duration::from_secs(1);
pub const EVENTS_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Recordings in one reply: the default and the maximum.
pub const LIST_ENTRIES_DEFAULT: usize = 100;
pub const LIST_ENTRIES_MAX: usize = 500;
/// Frame rate and bit rate are averaged over this many ticks (5 s).
pub const RATE_SPAN: Ticks = Ticks::from_seconds(5);

/// How long the page's probe of a camera lasts from the first key frame on, and how long it waits
/// for that frame. With connecting, both take at most 15 s.
pub const WEB_PROBE_SPAN: Duration = Duration::from_secs(2);
pub const WEB_PROBE_PATIENCE: Duration = Duration::from_secs(8);
/// The ring of such a probe, which the board can spare for that time.
pub const WEB_PROBE_RING_BYTES: usize = 1024 * KIB;
/// The beginning of a picture group shown on the page; a larger key frame is sent alone.
pub const WEB_PROBE_PICTURE_BYTES: usize = 128 * KIB;
/// Overall limit of one probe request.
pub const WEB_PROBE_TIMEOUT: Duration = Duration::from_secs(15);

// --- relay ----------------------------------------------------------------------------------

/// Connections of RTSP clients: more than can play at a time ([`WEB_MEDIA_MAX`]). A further one
/// replaces a client that neither plays nor gave the password.
pub const RELAY_CONNECTIONS_MAX: usize = 8;
/// … plus connections that are about to end; further ones wait in the kernel's queue.
pub const RELAY_SPARE_CONNECTIONS: usize = 2;
/// Payload of a packet: with IP, UDP and RTP headers it fits into an Ethernet frame, even inside a
/// tunnel.
pub const RELAY_PAYLOAD_BYTES_MAX: usize = 1380;
/// A client that does not play and requests nothing is disconnected after this.
pub const RELAY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that plays over UDP counts as gone after this long without a sign of life; it was told
/// to show one within 60 s.
pub const RELAY_LIFE_TIMEOUT: Duration = Duration::from_secs(90);
/// Interval of sender reports (RFC 3550 §6.2).
pub const RELAY_REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a description waits for expected sound; after it, the stream is described without.
pub const RELAY_SOUND_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request waits for the first key frame of its stream.
pub const RELAY_STREAM_TIMEOUT: Duration = Duration::from_secs(10);

// --- web: access ----------------------------------------------------------------------------

/// Request line and header fields; a browser sends under 1 KB. More is 431.
pub const HTTP_HEAD_BYTES_MAX: usize = 4 * KIB;
/// The target in a request line; ours have under 100 bytes. More is 414.
pub const HTTP_TARGET_BYTES_MAX: usize = KIB;
/// Header fields of one request; browsers send under 20. More is 431.
pub const HTTP_FIELDS_MAX: usize = 64;
/// A request body: a whole configuration. More is 413.
pub const HTTP_BODY_BYTES_MAX: usize = CONFIG_BYTES_MAX;
/// The same for a client that is not logged in: a password of 128 characters, escaped, and the old
/// one.
pub const HTTP_BODY_BYTES_OF_STRANGERS_MAX: usize = KIB;
/// Foreign cookies removed from one head; a browser keeps 180 for a host, few of them long.
pub const HTTP_COOKIES_BYTES_MAX: usize = 16 * KIB;
/// Browsers that are logged in; the one idle for longest is logged out.
pub const SESSIONS_MAX: usize = 32;
/// A session that is idle for this long ends.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Passwords being checked or queued for it; a check takes up to 100 ms. More are refused.
pub const PASSWORD_CHECKS_MAX: usize = 4;
/// The longest delay imposed on an address after wrong passwords (1, 2, 4, 5 s).
pub const WRONG_PASSWORD_DELAY_MAX: Duration = Duration::from_secs(5);
/// Wrong passwords are forgotten after this.
pub const WRONG_PASSWORD_MEMORY: Duration = Duration::from_secs(600);
/// Addresses, and their networks, that sent a wrong password; the one whose delay ends first is
/// forgotten. Until then the first attempt of each further address is checked at once: all hosts of
/// an IPv4 /24 fit, and 256 guesses in [`WRONG_PASSWORD_MEMORY`] are one in 2 s.
pub const WRONG_PASSWORD_ADDRESSES_MAX: usize = 256;
/// Further attempts in a burst, shared by all addresses that never sent the right password …
pub const PASSWORD_TRIES_MAX: u32 = 15;
/// … and the interval of further ones: at 5 a second, a list of a million passwords takes more than
/// two days.
pub const PASSWORD_TRY_INTERVAL: Duration = Duration::from_millis(200);
/// From this many wrong passwords in a row, attempts from an address are held rather than refused.
/// People who mistype are told to wait; a guesser must not take every turn of the others behind the
/// same address …
pub const HELD_FROM_WRONG_PASSWORDS: u32 = 3;
/// … each attempt for this long before it is checked …
pub const HELD_PASSWORD_DELAY: Duration = WRONG_PASSWORD_DELAY_MAX;
/// … or, if many are held, for this long times their number, so that three a second are checked …
pub const HELD_PASSWORD_INTERVAL: Duration = Duration::from_millis(300);
/// … and this many are held at a time, each on its own connection; further ones are refused. The
/// last one is checked after 7.2 s; the owner must get in within 10.
pub const HELD_PASSWORDS_MAX: usize = 24;
/// How often the client of a held attempt is checked: one that hung up loses its turn.
pub const HELD_PASSWORD_LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Wrong passwords in a row after which a browser that was logged in before is treated like any
/// other client.
pub const KNOWN_BROWSER_TRIES_MAX: u32 = 10;
/// Addresses that sent the right password: guessing from elsewhere does not delay them.
pub const RIGHT_PASSWORD_ADDRESSES_MAX: usize = 8;
/// Cookies of our name examined in a request: another server on the same host can set one for each
/// path.
pub const COOKIES_MAX: usize = 32;
/// Access events not yet collected; the oldest is dropped.
pub const ACCESS_NEWS_MAX: usize = 8;

// --- cli ------------------------------------------------------------------------------------

/// A daemon that crashed is restarted after this: within the promised time, but not in a busy loop.
pub const RESTART_DELAY: Duration = Duration::from_secs(2);
/// The daemon's reply to a command; the status of 16 cameras has 10 KB. More is an error.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 1024 * KIB;
/// Timeout of that reply: longer than a daemon takes to shut down while the card stalls.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Recordings requested at a time: 60 KB of JSON, and ten times that while it is parsed.
pub const CLIENT_LIST_PAGE: usize = 200;
/// Bytes of a clip made at a time, when no daemon runs.
pub const CLIENT_PIECE_BYTES: usize = 256 * KIB;
/// Timeout of a clip's first byte: the daemon reads the fragments of up to a day, from a card that
/// is busy otherwise.
pub const CLIENT_CLIP_TIMEOUT: Duration = Duration::from_secs(600);
/// The line a password is read from; a password has at most 128 characters.
pub const PASSWORD_LINE_BYTES_MAX: usize = KIB;

// --- clips ----------------------------------------------------------------------------------

/// Segments of a clip: a day of one-minute segments …
pub const CLIP_SEGMENTS_MAX: usize = 1500;
/// … and of all clips being sent, about 200 bytes each: two days, so that beside a slow client with
/// one there is room for others.
pub const CLIPS_SEGMENTS_MAX: usize = 2 * CLIP_SEGMENTS_MAX;
/// A clip counts for at least this many: 12 clips at a time, fewer than a recording can count.
pub const CLIP_SEGMENTS_MIN: usize = CLIPS_SEGMENTS_MAX / 12;
/// How long a clip waits for others to finish: players send the next request before the last reply
/// has ended.
pub const CLIP_ROOM_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest `moov` from which a clip takes a track's description; ours have 1 to 2 KB.
pub const CLIP_MOVIE_BYTES_MAX: usize = 64 << 10;
/// Samples read from one fragment for a clip: our fragments last a second, FFmpeg's a picture
/// group.
pub const CLIP_FRAGMENT_SAMPLES_MAX: usize = 16_384;

// --- hls ------------------------------------------------------------------------------------

/// The longest span of a playlist: a day on which the clocks go back.
pub const HLS_SPAN_MAX: Duration = Duration::from_secs(25 * 3600);
/// A longer playlist has one piece a recording. For shorter ones the index of each recording is
/// read, which takes 20 ms on a board.
pub const HLS_FINE_SPAN_MAX: Duration = Duration::from_secs(2 * 3600);
/// Recordings of a playlist, about 80 bytes each while it is sent: 25 h of one-minute segments.
pub const HLS_RECORDINGS_MAX: usize = 1500;
/// A piece of a recording ends at the first key frame after this; a rest shorter than half of it is
/// added to the last piece. Phones begin to play once they have the first piece.
pub const HLS_PIECE: Duration = Duration::from_millis(5500);
/// How much longer than `segment_seconds` a recording may become while it waits for a key frame.
pub const HLS_KEY_FRAME_WAIT: Duration = Duration::from_secs(10);
/// The longest pause of sound in a recording that is bridged: each fragment of it, a second of
/// ours, has to be looked at.
pub const HLS_SOUND_HOLE_MAX: Duration = Duration::from_secs(300);
/// The shortest time between two recordings that counts as a gap: more than clocks differ, less
/// than a camera takes to reconnect.
pub const HLS_GAP_MIN: Duration = Duration::from_millis(500);

// --- copies to a store ----------------------------------------------------------------------

/// Bytes of a recording read and sent at a time: a small part of what a card reads while a fragment
/// waits.
pub const ARCHIVE_PIECE_BYTES: usize = 32 * KIB;
/// A store that does not accept a piece, or does not answer, within this time has failed: a piece
/// takes 0.7 s at 50 KB/s, and a NAS's disks wake up within 15 s.
pub const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes read of an answer: its head and the beginning of its body.
pub const ARCHIVE_ANSWER_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// How often to look for new recordings; one takes a minute.
pub const ARCHIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Pause after a failure; it doubles with each further one, up to the maximum.
pub const ARCHIVE_PAUSE_MIN: Duration = Duration::from_secs(2);
pub const ARCHIVE_PAUSE_MAX: Duration = Duration::from_secs(300);
/// The longest pause that a store may request (`Retry-After`): rate limits count by the hour at
/// most.
pub const ARCHIVE_RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// How often reading, which waits while the card writes, checks whether it may go on.
pub const ARCHIVE_CARD_WAIT: Duration = Duration::from_millis(50);
/// How long after a recording's end a mark may still arrive: the largest `marks.after_seconds`, and
/// a minute.
pub const ARCHIVE_MARK_WAIT: Duration = Duration::from_secs(660);

// --- the sum --------------------------------------------------------------------------------

/// Anonymous memory while one camera is recorded with the default buffer, 1,000 recordings are on
/// the card, and two viewers have the page open. Parts without a bound of their own above are as
/// measured.
const RESIDENT_BYTES: usize = (BUFFER_KB_DEFAULT as usize) * KIB
    + RING_FRAMES_MAX * 64 // the ring's record of each frame
    + RING_PARAMETER_SETS_BYTES_MAX
    + FRAGMENT_BUFFERS * FRAGMENT_BUFFER_BYTES
    + (FRAGMENT_FRAMES_MAX + AUDIO_FRAGMENT_FRAMES_MAX) * 12 // samples of the open fragment
    + AUDIO_RING_FRAMES_MAX * 32 + AUDIO_FRAME_BYTES_MAX // sound; its bytes are part of the buffer
    + RTSP_BUFFER_BYTES
    + HEAD_BYTES_MAX + RTSP_BODY_BYTES_MAX // a request, an SDP
    + (REORDER_PACKETS_MAX + 1) * REORDER_PACKET_BYTES_MAX // over UDP
    + DATAGRAM_SLOTS * DATAGRAM_SLOT_BYTES // touched pages of the datagram buffer
    + 1000 * 32 // the catalogue
    + INDEX_ENTRIES_MAX * 16
    + CARD_THREAD_STACK_BYTES
    + READER_THREAD_STACK_BYTES
    + CONNECTIONS_OF_TWO * CONNECTION_BYTES
    + 2 * (LIVE_FRAGMENT_BYTES_MAX + WEB_PIECE_BYTES) // two viewers, one also playing
    + 4 * 32 * KIB // touched stack of main, reactor and pool
    + 256 * KIB; // executor, reactor, configuration, the allocator itself

/// One connection: the gate's buffer, picoserve's, the request's head, collected output, and the 7
/// KB task.
const CONNECTION_BYTES: usize = 3 * HTTP_HEAD_BYTES_MAX + WEB_WRITE_BUFFER_BYTES + 7 * KIB;
/// Browsers keep up to six connections to a page open.
const CONNECTIONS_OF_TWO: usize = 10;

/// The memory budget of a board with 32 MB.
const RESIDENT_BYTES_MAX: usize = 4_200_000;

const _: () = assert!(RESIDENT_BYTES <= RESIDENT_BYTES_MAX, "more memory than the board has");
