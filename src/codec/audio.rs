//! Audio: what an MP4 sample entry needs to know about sound.
//!
//! The description in an SDP or a stream in; timescale, frame length, and decoder configuration
//! out.
//! Spec: ISO/IEC 14496-3 §1.6.2 (AudioSpecificConfig), 14496-1 §7.2.6 (descriptors in `esds`), RFC
//! 6716 §3.1 (Opus), "Encapsulation of Opus in ISO Base Media File Format" §4.3.2 (`dOps`), RFC
//! 6381 §3.4.
//! Knows nothing of: RTP, files.

use crate::{
    bits::{Bits, Bytes},
    limits::AUDIO_CONFIGURATION_BYTES_MAX,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioCodec {
    Aac,
    Opus,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// The format of a sound track: how to decode its frames, and how long they last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioFormat {
    codec: AudioCodec,
    clock_rate: u32,
    channels: u8,
    /// For AAC: the first object type signalled, and ticks per frame.
    object_type: u8,
    frame_ticks: u32,
    /// AudioSpecificConfig, for AAC.
    configuration: Box<[u8]>,
}

impl AudioFormat {
    /// AAC described by an AudioSpecificConfig; its times count at `clock_rate`.
    ///
    /// `None` if it is unreadable, or of an object type that no browser plays.
    pub fn aac(configuration: &[u8], clock_rate: u32) -> Option<AudioFormat> {
        let specific = SpecificConfig::read(&mut Bits::new(configuration))?;
        let ticks = u64::from(specific.frame_samples) * u64::from(clock_rate);
        let frame_ticks = u32::try_from(ticks.checked_div(specific.sample_rate.into())?).ok()?;
        if frame_ticks == 0 || configuration.len() > AUDIO_CONFIGURATION_BYTES_MAX {
            return None;
        }
        Some(AudioFormat {
            codec: AudioCodec::Aac,
            clock_rate,
            channels: specific.channels,
            object_type: specific.object_type,
            frame_ticks,
            configuration: configuration.into(),
        })
    }

    /// Opus, whose clock is always 48 kHz (RFC 7587 §4.1).
    pub fn opus() -> AudioFormat {
        AudioFormat::plain(AudioCodec::Opus, 48_000, 2)
    }

    /// G.711: one byte per sample and channel.
    pub fn g711(codec: AudioCodec, clock_rate: u32, channels: u8) -> AudioFormat {
        AudioFormat::plain(codec, clock_rate, channels.max(1))
    }

    fn plain(codec: AudioCodec, clock_rate: u32, channels: u8) -> AudioFormat {
        let (object_type, frame_ticks, configuration) = (0, 0, Box::default());
        AudioFormat { codec, clock_rate, channels, object_type, frame_ticks, configuration }
    }

    pub fn codec(&self) -> AudioCodec {
        self.codec
    }

    /// Ticks per second of its times: the RTP clock rate and the track's timescale.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    pub fn channels(&self) -> u8 {
        self.channels
    }

    pub fn configuration(&self) -> &[u8] {
        &self.configuration
    }

    /// Returns the duration of a frame in ticks; `None` for an invalid frame.
    pub fn frame_ticks(&self, frame: &[u8]) -> Option<u32> {
        match self.codec {
            AudioCodec::Aac => (!frame.is_empty()).then_some(self.frame_ticks),
            AudioCodec::Opus => opus_ticks(frame),
            AudioCodec::Pcmu | AudioCodec::Pcma => {
                let samples = frame.len() / usize::from(self.channels);
                let is_whole = samples > 0 && samples * usize::from(self.channels) == frame.len();
                u32::try_from(samples).ok().filter(|_| is_whole)
            }
        }
    }

    /// Returns a readable name: `AAC`, `HE-AAC`, `Opus`, `G.711`.
    pub fn name(&self) -> &'static str {
        match self.codec {
            AudioCodec::Aac if matches!(self.object_type, SBR | PS) => "HE-AAC",
            AudioCodec::Aac => "AAC",
            AudioCodec::Opus => "Opus",
            AudioCodec::Pcmu | AudioCodec::Pcma => "G.711",
        }
    }

    /// Returns its part of the `codecs` parameter: `mp4a.40.2`, `opus`. G.711 has none: browsers
    /// claim that they cannot play a file that names it, but play it anyway (with or without
    /// sound).
    pub fn mime(&self) -> Option<String> {
        mime(&self.sample_entry(), Some(self.object_type))
    }

    /// Returns true if Media Source Extensions know it: they refuse a track that no type names.
    pub fn is_playable_live(&self) -> bool {
        matches!(self.codec, AudioCodec::Aac | AudioCodec::Opus)
    }

    /// The sample entry's type; for G.711, QuickTime's.
    pub fn sample_entry(&self) -> [u8; 4] {
        match self.codec {
            AudioCodec::Aac => *b"mp4a",
            AudioCodec::Opus => *b"Opus",
            AudioCodec::Pcmu => *b"ulaw",
            AudioCodec::Pcma => *b"alaw",
        }
    }

    /// Returns type and payload of the box for the decoder in the sample entry.
    pub fn decoder_configuration(&self) -> Option<([u8; 4], Vec<u8>)> {
        match self.codec {
            AudioCodec::Aac => Some((*b"esds", self.elementary_stream_descriptor())),
            AudioCodec::Opus => {
                // Version, channels, PreSkip (none: playback may start anywhere), input rate, gain,
                // mapping family.
                let [b0, b1, b2, b3] = self.clock_rate.to_be_bytes();
                Some((*b"dOps", vec![0, self.channels, 0, 0, b0, b1, b2, b3, 0, 0, 0]))
            }
            // Version and flags, layout: QuickTime's tags for mono and stereo.
            AudioCodec::Pcmu | AudioCodec::Pcma => match self.channels {
                1 => Some((*b"chan", [[0; 4], [0, 100, 0, 1], [0; 4], [0; 4]].concat())),
                2 => Some((*b"chan", [[0; 4], [0, 101, 0, 2], [0; 4], [0; 4]].concat())),
                _ => None,
            },
        }
    }

    /// Version and flags, then ES_Descriptor (ISO/IEC 14496-1 §7.2.6.5, 14496-14 §3.1.2).
    fn elementary_stream_descriptor(&self) -> Vec<u8> {
        let length = self.configuration.len() as u8; // AUDIO_CONFIGURATION_BYTES_MAX at most
        let mut out = vec![0, 0, 0, 0];
        out.extend_from_slice(&[ES_DESCRIPTOR, 3 + 2 + 13 + 2 + length + 3, 0, 0, 0]);
        out.extend_from_slice(&[DECODER_CONFIG, 13 + 2 + length]);
        out.extend_from_slice(&[AUDIO_14496_3, AUDIO_STREAM, 0, 0, 0]); // bufferSizeDB
        out.extend_from_slice(&[0; 8]); // maxBitrate, avgBitrate: not known
        out.extend_from_slice(&[DECODER_SPECIFIC_INFO, length]);
        out.extend_from_slice(&self.configuration);
        out.extend_from_slice(&[SL_CONFIG, 1, 2]);
        out
    }
}

