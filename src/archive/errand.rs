//! One recording on its way to the store: the next request, and the meaning of the answers.
//!
//! The store is first asked for the recording, so that none is sent twice, even if progress is
//! lost. The file gets its final name only once all of it is there, and the store is then asked for
//! its length. Spec: RFC 4918 §9.3 (MKCOL), §9.9 (MOVE); Amazon S3 API, PutObject, HeadObject.
//! Knows nothing of: sockets, files, signatures.

use std::fmt;

/// The store's protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    WebDav,
    S3,
}

/// *Shape*: gives the next request until [`Errand::answered`] returns false.
#[derive(Debug)]
pub(super) struct Errand {
    protocol: Protocol,
    /// Path of the recording, percent-encoded; we choose its last three segments.
    path: String,
    bytes: u64,
    step: ErrandStep,
    /// The folder exists and need not be created.
    pub folder_is_there: bool,
    /// Something has the recording's name already, and is replaced.
    replaces: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ErrandStep {
    /// Asks whether the recording is there already.
    Look,
    /// Creates the folder above this many segments.
    Folder(usize),
    Send,
    /// Gives the file its final name.
    Move,
    /// Asks whether all of it is there.
    Check,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) struct StoreRequest {
    pub method: &'static str,
    pub path: String,
    /// The path to move the file to, and whether a file there is replaced.
    pub destination: Option<(String, bool)>,
}

/// Why the store does not have the recording: the fault of the store or of its settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StoreRefused {
    Status(ErrandStep, u16),
    /// The store has this many bytes of it.
    Length(u64),
}

