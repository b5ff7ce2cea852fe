use super::*;
use crate::limits::{SESSION_IDLE_MAX, SESSIONS_MAX};

fn who(bench: &mut Bench, cookie: &str) -> Result<Who, u16> {
    bench.who("GET", "/api/status", &[HOST, ("Cookie", cookie)])
}

#[test]
fn everybody_gets_the_page_and_nobody_gets_further_without_the_password() {
    let mut bench = Bench::protected();
    for path in ["/", "/app.js", "/api/session"] {
        assert_eq!(bench.who("GET", path, &[HOST]), Ok(Who::Stranger), "{path}");
        assert_eq!(bench.who("HEAD", path, &[HOST]), Ok(Who::Stranger), "{path}");
    }
    assert_eq!(bench.who("POST", "/api/session", &[HOST, ORIGIN]), Ok(Who::Stranger));
    assert_eq!(bench.who("PUT", "/api/password", &[HOST, ORIGIN]), Ok(Who::Stranger));
    for (method, path) in [
        ("GET", "/api/status"),
        ("GET", "/api/openapi.json"),
        ("GET", "/recordings/yard/001.mp4"),
        ("HEAD", "/recordings/yard/001.mp4"),
        ("GET", "/live/yard"),
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("GET", "/app.js/"),
        ("GET", "//"),
        ("GET", "/%61pp.js"),
        ("GET", "/api/password"),
        ("GET", "/api/session/"),
        ("POST", "/"),
        ("POST", "/api/shutdown"),
        ("PUT", "/api/session"),
        ("POST", "/api/password"),
        ("OPTIONS", "/"),
        ("get", "/"),
        ("", ""),
    ] {
        assert_eq!(bench.who(method, path, &[HOST]), Err(401), "{method} {path}");
    }
}

#[test]
fn a_session_opens_everything_until_it_is_logged_out() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    assert_eq!(who(&mut bench, &cookie), Ok(Who::Session));
    let field = ("Cookie", cookie.as_str());
    assert_eq!(bench.who("POST", "/api/shutdown", &[HOST, ORIGIN, field]), Ok(Who::Session));
    assert_eq!(bench.who("GET", "/api/session", &[HOST, field]), Ok(Who::Session));

    let fields = [(&b"Cookie"[..], cookie.as_bytes())];
    let head = AccessHead::read("DELETE", "/api/session", &mut fields.into_iter()).unwrap();
    let gone = bench.access.log_out(&head);
    let name = cookie.split('=').next().unwrap();
    assert!(gone.starts_with(&format!("{name}=;")) && gone.ends_with("Max-Age=0"), "{gone}");
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(gone.contains(attribute), "{gone}");
    }
    assert_eq!(who(&mut bench, &cookie), Err(401));
}

#[test]
fn the_cookie_is_for_this_site_alone_and_not_for_scripts() {
    let mut bench = Bench::protected();
    let verdict = bench.begin_log_in(PASSWORD).unwrap();
    let Verdict::Begun(cookie) = bench.settle(verdict).unwrap() else { panic!() };
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let (name, rest) = cookie.split_once('=').unwrap();
    assert_eq!(name, "smolnvr-00010203", "of this recorder");
    let token = rest.split(';').next().unwrap();
    assert_eq!(token.len(), 64, "128 bits and their signature, in base64");
}

#[test]
fn two_recorders_of_one_host_have_a_cookie_each() {
    let (mut one, mut other) = (Bench::protected(), Bench::protected());
    other.access.set_password(Password::Set(PasswordHash::new(PASSWORD.as_bytes(), [9; 16])));
    let cookies = [one.log_in(PASSWORD).unwrap(), other.log_in(PASSWORD).unwrap()];
    let both = cookies.join("; ");
    assert_eq!(
        (who(&mut one, &both), who(&mut other, &both)),
        (Ok(Who::Session), Ok(Who::Session))
    );
    assert_eq!(who(&mut other, &cookies[0]), Err(401));
}

