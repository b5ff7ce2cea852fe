//! The texts of `--help`.

mod recordings;

pub(super) use recordings::{EVENTS, EXPORT, KEEP, LIST, MARK, VERIFY};

pub(super) const PROGRAM: &str = "\
smolnvr - records IP cameras onto an SD card, unchanged, as MP4

USAGE
  smolnvr run [-c FILE] [--no-record]   the daemon, in the foreground
  smolnvr check [-c FILE]               checks the configuration
  smolnvr status [--json]               the state of cameras and card
  smolnvr record start|stop [CAMERA]    starts and stops recording
  smolnvr shutdown                      closes all files and stops the daemon
  smolnvr passwd [-c FILE]              sets the password of the page
  smolnvr find [ADDRESS] [--user NAME] [--json]
                                        finds cameras, and their URLs
  smolnvr probe URL [--json]            asks a camera what it sends
  smolnvr list [CAMERA] [--from TIME] [--to TIME] [--last N] [--json]
                                        the recordings on the card
  smolnvr export CAMERA FROM TO [-o FILE] [--key-frames]
                                        a span of time as one file
  smolnvr keep CAMERA FROM TO [--off]   protects a span of time from deletion
  smolnvr mark [CAMERA] KIND [WORDS] [--on|--off]
                                        notes that something happens
  smolnvr events [CAMERA] [--from TIME] [--to TIME] [--last N] [--follow]
                                        what happened
  smolnvr verify PATH... [--repair] [--json]
                                        checks files; repairs those cut short
  smolnvr --version

  `smolnvr COMMAND --help` describes each command.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --socket PATH       the daemon's control socket
  --json              machine-readable output
  -h, --help          this text, or that of a command
  -V, --version       the version

EXIT STATUS
  0  success
  1  the check failed: damaged file, camera unreachable, daemon not running
  2  wrong usage or configuration
";

pub(super) const RUN: &str = "\
smolnvr run - the recorder, in the foreground until SIGTERM or SIGINT

USAGE
  smolnvr run [-c FILE] [--no-record] [--socket PATH]

  Connects to every configured camera and records those with
  `record = true` onto the card; retries for ever if a camera or the card
  is missing. Logs changes of state, one line each, to standard error, or
  to syslog if that is /dev/null.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --no-record         connect, but record nothing
  --socket PATH       the control socket; one daemon runs for each, and keeps
                      its files until the next boot beside it (default:
                      /var/run/smolnvr.sock, or if that is not writable
                      $XDG_RUNTIME_DIR/smolnvr.sock)

SIGNALS
  TERM, INT   close all files and exit within 2 s (10 s if the card stalls);
              again after a second: exit at once, the files are repaired at
              the next start
  HUP         reload the configuration; an invalid one changes nothing, and
              unchanged cameras keep running

EXIT STATUS
  0  stopped by a signal
  1  another smolnvr is already running, or a system error
  2  wrong usage or configuration: one line with file, line, key and the
     allowed values
";

pub(super) const CHECK: &str = "\
smolnvr check - checks the configuration and prints what would run

USAGE
  smolnvr check [-c FILE]

  Prints which storage path would be used, and how each camera would be
  recorded; if by FFmpeg, by which one, or what is wrong with it. Connects
  to nothing and writes nothing.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)

EXIT STATUS
  0  the configuration is valid, whether or not card and cameras are present
  2  it is invalid: one line with file, line, key and the allowed values
";

pub(super) const STATUS: &str = "\
smolnvr status - the state of cameras, card and recordings

USAGE
  smolnvr status [--json] [--socket PATH]

  Asks the running daemon. The table has one line for each camera: its
  state and since when, its video, the file being recorded, the age of the
  last frame that would survive a power cut, and losses by cause: network
  (packets), card, slow viewers, malformed by the camera, undecodable, too
  large or too short (frames). RECORDING is `off` if recording is switched
  off, `no event` if only what happens is recorded and nothing does, and
  `waiting` if camera or card is not ready.

OPTIONS
  --json          the reply of /api/status, in one line
  --socket PATH   the daemon's control socket, as for `run`
                  (default: /var/run/smolnvr.sock, or if that is not
                  writable $XDG_RUNTIME_DIR/smolnvr.sock)

EXIT STATUS
  0  the daemon responded
  1  no daemon is running, or it does not respond
  2  wrong usage
