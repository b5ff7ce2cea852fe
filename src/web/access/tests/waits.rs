use super::*;
use crate::limits::{
    KNOWN_BROWSER_TRIES_MAX, PASSWORD_CHECKS_MAX, PASSWORD_TRIES_MAX, WRONG_PASSWORD_ADDRESSES_MAX,
};

fn seconds(refusal: Refusal) -> f64 {
    assert!(matches!(refusal, Refusal::WrongPassword { .. } | Refusal::Wait(_)), "{refusal:?}");
    refusal.retry_after().unwrap().as_secs_f64()
}

fn wrong(bench: &mut Bench) -> f64 {
    seconds(bench.log_in("wrong password").unwrap_err())
}

#[test]
fn each_wrong_password_makes_the_address_wait_longer_up_to_5_s() {
    let mut bench = Bench::protected();
    for wait in [1.0, 2.0, 4.0, 5.0, 5.0, 5.0] {
        let refusal = bench.log_in("wrong password").unwrap_err();
        assert_eq!(refusal.status(), 401);
        assert_eq!(seconds(refusal), wait);
        bench.wait(wait);
    }
}

#[test]
fn while_an_address_waits_even_the_right_password_is_refused() {
    let mut bench = Bench::protected();
    wrong(&mut bench);
    bench.wait(0.75);
    let refusal = bench.log_in(PASSWORD).unwrap_err();
    assert_eq!(refusal.status(), 429);
    assert_eq!(seconds(refusal), 0.25);
    let right = basic(&["x:", PASSWORD].concat());
    let fields = [HOST, ("Authorization", right.as_str())];
    assert_eq!(bench.who("GET", "/metrics", &fields), Err(429));
    assert_eq!(bench.change_password(Some(PASSWORD), "battery staple").unwrap_err().status(), 429);
    bench.wait(0.25);
    bench.log_in(PASSWORD).unwrap();
}

#[test]
fn a_try_while_waiting_does_not_lengthen_the_wait() {
    let mut bench = Bench::protected();
    wrong(&mut bench);
    for _ in 0..9 {
        bench.wait(0.1);
        assert_eq!(bench.log_in("wrong password").unwrap_err().status(), 429);
    }
    bench.wait(0.2);
    bench.log_in(PASSWORD).unwrap();
}

#[test]
fn a_session_never_waits() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    for _ in 0..3 {
        bench.wait(5.0);
        wrong(&mut bench);
    }
    let fields = [HOST, ("Cookie", cookie.as_str())];
    assert_eq!(bench.who("GET", "/api/status", &fields), Ok(Who::Session));
}

#[test]
fn the_right_password_clears_the_count() {
    let mut bench = Bench::protected();
    wrong(&mut bench);
    bench.wait(1.0);
    wrong(&mut bench);
    bench.wait(2.0);
    bench.log_in(PASSWORD).unwrap();
    assert_eq!(wrong(&mut bench), 1.0);
}

#[test]
fn wrong_passwords_are_forgotten_after_10_minutes() {
    let mut bench = Bench::protected();
    wrong(&mut bench);
    bench.wait(500.0);
    assert_eq!(wrong(&mut bench), 2.0);
    bench.wait(603.0);
    assert_eq!(wrong(&mut bench), 1.0);
}

#[test]
fn loopback_waits_as_well() {
    let mut bench = Bench::protected();
    bench.peer = peer("127.0.0.1");
    wrong(&mut bench);
    assert_eq!(bench.log_in(PASSWORD).unwrap_err().status(), 429);
}

#[test]
fn other_addresses_do_not_wait_but_a_host_has_one_ipv6_network() {
    for (one, other, waits) in [
        ("192.168.1.7", "192.168.1.8", false),
        ("192.168.1.7", "::ffff:192.168.1.7", true),
        ("2001:db8:0:1::7", "2001:db8:0:1:ffff::8", true),
        ("2001:db8:0:1::7", "2001:db8:0:2::7", false),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", false),
        ("fe80::1", "fe80::2", true),
    ] {
        let mut bench = Bench::protected();
        bench.peer = peer(one);
        wrong(&mut bench);
        bench.peer = peer(other);
        assert_eq!(bench.log_in(PASSWORD).is_err(), waits, "{one} {other}");
    }
}