#[test]
fn cookies_of_others_lock_nobody_out() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    let name = cookie.split('=').next().unwrap();
    let theirs = format!("{name}=junk; smolnvr=old; a=b; ").repeat(20);
    assert_eq!(who(&mut bench, &[&theirs, &cookie[..]].concat()), Ok(Who::Session));
}

/// What a request goes on by that comes with such a field.
fn pass(bench: &mut Bench, name: &str, value: &str) -> Pass {
    let who = bench.who("GET", "/api/events", &[HOST, (name, value)]).unwrap();
    let fields = [(name.as_bytes(), value.as_bytes())];
    let head = AccessHead::read("GET", "/api/events", &mut fields.into_iter()).unwrap();
    bench.access.pass(who, &head, bench.now)
}

#[test]
fn replies_of_a_session_end_with_it() {
    let mut bench = Bench::protected();
    let (mine, other) = (bench.log_in(PASSWORD).unwrap(), bench.log_in(PASSWORD).unwrap());
    let player = basic(&["x:", PASSWORD].concat());
    let passes = [
        pass(&mut bench, "Cookie", &mine),
        pass(&mut bench, "Cookie", &other),
        pass(&mut bench, "Authorization", &player),
    ];
    let over = |passes: &[Pass; 3]| passes.each_ref().map(Pass::is_over);
    assert_eq!(over(&passes), [false; 3]);
    let fields = [(&b"Cookie"[..], mine.as_bytes())];
    let head = AccessHead::read("DELETE", "/api/session", &mut fields.into_iter()).unwrap();
    bench.access.log_out(&head);
    assert_eq!(over(&passes), [true, false, false]);
    bench.change_password(Some(PASSWORD), "battery staple").unwrap();
    assert_eq!(over(&passes), [true; 3]);
}

#[test]
fn replies_begun_without_a_password_end_when_one_is_required() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    let pass = pass(&mut bench, "Accept", "*/*");
    bench.access.configure(&config::Web { auth: Auth::None, ..config::Web::default() }, "attic");
    assert!(!pass.is_over());
    bench.access.configure(&config::Web::default(), "attic");
    assert!(pass.is_over());
}

#[test]
fn a_session_that_is_only_looked_through_does_not_end() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    let pass = pass(&mut bench, "Cookie", &cookie);
    bench.now += 2 * SESSION_IDLE_MAX;
    bench.log_in(PASSWORD).unwrap();
    assert!(!pass.is_over());
    assert_eq!(who(&mut bench, &cookie), Ok(Who::Session));
}

#[test]
fn a_token_is_taken_whole_or_not_at_all() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    let (cut, longer) = (&cookie[..cookie.len() - 1], [&cookie, "A"].concat());
    let other_case = cookie.to_ascii_lowercase();
    for wrong in [cut, &longer, &other_case, "smolnvr=", "smolnvr", "", "smolnvr=;smolnvr="] {
        assert_eq!(who(&mut bench, wrong), Err(401), "{wrong}");
    }
    for right in [
        ["a=b; ", &cookie].concat(),
        [&cookie, ";a=b"].concat(),
        ["smolnvr=old; ", &cookie].concat(),
        ["smolnvr-00010203=old; ", &cookie].concat(),
    ] {
        assert_eq!(who(&mut bench, &right), Ok(Who::Session), "{right}");
    }
}

#[test]
fn every_session_has_a_token_of_its_own() {
    let mut bench = Bench::protected();
    let first = bench.log_in(PASSWORD).unwrap();
    let second = bench.log_in(PASSWORD).unwrap();
    assert_ne!(first, second);
    assert_eq!(who(&mut bench, &first), Ok(Who::Session));
    assert_eq!(who(&mut bench, &second), Ok(Who::Session));
}

