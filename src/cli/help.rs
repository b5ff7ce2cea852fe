//! What `--help` prints.

mod recordings;

pub(super) use recordings::{EXPORT, KEEP, LIST, VERIFY};

pub(super) const PROGRAM: &str = "\
smolnvr - records IP cameras onto an SD card, unchanged, as MP4

USAGE
  smolnvr run [-c FILE] [--no-record]   the daemon, in the foreground
  smolnvr check [-c FILE]               reads the configuration, says what would run
  smolnvr status [--json]               how cameras, card and recordings are
  smolnvr record start|stop [CAMERA]    starts and stops recording
  smolnvr shutdown                      closes all files and ends the daemon
  smolnvr passwd [-c FILE]              sets the password of the page
  smolnvr probe URL [--json]            asks a camera what it sends
  smolnvr list [CAMERA] [--from TIME] [--to TIME] [--last N] [--json]
                                        the recordings on the card
  smolnvr export CAMERA FROM TO [-o FILE] [--key-frames]
                                        a span of time as one file
  smolnvr keep CAMERA FROM TO [--off]   never deletes a span of time
  smolnvr verify PATH... [--repair] [--json]
                                        whole, cut short or damaged? --repair mends
  smolnvr --version

  `smolnvr COMMAND --help` says more about each.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --socket PATH       where the daemon listens for commands
  --json              answer for a program to read
  -h, --help          this text, or that of a command
  -V, --version       the version

EXIT STATUS
  0  done
  1  the thing asked about is not so: a damaged file, no camera there, no
     daemon
  2  wrong usage or configuration
";

pub(super) const RUN: &str = "\
smolnvr run - the recorder, in the foreground until SIGTERM or SIGINT

USAGE
  smolnvr run [-c FILE] [--no-record] [--socket PATH]

  Connects to every camera of the configuration and records those with
  `record = true` onto the card; tries again for ever when a camera or
  the card is gone. Logs changes of state, one line each, to standard
  error, or to syslog where that is /dev/null.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --no-record         connect, but record nothing
  --socket PATH       the control socket; one daemon runs for each, and what
                      lasts until the next boot lies beside it
                      (default: /var/run/smolnvr.sock, or where that can not
                      be written $XDG_RUNTIME_DIR/smolnvr.sock)

SIGNALS
  TERM, INT   close all files and end, within 2 s (10 s if the card stalls);
              once more after a second: end at once, the files are mended at
              the next start
  HUP         read the configuration again; a wrong one changes nothing, and
              cameras that did not change go on

EXIT STATUS
  0  ended by a signal
  1  another smolnvr runs already, or the system refused something
  2  wrong usage or configuration: one line with file, line, key and what
     is allowed
";

pub(super) const CHECK: &str = "\
smolnvr check - reads the configuration and says what would run

USAGE
  smolnvr check [-c FILE]

  Says which storage path would be used, and how each camera would be
  recorded; where FFmpeg is to do it, by which one, or what is wrong with it.
  Connects to nothing and writes nothing.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)

EXIT STATUS
  0  the configuration is valid, whether or not card and cameras are there
  2  it is not: one line with file, line, key and what is allowed
";

pub(super) const STATUS: &str = "\
smolnvr status - how cameras, card and recordings are

USAGE
  smolnvr status [--json] [--socket PATH]

  Asks the running daemon. A table with one line for each camera: its
  state and since when, what it sends, the recording that is being
  written, how long ago its last frame was stored for good, and what was
  lost, by cause: by the network (packets), by the card, by viewers, as
  malformed by the camera, undecodable, too large or too short (frames).
  RECORDING is `off` where nobody wants it, and `waiting` where camera or
  card is not ready.

OPTIONS
  --json          what /api/status answers, in one line
  --socket PATH   where the daemon listens, as for `run`
                  (default: /var/run/smolnvr.sock, or where that can not be
                  written $XDG_RUNTIME_DIR/smolnvr.sock)

EXIT STATUS
  0  the daemon answered
  1  no daemon runs, or it does not answer
  2  wrong usage
";

pub(super) const RECORD: &str = "\
smolnvr record - starts and stops recording

USAGE
  smolnvr record start [CAMERA] [--socket PATH]
  smolnvr record stop [CAMERA] [--socket PATH]

  Tells the running daemon, for that camera or for all, and returns when
  it is so: a recording is open, or the last one is closed. Remembered
  until the next boot, over restarts of the daemon.

OPTIONS
  --socket PATH   where the daemon listens, as for `run`
                  (default: /var/run/smolnvr.sock, or where that can not be
                  written $XDG_RUNTIME_DIR/smolnvr.sock)

EXIT STATUS
  0  it is so
  1  it is not, and why is said in one line: recording begins as soon as
     camera and card are ready; or no daemon runs
  2  wrong usage
";

pub(super) const SHUTDOWN: &str = "\
smolnvr shutdown - closes all files and ends the daemon

USAGE
  smolnvr shutdown [--socket PATH]

  Returns when the last recording is closed; the daemon ends at once then.

OPTIONS
  --socket PATH   where the daemon listens, as for `run`
                  (default: /var/run/smolnvr.sock, or where that can not be
                  written $XDG_RUNTIME_DIR/smolnvr.sock)

EXIT STATUS
  0  all files are closed
  1  no daemon runs, or it does not answer
  2  wrong usage
";

pub(super) const PASSWD: &str = "\
smolnvr passwd - sets the password of the page

USAGE
  smolnvr passwd [-c FILE] [--socket PATH]

  Asks for the new password twice, without showing it; where standard
  input is no terminal its first line is taken. 8 to 128 characters. A
  hash of it is kept in smolnvr.passwd beside the configuration.

  A daemon that runs goes by it at once, and everybody is logged out. With
  -c that is a daemon that runs with FILE, if there is one.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --socket PATH       where the daemon listens, as for `run`

EXIT STATUS
  0  the password is set
  1  it is not, and why is said in one line
  2  wrong usage
";

pub(super) const PROBE: &str = "\
smolnvr probe - asks a camera what it sends

USAGE
  smolnvr probe URL|- [--json]

  Connects, watches for five seconds from the first key frame on, and
  prints the camera's tracks and of its video: codec, picture size, frame
  rate, bit rate and the distance of key frames.

  With - the URL is read from standard input: arguments can be seen by all
  users of the machine, and stay in the shell's history.

  In user and password / is written %2F, ? %3F, # %23 and % %25.

OPTIONS
  --json   answer for a program to read

EXAMPLE
  smolnvr probe rtsp://192.168.1.20:554/stream=0
  echo rtsp://admin:secret@192.168.1.20:554/stream=0 | smolnvr probe -

EXIT STATUS
  0  it sends video
  1  it does not; why is said in one line
  2  wrong usage
";

/// Not named in [`PROGRAM`]: what the daemon runs beside itself.
#[cfg(feature = "pictures")]
pub(super) const PICTURE: &str = "\
smolnvr picture - a JPEG of a key frame

USAGE
  smolnvr picture h264|h265 <STREAM >JPEG

  Decodes the first picture of a stream (Annex B, at most 2 MB: parameter
  sets and a key frame) and scales it down to fit 640x360.

EXIT STATUS
  0  the picture is written
  1  the stream has none, or can not be decoded
  2  wrong usage
";
