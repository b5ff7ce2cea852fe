use super::*;

#[test]
fn without_a_password_nobody_gets_further_than_the_page() {
    let mut bench = Bench::new(Password::Unset);
    // This machine neither: a proxy on it makes everybody loopback.
    for address in ["192.168.1.7", "8.8.8.8", "fe80::7", "127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        bench.peer = peer(address);
        for (method, path) in [("GET", "/"), ("GET", "/api/session"), ("PUT", "/api/password")] {
            assert_eq!(bench.who(method, path, &[HOST]), Ok(Who::Stranger), "{address} {path}");
        }
        for (method, path) in
            [("GET", "/api/status"), ("POST", "/api/record/start"), ("GET", "/live/yard")]
        {
            assert_eq!(bench.who(method, path, &[HOST]), Err(403), "{address} {path}");
        }
        assert_eq!(bench.log_in("anything"), Err(Refusal::NoPassword));
    }
}

#[test]
fn the_first_password_is_not_taken_through_a_proxy() {
    for name in [
        "X-Forwarded-For",
        "x-forwarded-proto",
        "Forwarded",
        "Via",
        "X-Real-IP",
        "CF-Connecting-IP",
        "True-Client-IP",
    ] {
        for address in ["127.0.0.1", "192.168.1.7"] {
            let mut bench = Bench::new(Password::Unset);
            bench.peer = peer(address);
            // What it says does not count: it could say anything.
            let fields = [HOST, ORIGIN, (name, "127.0.0.1")];
            let refused = bench.ask("PUT", "/api/password", &fields).unwrap_err();
            assert_eq!(refused, Refusal::Forwarded, "{name} {address}");
            assert!(refused.to_string().contains("smolnvr passwd"), "{refused}");
            // Later it is no matter how somebody comes.
            let mut bench = Bench::protected();
            assert_eq!(bench.who("PUT", "/api/password", &fields), Ok(Who::Stranger));
        }
    }
}

#[test]
fn credentials_open_nothing_while_no_password_is_set() {
    let mut bench = Bench::new(Password::Unset);
    for pair in ["", ":", "x:", "x:password"] {
        let fields = [HOST, ("Authorization", &basic(pair))];
        assert_eq!(bench.who("GET", "/api/status", &fields), Err(403), "{pair}");
    }
}

