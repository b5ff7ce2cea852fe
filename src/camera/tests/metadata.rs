use super::*;
use crate::rtsp::{Media, Track, TrackTransport};
use proptest::prelude::*;

fn section() -> Track {
    Track {
        media: Media::Other,
        encoding: "vnd.onvif.metadata".into(),
        payload_type: 107,
        clock_rate: 90_000,
        channels: 1,
        control: String::new(),
        format_parameters: String::new(),
        parameter_sets: Vec::new(),
        transport: Some(TrackTransport::Interleaved { rtp: 2, rtcp: 3 }),
        is_refused: false,
        ssrc: None,
        rtp_info: None,
    }
}

fn track() -> MetadataTrack {
    let tracks = vec![section()];
    MetadataTrack::new(&Presentation { control: String::new(), tracks }).unwrap()
}

fn packet(number: u16, payload: &[u8], marker: bool) -> Vec<u8> {
    let mut bytes = vec![0x80, if marker { 0x80 | 107 } else { 107 }];
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Sends a document in packets of this size; without those that `is_lost`.
fn send(
    track: &mut MetadataTrack,
    number: &mut u16,
    size: usize,
    has_marker: bool,
    is_lost: impl Fn(usize) -> bool,
) {
    let pieces: Vec<_> = DOCUMENT.as_bytes().chunks(size).collect();
    for (nth, piece) in pieces.iter().enumerate() {
        if !is_lost(nth) {
            track.take(&packet(*number, piece, has_marker && nth + 1 == pieces.len()));
        }
        *number = number.wrapping_add(1);
    }
}

const DOCUMENT: &str = "<?xml version='1.0'?><tt:MetadataStream><tt:Event><NotificationMessage>\
    <Topic>tns1:VideoSource/MotionAlarm</Topic><Message><tt:Message PropertyOperation='Changed'><tt:Data>\
    <tt:SimpleItem Name='State' Value='true'/></tt:Data></tt:Message></Message></NotificationMessage>\
    </tt:Event></tt:MetadataStream>\n";

#[test]
fn a_document_spans_packets_up_to_the_marker_or_the_end_of_its_root() {
    for has_marker in [true, false] {
        for size in [1, 7, 100, 1400] {
            let (mut track, mut number) = (track(), u16::MAX);
            for _ in 0..3 {
                send(&mut track, &mut number, size, has_marker, |_| false);
            }
            assert_eq!(track.notices.len(), 3, "{size} {has_marker}");
            assert!(track.document.len() <= 1);
        }
    }
}

#[test]
fn a_document_with_a_lost_packet_says_nothing_and_the_next_one_counts() {
    let pieces: Vec<_> = DOCUMENT.as_bytes().chunks(40).collect();
    let begins = |nth: usize| pieces.get(nth).is_some_and(|piece| piece.starts_with(b"<"));
    // What follows a tag's beginning is read, and may be whole.
    for lost in (0..pieces.len()).filter(|lost| !begins(lost + 1)) {
        let (mut track, mut number) = (track(), 7);
        send(&mut track, &mut number, 40, true, |_| false);
        send(&mut track, &mut number, 40, true, |nth| nth == lost);
        assert_eq!(track.notices.len(), 1, "{lost}");
        // Where the last one was lost with its marker, two documents would be one.
        send(&mut track, &mut number, 40, true, |_| false);
        assert_eq!(track.notices.len(), 2, "{lost}");
    }
}

#[test]
fn packets_of_another_type_are_none_of_the_document() {
    let mut track = track();
    let mut other = packet(1, b"<tt:MetadataStream>", false);
    other[1] = 96;
    track.take(&other);
    assert!(track.document.is_empty() && track.next.is_none());
}

#[test]
fn a_track_that_is_compressed_or_refused_or_not_set_up_is_none() {
    for change in [
        (|it| it.encoding = "vnd.onvif.metadata.gzip".into()) as fn(&mut Track),
        |it| it.is_refused = true,
        |it| it.transport = None,
    ] {
        let mut tracks = vec![section()];
        change(&mut tracks[0]);
        assert!(MetadataTrack::new(&Presentation { control: String::new(), tracks }).is_none());
    }
}

proptest! {
    #[test]
    fn no_track_makes_us_keep_more_than_a_document(
        packets in proptest::collection::vec((any::<u16>(), 0usize..40_000, any::<bool>()), 0..30),
    ) {
        let mut track = track();
        let mut number = 0u16;
        for (jump, size, marker) in packets {
            number = number.wrapping_add(if jump % 4 == 0 { jump } else { 1 });
            track.take(&packet(number, &vec![b'<'; size], marker));
            prop_assert!(track.document.len() <= limits::METADATA_BYTES_MAX);
            prop_assert!(track.notices.len() <= limits::NOTICES_MAX);
        }
    }
}
