//! Arguments: the command line in, the cameras to start out.

use std::error::Error;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;

use camera::{
    Aggregation, Announced, Auth, Builder, Camera, Clip, Encoding, Faults, Options, ParameterSets,
    Quirk, Scheme, Sound, Speed, Switch, Then, Timeout, TransportKind, Transports,
};
use lexopt::prelude::*;

pub struct Arguments {
    pub builder: Builder,
    /// The path of the control socket.
    pub control: Option<PathBuf>,
}

impl Arguments {
    /// `None` if help was requested.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Option<Arguments>, Box<dyn Error>> {
        let mut options = Options::default();
        let (mut port, mut control, mut http) = (8554, None, None);
        let (mut user, mut password, mut scheme) = (None, String::new(), Scheme::Digest);
        let mut streams: Vec<(String, Clip)> = Vec::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("port") => port = parser.value()?.parse()?,
                Long("control") => control = Some(parser.value()?.into()),
                Long("http") => http = Some(parser.value()?.parse()?),
                Long("user") => user = Some(parser.value()?.string()?),
                Long("password") => password = parser.value()?.string()?,
                Long("auth") => scheme = parser.value()?.parse_with(scheme_of)?,
                Value(value) => {
                    let value = value.string()?;
                    let (name, path) =
                        value.split_once('=').ok_or_else(|| format!("{value} is not NAME=CLIP"))?;
                    let clip = Clip::load(path).map_err(|error| format!("{path}: {error}"))?;
                    streams.push((name.to_owned(), clip));
                }
                Long(name) => {
                    let name = name.to_owned();
                    if !option(&mut options, &name, &mut parser)? {
                        return Err(format!("there is no option --{name}").into());
                    }
                }
                other => return Err(other.unexpected().into()),
            }
        }
        if streams.is_empty() {
            streams.push(("camera".into(), Clip::built_in()));
        }
        let mut builder = Camera::builder().port(port).options(options);
        for (name, clip) in streams {
            builder = builder.stream(&name, clip);
        }
        if let Some(port) = http {
            builder = builder.http(port);
        }
        if let Some(user) = user {
            builder = builder.auth(Auth::new(scheme, &user, &password));
        }
        Ok(Some(Arguments { builder, control }))
    }
}

/// Takes an option that says how streams are played; returns false if there is none of that name.
fn option(
    options: &mut Options,
    name: &str,
    parser: &mut lexopt::Parser,
) -> Result<bool, lexopt::Error> {
    if Faults::is_one(name) {
        return parser.value()?.parse_with(|value| options.faults.set(name, value)).map(|()| true);
    }
    Ok(of_stream(options, name, parser)? || of_session(options, name, parser)?)
}

