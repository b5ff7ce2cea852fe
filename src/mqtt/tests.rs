use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn now() -> Instant {
    crate::runtime::now()
}

const LOGIN: Login<'_> =
    Login { client_id: "me", user_and_password: Some(("u", "p")), will: ("t", "gone") };

/// What arrived, in words.
fn fed(client: &mut Client, bytes: &[u8]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    client.handle_bytes(bytes, &mut |event| all.push(format!("{event:?}")))?;
    Ok(all)
}

fn open() -> Client {
    let mut client = Client::new(&LOGIN, now());
    assert_eq!(fed(&mut client, &[0x20, 2, 0, 0]).unwrap(), ["Open"]);
    client.out.clear();
    client
}

fn message(topic: &str, payload: &[u8], flags: u8) -> Vec<u8> {
    let mut head = Vec::new();
    text(&mut head, topic);
    if flags & 2 != 0 {
        head.extend_from_slice(&[1, 2]);
    }
    let mut out = Vec::new();
    packet(&mut out, PUBLISH | flags, &[&head, payload]);
    out
}

#[test]
fn a_client_introduces_itself_with_its_will() {
    let client = Client::new(&LOGIN, now());
    let expected =
        b"\x10\x1d\x00\x04MQTT\x04\xe6\x00\x3c\x00\x02me\x00\x01t\x00\x04gone\x00\x01u\x00\x01p";
    assert_eq!(client.out, expected);
    let login = Login { user_and_password: None, ..LOGIN };
    assert_eq!(Client::new(&login, now()).out[9], 0x26);
}

#[test]
fn only_a_connack_opens_a_connection() {
    assert_eq!(fed(&mut Client::new(&LOGIN, now()), &[0x20, 2, 0, 5]), Err(Error::Refused(5)));
    // MQTT 5.0 §3.2: unsupported protocol version.
    let refused = fed(&mut Client::new(&LOGIN, now()), &[0x20, 3, 0, 0x84, 0]).unwrap_err();
    assert_eq!(refused.to_string(), "it does not speak MQTT 3.1.1");
    for nonsense in [&[0x20, 0][..], &[0x20, 1, 0], &[0x20, 3, 0, 0, 0]] {
        assert_eq!(fed(&mut Client::new(&LOGIN, now()), nonsense), Err(Error::NotMqtt));
    }
    for nonsense in
        [&b"HTTP/1.1 400 Bad Request\r\n"[..], &[0xd0, 0], &[0x30, 3, 0, 1, b't'], &[0, 0]]
    {
        assert_eq!(fed(&mut Client::new(&LOGIN, now()), nonsense), Err(Error::NotMqtt));
    }
    // As ACTIVEMQ and SSH begin.
    for nonsense in [&b"\0\0\x01\x3f\x01ActiveMQ"[..], b"SSH-2.0-dropbear\r\n"] {
        assert_eq!(fed(&mut Client::new(&LOGIN, now()), nonsense), Err(Error::NotMqtt));
    }
    assert_eq!(fed(&mut open(), &[0x20, 2, 0, 0]), Err(Error::NotMqtt), "a second one");
}

#[test]
fn a_message_that_was_kept_for_us_is_told_apart() {
    let mut client = open();
    let [new, old] = [message("a/set", b"ON", 0), message("a/set", b"OFF", 1)];
    let told = fed(&mut client, &[new, old].concat()).unwrap();
    assert!(
        told[0].ends_with("retained: false }") && told[1].ends_with("retained: true }"),
        "{told:?}"
    );
    assert!(client.out.is_empty());
}

#[test]
fn a_message_with_a_receipt_gets_one_although_we_asked_for_none() {
    let mut client = open();
    assert_eq!(fed(&mut client, &message("t", b"x", 2)).unwrap().len(), 1);
    assert_eq!(client.out, [0x40, 2, 1, 2]);
    assert_eq!(fed(&mut client, &message("t", b"x", 4)), Err(Error::NotMqtt), "exactly once");
    assert_eq!(fed(&mut open(), &[0x30, 2, 0, 9]), Err(Error::NotMqtt), "a topic without its end");
    assert_eq!(fed(&mut open(), &[0x30, 3, 0, 1, 0xff]), Err(Error::NotMqtt), "no UTF-8");
}

#[test]
fn a_message_that_is_too_long_is_skipped_and_what_follows_is_heard() {
    for length in [MQTT_PACKET_BYTES_MAX - 6, MQTT_PACKET_BYTES_MAX, 70_000, 3_000_000] {
        let mut client = open();
        let bytes = [message("t", &vec![b'x'; length], 1), message("t", b"short", 0)].concat();
        let mut told = Vec::new();
        for piece in bytes.chunks(1000) {
            told.extend(fed(&mut client, piece).unwrap());
            assert!(client.input.len() <= MQTT_PACKET_BYTES_MAX);
        }
        assert_eq!(told.len(), if length < MQTT_PACKET_BYTES_MAX - 5 { 2 } else { 1 }, "{length}");
        assert!(told.last().unwrap().contains("retained: false"));
    }
    assert_eq!(fed(&mut open(), &[0x90, 0xff, 0xff, 0x7f]), Err(Error::NotMqtt), "no message");
    assert_eq!(fed(&mut open(), &[0x30, 0xff, 0xff, 0xff, 0xff]), Err(Error::NotMqtt));
}

