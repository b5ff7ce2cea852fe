//! A session description, as the body of a DESCRIBE reply.

use smolnvr::{
    codec::Codec,
    limits, rtp,
    rtsp::{Media, Output, Session, SessionOptions, Track, Tracks},
    runtime,
};

pub const WORDS: &[&str] = &[
    "m=video 0 RTP/AVP 96\r\n",
    "m=audio 0 RTP/AVP 97\r\n",
    "m=application 0 RTP/AVP 107\r\n",
    "a=control:",
    "a=control:*\r\n",
    "a=control:trackID=1\r\n",
    "a=rtpmap:96 H264/90000\r\n",
    "a=rtpmap:96 H265/90000\r\n",
    "a=rtpmap:26 JPEG/90000\r\n",
    "a=rtpmap:97 MPEG4-GENERIC/16000/1\r\n",
    "a=rtpmap:97 MP4A-LATM/90000\r\n",
    "a=rtpmap:97 opus/48000/2\r\n",
    "a=fmtp:96 ",
    "a=fmtp:97 ",
    "sprop-parameter-sets=",
    "sprop-vps=",
    "sprop-sps=",
    "sprop-pps=",
    "aO48MA==",
    "Z2QAM6zoAoALWQ==",
    "config=1408;",
    "sizelength=13;indexlength=3;indexdeltalength=3;",
    "mode=AAC-hbr;",
    "cpresent=0;",
    "rtsp://",
    "\r\n",
    "\n",
    ";",
    ",",
    "/90000/1",
    "\0",
];

pub fn sdp(data: &[u8]) {
    let Some(tracks) = tracks(data) else { return };
    tracks.iter().for_each(check);
    assert!(tracks.len() <= limits::SDP_MEDIA_MAX);
    // How lines end says nothing, nor do lines that are not known.
    let other: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let other = other.join(&b"\nx=1\r\n\n"[..]);
    if let Some(others) = self::tracks(&other) {
        assert_eq!(others, tracks);
    }
}

/// `None` where it is too long for a reply.
fn tracks(sdp: &[u8]) -> Option<Vec<Track>> {
    let now = runtime::now();
    let target = "rtsp://10.0.0.2/live".parse().expect("is a URL");
    let options = SessionOptions { tracks: Tracks::VideoAndAudio, ..SessionOptions::new(1) };
    let mut session = Session::new(&target, options, now);
    let head =
        format!("RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: {}\r\n\r\n", sdp.len()).into_bytes();
    for reply in [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n".to_vec(), [&head, sdp].concat()] {
        while let Ok(Some(Output::Send(_))) = session.poll(now) {}
        session.space()[..reply.len()].copy_from_slice(&reply);
        session.filled(reply.len());
    }
    while let Ok(Some(Output::Send(_))) = session.poll(now) {}
    (sdp.len() <= limits::RTSP_BODY_BYTES_MAX).then(|| session.tracks().to_vec())
}

fn check(track: &Track) {
    assert!(track.payload_type < 128 && track.clock_rate > 0);
    assert!(track.control.contains("://") && !track.control.contains(['\r', '\n']));
    let name = &track.encoding;
    assert!(name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
    for set in &track.parameter_sets {
        assert!(!set.is_empty() && !set.ends_with(&[0]));
        assert!(set.len() <= limits::PARAMETER_SET_BYTES_MAX, "{} bytes", set.len());
        assert!(!set.windows(3).any(|three| three == [0, 0, 1]));
    }
    match track.media {
        Media::Video(codec) => {
            let kinds = if codec == Codec::H264 { 1 } else { 3 };
            assert!(track.parameter_sets.len() <= kinds * limits::SDP_PARAMETER_SETS_MAX);
            rtp::Depacketizer::new(codec, &track.parameter_sets).parameter_sets();
        }
        _ => assert!(track.parameter_sets.is_empty()),
    }
    if let Some(format) = track.audio().as_ref().and_then(|audio| audio.format()) {
        assert!(format.channels() > 0 && format.clock_rate() == track.clock_rate);
        assert!(format.configuration().len() <= limits::AUDIO_CONFIGURATION_BYTES_MAX);
    }
}
