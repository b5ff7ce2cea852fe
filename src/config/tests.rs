use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("x.toml")).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_is_a_configuration_with_every_default() {
    let config = parse("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.storage.segment_seconds.get(), 60);
    assert!(config.camera.is_empty());
}

#[test]
fn the_shipped_file_is_valid_and_lists_every_key_with_its_default() {
    let text = include_str!("../../overlay/etc/smolnvr.toml");
    let config = parse(text).unwrap();
    assert_eq!(config, Config::default());
    // The shipped camera section is commented out; uncommented, it must be valid and complete.
    let with_camera: String = text
        .lines()
        .map(|line| line.strip_prefix("#! ").unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = parse(&with_camera).unwrap();
    let minimal = parse(
        "[[camera]]\nname=\"camera\"\nfolder=\".\"\nurl=\"rtsp://admin:secret@192.168.1.20:554/\"",
    );
    assert_eq!(config, minimal.unwrap());
    for key in [
        "path",
        "require_mount",
        "segment_seconds",
        "keep_free_percent",
        "keep_days",
        "thin_after_days",
        "sync_seconds",
        "name",
        "label",
        "folder",
        "url",
        "live_url",
        "transport",
        "engine",
        "audio",
        "record",
        "buffer_kb",
        "snapshot",
        "snapshot_interval_ms",
        "motion",
        "motion_sensitivity",
        "motion_mask",
        "listen",
        "auth",
        "connections_max",
        "hosts",
        "level",
        "on_mark",
        "on_segment",
        "webhook",
        "webhook_segments",
        "broker",
        "topic",
        "discovery",
    ] {
        let keys = with_camera.lines().filter(|line| line.starts_with(&format!("{key} =")));
        assert!(keys.count() >= 1, "{key} is not in the shipped file");
    }
}

#[test]
fn storage_path_may_be_a_list() {
    let config = parse("[storage]\npath = [\"/mnt/mmcblk0p1/r\", \"/mnt/mmcblk0/r\"]").unwrap();
    assert_eq!(config.storage.path.0.len(), 2);
}

/// Invalid files, each with the line and the words that its message must contain.
const WRONG: &[(&str, usize, &[&str])] = &[
    ("[storage]\nsegment_seconds = 1", 2, &["storage.segment_seconds", "2 to 3600"]),
    ("[storage]\nsegment_seconds = 3601", 2, &["storage.segment_seconds", "2 to 3600"]),
    ("[storage]\n\nsegment_seconds = \"60\"", 3, &["storage.segment_seconds", "2 to 3600"]),
    ("[storage]\nkeep_free_percent = -1", 2, &["storage.keep_free_percent", "0 to 90"]),
    ("[storage]\nkeep_days = 1.5", 2, &["storage.keep_days", "a whole number"]),
    ("[storage]\nsync_seconds = 0", 2, &["storage.sync_seconds", "1 to 60"]),
    ("[storage]\nrequire_mount = 1", 2, &["storage.require_mount", "true or false, not 1"]),
    ("[storage]\npath = \"recordings\"", 2, &["storage.path", "absolute path"]),
    ("[storage]\npath = []", 2, &["storage.path", "absolute path"]),
    ("[storage]\nkeep_weeks = 2", 2, &["keep_weeks", "storage", "keep_days"]),
    ("[store]", 1, &["store", "storage"]),
    ("[hooks]\non_mark = \"/bin/true\"", 2, &["hooks.on_mark", "a list: ["]),
    ("[hooks]\nwebhook = \"https://a/\"", 2, &["hooks.webhook", "http://"]),
    ("[mqtt]\nbroker = \"mqtts://a\"", 2, &["mqtt.broker", "mqtt://"]),
    ("[mqtt]\nbroker = \"mqtt://:1883\"", 2, &["mqtt.broker", "no host"]),
    ("[mqtt]\nserver = \"a\"", 2, &["mqtt.server", "`broker`"]),
    ("[mqtt]\ntopic = \"a/#\"", 2, &["mqtt.topic", "at most 64 characters"]),
    ("[[camera]]\nurl = \"rtsp://a/\"", 1, &["camera", "name"]),
    ("[[camera]]\nname = \"yard\"", 1, &["camera", "url"]),
    ("[[camera]]\nname = \"Yard\"\nurl = \"rtsp://a/\"", 2, &["camera.name", "a-z"]),
    ("[[camera]]\nname = \"\"\nurl = \"rtsp://a/\"", 2, &["camera.name", "1 to 32"]),
    ("[[camera]]\nname = \"a\"\nurl = \"http://a/\"", 3, &["camera.url", "rtsp://"]),
    ("[[camera]]\nname = \"a\"\nurl = \"rtsp://\"", 3, &["camera.url", "rtsp://"]),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\ntransport = \"sctp\"",
        4,
        &["camera.transport", "tcp", "udp"],
    ),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\nengine = \"vlc\"",
        4,
        &["camera.engine", "native", "ffmpeg"],
    ),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\nmotion = \"mpeg\"",
        4,
        &["camera.motion", "off", "jpeg", "majestic"],
    ),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\nmotion_sensitivity = 10",
        4,
        &["camera.motion_sensitivity", "1 to 9"],
    ),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\nmotion_mask = \"0 0 100\"",
        4,
        &["camera.motion_mask", "0 0 100 10, 60 40 100 60"],
    ),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\nbuffer_kb = 64",
        4,
        &["camera.buffer_kb", "256 to 65536"],
    ),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\nsnapshot = \"ftp://b/\"",
        4,
        &["camera.snapshot", "http://"],
    ),
    (
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\n\n[[camera]]\nname = \"a\"\nurl = \"rtsp://b/\"",
        5,
        &["camera", "\"a\"", "unique"],
    ),
    ("[web]\nlisten = \"8080\"", 2, &["web.listen", "address"]),
    ("[web]\nauth = \"basic\"", 2, &["web.auth", "password", "none"]),
    ("[web]\nconnections_max = 1000", 2, &["web.connections_max", "4 to 64"]),
    ("[web]\nhosts = \"nvr.example\"", 2, &["web.hosts", "a list"]),
    ("[log]\nlevel = \"loud\"", 2, &["log.level", "info"]),
    ("[log]\nlevel = \"info\"\nlevel = \"warn\"", 3, &["level", "duplicate"]),
    ("[storage\npath = 1", 1, &["expected"]),
];

