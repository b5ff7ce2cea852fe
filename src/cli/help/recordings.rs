//! The help of commands about recordings.

/// How to write a time.
macro_rules! times {
    () => {
        "\
TIMES
  14:27            today at that time; 14:27:30 with seconds
  yesterday 14:27  quoted; yesterday alone means its midnight
  2026-11-24T14:27 or 2026-11-24, its midnight
  -10m             ten minutes ago; units are s, m, h and d
  now
  1795528800000    milliseconds since 1970
  In the local time of this machine (TZ, /etc/TZ, /etc/localtime), unless
  followed by Z or +01:00.
"
    };
}

pub const LIST: &str = concat!(
    "\
smolnvr list - the recordings on the card, newest last

USAGE
  smolnvr list [CAMERA] [--from TIME] [--to TIME] [--last N] [--json]
               [--socket PATH] [-c FILE]

  One line for each recording: camera, file, start in local time, length,
  size, codec and state: `recording` (being written), `whole`, `cut` (short
  because of a power cut, playable up to there) or `damaged`. A ? after the
  start means that the clock was not set, or that the file is not from
  smolnvr; a ? as length, that the file's head does not contain it.

  Asks the running daemon. Without one, reads the head of every file in the
  first mounted storage path of the configuration: about 20 ms a file on a
  board.

OPTIONS
  --from TIME, --to TIME
                      only what was recorded then
  --last N            the newest N of each camera
  --json              an array of objects, as in /api/recordings
  --socket PATH       the daemon's control socket, as for `run`
  -c, --config FILE   read the files of this configuration instead of asking
                      a daemon; one being written looks cut

",
    times!(),
    "
EXIT STATUS
  0  success
  1  there is no card, or no camera of that name
  2  wrong usage or configuration
"
);

pub const EXPORT: &str = concat!(
    "\
smolnvr export - saves everything between two times as one MP4 file

USAGE
  smolnvr export CAMERA FROM TO [-o FILE] [--key-frames] [--socket PATH]
                 [-c FILE]

  Starts and ends at the frames shown at these times, without re-encoding;
  phones, chat programs and video editors accept the file. Gaps are
  removed. It ends early, with a message, if codec, picture size or sound
  change.

  The running daemon makes it. Without one, it is made from the files in
  the storage path of the configuration. The file is named FILE.part until
  it is complete.

OPTIONS
  -o, --output FILE   a file, a folder, or - for standard output (default: a
                      file here, named after camera and time)
  --key-frames        a time-lapse: 25 key frames a second, without sound
  --socket PATH       the daemon's control socket, as for `run`
  -c, --config FILE   read the files of this configuration instead of asking
                      a daemon

",
    times!(),
    "\
  TO may also be relative to FROM: +5m.

EXAMPLE
  smolnvr export yard 14:27 +5m
  smolnvr export yard 'yesterday 22:00' 06:00 --key-frames -o night.mp4

EXIT STATUS
  0  the file is saved
  1  it is not, with the reason in one line: nothing was recorded then
  2  wrong usage or configuration
"
);

pub const KEEP: &str = concat!(
    "\
smolnvr keep - protects recordings from deletion

USAGE
  smolnvr keep CAMERA FROM TO [--off] [--socket PATH]

  Asks the running daemon to keep everything recorded between the two
  times, whatever else is deleted.

OPTIONS
  --off           release them again
  --socket PATH   the daemon's control socket, as for `run`

",
    times!(),
    "\
  TO may also be relative to FROM: +5m.

EXIT STATUS
  0  it has taken effect
  1  it has not, with the reason in one line; or nothing was recorded then
  2  wrong usage
"
);

pub const MARK: &str = concat!(
    "\
smolnvr mark - notes that something happens before a camera

USAGE
  smolnvr mark [CAMERA] KIND [WORDS] [--on | --off] [--from TIME [--to TIME]]
               [--json] [--socket PATH]

  Asks the running daemon to note a moment, the beginning or end of
  something, or a span of time: for door contacts, scripts and detectors.
  KIND is a word of at most 16 of a-z, 0-9, - and _: motion, person, door.
  WORDS are for people, at most 80 bytes. CAMERA may be left out if there
  is only one.

  What is said again within 10 s is the same mark. Recordings from 5 s
  before to 30 s after a mark are those that event_days protects.

OPTIONS
  --on            it begins, or goes on: it ends with --off, or an hour later
  --off           it ends
  --from TIME, --to TIME
                  when it was, at most a day ago
  --json          the mark as in /api/marks
  --socket PATH   the daemon's control socket, as for `run`

",
    times!(),
    "
EXAMPLE
  smolnvr mark yard door 'Front door' --on

EXIT STATUS
  0  it is noted
  1  it is not, with the reason in one line: no such camera, too many marks
  2  wrong usage
"
);

pub const EVENTS: &str = concat!(
    "\
smolnvr events - what happened, newest last

USAGE
  smolnvr events [CAMERA] [--from TIME] [--to TIME] [--last N] [--follow]
                 [--json] [--socket PATH]

  One line for each mark: begin in local time, camera, kind, length, source
  and words. A ? after the begin means that the clock was not set; `now` as
  length, that it goes on. Marks of the kind `watched` say that their
  source was able to notice something. Asks the running daemon.

OPTIONS
  --from TIME, --to TIME
                  what happened then (default: the last 24 h), up to 32 days
  --last N        the newest N, at most 500 (default: 100)
  --follow        goes on, with each mark as it begins and as it ends
  --json          an object a line, as in /api/marks
  --socket PATH   the daemon's control socket, as for `run`

",
    times!(),
    "
EXIT STATUS
  0  success
  1  no daemon is running, or there is no camera of that name
  2  wrong usage
"
);

pub const VERIFY: &str = "\
smolnvr verify - checks whether files are complete

USAGE
  smolnvr verify PATH... [--repair] [--json]

  Reads every byte. A file is `whole`, `recording` (being written by the
  running daemon), `cut` (short because of a power cut, playable up to
  there) or `damaged` (with the place). For a folder, checks every recording
  in it.

OPTIONS
  --repair        cut a file short after its last complete fragment, write
                  its index and print how many bytes were removed; refused
                  while the daemon is running, which repairs at its start
  --socket PATH   the control socket of that daemon, as for `run`
  --json          an array of objects

EXIT STATUS
  0  every file is whole, being written, or repaired
  1  at least one is not
  2  wrong usage
";
