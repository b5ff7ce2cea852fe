//! What is published over MQTT: topics, commands, and the device that Home Assistant discovers.
//!
//! ```text
//! TOPIC/status                      online, offline (the will)
//! TOPIC/card/state, …/problem        the card's state; ON if it is in trouble
//! TOPIC/CAMERA/recording            ON, OFF; TOPIC/CAMERA/recording/set switches it
//! TOPIC/CAMERA/motion               ON while something goes on, or has just happened
//! TOPIC/CAMERA/online               ON while its video arrives
//! TOPIC/CAMERA/days                 how many days of recordings fit
//! TOPIC/CAMERA/picture              a JPEG
//! TOPIC/CAMERA/mark                 each mark, as the webhook gets it; alone is not retained
//! ```
//! Spec: home-assistant.io, "MQTT", "Device discovery payload".
//! Knows nothing of: connections, the daemon.

use super::super::control::Wish;
use crate::config::{self, CameraName};
use std::fs;

/// The names under which this recorder is known.
pub(super) struct Home {
    /// What topics begin with.
    pub topic: String,
    /// Where Home Assistant listens; empty: it is not told.
    discovery: String,
}

/// A camera as users see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HomeCamera {
    pub name: String,
    pub label: String,
}

impl Home {
    pub fn new(config: &config::Mqtt) -> Home {
        let topic = config.topic.trim_matches('/');
        let topic = match topic {
            "" => ["smolnvr/", &address(NETWORK_CARDS)].concat(),
            topic => topic.to_owned(),
        };
        Home { topic, discovery: config.discovery.trim_matches('/').to_owned() }
    }

    /// Identifies this recorder to servers and Home Assistant.
    pub fn id(&self) -> String {
        self.topic.replace('/', "_")
    }

    /// The topic of a state of the card or of a camera.
    pub fn topic(&self, of: &str, what: &str) -> String {
        [&*self.topic, "/", of, "/", what].concat()
    }

    /// The topic that tells whether we are connected.
    pub fn status(&self) -> String {
        [&*self.topic, "/status"].concat()
    }

    /// The topic filter of commands.
    pub fn commands(&self) -> String {
        self.topic("+", "recording/set")
    }

    /// The topic filter under which the server retains whether each camera is recorded, including
    /// removed ones.
    pub fn recordings(&self) -> String {
        self.topic("+", "recording")
    }

    /// Returns the camera of such a topic, which any client may have published to.
    pub fn recorded<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let camera = topic.strip_prefix(&self.topic)?.strip_prefix('/')?;
        let name = camera.strip_suffix("/recording")?;
        CameraName::is_valid(name).then_some(name)
    }

    /// The topic on which Home Assistant publishes `online` when it has started.
    pub fn birth(&self) -> String {
        [&*self.discovery, "/status"].concat()
    }

    /// The camera and the wish in a command; `None` if it is none.
    pub fn command<'a>(&self, topic: &'a str, payload: &[u8]) -> Option<(&'a str, Wish)> {
        let camera = topic.strip_prefix(&self.topic)?.strip_prefix('/')?;
        let camera = camera.strip_suffix("/recording/set")?;
        let wish = match payload {
            b"ON" => Wish::Start,
            b"OFF" => Wish::Stop,
            _ => return None,
        };
        Some((camera, wish))
    }

    /// Topic and payload that announce this recorder to Home Assistant, with its page at `page`;
    /// cameras that are `gone` disappear there. `None` if it is not to be told.
    pub fn announcement(
        &self,
        cameras: &[HomeCamera],
        gone: &[String],
        page: &str,
    ) -> Option<(String, String)> {
        if self.discovery.is_empty() {
            return None;
        }
        let id = self.id();
        let filled = |text: &str| text.replace("{id}", &id).replace("{t}", &self.topic);
        let host = rustix::system::uname();
        let host = host.nodename().to_str().unwrap_or_default();
        let mut payload = filled(DEVICE)
            .replace("{host}", host)
            .replace("{v}", env!("CARGO_PKG_VERSION"))
            .replace("{page}", page);
        for HomeCamera { name, label } in cameras {
            // A label has no control characters; JSON escapes the rest.
            let label = serde_json::Value::from(label.as_str()).to_string();
            let label = label.get(1..label.len() - 1).unwrap_or_default();
            payload += &filled(OF_A_CAMERA).replace("{c}", name).replace("{l}", label);
        }
        for name in gone {
            payload += &OF_A_GONE_CAMERA.replace("{c}", name);
        }
        Some(([&*self.discovery, "/device/", &id, "/config"].concat(), payload + "}}"))
    }
}

/// The states of a camera that the server retains.
pub(super) const KEPT: [&str; 5] = ["recording", "motion", "online", "days", "picture"];

/// The address of the first network card, in hexadecimal digits.
fn address(folder: &str) -> String {
    for card in ["/eth0", "/wlan0", "/end0", "/usb0"] {
        if let Ok(address) = fs::read_to_string([folder, card, "/address"].concat()) {
            return address.trim_end().replace(':', "");
        }
    }
    "recorder".to_owned()
}

const NETWORK_CARDS: &str = "/sys/class/net";

