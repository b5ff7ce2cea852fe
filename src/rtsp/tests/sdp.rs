use super::*;
use crate::rtsp::tests::cameras::*;

const BASE: &str = "rtsp://10.0.0.2:554/live";

fn only(sdp: &str) -> Track {
    let [track] = parse(sdp, BASE).tracks.try_into().unwrap();
    track
}

fn section(lines: &str) -> Track {
    only(&["m=video 0 RTP/AVP 96\r\n", lines].concat())
}

/// Encodings with their controls.
fn outline(presentation: &Presentation) -> Vec<(Media, &str, &str)> {
    presentation
        .tracks
        .iter()
        .map(|track| (track.media, track.encoding.as_str(), track.control.as_str()))
        .collect()
}

const H264: Media = Media::Video(Codec::H264);
const H265: Media = Media::Video(Codec::H265);

#[test]
fn reolink() {
    let presentation = parse(&sdp_of("reolink_rlc_410"), "rtsp://10.0.0.2/h264Preview_01_main/");
    assert_eq!(presentation.control, "rtsp://10.0.0.2/h264Preview_01_main/");
    assert_eq!(
        outline(&presentation),
        [
            (H264, "H264", "rtsp://10.0.0.2/h264Preview_01_main/trackID=1"),
            (Media::Audio, "MPEG4-GENERIC", "rtsp://10.0.0.2/h264Preview_01_main/trackID=2"),
        ]
    );
    let [video, audio] = &presentation.tracks[..] else { panic!() };
    assert_eq!(
        video.parameter_sets,
        [vec![0x67, 0x64, 0, 0x33, 0xac, 0xe8, 2, 0x80, 0xb, 0x59], vec![0x68, 0xee, 0x3c, 0x30]]
    );
    assert_eq!((audio.payload_type, audio.clock_rate, audio.channels), (97, 16_000, 1));
    assert_eq!(audio.format_parameters, "streamtype=5;mode=AAC-hbr;config=1408; profile=1;");
    assert!(audio.parameter_sets.is_empty());
}

#[test]
fn hikvision() {
    let presentation =
        parse(&sdp_of("hikvision_ds_2cd1148"), "rtsp://10.0.0.2:554/Streaming/Channels/101/");
    let base = "rtsp://10.0.0.2:554/Streaming/Channels/101/";
    assert_eq!(presentation.control, [base, "?transportmode=unicast"].concat());
    assert_eq!(
        outline(&presentation),
        [
            (H264, "H264", [base, "trackID=1?transportmode=unicast"].concat().as_str()),
            (
                Media::Other,
                "vnd.onvif.metadata",
                &[base, "trackID=3?transportmode=unicast"].concat()
            ),
        ]
    );
    assert_eq!(presentation.tracks[0].parameter_sets.len(), 2);
    assert_eq!(presentation.encodings(), "H264, vnd.onvif.metadata");
}

#[test]
fn dahua() {
    let base = "rtsp://10.0.0.2:554/cam/realmonitor?channel=1&subtype=0";
    let presentation = parse(&sdp_of("dahua_ipc"), &[base, "/"].concat());
    assert_eq!(
        outline(&presentation),
        [
            (H265, "H265", [base, "/trackID=0"].concat().as_str()),
            (Media::Audio, "PCMA", &[base, "/trackID=1"].concat()),
            (Media::Other, "vnd.onvif.metadata", &[base, "/trackID=4"].concat()),
        ]
    );
    // VPS, SPS, PPS, whatever order they stand in.
    let kinds: Vec<u8> =
        presentation.tracks[0].parameter_sets.iter().map(|set| set[0] >> 1).collect();
    assert_eq!(kinds, [32, 33, 34]);
    assert_eq!(presentation.tracks[1].clock_rate, 8000);
}

#[test]
fn majestic_without_parameter_sets() {
    let track = only(&sdp_of("majestic_openipc"));
    assert_eq!((track.media, track.payload_type, track.clock_rate), (H264, 96, 90_000));
    assert_eq!(track.control, "rtsp://10.0.0.2:554/live/track0");
    assert!(track.parameter_sets.is_empty());
}

#[test]
fn gstreamer() {
    let track = only(&sdp_of("gstreamer"));
    assert_eq!((track.media, track.parameter_sets.len()), (H265, 3));
    assert_eq!(track.control, "rtsp://10.0.0.2:554/live/stream=0");
}

#[test]
fn vlc() {
    let presentation = parse(&sdp_of("vlc"), BASE);
    assert_eq!(presentation.control, "rtsp://127.0.0.1:8554/test");
    assert_eq!(
        outline(&presentation),
        [
            (Media::Audio, "MPA", "rtsp://127.0.0.1:8554/test/trackID=4"),
            (H264, "H264", "rtsp://127.0.0.1:8554/test/trackID=5"),
        ]
    );
    assert_eq!(presentation.tracks[1].parameter_sets.len(), 2);
}

#[test]
fn ffmpeg() {
    let presentation = parse(&sdp_of("mediamtx").replace('\r', ""), BASE);
    assert_eq!(presentation.control, BASE);
    assert_eq!(
        outline(&presentation),
        [
            (H264, "H264", "rtsp://10.0.0.2:554/live/streamid=0"),
            (Media::Audio, "MPEG4-GENERIC", "rtsp://10.0.0.2:554/live/streamid=1"),
        ]
    );
    assert_eq!(presentation.tracks[0].parameter_sets.len(), 2);
    assert_eq!(presentation.tracks[1].channels, 2);
}

