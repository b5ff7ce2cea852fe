//! Packets of an RTP/JPEG track (RFC 2435).

use crate::source::Source;
use smolnvr::{
    limits::SNAPSHOT_BYTES_MAX,
    rtp::{JpegDepacketizer, JpegError, Lost, Packet},
    units::RtpTime,
};

pub fn jpeg(data: &[u8]) {
    let mut source = Source::new(data);
    match source.u8() % 16 {
        15 => long(&mut source),
        even if even % 2 == 0 => hostile(&mut source),
        _ => packed(&mut source),
    }
}

/// Up to the bound a picture comes out, and behind it there is none.
fn long(source: &mut Source<'_>) {
    let mut depacketizer = JpegDepacketizer::default();
    let mut header = [0, 0, 0, 0, 1, 50, 80, 45];
    let first =
        depacketizer.handle_packet(&packet(true, 0, &[&header[..], &[1]].concat()), Lost(0));
    // What stands around the data: all but that byte.
    let around = first.expect("is a picture").map_or(0, <[u8]>::len) - 1;
    let bytes = SNAPSHOT_BYTES_MAX + 2 - around - source.below(5);
    let (data, mut offset) = (vec![0x55; bytes], 0);
    for piece in data.chunks(60_000) {
        header[1..4].copy_from_slice(&(offset as u32).to_be_bytes()[1..]);
        offset += piece.len();
        let payload = [&header[..], piece].concat();
        match depacketizer.handle_packet(&packet(offset == bytes, 1, &payload), Lost(0)) {
            Ok(Some(picture)) => {
                assert!(offset == bytes && picture.len() == bytes + around);
                assert!(picture.len() <= SNAPSHOT_BYTES_MAX, "{} bytes", picture.len());
            }
            Ok(None) => assert!(offset < bytes, "the whole picture does not come"),
            Err(JpegError::TooLong) => assert!(bytes + around > SNAPSHOT_BYTES_MAX),
            Err(error) => panic!("{error}"),
        }
    }
}

fn hostile(source: &mut Source<'_>) {
    let mut depacketizer = JpegDepacketizer::default();
    let (mut time, mut fed) = (0u32, 0);
    while !source.is_empty() {
        let choice = source.u8();
        time = time.wrapping_add(u32::from(choice & 3 == 3));
        let lost = Lost(u32::from(choice & 0x1c == 0x1c));
        // A long picture of few bytes: the same data over and over.
        let mut payload = source.piece().to_vec();
        if choice & 0x60 == 0x60 {
            payload.resize(payload.len() + usize::from(source.u16()), 0x55);
        }
        fed += payload.len();
        match depacketizer.handle_packet(&packet(choice & 0x80 != 0, time, &payload), lost) {
            Ok(Some(picture)) => {
                assert!(picture.len() <= SNAPSHOT_BYTES_MAX, "{} bytes", picture.len());
                assert!(picture.len() <= fed + HEAD_BYTES_MAX);
                assert!(picture.starts_with(&[0xff, 0xd8]) && picture.ends_with(&[0xff, 0xd9]));
                check_segments(picture);
            }
            Ok(None) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Segments follow each other up to the scan (T.81 §B.1.1.4).
fn check_segments(picture: &[u8]) {
    let mut at = 2;
    loop {
        let [0xff, kind, high, low] = picture[at..at + 4] else { panic!("no marker at {at}") };
        at += 2 + usize::from(high) * 256 + usize::from(low);
        assert!(at < picture.len());
        if kind == 0xda {
            return;
        }
    }
}

/// A picture in pieces comes out with all its data, unless one is missing.
fn packed(source: &mut Source<'_>) {
    let mut depacketizer = JpegDepacketizer::default();
    let (mut time, mut pictures, mut before) = (0, 0, None);
    while !source.is_empty() && pictures < 50 {
        pictures += 1;
        // Behind a loss that reaches into it, a picture with the stamp of the one before.
        let begins_at = before.map_or(0, |(at, _)| at);
        time += u32::from(before.is_none());
        let (kind, q) = (source.one(&[0, 1, 64, 65]), source.one(&[1, 50, 99, 255, 128]));
        let (width, height) = (source.u8().max(1), source.u8().max(1));
        let scan = [source.piece(), &[1]].concat();
        let size = before.take().map_or(1 + source.below(200), |(_, size)| size);
        let choice = source.u8();
        let missing = Some(choice).filter(|it| *it > 0xe0).map(|it| usize::from(it & 7));
        let reaches_on = missing.is_some_and(|it| it > 0) && choice & 8 != 0;
        let (mut offset, mut came) = (0, None);
        for (nth, piece) in scan.chunks(size).enumerate() {
            let [_, high, middle, low] = (offset as u32).to_be_bytes();
            let mut payload = vec![0, high, middle, low, kind, q, width, height];
            if kind >= 64 {
                payload.extend([0, 4, 0xff, 0xff]);
            }
            if q >= 128 && offset == 0 {
                payload.extend([0, 0, 0, 128]);
                payload.extend((0..128).map(|it| it + 1));
            }
            payload.extend(piece);
            offset += piece.len();
            if missing == Some(nth) || nth < begins_at || reaches_on && missing < Some(nth) {
                continue;
            }
            let is_behind_loss = missing.is_some_and(|it| it + 1 == nth);
            let lost = Lost(u32::from(is_behind_loss || nth > 0 && nth == begins_at));
            let packet = packet(offset == scan.len(), time, &payload);
            let picture = depacketizer.handle_packet(&packet, lost).expect("it is in order");
            came = picture.map(<[u8]>::to_vec).or(came);
        }
        let pieces = scan.len().div_ceil(size);
        let is_hurt = begins_at > 0 || missing.is_some_and(|it| it < pieces);
        if reaches_on && missing < Some(pieces) {
            before = missing.map(|it| (it, size));
        }
        let Some(picture) = came else {
            assert!(is_hurt, "a whole picture does not come");
            continue;
        };
        assert!(!is_hurt, "half a picture came");
        check_segments(&picture);
        let end = picture.strip_suffix(&[0xff, 0xd9]).expect("it ends");
        assert!(end.ends_with(&scan) || picture.ends_with(&scan));
        let size = [height.into(), width.into()].map(|it: u16| (it * 8).to_be_bytes()).concat();
        assert!(picture.windows(4).any(|four| four == size), "its size stands in it");
    }
}

fn packet(marker: bool, time: u32, payload: &[u8]) -> Packet<'_> {
    let (payload_type, sequence_number, ssrc) = (26, 0, 1);
    Packet { marker, payload_type, sequence_number, timestamp: RtpTime(time), ssrc, payload }
}

/// Quantization and Huffman tables take 600 bytes or so.
const HEAD_BYTES_MAX: usize = 1024;
