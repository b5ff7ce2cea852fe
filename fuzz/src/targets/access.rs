//! Requests with any fields at any time: no client gets in that was not admitted before.

use crate::source::Source;
use smolnvr::{
    config, runtime,
    web::access::{
        Access, AccessHead, Class, Peer, Verdict, Who,
        password::{Password, PasswordHash},
    },
};
use std::{net::IpAddr, time::Duration};

pub const WORDS: &[&str] = &[
    "smolnvr=",
    "; ",
    "Basic ",
    "OnBhc3N3b3Jk",
    "null",
    "http://attic",
    "attic",
    "192.168.1.2:8080",
    "[::1]",
    "localhost",
];

/// A beginning, then requests and what else happens, one after the other.
pub fn access(data: &[u8]) {
    let mut source = Source::new(data);
    let is_set = source.flag();
    let password = match is_set {
        true => Password::Set(PasswordHash::parse(STORED).expect("is a hash")),
        false => Password::Unset,
    };
    let web =
        config::Web { hosts: vec!["proxy.example:8443".to_owned()], ..config::Web::default() };
    let mut access = Access::new(&web, "attic", password, &["/"], || Some([7; 32]));
    let (mut now, mut attempts, mut held, mut steps) = (runtime::now(), vec![], vec![], 0);
    while !source.is_empty() && steps < 60 {
        steps += 1;
        now += Duration::from_millis(source.u8().into());
        let peer = Peer::Address(source.one(&PEERS).parse::<IpAddr>().expect("is an address"));
        match source.u8() & 7 {
            0 => {
                let cookie = [(&b"Cookie"[..], source.piece())];
                let Ok(head) = AccessHead::read("POST", "/api/session", &mut cookie.into_iter())
                else {
                    continue;
                };
                match access.log_in(&source.text(), &head, peer, now) {
                    Ok(Verdict::Verify(attempt)) => {
                        assert!(is_set);
                        attempts.push(attempt);
                        assert!(attempts.len() <= smolnvr::limits::PASSWORD_CHECKS_MAX);
                    }
                    Ok(Verdict::Held(it)) => {
                        held.push(it);
                        assert!(held.len() <= smolnvr::limits::HELD_PASSWORDS_MAX);
                    }
                    _ => {}
                }
            }
            1 => drop(attempts.pop()),
            3 => drop(held.pop().map(|it| access.proceed(it, now))),
            2 => access.set_password(Password::Unreadable("no".to_owned())),
            _ => ask(&mut access, peer, &mut source, now),
        }
        let news = std::iter::from_fn(|| access.poll_news()).count();
        assert!(news <= smolnvr::limits::ACCESS_NEWS_MAX);
    }
}

fn ask(access: &mut Access, peer: Peer, source: &mut Source<'_>, now: std::time::Instant) {
    let method = source.one(&["GET", "HEAD", "POST", "PUT", "DELETE", "get", "OPTIONS"]);
    let path =
        source.one(&["/", "/api/session", "/api/password", "/api/status", "/live/yard", "/%61pi"]);
    let mut fields = Vec::new();
    for _ in 0..source.below(6) {
        let name =
            source.one(&["Host", "Origin", "Sec-Fetch-Site", "Authorization", "Cookie", "Upgrade"]);
        let usual = source.one(&[
            "attic",
            "http://attic",
            "same-origin",
            "Basic OnBhc3N3b3Jk",
            "smolnvr=x",
            "",
        ]);
        let text = source.piece();
        fields.push((name, if text.is_empty() { usual.as_bytes() } else { text }));
    }
    let mut pairs = fields.iter().map(|(name, value)| (name.as_bytes(), *value));
    let Ok(head) = AccessHead::read(method, path, &mut pairs) else { return };
    let class = head.class(&["/"]);
    let field = |name: &str| fields.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
    match access.admit(&head, peer, now) {
        Ok(Verdict::Admitted(who)) => {
            let is_check = path == "/" && matches!(method, "GET" | "HEAD" | "OPTIONS");
            match field("Host") {
                Some(host) => assert!(host.is_ascii() && !host.is_empty()),
                None => assert!(is_check && field("Upgrade").is_none()),
            }
            match who {
                Who::Stranger if field("Host").is_none() => {}
                Who::Stranger => assert!(matches!(class, Class::Public | Class::LogIn)),
                // No password was ever found right.
                who => panic!("{who:?} without a password"),
            }
            let is_null = |origin: &[u8]| origin.eq_ignore_ascii_case(b"null");
            assert!(field("Host").is_none() || !field("Origin").is_some_and(is_null));
            let site = field("Sec-Fetch-Site").map(<[u8]>::to_ascii_lowercase);
            let is_own = site.is_none_or(|site| site == b"same-origin" || site == b"none");
            assert!(is_own || field("Host").is_none());
        }
        Ok(Verdict::Verify(_)) => {
            let basic = field("Authorization").expect("else there is nothing to verify");
            assert!(basic.to_ascii_lowercase().starts_with(b"basic "));
            assert!(access.is_password_set());
        }
        Ok(Verdict::Held(_)) => assert!(access.is_password_set()),
        Ok(Verdict::Begun(cookie)) => panic!("{cookie} without a log-in"),
        Err(refusal) => {
            assert!((400..=503).contains(&refusal.status()));
            assert!(!refusal.to_string().contains(['\r', '\n']), "{refusal:?}");
        }
    }
    access.log_out(&head);
}

/// Of another password than any that comes here.
const STORED: &str =
    "$pbkdf2-sha256$i=1000$AAECAwQFBgcICQoLDA0ODw$yRTMTwbMbo9G0VfjobWqerzuuxe7BETNTErBbKKumGQ";
const PEERS: [&str; 6] =
    ["192.168.1.7", "127.0.0.1", "8.8.8.8", "::1", "fe80::1", "::ffff:127.0.0.1"];
