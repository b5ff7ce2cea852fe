//! AudioSpecificConfigs, and the `esds` that others wrote around them.

use crate::source::Source;
use smolnvr::codec::{AudioFormat, audio::mime_of_entry};

pub fn audio_config(data: &[u8]) {
    let mut source = Source::new(data);
    let clock_rate = source.one(&[8000, 48_000, 90_000, 1, u32::MAX]);
    let bytes = source.rest();
    for kind in [*b"mp4a", *b"Opus", *b"alaw"] {
        let codecs = mime_of_entry(&kind, Some(bytes));
        assert!(codecs.is_none_or(|it| it.bytes().all(|byte| byte.is_ascii_graphic())));
    }
    let Some(format) = AudioFormat::aac(bytes, clock_rate) else { return };
    assert_eq!((format.configuration(), format.clock_rate()), (bytes, clock_rate));
    assert!((1..=8).contains(&format.channels()));
    assert_eq!(format.frame_ticks(&[]), None);
    assert!(format.frame_ticks(&[1]).is_some_and(|ticks| ticks > 0));
    // What we write says the same when it is read.
    let (kind, esds) = format.decoder_configuration().expect("AAC has one");
    assert_eq!(kind, *b"esds");
    assert_eq!(mime_of_entry(&format.sample_entry(), Some(&esds)), format.mime());
    assert!(format.mime().is_some_and(|it| it.starts_with("mp4a.40.")));
}
