//! Descriptions that are not sent as RFC 2326 has it.

use super::*;
use crate::limits::DESCRIPTION_PAUSE;

#[test]
fn content_base_without_a_scheme() {
    let mut camera = described("Content-Base: 10.0.0.2:554/stream0/\r\n", H264_ONLY);
    camera.expect("SETUP rtsp://10.0.0.2:554/stream0/trackID=0 RTSP/1.0", &[]);
}

#[test]
fn a_line_end_in_content_base_does_not_reach_a_request() {
    for end in ["\r", "\r\n X: y"] {
        let fields = format!("Content-Base: rtsp://10.0.0.2/a{end}/b\r\n");
        described(&fields, H264_ONLY).expect("SETUP rtsp://10.0.0.2/a/trackID=0 RTSP/1.0", &[]);
    }
}

#[test]
fn content_base_without_a_last_slash() {
    let base = "rtsp://10.0.0.2:5050/H264?channel=1&subtype=0";
    let mut camera = described(&format!("Content-Base: {base}\r\n"), H264_ONLY);
    camera.expect(&format!("SETUP {base}/trackID=0 RTSP/1.0"), &[]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect(&format!("PLAY {base} RTSP/1.0"), &[]);
}

#[test]
fn no_content_type() {
    // Camera::reply never sends one.
    described("", H264_ONLY).expect("SETUP", &[]);
}

#[test]
fn sdp_without_o() {
    let sdp = "v=0\r\ns=streamed by the macro-video rtsp server\r\nt=0 0\r\na=control:*\r\n\
        m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n";
    described("", sdp).expect("SETUP rtsp://10.0.0.2/live/track1 ", &[]);
}

#[test]
fn sdp_of_one_section_alone() {
    let sdp = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:trackID=0";
    described("", sdp).expect("SETUP rtsp://10.0.0.2/live/trackID=0 ", &[]);
}

#[test]
fn sdp_that_is_not_utf8() {
    let mut camera = Camera::new("rtsp://10.0.0.2/live");
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    let body = [b"s=\xc9\xe3\r\n", H264_ONLY.as_bytes()].concat();
    let header = format!("RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: {}\r\n\r\n", body.len());
    camera.feed(&[header.as_bytes(), &body].concat());
    camera.expect("SETUP", &[]);
}

#[test]
fn unparsable_media_lines_of_other_media() {
    let sdp = [
        H264_ONLY,
        "m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\na=control:track3\r\n",
        "m=audio\r\na=control:track4\r\n",
        "m=\r\na=control:track5\r\n",
    ]
    .concat();
    let mut camera = described("", &sdp);
    camera.expect("SETUP rtsp://10.0.0.2/live/trackID=0 ", &[]);
    assert_eq!(camera.session.tracks().len(), 1);
}

#[test]
fn start_codes_in_sprop_parameter_sets() {
    let sdp = [
        H264_ONLY,
        "a=fmtp:96 sprop-parameter-sets=Z00AHpWoLQ9puAgICBAAAAAB,AAAAAWjuPIAAAAABZwE=\r\n",
    ]
    .concat();
    let mut camera = described("", &sdp);
    camera.expect("SETUP", &[]);
    let sets = &camera.session.tracks()[0].parameter_sets;
    assert_eq!(sets.len(), 3);
    assert_eq!(sets[0].last(), Some(&0x10));
    assert_eq!(sets[1..], [vec![0x68, 0xee, 0x3c, 0x80], vec![0x67, 1]]);
}

#[test]
fn an_sdp_of_uninitialised_memory() {
    // Tuya (Symynelec C5): a port that is no port, an address of rubbish.
    let sdp = "v=0\r\no=- 1 1 IN IP4 \r\ns=x\r\nt=0 0\r\nm=video -1353744643 RTP/AVP 96\r\n\
        c=IN IP4 '&\u{fffd}\u{1}\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n";
    described("", sdp).expect("SETUP rtsp://10.0.0.2/live/track1 ", &[]);
}

#[test]
fn an_sdp_that_ends_as_a_string_of_c() {
    let sdp = [H264_ONLY.trim_end(), "\0\0"].concat();
    described("", &sdp).expect("SETUP rtsp://10.0.0.2/live/trackID=0 RTSP/1.0\r\n", &[]);
}

/// Shorter than it says, or without a length, in two pieces.
#[test]
fn a_description_whose_length_is_wrong_or_missing_counts_once_nothing_follows() {
    for length in [format!("Content-Length: {}\r\n", H264_ONLY.len() + 2), String::new()] {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        camera.reply("200 OK", "", "");
        camera.expect("DESCRIBE", &[]);
        let head = format!(
            "RTSP/1.0 200 OK\r\nCSeq: {}\r\nContent-Type: application/sdp\r\n{length}\r\n",
            camera.cseq
        );
        let (first, second) = H264_ONLY.split_at(H264_ONLY.len() / 2);
        camera.feed(&[head.as_bytes(), first.as_bytes()].concat());
        assert_eq!(camera.outputs(), Ok(vec![]));
        camera.now += Duration::from_secs(2);
        camera.feed(second.as_bytes());
        assert_eq!(camera.outputs(), Ok(vec![]));
        camera.feed(&[]); // there was nothing to read
        assert_eq!(camera.wait(), Ok(DESCRIPTION_PAUSE));
        camera.expect("SETUP", &[]);
        camera.reply("200 OK", "Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 1\r\n", "");
        camera.expect("PLAY", &[]);
    }
}

#[test]
fn a_refusal_without_a_length_is_no_description() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    let cseq = camera.cseq;
    camera.feed(
        format!("RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\n\r\n")
            .as_bytes(),
    );
    assert!(matches!(camera.error(), Error::Refused { status: 404, .. }));
}