/// The [`AudioFormat::mime`] of a track with this sample entry; for `mp4a`, from the payload of its
/// `esds`.
pub fn mime_of_entry(kind: &[u8; 4], esds: Option<&[u8]>) -> Option<String> {
    mime(kind, esds.and_then(read_object_type_of_descriptor))
}

fn mime(kind: &[u8; 4], object_type: Option<u8>) -> Option<String> {
    match kind {
        b"mp4a" => Some(["mp4a.40.", &object_type?.to_string()].concat()),
        b"Opus" => Some("opus".to_owned()),
        _ => None,
    }
}

/// The object type in an `esds` for MPEG-4 audio.
fn read_object_type_of_descriptor(esds: &[u8]) -> Option<u8> {
    let mut bytes = Bytes(esds);
    bytes.take(4)?;
    open_descriptor(&mut bytes, ES_DESCRIPTOR)?;
    let [_, _, flags] = bytes.array()?;
    // dependsOn_ES_ID, URLstring, OCR_ES_Id
    bytes.take(if flags & 0x80 == 0 { 0 } else { 2 })?;
    let url = if flags & 0x40 == 0 { 0 } else { bytes.u8()? };
    bytes.take(usize::from(url) + if flags & 0x20 == 0 { 0 } else { 2 })?;
    open_descriptor(&mut bytes, DECODER_CONFIG)?;
    if bytes.u8()? != AUDIO_14496_3 {
        return None;
    }
    bytes.take(12)?;
    open_descriptor(&mut bytes, DECODER_SPECIFIC_INFO)?;
    read_object_type(&mut Bits::new(bytes.0))
}