impl Errand {
    pub fn new(protocol: Protocol, path: String, bytes: u64) -> Errand {
        Errand {
            protocol,
            path,
            bytes,
            step: ErrandStep::Look,
            folder_is_there: false,
            replaces: false,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    pub fn request(&self) -> StoreRequest {
        let part = || [&self.path, SUFFIX].concat();
        let (method, path) = match self.step {
            ErrandStep::Look | ErrandStep::Check => ("HEAD", self.path.clone()),
            ErrandStep::Folder(left) => {
                let end = self.path.rmatch_indices('/').nth(left).map_or(0, |(at, _)| at + 1);
                ("MKCOL", self.path.get(..end).unwrap_or_default().to_owned())
            }
            ErrandStep::Send if self.protocol == Protocol::S3 => ("PUT", self.path.clone()),
            ErrandStep::Send => ("PUT", part()),
            ErrandStep::Move => ("MOVE", part()),
        };
        let destination =
            (self.step == ErrandStep::Move).then(|| (self.path.clone(), self.replaces));
        StoreRequest { method, path, destination }
    }

    /// Returns true if another request follows, false if the store has the whole recording.
    /// `length` is the `Content-Length` of an answer to HEAD.
    ///
    /// # Errors
    /// The store does not accept the recording now.
    pub fn answered(&mut self, status: u16, length: Option<u64>) -> Result<bool, StoreRefused> {
        self.step = match (self.step, status) {
            // If the store's file is longer, the recording was thinned since; a shorter one is the
            // rest of a request that broke off.
            (ErrandStep::Look, 200..=299) if length.is_none_or(|length| length >= self.bytes) => {
                return Ok(false);
            }
            (ErrandStep::Look, 200..=299 | 404 | 410) => match self.protocol {
                Protocol::WebDav if !self.folder_is_there => ErrandStep::Folder(1),
                _ => ErrandStep::Send,
            },
            // S3 answers 404 only to keys that may list the bucket. PUT shows whether the keys are
            // wrong.
            (ErrandStep::Look, 403) if self.protocol == Protocol::S3 => ErrandStep::Send,
            // If the folder exists, the answer should be 405 (RFC 4918 §9.3.1); stores also answer
            // 301, 403, 406, 409 and 423. PUT shows whether it is there.
            (ErrandStep::Folder(left), 200..=499) if status != 401 => {
                left.checked_sub(1).map_or(ErrandStep::Send, ErrandStep::Folder)
            }
            (ErrandStep::Send, 200..=299) => match self.protocol {
                Protocol::WebDav => ErrandStep::Move,
                Protocol::S3 => ErrandStep::Check,
            },
            (ErrandStep::Move, 200..=299) => ErrandStep::Check,
            // A store may execute a request long after we gave up on it. Only this answer proves
            // that no earlier MOVE is pending: one that replaces would delete the recording, then
            // find nothing to move.
            (ErrandStep::Move, 412) if !self.replaces => {
                self.replaces = true;
                ErrandStep::Move
            }
            (ErrandStep::Check, 200..=299) => {
                let length = length.unwrap_or(self.bytes);
                return if length == self.bytes {
                    Ok(false)
                } else {
                    Err(StoreRefused::Length(length))
                };
            }
            (step, status) => return Err(StoreRefused::Status(step, status)),
        };
        Ok(true)
    }
}

const PATH_CHANGED: &str =
    ": does a proxy in front of it change the path, and leave the Destination field as it was?";
/// Suffix of a file being sent. Nextcloud and ownCloud reserve `.part` and `.filepart`.
const SUFFIX: &str = ".incoming";

impl fmt::Display for StoreRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreRefused::Length(length) => write!(f, "the store has {length} bytes of it"),
            StoreRefused::Status(step, status) => {
                let what = match status {
                    300..=399 => ": what archive.url names is elsewhere, maybe at https",
                    // Stores behind such a proxy refuse the MOVE, or move the file to another
                    // place.
                    400 | 403 | 502 if *step == ErrandStep::Move => PATH_CHANGED,
                    404 | 410 if *step == ErrandStep::Check => PATH_CHANGED,
                    400 => ": for S3, check archive.region",
                    403 if *step == ErrandStep::Check => ": it has to let these keys read, too",
                    401 | 403 => ": check user and password in archive.url, and the clock",
                    404 | 409 => ": is the folder in archive.url there?",
                    413 => ": it takes no files this large",
                    507 => ": it is full",
                    _ => "",
                };
                let asked = match step {
                    ErrandStep::Look | ErrandStep::Check => "HEAD",
                    ErrandStep::Folder(_) => "MKCOL",
                    ErrandStep::Send => "PUT",
                    ErrandStep::Move => "MOVE",
                };
                write!(f, "the store answers {asked} with {status}{what}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATH: &str = "/dav/nas/yard/2026-11-30/20261130T054500Z-000014.mp4";

    fn errand(protocol: Protocol) -> Errand {
        Errand::new(protocol, PATH.to_owned(), 1000)
    }

    /// The requests made if the store gives these answers: `METHOD path`.
    fn asked(mut errand: Errand, answers: &[(u16, Option<u64>)]) -> Vec<String> {
        let asked = answers.iter().map(|&(status, length)| {
            let StoreRequest { method, path, destination } = errand.request();
            let destination = destination
                .map(|(it, replaces)| [" ", &it, if replaces { " replaced" } else { "" }].concat());
            let destination = destination.unwrap_or_default();
            let line = [method, " ", &path, &destination].concat();
            let more = errand.answered(status, length);
            [line.as_str(), if more == Ok(true) { "" } else { " end" }].concat()
        });
        asked.collect()
    }

    /// FileRise#122, wsgidav#183; nginx moves the file to the path that `Destination` names.
    #[test]
    fn a_proxy_that_changes_the_path_is_suspected_and_neither_password_nor_region() {
        for (step, status) in [
            (ErrandStep::Move, 400),
            (ErrandStep::Move, 403),
            (ErrandStep::Move, 502),
            (ErrandStep::Check, 404),
        ] {
            let said = StoreRefused::Status(step, status).to_string();
            assert!(said.ends_with(PATH_CHANGED), "{said}");
        }
        let said = StoreRefused::Status(ErrandStep::Send, 403).to_string();
        assert!(said.contains("user and password"), "{said}");
    }

    #[test]
    fn a_recording_gets_its_name_once_the_whole_file_was_sent() {
        let answers =
            [(404, None), (201, None), (405, None), (201, None), (201, None), (200, Some(1000))];
        let expected = [
            ["HEAD ", PATH].concat(),
            "MKCOL /dav/nas/yard/".to_owned(),
            "MKCOL /dav/nas/yard/2026-11-30/".to_owned(),
            ["PUT ", PATH, SUFFIX].concat(),
            ["MOVE ", PATH, SUFFIX, " ", PATH].concat(),
            ["HEAD ", PATH, " end"].concat(),
        ];
        assert_eq!(asked(errand(Protocol::WebDav), &answers), expected);
        let known = Errand { folder_is_there: true, ..errand(Protocol::WebDav) };
        let answers = [(404, None), (201, None), (201, None), (200, Some(1000))];
        let expected: Vec<_> = expected.into_iter().filter(|it| !it.starts_with("MKCOL")).collect();
        assert_eq!(asked(known, &answers), expected);
        let answers = [(404, None), (200, None), (200, Some(1000))];
        let expected =
            [["HEAD ", PATH].concat(), ["PUT ", PATH].concat(), ["HEAD ", PATH, " end"].concat()];
        assert_eq!(asked(errand(Protocol::S3), &answers), expected);
    }

    #[test]
    fn a_file_of_that_name_is_replaced_only_after_the_store_reported_it() {
        let known = Errand { folder_is_there: true, ..errand(Protocol::WebDav) };
        let answers = [(200, Some(999)), (201, None), (412, None), (204, None), (200, Some(1000))];
        let asked = asked(known, &answers);
        let moved = ["MOVE ", PATH, SUFFIX, " ", PATH].concat();
        assert_eq!(asked[2..4], [moved.clone(), [&moved, " replaced"].concat()]);
        assert!(asked[4].ends_with(" end"), "{asked:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_created_may_exist() {
        for status in [301, 403, 405, 406, 409, 423] {
            let answers = [(404, None), (status, None), (status, None), (201, None)];
            let asked = asked(errand(Protocol::WebDav), &answers);
            assert!(asked.last().is_some_and(|it| it.starts_with("PUT")), "{status}: {asked:?}");
        }
        let mut errand = errand(Protocol::WebDav);
        assert_eq!(errand.answered(404, None), Ok(true));
        assert_eq!(
            errand.answered(507, None),
            Err(StoreRefused::Status(ErrandStep::Folder(1), 507))
        );
    }

    #[test]
    fn a_stored_recording_is_not_sent_again_even_if_it_was_thinned_since() {
        for length in [None, Some(1000), Some(5000)] {
            assert_eq!(errand(Protocol::S3).answered(200, length), Ok(false));
        }
        let half = errand(Protocol::S3).answered(200, Some(999));
        assert_eq!(half, Ok(true), "what a store kept of a request that broke off");
    }

    #[test]
    fn a_recording_is_sent_if_the_keys_may_not_list_the_bucket() {
        let answers = [(403, None), (200, None), (200, Some(1000))];
        let asked = asked(errand(Protocol::S3), &answers);
        assert_eq!(asked.len(), 3);
        assert!(asked[1].starts_with("PUT") && asked[2].ends_with(" end"), "{asked:?}");
        let refused = Err(StoreRefused::Status(ErrandStep::Look, 403));
        assert_eq!(errand(Protocol::WebDav).answered(403, None), refused);
    }

    #[test]
    fn a_store_with_fewer_bytes_than_were_sent_does_not_have_the_recording() {
        let mut errand = errand(Protocol::S3);
        assert_eq!(errand.answered(404, None), Ok(true));
        assert_eq!(errand.answered(200, None), Ok(true));
        assert_eq!(errand.answered(200, Some(999)), Err(StoreRefused::Length(999)));
    }

    proptest! {
        #[test]
        fn no_answers_make_an_errand_endless(answers in prop::collection::vec(100..1000_u16, 8)) {
            for protocol in [Protocol::WebDav, Protocol::S3] {
                let mut errand = errand(protocol);
                let ends = answers.iter().any(|&status| errand.answered(status, None) != Ok(true));
                prop_assert!(ends);
            }
        }
    }
}
