use super::*;
use crate::runtime;
use proptest::prelude::*;

/// A camera that answers as it is told, and a clock.
struct Camera {
    pull: Pull,
    now: Instant,
    asked: Request,
}

const PORTS: [u16; 3] = [80, 8000, 2020];
const CLOCK: &str = "<GetSystemDateAndTimeResponse/>";
const SERVICES: &str = "<Service><Namespace>http://www.onvif.org/ver10/events/wsdl</Namespace>\
    <XAddr> http://10.9.9.9:8106:8106/onvif/Events </XAddr></Service>";
const CREATED: &str = "<CreatePullPointSubscriptionResponse><SubscriptionReference>\
    <Address>http://0.0.0.0:81/onvif/Events/Pull?Idx=7&amp;x=1</Address></SubscriptionReference>\
    <CurrentTime>1970-01-01T00:10:00Z</CurrentTime><TerminationTime>1970-01-01T00:11:40Z</TerminationTime>\
    </CreatePullPointSubscriptionResponse>";
const MOTION: &str = "<PullMessagesResponse><NotificationMessage><Topic>tns1:VideoSource/MotionAlarm</Topic>\
    <Message><tt:Message PropertyOperation=\"Changed\"><Data><SimpleItem Name=\"State\" Value=\"true\"/></Data>\
    </tt:Message></Message></NotificationMessage></PullMessagesResponse>";

impl Camera {
    fn new() -> Camera {
        let credentials = Credentials { user: "admin".into(), password: "secret".into() };
        let mut pull = Pull::new(Some(credentials), PORTS.to_vec(), 7);
        let now = runtime::now();
        let asked = pull.request([1; 16], now, WallTime(0));
        Camera { pull, now, asked }
    }

    fn subscribed() -> Camera {
        let mut camera = Camera::new();
        assert_eq!(camera.says(CLOCK), Next::Ask);
        assert_eq!(camera.says(SERVICES), Next::Ask);
        assert_eq!(camera.says(CREATED), Next::Heard(Vec::new()));
        camera
    }

    fn replies(&mut self, reply: Option<(u16, &str, &[&str])>) -> Next {
        let reply = reply.map(|(status, body, challenges)| Reply {
            status,
            challenges: challenges.iter().map(|it| (*it).to_owned()).collect(),
            document: body.as_bytes().to_vec(),
        });
        let next = self.pull.answered(reply.as_ref(), self.now, WallTime(0));
        if let Next::Pause(span, _) = next {
            self.now += span;
        }
        self.asked = self.pull.request([1; 16], self.now, WallTime(0));
        next
    }

    fn says(&mut self, body: &str) -> Next {
        self.replies(Some((200, &format!("<Envelope><Body>{body}</Body></Envelope>"), &[])))
    }

    fn faults(&mut self, status: u16, words: &str) -> Next {
        let fault =
            format!("<Envelope><Body><Fault><Reason>{words}</Reason></Fault></Body></Envelope>");
        self.replies(Some((status, &fault, &[])))
    }

    /// The request that it got: port, path, and its first element.
    fn asked(&self) -> (u16, &str, &str) {
        let (_, body) = self.asked.envelope.split_once("XMLSchema\"><").unwrap();
        (self.asked.place.port, &self.asked.place.path, body.split(' ').next().unwrap())
    }
}

