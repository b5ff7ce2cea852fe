use super::*;

fn asked(address: &str) -> Option<(String, Option<u16>, Option<u16>)> {
    Asked::parse(address).map(|asked| (asked.host, asked.http_port, asked.rtsp_port))
}

#[test]
fn an_address_may_be_typed_in_many_ways() {
    for (address, host, http, rtsp) in [
        ("192.168.1.20", "192.168.1.20", None, None),
        (" camera.local ", "camera.local", None, None),
        ("192.168.1.20:8000", "192.168.1.20", Some(8000), None),
        ("http://192.168.1.20:80/onvif/device_service", "192.168.1.20", Some(80), None),
        ("http://192.168.1.20/", "192.168.1.20", None, None),
        ("RTSP://user:secret@192.168.1.20:8554/x", "192.168.1.20", None, Some(8554)),
        ("rtsp://192.168.1.20/x", "192.168.1.20", None, None),
        ("fe80::1", "fe80::1", None, None),
        ("[fd00::2]:8000", "fd00::2", Some(8000), None),
    ] {
        assert_eq!(asked(address), Some((host.to_owned(), http, rtsp)), "{address}");
    }
    for (address, path) in [
        ("rtsp://192.168.1.20/x?y=1", Some("/x?y=1")),
        ("rtsp://192.168.1.20/", None),
        ("rtsp://192.168.1.20", None),
        ("192.168.1.20/x", None),
    ] {
        assert_eq!(Asked::parse(address).unwrap().path.as_deref(), path, "{address}");
    }
    let user = Asked::parse("rtsp://user:secret@192.168.1.20/x").unwrap().credentials.unwrap();
    assert_eq!((&*user.user, &*user.password), ("user", "secret"));
    for address in ["", "a b", "http://", "https://192.168.1.20/", "192.168.1.20:0", "ä:x"] {
        assert_eq!(asked(address), None, "{address}");
    }
}

#[test]
fn no_camera_is_asked_on_the_internet() {
    for host in ["8.8.8.8", "[2001:db8::1]", "100.64.0.1", "http://1.1.1.1:80/"] {
        let error = at(host, None).unwrap_err();
        assert!(matches!(error, Error::Foreign(_)), "{host}: {error}");
    }
}

#[test]
fn a_camera_that_answers_twice_is_one() {
    let near: IpAddr = "192.168.1.20".parse().unwrap();
    let device = |port, name: &str| Device {
        name: name.to_owned(),
        service: Some(HostlessUrl { port, path: "/onvif/device_service".into() }),
        ..Device::default()
    };
    let mut cameras = Vec::new();
    add(&mut cameras, near, None);
    add(&mut cameras, near, Some(&device(80, "")));
    add(&mut cameras, near, Some(&device(80, "yard")));
    add(&mut cameras, near, None);
    assert_eq!(cameras.len(), 1);
    assert_eq!(cameras[0].name, "yard");
    assert_eq!(cameras[0].onvif.as_deref(), Some("http://192.168.1.20/onvif/device_service"));
    // Two cameras at one address have a port each.
    add(&mut cameras, near, Some(&device(8001, "gate")));
    assert_eq!(cameras.len(), 2);
    for last in 0..=255 {
        add(&mut cameras, IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), None);
    }
    assert_eq!(cameras.len(), FIND_DEVICES_MAX);
}

#[test]
fn a_camera_at_two_addresses_is_one_and_two_cameras_of_one_id_are_two() {
    let answer = |last: u8, id: &str, addresses: &[u8]| Answer {
        address: IpAddr::from([192, 168, 1, last]),
        device: Some(Device {
            id: id.to_owned(),
            addresses: addresses.iter().map(|last| IpAddr::from([192, 168, 1, *last])).collect(),
            ..Device::default()
        }),
    };
    let by_name = Answer { address: IpAddr::from([192, 168, 1, 20]), device: None };
    let mut answers = vec![
        // Over cable and Wi-Fi.
        answer(20, "one", &[20, 21]),
        by_name.clone(),
        answer(21, "one", &[21, 20]),
        // Quirk: cheap cameras have one id for all of a series.
        answer(22, "one", &[22]),
        // A stranger may claim the address and the id of another.
        answer(23, "one", &[20, 22, 23]),
        // Without an id, nothing tells.
        answer(24, "", &[24, 25]),
        answer(25, "", &[24, 25]),
    ];
    let mut kept = answers.clone();
    kept.remove(2);
    drop_doubles(&mut answers);
    assert_eq!(answers, kept);
    drop_doubles(&mut answers);
    assert_eq!(answers, kept);
}
