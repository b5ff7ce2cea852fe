//! A configuration's text, read by another reader of TOML too.

use smolnvr::config::{Config, Error};
use std::path::Path;

pub const WORDS: &[&str] = &[
    "[storage]\n",
    "[[camera]]\n",
    "[web]\n",
    "[ffmpeg]\n",
    "[log]\n",
    "name = \"yard\"\n",
    "url = \"rtsp://a:b@10.0.0.2/\"\n",
    "live_url = \"\"\n",
    "transport = \"udp\"\n",
    "engine = \"native\"\n",
    "audio = true\n",
    "record = false\n",
    "buffer_kb = 2048\n",
    "snapshot = \"off\"\n",
    "path = [\"/a\", \"/b\"]\n",
    "require_mount = true\n",
    "segment_seconds = 60\n",
    "keep_days = 0\n",
    "sync_seconds = 0x5\n",
    "hosts = []\n",
    "listen = \"127.0.0.1:80\"\n",
    "connections_max = 2_4\n",
    "level = 'debug'\n",
    "\"\"\"",
    "'''",
    "\\u00e4",
    "\\f",
    "\\b",
    "\\n",
    "path = \"\"",
    "\\U0001F600",
    "\\\n",
    "storage.keep_days = 3\n",
    "camera = [{ name = 'a', url = 'rtsp://a' }]\n",
    "{ ",
    " }",
    ", ",
    " = ",
    "\n = 1\n",
    "\n\"\" = 1\n",
    "[]\n",
    "[storage.]\n",
    "\n. = 1\n",
    "# ",
    "1979-05-27",
    "1e3",
    "inf",
    "0b1",
    "+1",
    "\r\n",
];

pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let theirs = toml::from_str::<toml::Table>(&text);
    match Config::parse(&text, Path::new("x.toml")) {
        Ok(config) => {
            let theirs = theirs.unwrap_or_else(|error| panic!("{text:?} is no TOML: {error}"));
            let shown = config.to_json();
            for (section, keys) in &theirs {
                check_values(&shown[section], keys);
            }
            check_shown(&config);
        }
        Err(error) => check_error(&error, &text),
    }
}

/// Numbers and switches are shown as the other reader reads them, in every section.
fn check_values(shown: &serde_json::Value, read: &toml::Value) {
    match read {
        toml::Value::Table(keys) => {
            keys.iter().for_each(|(key, value)| check_values(&shown[key], value));
        }
        toml::Value::Array(sections) if sections.iter().all(toml::Value::is_table) => {
            for (index, section) in sections.iter().enumerate() {
                check_values(&shown[index], section);
            }
        }
        toml::Value::Integer(number) => assert_eq!(shown, number),
        toml::Value::Boolean(is_so) => assert_eq!(shown, is_so),
        _ => {}
    }
}

fn check_error(error: &Error, text: &str) {
    let Error::Wrong { line, message, .. } = error else { panic!("no file was read") };
    assert!((1..=text.matches('\n').count() + 1).contains(line), "line {line} of {text:?}");
    assert!(!message.is_empty());
    // A key without a letter is no key, unless it is quoted.
    assert!(!message.contains("``") || text.contains("\"\"") || text.contains("''"), "{text:?}");
}

/// The shown configuration has every section and no password.
fn check_shown(config: &Config) {
    let shown = config.to_json();
    for section in ["storage", "camera", "web", "ffmpeg", "log"] {
        assert!(shown.get(section).is_some(), "{section} in {shown}");
    }
    for (camera, shown) in config.camera.iter().zip(shown["camera"].as_array().expect("a list")) {
        let url = shown["url"].as_str().expect("is text");
        let target = &camera.url.0;
        let (host, masked) = (target.host(), config.unmasked(url, camera.name.as_str()));
        assert!(url.contains(host) || host.contains('%'), "{url}");
        // A shown address that comes back is the stored one.
        let again = masked.expect("it is stored").parse::<smolnvr::http::url::Target>();
        assert_eq!(again.as_ref(), Ok(target));
    }
}