#[test]
fn basic_counts_like_a_login() {
    let mut bench = Bench::protected();
    let wrong = basic("x:wrong password");
    let fields = [HOST, ("Authorization", wrong.as_str())];
    assert_eq!(bench.who("GET", "/metrics", &fields), Err(401));
    assert_eq!(bench.who("GET", "/metrics", &fields), Err(429));
    assert_eq!(bench.log_in(PASSWORD).unwrap_err().status(), 429);
}

#[test]
fn a_wrong_old_password_counts_like_a_login() {
    let mut bench = Bench::protected();
    assert_eq!(bench.change_password(Some("wrong"), "battery staple").unwrap_err().status(), 401);
    assert_eq!(bench.log_in(PASSWORD).unwrap_err().status(), 429);
}

/// A guess from there, whose client does not wait for its turn; whether it was judged.
fn guess(bench: &mut Bench, address: &str) -> bool {
    bench.peer = peer(address);
    let begun = bench.begin_log_in("wrong password");
    begun.and_then(|it| bench.settle(it)).is_err_and(|refusal| refusal.status() == 401)
}

#[test]
fn many_addresses_guess_no_faster_than_a_few() {
    let mut bench = Bench::protected();
    // What follows is known to be wrong at once.
    bench.log_in(PASSWORD).unwrap();
    // The first one of each, until that would be too many.
    let first = u32::try_from(WRONG_PASSWORD_ADDRESSES_MAX).unwrap() + PASSWORD_TRIES_MAX;
    for more in [first, 0, 0] {
        let mut judged = 0;
        for round in 0..2000_u32 {
            judged += u32::from(guess(&mut bench, &format!("127.0.{}.{}", round % 8, round % 250)));
            bench.wait(0.005);
        }
        let most = more + 10 * 5;
        assert!(judged <= most, "{judged} of {most} in 10 s");
        assert!(bench.access.delays.guilty() <= WRONG_PASSWORD_ADDRESSES_MAX);
    }
}

/// Their first guesses took all tries, for as long as the network had new addresses.
#[test]
fn two_hundred_new_neighbours_who_guess_at_once_do_not_delay_the_owner() {
    let mut bench = Bench::protected();
    bench.log_in(PASSWORD).unwrap();
    let guess_all = |bench: &mut Bench| {
        for host in 1..=200 {
            guess(bench, &format!("192.168.1.{host}"));
        }
    };
    for owner in 201..255 {
        guess_all(&mut bench);
        bench.peer = peer(&format!("192.168.1.{owner}"));
        bench.log_in(PASSWORD).unwrap();
        bench.wait(1.0);
    }
}

/// From then on, the owner was a guesser like the others.
#[test]
fn an_owner_who_mistypes_while_many_guess_is_in_within_10_s() {
    let mut bench = Bench::protected();
    bench.log_in(PASSWORD).unwrap();
    let address = |n: u32| format!("10.0.0.{}", n % 200);
    let mut rounds = 0_u32..;
    let mut guess_for = |bench: &mut Bench, seconds: f64| {
        let end = bench.now + std::time::Duration::from_secs_f64(seconds);
        while bench.now < end {
            guess(bench, &address(rounds.next().unwrap()));
            bench.wait(0.01);
        }
    };
    guess_for(&mut bench, 120.0);
    for (owner, mistakes) in [("10.0.0.251", 1), ("10.0.0.252", 2), ("192.168.7.7", 2)] {
        for mistake in 0..mistakes {
            bench.peer = peer(owner);
            wrong(&mut bench);
            guess_for(&mut bench, f64::from(mistake + 1) + 0.5);
        }
        bench.peer = peer(owner);
        bench.log_in(PASSWORD).unwrap();
    }
}

#[test]
fn while_somebody_guesses_the_owner_is_in() {
    let mut bench = Bench::protected();
    bench.log_in(PASSWORD).unwrap();
    let known = bench.peer;
    let address = |n: u32| format!("10.0.0.{}", n % 250);
    for round in 0..6000 {
        guess(&mut bench, &address(round));
        bench.wait(0.01);
    }
    for (owner, who) in [
        (known, "was right before"),
        (peer("192.168.7.7"), "is of another network"),
        (peer("10.0.0.251"), "is a neighbour of the guessers"),
    ] {
        bench.peer = owner;
        assert!(bench.log_in(PASSWORD).is_ok(), "an owner whose address {who}");
    }
}

