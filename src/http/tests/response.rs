//! Replies as cameras send them, in every split, cut at every place.

use super::*;
use proptest::prelude::*;

const PICTURE: &[u8] = b"\xff\xd8 a\r\n--picture \n\r\xff\xd9";

/// Status and body of what comes in pieces and then ends; `None`: it waits for more.
fn read(pieces: &[&[u8]], closes: bool) -> Result<Option<(u16, Vec<u8>)>, ResponseError> {
    let mut response = Response::default();
    let mut is_whole = false;
    for piece in pieces {
        is_whole = response.handle_bytes(piece)?;
    }
    if !is_whole && closes {
        response.handle_close()?;
        is_whole = true;
    }
    Ok(is_whole.then(|| (response.status, response.into_body())))
}

fn picture() -> Result<Option<(u16, Vec<u8>)>, ResponseError> {
    Ok(Some((200, PICTURE.to_vec())))
}

/// The first part is a chunk of its own; what follows it is none.
#[test]
fn data_after_the_first_part_does_not_spoil_it() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    let part = "--b\r\nContent-Length: 4\r\n\r\nabcd";
    let reply = format!("{head}{:x}\r\n{part}\r\nno chunk\r\n", part.len());
    let whole = Ok(Some((200, b"abcd".to_vec())));
    assert_eq!(read(&[reply.as_bytes()], false), whole);
    let single: Vec<&[u8]> = reply.as_bytes()[..head.len() + 4 + part.len()].chunks(1).collect();
    assert_eq!(read(&single, false), whole);
}

/// Replies that end by themselves.
fn replies() -> Vec<Vec<u8>> {
    let length = PICTURE.len();
    let (head, tail) = PICTURE.split_at(5);
    let part = |fields: String| {
        let mut body = format!("--frame\r\nContent-Type: image/jpeg\r\n{fields}\r\n").into_bytes();
        body.extend_from_slice(PICTURE);
        body.extend_from_slice(b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8");
        body
    };
    let multipart = "HTTP/1.1 200 OK\r\n\
        Content-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";
    let heads_and_bodies: Vec<(String, Vec<u8>)> = vec![
        (format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"), PICTURE.to_vec()),
        (format!("HTTP/1.0 200\nContent-Length:{length}\n\n"), PICTURE.to_vec()),
        (
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ),
            PICTURE.to_vec(),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            [
                &b"5\r\n"[..],
                head,
                format!("\r\n{:X};name=value\r\n", tail.len()).as_bytes(),
                tail,
                b"\r\n0\r\n",
            ]
            .concat(),
        ),
        (multipart.to_owned(), part(format!("Content-Length: {length}\r\n"))),
        (multipart.to_owned(), part(String::new())),
        // With a preamble, and an endless length.
        (
            multipart.replace("\r\n\r\n", "\r\nContent-Length: 9999\r\n\r\nhello\r\n"),
            part(String::new()),
        ),
    ];
    heads_and_bodies.into_iter().map(|(head, body)| [head.as_bytes(), &body].concat()).collect()
}

#[test]
fn every_split_of_every_kind_of_reply_gives_the_picture() {
    for reply in replies() {
        let shown = String::from_utf8_lossy(&reply).into_owned();
        assert_eq!(read(&[&reply], false), picture(), "{shown}");
        for at in 0..reply.len() {
            let (head, tail) = reply.split_at(at);
            assert_eq!(read(&[head, tail], false), picture(), "{at} {shown}");
        }
        let single: Vec<&[u8]> = reply.chunks(1).collect();
        assert_eq!(read(&single, false), picture(), "{shown}");
    }
}

#[test]
fn every_truncation_is_a_wait_and_at_the_end_an_error() {
    for reply in &replies()[..4] {
        let end = reply.len();
        for len in 0..end {
            let so_far = read(&[&reply[..len]], false);
            if so_far == picture() {
                assert!(len + 2 >= end, "only the last line's end may be missing");
                continue;
            }
            assert_eq!(so_far, Ok(None), "{len}");
            assert_eq!(read(&[&reply[..len]], true), Err(ResponseError::Cut), "{len}");
        }
    }
}

#[test]
fn a_body_may_end_with_the_connection() {
    let reply = [b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", PICTURE].concat();
    assert_eq!(read(&[&reply], false), Ok(None));
    assert_eq!(read(&[&reply], true), picture());
    let part =
        [b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n--x\r\n\r\n", PICTURE]
            .concat();
    assert_eq!(read(&[&part], true), picture());
}

#[test]
fn the_head_is_enough_of_a_reply_that_is_no_success() {
    let mut response = Response::default();
    let reply = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 999\r\n\
        WWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: Digest nonce=\"b\"\r\n\
        Location: /x\r\n\r\n";
    assert_eq!(response.handle_bytes(reply), Ok(true));
    assert_eq!(response.status, 401);
    assert_eq!(response.challenges, ["Basic realm=\"a\"", "Digest nonce=\"b\""]);
    assert_eq!(response.location.as_deref(), Some("/x"));
}

#[test]
fn an_unreadable_value_is_named() {
    let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &[b'a'; 20_000]].concat();
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", SNAPSHOT_BYTES_MAX + 1);
    let chunked = |line: &str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{line}\r\n").into_bytes()
    };
    for (reply, error) in [
        (b"SSH-2.0-dropbear\r\n".to_vec(), ResponseError::NotHttp),
        (b"RTSP/1.0 400 Bad Request\r\n\r\n".to_vec(), ResponseError::NotHttp),
        (b"HTTP/1.1 OK\r\n\r\n".to_vec(), ResponseError::NotHttp),
        (endless, ResponseError::Head(HeadError::TooLong)),
        (long.into_bytes(), ResponseError::TooLong),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec(), ResponseError::Length),
        (chunked("x"), ResponseError::Chunk),
        (chunked("+5"), ResponseError::Chunk),
        (chunked(""), ResponseError::Chunk),
        (chunked("ffffffffffffffffffff"), ResponseError::Chunk),
        (chunked("1\r\naXY"), ResponseError::Chunk),
        (chunked(&"1".repeat(300)), ResponseError::Chunk),
    ] {
        assert_eq!(read(&[&reply], false), Err(error), "{}", String::from_utf8_lossy(&reply));
    }
}

