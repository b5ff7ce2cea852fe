//! Makes one request to the store: opens a connection, sends the file piece by piece, reads the
//! answer.

use super::{
    errand::{Errand, ErrandStep, StoreRefused, StoreRequest},
    sign::{self, Keys},
};
use crate::{
    camera::Connector,
    config,
    http::{
        auth::{Authenticator, Challenge},
        head::{Head, HeadError},
        question::question,
        url::{Target, percent_decoded, percent_encoded},
    },
    limits::{
        self, ARCHIVE_ANSWER_BYTES_MAX, ARCHIVE_CARD_WAIT, ARCHIVE_PIECE_BYTES, ARCHIVE_TIMEOUT,
    },
    runtime::{self, Async},
    storage::disk::{Access, Disk as _, linux::LinuxDisk},
    units::WallTime,
    web::Web,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::{
    fmt, io, net::TcpStream, os::unix::fs::FileExt as _, path::Path, rc::Rc, time::Duration,
};

/// The connection settings of one store, and what is known about it.
pub(super) struct Carrier {
    web: Rc<Web>,
    target: Target,
    /// The path of its URL, without a trailing slash.
    folder: String,
    connector: Connector,
    authenticator: Authenticator,
    /// Folders that existed when the store last accepted a recording, the newest last.
    folders: Vec<String>,
    /// The pause that the store requested with its last refusal.
    pub retry_after: Duration,
    /// The store has accepted a recording, or said plainly whether it has one.
    pub is_known: bool,
    /// A recording that was sent but that these keys may not read; it is not sent again.
    hidden: Option<String>,
    /// The recording that the store took last. If it gave no proof then, a later question does.
    taken: Option<String>,
    /// `Some` for S3.
    region: Option<String>,
    piece_time: Duration,
}

/// Why a recording is not in the store.
pub(super) enum CarryError {
    /// Also what else the store says, in brackets, or nothing.
    Refused(StoreRefused, String),
    /// The connection failed or could not be made.
    Broken(String),
    /// The file cannot be read.
    Card(io::Error),
    /// The card is missing or was replaced.
    Away,
}

/// The purpose for which a file is read.
enum Use<'a> {
    Sum(&'a mut Sha256, &'a mut Md5),
    Send(&'a mut Async<TcpStream>),
}

/// The parts of an answer that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    status: u16,
    length: Option<u64>,
    challenges: Vec<String>,
    retry_after: Option<String>,
    /// Text shown with a refusal.
    remark: String,
}

impl Carrier {
    pub fn new(web: Rc<Web>, url: &config::StoreUrl, settings: &config::Archive) -> Carrier {
        let target = url.target();
        // In canonical form, because stores sign that form whatever was sent.
        let path = target.origin_form();
        let folder = percent_decoded(&path).map_or(path, |it| percent_encoded(&it));
        let seed = web.daemon.clock.now().0.cast_unsigned();
        let bytes_per_second = settings.kb_per_second.get() * 1000;
        Carrier {
            web,
            folder: folder.trim_end_matches('/').to_owned(),
            connector: Connector::new(&target),
            authenticator: Authenticator::new(target.credentials().cloned(), seed),
            target,
            folders: Vec::new(),
            retry_after: Duration::ZERO,
            is_known: false,
            hidden: None,
            taken: None,
            region: url.is_s3().then(|| settings.region.clone()),
            piece_time: Duration::from_secs(ARCHIVE_PIECE_BYTES as u64)
                / u32::try_from(bytes_per_second).unwrap_or(u32::MAX),
        }
    }

    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// Asks whether the store has a recording.
    pub async fn has(&mut self, mut errand: Errand) -> Result<bool, CarryError> {
        let answer = self.ask(&errand.request(), Path::new(""), 0).await?;
        Ok(!answer.of(&mut errand)?)
    }

    /// Sends a recording of `bytes` bytes; returns false if the store had it already.
    pub async fn carry(
        &mut self,
        errand: &mut Errand,
        path: &Path,
        bytes: u64,
    ) -> Result<bool, CarryError> {
        let folder = errand.folder().to_owned();
        errand.folder_is_there = self.folders.contains(&folder);
        let result = self.bring(errand, path, bytes).await;
        if result.is_err() {
            // One of them may have been deleted.
            self.folders.clear();
        } else if !errand.folder_is_there {
            let surplus = (self.folders.len() + 1).saturating_sub(limits::CAMERAS_MAX);
            self.folders.drain(..surplus);
            self.folders.push(folder);
        }
        result
    }