#[test]
fn a_subscription_is_made_pulled_and_renewed_at_four_fifths_of_its_life() {
    let mut camera = Camera::new();
    assert_eq!(camera.asked(), (80, "/onvif/device_service", "GetSystemDateAndTime"));
    camera.says(CLOCK);
    assert_eq!(camera.asked(), (80, "/onvif/device_service", "GetServices"));
    camera.says(SERVICES);
    // The port is the camera's, the host is not.
    assert_eq!(camera.asked(), (8106, "/onvif/Events", "CreatePullPointSubscription"));
    assert!(
        camera.asked.envelope.contains("<InitialTerminationTime>PT300S</InitialTerminationTime>")
    );
    camera.says(CREATED);
    assert_eq!(camera.asked(), (81, "/onvif/Events/Pull?Idx=7&x=1", "PullMessages"));
    let to = "<a:To xmlns:a=\"http://www.w3.org/2005/08/addressing\">http://0.0.0.0:81/onvif/Events/Pull?Idx=7&amp;x=1</a:To>";
    assert!(camera.asked.envelope.contains(to), "{}", camera.asked.envelope);
    let Next::Heard(notices) = camera.says(MOTION) else { panic!() };
    assert_eq!(notices.len(), 1);
    // 100 s by its own clock, which stands in 1970.
    camera.now += Duration::from_secs(79);
    camera.says("<PullMessagesResponse/>");
    assert_eq!(camera.asked().2, "PullMessages");
    camera.now += Duration::from_secs(1);
    camera.says("<PullMessagesResponse/>");
    assert_eq!(camera.asked().2, "Renew");
    camera.says("<RenewResponse><CurrentTime>x</CurrentTime></RenewResponse>");
    assert_eq!(camera.asked().2, "PullMessages");
    let end = camera.pull.end([1; 16], WallTime(0)).unwrap();
    assert!(end.envelope.contains("<Unsubscribe "));
}

#[test]
fn the_reference_a_camera_wants_back_is_sent_back() {
    let axis = "<dom0:SubscriptionId xmlns:dom0=\"http://www.axis.com/2009/event\">228</dom0:SubscriptionId>";
    // Declared at the envelope, which the request does not repeat.
    let outside = "<v:Id v:n=\"1\"><v:Part/>7</v:Id>";
    let declared = "<v:Id xmlns:v=\"urn:v\" v:n=\"1\"><v:Part xmlns:v=\"urn:v\"/>7</v:Id>";
    let long = ["<a>", &"x".repeat(limits::PULL_REFERENCE_BYTES_MAX), "</a>"].concat();
    let pieces = "<v:a/>".repeat(150);
    for (told, back) in [
        (axis, axis),
        (outside, declared),
        ("<x:Id>1</x:Id>", ""),
        ("<!DOCTYPE x><Id/>", ""),
        ("text", ""),
        ("", ""),
        (&long, ""),
        (&pieces, ""),
    ] {
        let mut camera = Camera::new();
        camera.says(CLOCK);
        camera.says(SERVICES);
        let reference = format!(
            "<wsa5:ReferenceParameters>{told}</wsa5:ReferenceParameters></SubscriptionReference>"
        );
        let created = CREATED.replace("</SubscriptionReference>", &reference);
        camera.says(&format!("<x xmlns:v=\"urn:v\">{created}</x>"));
        let header = camera.asked.envelope.split("</a:To>").nth(1).unwrap();
        assert!(header.starts_with(&format!("{back}</s:Header>")), "{header}");
    }
}

#[test]
fn a_camera_that_answers_nothing_is_asked_in_the_other_forms() {
    let mut camera = Camera::new();
    for form in [Form::Plain, Form::Named, Form::Old] {
        assert_eq!((camera.asked.form, camera.asked().0), (form, 80));
        let next = if form == Form::Old {
            camera.says(CLOCK)
        } else {
            camera.replies(Some((200, "", &[])))
        };
        assert_eq!(next, Next::Ask);
    }
    // It is remembered, and each action has its name.
    camera.says(SERVICES);
    assert_eq!((camera.asked.form, &*camera.asked.action), (Form::Old, CREATE));
    camera.says(CREATED);
    assert_eq!((camera.asked.form, &*camera.asked.action), (Form::Old, PULL));
    // Another port may be another service.
    let mut camera = Camera::new();
    for form in [Form::Plain, Form::Named, Form::Old] {
        assert_eq!((camera.asked.form, camera.asked().0), (form, 80));
        camera.replies(Some((200, "", &[])));
    }
    assert_eq!((camera.asked.form, camera.asked().0), (Form::Plain, 8000));
}

