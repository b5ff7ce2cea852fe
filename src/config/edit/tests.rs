use super::*;
use crate::config::Config;
use proptest::prelude::*;
use serde_json::json;
use std::path::Path;

/// The text after a change, which must be a valid file.
fn after(text: &str, change: Json) -> String {
    let text = edit(text, &change).unwrap_or_else(|wrong| panic!("{wrong}\n{text}\n{change}"));
    Config::parse(&text, Path::new("x.toml")).unwrap();
    text
}

fn refusal(text: &str, change: Json) -> String {
    edit(text, &change).expect_err(&change.to_string()).to_string()
}

fn shown(text: &str) -> Json {
    Config::parse(text, Path::new("x.toml")).unwrap().to_json()
}

const SHIPPED: &str = include_str!("../../../overlay/etc/smolnvr.toml");

const YARD: &str =
    "[[camera]]\nname = \"yard\"\nurl = \"rtsp://admin:hunter2@10.0.0.2/\" # by the door\n";
const GATE: &str = "# The gate.\n[[camera]]\nname = 'gate'\nurl = 'rtsp://10.0.0.3/'\n";

#[test]
fn the_shown_configuration_has_every_key_and_no_password() {
    let text = format!("{YARD}snapshot = \"http://a:hunter2@10.0.0.2/i.jpg?pwd=hunter2\"\n");
    let shown = shown(&text);
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    assert_eq!(
        shown["camera"],
        json!([{
            "name": "yard", "label": "", "folder": ".",
            "url": "rtsp://admin:***@10.0.0.2/", "live_url": "", "transport": "tcp",
            "engine": "native", "audio": false, "record": true, "buffer_kb": 2048,
            "snapshot": "http://a:***@10.0.0.2/i.jpg?pwd=***", "snapshot_interval_ms": 1000,
            "motion": "off", "motion_sensitivity": 5, "motion_mask": ""
        }])
    );
    assert_eq!(
        shown["storage"],
        json!({
            "path": "/mnt/mmcblk0p1/recordings", "require_mount": true, "segment_seconds": 60,
            "keep_free_percent": 5, "keep_days": 0, "event_days": 0, "thin_after_days": 0, "sync_seconds": 5
        })
    );
    assert_eq!(
        shown["web"],
        json!({
            "listen": "0.0.0.0:8080", "auth": "password", "connections_max": 24, "hosts": []
        })
    );
    assert_eq!(
        (&shown["ffmpeg"], &shown["log"]),
        (&json!({"path": "ffmpeg"}), &json!({"level": "info"}))
    );
}

#[test]
fn sending_back_what_is_shown_changes_nothing() {
    for text in ["", SHIPPED, &[YARD, "\n", GATE].concat(), "camera = [{name='a', url='rtsp://a'}]"]
    {
        assert_eq!(after(text, shown(text)), text);
        assert_eq!(after(text, json!({})), text);
    }
}

