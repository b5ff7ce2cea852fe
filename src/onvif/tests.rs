//! Answers as makers' devices give them, one deviation a file in `tests/answers`.

use super::{
    answer::{self, Profile, Services},
    ladder::{Dress, Ladder},
    place::HostlessUrl,
    probe::{self, Device, ProbeKind, SCHEDULE},
    soap::{self, AnswerKind, Form, Token},
};
use crate::{http::url::Credentials, units::WallTime};
use std::{collections::BTreeSet, fs, net::IpAddr, path::PathBuf};

const ID: &str = "12345678-9abc-4def-8123-456789abcdef";
const SENDER: &str = "192.168.1.20";

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/onvif/tests/answers"].iter().collect()
}

fn file(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.xml"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn devices(name: &str) -> Vec<Device> {
    probe::matches(&file(name), SENDER.parse().unwrap(), &[ID.to_owned()])
}

fn place(port: u16, path: &str) -> HostlessUrl {
    HostlessUrl { port, path: path.to_owned() }
}

const MATCHES: &[(&str, Option<(u16, &str)>)] = &[
    ("all-zero-address", Some((8080, "/onvif/device_service"))),
    ("second-interface-first", Some((8000, "/onvif/device_service"))),
    ("loopback-address", Some((80, "/onvif/device_service"))),
    ("ipv6-and-https", Some((80, "/onvif/device_service"))),
    ("doubled-port", Some((8106, "/onvif/device_service"))),
    ("no-addresses", None),
    ("line-breaks", Some((80, "/onvif/device_service"))),
    ("device-type-only", Some((2020, "/onvif/device_service"))),
    ("id-without-urn", Some((80, "/onvif/device_service"))),
    ("without-wrapper", Some((80, "/onvif/device_service"))),
    ("default-namespace", Some((80, "/onvif/device_service"))),
    ("not-utf-8", Some((80, "/onvif/device_service"))),
    ("cut", Some((80, "/onvif/device_service"))),
];

#[test]
fn a_camera_is_found_however_it_answers_a_probe() {
    for (name, service) in MATCHES {
        let found = devices(&format!("match-{name}"));
        let [device] = &found[..] else { panic!("{name}: {found:?}") };
        assert_eq!((&*device.name, &*device.model), ("IPC G6", "HI3516"), "{name}");
        let service = service.map(|(port, path)| place(port, path));
        assert_eq!(device.service, service, "{name}");
    }
    let [device] = &devices("match-no-scopes")[..] else { panic!() };
    assert_eq!((&*device.name, device.service.is_some()), ("", true));
    let [device] = &devices("match-second-interface-first")[..] else { panic!() };
    assert!(device.addresses.len() == 2 && device.addresses.contains(&SENDER.parse().unwrap()));
    let two = devices("match-two-cameras");
    let ports = two.iter().map(|device| device.service.as_ref().unwrap().port);
    assert_eq!(ports.collect::<Vec<_>>(), [8001, 8002]);
    // It is a text, and the page shows it as one.
    assert_eq!(devices("match-markup-in-name")[0].name, "<script>alert(1)</script>");
}

#[test]
fn devices_other_than_cameras_and_answers_to_others_are_left_out() {
    for name in ["printer", "other-question", "doctype", "hikvision-fault"] {
        assert_eq!(devices(&format!("match-{name}")), [], "{name}");
    }
    assert_eq!(probe::matches(b"lollipop", SENDER.parse().unwrap(), &[ID.to_owned()]), []);
    assert_eq!(probe::matches(&file("match-cut"), SENDER.parse().unwrap(), &[]), []);
}

