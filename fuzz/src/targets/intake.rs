//! Frames, sound, reports and losses of a camera in any order, on their way into the ring: every
//! frame is stored or counted, and times go on as they must.

use crate::{files, source::Source};
use smolnvr::{
    codec::{AudioCodec, AudioFormat, Codec, ParameterSets},
    limits,
    media::{Frame, Intake, TrackClock},
    rtp::{
        AccessUnit, AudioSink, AudioUnit, DropCause, Leading, RandomAccess, Sink,
        rtcp::SenderReport,
    },
    runtime,
    units::RtpTime,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

struct Trial {
    intake: Intake,
    sets: [Arc<ParameterSets>; 2],
    format: Arc<AudioFormat>,
    units: u64,
    malformed: u64,
    undecodable: u64,
    sounds: u64,
    /// Sounds that were taken before the first frame, or where none are: nobody's loss.
    unheard: u64,
    stored: u64,
    stored_sounds: u64,
    /// The newest frame and its stamp.
    last: Option<(Frame, RtpTime)>,
    /// The largest presentation time of the run.
    last_shown: i64,
    /// Frames in a row that were a frame's time apart by their stamps, and whether the newest of
    /// them was by its times.
    orderly: u32,
    is_exact: bool,
    last_sound: Option<(u32, i64)>,
    /// A frame of this run was timed, stored or too large, and sound goes by it.
    has_video: bool,
    /// Arrivals are told: stamps may be replaced.
    has_clock: bool,
    now: Instant,
    /// When the run's first frame came, and by how much a frame's time was most ahead of its
    /// arrival.
    start: Instant,
    lead: i64,
    /// `units` when the newest frame was stored.
    units_stored: u64,
}

pub fn intake(data: &[u8]) {
    let mut source = Source::new(data);
    let mut trial = Trial::new(&mut source);
    let (mut stamp, mut audio_stamp, mut steps) = (source.u32(), source.u32(), 0);
    trial.intake.begin_run();
    trial.intake.begin_audio(8000);
    while !source.is_empty() && steps < 600 {
        steps += 1;
        if trial.has_clock {
            trial.now += Duration::from_millis(u64::from(source.u8()) << (source.u8() & 7));
            trial.intake.arrived(trial.now);
        }
        match source.u8() {
            0 => {
                trial.has_video = false;
                trial.intake.begin_run();
                trial.intake.begin_audio(8000);
            }
            1 => trial.lose(u32::from(source.u8()) + 1),
            2 => trial.malform(),
            3..32 => {
                let clock = source.one(&[TrackClock::Video, TrackClock::Audio]);
                let near = if clock == TrackClock::Video { stamp } else { audio_stamp };
                let ntp = 0xe000_0000_0000_0000 | u64::from(source.u32()) << 16;
                let rtp_time = RtpTime(near.wrapping_add_signed(source.u16() as i16 as i32));
                let report = SenderReport { ssrc: 1, ntp, rtp_time, packets: 0, octets: 0 };
                trial.intake.sender_report(clock, &report);
            }
            choice @ 32..96 => {
                let count = 160 * u32::from(choice & 3) + u32::from(source.u8());
                audio_stamp =
                    if choice & 60 == 60 { source.u32() } else { audio_stamp.wrapping_add(160) };
                trial.sound(RtpTime(audio_stamp), &vec![0x7f; count as usize]);
            }
            choice => {
                stamp = match choice & 3 {
                    0 | 1 => stamp.wrapping_add(3600),
                    2 => stamp.wrapping_add_signed(i32::from(source.u8() as i8) * 900),
                    _ => source.u32(),
                };
                trial.frame(RtpTime(stamp), choice >> 2, &mut source);
            }
        }
        trial.check();
    }
}

impl Trial {
    fn new(source: &mut Source<'_>) -> Trial {
        let (has_clock, wants_sound) = (source.flag(), source.flag());
        let mut intake =
            if wants_sound { Intake::with_audio(RING_BYTES) } else { Intake::new(RING_BYTES) };
        if source.flag() {
            intake.ring.may_grow(|| GROWN_RING_BYTES);
        }
        let start = runtime::now();
        Trial {
            intake,
            sets: [files::sets(Codec::H264), files::sets(Codec::H265)],
            format: Arc::new(AudioFormat::g711(AudioCodec::Pcmu, 8000, 1)),
            units: 0,
            malformed: 0,
            undecodable: 0,
            sounds: 0,
            unheard: 0,
            stored: 0,
            stored_sounds: 0,
            last: None,
            last_shown: 0,
            orderly: 0,
            is_exact: false,
            last_sound: None,
            has_video: false,
            has_clock,
            now: start,
            start,
            lead: 0,
            units_stored: 0,
        }
    }

    fn frame(&mut self, timestamp: RtpTime, choice: u8, source: &mut Source<'_>) {
        let access = match choice & 15 {
            0 | 1 => RandomAccess::Idr,
            2 => RandomAccess::Cra,
            3 => RandomAccess::Bla,
            4 => RandomAccess::RecoveryPoint,
            _ => RandomAccess::None,
        };
        let leading = if choice & 15 == 5 { Leading::Skipped } else { Leading::None };
        let sets = &self.sets[usize::from(choice & 0x30 == 0x30)];
        let unit = AccessUnit {
            timestamp,
            access,
            leading,
            reference: true,
            parameter_sets: Arc::clone(sets),
        };
        let mut bytes = Vec::new();
        for _ in 0..1 + source.below(3) {
            let nal = vec![0x41; 1 + source.below(if choice & 16 == 0 { 64 } else { 18_000 })];
            self.intake.nal_begin();
            nal.chunks(999).for_each(|piece| self.intake.nal_append(piece));
            self.intake.nal_end();
            bytes.extend((nal.len() as u32).to_be_bytes());
            bytes.extend(nal);
        }
        let before = self.intake.ring.numbers().end;
        let too_large = self.intake.losses().too_large;
        self.units += 1;
        self.intake.access_unit_end(unit);
        let fits = bytes.len() <= self.intake.ring.frame_bytes_max();
        assert!(fits || self.intake.ring.numbers().end == before);
        assert!(!fits || self.intake.losses().too_large == too_large, "one that fits was left out");
        self.has_video |= self.intake.losses().too_large > too_large;
        if self.intake.ring.numbers().end == before {
            return;
        }
        self.stored += 1;
        self.has_video = true;
        let (frame, stored) = self.intake.ring.get(before).expect("it is the newest");
        assert_eq!(stored, bytes, "a frame's bytes");
        assert!(access != RandomAccess::Idr || frame.is_key());
        let frame = frame.clone();
        match self.last.take() {
            Some((last, stamp)) if last.run == frame.run => {
                self.check_times(&last, stamp, &frame, timestamp);
            }
            last => {
                assert!(frame.is_key(), "a run begins with a key frame");
                assert!(last.is_none_or(|(last, _)| frame.run > last.run));
                (self.start, self.lead, self.last_shown) = (self.now, i64::MIN, i64::MIN);
            }
        }
        self.last_shown = self.last_shown.max(frame.presentation.0);
        self.lead = self.lead.max(frame.presentation.0 - self.elapsed());
        self.units_stored = self.units;
        self.last = Some((frame, timestamp));
    }

    fn elapsed(&self) -> i64 {
        (self.now - self.start).as_millis() as i64 * 90
    }

    /// How much later than all frames before one may be shown.
    fn step_max(&self) -> i64 {
        // Frames that were left out took time as well.
        let pauses = (self.units - self.units_stored) as i64 * 41 * 90_000;
        let latest = self.elapsed() + self.lead;
        let arrived = if self.has_clock { latest + 45_000 - self.last_shown } else { 0 };
        pauses + arrived.max(0)
    }

    fn check_times(&mut self, last: &Frame, stamp: RtpTime, frame: &Frame, timestamp: RtpTime) {
        assert!(frame.decode > last.decode, "{:?} after {:?}", frame.decode, last.decode);
        let step = (frame.presentation - last.presentation).0;
        let expected = timestamp.0.wrapping_sub(stamp.0);
        if expected != 3600 {
            self.orderly = 0;
        } else if !self.has_clock {
            self.orderly += 1;
            if self.orderly > ORDERLY_MIN {
                // Presentation times are the RTP times, exactly; at once, or once they caught up.
                assert!(step > 0 && step <= 3600, "{step} ticks");
                assert!(!self.is_exact || step == 3600, "{step} ticks");
            }
        }
        self.is_exact = step == 3600;
        let ahead = frame.presentation.0 - self.last_shown;
        assert!(ahead > -41 * 90_000 && ahead < self.step_max(), "{ahead} ticks");
        let changes = !Arc::ptr_eq(&frame.parameter_sets, &last.parameter_sets);
        assert!(!changes || frame.is_key(), "other parameter sets in mid-group");
    }

    fn sound(&mut self, timestamp: RtpTime, bytes: &[u8]) {
        let format = Arc::clone(&self.format);
        let Some(ticks) = format.frame_ticks(bytes) else { return };
        let is_heard = self.intake.wants_audio() && self.has_video;
        let before = self.intake.ring.audio.as_ref().map_or(0, |ring| ring.numbers().end);
        self.intake.audio_frame(AudioUnit { timestamp, ticks, format: &format, bytes });
        self.sounds += 1;
        // Sound of another sampling rate than announced is left out, and told.
        self.unheard += u64::from(!is_heard || self.intake.leaves_out_sound());
        let Some((frame, stored)) = self.intake.ring.audio.as_ref().and_then(|it| it.get(before))
        else {
            return;
        };
        self.stored_sounds += 1;
        assert!(is_heard, "sound without video");
        assert_eq!(stored, bytes);
        assert!(frame.duration > 0);
        if let Some((run, end)) = self.last_sound
            && run == frame.run
        {
            assert!(frame.time >= end, "sound at {} before {end}", frame.time);
        }
        self.last_sound = Some((frame.run, frame.end()));
    }

    fn lose(&mut self, packets: u32) {
        let before = self.intake.losses();
        self.intake.access_unit_drop(DropCause::Loss { packets });
        self.intake.audio_drop(DropCause::Loss { packets });
        let after = self.intake.losses();
        assert_eq!(after.packets - before.packets, u64::from(packets));
        assert_eq!(after.audio_packets - before.audio_packets, u64::from(packets));
        assert_eq!(after.broken, before.broken, "nothing was in the making");
    }

    fn malform(&mut self) {
        self.intake.nal_begin();
        self.intake.nal_append(b"half a frame");
        self.intake.nal_end();
        self.intake.access_unit_drop(DropCause::Malformed);
        self.intake.access_unit_drop(DropCause::NoParameterSets);
        (self.malformed, self.undecodable) = (self.malformed + 1, self.undecodable + 1);
        assert!(self.intake.ring.is_vacant());
    }

    fn check(&self) {
        let losses = self.intake.losses();
        assert_eq!((losses.malformed, losses.broken), (self.malformed, 0));
        let undecodable = losses.undecodable - self.undecodable;
        assert_eq!(self.stored + undecodable + losses.too_large, self.units);
        // One that does not fit the ring's part of sound is none of what is lost before the first.
        let heard = self.sounds - self.unheard;
        assert!(self.stored_sounds + losses.audio_frames <= heard + self.unheard);
        assert!(self.stored_sounds + losses.audio_frames >= heard);
        let numbers = self.intake.ring.numbers();
        assert_eq!(numbers.end, self.stored);
        assert!(numbers.clone().count() <= limits::RING_FRAMES_MAX);
        assert!(numbers.clone().all(|number| self.intake.ring.get(number).is_some()));
        assert!(self.intake.ring.get(numbers.end).is_none());
        assert!(self.intake.frame_duration().0 > 0);
    }
}

const RING_BYTES: usize = 64 * 1024;
/// A frame has at most three NAL units of 18,000 bytes: some need more than half of it.
const GROWN_RING_BYTES: usize = 2 * RING_BYTES;
/// After so many the clock counts as one that is right, or jumped.
const ORDERLY_MIN: u32 = 8;
