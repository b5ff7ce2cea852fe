//! The sources of a camera's picture: the configured URL, or those that cameras usually have. The
//! one that worked is remembered.

use super::{Picture, VideoPictures, error::Error, page::Page, stream::JpegStream};
use crate::{
    config,
    http::url::{HTTP_PORT, Target},
    runtime,
};
use std::rc::Rc;

/// The possible sources of a camera's picture.
pub(super) struct PictureSources {
    sources: Vec<PictureSource>,
    /// The one that worked last.
    known: Option<usize>,
    nothing: &'static str,
    seed: u64,
}

enum PictureSource {
    Page(Box<Page>),
    /// An RTSP stream that may carry JPEG.
    Stream(Target),
    /// A key frame of video that is received anyway.
    Video(VideoPictures),
}

/// A picture, or the session from which it and further ones come.
pub(super) enum FoundPicture {
    Picture(Rc<Picture>),
    Stream(Box<JpegStream>, Vec<u8>),
}

pub(super) struct PictureFailure {
    pub text: String,
    /// All sources were tried, or retrying soon may lock the camera's account.
    pub is_final: bool,
}

impl PictureSources {
    pub(super) fn new(
        camera: &config::Camera,
        video: Option<VideoPictures>,
        seed: u64,
    ) -> PictureSources {
        match &camera.snapshot {
            config::Snapshot::Off => {
                PictureSources { nothing: OFF, ..PictureSources::of(Vec::new(), seed) }
            }
            config::Snapshot::Url(url) => PictureSources::page(url.target(), seed),
            config::Snapshot::Auto => {
                let live = camera.live_url.as_ref().map(|url| &url.0);
                PictureSources::guesses(&camera.url.0, live, HTTP_PORT, video, seed)
            }
        }
    }

    /// Only what the camera serves over HTTP.
    pub(super) fn pages(camera: &config::Camera, seed: u64) -> PictureSources {
        match &camera.snapshot {
            config::Snapshot::Auto => {
                let url = &camera.url.0;
                let pages = PAGES
                    .iter()
                    .map(|path| PictureSource::page(url.http_page(HTTP_PORT, path), seed));
                PictureSources::of(pages.collect(), seed)
            }
            _ => PictureSources::new(camera, None, seed),
        }
    }

    pub(super) fn page(target: Target, seed: u64) -> PictureSources {
        PictureSources::of(vec![PictureSource::page(target, seed)], seed)
    }

    /// First the addresses of majestic and divinus, then the streams: the live stream as JPEG, the
    /// video's key frames, and the recorded stream as JPEG. The last is pointless if the video has
    /// key frames.
    pub(super) fn guesses(
        url: &Target,
        live_url: Option<&Target>,
        http_port: u16,
        video: Option<VideoPictures>,
        seed: u64,
    ) -> PictureSources {
        let pages =
            PAGES.iter().map(|path| PictureSource::page(url.http_page(http_port, path), seed));
        let live = live_url.map(|url| PictureSource::Stream(url.clone()));
        let video = video.map(PictureSource::Video);
        let last = PictureSource::Stream(url.clone());
        PictureSources::of(pages.chain(live).chain(video).chain([last]).collect(), seed)
    }

    fn of(sources: Vec<PictureSource>, seed: u64) -> PictureSources {
        PictureSources { sources, known: None, nothing: "no source of pictures is known", seed }
    }

    /// Returns true if the source that worked is a picture of the camera's own.
    pub(super) fn is_by_page(&self) -> bool {
        let known = self.known.and_then(|known| self.sources.get(known));
        known.is_some_and(|source| matches!(source, PictureSource::Page(_)))
    }

    /// Forgets the source that worked.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Gets a picture from the remembered source, or from the first that has one.
    pub(super) async fn search(&mut self) -> Result<FoundPicture, PictureFailure> {
        let only = self.known.take();
        let is_alone = self.sources.len() == 1;
        let mut failures = Failures::default();
        for (index, source) in self.sources.iter_mut().enumerate() {
            if only.is_some_and(|only| only != index) || failures.rule_out(source) {
                continue;
            }
            self.seed = self.seed.wrapping_add(1);
            match source.picture(self.seed).await {
                Ok(found) => {
                    self.known = Some(index);
                    return Ok(found);
                }
                Err(error) => {
                    if error.is_passing() {
                        self.known = Some(index);
                    }
                    let is_last = error.is_of_video_that_is_there();
                    failures.add(source, error);
                    if is_last {
                        break;
                    }
                }
            }
        }
        // After the remembered source failed, all others are tried soon.
        let is_first = only.is_none() && self.known.is_none();
        let is_final = failures.are_about_credentials() || is_first && !is_alone;
        Err(PictureFailure {
            text: failures.text().unwrap_or_else(|| self.nothing.to_owned()),
            is_final,
        })
    }
}

impl PictureSource {
    fn page(target: Target, seed: u64) -> PictureSource {
        PictureSource::Page(Box::new(Page::new(target, seed)))
    }

    async fn picture(&mut self, seed: u64) -> Result<FoundPicture, Error> {
        match self {
            PictureSource::Page(page) => {
                let jpeg = page.picture().await?;
                Ok(FoundPicture::Picture(Rc::new(Picture { jpeg, taken: runtime::now() })))
            }
            PictureSource::Video(video) => video.picture().await.map(FoundPicture::Picture),
            PictureSource::Stream(target) => {
                let mut stream = JpegStream::open(target, seed).await?;
                let mut jpeg = Vec::new();
                stream.next(&mut jpeg).await?;
                Ok(FoundPicture::Stream(Box::new(stream), jpeg))
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
    fn add(&mut self, source: &PictureSource, error: Error) {
        match source {
            PictureSource::Page(page) => self.http = Some((page.target.to_string(), error)),
            PictureSource::Stream(_) => self.rtsp = Some(error),
            PictureSource::Video(_) => self.video = Some(error),
        }
    }

    /// Returns true if this source would fail the same source.
    fn rule_out(&self, source: &PictureSource) -> bool {
        let failure = self.http.as_ref().map(|(_, error)| error);
        matches!(source, PictureSource::Page(_))
            && failure.is_some_and(|error| !error.is_of_one_address())
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
        let sources: Vec<String> = [http, rtsp, video].into_iter().flatten().collect();
        (!sources.is_empty()).then(|| format!("no picture {}", sources.join(" nor ")))
    }
}

/// majestic scales the picture on some chips; it and divinus ignore parameters they do not know.
const PAGES: [&str; 3] =
    ["/image.jpg?width=640&height=360&qfactor=70", "/image.jpg?width=640&height=360", "/image.jpg"];
const OFF: &str = "snapshots are switched off for this camera (snapshot = \"off\")";