#[test]
fn controls_are_absolute_relative_or_a_star() {
    for (base, control, url) in [
        ("rtsp://h/a", "*", "rtsp://h/a"),
        ("rtsp://h/a", "", "rtsp://h/a"),
        ("rtsp://h/a", "t", "rtsp://h/a/t"),
        ("rtsp://h/a/", "t", "rtsp://h/a/t"),
        ("rtsp://h/a/", "/t", "rtsp://h/a/t"),
        ("rtsp://h", "t", "rtsp://h/t"),
        ("rtsp://h/stream=0", "track=1", "rtsp://h/stream=0/track=1"),
        ("rtsp://h/a?x=1&y=2", "video", "rtsp://h/a?x=1&y=2/video"),
        ("rtsp://h/a", "?track=1", "rtsp://h/a?track=1"),
        ("rtsp://h/a", "rtsp://x/b", "rtsp://x/b"),
    ] {
        assert_eq!(joined(base, control), url);
    }
}

#[test]
fn the_base_is_the_first_that_is_named() {
    let uri = "rtsp://h:99/live?x=1";
    assert_eq!(base([None, None], uri), uri);
    assert_eq!(base([Some(""), None], uri), uri);
    assert_eq!(base([Some("rtsp://a/"), Some("rtsp://b/")], uri), "rtsp://a/");
    assert_eq!(base([None, Some("rtsp://b/")], uri), "rtsp://b/");
    assert_eq!(base([Some("/stream0/"), None], uri), "rtsp://h:99/stream0/");
}

#[test]
fn the_recordable_format_is_chosen_among_several() {
    let track = only(
        "m=video 0 RTP/AVP 26 97 98\na=rtpmap:97 H265/90000\na=rtpmap:98 H264/90000\na=fmtp:98 x\na=fmtp:97 y\n",
    );
    assert_eq!((track.media, track.payload_type), (H265, 97));
    assert_eq!(track.format_parameters, "y");
}

#[test]
fn odd_maps_are_read_as_far_as_they_go() {
    for (map, media, rate) in [
        ("96 H264/90000 ", H264, 90_000),
        ("96 h264/90000/1", H264, 90_000),
        ("  96   hevc/90000", H265, 90_000),
        ("96 H264", H264, 90_000),
        ("96 H264/0", H264, 90_000),
        ("96 H264/x", H264, 90_000),
        ("96 MP4V-ES/1000", Media::OtherVideo, 1000),
        ("97 H264/90000", H264, 90_000),
        ("96", Media::OtherVideo, 90_000),
    ] {
        let track = section(&["a=rtpmap:", map, "\r\n"].concat());
        assert_eq!((track.media, track.clock_rate), (media, rate), "{map}");
    }
    assert_eq!(section("").encoding, "unknown");
}

#[test]
fn parameter_sets_that_can_not_be_are_left_out() {
    let sets = |sprop: &str| {
        let line = ["a=rtpmap:96 H264/90000\r\na=fmtp:96 SPROP-parameter-sets=", sprop].concat();
        section(&line).parameter_sets
    };
    let pps = [vec![0x68, 0xee, 0x3c, 0x80]];
    assert_eq!(sets("aO48gA"), pps);
    assert_eq!(sets("\"aO48gA==\""), pps);
    assert_eq!(sets("!,aO48gA==, ,=,"), pps);
    assert_eq!(sets(""), [[0u8; 0]; 0]);
    let long = "A".repeat(PARAMETER_SET_BYTES_MAX * 2);
    assert_eq!(sets(&[&long, ",aO48gA=="].concat()), pps);
    assert_eq!(sets(&"aO48gA==,".repeat(SDP_PARAMETER_SETS_MAX + 5)).len(), SDP_PARAMETER_SETS_MAX);
}

#[test]
fn sections_beyond_the_limit_are_ignored() {
    let sdp = "m=audio 0 RTP/AVP 0\na=control:x\n".repeat(SDP_MEDIA_MAX + 1);
    assert_eq!(parse(&sdp, BASE).tracks.len(), SDP_MEDIA_MAX);
}

#[test]
fn every_truncation_is_read_as_far_as_it_goes() {
    for camera in ["reolink_rlc_410", "hikvision_ds_2cd1148", "dahua_ipc", "vlc", "mediamtx"] {
        let sdp = &sdp_of(camera);
        let whole = parse(sdp, BASE).tracks.len();
        for len in 0..sdp.len() {
            assert!(parse(&sdp[..len], BASE).tracks.len() <= whole);
        }
        assert_eq!(parse(sdp.trim_end(), BASE), parse(sdp, BASE));
    }
}

#[test]
fn a_format_whose_lines_have_another_number_or_no_rtpmap_is_known_all_the_same() {
    for (lines, codec) in [
        ("a=rtpmap:97 H264/90000\na=fmtp:97 sprop-parameter-sets=Z0,aM48gA==", Codec::H264),
        ("a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0,aM48gA==", Codec::H264),
        ("a=fmtp:96 sprop-sps=QgE=;sprop-pps=RAHBcrRiQA==", Codec::H265),
    ] {
        let sdp = format!("v=0\nm=video 0 RTP/AVP 96\n{lines}\n");
        let track = parse(&sdp, "rtsp://h/").tracks.remove(0);
        assert_eq!((track.media, track.payload_type), (Media::Video(codec), 96), "{lines}");
        assert!(!track.parameter_sets.is_empty(), "{lines}");
    }
    // Of several formats each has lines of its own.
    let sdp = "v=0\nm=video 0 RTP/AVP 96 98\na=rtpmap:98 H264/90000\n";
    assert_eq!(parse(sdp, "rtsp://h/").tracks[0].payload_type, 98);
}
