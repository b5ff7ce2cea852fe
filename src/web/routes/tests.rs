use super::{super::access, *};
use std::collections::BTreeSet;

#[test]
fn the_description_of_the_api_has_every_route_and_no_other() {
    let description: serde_json::Value =
        serde_json::from_str(include_str!("../openapi.json")).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let of_table = ROUTES.iter().map(|it| (it.method.to_owned(), it.path.to_owned()));
    assert_eq!(described, of_table.collect());
}

#[test]
fn access_takes_every_route_for_what_it_is() {
    for route in ROUTES {
        let path = route.path.replace("{camera}", "yard").replace("{number}", "014");
        let head = access::AccessHead::read(route.method, &path, &mut std::iter::empty()).unwrap();
        assert_eq!(head.class(assets::PATHS), route.class, "{} {}", route.method, route.path);
    }
}

#[test]
fn a_path_is_taken_as_it_stands() {
    fn of(path: &str) -> Option<(&str, [&str; 2])> {
        ROUTES.iter().find_map(|it| Some((it.path, it.segments(path)?)))
    }
    for (path, wanted) in [
        (
            "/recordings/yard/014.MP4",
            Some(("/recordings/{camera}/{number}.mp4", ["yard", "014.MP4"])),
        ),
        ("/live/yard.mp4", Some(("/live/{camera}.mp4", ["yard.mp4", ""]))),
        ("/live/yard", Some(("/live/{camera}", ["yard", ""]))),
        ("/api/status", Some(("/api/status", ["", ""]))),
        ("/api/status/", None),
        ("/api//status", None),
        ("//api/status", None),
        ("/recordings/yard/.mp4", None),
        ("/recordings//014.mp4", None),
        ("/recordings/yard/014.mp4/", None),
        ("/recordings/yard/ä", None),
        ("", None),
    ] {
        assert_eq!(of(path), wanted, "{path:?}");
    }
}

#[test]
fn the_methods_of_a_path_are_listed_once() {
    assert_eq!(allowed("/api/session"), "GET, HEAD, POST, DELETE");
    assert_eq!(allowed("/live/yard.mp4"), "GET, HEAD");
    assert_eq!(allowed("/app.js"), "GET, HEAD");
    assert_eq!(allowed("/nothing"), "");
}
