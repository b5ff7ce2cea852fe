//! The orderly end.

use super::*;

#[test]
fn teardown_before_setup_closes_at_once() {
    let mut camera = Camera::new("rtsp://h/");
    camera.expect("OPTIONS", &[]);
    camera.session.teardown(camera.now);
    assert_eq!(camera.outputs(), Ok(vec![Seen::Closed]));
    assert_eq!(camera.outputs(), Ok(vec![]));
}

#[test]
fn teardown_without_an_answer_ends_all_the_same() {
    let mut camera = Camera::playing("", H264_ONLY);
    camera.session.teardown(camera.now);
    camera.session.teardown(camera.now);
    camera.expect("TEARDOWN", &[]);
    assert_eq!(camera.wait(), Ok(limits::TEARDOWN_TIMEOUT));
    assert_eq!(camera.outputs(), Ok(vec![Seen::Closed]));
}

#[test]
fn teardown_that_is_refused_ends_all_the_same() {
    for (status, fields) in [("454 Session Not Found", ""), ("401 Unauthorized", CHALLENGE)] {
        let mut camera = Camera::playing("", H264_ONLY);
        camera.session.teardown(camera.now);
        camera.expect("TEARDOWN", &[]);
        camera.reply(status, fields, "");
        assert_eq!(camera.outputs(), Ok(vec![Seen::Closed]));
    }
}