/// Reads a descriptor's tag and its length of up to four bytes (ISO/IEC 14496-1 §8.3.3).
fn open_descriptor(bytes: &mut Bytes, tag: u8) -> Option<()> {
    if bytes.u8()? != tag {
        return None;
    }
    (0..4).any(|_| bytes.u8().is_some_and(|byte| byte & 0x80 == 0)).then_some(())
}

/// The parts of an AudioSpecificConfig needed here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpecificConfig {
    /// The first one signalled: 5 and 29 precede the core's.
    pub object_type: u8,
    /// The core's rate, half of the output rate of an HE-AAC decoder.
    pub sample_rate: u32,
    pub channels: u8,
    /// Samples per frame at that rate.
    pub frame_samples: u32,
}

impl SpecificConfig {
    /// Reads up to the end of GASpecificConfig; extensions that older decoders ignore are not read.
    pub fn read(bits: &mut Bits) -> Option<SpecificConfig> {
        let object_type = read_object_type(bits)?;
        let sample_rate = read_sample_rate(bits)?;
        let configuration = bits.bits(4)?;
        let mut core = object_type;
        if matches!(object_type, SBR | PS) {
            read_sample_rate(bits)?;
            core = read_object_type(bits)?;
        }
        // AAC Main, LC, SSR and LTP; others have different configurations, and no browser plays
        // them.
        if !(1..=4).contains(&core) {
            return None;
        }
        let frame_samples = if bits.flag()? { 960 } else { 1024 };
        if bits.flag()? {
            bits.skip(14)?; // coreCoderDelay
        }
        bits.flag()?; // extensionFlag
        let channels = match configuration {
            1 if object_type == PS => 2,
            1..=6 => configuration as u8,
            7 => 8,
            _ => return None, // 0: a program_config_element, which browsers do not take either
        };
        Some(SpecificConfig { object_type, sample_rate, channels, frame_samples })
    }
}

fn read_object_type(bits: &mut Bits) -> Option<u8> {
    let object_type = match bits.bits(5)? {
        31 => 32 + bits.bits(6)?,
        object_type => object_type,
    };
    u8::try_from(object_type).ok()
}

fn read_sample_rate(bits: &mut Bits) -> Option<u32> {
    let rate = match bits.bits(4)? {
        15 => bits.bits(24)?,
        index => *SAMPLE_RATES.get(usize::try_from(index).ok()?)?,
    };
    (rate > 0).then_some(rate)
}