#[test]
fn somebody_who_has_a_whole_network_is_one_guesser() {
    let mut bench = Bench::protected();
    for host in 0..50 {
        guess(&mut bench, &format!("2001:db8:7:{host:x}::1"));
    }
    bench.peer = peer("2001:db8:8::1");
    bench.log_in(PASSWORD).unwrap();
}

#[test]
fn a_new_password_makes_all_addresses_new() {
    let mut bench = Bench::protected();
    bench.log_in(PASSWORD).unwrap();
    for network in 0..200 {
        guess(&mut bench, &format!("10.0.{network}.1"));
    }
    bench.peer = peer("192.168.1.7");
    bench.log_in(PASSWORD).unwrap();
    bench.access.set_password(Password::Set(PasswordHash::new(b"battery staple", [1; 16])));
    assert_eq!(bench.log_in("battery staple").unwrap_err().status(), 429);
}

#[test]
fn only_so_many_passwords_are_checked_at_once() {
    let mut bench = Bench::protected();
    let ask = |bench: &mut Bench| bench.begin_log_in("wrong password");
    let mut attempts: Vec<_> = (0..PASSWORD_CHECKS_MAX).map(|_| ask(&mut bench).unwrap()).collect();
    assert_eq!(ask(&mut bench).unwrap_err(), Refusal::Busy);
    // A client that has gone takes its attempt with it.
    attempts.pop();
    let Ok(Verdict::Verify(attempt)) = ask(&mut bench) else { panic!() };
    let answer = attempt.run();
    assert_eq!(ask(&mut bench).unwrap_err(), Refusal::Busy);
    assert_eq!(bench.access.verified(answer, bench.now).unwrap_err().status(), 401);
    bench.peer = peer("192.168.1.8");
    assert!(ask(&mut bench).is_ok());
}

#[test]
fn wrong_passwords_are_told_but_not_each() {
    let mut bench = Bench::protected();
    for _ in 0..9 {
        wrong(&mut bench);
        bench.wait(5.0);
    }
    let told = [1, 2, 4, 8].map(|n| format!("wrong password from 192.168.1.7, {n} in a row"));
    assert_eq!(bench.news(), told);
    let mut lines = 0;
    for host in 0..200 {
        guess(&mut bench, &format!("10.0.0.{host}"));
        bench.wait(1.0);
        lines += bench.news().len();
    }
    assert!(lines < 10, "{lines}");
}

/// Clients of one address that guess without a pause, each one try at a time, and what they are
/// told.
struct Crowd {
    address: Peer,
    clients: Vec<Option<Held>>,
    judged: u32,
}

impl Crowd {
    fn new(address: &str, clients: usize) -> Crowd {
        let clients = std::iter::repeat_with(|| None).take(clients).collect();
        Crowd { address: peer(address), clients, judged: 0 }
    }

    /// What they do at this moment.
    fn guess(&mut self, bench: &mut Bench) {
        let before = std::mem::replace(&mut bench.peer, self.address);
        for client in &mut self.clients {
            let answer = match client.take() {
                Some(held) if held.until > bench.now => Ok(Verdict::Held(held)),
                Some(held) => bench.access.proceed(held, bench.now),
                None => bench.begin_log_in("wrong password"),
            };
            match answer.and_then(|verdict| bench.settle(verdict)) {
                Ok(Verdict::Held(held)) => *client = Some(held),
                Ok(verdict) => panic!("{verdict:?}"),
                Err(refusal) => self.judged += u32::from(refusal.status() == 401),
            }
        }
        bench.peer = before;
    }
}

/// How many seconds somebody with the right password needs who tries twice a second; `None` after
/// 30 s.
fn seconds_to_get_in(bench: &mut Bench, crowds: &mut [Crowd]) -> Option<f64> {
    let begin = bench.now;
    let mut waiting = None;
    for round in 0..1500 {
        crowds.iter_mut().for_each(|crowd| crowd.guess(bench));
        let answer = match waiting.take() {
            Some(held) => Ok(Verdict::Held(held)),
            None if round % 25 == 0 => bench.begin_log_in(PASSWORD),
            None => Err(Refusal::Busy),
        };
        let answer = match answer {
            Ok(Verdict::Held(held)) if held.until <= bench.now => {
                bench.access.proceed(held, bench.now)
            }
            other => other,
        };
        match answer.and_then(|verdict| bench.settle(verdict)) {
            Ok(Verdict::Held(held)) => waiting = Some(held),
            Ok(Verdict::Begun(_)) => return Some((bench.now - begin).as_secs_f64()),
            Ok(verdict) => panic!("{verdict:?}"),
            Err(_) => {}
        }
        bench.wait(0.02);
    }
    None
}

