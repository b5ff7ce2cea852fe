//! Notifications: a document of a camera in, what its detectors say out. The document is one of the
//! metadata stream, or the answer to `PullMessages`.
//!
//! Spec: ONVIF Core §9.4, §9.5 (messages), Streaming §5.2 (metadata), Analytics annexes A and C
//! (topics), Imaging §7 (motion alarm). Quirk: topics and names of items differ from maker to
//! maker, so topics are known by their last part, or the one before.

use super::read;
use crate::{limits, xml::Event};
use std::time::Instant;

/// What one detector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    pub kind: NoticeKind,
    /// Tells the detectors of one kind apart: of each rule, each input.
    pub source: u32,
    pub state: NoticeState,
    /// It was so when we began to listen, since an unknown time.
    pub is_before: bool,
}

/// What is noticed: an index into [`KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeKind(u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    On,
    Off,
    /// It happened, and has no length.
    Moment,
}

impl NoticeKind {
    /// The word of a mark.
    pub fn name(self) -> &'static str {
        KINDS.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    fn of(name: &str) -> Option<NoticeKind> {
        let at = KINDS.iter().position(|kind| *kind == name)?;
        u8::try_from(at).ok().map(NoticeKind)
    }
}

/// Returns the notices in a document, as far as it can be read; at most [`limits::NOTICES_MAX`].
pub fn notices(document: &[u8]) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut message = Message::default();
    read(document, &mut |path, event| match (path, event) {
        ([.., "NotificationMessage"], Event::Start(_)) => message = Message::default(),
        ([.., "NotificationMessage", "Topic"], Event::Text(topic)) => message.topic(topic),
        ([.., "NotificationMessage", "Message", "Message"], Event::Start(element)) => {
            message.operation(&element.attribute("PropertyOperation").unwrap_or_default());
        }
        ([.., "Message", "Message", part, "SimpleItem"], Event::Start(item)) => {
            let name = item.attribute("Name").unwrap_or_default();
            message.item(part, &name, &item.attribute("Value").unwrap_or_default());
        }
        (_, Event::End("NotificationMessage")) if notices.len() < limits::NOTICES_MAX => {
            notices.extend(std::mem::take(&mut message).notice());
        }
        _ => {}
    });
    notices
}

/// A message being read.
#[derive(Default)]
struct Message {
    kind: Option<NoticeKind>,
    source: u32,
    is_before: bool,
    /// Its property was deleted.
    is_deleted: bool,
    value: Option<bool>,
}

impl Message {
    fn topic(&mut self, topic: &str) {
        // Quirk: `tns1:RuleEngine/CellMotionDetector/Motion/`, and `…/Motion//.`.
        let mut parts = topic.trim().rsplit(['/', ':']).filter(|part| !matches!(*part, "" | "."));
        let is_new = self.kind.is_none();
        // Or by the one before: AXIS names the user's profile last.
        let known = parts
            .by_ref()
            .take(2)
            .filter(|_| is_new)
            .find_map(|part| TOPICS.iter().find(|(topic, _)| topic.eq_ignore_ascii_case(part)));
        self.kind = known.and_then(|(_, kind)| NoticeKind::of(kind)).or(self.kind);
    }

    fn operation(&mut self, operation: &str) {
        self.is_before = operation == "Initialized";
        self.is_deleted = operation == "Deleted";
    }

    fn item(&mut self, part: &str, name: &str, value: &str) {
        if part == "Source" {
            let bytes = name.bytes().chain(value.bytes());
            self.source = bytes.fold(self.source, |sum, byte| {
                (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193) // as in FNV-1a
            });
        }
        if part != "Data" || self.value.is_some() {
            return;
        }
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let is_on = ["true", "1", "active", "on"].iter().any(|it| it.eq_ignore_ascii_case(value));
        if name == "classtypes" {
            self.value = Some(!value.is_empty());
        } else if name.starts_with("is") || STATES.contains(&&*name) {
            self.value = Some(is_on);
            // TP-Link has one topic for all, and says by the item what was seen.
            let told = ITEMS.iter().find(|(item, _)| *item == name);
            self.kind = told.and_then(|(_, kind)| NoticeKind::of(kind)).or(self.kind);
        }
    }

    fn notice(self) -> Option<Notice> {
        let kind = self.kind?;
        let state = match self.value {
            Some(true) if !self.is_deleted => NoticeState::On,
            None if MOMENTS.contains(&kind.name()) => NoticeState::Moment,
            // Quirk: asecam says that nothing moves any more by a message without a word.
            _ => NoticeState::Off,
        };
        Some(Notice { kind, source: self.source, state, is_before: self.is_before })
    }
}

/// What goes on in front of a camera, as its notices tell.
#[derive(Debug, Default)]
pub struct Ongoing {
    on: Vec<On>,
    /// Detectors that reported their end: their next notice is new, whatever its operation.
    off: Vec<(NoticeKind, u32)>,
    /// A bit for each kind whose end the camera has told: it will tell the next one too.
    ends: u32,
}

#[derive(Debug)]
struct On {
    kind: NoticeKind,
    source: u32,
    /// When it is taken to have ended.
    until: Instant,
}

