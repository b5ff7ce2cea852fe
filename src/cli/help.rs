//! What `--help` prints.

/// The help of a command, or of the program.
pub(super) fn of(command: Option<&str>) -> &'static str {
    match command {
        Some("run") => RUN,
        Some("check") => CHECK,
        Some("probe") => PROBE,
        Some("list") => LIST,
        Some("verify") => VERIFY,
        _ => PROGRAM,
    }
}

const PROGRAM: &str = "\
smolnvr - records IP cameras onto an SD card, unchanged, as MP4

USAGE
  smolnvr run [-c FILE] [--no-record]    the daemon, in the foreground
  smolnvr check [-c FILE]                reads the configuration, says what would run
  smolnvr probe URL [--json]             asks a camera what it sends
  smolnvr list [CAMERA] [-c FILE] [--json]
                                         the recordings on the card
  smolnvr verify PATH... [--repair] [--json]
                                         whole, cut short or damaged? --repair mends
  smolnvr --version

  `smolnvr COMMAND --help` says more about each.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --json              answer for a program to read
  -h, --help          this text

EXIT STATUS
  0  done
  1  the thing asked about is not so: a damaged file, no camera there
  2  wrong usage or configuration
";

const RUN: &str = "\
smolnvr run - the recorder, in the foreground until SIGTERM or SIGINT

USAGE
  smolnvr run [-c FILE] [--no-record] [--socket PATH]

  Connects to every camera of the configuration and records those with
  `record = true` onto the card; tries again for ever when a camera or
  the card is gone. Logs changes of state to standard error, or to
  syslog when that is /dev/null.

OPTIONS
  -c, --config FILE   the configuration (default: /etc/smolnvr.toml)
  --no-record         connect, but record nothing until told to
  --socket PATH       the control socket; one daemon runs for each
                      (default: /var/run/smolnvr.sock)

SIGNALS
  TERM, INT   close all files and end, within 2 s (10 s if the card stalls)
  HUP         read the configuration again
";

const CHECK: &str = "\
smolnvr check - reads the configuration and says what would run

USAGE
  smolnvr check [-c FILE]

  Touches nothing. Exit status 2 and one line with file, line, key and
  what is allowed when something is wrong.
";

const PROBE: &str = "\
smolnvr probe - asks a camera what it sends

USAGE
  smolnvr probe URL [--json]

  Connects, watches for five seconds, and prints the camera's tracks and
  of its video: codec, picture size, frame rate, bit rate and the
  distance of key frames. Exit status 1 and the reason when it can not.

EXAMPLE
  smolnvr probe rtsp://admin:secret@192.168.1.20:554/stream=0
";

const LIST: &str = "\
smolnvr list - the recordings on the card, oldest first

USAGE
  smolnvr list [CAMERA] [-c FILE] [--json]

  For each: number, start (UTC; a `?` where the clock was not set),
  length, size, and whether it is whole or cut short. Needs no running
  daemon.
";

const VERIFY: &str = "\
smolnvr verify - says of each file whether it is whole

USAGE
  smolnvr verify PATH... [--repair] [--json]

  Reads every byte. A file is `whole`, `cut` (short of its end, playable
  up to there: a power cut) or `damaged` (and where). Of a folder every
  recording in it is read.

OPTIONS
  --repair   trims a file that is cut to its last whole fragment and
             fills in its index; not while the daemon writes it

EXIT STATUS
  0  every file is whole, or was repaired
  1  one is not
";
