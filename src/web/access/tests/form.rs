use super::*;
use crate::limits::*;

fn status(request: &str) -> Result<(), u16> {
    Form::default().take(request.as_bytes()).map_err(|refusal| refusal.status())
}

fn with(fields: &str) -> Result<(), u16> {
    status(&["POST /api/record/stop HTTP/1.1\r\nHost: a\r\n", fields, "\r\n"].concat())
}

#[test]
fn requests_of_real_clients_are_in_order() {
    for request in [
        // curl 8
        "GET /api/status HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n",
        "PUT /api/config HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\nContent-Type: \
         application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
        // Chromium 140
        "GET /recordings/camera/014.mp4?download HTTP/1.1\r\nHost: [fe80::1]:8080\r\nConnection: \
         keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\nAccept-Encoding: identity;q=1, *;q=0\r\nSec-Fetch-Site: \
         same-origin\r\nRange: bytes=0-\r\n\r\n",
        // BusyBox wget, old players
        "GET / HTTP/1.0\r\nHost: attic\r\n\r\n",
        "GET /live/camera.mp4 HTTP/1.0\r\n\r\n",
        // Firefox
        "POST /api/record/start?camera=yard HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
         x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nContent-Length: 0\r\nOrigin: http://a\r\n\r\n",
        "GET /api/recordings?from=1&to=2&x=a%20b%2Fc|[]{}^` HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%7Euser/a%20b HTTP/1.1\r\nHost:a\r\nX:\r\nY: \tv\t \r\nZ: \u{e4}\r\n\r\n",
    ] {
        assert_eq!(status(request), Ok(()), "{request}");
    }
}

#[test]
fn every_split_gets_the_same_answer() {
    for (name, bytes) in corpus::files() {
        let whole = Form::default().take(&bytes);
        for middle in 0..bytes.len() {
            let mut form = Form::default();
            let (first, second) = bytes.split_at(middle);
            assert_eq!(form.take(first).and_then(|()| form.take(second)), whole, "{name} {middle}");
        }
        let mut form = Form::default();
        let single = bytes.iter().try_for_each(|byte| form.take(&[*byte]));
        assert_eq!(single, whole, "{name}");
    }
}

#[test]
fn a_body_is_skipped_whatever_it_holds_and_the_next_request_is_read() {
    let body = "\0Transfer-Encoding: chunked\n\n";
    let post =
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(status(&[&post, get, &post, get].concat()), Ok(()));
    assert_eq!(status(&[&post, get, &post, "\0"].concat()), Err(400));
    let smuggled = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(status(&[&post, get, smuggled].concat()), Err(400));
}

#[test]
fn a_request_does_not_inherit_from_the_one_before() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(status(&post.repeat(100)), Ok(()));
    assert_eq!(status(&[post, "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"].concat()), Err(400));
}

#[test]
fn a_refused_connection_stays_refused() {
    let mut form = Form::default();
    let refusal = form.take(b"GET * HTTP/1.1\r\n").unwrap_err();
    assert_eq!(form.take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(refusal));
}

#[test]
fn the_largest_that_is_taken_and_the_smallest_that_is_not() {
    let target = |bytes: usize| {
        let target = "/".repeat(bytes);
        status(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
    };
    assert_eq!(target(HTTP_TARGET_BYTES_MAX), Ok(()));
    assert_eq!(target(HTTP_TARGET_BYTES_MAX + 1), Err(414));

    let fields = |count: usize| with(&"X: y\r\n".repeat(count - 1));
    assert_eq!(fields(HTTP_FIELDS_MAX), Ok(()));
    assert_eq!(fields(HTTP_FIELDS_MAX + 1), Err(431));

    let head = |bytes: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        status(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(bytes - rest)))
    };
    assert_eq!(head(HTTP_HEAD_BYTES_MAX), Ok(()));
    assert_eq!(head(HTTP_HEAD_BYTES_MAX + 1), Err(431));

    let body = |bytes: usize| with(&format!("Content-Length: {bytes}\r\n"));
    assert_eq!(body(HTTP_BODY_BYTES_MAX), Ok(()));
    assert_eq!(body(HTTP_BODY_BYTES_MAX + 1), Err(413));
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let mut form = Form::default();
    form.take(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let taken = (0..1_000_000).take_while(|_| form.take(b"yyyyyyyy").is_ok()).count();
    assert!(taken < HTTP_HEAD_BYTES_MAX / 8, "{taken}");
}

#[test]
fn no_length_is_no_body() {
    assert_eq!(with(""), Ok(()));
    assert_eq!(with("Content-Length: 0\r\n"), Ok(()));
    assert_eq!(with("Content-Length: 000\r\n"), Ok(()));
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), Ok(()));
}