#[test]
fn confirmed_messages_are_sent_one_at_a_time() {
    let mut client = open();
    client.subscribe(&["a", "b"]);
    assert_eq!(client.out, b"\x82\x0a\x00\x01\x00\x01a\x00\x00\x01b\x00");
    assert_eq!(fed(&mut client, &[0x90, 4, 0, 1, 0, 0x80]).unwrap(), ["Denied"]);
    client.out.clear();
    assert!(client.is_confirmed());
    client.publish_surely("t", b"x", now());
    assert_eq!(client.out, b"\x32\x06\x00\x01t\x00\x02x");
    assert!(!client.is_confirmed());
    assert_eq!(fed(&mut client, &[0x40, 2, 0, 1]).unwrap(), [""; 0], "not of this one");
    assert_eq!(fed(&mut client, &[0x40, 2, 0, 2]).unwrap(), ["Confirmed"]);
    assert_eq!(fed(&mut client, &[0x40, 2, 0, 2]).unwrap(), [""; 0], "twice");
    assert!(client.is_confirmed());
}

#[test]
fn identifiers_go_round_without_0() {
    let mut client = open();
    client.id = u16::MAX;
    client.publish_surely("t", b"", now());
    assert_eq!(client.out[5..], [0, 1]);
}

#[test]
fn the_length_of_a_message_may_take_four_bytes() {
    for (length, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_152, 4)] {
        let mut client = open();
        client.publish("", &vec![0; usize::max(length, 2) - 2], Retain::Yes);
        let (kind, start, told) = fixed_header(&client.out).unwrap().unwrap();
        assert_eq!((kind, start, told), (0x31, 1 + bytes, length.max(2)));
        assert_eq!(client.out.len(), start + told);
    }
}

#[test]
fn a_server_that_says_nothing_is_left() {
    let begin = now();
    let after = |span: Duration| begin + span;
    let mut client = Client::new(&LOGIN, begin);
    assert_eq!(client.deadline(), after(MQTT_ANSWER_TIMEOUT));
    assert_eq!(client.handle_time(after(MQTT_ANSWER_TIMEOUT / 2)), Ok(()));
    assert_eq!(client.handle_time(after(MQTT_ANSWER_TIMEOUT)), Err(Error::Silent), "no CONNACK");

    let mut client = Client::new(&LOGIN, begin);
    fed(&mut client, &[0x20, 2, 0, 0]).unwrap();
    client.out.clear();
    assert_eq!(client.deadline(), after(MQTT_KEEP_ALIVE));
    assert_eq!(client.handle_time(client.deadline()), Ok(()));
    assert_eq!(client.out, [0xc0, 0]);
    assert_eq!(fed(&mut client, &[0xd0, 0]).unwrap(), [""; 0]);
    assert_eq!(client.deadline(), after(2 * MQTT_KEEP_ALIVE));
    assert_eq!(client.handle_time(client.deadline()), Ok(()));
    let silent = client.deadline();
    assert_eq!(silent, after(2 * MQTT_KEEP_ALIVE + MQTT_ANSWER_TIMEOUT));
    // Messages are no answer to that.
    fed(&mut client, &message("t", b"x", 0)).unwrap();
    assert_eq!(client.handle_time(silent), Err(Error::Silent), "no PINGRESP");

    let mut client = open();
    client.publish_surely("t", b"", begin);
    assert_eq!(client.handle_time(after(MQTT_ANSWER_TIMEOUT)), Err(Error::Silent), "no PUBACK");
}

/// Everything a server may send.
fn session() -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        &[0x20, 2, 0, 0],
        &[0x90, 4, 0, 1, 0, 0x80],
        &[0xd0, 0],
        &[0x40, 2, 0, 0],
        &message("t", &[7; 700], 0),
    ];
    [parts.concat(), message("a/b", b"payload", 3), message("", b"", 0)].concat()
}

#[test]
fn bytes_may_come_in_any_pieces() {
    let session = session();
    let whole = fed(&mut Client::new(&LOGIN, now()), &session).unwrap();
    assert_eq!(whole.len(), 4, "{whole:?}");
    for at in 0..=session.len() {
        let mut client = Client::new(&LOGIN, now());
        let (first, second) = session.split_at(at);
        let mut told = fed(&mut client, first).unwrap();
        told.extend(fed(&mut client, second).unwrap());
        assert_eq!(told, whole, "split at {at}");
    }
    let mut client = Client::new(&LOGIN, now());
    let told = session.chunks(1).map(|byte| fed(&mut client, byte).unwrap());
    assert_eq!(told.collect::<Vec<_>>().concat(), whole);
}

proptest! {
    #[test]
    fn no_bytes_panic_or_pile_up(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        pieces in 1..50usize,
        is_open in any::<bool>(),
    ) {
        let mut client = if is_open { open() } else { Client::new(&LOGIN, now()) };
        for piece in bytes.chunks(pieces) {
            if fed(&mut client, piece).is_err() {
                break;
            }
            prop_assert!(client.input.len() <= MQTT_PACKET_BYTES_MAX);
            prop_assert!(client.out.len() <= 100 + 4 * bytes.len());
        }
    }

    #[test]
    fn data_sent_by_one_client_is_read_by_another(
        topic in "[a-z/]{0,20}",
        payload in proptest::collection::vec(any::<u8>(), 0..400),
        is_retained in any::<bool>(),
    ) {
        let (mut sender, mut receiver) = (open(), open());
        let retain = if is_retained { Retain::Yes } else { Retain::No };
        sender.publish(&topic, &payload, retain);
        let retained = is_retained;
        let expected = format!("{:?}", MqttEvent::Message { topic: &topic, payload: &payload, retained });
        prop_assert_eq!(fed(&mut receiver, &sender.out).unwrap(), [expected]);
    }
}