#[test]
fn a_body_without_an_announced_end_is_bounded_too() {
    for head in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
        "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n--x\r\n\r\n",
    ] {
        let mut response = Response::default();
        response.handle_bytes(head.as_bytes()).unwrap();
        let mut fed = 0;
        let error = loop {
            match response.handle_bytes(&[b'x'; 4000]) {
                Ok(is_whole) => assert!(!is_whole && fed <= SNAPSHOT_BYTES_MAX),
                Err(error) => break error,
            }
            fed += 4000;
        };
        assert_eq!(error, ResponseError::TooLong);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_or_make_a_body_too_long(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                prop::sample::select(replies()),
                Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
                Just(b"Transfer-Encoding: chunked\r\n\r\n".to_vec()),
                Just(b"Content-Type: multipart/x\r\n\r\n".to_vec()),
                Just(b"\r\n--frame\r\n".to_vec()),
                Just(b"ff\r\n".to_vec()),
                Just(b"\r\n\r\n".to_vec()),
            ],
            0..12,
        ),
    ) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        if let Ok(Some((status, body))) = read(&pieces, true) {
            prop_assert!(status >= 200 && body.len() <= SNAPSHOT_BYTES_MAX);
        }
    }
}

#[test]
fn a_reply_of_which_only_the_status_matters_ends_with_its_head() {
    for rest in ["", "Content-Length: 5000000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let reply = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{rest}\r\n");
        let mut response = Response::document(0);
        let (last, head) = reply.as_bytes().split_last().unwrap();
        for byte in head {
            assert_eq!(response.handle_bytes(&[*byte]), Ok(false), "{rest}");
        }
        assert_eq!(response.handle_bytes(&[*last]), Ok(true), "{rest}");
        assert_eq!(response.status, 200);
    }
}

/// The status and body of a document, and whether it was whole before the connection ended.
fn document(reply: &str) -> (u16, String, bool) {
    let mut response = Response::document(1000);
    let mut pieces = reply.as_bytes().chunks(7);
    let is_whole = pieces.any(|piece| response.handle_bytes(piece).unwrap());
    (response.status, String::from_utf8(response.into_body()).unwrap(), is_whole)
}

#[test]
fn a_document_without_its_length_ends_with_its_root_or_is_a_challenge() {
    let soap = "<?xml?>\n<s:Envelope>\n<s:Body></s:Body>\n</s:Envelope>";
    for fields in ["", "Content-Length: 900\r\n", "Transfer-Encoding: chunked\r\n"] {
        let size = if fields.contains("chunked") { "39\r\n" } else { "" };
        let reply = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{size}{soap}");
        assert_eq!(document(&reply), (200, soap.into(), true), "{fields}");
        let (status, _, is_whole) = document(&reply[..reply.len() - 1]);
        assert_eq!((status, is_whole), (200, false), "{fields}");
    }
    let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest nonce=\"n\"\r\n\r\n";
    assert_eq!(document(challenge), (401, String::new(), true));
    assert_eq!(document("HTTP/1.1 401 Unauthorized\r\n\r\n"), (401, String::new(), false));
}
