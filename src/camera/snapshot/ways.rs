//! The sources of a camera's picture: the configured URL, or those that cameras usually have. The
//! one that worked is remembered.

use super::{Picture, Video, error::Error, page::Page, stream::Stream};
use crate::{
    config,
    http::url::{HTTP_PORT, Target},
    runtime,
};
use std::rc::Rc;

/// The possible sources of a camera's picture.
pub(super) struct Ways {
    ways: Vec<Way>,
    /// The one that worked last.
    known: Option<usize>,
    nothing: &'static str,
    seed: u64,
}

enum Way {
    Page(Box<Page>),
    /// An RTSP stream that may carry JPEG.
    Stream(Target),
    /// A key frame of video that is received anyway.
    Video(Video),
}

/// A picture, or the session from which it and further ones come.
pub(super) enum Found {
    Picture(Rc<Picture>),
    Stream(Box<Stream>, Vec<u8>),
}

pub(super) struct Failure {
    pub text: String,
    /// All sources were tried, or retrying soon may lock the camera's account.
    pub is_final: bool,
}

impl Ways {
    pub(super) fn new(camera: &config::Camera, video: Option<Video>, seed: u64) -> Ways {
        match &camera.snapshot {
            config::Snapshot::Off => Ways { nothing: OFF, ..Ways::of(Vec::new(), seed) },
            config::Snapshot::Url(url) => Ways::page(url.target(), seed),
            config::Snapshot::Auto => {
                let live = camera.live_url.as_ref().map(|url| &url.0);
                Ways::guesses(&camera.url.0, live, HTTP_PORT, video, seed)
            }
        }
    }

    /// Only what the camera serves over HTTP.
    pub(super) fn pages(camera: &config::Camera, seed: u64) -> Ways {
        match &camera.snapshot {
            config::Snapshot::Auto => {
                let url = &camera.url.0;
                let pages =
                    PAGES.iter().map(|path| Way::page(url.http_page(HTTP_PORT, path), seed));
                Ways::of(pages.collect(), seed)
            }
            _ => Ways::new(camera, None, seed),
        }
    }

    pub(super) fn page(target: Target, seed: u64) -> Ways {
        Ways::of(vec![Way::page(target, seed)], seed)
    }

    /// First the addresses of majestic and divinus, then the streams: the live stream as JPEG, the
    /// video's key frames, and the recorded stream as JPEG. The last is pointless if the video has
    /// key frames.
    pub(super) fn guesses(
        url: &Target,
        live_url: Option<&Target>,
        http_port: u16,
        video: Option<Video>,
        seed: u64,
    ) -> Ways {
        let pages = PAGES.iter().map(|path| Way::page(url.http_page(http_port, path), seed));
        let live = live_url.map(|url| Way::Stream(url.clone()));
        let video = video.map(Way::Video);
        let last = Way::Stream(url.clone());
        Ways::of(pages.chain(live).chain(video).chain([last]).collect(), seed)
    }

    fn of(ways: Vec<Way>, seed: u64) -> Ways {
        Ways { ways, known: None, nothing: "no source of pictures is known", seed }
    }

    /// Returns true if the source that worked is a picture of the camera's own.
    pub(super) fn is_by_page(&self) -> bool {
        let known = self.known.and_then(|known| self.ways.get(known));
        known.is_some_and(|way| matches!(way, Way::Page(_)))
    }

    /// Forgets the source that worked.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Gets a picture from the remembered source, or from the first that has one.
    pub(super) async fn search(&mut self) -> Result<Found, Failure> {
        let only = self.known.take();
        let is_alone = self.ways.len() == 1;
        let mut failures = Failures::default();
        for (index, way) in self.ways.iter_mut().enumerate() {
            if only.is_some_and(|only| only != index) || failures.rule_out(way) {
                continue;
            }
            self.seed = self.seed.wrapping_add(1);
            match way.picture(self.seed).await {
                Ok(found) => {
                    self.known = Some(index);
                    return Ok(found);
                }
                Err(error) => {
                    if error.is_passing() {
                        self.known = Some(index);
                    }
                    let is_last = error.is_of_video_that_is_there();
                    failures.add(way, error);
                    if is_last {
                        break;
                    }
                }
            }
        }
        // After the remembered source failed, all others are tried soon.
        let is_first = only.is_none() && self.known.is_none();
        let is_final = failures.are_about_credentials() || is_first && !is_alone;
        Err(Failure { text: failures.text().unwrap_or_else(|| self.nothing.to_owned()), is_final })
    }
}

impl Way {
    fn page(target: Target, seed: u64) -> Way {
        Way::Page(Box::new(Page::new(target, seed)))
    }

    async fn picture(&mut self, seed: u64) -> Result<Found, Error> {
        match self {
            Way::Page(page) => {
                let jpeg = page.picture().await?;
                Ok(Found::Picture(Rc::new(Picture { jpeg, taken: runtime::now() })))
            }
            Way::Video(video) => video.picture().await.map(Found::Picture),
            Way::Stream(target) => {
                let mut stream = Stream::open(target, seed).await?;
                let mut jpeg = Vec::new();
                stream.next(&mut jpeg).await?;
                Ok(Found::Stream(Box::new(stream), jpeg))
            }
        }
    }
}

/// The last failure of each protocol.
#[derive(Default)]
struct Failures {
    http: Option<(String, Error)>,
    rtsp: Option<Error>,
    video: Option<Error>,
}

impl Failures {
    fn add(&mut self, way: &Way, error: Error) {
        match way {
            Way::Page(page) => self.http = Some((page.target.to_string(), error)),
            Way::Stream(_) => self.rtsp = Some(error),
            Way::Video(_) => self.video = Some(error),
        }
    }

    /// Returns true if this source would fail the same way.
    fn rule_out(&self, way: &Way) -> bool {
        let failure = self.http.as_ref().map(|(_, error)| error);
        matches!(way, Way::Page(_)) && failure.is_some_and(|error| !error.is_of_one_address())
    }

    fn are_about_credentials(&self) -> bool {
        let errors = self.http.iter().map(|(_, error)| error).chain(&self.rtsp);
        errors.into_iter().any(Error::is_about_credentials)
    }

    fn text(&self) -> Option<String> {
        if let (Some((page, http)), None, None) = (&self.http, &self.rtsp, &self.video) {
            return Some(format!("{page}: {http}"));
        }
        let http = self.http.as_ref().map(|(page, http)| format!("over HTTP ({page}: {http})"));
        let rtsp = self.rtsp.as_ref().map(|rtsp| format!("over RTSP ({rtsp})"));
        let video = self.video.as_ref().map(|video| format!("from its video ({video})"));
        let ways: Vec<String> = [http, rtsp, video].into_iter().flatten().collect();
        (!ways.is_empty()).then(|| format!("no picture {}", ways.join(" nor ")))
    }
}

/// majestic scales the picture on some chips; it and divinus ignore parameters they do not know.
const PAGES: [&str; 3] =
    ["/image.jpg?width=640&height=360&qfactor=70", "/image.jpg?width=640&height=360", "/image.jpg"];
const OFF: &str = "snapshots are switched off for this camera (snapshot = \"off\")";
