//! Files with a second track.

use super::*;
use crate::codec::{AudioCodec, AudioFormat};

#[test]
fn sound_is_looked_at_as_well() {
    let aac = AudioFormat::aac(&[0x14, 0x08], 16_000).unwrap();
    let g711 = AudioFormat::g711(AudioCodec::Pcmu, 8000, 1);
    let sets = parameter_sets(Codec::H264);
    for (format, codecs) in [
        (&aac, [&sets.mime(), "mp4a.40.2"].join(",")),
        (&AudioFormat::opus(), [&sets.mime(), "opus"].join(",")),
        (&g711, sets.mime()),
    ] {
        let file = samples::closed_with_audio(format, 3);
        let scan = scanned(&file, Depth::Full);
        assert!(scan.is_whole(), "{:?}", scan.state);
        let head = scan.head.unwrap();
        assert_eq!(head.video.as_ref().map(|video| &*video.codecs), Some(&*codecs));
        assert_eq!(scan.duration, Ticks(i64::from(9 * FRAME)));
        // The video's: closing again writes the same.
        let (_, layout, _) = unclosed(Codec::H264, 0);
        assert_eq!(head.layout.unwrap().durations.unwrap()[..3], layout.durations.unwrap()[..3]);
    }
    let file = samples::closed_with_audio(&aac, 3);
    let last_moof = file.windows(4).rposition(|it| it == b"moof").unwrap();
    let traf = last_moof + file[last_moof..].windows(4).rposition(|it| it == b"traf").unwrap();
    let at = |kind: &[u8]| traf + file[traf..].windows(4).position(|it| it == kind).unwrap();
    for (byte, value, expected) in [
        (at(b"tfdt") + 14, 4, What::DecodeTime { time: 1024, before: 5120 }),
        (at(b"trun") + 19, 6, What::MediaBytes { listed: 108, present: 107 }),
        (at(b"trun") + 15, 1, What::MediaOffset { offset: 0, media: 0 }),
        (at(b"tfhd") + 11, 3, What::MediaBytes { listed: 92, present: 107 }),
    ] {
        let mut file = file.clone();
        file[byte] = value;
        let what = damage_of(&file, Depth::Structure).what;
        match (what, expected) {
            (What::MediaOffset { .. }, What::MediaOffset { .. }) => {}
            _ => assert_eq!(what, expected),
        }
    }
}
