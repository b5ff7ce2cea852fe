use proptest::prelude::*;

use crate::{
    rtp::rtcp::{ReportBlock, Rtcp, SenderReport, parse, write_receiver_report},
    units::RtpTime,
};

/// Sender report with one report block, SDES of one word, BYE.
fn compound() -> Vec<u8> {
    let mut bytes = vec![0x81, 200, 0, 12];
    bytes.extend((1..=48).collect::<Vec<u8>>());
    bytes.extend([0x81, 202, 0, 1, 0, 0, 0, 0]);
    bytes.extend([0x81, 203, 0, 1, 0, 0, 0, 7]);
    bytes
}

const REPORT: SenderReport = SenderReport {
    ssrc: 0x0102_0304,
    ntp: 0x0506_0708_090a_0b0c,
    rtp_time: RtpTime(0x0d0e_0f10),
    packets: 0x1112_1314,
    octets: 0x1516_1718,
};

#[test]
fn reports_of_a_compound_packet_come_in_order() {
    let reports: Vec<Rtcp> = parse(&compound()).collect();
    assert_eq!(reports, [Rtcp::SenderReport(REPORT), Rtcp::Bye { ssrc: 7 }]);
}

#[test]
fn every_truncation_gives_the_whole_reports() {
    let bytes = compound();
    for length in 0..bytes.len() {
        let expected = usize::from(length >= 52);
        assert_eq!(parse(&bytes[..length]).count(), expected, "{length}");
    }
}

#[test]
fn a_sender_report_shorter_than_its_fields_is_skipped() {
    let bytes = [&[0x80, 200, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &compound()].concat();
    assert_eq!(parse(&bytes).count(), 2);
}

#[test]
fn a_sender_report_gives_media_time_its_wall_time() {
    // 2026-11-24 08:00:00.5 UTC
    let report = SenderReport {
        ntp: (2_208_988_800 + 1_795_507_200) << 32 | 1 << 31,
        rtp_time: RtpTime(u32::MAX),
        ..REPORT
    };
    let at = |time, rate| report.wall_time(RtpTime(time), rate).unwrap().to_string();
    assert_eq!(at(u32::MAX, 90_000), "2026-11-24T08:00:00Z");
    assert_eq!(at(44_999, 90_000), "2026-11-24T08:00:01Z");
    assert_eq!(at(u32::MAX - 45_100, 90_000), "2026-11-24T07:59:59Z");
    assert_eq!(at(8000 * 60, 8000), "2026-11-24T08:01:00Z");
    assert_eq!(report.wall_time(RtpTime(0), 0), None);
}

#[test]
fn a_camera_without_wall_time_gives_none() {
    for ntp in [0, 1 << 31, 3600 << 32, (2_208_988_800 + 946_684_799) << 32] {
        let report = SenderReport { ntp, ..REPORT };
        assert_eq!(report.wall_time(RtpTime(0), 90_000), None, "{ntp}");
    }
}

#[test]
fn a_receiver_report_is_written_as_in_rfc_3550() {
    let reception = ReportBlock {
        ssrc: 0x0102_0304,
        fraction_lost: 5,
        lost: -1,
        highest_sequence_number: 0x0001_0002,
        jitter: 9,
        last_sender_report: 0x0708_090a,
        since_sender_report: 0x0001_0000,
    };
    let mut out = Vec::new();
    write_receiver_report(0xaabb_ccdd, Some(&reception), "nv", &mut out);
    let expected = [
        0x81, 201, 0, 7, 0xaa, 0xbb, 0xcc, 0xdd, // header
        1, 2, 3, 4, 5, 0xff, 0xff, 0xff, 0, 1, 0, 2, 0, 0, 0, 9, 7, 8, 9, 10, 0, 1, 0,
        0, // block
        0x81, 202, 0, 3, 0xaa, 0xbb, 0xcc, 0xdd, 1, 2, b'n', b'v', 0, 0, 0, 0, // SDES
    ];
    assert_eq!(out, expected);
}

#[test]
fn a_name_of_any_length_keeps_the_packet_whole() {
    for length in 0..300 {
        let mut out = Vec::new();
        write_receiver_report(1, None, &"x".repeat(length), &mut out);
        assert_eq!(&out[..8], [0x80, 201, 0, 1, 0, 0, 0, 1]);
        let words = usize::from(u16::from_be_bytes([out[10], out[11]]));
        assert_eq!(out.len(), 8 + 4 + 4 * words);
        assert_eq!(out.last(), Some(&0));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        prop_assert!(parse(&bytes).count() <= 24);
    }
}