impl Ongoing {
    /// Takes a notice; returns true if it is a sign that something of its kind happens.
    ///
    /// Quirk: TVT and several recorders never tell the end, so for kinds whose end was never told
    /// it comes after [`limits::NOTICE_ON`]. Quirk: Tapo C210 calls every change `Initialized`.
    pub fn take(&mut self, notice: Notice, now: Instant) -> bool {
        let Notice { kind, source, state, is_before } = notice;
        let at = self.on.iter().position(|it| (it.kind, it.source) == (kind, source));
        let bit = 1 << (kind.0 % 32);
        let was_off = self.off.iter().position(|it| *it == (kind, source));
        match state {
            NoticeState::Moment => !is_before,
            NoticeState::Off => {
                // Recorders that tell how it was before may tell no end all the same.
                self.ends |= if is_before { 0 } else { bit };
                if was_off.is_none() && self.off.len() < limits::NOTICES_MAX {
                    self.off.push((kind, source));
                }
                at.map(|at| self.on.swap_remove(at)).is_some()
            }
            NoticeState::On if is_before && at.is_none() && was_off.is_none() => false,
            NoticeState::On => {
                was_off.map(|was_off| self.off.swap_remove(was_off));
                let has_end = self.ends & bit != 0;
                let span = if has_end { limits::NOTICE_ON_MAX } else { limits::NOTICE_ON };
                let until = now + span;
                let has_room = self.on.len() < limits::NOTICES_MAX;
                match at.and_then(|at| self.on.get_mut(at)) {
                    Some(on) => on.until = until,
                    None if has_room => self.on.push(On { kind, source, until }),
                    None => {}
                }
                true
            }
        }
    }

    /// Forgets what has ended, and calls `each` with what goes on, perhaps several times.
    pub fn going_on(&mut self, now: Instant, each: &mut dyn FnMut(NoticeKind)) {
        self.on.retain(|on| on.until > now);
        self.on.iter().for_each(|on| each(on.kind));
    }

    /// Forgets what goes on.
    pub fn clear(&mut self) {
        self.on.clear();
        self.off.clear();
    }
}

/// The words of marks.
const KINDS: [&str; 13] = [
    "motion", "person", "vehicle", "animal", "face", "visitor", "package", "line", "field",
    "object", "tamper", "input", "sound",
];
/// Kinds that are moments if no state is given.
const MOMENTS: [&str; 2] = ["line", "object"];
/// The last parts of topics.
const TOPICS: [(&str, &str); 26] = [
    // VideoSource/MotionAlarm: Hikvision, majestic, most.
    ("MotionAlarm", "motion"),
    // RuleEngine/CellMotionDetector/Motion, RuleEngine/MotionRegionDetector/Motion: Profiles S, T.
    ("Motion", "motion"),
    // VideoAnalytics/MotionDetection: AXIS.
    ("MotionDetection", "motion"),
    // RuleEngine/TPSmartEventDetector/TPSmartEvent: Tapo.
    ("TPSmartEvent", "motion"),
    // CameraApplicationPlatform/VMD/Camera1Profile1, …/ObjectAnalytics/Device1Scenario1, …: AXIS.
    ("VMD", "motion"),
    ("MotionGuard", "motion"),
    ("ObjectAnalytics", "object"),
    ("FenceGuard", "line"),
    ("LoiteringGuard", "field"),
    // RuleEngine/PeopleDetector/People: Tapo.
    ("People", "person"),
    // RuleEngine/MyRuleDetector/…: Reolink.
    ("PeopleDetect", "person"),
    ("VehicleDetect", "vehicle"),
    ("DogCatDetect", "animal"),
    ("FaceDetect", "face"),
    // RuleEngine/FaceDetector/Face: majestic.
    ("Face", "face"),
    ("Visitor", "visitor"),
    ("Package", "package"),
    // UserAlarm/IVA/HumanShapeDetect.
    ("HumanShapeDetect", "person"),
    // RuleEngine/LineDetector/Crossed, RuleEngine/FieldDetector/ObjectsInside: Hikvision, Dahua,
    // Bosch.
    ("Crossed", "line"),
    ("LineCross", "line"),
    ("ObjectsInside", "field"),
    ("Intrusion", "field"),
    // RuleEngine/ObjectDetection/Object: AXIS.
    ("Object", "object"),
    ("Tamper", "tamper"),
    // Device/Trigger/DigitalInput, tnshik:AlarmIn.
    ("DigitalInput", "input"),
    ("AlarmIn", "input"),
];
/// Items of Data that say what was seen, in lower case.
const ITEMS: [(&str, &str); 7] = [
    ("ispeople", "person"),
    ("isvehicle", "vehicle"),
    ("ispet", "animal"),
    ("islinecross", "line"),
    ("isintrusion", "field"),
    ("istamper", "tamper"),
    ("issounddetected", "sound"),
];
/// Items of Data that say whether it goes on, in lower case.
const STATES: [&str; 4] = ["state", "logicalstate", "active", "motion"];

#[cfg(test)]
#[path = "tests/notice.rs"]
mod tests;
