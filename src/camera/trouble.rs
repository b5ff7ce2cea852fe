//! Why nothing a camera sends can be recorded, although it sends.
//!
//! Knows nothing of: packets, sockets.

use crate::{limits, media::Intake, rtp::Statistics};
use std::{fmt, time::Instant};

/// What is wrong, and whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The camera's: its packets have another payload type than announced.
    OtherPayloadType,
    /// The camera's: its packets do not form a complete frame of that codec.
    Malformed { codec: &'static str },
    /// The network's: packets are lost.
    Lost,
    /// The configuration's: frames of more than this many KB are dropped.
    TooLarge { frame_kb: usize },
    /// The camera's: its sound, and only that, has another sampling rate than announced.
    SoundLeftOut,
    /// The camera's: the packets of its sound are not those that it announced.
    SoundOfOtherType,
    /// Possibly nobody's: no key frame with its parameter sets has arrived yet.
    NoKeyFrame,
}

/// Compares what arrived since a frame last went into the ring.
pub(super) struct Diagnosis {
    codec: &'static str,
    taken: u64,
    since: Instant,
    before: Tally,
    /// Packets so far, and when the last ones came.
    heard: (u64, Instant),
    /// The count of frames too large for the ring, and when it last rose.
    too_large: Option<(u64, Instant)>,
}

/// What arrived, and what did not.
#[derive(Clone, Copy, Default)]
struct Tally {
    packets: u64,
    foreign: u64,
    lost: u64,
    malformed: u64,
    undecodable: u64,
    too_large: u64,
}

impl Diagnosis {
    /// Starts with a run of that codec.
    pub fn new(codec: &'static str, intake: &Intake, now: Instant) -> Diagnosis {
        Diagnosis {
            codec,
            taken: intake.ring.numbers().end,
            since: now,
            before: Tally::of(intake, Statistics::default()),
            heard: (0, now),
            too_large: None,
        }
    }

    /// Examines what a batch changed. Returns the trouble once nothing went into the ring for
    /// [`limits::TROUBLE_DELAY`] although something arrives.
    pub fn look(&mut self, intake: &Intake, packets: Statistics, now: Instant) -> Option<Trouble> {
        let tally = Tally::of(intake, packets);
        if self.heard.0 != tally.packets {
            self.heard = (tally.packets, now);
        }
        if self.too_large.map_or(self.before.too_large, |(count, _)| count) != tally.too_large {
            self.too_large = Some((tally.too_large, now));
        }
        let is_recent = |at: Instant| now - at < limits::TOO_LARGE_TOLD;
        let too_large = self
            .too_large
            .is_some_and(|(_, at)| is_recent(at))
            .then(|| Trouble::TooLarge { frame_kb: intake.ring.frame_bytes_max() / 1024 });
        let sound = || intake.leaves_out_sound().then_some(Trouble::SoundLeftOut);
        if intake.ring.numbers().end != self.taken {
            (self.taken, self.since, self.before) = (intake.ring.numbers().end, now, tally);
            return too_large.or_else(sound);
        }
        if now - self.since < limits::TROUBLE_DELAY {
            return too_large.or_else(sound);
        }
        too_large.or_else(|| self.cause(tally)).or_else(sound)
    }

    fn cause(&self, now: Tally) -> Option<Trouble> {
        let Tally { foreign, lost, malformed, undecodable, .. } = self.before;
        // The first frame of few may wait for the next, which shows that it is whole.
        let goes_on = self.heard.1 - self.since >= limits::TROUBLE_DELAY / 2;
        let nonsense = Trouble::Malformed { codec: self.codec };
        match () {
            () if now.undecodable > undecodable => Some(Trouble::NoKeyFrame),
            () if now.lost > lost => Some(Trouble::Lost),
            () if now.malformed > malformed || goes_on => Some(nonsense),
            () if now.foreign > foreign => Some(Trouble::OtherPayloadType),
            () => None,
        }
    }
}

impl Tally {
    fn of(intake: &Intake, packets: Statistics) -> Tally {
        let losses = intake.losses();
        Tally {
            packets: packets.received,
            foreign: packets.foreign,
            lost: packets.lost,
            malformed: losses.malformed,
            undecodable: losses.undecodable,
            too_large: losses.too_large,
        }
    }
}