    async fn bring(
        &mut self,
        errand: &mut Errand,
        path: &Path,
        bytes: u64,
    ) -> Result<bool, CarryError> {
        let mut is_sent = false;
        let name = errand.path().to_owned();
        loop {
            let request = errand.request();
            let answer = self.ask(&request, path, bytes).await?;
            is_sent |= request.method == "PUT";
            if request.method == "PUT" && (200..300).contains(&answer.status) {
                self.taken = Some(name.clone());
            }
            let is_hidden = request.method == "HEAD" && answer.status == 403;
            if is_hidden && (is_sent || self.hidden.as_ref() == Some(&request.path)) {
                self.hidden = Some(request.path);
                return Err(CarryError::Refused(
                    StoreRefused::Status(ErrandStep::Check, 403),
                    answer.remark,
                ));
            }
            if !answer.of(errand)? {
                return Ok(self.taken.take_if(|taken| *taken == name).is_some());
            }
        }
    }

    /// Makes a request, answering challenges.
    async fn ask(
        &mut self,
        request: &StoreRequest,
        path: &Path,
        bytes: u64,
    ) -> Result<Answer, CarryError> {
        let mut answer = self.exchange(request, path, bytes).await?;
        for _ in 0..2 {
            let mut challenges = answer.challenges.iter().map(String::as_str);
            let is_worth_it = answer.status == 401
                && self.region.is_none()
                && matches!(
                    self.authenticator.challenged(&mut challenges),
                    Challenge::New | Challenge::Stale
                );
            if !is_worth_it {
                break;
            }
            answer = self.exchange(request, path, bytes).await?;
        }
        Ok(answer)
    }

    async fn exchange(
        &mut self,
        request: &StoreRequest,
        path: &Path,
        bytes: u64,
    ) -> Result<Answer, CarryError> {
        let body = if request.method == "PUT" { bytes } else { 0 };
        let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
        self.retry_after = Duration::ZERO;
        if self.region.is_some() {
            self.read(path, body, &mut Use::Sum(&mut sha256, &mut md5)).await?;
        }
        let mut socket = self.connector.connect().await.map_err(broken)?;
        let sums = [sign::hex(&sha256.finalize()), STANDARD.encode(md5.finalize())];
        let head = self.head(request, body, &sums);
        write(&mut socket, head.as_bytes()).await?;
        let sent = self.read(path, body, &mut Use::Send(&mut socket)).await;
        if let Err(CarryError::Card(_) | CarryError::Away) = sent {
            return sent.map(|()| Answer::default());
        }
        // A store that stops reading may have said why.
        let answer = runtime::timeout(ARCHIVE_TIMEOUT, answer(&mut socket)).await;
        let answer = answer.unwrap_or_else(|| Err(broken("no answer within 60 s")));
        if let Ok(answer) = &answer {
            self.is_known |= matches!(answer.status, 200..=299 | 404 | 410);
            let field = answer.retry_after.as_deref().unwrap_or_default();
            self.retry_after = retry_after(field, self.web.daemon.clock.now());
        }
        match (sent, answer) {
            (Err(trouble), Ok(answer)) if answer.status < 300 => Err(trouble),
            (Err(trouble), Err(_)) => Err(trouble),
            (_, answer) => answer,
        }
    }

