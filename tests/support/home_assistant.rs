//! Home Assistant's rules for a device.

use serde_json::Value;

/// The keys that each part of a device may have, and those that it must have, from the
/// documentation of Home Assistant's integration "MQTT".
const PLATFORMS: [(&str, &[&str], &[&str]); 4] = [
    ("switch", &["cmd_t", "stat_t", "ic"], &["cmd_t"]),
    ("binary_sensor", &["stat_t", "dev_cla", "ent_cat", "json_attr_t"], &["stat_t"]),
    ("sensor", &["stat_t", "unit_of_meas", "ent_cat"], &["stat_t"]),
    ("image", &["img_t"], &["img_t"]),
];

/// Checks a device as Home Assistant does, and returns its state topics.
pub fn topics_of(device: &Value) -> Vec<String> {
    let keys = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(device), ["avty_t", "cmps", "dev", "o"]);
    assert_eq!(keys(&device["o"]), ["name", "sw"]);
    for key in keys(&device["dev"]) {
        assert!(["cu", "ids", "mf", "name", "sw"].contains(&&*key), "{key}");
    }
    let mut topics = vec![device["avty_t"].as_str().unwrap().to_owned()];
    let mut ids = Vec::new();
    for (name, part) in device["cmps"].as_object().unwrap() {
        let (_, may, must) = PLATFORMS.iter().find(|it| part["p"] == it.0).unwrap();
        assert!(name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)), "{name}");
        for key in keys(part) {
            let is_known = ["p", "uniq_id", "name", "~"].contains(&&*key);
            assert!(is_known || may.contains(&&*key), "{name}: {key}");
        }
        assert!(must.iter().all(|key| part[key].is_string()), "{name}");
        let base = part["~"].as_str().unwrap_or_default();
        if let Some(topic) = part["stat_t"].as_str() {
            topics.push(topic.replacen('~', base, 1));
        }
        ids.push(part["uniq_id"].as_str().unwrap().to_owned());
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    topics
}
