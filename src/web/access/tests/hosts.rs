use super::*;

fn status(host: &str) -> Result<Who, u16> {
    Bench::new(Password::Unset).who("GET", "/", &[("Host", host)])
}

#[test]
fn the_names_of_this_machine_are_taken() {
    for host in [
        "192.168.1.2",
        "192.168.1.2:8080",
        "[fe80::1]",
        "[2001:db8::1]:8080",
        "[::ffff:192.168.1.2]:80",
        "localhost",
        "LocalHost:8080",
        "localhost.",
        "attic",
        "ATTIC:8080",
        "attic.",
        "attic.local",
        "attic.local.:8080",
        "Attic.Lan",
        "attic.home.arpa:8080",
        "camera.example.org",
        "CAMERA.example.ORG.:8080",
        "proxy.example:8443",
    ] {
        assert_eq!(status(host), Ok(Who::Stranger), "{host}");
    }
}

#[test]
fn any_other_name_is_misdirected() {
    for host in [
        "evil.example",
        "evil.example:8080",
        "192.168.1.2.evil.example",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "evil.localhost",
        "attic.evil.example",
        "attic.localdomain",
        "evil.local",
        "evil.lan",
        "evilattic",
        "xattic.local",
        "attic.local.evil.example",
        "attic..local",
        "attic..",
        ".local",
        ".",
        "local",
        "example.org",
        "x.camera.example.org",
        "proxy.example",
        "proxy.example:8444",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "2130706433",
        "192.168.001.002",
    ] {
        assert_eq!(status(host), Err(421), "{host}");
    }
}

#[test]
fn an_invalid_host_is_malformed() {
    for host in [
        "",
        ":8080",
        "attic:",
        "attic:x",
        "attic:+80",
        "attic:65536",
        "attic:80:80",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[evil]",
        "[127.0.0.1]",
        "[fe80::1%25eth0]",
        "::1",
        "user@attic",
        "attic/",
        "attic,evil.example",
        "attic evil.example",
        "http://attic",
        "atti\u{441}",
        "attic\0",
        "%61ttic",
    ] {
        assert_eq!(status(host), Err(400), "{host}");
    }
    let long = "a".repeat(255);
    assert_eq!(status(&long), Err(400));
}

#[test]
fn a_request_without_a_host_or_with_two_is_malformed() {
    let mut bench = Bench::with(Auth::None, Password::Unset);
    for (method, path) in [("GET", "/api/session"), ("GET", "/app.js"), ("POST", "/")] {
        assert_eq!(bench.who(method, path, &[]), Err(400), "{method} {path}");
    }
    assert_eq!(bench.who("GET", "/", &[HOST, HOST]), Err(400));
    // HAProxy asks so by HTTP/1.0 whether somebody is there.
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(bench.who(method, "/", &[]), Ok(Who::Stranger), "{method}");
        assert_eq!(bench.who(method, "/", &[("Upgrade", "websocket")]), Err(400), "{method}");
    }
}

#[test]
fn a_refused_name_says_where_names_are_added() {
    let mut bench = Bench::new(Password::Unset);
    let refusal = bench.ask("GET", "/", &[("Host", "nvr.example.net")]).unwrap_err();
    let text = refusal.to_string();
    assert!(text.contains("nvr.example.net") && text.contains("web.hosts"), "{text}");
}

#[test]
fn a_machine_with_a_domain_goes_by_its_whole_name_and_by_its_first_label() {
    let hosts = Hosts::new("attic.example.net", &[]);
    for host in ["attic.example.net", "attic", "attic.local"] {
        assert_eq!(hosts.check(host.as_bytes()), Ok(()), "{host}");
    }
    assert!(hosts.check(b"example.net").is_err());
}

#[test]
fn a_machine_without_a_name_goes_by_no_name() {
    for own in ["", ".", "(none)"] {
        let hosts = Hosts::new(own, &[]);
        for host in ["", ".", ".local", "none", "(none)", "(none).local"] {
            assert!(hosts.check(host.as_bytes()).is_err(), "{own} {host}");
        }
        assert_eq!(hosts.check(b"10.0.0.1"), Ok(()));
    }
}

#[test]
fn the_kernel_knows_the_machines_name() {
    let kernels = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(host::own_name(), kernels.trim_end());
}

#[test]
fn dns_rebinding_gets_nothing_even_without_a_password() {
    let host = ("Host", "rebound.attacker.example:8080");
    let origin = ("Origin", "http://rebound.attacker.example:8080");
    for auth in [Auth::None, Auth::Password] {
        let mut bench = Bench::with(auth, Password::Unset);
        bench.peer = peer("127.0.0.1");
        for (method, path) in [
            ("GET", "/api/status"),
            ("POST", "/api/shutdown"),
            ("PUT", "/api/password"),
            ("GET", "/"),
        ] {
            assert_eq!(bench.who(method, path, &[host, origin]), Err(421), "{method} {path}");
        }
    }
}