    /// The head of a request whose body has that length and these checksums, SHA-256 in hex and MD5
    /// in base64. A bucket that locks objects against deletion refuses a body without the latter.
    fn head(&mut self, request: &StoreRequest, length: u64, [sum, md5]: &[String; 2]) -> String {
        let StoreRequest { method, path, destination } = request;
        let host = self.target.authority();
        let signed = self.region.as_ref().map(|region| {
            let time = self.web.daemon.clock.now().to_string();
            let time: String = time.chars().filter(|it| !matches!(it, '-' | ':')).collect();
            let fields = [("host", host), ("x-amz-content-sha256", sum), ("x-amz-date", &time)];
            let credentials = self.target.credentials();
            let (id, secret) =
                credentials.map_or(("", ""), |it| (it.user.as_str(), it.password.as_str()));
            let authorization = Keys { id, secret, region }.sign(&time, method, path, &fields, sum);
            (sum.as_str(), time, authorization)
        });
        let is_signed = signed.is_some();
        let (sum, time, authorization) = signed.unwrap_or_else(|| {
            let authorization = self.authenticator.authorization(method, path);
            ("", String::new(), authorization.unwrap_or_default())
        });
        let (destination, overwrite) = match destination {
            Some((path, replaces)) => {
                (["http://", host, path].concat(), if *replaces { "T" } else { "F" })
            }
            None => (String::new(), ""),
        };
        let length = length.to_string();
        let (kind, length) = if *method == "PUT" { ("video/mp4", &*length) } else { ("", "") };
        let fields = [
            ("Connection", "close"),
            ("x-amz-content-sha256", sum),
            ("x-amz-date", &time),
            ("Authorization", &authorization),
            ("Overwrite", overwrite),
            ("Destination", &destination),
            ("Content-MD5", if is_signed && *method == "PUT" { md5 } else { "" }),
            ("Content-Type", kind),
            ("Content-Length", length),
        ];
        question(method, path, host, &fields)
    }

    /// Reads the file, no faster than allowed, and only while the card does not write.
    async fn read(&self, path: &Path, bytes: u64, purpose: &mut Use<'_>) -> Result<(), CarryError> {
        let (mut at, mut piece) = (0, Vec::new());
        let generation = self.web.catalog().generation();
        while at < bytes {
            let begun = runtime::now();
            while self.web.daemon.stations.borrow().iter().any(|station| station.is_at_card()) {
                runtime::sleep(ARCHIVE_CARD_WAIT).await;
            }
            if self.web.catalog().generation() != generation {
                return Err(CarryError::Away);
            }
            let wanted = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(ARCHIVE_PIECE_BYTES);
            let path = path.to_owned();
            let read = self.web.reader.run(move || {
                piece.resize(wanted, 0);
                LinuxDisk.open(&path, Access::Read)?.read_exact_at(&mut piece, at)?;
                Ok(piece)
            });
            piece = read.await.flatten().map_err(CarryError::Card)?;
            at += piece.len() as u64;
            match purpose {
                Use::Sum(sha256, md5) => {
                    sha256.update(&piece);
                    md5.update(&piece);
                }
                Use::Send(socket) => {
                    write(socket, &piece).await?;
                    // An answer before the end of the body is a refusal, unless it is an interim
                    // one.
                    let mut begun = [0; INTERIM.len()];
                    let is_quiet = match socket.attempt(|it| it.peek(&mut begun)) {
                        Ok(count) => {
                            count > 0 && INTERIM.starts_with(begun.get(..count).unwrap_or_default())
                        }
                        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                    };
                    if at < bytes && !is_quiet {
                        return Err(broken("the store broke off"));
                    }
                }
            }
            runtime::sleep(self.piece_time.saturating_sub(begun.elapsed())).await;
        }
        Ok(())
    }
}

async fn write(socket: &mut Async<TcpStream>, bytes: &[u8]) -> Result<(), CarryError> {
    let written = runtime::timeout(ARCHIVE_TIMEOUT, socket.write_all(bytes)).await;
    written.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())).map_err(broken)
}

async fn answer(socket: &mut Async<TcpStream>) -> Result<Answer, CarryError> {
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = Answer::parse(&bytes).map_err(broken)? {
            return Ok(answer);
        }
        let filled = bytes.len();
        bytes.resize(ARCHIVE_ANSWER_BYTES_MAX, 0);
        let room = bytes.get_mut(filled..).unwrap_or_default();
        let count = socket.read(room).await.map_err(broken)?;
        if count == 0 {
            return Err(broken("the store closed the connection without an answer"));
        }
        bytes.truncate(filled + count);
    }
}

