//! The description of one event: names and values, as JSON, as environment variables, and in
//! arguments.

use crate::{
    mp4::identity::ClockTrust,
    storage::{
        catalog::Catalog,
        layout::Asked,
        marks::{Began, Mark},
    },
    units::WallTime,
};
use serde_json::Value as Json;

/// Names and values. Times are UTC, as text and in ms; a value that is not known yet is null.
#[derive(Debug)]
pub(super) struct News(Vec<(&'static str, Json)>);

impl News {
    /// A mark at its beginning, or at its end.
    pub fn of_mark(mark: &Mark, began: &Began) -> News {
        let (begin, clock) = mark.began(began);
        let end = WallTime(begin.0.saturating_add(mark.length_ms.into()));
        let mut news =
            News::of("mark", &mark.camera, begin, mark.course.is_over().then_some(end), clock);
        news.add("source", mark.source.as_str());
        news.add("kind", mark.kind.as_str());
        news.add("words", &*mark.words);
        news
    }

    /// A complete recording; `None` if it is gone.
    pub fn of_segment(camera: &str, number: u32, catalog: &Catalog) -> Option<News> {
        let (folder, entry) = catalog.find(camera, Asked::Number(number))?;
        let end = WallTime(entry.start.0.saturating_add(entry.duration_ms.into()));
        let clock = if entry.clock_trusted { ClockTrust::Trusted } else { ClockTrust::Untrusted };
        let mut news = News::of("segment", camera, entry.start, Some(end), clock);
        news.add("number", number);
        news.add("file", catalog.root.as_ref()?.join(folder.path(entry.name)).to_str()?);
        news.add("duration_ms", entry.duration_ms);
        news.add("bytes", entry.bytes);
        Some(news)
    }

    fn of(
        event: &str,
        camera: &str,
        begin: WallTime,
        end: Option<WallTime>,
        clock: ClockTrust,
    ) -> News {
        let mut news = News(Vec::new());
        news.add("event", event);
        news.add("camera", camera);
        news.add("begin", begin.to_string());
        news.add("begin_ms", begin.0);
        news.add("end", end.map(|end| end.to_string()));
        news.add("end_ms", end.map(|end| end.0));
        news.add("clock_trusted", clock == ClockTrust::Trusted);
        news
    }

    fn add(&mut self, name: &'static str, value: impl Into<Json>) {
        self.0.push((name, value.into()));
    }

    pub fn to_json(&self) -> String {
        let all: Json = self.0.iter().cloned().collect();
        all.to_string()
    }

    /// Names and values as text; null is empty.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let text = |value: &Json| match value {
            Json::String(text) => text.clone(),
            Json::Null => String::new(),
            other => other.to_string(),
        };
        self.0.iter().map(move |(name, value)| (*name, text(value)))
    }

    /// Returns an argument with each `{name}` replaced by its value; braces within a value stay.
    pub fn filled(&self, argument: &str) -> String {
        let mut out = String::new();
        let mut rest = argument;
        while let Some((before, behind)) = rest.split_once('{') {
            out.push_str(before);
            let value = behind.split_once('}').and_then(|(name, after)| {
                let value = self.texts().find(|(known, _)| *known == name)?.1;
                Some((value, after))
            });
            match value {
                Some((value, after)) => {
                    out.push_str(&value);
                    rest = after;
                }
                None => {
                    out.push('{');
                    rest = behind;
                }
            }
        }
        out + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{
        catalog::SegmentTime,
        marks::{Course, Word},
    };
    use proptest::prelude::*;

    fn door(words: &str, course: Course) -> News {
        let begin = SegmentTime {
            boot: [0; 16],
            up_ms: None,
            wall: WallTime(1_795_336_200_500),
            clock: ClockTrust::Trusted,
        };
        let word = |text| Word::new(text).unwrap();
        let (source, kind) = (word("script"), word("door"));
        let (camera, words) = ("yard".to_owned(), words.to_owned());
        let mark = Mark { camera, source, kind, words, begin, length_ms: 1500, course };
        News::of_mark(&mark, &Began::new())
    }

    #[test]
    fn a_mark_is_told_with_its_times() {
        let json: Json =
            serde_json::from_str(&door("the \"back\" door", Course::Over).to_json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "event": "mark", "camera": "yard", "source": "script", "kind": "door",
                "words": "the \"back\" door", "clock_trusted": true,
                "begin": "2026-11-22T08:30:00Z", "begin_ms": 1_795_336_200_500_u64,
                "end": "2026-11-22T08:30:02Z", "end_ms": 1_795_336_202_000_u64,
            })
        );
    }

    #[test]
    fn a_mark_that_goes_on_has_no_end() {
        let news = door("", Course::GoingOn);
        let texts: Vec<_> = news.texts().filter(|(name, _)| name.starts_with("end")).collect();
        assert_eq!(texts, [("end", String::new()), ("end_ms", String::new())]);
        assert!(news.to_json().contains("\"end_ms\":null"));
    }

    #[test]
    fn placeholders_are_replaced_once_and_others_stay() {
        let news = door("{camera} {", Course::Over);
        for (argument, filled) in [
            ("{camera}", "yard"),
            ("a={kind}&b={begin_ms}", "a=door&b=1795336200500"),
            ("{words}{camera}", "{camera} {yard"),
            ("{file} {} {{camera} {camera", "{file} {} {yard {camera"),
            ("", ""),
        ] {
            assert_eq!(news.filled(argument), filled, "{argument}");
        }
    }

    proptest! {
        #[test]
        fn no_argument_panics(argument in "[{}a-z]{0,20}|\\PC{0,20}", words in "\\PC{0,20}") {
            let news = door(&words, Course::Over);
            let filled = news.filled(&argument);
            let has_none = !argument.contains('{');
            prop_assert!(!has_none || filled == argument);
        }
    }
}
