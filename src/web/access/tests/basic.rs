use super::*;

fn who(bench: &mut Bench, authorization: &str) -> Result<Who, u16> {
    bench.who("GET", "/metrics", &[HOST, ("Authorization", authorization)])
}

/// A request that has to be answered without a password being checked.
fn at_once(bench: &mut Bench, pair: &str) -> Result<Who, u16> {
    let authorization = basic(pair);
    let fields = [(&b"Host"[..], HOST.1.as_bytes()), (b"Authorization", authorization.as_bytes())];
    let head = AccessHead::read("GET", "/metrics", &mut fields.into_iter()).unwrap();
    match bench.access.admit(&head, bench.peer, bench.now) {
        Ok(Verdict::Admitted(who)) => Ok(who),
        Ok(verdict) => panic!("{verdict:?}"),
        Err(refusal) => Err(refusal.status()),
    }
}

#[test]
fn any_user_with_the_password_is_admitted() {
    for user in ["", "admin", "root", "ü"] {
        let mut bench = Bench::protected();
        let pair = [user, ":", PASSWORD].concat();
        assert_eq!(who(&mut bench, &basic(&pair)), Ok(Who::Basic), "{user}");
    }
}

#[test]
fn the_scheme_is_known_in_any_case_and_with_more_space() {
    let mut bench = Bench::protected();
    let right = basic(&["x:", PASSWORD].concat());
    let encoded = right.strip_prefix("Basic ").unwrap();
    for scheme in ["basic ", "BASIC ", "Basic   "] {
        assert_eq!(who(&mut bench, &[scheme, encoded].concat()), Ok(Who::Basic), "{scheme}");
    }
}

#[test]
fn a_colon_belongs_to_the_password() {
    let mut bench = Bench::protected();
    bench.access.set_password(Password::Set(PasswordHash::new(b"with:colons", [1; 16])));
    assert_eq!(who(&mut bench, &basic("x:with:colons")), Ok(Who::Basic));
}

#[test]
fn credentials_other_than_basic_count_as_no_try() {
    let mut bench = Bench::protected();
    let token = ["Bearer ", PASSWORD].concat();
    let no_colon = basic(PASSWORD);
    for wrong in ["", "Basic", "Basic ", "Basic !!!", "Basic Og", "Digest x", &token, &no_colon] {
        assert_eq!(who(&mut bench, wrong), Err(401), "{wrong}");
    }
    assert_eq!(who(&mut bench, &basic(&["x:", PASSWORD].concat())), Ok(Who::Basic));
    assert!(bench.news().iter().all(|news| !news.contains("wrong")));
}

#[test]
fn the_slow_check_is_made_once() {
    let mut bench = Bench::protected();
    let right = ["x:", PASSWORD].concat();
    assert_eq!(who(&mut bench, &basic(&right)), Ok(Who::Basic));
    assert_eq!(at_once(&mut bench, &right), Ok(Who::Basic));
    assert_eq!(at_once(&mut bench, &["y:", PASSWORD].concat()), Ok(Who::Basic));
    assert_eq!(at_once(&mut bench, "x:wrong password"), Err(401));
}

#[test]
fn a_remembered_password_is_forgotten_when_another_is_set() {
    let mut bench = Bench::protected();
    let (old, new) = (["x:", PASSWORD].concat(), "x:battery staple");
    assert_eq!(who(&mut bench, &basic(&old)), Ok(Who::Basic));
    bench.change_password(Some(PASSWORD), "battery staple").unwrap();
    assert_eq!(at_once(&mut bench, new), Ok(Who::Basic));
    assert_eq!(at_once(&mut bench, &old), Err(401));
}

#[test]
fn players_and_scripts_are_asked_for_basic_and_browsers_are_not() {
    let mut bench = Bench::protected();
    let mut challenge = |path, fields: Fields| {
        bench.wait(10.0);
        bench.ask("GET", path, fields).unwrap_err().challenge()
    };
    let browser = ("Sec-Fetch-Mode", "cors");
    let wrong = basic("x:wrong password");
    let wrong = ("Authorization", wrong.as_str());
    for path in ["/recordings/yard/001.mp4", "/live/yard.mp4", "/snapshot/yard.jpg", "/metrics"] {
        assert_eq!(challenge(path, &[HOST]), Challenge::Basic, "{path}");
        assert_eq!(challenge(path, &[HOST, browser]), Challenge::None, "{path}");
    }
    assert_eq!(challenge("/api/status", &[HOST]), Challenge::None);
    assert_eq!(challenge("/api/status", &[HOST, wrong]), Challenge::Basic);
}

#[test]
fn credentials_that_come_twice_are_malformed() {
    let mut bench = Bench::protected();
    let right = basic(&["x:", PASSWORD].concat());
    let field = ("Authorization", right.as_str());
    assert_eq!(bench.who("GET", "/metrics", &[HOST, field, field]), Err(400));
}

#[test]
fn no_secret_is_printed() {
    let mut bench = Bench::protected();
    let verdict = bench.begin_log_in("wrong password").unwrap();
    let stored = Password::Set(PasswordHash::parse(STORED).unwrap());
    let text = format!("{verdict:?} {stored:?} {:?}", bench.log_in("wrong password"));
    for secret in ["wrong password", "AAECAwQ", "horse"] {
        assert!(!text.contains(secret), "{text}");
    }
}