#[test]
fn a_value_is_set_where_it_stands() {
    let change = json!({
        "storage": {"segment_seconds": 120, "path": ["/a b", "/c\"\\\u{7}"], "require_mount": false},
        "web": {"hosts": ["nvr.example"]}, "log": {"level": "debug"}
    });
    let expected = SHIPPED
        .replace("segment_seconds = 60", "segment_seconds = 120")
        .replace("path = \"/mnt/mmcblk0p1/recordings\"", r#"path = ["/a b", "/c\"\\\u0007"]"#)
        .replace("require_mount = true", "require_mount = false")
        .replace("hosts = []", "hosts = [\"nvr.example\"]")
        .replace("level = \"info\"", "level = \"debug\"");
    assert_eq!(after(SHIPPED, change), expected);
}

#[test]
fn a_key_or_a_section_that_is_not_there_is_added() {
    let change = json!({"storage": {"keep_days": 7}, "log": {"level": "warn"}});
    assert_eq!(
        after("[storage]\n\tsync_seconds = 9 # s\n\n# end\n", change.clone()),
        "[storage]\n\tsync_seconds = 9 # s\n\tkeep_days = 7\n\n# end\n\n[log]\nlevel = \"warn\"\n"
    );
    assert_eq!(after("", change.clone()), "[log]\nlevel = \"warn\"\n\n[storage]\nkeep_days = 7\n");
    // There is no final line break, and the new key must not end up in the new section.
    assert_eq!(
        after("[storage]", change.clone()),
        "[storage]\nkeep_days = 7\n\n[log]\nlevel = \"warn\"\n"
    );
    assert_eq!(
        after("# a\r\n[storage]\r\nsync_seconds = 9\r\n", change),
        "# a\r\n[storage]\r\nsync_seconds = 9\r\nkeep_days = 7\r\n\r\n[log]\r\nlevel = \"warn\"\r\n"
    );
}

#[test]
fn the_first_camera_is_added_to_the_shipped_file() {
    let mut camera = shown(YARD)["camera"][0].clone();
    camera["url"] = "rtsp://admin:new@10.0.0.2/".into();
    camera["audio"] = true.into();
    let text = after(SHIPPED, json!({"camera": [camera]}));
    let section =
        "\n[[camera]]\nname = \"yard\"\nurl = \"rtsp://admin:new@10.0.0.2/\"\naudio = true\n";
    assert_eq!(text, [SHIPPED, section, "folder = \".\"\n"].concat());
}

#[test]
fn a_camera_is_added_behind_the_last() {
    let text = format!("{YARD}#! audio = false\n\n[web]\n");
    let mut list = shown(&text)["camera"].clone();
    list.as_array_mut().unwrap().push(json!({"url": "rtsp://b/", "name": "b"}));
    assert_eq!(
        after(&text, json!({"camera": list})),
        format!(
            "{YARD}#! audio = false\n\n[[camera]]\nname = \"b\"\nurl = \"rtsp://b/\"\n\n[web]\n"
        )
    );
}

#[test]
fn a_camera_is_removed_with_its_comments_alone() {
    let text = format!("# My cameras\n\n{YARD}\n{GATE}\n# The web.\n[web]\n");
    let gate = shown(&text)["camera"][1].clone();
    let yard = shown(&text)["camera"][0].clone();
    assert_eq!(
        after(&text, json!({"camera": [gate]})),
        format!("# My cameras\n\n{GATE}folder = \"gate\"\n\n# The web.\n[web]\n"),
        "it does not move into the place of the first"
    );
    assert_eq!(
        after(&text, json!({"camera": [yard]})),
        format!("# My cameras\n\n{YARD}\n# The web.\n[web]\n")
    );
    assert_eq!(after(&text, json!({"camera": []})), "# My cameras\n\n# The web.\n[web]\n");
}

#[test]
fn cameras_change_places_with_their_comments() {
    let text = format!("{YARD}\n[web]\n\n{GATE}");
    let list = shown(&text)["camera"].as_array().unwrap().clone();
    let new = json!({"name": "new", "url": "rtsp://n/"});
    let new_section = "[[camera]]\nname = \"new\"\nurl = \"rtsp://n/\"\n";
    let swapped = json!({"camera": [list[1], list[0]]});
    let expected = format!("{GATE}folder = \"gate\"\n\n[web]\n\n{YARD}folder = \".\"\n");
    assert_eq!(after(&text, swapped.clone()), expected);
    assert_eq!(after(text.trim_end(), swapped), expected);
    assert_eq!(
        after(&text, json!({"camera": [new, list[0], list[1]]})),
        format!("{new_section}\n[web]\n\n{YARD}folder = \".\"\n\n{GATE}")
    );
    assert_eq!(
        after(&text, json!({"camera": [new, list[1]]})),
        format!("{new_section}\n[web]\n\n{GATE}")
    );
}

#[test]
fn a_camera_is_changed_in_its_place_and_keeps_its_password() {
    let mut list = shown(YARD)["camera"].clone();
    list[0]["url"] = "rtsp://root:***@10.0.0.2:5554/a".into();
    list[0]["live_url"] = "rtsp://root:***@10.0.0.2:5554/b".into();
    list[0]["record"] = false.into();
    let text = after(YARD, json!({"camera": list}));
    let expected = YARD.replace("admin:hunter2@10.0.0.2/", "root:hunter2@10.0.0.2:5554/a");
    let added = "live_url = \"rtsp://root:hunter2@10.0.0.2:5554/b\"\nrecord = false\n";
    assert_eq!(text, expected + added);
    // Some of a camera's keys are enough.
    let text = after(YARD, json!({"camera": [{"name": "yard", "audio": true}]}));
    assert_eq!(text, format!("{YARD}audio = true\n"));
}

#[test]
fn a_camera_of_a_new_name_is_known_by_its_address() {
    let text = format!("{GATE}\n{YARD}");
    let mut list = shown(&text)["camera"].clone();
    list[1]["name"] = "garden".into();
    // It keeps its folder; a `folder` left out follows the name.
    let stays = format!("{text}folder = \"yard\"\n");
    assert_eq!(after(&text, json!({"camera": list})), stays.replacen("yard", "garden", 1));
    list[1].as_object_mut().unwrap().remove("folder");
    assert_eq!(after(&text, json!({"camera": list})), text.replace("yard", "garden"));
    // Not if two cameras match.
    let text = format!("{YARD}\n{}", YARD.replace("yard", "twin"));
    let mut list = shown(&text)["camera"].clone();
    list[0]["name"] = "garden".into();
    list.as_array_mut().unwrap().remove(1);
    let wrong = refusal(&text, json!({"camera": list}));
    assert!(wrong.starts_with("camera.url: no password is stored to replace ***"), "{wrong}");
}

#[test]
fn a_forbidden_change_is_refused_with_its_key() {
    let text = &format!("{YARD}\n{GATE}");
    for (change, words) in [
        (
            json!({"storage": {"segment_seconds": 1}}),
            "storage.segment_seconds: expected a whole number from 2 to 3600, not",
        ),
        (
            json!({"storage": {"segment_seconds": 60.5}}),
            "storage.segment_seconds: expected a whole number",
        ),
        (
            json!({"storage": {"segment_seconds": u64::MAX}}),
            "storage.segment_seconds: expected a whole number",
        ),
        (
            json!({"storage": {"segment_seconds": null}}),
            "storage.segment_seconds: expected text, a number",
        ),
        (json!({"storage": {"path": {}}}), "storage.path: expected text, a number"),
        (json!({"storage": {"path": ["a"]}}), "storage.path: expected an absolute path"),
        (json!({"storage": []}), "storage: expected an object"),
        (
            json!({"storage": {"key \"x": 1}}),
            "storage.key \"x: unknown key, expected one of `path`",
        ),
        (json!({"store": {"a": 1}}), "store: unknown key, expected one of `storage`"),
        (json!({"": {"a": 1}}), "unknown key, expected"),
        (json!([]), "the change: expected an object"),
        (json!({"camera": {}}), "camera: expected a list"),
        (json!({"camera": [1]}), "camera: expected an object"),
        (json!({"camera": [{"name": "a"}]}), "camera: the key `url` is missing"),
        (json!({"camera": [{"url": "rtsp://a"}]}), "camera: the key `name` is missing"),
        (
            json!({"camera": [{"name": "yard"}, {"name": "yard"}]}),
            "camera: two cameras are named \"yard\"",
        ),
        (
            json!({"camera": [{"name": "yard"}, {"name": "gate", "url": "x"}]}),
            "camera.url: a camera's URL must begin with rtsp:// (camera gate)",
        ),
        (
            json!({"camera": [{"name": "yard"}, {"name": "gate", "url": "rtsp://a:***@b"}]}),
            "camera.url: no password is stored to replace ***",
        ),
        (
            json!({"camera": [{"name": "yard"}, {"name": "x", "url": "rtsp://a", "buffer_kb": 1}]}),
            "camera.buffer_kb: expected a whole number from 256 to 65536, not 1 (camera x)",
        ),
        (
            json!({"web": {"hosts": ["x".repeat(limits::CONFIG_BYTES_MAX)]}}),
            "the file would be longer than 65536 bytes",
        ),
    ] {
        let wrong = refusal(text, change.clone());
        assert!(wrong.starts_with(words), "{change}: {wrong}");
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }
}

#[test]
fn other_ways_to_write_toml_are_changed_rightly_or_refused_in_words() {
    let change = json!({"storage": {"segment_seconds": 120}});
    assert_eq!(
        after("storage.segment_seconds = 60", change.clone()),
        "storage.segment_seconds = 120"
    );
    assert_eq!(
        after("storage = { segment_seconds = 60 }\n", change.clone()),
        "storage = { segment_seconds = 120 }\n"
    );
    assert_eq!(
        after("[ \"storage\" ]\n'segment_seconds'= 0x3c", change.clone()),
        "[ \"storage\" ]\n'segment_seconds'= 120"
    );
    let path = "[storage]\npath = [ # two\n  '/a', # old\n  '''/b''',\n] # end\n";
    assert_eq!(
        after(path, json!({"storage": {"path": "/c", "keep_days": 1}})),
        "[storage]\npath = \"/c\" # end\nkeep_days = 1\n"
    );
    for text in ["storage.keep_days = 1", "storage = {}"] {
        assert!(refusal(text, change.clone()).contains("add the key by hand"));
    }
    let inline = "camera = [{name = 'a', url = 'rtsp://a', record = true}, {name = 'b', url = 'rtsp://b'}]\n";
    let list = shown(inline)["camera"].as_array().unwrap().clone();
    let mut first = list[0].clone();
    first["record"] = false.into();
    assert_eq!(after(inline, json!({"camera": [first, list[1]]})), inline.replace("true", "false"));
    for cameras in [
        json!([list[0]]),
        json!([list[1], list[0]]),
        json!([list[0], list[1], {"name": "c", "url": "rtsp://c"}]),
    ] {
        assert!(refusal(inline, json!({"camera": cameras})).contains("edit it by hand"));
    }
    assert!(
        refusal("camera = []", json!({"camera": [{"name": "c", "url": "rtsp://c"}]}))
            .contains("by hand")
    );
    // A line that only looks like a comment.
    let text = "[web]\nhosts = ['''\n# a''']\n[[camera]]\nname='a'\nurl='rtsp://a'\n";
    assert_eq!(after(text, json!({"camera": []})), "[web]\nhosts = ['''\n# a''']\n");
}

/// One of these notations for each section, in any order.
fn file() -> impl Strategy<Value = String> {
    let storage = prop::sample::select(
        &[
            "",
            "[storage]",
            "[storage] # s\n  segment_seconds = 30\t# half\n# keep_days\nkeep_days=1",
            "[ 'storage' ]\npath = [ # p\n '/a',\n\n '/b' ] # q\n",
            "[storage]\n# a\n\n\"keep_days\" = 0x1\npath = \"\"\"\n/a\"\"\"\n# b",
        ][..],
    );
    let web = prop::sample::select(
        &["", "# w\n[web]\nhosts = []\n", "[web]\nauth = 'none'\n\n# end\n"][..],
    );
    let log = prop::sample::select(&["", "[log]", "[log]\nlevel = \"warn\""][..]);
    let camera = |name: &'static str| {
        let text = prop::sample::select(
            &[
                "",
                "[[camera]]\nname = 'NAME'\nurl = 'rtsp://u:pw-NAME@host/NAME' # u",
                "\n# above NAME\n[[ camera ]]\n\turl = \"rtsp://host/NAME\"\n\t# in\n\tname = \"NAME\"\n# below\n",
                "# NAME\n\n[[camera]]\naudio = true\nname=\"NAME\"\nurl=\"rtsp://u:pw-NAME@host/\"\n#! record = true\n\n",
            ][..],
        );
        text.prop_map(move |text: &str| text.replace("NAME", name))
    };
    let sections = (storage, web, log, camera("a"), camera("b"), camera("c"));
    let order = Just([0_usize, 1, 2, 3, 4, 5]).prop_shuffle();
    (sections, order, any::<bool>(), any::<bool>()).prop_map(|(parts, order, is_dos, has_end)| {
        let parts = [parts.0.into(), parts.1.into(), parts.2.into(), parts.3, parts.4, parts.5];
        let parts: Vec<String> = order.map(|index| parts[index].clone()).into();
        let mut text = parts.join("\n");
        if has_end {
            text.push('\n');
        }
        if is_dos { text.replace('\n', "\r\n") } else { text }
    })
}