#[test]
fn a_session_ends_when_it_is_not_used_for_30_days_and_not_before() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    for _ in 0..4 {
        bench.now += SESSION_IDLE_MAX;
        assert_eq!(who(&mut bench, &cookie), Ok(Who::Session));
    }
    bench.now += SESSION_IDLE_MAX + Duration::from_secs(1);
    assert_eq!(who(&mut bench, &cookie), Err(401));
}

#[test]
fn the_session_that_was_not_used_for_longest_makes_room() {
    let mut bench = Bench::protected();
    let first = bench.log_in(PASSWORD).unwrap();
    bench.wait(1.0);
    let second = bench.log_in(PASSWORD).unwrap();
    bench.wait(1.0);
    assert_eq!(who(&mut bench, &first), Ok(Who::Session));
    for _ in 0..SESSIONS_MAX - 1 {
        bench.wait(1.0);
        bench.log_in(PASSWORD).unwrap();
    }
    assert_eq!(who(&mut bench, &first), Ok(Who::Session));
    assert_eq!(who(&mut bench, &second), Err(401));
}

#[test]
fn a_new_password_ends_all_sessions_but_the_one_that_set_it() {
    let mut bench = Bench::protected();
    let (mine, other) = (bench.log_in(PASSWORD).unwrap(), bench.log_in(PASSWORD).unwrap());
    let verdict = bench.change_password(Some(PASSWORD), "battery staple").unwrap();
    assert_eq!(who(&mut bench, &mine), Err(401));
    assert_eq!(who(&mut bench, &other), Err(401));
    assert_eq!(who(&mut bench, &cookie(&verdict)), Ok(Who::Session));
    assert_eq!(bench.log_in(PASSWORD).unwrap_err().status(), 401);
    bench.wait(1.0);
    bench.log_in("battery staple").unwrap();
}

#[test]
fn a_password_file_that_changed_ends_all_sessions_and_the_same_one_none() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    bench.access.set_password(Password::Set(PasswordHash::parse(STORED).unwrap()));
    assert_eq!(who(&mut bench, &cookie), Ok(Who::Session));
    bench.access.set_password(Password::Set(PasswordHash::new(b"battery staple", [1; 16])));
    assert_eq!(who(&mut bench, &cookie), Err(401));
}

#[test]
fn a_password_that_was_replaced_while_it_was_checked_opens_nothing() {
    let mut bench = Bench::protected();
    let verdict = bench.begin_log_in(PASSWORD).unwrap();
    let Verdict::Verify(attempt) = verdict else { panic!() };
    let answer = attempt.run();
    bench.access.set_password(Password::Set(PasswordHash::new(b"battery staple", [1; 16])));
    assert_eq!(bench.access.verified(answer, bench.now).unwrap_err().status(), 401);
}

#[test]
fn without_randomness_there_is_no_session() {
    let web = config::Web::default();
    let stored = Password::Set(PasswordHash::parse(STORED).unwrap());
    let mut bench = Bench::protected();
    bench.access = Access::new(&web, "attic", stored, ASSETS, || None);
    assert_eq!(bench.log_in(PASSWORD), Err(Refusal::NoRandomness));
    assert!(bench.change_password(Some(PASSWORD), "battery staple").is_err());
    let player = basic(&["viewer:", PASSWORD].concat());
    let fields = [HOST, ("Authorization", player.as_str())];
    assert_eq!(bench.who("GET", "/metrics", &fields), Ok(Who::Basic));
}

#[test]
fn auth_none_admits_everybody_who_calls_this_machine_by_its_name() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    assert_eq!(bench.who("POST", "/api/shutdown", &[HOST, ORIGIN]), Ok(Who::Anybody));
    assert_eq!(bench.who("POST", "/api/shutdown", &[("Host", "evil.example")]), Err(421));
    let verdict = bench.begin_log_in("anything").unwrap();
    assert!(matches!(verdict, Verdict::Admitted(Who::Anybody)));
}