#[test]
fn probes_are_in_one_line_and_have_every_kind_of_type_three_times() {
    let id = probe::uuid([0xff; 16]);
    assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    for kind in [ProbeKind::Transmitter, ProbeKind::Device, ProbeKind::Anything] {
        let text = String::from_utf8(kind.datagram(&id)).unwrap();
        assert!(!text.contains('\n') && text.contains("<d:Scopes/>"), "{text}");
        assert!(text.contains(&format!("<a:MessageID>urn:uuid:{id}</a:MessageID>")), "{text}");
        // Each prefix that is used is declared.
        for prefix in ["s", "a", "d", "dn", "tds"] {
            assert!(text.contains(&format!("xmlns:{prefix}=")), "{prefix}");
        }
        assert_eq!(SCHEDULE.iter().filter(|(_, other)| *other == kind).count(), 3);
    }
    assert!(SCHEDULE.is_sorted_by_key(|(at, _)| at));
}

#[test]
fn only_an_answer_to_our_question_over_mdns_counts() {
    let question = ProbeKind::Mdns.datagram("");
    assert_eq!(&question[12..], b"\x07openipc\x05local\0\0\x01\x80\x01");
    assert!(!probe::is_mdns_answer(&question));
    let mut answer = question;
    (answer[2], answer[7]) = (0x84, 1);
    assert!(probe::is_mdns_answer(&answer));
    for (at, value) in [(0, b'x'), (2, 0), (3, 3), (7, 0)] {
        let mut other = answer.clone();
        other[at] = value;
        assert!(!probe::is_mdns_answer(&other), "{at}");
    }
    assert!(!probe::is_mdns_answer(&answer[..7]));
}

#[test]
fn a_clock_is_read_or_ours_is_used() {
    let time = Some(WallTime(1_284_623_445_000));
    for (name, read) in [
        ("clock", time),
        ("clock-leading-zeros-and-blanks", time),
        ("clock-of-zeros", None),
        ("clock-local-only", None),
        ("clock-month-13", None),
        ("not-soap", None),
    ] {
        assert_eq!(answer::clock(&file(name)), read, "{name}");
    }
}

#[test]
fn the_media_services_are_told_by_services_or_capabilities() {
    let services = |media: Option<&str>, media2: Option<&str>| Services {
        media: media.map(|path| format!("http://192.168.1.20{path}")),
        media2: media2.map(|path| format!("http://192.168.1.20{path}")),
        events: None,
    };
    for (name, read) in [
        ("services", services(Some("/onvif/Media"), Some("/onvif/Media2"))),
        ("services-media2-only", services(None, Some("/onvif/Media2"))),
        ("capabilities", services(Some("/onvif/Media"), None)),
        ("fault-action-not-supported", Services::default()),
    ] {
        assert_eq!(answer::services(&file(name)), read, "{name}");
    }
}

#[test]
fn the_largest_profile_is_recorded_and_the_smallest_of_h264_shown_live() {
    for (name, main, small) in [
        ("media1", Some("main"), Some("sub")),
        ("media2-h265", Some("main"), Some("sub")),
        ("without-encoder", Some("a"), None),
        ("one-only", Some("main"), None),
        ("token-with-markup", Some("a&<b>"), None),
        ("of-a-recorder", Some("ch0"), Some("ch1")),
        ("two-lenses", Some("wide"), Some("wide-small")),
        ("two-lenses-media2", Some("wide"), Some("wide-small")),
        ("cut", Some("main"), None),
    ] {
        let profiles = answer::profiles(&file(&format!("profiles-{name}")));
        assert!(profiles.len() <= 16, "{name}");
        let choice = answer::choice(&profiles);
        assert_eq!(choice.map(|(main, _)| &*main.token), main, "{name}");
        assert_eq!(choice.and_then(|(_, small)| small).map(|it| &*it.token), small, "{name}");
    }
    assert_eq!(answer::choice(&answer::profiles(&file("not-soap"))), None);
    let large = Profile {
        token: "main".into(),
        name: "large".into(),
        codec: "H265".into(),
        width: 3840,
        height: 2160,
        fps: 25,
        kbit_s: 6144,
        source: String::new(),
    };
    assert_eq!(answer::profiles(&file("profiles-media2-h265"))[0], large);
}