#[test]
fn the_first_password_is_taken_from_the_local_network_only() {
    for (address, local) in [
        ("10.0.0.1", true),
        ("10.255.255.255", true),
        ("172.16.0.1", true),
        ("172.31.255.255", true),
        ("192.168.0.1", true),
        ("169.254.1.1", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("fe80::1", true),
        ("febf::1", true),
        ("fc00::1", true),
        ("fdff::1", true),
        ("::ffff:192.168.1.7", true),
        ("11.0.0.1", false),
        ("172.15.255.255", false),
        ("172.32.0.1", false),
        ("192.169.0.1", false),
        ("100.64.0.1", false),
        ("8.8.8.8", false),
        ("0.0.0.0", false),
        ("255.255.255.255", false),
        ("2001:db8::1", false),
        ("fec0::1", false),
        ("fe00::1", false),
        ("::", false),
        ("::ffff:8.8.8.8", false),
        ("::192.168.1.7", false),
        ("64:ff9b::c0a8:107", false),
        ("2002:c0a8:107::1", false),
    ] {
        let mut bench = Bench::new(Password::Unset);
        bench.peer = peer(address);
        let changed = bench.change_password(None, PASSWORD);
        assert_eq!(changed.is_ok(), local, "{address}");
        assert_eq!(bench.access.is_password_set(), local, "{address}");
        if let Err(refusal) = changed {
            let shown = Peer::Address(address.parse().unwrap()).to_string();
            assert_eq!(refusal.status(), 403);
            assert!(refusal.to_string().contains("smolnvr passwd"), "{refusal}");
            assert!(refusal.to_string().contains(&shown), "{refusal}");
        }
    }
}

#[test]
fn whoever_sets_the_first_password_is_logged_in_and_named() {
    let mut bench = Bench::new(Password::Unset);
    bench.peer = peer("::ffff:192.168.1.7");
    let verdict = bench.change_password(None, PASSWORD).unwrap();
    assert_eq!(bench.news()[0], "the first password was set from 192.168.1.7");
    let cookie = cookie(&verdict);
    let fields = [HOST, ("Cookie", cookie.as_str())];
    assert_eq!(bench.who("GET", "/api/status", &fields), Ok(Who::Session));
}

#[test]
fn the_next_password_needs_the_old_one() {
    let mut bench = Bench::protected();
    let status = |changed: Result<Verdict, Refusal>| changed.map(drop).map_err(|r| r.status());
    assert_eq!(status(bench.change_password(None, "battery staple")), Err(400));
    assert_eq!(status(bench.change_password(Some(""), "battery staple")), Err(401));
    bench.wait(1.0);
    assert_eq!(status(bench.change_password(Some(PASSWORD), "battery staple")), Ok(()));
    assert_eq!(bench.news().last().unwrap(), "logged in from 192.168.1.7");
}

#[test]
fn a_password_has_8_to_128_characters() {
    for (password, taken) in [
        ("", false),
        ("seven77", false),
        ("eight888", true),
        ("ääääääää", true),
        (&"x".repeat(128), true),
        (&"x".repeat(129), false),
    ] {
        let mut bench = Bench::new(Password::Unset);
        assert_eq!(bench.change_password(None, password).is_ok(), taken, "{password}");
    }
}

#[test]
fn the_control_socket_replaces_any_password() {
    for password in [
        Password::Unset,
        Password::Set(PasswordHash::parse(STORED).unwrap()),
        Password::Unreadable("/etc/smolnvr.passwd holds no password".into()),
    ] {
        let mut bench = Bench::new(password);
        bench.peer = Peer::Unix;
        let verdict = bench.change_password(None, "battery staple").unwrap();
        assert!(matches!(verdict, Verdict::Admitted(Who::Unix)));
        bench.peer = peer("192.168.1.7");
        bench.log_in("battery staple").unwrap();
    }
}

#[test]
fn one_password_is_set_at_a_time() {
    let mut bench = Bench::new(Password::Unset);
    let ask = |bench: &mut Bench| bench.begin_change(None, PASSWORD);
    let first = ask(&mut bench).unwrap();
    assert_eq!(ask(&mut bench).unwrap_err(), Refusal::Busy);
    drop(first);
    let Ok(Verdict::Verify(attempt)) = ask(&mut bench) else { panic!() };
    let answer = attempt.run();
    assert_eq!(ask(&mut bench).unwrap_err(), Refusal::Busy, "until it is in its file");
    bench.access.verified(answer, bench.now).unwrap();
    assert_eq!(ask(&mut bench).unwrap_err().status(), 400, "the old password is missing");
}

#[test]
fn an_unreadable_password_keeps_everybody_out_in_words() {
    let mut bench =
        Bench::new(Password::Unreadable("/etc/smolnvr.passwd: Input/output error".into()));
    for address in ["127.0.0.1", "192.168.1.7"] {
        bench.peer = peer(address);
        let refusal = bench.ask("GET", "/api/status", &[HOST]).unwrap_err();
        assert_eq!(refusal.status(), 403);
        let text = refusal.to_string();
        assert!(text.contains("Input/output error") && text.contains("smolnvr passwd"), "{text}");
        assert_eq!(bench.log_in(PASSWORD).unwrap_err(), refusal);
        assert_eq!(bench.change_password(None, PASSWORD).unwrap_err(), refusal);
        assert_eq!(bench.who("GET", "/", &[HOST]), Ok(Who::Stranger));
    }
    assert!(bench.access.is_password_set());
}

#[test]
fn the_file_holds_what_was_set_and_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = password::path(&folder.path().join("smolnvr.toml"));
    assert_eq!(file, folder.path().join("smolnvr.passwd"));
    assert_eq!(password::read(&file), Password::Unset);
    for password in [PASSWORD, "battery staple"] {
        let hash = PasswordHash::new(password.as_bytes(), [7; 16]);
        password::write(&file, &hash).unwrap();
        assert_eq!(password::read(&file), Password::Set(hash));
        assert!(hash.fits(password.as_bytes()));
        assert!(!hash.fits(b"another one"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("$pbkdf2-sha256$i=6000$"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
}

#[test]
fn a_file_that_is_cut_short_or_garbled_is_unreadable_and_not_unset() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("smolnvr.passwd");
    let whole = STORED.to_owned() + "\n";
    std::fs::write(&file, &whole).unwrap();
    assert!(matches!(password::read(&file), Password::Set(_)));
    for end in 0..STORED.len() {
        std::fs::write(&file, &whole[..end]).unwrap();
        let read = password::read(&file);
        assert!(matches!(read, Password::Unreadable(_)), "{end} {read:?}");
    }
    let garbled = [
        whole.repeat(2),
        whole.repeat(100),
        whole.replace("i=1000", "i=999"),
        whole.replace("i=1000", "i=4294967295"),
        whole.replace("i=1000", "i=-1"),
        whole.replace("sha256", "sha1"),
        whole.replace("AAEC", "AAE!"),
        whole.trim_end().to_owned() + "$",
        "\0".repeat(100),
    ];
    for text in garbled {
        std::fs::write(&file, &text).unwrap();
        let read = password::read(&file);
        assert!(matches!(read, Password::Unreadable(_)), "{text} {read:?}");
    }
    std::fs::write(&file, b"\xff\xfe").unwrap();
    assert!(matches!(password::read(&file), Password::Unreadable(_)));
    assert!(matches!(password::read(folder.path()), Password::Unreadable(_)), "a folder");
    assert!(matches!(password::read(&file.join("x")), Password::Unreadable(_)), "below a file");
}