/// The duration of one packet in ticks of 48 kHz (RFC 6716 §3.1, §3.2.5); at most 120 ms.
fn opus_ticks(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        configuration @ 0..=11 => [480, 960, 1920, 2880][usize::from(configuration & 3)],
        configuration @ 12..=15 => [480, 960][usize::from(configuration & 1)],
        configuration => [120, 240, 480, 960][usize::from(configuration & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let ticks = frame * count;
    (1..=OPUS_TICKS_MAX).contains(&ticks).then_some(ticks)
}

/// Spectral band replication, and with parametric stereo (ISO/IEC 14496-3 table 1.17).
const SBR: u8 = 5;
const PS: u8 = 29;
const OPUS_TICKS_MAX: u32 = 5760;
/// ISO/IEC 14496-3 table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];
// Tags of descriptors, ISO/IEC 14496-1 table 1.
const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC_INFO: u8 = 5;
const SL_CONFIG: u8 = 6;
/// `objectTypeIndication` of MPEG-4 audio.
const AUDIO_14496_3: u8 = 0x40;
/// `streamType` audio, and a reserved bit.
const AUDIO_STREAM: u8 = 5 << 2 | 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// AAC LC, 16 kHz, mono.
    const LC: &[u8] = &[0x14, 0x08];

    #[test]
    fn an_aac_frame_lasts_1024_samples_of_its_core() {
        let lc = AudioFormat::aac(LC, 16_000).unwrap();
        assert_eq!((lc.channels(), lc.frame_ticks(&[1])), (1, Some(1024)));
        assert_eq!((lc.mime().as_deref(), lc.name()), (Some("mp4a.40.2"), "AAC"));
        // 24 kHz core, 48 kHz output, stereo; the clock may be either's.
        let he = [0x2b, 0x11, 0x88, 0x00];
        let format = AudioFormat::aac(&he, 48_000).unwrap();
        assert_eq!((format.channels(), format.frame_ticks(&[1])), (2, Some(2048)));
        assert_eq!((format.mime().as_deref(), format.name()), (Some("mp4a.40.5"), "HE-AAC"));
        assert_eq!(AudioFormat::aac(&he, 24_000).unwrap().frame_ticks(&[1]), Some(1024));
    }

    #[test]
    fn a_rate_may_be_written_out_and_a_frame_may_have_960_samples() {
        // LC, escape, 16000 Hz, 1 channel, frameLengthFlag.
        let format = AudioFormat::aac(&[0x17, 0x80, 0x1f, 0x40, 0x0c], 16_000).unwrap();
        assert_eq!(format.frame_ticks(&[1]), Some(960));
    }

    #[test]
    fn formats_that_no_browser_plays_are_refused() {
        let eld = [0xf8, 0xe6, 0x40, 0x00]; // object type 39
        let by_elements = [0x14, 0x00]; // channel configuration 0
        let endless = [&[0x14, 0x08][..], &[0; AUDIO_CONFIGURATION_BYTES_MAX]].concat();
        for configuration in [&[][..], &[0x14], &eld, &by_elements, &endless] {
            assert_eq!(AudioFormat::aac(configuration, 16_000), None, "{configuration:02x?}");
        }
        assert_eq!(AudioFormat::aac(LC, 0), None);
    }

    #[test]
    fn an_opus_packet_says_how_long_it_lasts() {
        let format = AudioFormat::opus();
        for (packet, ticks) in [
            (&[0x08, 1][..], Some(960)), // SILK, 20 ms
            (&[0x18, 1], Some(2880)),    // SILK, 60 ms
            (&[0x60], Some(480)),        // hybrid, 10 ms
            (&[0x80], Some(120)),        // CELT, 2.5 ms
            (&[0xf9, 1], Some(1920)),    // two of 20 ms
            (&[0xfb, 0x86], Some(5760)), // six of 20 ms
            (&[0xfb, 0x07], None),       // 140 ms
            (&[0xfb, 0x80], None),       // none
            (&[0xfb], None),
            (&[], None),
        ] {
            assert_eq!(format.frame_ticks(packet), ticks, "{packet:02x?}");
        }
    }

    #[test]
    fn g711_has_a_byte_a_sample() {
        let format = AudioFormat::g711(AudioCodec::Pcma, 8000, 2);
        assert_eq!(format.frame_ticks(&[0; 320]), Some(160));
        assert_eq!((format.frame_ticks(&[0; 3]), format.frame_ticks(&[])), (None, None));
        assert_eq!((format.mime(), format.sample_entry()), (None, *b"alaw"));
    }

    #[test]
    fn the_descriptor_holds_the_configuration() {
        let (kind, esds) = AudioFormat::aac(LC, 16_000).unwrap().decoder_configuration().unwrap();
        assert_eq!(kind, *b"esds");
        let expected: &[u8] =
            b"\0\0\0\0\x03\x19\0\0\0\x04\x11\x40\x15\0\0\0\0\0\0\0\0\0\0\0\x05\x02\x14\x08\
            \x06\x01\x02";
        assert_eq!(esds, expected);
        assert_eq!(usize::from(esds[5]), esds.len() - 6);
        assert_eq!(mime_of_entry(b"mp4a", Some(&esds)).as_deref(), Some("mp4a.40.2"));
        for len in 0..esds.len() - 3 - 2 {
            assert_eq!(mime_of_entry(b"mp4a", Some(&esds[..len])), None);
        }
        let long = b"\0\0\0\0\x03\x80\x80\x80\x22\0\x01\0\x04\x80\x80\x80\x14\x40\x15\0\0\0\0\0\0\0\0\0\0\0\x05\x80\x80\x80\x02\x2b\x11";
        assert_eq!(mime_of_entry(b"mp4a", Some(long)).as_deref(), Some("mp4a.40.5"));
        let opus = AudioFormat::opus().decoder_configuration();
        assert_eq!(opus, Some((*b"dOps", b"\0\x02\0\0\0\0\xbb\x80\0\0\0".to_vec())));
    }
}