#[test]
fn the_host_in_a_streams_address_is_ignored() {
    for (name, url) in [
        ("escaped", Some("rtsp://HOST/cam/realmonitor?channel=1&subtype=0&unicast=true")),
        ("bare-ampersands", Some("rtsp://HOST/user=admin&password=&channel=1&stream=0.sdp")),
        ("blanks-around", Some("rtsp://HOST/stream=0")),
        ("cdata", Some("rtsp://HOST/live?a=1&b=2")),
        ("wrong-host", Some("rtsp://HOST:8554/tapo_sub")),
        ("with-credentials", Some("rtsp://HOST:10554/h264")),
        ("without-path", Some("rtsp://HOST/")),
        ("media2", Some("rtsp://HOST/media/2")),
        ("blank-inside", Some("rtsp://HOST/my%20stream")),
        ("port-0", Some("rtsp://HOST/live/ch0")),
        ("http", None),
    ] {
        let uri = answer::uri(&file(&format!("uri-{name}"))).unwrap();
        let place = HostlessUrl::parse(&uri, "rtsp", 554);
        let read = place.map(|(_, place)| place.at("HOST", "rtsp", 554));
        assert_eq!(read.as_deref(), url, "{name}");
    }
    let (host, at) = HostlessUrl::parse("HTTP://[fe80::1]:81?x", "http", 80).unwrap();
    assert_eq!((host, at.at("fd00::2", "http", 80)), ("fe80::1", "http://[fd00::2]:81/?x".into()));
    for url in ["http://a:70000/", "http://a:x/", "a/b", "", "rtsp://a"] {
        assert_eq!(HostlessUrl::parse(url, "http", 80), None, "{url}");
    }
}

#[test]
fn a_refusal_is_known_whatever_its_status() {
    for (name, status, kind) in [
        ("fault-not-authorized", 400, AnswerKind::Refusal),
        ("fault-not-authorized", 200, AnswerKind::Refusal),
        ("fault-in-words-only", 500, AnswerKind::Refusal),
        ("fault-dahua-attempts", 400, AnswerKind::Refusal),
        ("fault-vivotek-header", 400, AnswerKind::Refusal),
        ("fault-time-check", 500, AnswerKind::Refusal),
        ("fault-failed-authentication", 500, AnswerKind::Refusal),
        ("fault-soap-1.1", 500, AnswerKind::Refusal),
        ("fault-action-not-supported", 500, AnswerKind::Fault),
        ("fault-locked", 401, AnswerKind::Locked),
        ("not-soap", 401, AnswerKind::Refusal),
        ("not-soap", 403, AnswerKind::Refusal),
        ("not-soap", 404, AnswerKind::Strange),
        ("not-soap", 200, AnswerKind::Strange),
        ("clock", 200, AnswerKind::Answer),
        ("profiles-cut", 200, AnswerKind::Answer),
    ] {
        assert_eq!(soap::kind(status, &file(name)), kind, "{name} {status}");
    }
}

#[test]
fn a_camera_is_asked_in_another_form_only_where_the_first_comes_to_nothing() {
    use Form::{Named, Old, Plain};
    let mismatch = file("fault-version-mismatch");
    for (form, status, document, next) in [
        (Plain, 200, &b""[..], Some(Named)),
        (Plain, 500, b"", Some(Named)),
        (Named, 200, b"", Some(Old)),
        (Old, 200, b"", None),
        (Plain, 500, &mismatch, Some(Old)),
        (Named, 400, &mismatch, Some(Old)),
        (Old, 500, &mismatch, None),
        (Plain, 415, b"<html></html>", Some(Old)),
        (Plain, 401, b"", None),
        (Plain, 302, b"", None),
        (Plain, 404, b"", None),
        (Plain, 200, b"<html></html>", None),
        (Named, 200, &file("clock"), None),
    ] {
        assert_eq!(form.next(status, document), next, "{form:?} {status}");
    }
    let envelope = soap::envelope("", "<x/>", None);
    let old = soap::post("/", "h", None, &envelope, (Old, "a/b"));
    assert!(
        old.contains("Content-Type: text/xml; charset=utf-8\r\nSOAPAction: \"a/b\"\r\n"),
        "{old}"
    );
    assert!(
        old.contains("<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body"),
        "{old}"
    );
    let (head, body) = old.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
}