#[test]
fn every_wrong_file_is_named_by_line_key_and_what_is_allowed() {
    let mut failures = String::new();
    for (text, line, words) in WRONG {
        let message = parse(text).expect_err(text);
        if !message.starts_with(&format!("x.toml:{line}: "))
            || !words.iter().all(|word| message.contains(word))
        {
            failures += &format!("{text:?}\n  wants line {line} and {words:?}\n  got {message}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn a_password_is_in_no_message() {
    for text in [
        "[[camera]]\nname = \"a\"\nurl = \"rtsps://admin:hunter2@b/\"",
        "[[camera]]\nname = \"a\"\nurl = \"rtsp://admin:hunter2@b:99999/\"",
    ] {
        let message = parse(text).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
    let text = "[[camera]]\nname = \"a\"\nurl = \"rtsp://admin:hunter2@b/\"";
    let text = format!("{text}\nsnapshot = \"http://admin:hunter2@b/\"");
    assert!(!format!("{:?}", parse(&text).unwrap()).contains("hunter2"));
}

#[test]
fn a_url_without_end_is_refused() {
    let long = "x".repeat(limits::URL_BYTES_MAX);
    for (key, scheme) in [("url", "rtsp"), ("live_url", "rtsp"), ("snapshot", "http")] {
        let url = if key == "url" { "" } else { "url = \"rtsp://a/\"\n" };
        let text = format!("[[camera]]\nname = \"a\"\n{url}{key} = \"{scheme}://{long}\"");
        let message = parse(&text).unwrap_err();
        assert!(message.contains(&format!("camera.{key}")), "{message}");
        assert!(message.contains("1000 characters") && message.len() < 200, "{message}");
    }
}

#[test]
fn a_seventeenth_camera_is_refused() {
    let camera = |number| format!("[[camera]]\nname = \"c{number}\"\nurl = \"rtsp://a/\"\n");
    let text: String = (0..=limits::CAMERAS_MAX).map(camera).collect();
    assert!(parse(&text).unwrap_err().contains("more than 16 cameras"));
}

#[test]
fn a_setting_without_effect_is_reported() {
    let text = "[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\n";
    assert_eq!(parse(&format!("{text}audio = true")).unwrap().camera[0].left_out(), None);
    let text = format!("{text}engine = \"ffmpeg\"\naudio = true");
    let left_out = parse(&text).unwrap().camera[0].left_out();
    assert_eq!(left_out, Some("no sound is recorded: audio = true requires engine = \"native\""));
}

#[test]
fn a_second_camera_of_ffmpegs_is_refused() {
    let camera = |name: &str, engine: &str| {
        format!("[[camera]]\nname = \"{name}\"\nurl = \"rtsp://a/\"\nengine = \"{engine}\"\n")
    };
    assert!(parse(&(camera("a", "ffmpeg") + &camera("b", "native"))).is_ok());
    let error = parse(&(camera("a", "ffmpeg") + &camera("b", "ffmpeg"))).unwrap_err();
    assert!(error.contains("\"a\" and \"b\" both have engine = \"ffmpeg\""), "{error}");
}

#[test]
fn a_file_without_end_is_refused() {
    let error = Config::read(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("/dev/zero: is longer than 65536 bytes"), "{error}");
}

#[test]
fn each_camera_records_into_a_folder_of_its_own() {
    let text = "[[camera]]\nname = \"yard\"\nurl = \"rtsp://a/\"\n[[camera]]\nname = \"camera\"\nurl = \
                \"rtsp://a/\"\n[[camera]]\nname = \"gate\"\nfolder = \"Tor_1\"\nurl = \"rtsp://a/\"\n";
    let config = Config::parse(text, Path::new("x.toml")).unwrap();
    let folders: Vec<_> = config.camera.iter().map(Camera::folder).collect();
    assert_eq!(folders, [".", "camera", "Tor_1"]);
    let shared = text.replace("Tor_1", "CAMERA");
    let error = Config::parse(&shared, Path::new("x.toml")).unwrap_err().to_string();
    assert!(error.contains("\"camera\" and \"gate\" both record into \"CAMERA\""), "{error}");
    for folder in ["", "..", "a/b", "/a", "a.b", "com1", "NUL", " a", &"a".repeat(33)] {
        let error = Config::parse(&text.replace("Tor_1", folder), Path::new("x.toml"));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("x.toml:9: camera.folder: expected"), "{error}");
    }
}

#[test]
fn the_first_camera_records_where_it_always_did() {
    let section = |name: &str| format!("[[camera]]\nname = \"{name}\"\nurl = \"rtsp://a/\"\n");
    let parse = |names: &[&str]| {
        let text: String = names.iter().map(|name| section(name)).collect();
        Config::parse(&text, Path::new("x.toml")).unwrap()
    };
    let folders = |config: &Config| -> Vec<String> {
        config.camera.iter().map(|camera| camera.folder().to_owned()).collect()
    };
    let before = parse(&["yard", "gate"]);
    assert_eq!(folders(&before), [".", "gate"]);
    let taken = section("yard") + &section("gate").replace("url", "folder = \".\"\nurl");
    let taken = Config::parse(&taken, Path::new("x.toml")).unwrap();
    assert_eq!(folders(&taken), ["yard", "."]);
    // While the recorder runs, no camera moves because of changes to others.
    for (names, expected) in [
        (&["gate", "yard"][..], &["gate", "."][..]),
        (&["gate"], &["gate"]),
        (&["new", "yard"], &["new", "."]),
        (&["garden", "gate"], &[".", "gate"]),
    ] {
        let mut config = parse(names);
        config.stay_in_place(&before);
        assert_eq!(folders(&config), expected, "{names:?}");
    }
}

#[test]
fn a_label_is_one_line_of_any_script() {
    let text = |label: &str| {
        format!("[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"\nlabel = \"{label}\"\n")
    };
    let parse = |label: &str| Config::parse(&text(label), Path::new("x.toml"));
    for label in ["", "Das Tor", "Двор", "前庭", &"é".repeat(64)] {
        let shown = if label.is_empty() { "a" } else { label };
        assert_eq!(parse(label).unwrap().camera[0].label(), shown);
    }
    for label in [&*"é".repeat(65), "a\\tb", "a\u{202e}b"] {
        let error = parse(label).unwrap_err().to_string();
        assert!(error.contains("camera.label: expected at most 64 characters"), "{error}");
    }
}