/// Takes an option that says what is sent.
fn of_stream(
    options: &mut Options,
    name: &str,
    parser: &mut lexopt::Parser,
) -> Result<bool, lexopt::Error> {
    match name {
        "speed" => options.speed = parser.value()?.parse_with(speed_of)?,
        "frames" => options.frames = Some(parser.value()?.parse()?),
        "then" => {
            options.then = one_of(
                parser,
                &[("stay", Then::Stay), ("bye", Then::Bye), ("close", Then::Close)],
            )?;
        }
        "first-frame" => options.first_frame = u64::from(parser.value()?.parse::<u32>()?),
        "start-timestamp" => options.start_timestamp = Some(parser.value()?.parse()?),
        "start-sequence" => options.start_sequence = Some(parser.value()?.parse()?),
        "parameter-sets" => {
            options.parameter_sets = one_of(
                parser,
                &[
                    ("both", ParameterSets::Both),
                    ("sdp", ParameterSets::Sdp),
                    ("in-band", ParameterSets::InBand),
                ],
            )?;
        }
        "announce" => {
            options.announced =
                one_of(parser, &[("truly", Announced::AsItIs), ("jpeg", Announced::Jpeg)])?;
        }
        "sound" => {
            let known = [
                ("aac", Encoding::Aac),
                ("latm", Encoding::Latm),
                ("pcmu", Encoding::Pcmu),
                ("pcma", Encoding::Pcma),
                ("g726", Encoding::G726),
            ];
            options.sound = Some(Sound::new(one_of(parser, &known)?));
        }
        "no-aggregation" => options.aggregation = Aggregation::Never,
        "switch-after" => options.switch = Some(parser.value()?.parse_with(switch_of)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Takes an option that says how a session goes.
fn of_session(
    options: &mut Options,
    name: &str,
    parser: &mut lexopt::Parser,
) -> Result<bool, lexopt::Error> {
    match name {
        "transport" => {
            options.transports = one_of(
                parser,
                &[("any", Transports::Any), ("tcp", Transports::Tcp), ("udp", Transports::Udp)],
            )?;
        }
        "session-timeout" => options.session_timeout_seconds = parser.value()?.parse()?,
        "enforce-timeout" => options.timeout = Timeout::Enforced,
        "renew-nonce-every" => {
            options.renew_nonce_every = Some(parser.value()?.parse::<NonZero<u64>>()?.get());
        }
        "silent-over" => {
            let known = [("tcp", Some(TransportKind::Tcp)), ("udp", Some(TransportKind::Udp))];
            options.silent_over = one_of(parser, &known)?;
        }
        "redirect" => options.redirect = Some(parser.value()?.string()?),
        "quirk" => options.quirks.0.push(one_of(parser, Quirk::ALL)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn one_of<T: Copy>(parser: &mut lexopt::Parser, known: &[(&str, T)]) -> Result<T, lexopt::Error> {
    parser.value()?.parse_with(|text| {
        let found = known.iter().find(|(name, _)| *name == text);
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        found.map(|(_, value)| *value).ok_or_else(|| format!("not one of {}", names.join(", ")))
    })
}

fn scheme_of(text: &str) -> Result<Scheme, &'static str> {
    match text {
        "basic" => Ok(Scheme::Basic),
        "digest" => Ok(Scheme::Digest),
        "digest-sha256" => Ok(Scheme::DigestSha256),
        _ => Err("not one of basic, digest, digest-sha256"),
    }
}

fn speed_of(text: &str) -> Result<Speed, &'static str> {
    match f64::from_str(text) {
        _ if text == "max" => Ok(Speed::Max),
        Ok(times) if (0.001..=100_000.0).contains(&times) => Ok(Speed::Times(times)),
        _ => Err("neither max nor a number from 0.001 to 100000"),
    }
}

fn switch_of(text: &str) -> Result<Switch, String> {
    let (after, path) = text.split_once(':').ok_or("not FRAMES:CLIP")?;
    let after = after.parse().map_err(|_| "not FRAMES:CLIP")?;
    let clip = Clip::load(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(Switch { after, clip })
}

/// The help text, with quirks and an example at its end.
pub fn help() -> String {
    let names: Vec<&str> = Quirk::ALL.iter().map(|(name, _)| *name).collect();
    let lines: String =
        names.chunks(2).map(|two| format!("{:27}{}\n", "", two.join(", "))).collect();
    format!("{HELP}{lines}{EXAMPLE}")
}

const HELP: &str = "\
camera - a test camera: plays clips for ever over RTSP, on 127.0.0.1 only

usage: camera [OPTION]... [NAME=CLIP]...

CLIP is a raw .h264 or .h265 file with a list of presentation times beside it (CLIP.pts), as
`ci/clips.sh VIDEO CLIP` makes from any video, or a .jpg, which is sent 25 times a second. It is
played as rtsp://127.0.0.1:PORT/NAME, to any number of clients, from the beginning for each.
Without NAME=CLIP, a built-in clip is played as /camera.
For each stream a line `listening on rtsp://127.0.0.1:PORT/NAME` goes to standard output once
clients can connect, and a line `session N ...` for each session that begins or ends.

  --port PORT              where to listen (8554); 0: any free port
  --http PORT              a JPEG at http://127.0.0.1:PORT/image.jpg too; 0: any free port
  --user USER              ask for this name and password; OPTIONS is free
  --password PASSWORD      (empty)
  --auth SCHEME            basic, digest (default: MD5 without qop), or digest-sha256 (qop=auth)
  --transport WHICH        any (default), tcp, or udp; others are answered with 461
  --session-timeout S      what the Session header says (60)
  --control PATH           a Unix socket that takes lines `NAME FAULT VALUE` (such as `camera
                           lose-per-mille 10`), `NAME FAULT off`, `NAME off`, and `disconnect`

what is sent
  --speed X                X times real time, or max: as fast as the client reads. Times in the
                           packets stay the same; over TCP nothing is ever dropped (1)
  --frames N               each session ends after N frames ...
  --then WHAT              ... and the connection: stay (default), bye (RTCP BYE), or close
  --first-frame N          each PLAY begins with frame N of the clip (0)
  --start-timestamp T      RTP time of a session's first frame } differ from session to session,
  --start-sequence S       number of its first packet          } but not from run to run
  --parameter-sets WHERE   both (default), sdp: taken out of the stream, in-band: not in the SDP
  --announce WHAT          truly (default), or jpeg: a stream that no recorder of H.264 can take
  --sound ENCODING         sound beside the video: aac, latm, pcmu, pcma, or g726
  --no-aggregation         no STAP-A or AP: each small NAL unit in a packet of its own

faults, counted from the beginning of each session
  --drop-after N           close the connection after N frames
  --stall-after N          send nothing more after N frames, but stay connected
  --timestamp-jump-after N:TICKS
                           from frame N on RTP times are TICKS later (90,000 a second; may be < 0)
  --clock WHAT             RTP times are true (default), millis, still, or run at so many per cent
  --restart-after N        from frame N on packets have another SSRC and numbering
  --lose-every N           every Nth packet is lost
  --lose-per-mille N       of 1,000 packets N are lost } by a chance
  --double-per-mille N     ... sent twice              } that is the
  --reorder-per-mille N    ... overtaken by 1 to 4     } same in each run
  --garbage-every N        bytes that mean nothing come before every Nth packet
  --absurd-every N         ... a packet whose header promises far more than there is
  --link-kbit N            no more than N kilobits a second get through

what the dialogue is like
  --enforce-timeout        the connection ends when no request comes for the session timeout
  --renew-nonce-every N    every Nth request is answered with 401 and a new challenge
  --silent-over WHICH      PLAY over tcp or udp succeeds, and nothing comes
  --redirect URL           DESCRIBE is answered with 302
  --switch-after N:CLIP    from frame N on the frames are those of another clip of the same codec
  --quirk NAME             what single cameras do against the RFCs; may be given several times:
";
const EXAMPLE: &str = "
example: camera --port 0 --speed 60 yard=ci/clips/bframes.h264 door=ci/clips/opengop.h265
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Arguments>, Box<dyn Error>> {
        Arguments::parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn every_option_of_the_help_is_taken() {
        let with_value = |name: &str| {
            let known = [
                ("auth", "basic"),
                ("transport", "udp"),
                ("then", "bye"),
                ("parameter-sets", "sdp"),
                ("announce", "jpeg"),
                ("timestamp-jump-after", "3:-900"),
                ("silent-over", "udp"),
                ("sound", "latm"),
                ("quirk", "no-options"),
                (
                    "switch-after",
                    concat!("7:", env!("CARGO_MANIFEST_DIR"), "/../ci/clips/plain.h264"),
                ),
            ];
            known.iter().find(|(known, _)| *known == name).map_or("7", |(_, value)| value)
        };
        let names = HELP.lines().filter_map(|line| line.strip_prefix("  --"));
        let names: Vec<&str> = names.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names.len(), 36);
        for name in names {
            let option = format!("--{name}");
            let mut arguments = vec![option.as_str()];
            if !["no-aggregation", "enforce-timeout"].contains(&name) {
                arguments.push(with_value(name));
            }
            let result = parse(&arguments);
            assert!(matches!(result, Ok(Some(_))), "{option}: {:?}", result.err());
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        for arguments in [
            &["--speed", "0"][..],
            &["--speed", "nan"],
            &["--lose-every", "0"],
            &["--then", "sleep"],
            &["--timestamp-jump-after", "3"],
            &["--nonsense"],
            &["-x"],
            &["nameless.h264"],
            &["cam=/nowhere/clip.h264"],
            &["cam=clip.mp4"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
