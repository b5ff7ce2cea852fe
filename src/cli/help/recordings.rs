//! Of the commands about recordings.

/// How a time is typed.
macro_rules! times {
    () => {
        "\
TIMES
  14:27            today at that time; 14:27:30 to the second
  yesterday 14:27  in quotes, or yesterday alone: its midnight
  2026-11-24T14:27 or 2026-11-24, its midnight
  -10m             so long ago; s, m, h and d are understood
  now
  1795528800000    milliseconds since 1970
  In the local time of this machine (TZ, /etc/TZ, /etc/localtime), unless Z
  or +01:00 stands behind.
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
  size, codec and what it is: `recording` (being written), `whole`, `cut`
  (short of its end, playable up to there: a power cut) or `damaged`. A ?
  behind the start says that the clock was not set, or that the file is
  not by smolnvr; as length, that the file's head does not tell it.

  Asks the running daemon. Where none runs the head of every file is read,
  at the first storage path of the configuration that is mounted: some
  20 ms a file on a board.

OPTIONS
  --from TIME, --to TIME
                      what was recorded then
  --last N            of each camera the newest N
  --json              one array of objects, named as in /api/recordings
  --socket PATH       where the daemon listens, as for `run`
  -c, --config FILE   no daemon is asked, the files that FILE leads to are
                      read: one being written looks cut

",
    times!(),
    "
EXIT STATUS
  0  done
  1  no card is there, or no camera has that name
  2  wrong usage or configuration
"
);

pub const EXPORT: &str = concat!(
    "\
smolnvr export - what was recorded between two times, as one MP4 file

USAGE
  smolnvr export CAMERA FROM TO [-o FILE] [--key-frames] [--socket PATH]
                 [-c FILE]

  Begins and ends at the frames that were shown then, without coding
  anything again; phones, chat programs and video editors take the file.
  Gaps are closed up. It ends early, and that is said, where codec,
  picture size or sound change.

  The running daemon makes it. Where none runs it is made of the files at
  the storage path of the configuration. FILE has its name once it is
  whole; FILE.part is what an export that was killed leaves.

OPTIONS
  -o, --output FILE   or a folder, or - for standard output (default: a
                      file named by camera and time, in this folder)
  --key-frames        a time-lapse: 25 key frames a second, without sound
  --socket PATH       where the daemon listens, as for `run`
  -c, --config FILE   no daemon is asked, the files that FILE leads to are
                      read

",
    times!(),
    "\
  TO may also be +5m: so long behind FROM.

EXAMPLE
  smolnvr export yard 14:27 +5m
  smolnvr export yard 'yesterday 22:00' 06:00 --key-frames -o night.mp4

EXIT STATUS
  0  the file is there
  1  it is not, and why is said in one line: nothing was recorded then
  2  wrong usage or configuration
"
);

pub const KEEP: &str = concat!(
    "\
smolnvr keep - recordings that are never deleted to make room

USAGE
  smolnvr keep CAMERA FROM TO [--off] [--socket PATH]

  Tells the running daemon: what was recorded between the two times stays,
  whatever else must go.

OPTIONS
  --off           they may go again
  --socket PATH   where the daemon listens, as for `run`

",
    times!(),
    "\
  TO may also be +5m: so long behind FROM.

EXIT STATUS
  0  it is so
  1  it is not, and why is said in one line; or nothing was recorded then
  2  wrong usage
"
);

pub const VERIFY: &str = "\
smolnvr verify - says of each file whether it is whole

USAGE
  smolnvr verify PATH... [--repair] [--json]

  Reads every byte. A file is `whole`, `recording` (the running daemon
  writes it), `cut` (short of its end, playable up to there: a power cut)
  or `damaged` (and where). Of a folder every recording in it is read.

OPTIONS
  --repair        trims a file that is cut to its last whole fragment, fills
                  in its index and says how many bytes went; refused while
                  the daemon runs, which mends by itself when it starts
  --socket PATH   the control socket of that daemon, as for `run`
  --json          one array of objects

EXIT STATUS
  0  every file is whole, is being written, or was repaired
  1  one is not
  2  wrong usage
";
