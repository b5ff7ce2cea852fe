use super::*;
use crate::runtime;
use proptest::prelude::*;
use std::time::Duration;

/// A document of the metadata stream with one message of this topic, operation and content.
fn document(topic: &str, operation: &str, items: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"
 xmlns:tns1="http://www.onvif.org/ver10/topics"><tt:Event><wsnt:NotificationMessage>
<wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">{topic}</wsnt:Topic>
<wsnt:Message><tt:Message UtcTime="2026-11-30T06:00:00Z" {operation}>{items}</tt:Message></wsnt:Message>
</wsnt:NotificationMessage></tt:Event></tt:MetadataStream>"#
    )
}

const CHANGED: &str = r#"PropertyOperation="Changed""#;

fn item(part: &str, name: &str, value: &str) -> String {
    format!(r#"<tt:{part}><tt:SimpleItem Name="{name}" Value="{value}"/></tt:{part}>"#)
}

fn data(name: &str, value: &str) -> String {
    item("Data", name, value)
}

/// Kind and state of the notices in a document.
fn told(document: &str) -> Vec<(&'static str, NoticeState)> {
    notices(document.as_bytes()).iter().map(|it| (it.kind.name(), it.state)).collect()
}

#[test]
fn the_topics_of_makers_are_known() {
    for (topic, name, kind) in [
        ("tns1:VideoSource/MotionAlarm", "State", "motion"),
        ("tns1:RuleEngine/CellMotionDetector/Motion", "IsMotion", "motion"),
        ("tns1:RuleEngine/MotionRegionDetector/Motion", "State", "motion"),
        ("tns1:VideoAnalytics/tnsaxis:MotionDetection", "motion", "motion"),
        ("tns1:RuleEngine/CellMotionDetector/People", "IsPeople", "person"),
        ("tns1:RuleEngine/PeopleDetector/People", "IsPeople", "person"),
        ("tns1:RuleEngine/CellMotionDetector/Tamper", "IsTamper", "tamper"),
        ("tns1:RuleEngine/CellMotionDetector/LineCross", "IsLineCross", "line"),
        ("tns1:RuleEngine/CellMotionDetector/Intrusion", "IsIntrusion", "field"),
        ("tns1:RuleEngine/CellMotionDetector/TpSmartEvent", "IsTPSmartEvent", "motion"),
        ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsVehicle", "vehicle"),
        ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsPet", "animal"),
        ("tns1:RuleEngine/FieldDetector/ObjectsInside", "IsInside", "field"),
        ("tns1:RuleEngine/MyRuleDetector/PeopleDetect", "State", "person"),
        ("tns1:RuleEngine/MyRuleDetector/VehicleDetect", "State", "vehicle"),
        ("tns1:RuleEngine/MyRuleDetector/DogCatDetect", "State", "animal"),
        ("tns1:RuleEngine/MyRuleDetector/FaceDetect", "State", "face"),
        ("tns1:RuleEngine/FaceDetector/Face", "State", "face"),
        ("tns1:RuleEngine/MyRuleDetector/Visitor", "State", "visitor"),
        ("tns1:RuleEngine/MyRuleDetector/Package", "State", "package"),
        ("tns1:UserAlarm/IVA/HumanShapeDetect", "State", "person"),
        ("tns1:Device/Trigger/DigitalInput", "LogicalState", "input"),
        ("tns1:Device/Trigger/tnshik:AlarmIn", "State", "input"),
        ("tns1:AudioAnalytics/Audio/DetectedSound", "isSoundDetected", "sound"),
        ("tnsaxis:CameraApplicationPlatform/VMD/Camera1Profile1", "active", "motion"),
        ("tns1:CameraApplicationPlatform/ObjectAnalytics/Device1Scenario1", "active", "object"),
        ("tnsaxis:CameraApplicationPlatform/FenceGuard/Camera1Profile2", "active", "line"),
        // Written otherwise.
        (" RuleEngine/CellMotionDetector/Motion/ ", "IsMotion", "motion"),
        ("tns1:RuleEngine/tns1:CellMotionDetector/tns1:Motion//.", "IsMotion", "motion"),
    ] {
        for (values, state) in [
            (&["true", "1", "True", "TRUE", " true\n", "active"][..], NoticeState::On),
            (&["false", "0", "False", "inactive", ""], NoticeState::Off),
        ] {
            for value in values {
                let document = document(topic, CHANGED, &data(name, value));
                assert_eq!(told(&document), [(kind, state)], "{topic} {name}={value}");
            }
        }
        assert!(kind.len() <= limits::MARK_WORD_BYTES_MAX);
    }
}

#[test]
fn a_notice_without_a_state_is_a_moment_and_an_object_is_there_while_it_has_a_class() {
    let crossed = "tns1:RuleEngine/LineDetector/Crossed";
    assert_eq!(
        told(&document(crossed, "", &data("ObjectId", "1"))),
        [("line", NoticeState::Moment)]
    );
    let object = "tns1:RuleEngine/ObjectDetection/Object";
    for (classes, state) in [("Human Vehicle", NoticeState::On), ("", NoticeState::Off)] {
        let document = document(object, CHANGED, &data("ClassTypes", classes));
        assert_eq!(told(&document), [("object", state)]);
    }
}

#[test]
fn a_message_without_a_word_says_that_nothing_moves_any_more() {
    // asecam; and what is deleted is over, whatever its last value was.
    let asecam = "<e><NotificationMessage><Topic>tns1:VideoSource/MotionAlarm</Topic></NotificationMessage></e>";
    assert_eq!(told(asecam), [("motion", NoticeState::Off)]);
    let deleted = r#"PropertyOperation="Deleted""#;
    let document = document("tns1:VideoSource/MotionAlarm", deleted, &data("State", "true"));
    assert_eq!(told(&document), [("motion", NoticeState::Off)]);
}

#[test]
fn topics_of_no_detector_and_values_of_no_state_say_nothing() {
    for topic in [
        "tns1:Monitoring/ProcessorUsage",
        "tns1:Device/Trigger/Relay",
        "tns1:VideoSource/ImageTooBlurry/ImagingService",
        "",
        "///",
    ] {
        assert_eq!(told(&document(topic, CHANGED, &data("State", "true"))), [], "{topic}");
    }
    // Not a word is read out of the source, or of a frame of analytics.
    let motion = "tns1:VideoSource/MotionAlarm";
    let source = item("Source", "State", "true");
    assert_eq!(told(&document(motion, CHANGED, &source)), [("motion", NoticeState::Off)]);
    let frame = "<MetadataStream><VideoAnalytics><Frame UtcTime=\"t\"><Object ObjectId=\"1\"/></Frame></VideoAnalytics></MetadataStream>";
    assert_eq!(told(frame), []);
}

#[test]
fn an_answer_to_pull_messages_holds_several_notices_and_a_cut_one_those_that_are_whole() {
    let one = document("tns1:VideoSource/MotionAlarm", CHANGED, &data("State", "true"));
    let message = &one[one.find("<wsnt:Not").unwrap()..one.find("</tt:Event>").unwrap()];
    let answer = format!(
        "<s:Envelope><s:Body><tev:PullMessagesResponse><tev:CurrentTime>x</tev:CurrentTime>{}",
        message.repeat(50)
    );
    assert_eq!(notices(answer.as_bytes()).len(), limits::NOTICES_MAX);
    let cut = &answer[..answer.rfind("<wsnt:Message>").unwrap() - 48 * message.len()];
    assert_eq!(told(cut), [("motion", NoticeState::On)]);
}

/// A camera that is listened to.
struct Watched {
    course: Ongoing,
    now: Instant,
}

impl Watched {
    fn new() -> Watched {
        Watched { course: Ongoing::default(), now: runtime::now() }
    }

    fn hears(&mut self, source: &str, operation: &str, value: &str) -> bool {
        let items = item("Source", "Rule", source) + &data("State", value);
        let operation = format!("PropertyOperation=\"{operation}\"");
        let document = document("tns1:VideoSource/MotionAlarm", &operation, &items);
        let [notice] = notices(document.as_bytes())[..] else { panic!("{document}") };
        self.course.take(notice, self.now)
    }

    /// Whether something goes on after so many seconds.
    fn goes_on(&mut self, seconds: u64) -> bool {
        self.now += Duration::from_secs(seconds);
        let mut goes_on = false;
        self.course.going_on(self.now, &mut |kind| goes_on |= kind.name() == "motion");
        goes_on
    }
}

#[test]
fn motion_goes_on_from_true_to_false() {
    let mut camera = Watched::new();
    assert!(!camera.hears("a", "Initialized", "false"), "nothing happened");
    assert!(camera.hears("a", "Changed", "true"));
    assert!(camera.goes_on(20));
    assert!(camera.hears("a", "Changed", "false"), "it went on until now");
    assert!(!camera.goes_on(0));
    assert!(!camera.hears("a", "Changed", "false"));
}

#[test]
fn a_state_from_before_we_listened_is_no_event() {
    let mut camera = Watched::new();
    assert!(!camera.hears("a", "Initialized", "true"));
    assert!(!camera.goes_on(0));
    // What goes on is confirmed by it, and ended.
    assert!(camera.hears("a", "Changed", "true"));
    assert!(camera.goes_on(20));
    assert!(camera.hears("a", "Initialized", "true"));
    assert!(camera.goes_on(20));
    assert!(camera.hears("a", "Initialized", "false"));
    assert!(!camera.goes_on(0));
}

#[test]
fn tapo_c210_calls_every_change_initialized() {
    let mut camera = Watched::new();
    assert!(!camera.hears("a", "Initialized", "false"));
    for _ in 0..2 {
        assert!(camera.hears("a", "Initialized", "true"));
        assert!(camera.hears("a", "Initialized", "true"), "it comes in bursts");
        assert!(camera.goes_on(5));
        assert!(camera.hears("a", "Initialized", "false"));
        assert!(!camera.goes_on(0));
    }
    // Of another rule it is not known since when.
    assert!(!camera.hears("b", "Initialized", "true"));
    // Nor after a time in which nobody listened.
    camera.course.clear();
    assert!(!camera.hears("a", "Initialized", "true"));
}

#[test]
fn a_camera_that_never_tells_the_end_has_motion_for_half_a_minute() {
    let mut camera = Watched::new();
    camera.hears("a", "Initialized", "false");
    for _ in 0..3 {
        assert!(camera.hears("a", "Changed", "true"));
        assert!(camera.goes_on(29));
        assert!(!camera.goes_on(1));
    }
    // One that does is believed for longer, but not for ever: the end may be lost.
    camera.hears("a", "Changed", "false");
    assert!(camera.hears("a", "Changed", "true"));
    assert!(camera.goes_on(599));
    assert!(!camera.goes_on(1));
}

#[test]
fn of_two_rules_one_may_end_before_the_other() {
    let mut camera = Watched::new();
    camera.hears("a", "Changed", "true");
    camera.hears("b", "Changed", "true");
    camera.hears("a", "Changed", "false");
    assert!(camera.goes_on(0));
    camera.hears("b", "Changed", "false");
    assert!(!camera.goes_on(0));
}

proptest! {
    /// No camera makes us remember more than that, and whatever it said, silence ends it.
    #[test]
    fn events_are_bounded_and_end(said in proptest::collection::vec((0u8..13, 0u32..64, 0u8..3, any::<bool>()), 0..200)) {
        let mut course = Ongoing::default();
        let now = runtime::now();
        for (kind, source, state, is_before) in said {
            let state = [NoticeState::On, NoticeState::Off, NoticeState::Moment][usize::from(state)];
            course.take(Notice { kind: NoticeKind(kind), source, state, is_before }, now);
        }
        let mut count = 0;
        course.going_on(now, &mut |_| count += 1);
        prop_assert!(count <= limits::NOTICES_MAX);
        course.going_on(now + limits::NOTICE_ON_MAX, &mut |_| panic!("it goes on"));
    }
}