const DEVICE: &str = r#"{"dev":{"ids":"{id}","name":"smolnvr {host}","mf":"smolnvr","sw":"{v}"{page}},"o":{"name":"smolnvr","sw":"{v}"},"avty_t":"{t}/status","cmps":{"card_problem":{"p":"binary_sensor","uniq_id":"{id}_card_problem","name":"Card","dev_cla":"problem","ent_cat":"diagnostic","stat_t":"{t}/card/problem"},"card":{"p":"sensor","uniq_id":"{id}_card","name":"Card state","ent_cat":"diagnostic","stat_t":"{t}/card/state"}"#;
const OF_A_CAMERA: &str = r#","{c}_recording":{"p":"switch","uniq_id":"{id}_{c}_recording","name":"{l} recording","ic":"mdi:record-rec","~":"{t}/{c}/recording","stat_t":"~","cmd_t":"~/set"},"{c}_motion":{"p":"binary_sensor","uniq_id":"{id}_{c}_motion","name":"{l} motion","dev_cla":"motion","~":"{t}/{c}","stat_t":"~/motion","json_attr_t":"~/mark"},"{c}_online":{"p":"binary_sensor","uniq_id":"{id}_{c}_online","name":"{l}","dev_cla":"connectivity","ent_cat":"diagnostic","stat_t":"{t}/{c}/online"},"{c}_days":{"p":"sensor","uniq_id":"{id}_{c}_days","name":"{l} days that fit","unit_of_meas":"d","ent_cat":"diagnostic","stat_t":"{t}/{c}/days"},"{c}_picture":{"p":"image","uniq_id":"{id}_{c}_picture","name":"{l} picture","img_t":"{t}/{c}/picture"}"#;
const OF_A_GONE_CAMERA: &str = r#","{c}_recording":{"p":"switch"},"{c}_motion":{"p":"binary_sensor"},"{c}_online":{"p":"binary_sensor"},"{c}_days":{"p":"sensor"},"{c}_picture":{"p":"image"}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn home() -> Home {
        Home { topic: "smolnvr/0a1b".to_owned(), discovery: "homeassistant".to_owned() }
    }

    fn camera(name: &str, label: &str) -> HomeCamera {
        HomeCamera { name: name.to_owned(), label: label.to_owned() }
    }

    fn announced(cameras: &[HomeCamera], gone: &[String]) -> Value {
        let page = ",\"cu\":\"http://10.0.0.7:8080/\"";
        let (topic, payload) = home().announcement(cameras, gone, page).unwrap();
        assert_eq!(topic, "homeassistant/device/smolnvr_0a1b/config");
        serde_json::from_str(&payload).unwrap_or_else(|error| panic!("{error}: {payload}"))
    }

    #[test]
    fn each_camera_has_a_switch_a_motion_sensor_and_a_picture_of_its_own() {
        let device = announced(&[camera("yard", "\"Süd\" \\ {c}\""), camera("gate", "gate")], &[]);
        assert_eq!(device["avty_t"], "smolnvr/0a1b/status");
        assert_eq!(device["dev"]["cu"], "http://10.0.0.7:8080/");
        let parts = device["cmps"].as_object().unwrap();
        assert_eq!(parts.len(), 2 + 2 * 5);
        let mut ids: Vec<_> = parts.values().map(|it| it["uniq_id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), parts.len(), "every id once");
        assert!(ids.iter().all(|id| id.starts_with("smolnvr_0a1b_")), "{ids:?}");
        let switch = &parts["yard_recording"];
        assert_eq!(switch["name"], "\"Süd\" \\ {c}\" recording");
        assert_eq!(
            (&switch["~"], &switch["cmd_t"]),
            (&"smolnvr/0a1b/yard/recording".into(), &"~/set".into())
        );
    }

    #[test]
    fn a_camera_that_is_gone_is_named_without_anything_else() {
        let device = announced(&[camera("gate", "gate")], &["yard".to_owned()]);
        let parts = device["cmps"].as_object().unwrap();
        let gone: Vec<_> = parts.iter().filter(|(name, _)| name.starts_with("yard")).collect();
        assert_eq!(gone.len(), 5);
        assert!(gone.iter().all(|(_, part)| part.as_object().unwrap().len() == 1), "{gone:?}");
    }

    #[test]
    fn only_on_and_off_for_a_camera_are_commands() {
        let home = home();
        let command = |topic, payload: &[u8]| home.command(topic, payload);
        assert_eq!(command("smolnvr/0a1b/yard/recording/set", b"ON"), Some(("yard", Wish::Start)));
        assert_eq!(command("smolnvr/0a1b/yard/recording/set", b"OFF"), Some(("yard", Wish::Stop)));
        for (topic, payload) in [
            ("smolnvr/0a1b/yard/recording/set", &b"on"[..]),
            ("smolnvr/0a1b/yard/recording/set", b""),
            ("smolnvr/0a1b/yard/recording", b"ON"),
            ("smolnvr/0a1byard/recording/set", b"ON"),
            ("smolnvr/0a1b/recording/set", b"ON"),
            ("other/yard/recording/set", b"ON"),
        ] {
            assert_eq!(command(topic, payload), None, "{topic}");
        }
    }

    #[test]
    fn a_kept_state_names_its_camera() {
        let home = home();
        assert_eq!(home.recorded("smolnvr/0a1b/yard/recording"), Some("yard"));
        for topic in [
            "smolnvr/0a1b/yard/motion",
            "smolnvr/0a1b/a/b/recording",
            "smolnvr/0a1b/\":1}/recording",
            "smolnvr/0a1b//recording",
            "x/yard/recording",
        ] {
            assert_eq!(home.recorded(topic), None, "{topic}");
        }
    }

    #[test]
    fn a_recorder_is_known_by_its_network_card() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(address(folder.path().to_str().unwrap()), "recorder");
        for (card, address) in [("lo", "00:00:00:00:00:00\n"), ("wlan0", "0a:1b:2c:3d:4e:5f\n")] {
            fs::create_dir(folder.path().join(card)).unwrap();
            fs::write(folder.path().join(card).join("address"), address).unwrap();
        }
        assert_eq!(address(folder.path().to_str().unwrap()), "0a1b2c3d4e5f");
    }
}