/// Forwarded as 8000, it names its ports in the network behind.
#[test]
fn a_camera_behind_a_nat_is_asked_at_the_port_that_leads_to_it() {
    let mut camera = Camera::new();
    camera.replies(None);
    camera.says(CLOCK);
    camera.says(SERVICES);
    for port in [8106, 8106, 8000] {
        assert_eq!(camera.asked(), (port, "/onvif/Events", "CreatePullPointSubscription"));
        if port != 8000 {
            assert_eq!(camera.replies(None), Next::Ask);
        }
    }
    camera.says(CREATED);
    assert_eq!(camera.asked(), (8000, "/onvif/Events/Pull?Idx=7&x=1", "PullMessages"));
}

#[test]
fn a_camera_whose_service_is_at_another_port_is_found() {
    let mut camera = Camera::new();
    assert_eq!(camera.replies(None), Next::Ask);
    assert_eq!(camera.asked().0, 8000);
    assert_eq!(camera.replies(Some((200, "<html/>", &[]))), Next::Ask, "a page is no service");
    assert_eq!(camera.asked().0, 2020);
    // A page that wants a password is no service either, and gets none.
    let next = camera.replies(Some((401, "", &["Basic realm=\"nas\""])));
    assert_eq!(next, Next::Pause(limits::PULL_PAUSE, NO_DEVICE));
    assert_eq!((camera.asked().0, camera.asked.authorization.is_none()), (80, true));
}

#[test]
fn a_wrong_password_is_sent_twice_and_then_not_for_an_hour() {
    for status in [400, 401, 500] {
        let mut camera = Camera::new();
        camera.says(CLOCK);
        let mut sent = 0;
        let next = loop {
            let has_token = camera.asked.envelope.contains("PasswordDigest");
            sent += u32::from(has_token || camera.asked.authorization.is_some());
            let challenge: &[&str] = &["Digest realm=\"r\", nonce=\"n\""];
            let fault = "<Envelope><Body><Fault>ter:NotAuthorized</Fault></Body></Envelope>";
            let challenges = if status == 401 { challenge } else { &[] };
            match camera.replies(Some((status, fault, challenges))) {
                Next::Ask => {}
                next => break next,
            }
        };
        assert_eq!(next, Next::Pause(limits::PULL_REFUSED_PAUSE, REFUSED));
        assert!((1..=2).contains(&sent), "{status}: {sent}");
    }
    let mut locked = Camera::new();
    locked.says(CLOCK);
    assert_eq!(
        locked.faults(400, "account locked"),
        Next::Pause(limits::PULL_REFUSED_PAUSE, REFUSED)
    );
}

/// Cameras with one-time nonces kept the subscription of a recorder that had gone.
#[test]
fn a_subscription_is_ended_with_a_fresh_nonce_where_the_last_is_used_up() {
    let mut camera = Camera::subscribed();
    let refused = |nonce: &str| Reply {
        status: 401,
        challenges: vec![format!("Digest realm=\"r\", nonce=\"{nonce}\"")],
        document: Vec::new(),
    };
    assert_eq!(camera.replies(Some((401, "", &["Digest realm=\"r\", nonce=\"1\""]))), Next::Ask);
    camera.says("<PullMessagesResponse/>");
    // The nonce is used up, and the pull that follows with a fresh one has no answer yet.
    assert_eq!(camera.replies(Some((401, "", &["Digest realm=\"r\", nonce=\"2\""]))), Next::Ask);
    let mut end = || camera.pull.end([1; 16], WallTime(0)).unwrap().authorization.unwrap();
    assert!(end().contains("nonce=\"2\""));
    assert!(camera.pull.ended(&refused("3")));
    let mut end = || camera.pull.end([1; 16], WallTime(0)).unwrap().authorization.unwrap();
    assert!(end().contains("nonce=\"3\""));
}