#[test]
fn every_answer_in_the_folder_is_used_and_harmless_when_cut() {
    let source = include_str!("tests.rs");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".xml").unwrap().to_owned();
        let (_, rest) = name.split_once('-').unwrap_or(("", &name));
        assert!(source.contains(&format!("{rest}\"")), "{name} is in no test");
        let document = file(&name);
        let sender: IpAddr = SENDER.parse().unwrap();
        for end in (0..document.len()).step_by(document.len() / 100 + 1) {
            let cut = &document[..end];
            probe::matches(cut, sender, &[ID.to_owned()]);
            answer::clock(cut);
            answer::services(cut);
            answer::choice(&answer::profiles(cut));
            answer::uri(cut);
            soap::kind(200, cut);
        }
        names.insert(name);
    }
    assert!(names.len() > 50, "{names:?}");
}

#[test]
fn a_document_may_be_written_in_utf_16() {
    let plain = String::from_utf8(file("profiles-media2-h265")).unwrap();
    let expected = answer::profiles(plain.as_bytes());
    for mark in ["", "\u{feff}"] {
        let units: Vec<u16> = [mark, &plain].concat().encode_utf16().collect();
        let pairs: [Vec<u8>; 2] = [
            units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        ];
        for document in pairs {
            assert_eq!(answer::profiles(&document), expected);
            // Cut within a character, too.
            assert_eq!(answer::profiles(&document[..document.len() - 1]), expected);
        }
        let utf_8 = [mark, &plain].concat();
        assert_eq!(answer::profiles(utf_8.as_bytes()), expected);
    }
}

/// The example of ONVIF's Application Programmer's Guide.
#[test]
fn a_token_is_that_of_the_guide() {
    let credentials = Credentials { user: "us<er".into(), password: "userpassword".into() };
    let nonce = [
        0x2c, 0xaa, 0x88, 0xe8, 0x6f, 0xc0, 0x8a, 0x42, 0x82, 0x42, 0xb3, 0x74, 0xce, 0xa6, 0x45,
        0x96,
    ];
    let created = WallTime(1_284_623_445_000);
    let token = Token { credentials: &credentials, nonce, created };
    let text = soap::envelope("", "<x/>", Some(&token));
    assert!(text.contains(">LKqI6G/AikKCQrN0zqZFlg==</o:Nonce>"), "{text}");
    assert!(text.contains("<u:Created>2010-09-16T07:50:45Z</u:Created>"), "{text}");
    assert!(text.contains("#PasswordDigest\">tuOSpGlFlIXsozq4HFNeeGeFLEI=</o:Password>"), "{text}");
    assert!(text.contains("<o:Username>us&lt;er</o:Username>") && !text.contains('\n'), "{text}");
}

const NONE: &[&str] = &[];
const DIGEST: &[&str] = &["Digest realm=\"r\", nonce=\"1\", qop=\"auth\""];
const DIGEST_2: &[&str] = &["Digest realm=\"r\", nonce=\"2\", qop=\"auth\""];
const STALE: &[&str] = &["Digest realm=\"r\", nonce=\"3\", qop=\"auth\", stale=true"];

fn ladder() -> Ladder {
    let credentials = Credentials { user: "admin".into(), password: "secret".into() };
    Ladder::new(Some(credentials), 1)
}

fn refused(ladder: &mut Ladder, challenges: &[&str]) -> bool {
    let challenges: Vec<String> = challenges.iter().map(|&it| it.to_owned()).collect();
    ladder.refused(&challenges)
}

/// The way of the next request: nothing, `http`, or a token and the clock it goes by.
fn way(ladder: &mut Ladder) -> String {
    let Dress { authorization, token } = ladder.dress("/", [0; 16], WallTime(1_000_000));
    match (authorization, token) {
        (None, None) => "nothing".into(),
        (Some(_), None) => "http".into(),
        (None, Some(token)) => format!("token {}", token.created.0 / 1000),
        (Some(_), Some(_)) => panic!("both at once"),
    }
}