";

pub(super) const RECORD: &str = "\
smolnvr record - starts and stops recording

USAGE
  smolnvr record start [CAMERA] [--socket PATH]
  smolnvr record stop [CAMERA] [--socket PATH]

  Asks the running daemon, for one camera or for all, and returns when it
  has taken effect: a recording is open, or the last one is closed.
  Remembered until the next boot, across restarts of the daemon.

OPTIONS
  --socket PATH   the daemon's control socket, as for `run`
                  (default: /var/run/smolnvr.sock, or if that is not
                  writable $XDG_RUNTIME_DIR/smolnvr.sock)

EXIT STATUS
  0  it has taken effect
  1  it has not, with the reason in one line: recording starts as soon as
     camera and card are ready; or no daemon is running
  2  wrong usage
";

pub(super) const SHUTDOWN: &str = "\
smolnvr shutdown - closes all files and stops the daemon

USAGE
  smolnvr shutdown [--socket PATH]

  Returns when the last recording is closed; the daemon exits right after.

OPTIONS
  --socket PATH   the daemon's control socket, as for `run`
                  (default: /var/run/smolnvr.sock, or if that is not
                  writable $XDG_RUNTIME_DIR/smolnvr.sock)

EXIT STATUS
  0  all files are closed
  1  no daemon is running, or it does not respond
  2  wrong usage
";

pub(super) const PASSWD: &str = "\
smolnvr passwd - sets the password of the page

USAGE
  smolnvr passwd [-c FILE] [--socket PATH]

  Asks for the new password twice, without showing it; if standard input
  is not a terminal, reads its first line. 8 to 128 characters. A hash of
  it is stored in smolnvr.passwd next to the configuration.

  A running daemon uses it at once and ends all sessions. With -c, that is
  the daemon running with FILE, if there is one.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --socket PATH       the daemon's control socket, as for `run`

EXIT STATUS
  0  the password is set
  1  it is not, with the reason in one line
  2  wrong usage
";

pub(super) const FIND: &str = "\
smolnvr find - finds cameras, and the URLs of their streams

USAGE
  smolnvr find [--json]
  smolnvr find ADDRESS [--user NAME] [--json]

  Without ADDRESS, looks for 5 s for cameras in the networks of this
  machine and on the machine itself.

  With ADDRESS (a host or URL in a private network), asks that camera for
  its streams: at the path of an rtsp:// URL that has one, over ONVIF, or
  by the usual RTSP paths. The first one is for recording, the second for
  `live_url`.

  With --user, the password is asked for, or is the first line of standard
  input. It goes to that camera alone; if it is refused twice, not again:
  cameras lock accounts.

OPTIONS
  --user NAME   the camera's user
  --json        machine-readable output

EXAMPLE
  smolnvr find
  smolnvr find 192.168.1.20 --user admin

EXIT STATUS
  0  a camera, or a stream of the named one, was found
  1  none was, with the reason in one line
  2  wrong usage
";

pub(super) const PROBE: &str = "\
smolnvr probe - asks a camera what it sends

USAGE
  smolnvr probe URL|- [--json]

  Connects, watches for five seconds from the first key frame on, and
  prints the camera's tracks, and the codec, picture size, frame rate, bit
  rate and key frame interval of its video.

  With - the URL is read from standard input: arguments are visible to all
  users of the machine, and stay in the shell's history.

  In user name and password, write / as %2F, ? as %3F, # as %23 and % as
  %25.

OPTIONS
  --json   machine-readable output

EXAMPLE
  smolnvr probe rtsp://192.168.1.20:554/stream=0
  echo rtsp://admin:secret@192.168.1.20:554/stream=0 | smolnvr probe -

EXIT STATUS
  0  it sends video
  1  it does not, with the reason in one line
  2  wrong usage
";

/// Not listed in [`PROGRAM`]: run by the daemon.
#[cfg(feature = "pictures")]
pub(super) const PICTURE: &str = "\
smolnvr picture - makes a JPEG from a key frame

USAGE
  smolnvr picture h264|h265 <STREAM >JPEG

  Decodes the first picture of a stream (Annex B, at most 2 MB: parameter
  sets and a key frame) and scales it down to fit 640x360.

EXIT STATUS
  0  the picture is written
  1  the stream has none, or cannot be decoded
  2  wrong usage
";