impl Answer {
    /// `None` while it is incomplete; interim ones (1xx) are skipped.
    fn parse(mut bytes: &[u8]) -> Result<Option<Answer>, HeadError> {
        while let Some((head, length)) = Head::parse(bytes)? {
            let status = head.status("HTTP/1.").unwrap_or_default();
            if !(100..200).contains(&status) {
                let length = head.field("Content-Length").and_then(|length| length.parse().ok());
                // Apache omits the length of PHP's answers, so recordings in Nextcloud have none.
                // But an HTML page, which some servers return for every path, is not a recording.
                let kind = head.field("Content-Type").unwrap_or_default();
                let length = length.or(kind.starts_with("text/html").then_some(0));
                let challenges = head.fields("WWW-Authenticate").map(str::to_owned).collect();
                let retry_after = head.field("Retry-After").filter(|_| status >= 400);
                let retry_after = retry_after.map(str::to_owned);
                let remark = remark(&head, status).unwrap_or_default();
                return Ok(Some(Answer { status, length, challenges, retry_after, remark }));
            }
            bytes = bytes.get(length..).unwrap_or_default();
        }
        Ok(None)
    }

    /// Returns true if `errand` needs another request after this answer.
    fn of(self, errand: &mut Errand) -> Result<bool, CarryError> {
        let Answer { status, length, remark, .. } = self;
        errand.answered(status, length).map_err(|refused| CarryError::Refused(refused, remark))
    }
}

/// The field that explains what is wrong with the settings or the clock.
fn remark(head: &Head<'_>, status: u16) -> Option<String> {
    let names: &[&str] = match status {
        300..=400 => &["Location", "x-amz-bucket-region"],
        401 | 403 => &["Date"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    let (name, value) = names.iter().find_map(|name| Some((name, head.field(name)?)))?;
    let value: String = value.chars().filter(|it| !it.is_control()).take(200).collect();
    Some([" (", name, ": ", &value, ")"].concat())
}

/// The pause that a `Retry-After` requests, in seconds or as a date (RFC 9110 §10.2.3), within
/// bounds.
fn retry_after(field: &str, now: WallTime) -> Duration {
    let until = |time: WallTime| u64::try_from(time.0.saturating_sub(now.0) / 1000).ok();
    let seconds = field.parse().ok().or_else(|| until(WallTime::from_http_date(field)?));
    Duration::from_secs(seconds.unwrap_or(0)).min(limits::ARCHIVE_RETRY_AFTER_MAX)
}

fn broken(error: impl fmt::Display) -> CarryError {
    CarryError::Broken(error.to_string())
}

impl fmt::Display for CarryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CarryError::Refused(refused, remark) => write!(f, "{refused}{remark}"),
            CarryError::Broken(error) => f.write_str(error),
            CarryError::Card(error) => write!(f, "the card reports: {error}"),
            CarryError::Away => f.write_str("the card was released or replaced"),
        }
    }
}

/// How an interim answer begins (RFC 9110 §15.2); every client must accept those.
const INTERIM: &[u8; 10] = b"HTTP/1.1 1";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn retry_after_is_respected_within_bounds() {
        let now = WallTime(1_795_336_200_500); // Sun, 22 Nov 2026 05:10:00 GMT
        for (field, seconds) in [
            ("", 0),
            ("120", 120),
            ("-1", 0),
            ("99999999999999999999999", 0),
            ("864000", 3600),
            (&*WallTime(now.0 + 90_000).http_date(), 89),
            (&*WallTime(now.0 - 90_000).http_date(), 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
            ("soon", 0),
        ] {
            assert_eq!(retry_after(field, now).as_secs(), seconds, "{field}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_store_panic_and_none_that_follow_change_its_answer(
            interim in prop::bool::ANY,
            start in prop::sample::select(vec!["", "HTTP/1.1 201 \r\n", "HTTP/1.0 401 No\n", "HTTP/1.1 9\r\n"]),
            rest in "((Content-Length|WWW-Authenticate|etag): ?[-0-9a-z\\\\\"=, ]{0,30}(\r\n|\n)){0,4}(\r\n)?",
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let interim = if interim { "HTTP/1.1 100 Continue\r\n\r\n" } else { "" };
            let whole = [interim.as_bytes(), start.as_bytes(), rest.as_bytes(), &bytes].concat();
            let mut first = None;
            for end in 0..=whole.len() {
                let Ok(answer) = Answer::parse(&whole[..end]) else { break };
                prop_assert!(first.is_none() || answer == first);
                first = answer;
            }
            if let Some(answer) = first {
                let mut challenges = answer.challenges.iter().map(String::as_str);
                Authenticator::new(None, 0).challenged(&mut challenges);
            }
        }
    }
}
