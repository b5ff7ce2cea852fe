//! A compound packet, walked a second time; and our reports, read as a camera would.

use crate::source::Source;
use smolnvr::{
    rtp::rtcp::{self, ReportBlock, Rtcp, SenderReport},
    units::{RtpTime, WallTime},
};

pub fn rtcp(data: &[u8]) {
    let found: Vec<Rtcp> = rtcp::parse(data).collect();
    assert_eq!(found, walked(data));
    let mut source = Source::new(data);
    for report in &found {
        if let Rtcp::SenderReport(report) = report {
            check_wall_time(report, RtpTime(source.u32()), source.u32());
        }
    }
    built(Source::new(data));
    written(Source::new(data));
}

fn walked(data: &[u8]) -> Vec<Rtcp> {
    let mut out = Vec::new();
    let mut at = 0;
    while at + 4 <= data.len() && data[at] >> 6 == 2 {
        let end = at + 4 + 4 * (usize::from(data[at + 2]) * 256 + usize::from(data[at + 3]));
        if end > data.len() {
            break;
        }
        let words: Vec<u32> = data[at + 4..end]
            .chunks(4)
            .map(|it| u32::from_be_bytes([it[0], it[1], it[2], it[3]]))
            .collect();
        match (data[at + 1], &words[..]) {
            (200, [ssrc, high, low, time, packets, octets, ..]) => {
                out.push(Rtcp::SenderReport(SenderReport {
                    ssrc: *ssrc,
                    ntp: u64::from(*high) << 32 | u64::from(*low),
                    rtp_time: RtpTime(*time),
                    packets: *packets,
                    octets: *octets,
                }));
            }
            (203, [ssrc, ..]) if data[at] & 31 > 0 => out.push(Rtcp::Bye { ssrc: *ssrc }),
            _ => {}
        }
        at = end;
    }
    out
}

/// A report among others is found, and so is what stands behind it.
fn built(mut source: Source<'_>) {
    let (blocks, extra) = (source.u8() & 31, usize::from(source.u8() & 3));
    let report = SenderReport {
        ssrc: source.u32(),
        ntp: source.u64(),
        rtp_time: RtpTime(source.u32()),
        packets: source.u32(),
        octets: source.u32(),
    };
    check_wall_time(&report, RtpTime(source.u32()), source.u32());
    let bye = source.u32();
    let words = 6 + extra;
    let mut bytes = vec![0x80, 201, 0, 1, 1, 2, 3, 4, 0x80 | blocks, 200, 0, words as u8];
    bytes.extend(report.ssrc.to_be_bytes());
    bytes.extend(report.ntp.to_be_bytes());
    bytes.extend(report.rtp_time.0.to_be_bytes());
    bytes.extend(report.packets.to_be_bytes());
    bytes.extend(report.octets.to_be_bytes());
    bytes.resize(bytes.len() + 4 * extra, 0xee);
    let report_ends = bytes.len();
    bytes.extend([0x81, 202, 0, 2, 1, 2, 3, 4, 1, 0, 0, 0, 0x81, 203, 0, 1]);
    bytes.extend(bye.to_be_bytes());
    let all = [Rtcp::SenderReport(report), Rtcp::Bye { ssrc: bye }];
    assert_eq!(rtcp::parse(&bytes).collect::<Vec<_>>(), all);
    for end in 0..bytes.len() {
        let found = usize::from(end >= report_ends);
        assert!(rtcp::parse(&bytes[..end]).eq(all.into_iter().take(found)), "cut at {end}");
    }
}

fn check_wall_time(report: &SenderReport, time: RtpTime, clock_rate: u32) {
    // 1970-01-01 and 2000-01-01 in seconds since 1900.
    let (seconds, fraction) = (report.ntp >> 32, report.ntp & 0xffff_ffff);
    let expected = (seconds >= 3_155_673_600 && clock_rate > 0).then(|| {
        let since = i128::from(time.0.wrapping_sub(report.rtp_time.0) as i32) * 1000;
        let millis =
            (i128::from(seconds) - 2_208_988_800) * 1000 + i128::from((fraction * 1000) >> 32);
        millis + since / i128::from(clock_rate)
    });
    let told = report.wall_time(time, clock_rate).map(|WallTime(millis)| i128::from(millis));
    assert_eq!(told, expected);
}

/// RFC 3550 §6.4.2 and §6.5, field by field.
fn written(mut source: Source<'_>) {
    let (ssrc, has_block) = (source.u32(), source.flag());
    let reception = ReportBlock {
        ssrc: source.u32(),
        fraction_lost: source.u8(),
        lost: source.u32() as i32,
        highest_sequence_number: source.u32(),
        jitter: source.u32(),
        last_sender_report: source.u32(),
        since_sender_report: source.u32(),
    };
    let name: String = source.piece().iter().map(|byte| char::from(byte & 127)).collect();
    let mut out = b"before".to_vec();
    rtcp::write_receiver_report(ssrc, has_block.then_some(&reception), &name, &mut out);
    let out = out.strip_prefix(b"before").expect("it is appended");
    let word = |nth: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| out[4 * nth + byte]));
    assert_eq!((out.len() % 4, word(1)), (0, ssrc));
    let sdes = if has_block { 8 } else { 2 };
    if has_block {
        assert_eq!(word(0), 0x81c9_0007);
        let lost = i64::from(reception.lost).clamp(-0x80_0000, 0x7f_ffff);
        assert_eq!(i64::from((word(3) << 8) as i32 >> 8), lost);
        assert_eq!((word(2), word(3) >> 24), (reception.ssrc, reception.fraction_lost.into()));
        assert_eq!((word(4), word(5)), (reception.highest_sequence_number, reception.jitter));
        let report = (reception.last_sender_report, reception.since_sender_report);
        assert_eq!((word(6), word(7)), report);
    } else {
        assert_eq!(word(0), 0x80c9_0001);
    }
    let length = name.len().min(255);
    assert_eq!((word(sdes) >> 16, word(sdes + 1)), (0x81ca, ssrc));
    assert_eq!((word(sdes) & 0xffff) as usize, out.len() / 4 - sdes - 1);
    let chunk = &out[4 * sdes + 8..];
    assert_eq!((chunk[0], usize::from(chunk[1])), (1, length));
    assert_eq!(&chunk[2..2 + length], &name.as_bytes()[..length]);
    let end = &chunk[2 + length..];
    assert!((1..=4).contains(&end.len()) && end.iter().all(|byte| *byte == 0), "{end:?}");
}