impl Trouble {
    /// The log level: a warning if someone has to act.
    pub fn level(self) -> log::Level {
        match self {
            Trouble::NoKeyFrame => log::Level::Info,
            _ => log::Level::Warn,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::OtherPayloadType => f.write_str(
                "the camera sends packets of another payload type than its SDP announces: nothing \
                 can be recorded",
            ),
            Trouble::Malformed { codec } => write!(
                f,
                "the camera's packets do not form a complete {codec} frame: they are malformed, or of \
                 another codec than it announces"
            ),
            Trouble::Lost => f.write_str(
                "too many packets from the camera are lost: no complete frame can be recorded",
            ),
            Trouble::TooLarge { frame_kb } => write!(
                f,
                "frames of more than {frame_kb} KB do not fit the buffer and are dropped, with those \
                 that depend on them: raise buffer_kb"
            ),
            Trouble::SoundLeftOut => f.write_str(
                "the camera's sound has another sampling rate than announced and is not recorded: set \
                 another rate or codec",
            ),
            Trouble::SoundOfOtherType => f.write_str(
                "the camera sends its sound as another payload type than its SDP announces: none is \
                 recorded",
            ),
            Trouble::NoKeyFrame => f.write_str(
                "frames arrive, but no key frame with its parameter sets yet",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        camera::video::Video,
        codec::{AudioCodec, AudioFormat, Codec},
        media::tests::parameter_sets,
        rtp::{AccessUnit, AudioSink as _, AudioUnit, Leading, RandomAccess, Sink as _},
        rtsp::{Media, Presentation, Track, TrackTransport},
        runtime,
        units::RtpTime,
    };
    use std::{sync::Arc, time::Duration};

    /// The trouble reported, second by second, in a run in which nothing goes into the ring.
    fn said(each: impl Fn(&mut Statistics)) -> Vec<Option<Trouble>> {
        let (intake, start) = (Intake::new(64 << 10), runtime::now());
        let mut diagnosis = Diagnosis::new("h264", &intake, start);
        let mut packets = Statistics::default();
        (1..=6)
            .map(|second| {
                each(&mut packets);
                diagnosis.look(&intake, packets, start + Duration::from_secs(second))
            })
            .collect()
    }

    #[test]
    fn a_camera_of_which_nothing_can_be_recorded_is_told_within_five_seconds() {
        let nothing = None;
        let from_the_fourth = |trouble| [nothing, nothing, nothing, trouble, trouble, trouble];
        let malformed = Some(Trouble::Malformed { codec: "h264" });
        assert_eq!(said(|it| it.received += 9), from_the_fourth(malformed));
        assert_eq!(
            said(|it| {
                it.received += 9;
                it.lost += 2;
            }),
            from_the_fourth(Some(Trouble::Lost))
        );
        assert_eq!(said(|it| it.foreign += 9), from_the_fourth(Some(Trouble::OtherPayloadType)));
        assert_eq!(said(|_| {}), from_the_fourth(None), "silence is told elsewhere");
        assert_eq!(said(|it| it.received = 9), from_the_fourth(None), "a frame that waits");
    }

    /// What is said of a camera that sends 25 such frames a second, each a list of payloads and the
    /// first byte of their packets; and after how many.
    fn told(first: u8, payloads: &[&[u8]]) -> (Option<Trouble>, u32) {
        let track = Track {
            media: Media::Video(Codec::H264),
            encoding: "H264".to_owned(),
            payload_type: 96,
            clock_rate: 90_000,
            channels: 1,
            control: String::new(),
            format_parameters: String::new(),
            parameter_sets: Vec::new(),
            transport: Some(TrackTransport::Interleaved { rtp: 0, rtcp: 1 }),
            is_refused: false,
            ssrc: None,
            rtp_info: None,
        };
        let presentation = Presentation { control: String::new(), tracks: vec![track] };
        let (mut intake, start) = (Intake::new(64 << 10), runtime::now());
        intake.begin_run();
        let mut video = Video::new(&presentation, 7, &intake, start).unwrap();
        let mut diagnosis = Diagnosis::new("h264", &intake, start);
        let mut number = 0u16;
        for frame in 0..200u32 {
            let now = start + Duration::from_millis(u64::from(frame) * 40);
            for (at, payload) in payloads.iter().enumerate() {
                let marker = if at + 1 == payloads.len() { 0x80 } else { 0 };
                let mut packet = vec![first, marker | 96];
                packet.extend(number.to_be_bytes());
                packet.extend((frame * 3600).to_be_bytes());
                packet.extend([0, 0, 0, 9]);
                packet.extend(*payload);
                number = number.wrapping_add(1);
                video.handle_packet(&packet, &mut intake, now).unwrap();
            }
            let trouble = diagnosis.look(&intake, video.statistics(), now);
            if trouble.is_some() {
                return (trouble, frame);
            }
        }
        (None, 200)
    }

    #[test]
    fn whatever_a_camera_sends_that_is_no_video_is_told_within_five_seconds() {
        const SPS: &[u8] =
            &[0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0, 0, 0xf0, 0x3c];
        const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
        let nonsense = Trouble::Malformed { codec: "h264" };
        let mpeg_ts = [0x47; 188];
        let cases: &[(&str, u8, &[&[u8]], Trouble)] = &[
            ("packets of another protocol", 0x00, &[&[0x65, 0x88, 0x84]], nonsense),
            ("padding of more than there is", 0xb5, &[&[0x65]], nonsense),
            ("packets without a payload", 0x80, &[&[]], nonsense),
            ("zeros", 0x80, &[&[0; 100]], nonsense),
            ("access unit delimiters alone", 0x80, &[&[0x09, 0xf0]], nonsense),
            ("filler alone", 0x80, &[&[0x0c, 0xff, 0xff, 0x80]], nonsense),
            ("SEI alone", 0x80, &[&[0x06, 5, 2, 1, 2, 0x80]], nonsense),
            ("parameter sets alone", 0x80, &[SPS, PPS], nonsense),
            ("interleaved mode", 0x80, &[&[0x19, 0, 0, 0, 2, 0x65, 0x88]], nonsense),
            ("fragments without a beginning", 0x80, &[SPS, PPS, &[0x7c, 0x05, 1, 2]], nonsense),
            ("an MPEG transport stream", 0x80, &[&mpeg_ts], nonsense),
            ("further slices alone", 0x80, &[SPS, PPS, &[0x65, 0x42, 0x21, 0x02]], nonsense),
            ("key frames without their sets", 0x80, &[&[0x65, 0x88, 0x84, 4]], Trouble::NoKeyFrame),
            (
                "sets of nothing",
                0x80,
                &[&[0x67, 0xff], &[0x65, 0x88, 0x84, 4]],
                Trouble::NoKeyFrame,
            ),
            ("no key frame", 0x80, &[SPS, PPS, &[0x41, 0x9a, 0x21, 4]], Trouble::NoKeyFrame),
        ];
        for (name, first, payloads, expected) in cases {
            let (trouble, frames) = told(*first, payloads);
            assert_eq!(trouble, Some(*expected), "{name}");
            assert!(frames < 125, "{name}: after {frames} frames");
        }
    }

    /// G.711 at 8 kHz that is announced as 16 kHz, beside correct video.
    #[test]
    fn sound_that_is_left_out_is_told_while_the_video_is_recorded() {
        let (mut intake, start) = (Intake::with_audio(64 << 10), runtime::now());
        let format = Arc::new(AudioFormat::g711(AudioCodec::Pcma, 16_000, 1));
        intake.begin_run();
        intake.begin_audio(16_000);
        let mut diagnosis = Diagnosis::new("h264", &intake, start);
        let mut said = Vec::new();
        for frame in 0..500_u32 {
            let now = start + Duration::from_millis(u64::from(frame) * 40);
            intake.arrived(now);
            intake.nal_begin();
            intake.nal_append(b"frame");
            intake.nal_end();
            intake.access_unit_end(AccessUnit {
                timestamp: RtpTime(frame * 3600),
                access: RandomAccess::Idr,
                leading: Leading::None,
                reference: true,
                parameter_sets: parameter_sets(),
            });
            let (timestamp, ticks) = (RtpTime(frame * 320), 320);
            intake.audio_frame(AudioUnit { timestamp, ticks, format: &format, bytes: b"sound" });
            let told = diagnosis.look(&intake, Statistics::default(), now);
            if said.last() != Some(&told) {
                said.push(told);
            }
        }
        assert_eq!(said, [None, Some(Trouble::SoundLeftOut)]);
        assert_eq!(intake.ring.numbers().end, 500);
    }

    #[test]
    fn messages_fit_one_line_and_name_the_remedy() {
        let line = Trouble::TooLarge { frame_kb: 1024 }.to_string();
        assert!(line.contains("1024 KB") && line.contains("raise buffer_kb"), "{line}");
        for trouble in [
            Trouble::OtherPayloadType,
            Trouble::Malformed { codec: "h265" },
            Trouble::Lost,
            Trouble::SoundLeftOut,
            Trouble::SoundOfOtherType,
            Trouble::NoKeyFrame,
        ] {
            let line = trouble.to_string();
            assert!(line.len() < 120 && !line.contains('\n'), "{line}");
        }
    }
}