#[test]
fn refusals_between_other_faults_do_not_add_up_to_guessing() {
    // A fault after a refusal must not forget it: at most two in an hour.
    let mut camera = Camera::new();
    let mut sent = 0;
    let began = camera.now;
    while camera.now < began + Duration::from_secs(3000) {
        let has_token = camera.asked.envelope.contains("PasswordDigest");
        sent += u32::from(has_token || camera.asked.authorization.is_some());
        match camera.asked().2 {
            "GetSystemDateAndTime" => camera.says(CLOCK),
            _ if has_token => camera.faults(400, "NotAuthorized"),
            _ => camera.faults(500, "NotAuthorized"),
        };
    }
    assert!(sent <= 2, "{sent}");
}

#[test]
fn a_camera_that_closes_pulls_early_is_asked_to_wait_shorter_and_keeps_its_subscription() {
    // Tapo C220, after 10 s.
    let mut camera = Camera::subscribed();
    for wait in ["PT25S", "PT25S", "PT5S"] {
        assert!(camera.asked.envelope.contains(&format!("<Timeout>{wait}</Timeout>")), "{wait}");
        assert_eq!(camera.asked().2, "PullMessages");
        // Not at once: C530WS may have closed it at once.
        assert_eq!(camera.replies(None), Next::Heard(Vec::new()));
    }
    assert!(matches!(camera.says("<PullMessagesResponse/>"), Next::Heard(_)));
    assert!(camera.asked.envelope.contains("<Timeout>PT5S</Timeout>"), "it is remembered");
    for _ in 0..3 {
        assert_eq!(camera.replies(None), Next::Heard(Vec::new()));
    }
    assert_eq!(camera.replies(None), Next::Pause(limits::PULL_PAUSE, SILENT));
    assert!(camera.pull.end([1; 16], WallTime(0)).is_none());
}

#[test]
fn a_camera_that_does_not_renew_is_pulled_until_it_forgets_and_subscribed_to_again_at_once() {
    let mut camera = Camera::subscribed();
    camera.now += Duration::from_secs(90);
    camera.says("<PullMessagesResponse/>");
    assert_eq!(camera.asked().2, "Renew");
    assert_eq!(camera.faults(500, "ActionNotSupported"), Next::Ask);
    camera.now += Duration::from_secs(900);
    assert!(matches!(camera.says(MOTION), Next::Heard(_)));
    assert_eq!(camera.asked().2, "PullMessages");
    assert_eq!(camera.faults(500, "ResourceUnknownFault"), Next::Ask);
    assert_eq!(camera.asked().2, "GetSystemDateAndTime");
}

#[test]
fn a_camera_that_ends_its_subscriptions_gets_one_a_minute() {
    // Reolink locks accounts that subscribe in a hurry.
    let mut camera = Camera::subscribed();
    camera.now += Duration::from_secs(20);
    let left = limits::PULL_PAUSE - Duration::from_secs(20);
    assert_eq!(camera.faults(500, "ResourceUnknownFault"), Next::Pause(left, FAULT));
    for body in [CLOCK, SERVICES, CREATED] {
        camera.says(body);
    }
    assert_eq!(camera.faults(500, "ResourceUnknownFault"), Next::Pause(limits::PULL_PAUSE, FAULT));
}

#[test]
fn a_camera_without_events_or_without_room_is_asked_again_after_a_minute() {
    let mut camera = Camera::new();
    camera.says(CLOCK);
    assert_eq!(camera.says("<GetServicesResponse/>"), Next::Ask);
    assert_eq!(camera.asked().2, "GetCapabilities");
    assert_eq!(camera.faults(500, "x"), Next::Pause(limits::PULL_PAUSE, NO_SERVICE));
    camera.says(CLOCK);
    camera.faults(500, "ActionNotSupported");
    let events = "<Capabilities><Events><XAddr>http://x/e</XAddr></Events></Capabilities>";
    assert_eq!(camera.says(events), Next::Ask);
    assert_eq!(camera.asked(), (80, "/e", "CreatePullPointSubscription"));
    assert_eq!(
        camera.faults(400, "too many subscriptions"),
        Next::Pause(limits::PULL_PAUSE, FAULT)
    );
}