fn keys() -> impl Strategy<Value = Json> {
    let keys = prop::sample::select(vec![
        json!({"storage": {"keep_days": 9}}),
        json!({"storage": {"segment_seconds": 99, "path": "/x"}, "log": {"level": "debug"}}),
        json!({"web": {"connections_max": 5}, "ffmpeg": {"path": "f"}}),
        json!({"log": {"level": "error"}, "web": {"hosts": ["h"], "auth": "password"}}),
        json!({}),
    ]);
    keys.prop_map(|keys| keys)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_change_does_what_it_says_and_nothing_else(text in file(), change in keys()) {
        let before = shown(&text);
        let new = after(&text, change.clone());
        let mut wanted = before.clone();
        for (section, keys) in change.as_object().unwrap() {
            for (key, value) in keys.as_object().unwrap() {
                wanted[section][key] = value.clone();
            }
        }
        prop_assert_eq!(shown(&new), wanted, "{}\n→\n{}", text, new);
        // Every comment is still in place.
        let comments = |text: &str| -> Vec<String> {
            let comments = text.lines().filter_map(|line| line.split_once('#'));
            // One is inside a value that is replaced.
            comments.map(|(_, text)| text.into()).filter(|text| text != " p").collect()
        };
        prop_assert_eq!(comments(&text), comments(&new));
        prop_assert_eq!(text.contains("\r\n"), new.contains("\r\n") && !new.replace("\r\n", "").contains('\n'));
        // Setting it again changes nothing.
        prop_assert_eq!(after(&new, change), new);
    }

    #[test]
    fn cameras_become_what_was_asked_for(
        text in file(),
        names in prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5).prop_shuffle(),
        audio in any::<bool>(),
    ) {
        let before = shown(&text);
        let known = before["camera"].as_array().unwrap();
        let cameras: Vec<Json> = names.iter().map(|name| {
            let known = known.iter().find(|camera| camera["name"] == *name);
            let mut camera = known.cloned().unwrap_or_else(|| {
                let mut new = shown("[[camera]]\nname='x'\nurl='rtsp://new/'")["camera"][0].clone();
                new["name"] = (*name).into();
                new["folder"] = (*name).into();
                new["buffer_kb"] = 512.into();
                new
            });
            camera["audio"] = audio.into();
            camera
        }).collect();
        let new = after(&text, json!({"camera": cameras}));
        let mut wanted = before.clone();
        wanted["camera"] = cameras.into();
        prop_assert_eq!(shown(&new), wanted, "{}\n→\n{}", text, new);
        // Each keeps its own password.
        for camera in known {
            let (name, url) = (camera["name"].as_str().unwrap(), camera["url"].as_str().unwrap());
            if url.contains("***") {
                let is_kept = new.contains(&format!("u:pw-{name}@host"));
                prop_assert_eq!(is_kept, names.contains(&name));
            }
        }
        for line in ["[web]", "[log]", "# w", "# s", "# half", "# q", "# end"] {
            let count = |text: &str| text.matches(line).count();
            prop_assert_eq!(count(&text), count(&new), "{:?} in\n{}\n→\n{}", line, text, new);
        }
    }

    #[test]
    fn no_text_and_no_change_panics(
        text in "([ \\[\\]{}\"'.=#\\\\\n]|storage|camera|name|url|rtsp://a|1|,){0,24}",
        change in prop::sample::select(vec![
            json!({"camera": []}),
            json!({"camera": [{"name": "a", "url": "rtsp://a"}], "storage": {"keep_days": 2}}),
        ]),
    ) {
        if let Ok(new) = edit(&text, &change) {
            prop_assert_eq!(&shown(&new)["camera"].as_array().unwrap().len(), &change["camera"].as_array().unwrap().len());
        }
    }
}
