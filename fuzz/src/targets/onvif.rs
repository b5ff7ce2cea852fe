//! A camera's answers to requests about events, each behind a byte for its status: what they say,
//! and what is asked next.

use crate::source::Source;
use smolnvr::{
    http::url::Credentials,
    limits,
    onvif::{
        notice::{Ongoing, notices},
        pull::{Next, Pull, Reply},
        soap,
    },
    runtime,
    storage::marks::Word,
    units::WallTime,
};
use std::time::Duration;

pub const WORDS: &[&str] = &[
    "<Envelope>",
    "<Fault>NotAuthorized</Fault>",
    "<Service><Namespace>http://www.onvif.org/ver10/events/wsdl</Namespace><XAddr>http://a:1/b</XAddr></Service>",
    "<SubscriptionReference><Address>http://a/b</Address></SubscriptionReference>",
    "<ReferenceParameters><a:b xmlns:a=\"c\">1</a:b></ReferenceParameters>",
    "<CurrentTime>2026-11-30T06:00:00Z</CurrentTime>",
    "<TerminationTime>2026-11-30T06:01:00Z</TerminationTime>",
    "<NotificationMessage>",
    "</NotificationMessage>",
    "<Topic>tns1:VideoSource/MotionAlarm</Topic>",
    "<Topic>tns1:RuleEngine/LineDetector/Crossed</Topic>",
    "<Message><Message PropertyOperation=\"Changed\">",
    "<Message><Message PropertyOperation=\"Initialized\">",
    "<Source><SimpleItem Name=\"Rule\" Value=\"1\"/></Source>",
    "<Data><SimpleItem Name=\"State\" Value=\"true\"/></Data>",
    "<Data><SimpleItem Name=\"IsPeople\" Value=\"false\"/></Data>",
    "</Message></Message>",
];

pub fn onvif(data: &[u8]) {
    let mut source = Source::new(data);
    let credentials = Credentials { user: "admin".into(), password: "secret".into() };
    let mut pull = Pull::new(Some(credentials), vec![80, 8000], 7);
    let mut course = Ongoing::default();
    let mut now = runtime::now();
    let begin = now;
    let mut subscribed = 0;
    while !source.is_empty() {
        let request = pull.request([1; 16], now, WallTime(0));
        subscribed += u32::from(request.action.ends_with("CreatePullPointSubscriptionRequest"));
        // Each may be refused twice and broken off once.
        assert!(subscribed <= 4 * (1 + (now - begin).div_duration_f64(limits::PULL_PAUSE) as u32));
        assert!(request.place.path.starts_with('/') && request.place.port > 0);
        assert!(!request.place.path.contains(char::is_whitespace));
        assert!(soap::is_soap(request.envelope.as_bytes()), "{}", request.envelope);
        assert!(request.patience <= limits::PULL_WAIT + limits::FIND_REQUEST_TIMEOUT);
        let status = [200, 200, 200, 500, 400, 401][source.below(6)];
        let challenge = "Digest realm=\"r\", nonce=\"n\"".to_owned();
        let challenges = if status == 401 { vec![challenge] } else { Vec::new() };
        let document = source.piece().to_vec();
        let found = notices(&document);
        assert!(found.len() <= limits::NOTICES_MAX);
        let reply = Reply { status, challenges, document };
        match pull.answered(Some(&reply), now, WallTime(0)) {
            Next::Ask => {}
            Next::Heard(heard) => assert!(heard.is_empty() || heard == found),
            Next::Pause(span, reason) => {
                assert!(!span.is_zero() && !reason.is_empty());
                now += span;
            }
        }
        for notice in found {
            assert!(Word::new(notice.kind.name()).is_some());
            course.take(notice, now);
        }
        let mut count = 0;
        course.going_on(now, &mut |_| count += 1);
        assert!(count <= limits::NOTICES_MAX);
        now += Duration::from_secs(1);
    }
}