#[test]
fn an_address_that_is_none_leaves_the_service_to_answer() {
    for address in ["", "https://10.0.0.2/x", "urn:7", &"http://10.0.0.2/".repeat(1000)] {
        let mut camera = Camera::new();
        camera.says(CLOCK);
        camera.says(SERVICES);
        camera.says(&format!(
            "<SubscriptionReference><Address>{address}</Address></SubscriptionReference>"
        ));
        assert_eq!(camera.asked(), (8106, "/onvif/Events", "PullMessages"), "{address:.20}");
    }
}

#[test]
fn the_difference_of_two_times_is_a_life() {
    let life = |begin: &str, end: &str| {
        let times = format!(
            "<a><CurrentTime>{begin}</CurrentTime><TerminationTime>{end}</TerminationTime></a>"
        );
        answer::lifetime(times.as_bytes()).map(|it| it.as_secs())
    };
    assert_eq!(life("2026-11-30T06:01:02Z", " 2026-11-30T06:06:02.5Z "), Some(300));
    assert_eq!(life("1970-01-01T23:59:00", "1970-01-02T00:01:00"), Some(120));
    // In the past; and good ones without a beginning.
    assert_eq!(life("2026-11-30T06:01:02Z", "2026-11-30T06:00:02Z"), None);
    let good = "2026-11-30T06:01:02Z";
    for bad in ["", "T", "2026-11-30", "2026-11-30T6:1:2Z", "-T::", "2026-11-é0T06:01:02Z"] {
        assert_eq!((life(bad, good), life(good, bad)), (None, None), "{bad}");
    }
    // Then it is renewed as if it lived as long as was asked for.
    let mut camera = Camera::new();
    camera.says(CLOCK);
    camera.says(SERVICES);
    camera.says(&CREATED.replace("1970-01-01T00:11:40Z", "1969-12-31T00:00:00Z"));
    camera.now += Duration::from_secs(239);
    camera.says("<PullMessagesResponse/>");
    assert_eq!(camera.asked().2, "PullMessages");
    camera.now += Duration::from_secs(1);
    camera.says("<PullMessagesResponse/>");
    assert_eq!(camera.asked().2, "Renew");
}

proptest! {
    /// Whatever a camera answers: it gets no more than one request a second on average, apart from
    /// those that it answers at once; its password no more than twice an hour without success.
    #[test]
    fn no_camera_makes_us_hurry_or_guess(answers in proptest::collection::vec(0u8..9, 1..120)) {
        let mut camera = Camera::new();
        let (mut in_a_row, mut refused) = (0, 0);
        let mut hour = camera.now;
        for answer in answers {
            let is_dressed = camera.asked.envelope.contains("PasswordDigest") || camera.asked.authorization.is_some();
            let next = match answer {
                0 => camera.replies(None),
                1 => camera.replies(Some((200, "<html>", &[]))),
                2 => camera.faults(500, "NotAuthorized"),
                3 => camera.faults(500, "Sender"),
                4 => camera.replies(Some((401, "", &["Digest realm=\"r\", nonce=\"n\""]))),
                5 => camera.says(CLOCK),
                6 => camera.says(SERVICES),
                7 => camera.says(CREATED),
                _ => camera.says(MOTION),
            };
            if is_dressed && matches!(answer, 2 | 4) {
                if camera.now >= hour + limits::PULL_REFUSED_PAUSE {
                    (refused, hour) = (0, camera.now);
                }
                refused += 1;
            } else if is_dressed {
                refused = 0;
            }
            // A nonce that ran out may be answered once more.
            prop_assert!(refused <= 3, "{refused}");
            // Requests that come to nothing.
            in_a_row = if next == Next::Ask && answer == 0 { in_a_row + 1 } else { 0 };
            prop_assert!(in_a_row <= PORTS.len() + 4);
        }
    }
}
