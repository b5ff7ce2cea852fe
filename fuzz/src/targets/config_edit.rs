//! A change of a configuration: a text, a line `%%%`, and the change as JSON.

use serde_json::{Map, Value as Json};
use smolnvr::config::{Config, edited};
use std::path::Path;

pub const WORDS: &[&str] = &[
    "\n%%%\n",
    "{\"storage\":{\"keep_days\":7}}",
    "{\"log\":{\"level\":\"debug\"}}",
    "\"camera\":[",
    "{\"name\":\"yard\"",
    "\"url\":\"rtsp://a:***@10.0.0.2/\"",
    "\"web\":{\"hosts\":[\"a\"]}",
    "\"path\":[\"/a\",\"/b\"]",
    "\"audio\":true",
    "[storage]\n",
    "[[camera]]\n",
    "[web]\n",
    "name = \"yard\"\n",
    "url = 'rtsp://a:b@10.0.0.2/'\n",
    "# \n",
    "hosts = [\n  # c\n]\n",
    "keep_days = 3 # d\n",
    "\r\n",
    "\t",
    "***",
    "}}",
    "null",
    "camera = []\n",
    "snapshot = \"http://a:b@c/\"\n",
    "\"ffmpeg\":{\"path\":\"\\u0007\"}",
    "\"listen\":\"127.0.0.1:80\"",
];

pub fn config_edit(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some((text, change)) = text.split_once("\n%%%\n") else { return };
    let Ok(change) = serde_json::from_str::<Json>(change) else { return };
    let before = parse(text);
    let new = match edited(text, &change) {
        Ok(new) => new,
        Err(error) => {
            assert!(!is_plain(text) || !error.to_string().contains("by hand"), "{text:?}: {error}");
            return;
        }
    };
    let before = before.expect("only a file that is in order is changed").to_json();
    let after = parse(&new).unwrap_or_else(|| panic!("{new:?} is no configuration")).to_json();
    let change = change.as_object().expect("else it is refused");
    check_values(&before, change, &after);
    check_lines(text, change, &new);
    // A second time changes nothing, nor does the shown configuration.
    let again = |text: &str, change: Json| edited(text, &change).expect("it is in order");
    assert_eq!(again(&new, Json::Object(change.clone())), new);
    assert_eq!(again(&new, after.clone()), new);
    assert_eq!(again(text, Json::Object(Map::new())), text);
    assert_eq!(again(text, before), text);
}

fn parse(text: &str) -> Option<Config> {
    Config::parse(text, Path::new("x.toml")).ok()
}

/// Sections with a header each, and keys in lines of their own: such a file can be changed.
fn is_plain(text: &str) -> bool {
    let is_value = |value: &str| {
        let value = value.trim();
        let inside = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let is_word = !value.is_empty() && value.bytes().all(|it| it.is_ascii_alphanumeric());
        is_word || inside.is_some_and(|inside| !inside.contains(['"', '\\']))
    };
    let is_bare = |key: &str| key.trim().bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    text.lines().all(|line| match line.trim() {
        "" | "[storage]" | "[[camera]]" | "[web]" | "[log]" | "[ffmpeg]" => true,
        line => {
            line.starts_with('#')
                || line.split_once('=').is_some_and(|(key, value)| is_bare(key) && is_value(value))
        }
    })
}

/// The requested change is made, and everything else is unchanged.
fn check_values(before: &Json, change: &Map<String, Json>, after: &Json) {
    for (section, keys) in before.as_object().expect("sections").iter() {
        if section == "camera" {
            continue;
        }
        let asked = change.get(section);
        for (key, value) in keys.as_object().expect("keys") {
            let wanted = asked.and_then(|keys| keys.get(key)).unwrap_or(value);
            assert_eq!(plain(&after[section][key]), plain(wanted), "{section}.{key}");
        }
    }
    let cameras = after["camera"].as_array().expect("a list");
    let Some(asked) = change.get("camera") else {
        return assert_eq!(after["camera"], before["camera"]);
    };
    let asked = asked.as_array().expect("else it is refused");
    assert_eq!(asked.len(), cameras.len());
    for (asked, camera) in asked.iter().zip(cameras) {
        let known = before["camera"].as_array().expect("a list").iter();
        let known = known.clone().find(|known| known["name"] == asked["name"]);
        for (key, value) in camera.as_object().expect("keys") {
            let is_address = matches!(key.as_str(), "url" | "live_url" | "snapshot");
            match (asked.get(key), known) {
                (Some(asked), _) if !is_address => assert_eq!(plain(value), plain(asked), "{key}"),
                (None, Some(known)) => assert_eq!(value, &known[key], "{key}"),
                _ => {}
            }
        }
    }
}

/// A list of one is that one.
fn plain(value: &Json) -> &Json {
    match value.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        _ => value,
    }
}

/// Lines that hold nothing that was to change stand in the new text, in their order.
fn check_lines(text: &str, change: &Map<String, Json>, new: &str) {
    let is_in_one_line = |line: &str| {
        let is_list = line.matches('[').count() != line.matches(']').count();
        let is_table = line.matches('{').count() != line.matches('}').count();
        !is_list && !is_table && !line.contains("\"\"\"") && !line.contains("'''")
    };
    if change.contains_key("camera") || !text.lines().all(is_in_one_line) {
        return;
    }
    let keys = || change.values().filter_map(Json::as_object).flat_map(Map::keys);
    let may_change = |line: &str| {
        !line.trim_start().starts_with('#') && keys().any(|key| line.contains(key.as_str()))
    };
    let mut lines = new.split('\n');
    for line in text.split('\n').filter(|line| !may_change(line) && !line.contains('\\')) {
        // The last line may get its end.
        let is_it = |new: &&str| *new == line || new.strip_suffix('\r') == Some(line);
        assert!(lines.by_ref().any(|new| is_it(&new)), "{line:?} of {text:?} is not in {new:?}");
    }
}
