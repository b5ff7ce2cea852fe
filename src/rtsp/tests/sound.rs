//! The sound track: set up where it is wanted and can be recorded, and done without where it can
//! not.

use super::*;

fn camera(tracks: Tracks, sound: &str) -> Camera {
    let sdp = format!("{H264_ONLY}{sound}a=control:sound\r\n");
    let mut camera =
        Camera::with("rtsp://h/live", SessionOptions { tracks, ..SessionOptions::new(1) });
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.reply("200 OK", "", &sdp);
    camera.expect("SETUP rtsp://h/live/trackID=0 ", &[]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera
}

const G711: &str = "m=audio 0 RTP/AVP 0\r\n";
const G726: &str = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\n";

#[test]
fn sound_has_its_own_channels() {
    let mut camera = camera(Tracks::VideoAndAudio, G711);
    camera
        .expect("SETUP rtsp://h/live/sound ", &["Transport: RTP/AVP/TCP;unicast;interleaved=2-3"]);
    camera.reply("200 OK", "", "");
    camera.expect("PLAY rtsp://h/live ", &[]);
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
    camera.block(2, b"sound");
    camera.block(3, b"report");
    let seen = [rtp(1, b"sound"), Seen::Packet(1, PacketKind::Rtcp, b"report".to_vec())];
    assert_eq!(camera.outputs(), Ok(seen.to_vec()));
    let format = camera.session.tracks()[1].audio().unwrap().format().cloned().unwrap();
    assert_eq!((format.name(), format.clock_rate()), ("G.711", 8000));
}

#[test]
fn sound_that_is_not_wanted_or_not_recorded_is_not_asked_for() {
    for (tracks, sound) in [(Tracks::Video, G711), (Tracks::VideoAndAudio, G726)] {
        let mut camera = camera(tracks, sound);
        camera.expect("PLAY", &[]);
    }
    // The first that can be recorded counts.
    let mut camera = camera(Tracks::VideoAndAudio, &format!("{G726}a=control:other\r\n{G711}"));
    camera.expect("SETUP rtsp://h/live/sound ", &[]);
}

#[test]
fn video_is_recorded_where_the_camera_refuses_its_sound() {
    let mut camera = camera(Tracks::VideoAndAudio, G711);
    camera.expect("SETUP rtsp://h/live/sound ", &[]);
    camera.reply("455 Method Not Valid in This State", "", "");
    camera.expect("PLAY", &[]);
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
    assert!(camera.session.tracks()[1].is_refused);
    assert_eq!(camera.session.tracks()[1].transport, None);
}

#[test]
fn metadata_are_set_up_last_where_they_are_wanted_and_done_without_where_they_are_refused() {
    let dialogue = |metadata: Metadata, answer: &str| {
        let options =
            SessionOptions { tracks: Tracks::VideoAndAudio, metadata, ..SessionOptions::new(1) };
        let mut camera = Camera::with("rtsp://h/live", options);
        camera.expect("OPTIONS", &[]);
        camera.reply("200 OK", "", "");
        camera.expect("DESCRIBE", &[]);
        camera.reply("200 OK", "", &format!("{METADATA}{H264_ONLY}{G711}a=control:sound\r\n"));
        camera.expect(
            "SETUP rtsp://h/live/trackID=0 ",
            &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"],
        );
        camera.reply("200 OK", "Session: 7\r\n", "");
        camera.expect(
            "SETUP rtsp://h/live/sound ",
            &["Transport: RTP/AVP/TCP;unicast;interleaved=2-3"],
        );
        camera.reply("200 OK", "", "");
        if metadata == Metadata::IfOffered {
            camera.expect(
                "SETUP rtsp://h/live/meta ",
                &["Transport: RTP/AVP/TCP;unicast;interleaved=4-5"],
            );
            camera.reply(answer, "", "");
        }
        camera.expect("PLAY rtsp://h/live ", &[]);
        camera.reply("200 OK", "", "");
        assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
        camera
    };
    let mut camera = dialogue(Metadata::IfOffered, "200 OK");
    camera.block(4, b"xml");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"xml")]));
    for refusal in ["404 Not Found", "459 Aggregate Operation Not Allowed", "500 Oops"] {
        let camera = dialogue(Metadata::IfOffered, refusal);
        assert!(camera.session.tracks()[0].is_refused);
    }
    dialogue(Metadata::No, "");
}

const METADATA: &str = "v=0\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n\
    a=control:meta\r\n";