#[test]
fn a_wrong_password_is_tried_twice_and_then_there_is_silence() {
    for (challenges, ways) in
        [(DIGEST, ["http", "token 1000"]), (NONE, ["token 1060", "token 1000"])]
    {
        let mut ladder = ladder();
        ladder.set_offset_ms(if challenges == NONE { 60_000 } else { 0 });
        assert_eq!(way(&mut ladder), "nothing");
        assert!(refused(&mut ladder, challenges));
        assert_eq!(way(&mut ladder), ways[0]);
        assert!(refused(&mut ladder, challenges));
        assert_eq!(way(&mut ladder), ways[1]);
        assert!(!refused(&mut ladder, challenges));
        assert!(ladder.is_over() && ladder.was_refused());
        assert_eq!(ladder.refusals(), 2);
    }
}

#[test]
fn a_token_that_is_refused_is_followed_by_digest_only_if_that_is_offered() {
    let mut one = ladder();
    assert!(refused(&mut one, NONE) && refused(&mut one, DIGEST));
    assert_eq!(way(&mut one), "http");
    // No other way is left, and the clocks agree: it is the password.
    let mut other = ladder();
    assert!(refused(&mut other, NONE));
    assert!(!refused(&mut other, NONE));
    assert!(other.is_over());
    assert_eq!(other.refusals(), 1);
}

#[test]
fn without_credentials_nothing_is_tried_and_a_locked_account_is_left_alone() {
    let mut nobody = Ladder::new(None, 1);
    assert!(!refused(&mut nobody, DIGEST));
    assert!(nobody.is_over() && nobody.was_refused());
    assert_eq!(nobody.refusals(), 0);
    let mut locked = ladder();
    locked.locked();
    assert!(locked.is_over() && locked.is_locked());
}

#[test]
fn a_nonce_that_is_used_up_is_no_refusal() {
    let mut ladder = ladder();
    assert!(refused(&mut ladder, DIGEST) && refused(&mut ladder, STALE));
    ladder.accepted();
    // Some cameras take each nonce once, and do not say that it is stale.
    for _ in 0..20 {
        assert!(refused(&mut ladder, DIGEST));
        ladder.accepted();
        assert!(refused(&mut ladder, DIGEST_2));
        ladder.accepted();
    }
    assert_eq!(ladder.refusals(), 0);
    // Two in a row are one.
    assert!(refused(&mut ladder, DIGEST) && !refused(&mut ladder, DIGEST_2));
    assert_eq!(ladder.refusals(), 1);
}

#[test]
fn a_nonce_that_is_forbidden_is_followed_by_a_request_without_one() {
    let mut ladder = ladder();
    assert!(refused(&mut ladder, DIGEST));
    ladder.accepted();
    for _ in 0..3 {
        // 403, without a challenge.
        assert!(refused(&mut ladder, NONE));
        assert_eq!(way(&mut ladder), "nothing");
        assert!(refused(&mut ladder, DIGEST_2));
        assert_eq!(way(&mut ladder), "http");
        ladder.accepted();
    }
    assert_eq!(ladder.refusals(), 0);
    // Forbidden to this user: no third time.
    assert!(refused(&mut ladder, NONE) && refused(&mut ladder, DIGEST));
    assert!(!refused(&mut ladder, NONE));
    assert_eq!((ladder.refusals(), ladder.is_over()), (1, false));
    ladder.accepted();
    // Nor a token in its place.
    assert!(refused(&mut ladder, NONE) && !refused(&mut ladder, NONE));
    assert_eq!(way(&mut ladder), "http");
}

#[test]
fn a_request_forbidden_to_the_user_does_not_make_the_password_wrong() {
    let mut ladder = ladder();
    assert!(refused(&mut ladder, NONE));
    ladder.accepted();
    assert!(!refused(&mut ladder, NONE));
    assert!(!ladder.is_over());
    assert!(way(&mut ladder).starts_with("token"));
    assert!(!refused(&mut ladder, NONE));
    assert!(ladder.is_over());
}