#[test]
fn an_owner_behind_the_guessers_own_address_is_in_within_10_s() {
    for (clients, is_remembered) in [(1, true), (3, false), (20, true), (20, false)] {
        let mut bench = Bench::protected();
        if is_remembered {
            bench.log_in(PASSWORD).unwrap();
        }
        let mut crowds = [Crowd::new("192.168.1.7", clients)];
        for _ in 0..4 {
            // Wherever in the guesser's round the owner comes.
            for _ in 0..37 {
                crowds[0].guess(&mut bench);
                bench.wait(0.13);
            }
            let seconds = seconds_to_get_in(&mut bench, &mut crowds);
            assert!(seconds.is_some_and(|it| it <= 9.0), "{clients} {seconds:?}");
        }
    }
}

#[test]
fn a_crowd_behind_one_address_guesses_a_few_times_a_second() {
    let mut bench = Bench::protected();
    bench.log_in(PASSWORD).unwrap();
    let mut crowds =
        [Crowd::new("192.168.1.7", 60), Crowd::new("192.168.1.8", 60), Crowd::new("10.0.0.1", 60)];
    for _ in 0..3000 {
        crowds.iter_mut().for_each(|crowd| crowd.guess(&mut bench));
        bench.wait(0.02);
    }
    let judged: u32 = crowds.iter().map(|crowd| crowd.judged).sum();
    assert!(judged <= 5 * 60, "{judged} in 60 s");
    // One who is a guesser too, but of another address, still has a turn.
    bench.peer = peer("10.9.9.9");
    for wait in [1.0, 2.0, 4.0] {
        wrong(&mut bench);
        bench.wait(wait);
    }
    assert!(seconds_to_get_in(&mut bench, &mut crowds).is_some_and(|it| it <= 9.0));
}

#[test]
fn a_browser_that_was_logged_in_once_does_not_wait_for_guessers() {
    let mut bench = Bench::protected();
    let cookie = bench.log_in(PASSWORD).unwrap();
    // The session ends, as by a restart.
    let key = bench.access.key.unwrap();
    bench.access.sessions.end(&key, cookie.split('=').nth(1).unwrap().as_bytes());
    let fields = [HOST, ("Cookie", cookie.as_str())];
    assert_eq!(bench.who("GET", "/api/status", &fields), Err(401));
    let mut crowd = Crowd::new("192.168.1.7", 60);
    for _ in 0..500 {
        crowd.guess(&mut bench);
        bench.wait(0.02);
    }
    bench.cookie = cookie;
    bench.log_in(PASSWORD).unwrap();
    // Of another recorder, or of none, it is worth nothing.
    let name = bench.cookie.split('=').next().unwrap().to_owned();
    for token in ["A".repeat(64), "A".repeat(22), String::new()] {
        bench.cookie = format!("{name}={token}");
        assert!(!matches!(bench.begin_log_in(PASSWORD), Ok(Verdict::Begun(_))), "{token}");
    }
}

#[test]
fn a_stolen_cookie_is_good_for_a_few_guesses() {
    let mut bench = Bench::protected();
    bench.cookie = bench.log_in(PASSWORD).unwrap();
    for _ in 0..KNOWN_BROWSER_TRIES_MAX {
        assert!(guess(&mut bench, "192.168.1.7"));
        bench.wait(5.0);
    }
    let of_address = |bench: &Bench| {
        let Peer::Address(address) = bench.peer else { panic!() };
        bench.access.delays.wrong_in_a_row(Source::of(address), bench.now)
    };
    assert_eq!(of_address(&bench), 0);
    assert!(guess(&mut bench, "192.168.1.7"));
    assert_eq!(of_address(&bench), 1);
}

#[test]
fn a_new_password_makes_all_browsers_new() {
    let mut bench = Bench::protected();
    bench.cookie = bench.log_in(PASSWORD).unwrap();
    bench.access.set_password(Password::Set(PasswordHash::new(b"battery staple", [1; 16])));
    wrong(&mut bench);
    assert_eq!(bench.log_in("battery staple").unwrap_err().status(), 429);
    bench.cookie.clear();
    bench.wait(0.5);
    assert_eq!(bench.log_in("battery staple").unwrap_err().status(), 429, "it was the address");
}
