//! A picture of the video: the newest key frame of a ring in, a JPEG out, without another
//! connection. For a camera that only FFmpeg understands, FFmpeg fetches the picture.

use super::{Picture, error::Error};
use crate::{
    camera::{Camera, State},
    config::{CameraUrl, Transport},
    limits::SNAPSHOT_TIMEOUT,
    runtime,
    still::{KeyFrame, Stills},
    tool::Address,
};
use std::{
    rc::{Rc, Weak},
    time::Duration,
};

/// Where a camera's video comes from.
pub enum VideoSource {
    /// A camera's ring; the function starts the camera if it is not running.
    Ring(Box<dyn Fn() -> Rc<Camera>>),
    /// FFmpeg, which connects to this URL.
    Ffmpeg(CameraUrl, Transport),
}

/// A camera's video as a source of pictures.
pub struct VideoPictures {
    source: VideoSource,
    stills: Rc<Stills>,
    /// The camera and number of the frame used for the last picture, and that picture.
    last: Option<(Weak<Camera>, u64, Weak<Picture>)>,
}

/// A key frame from a ring.
struct Found {
    number: u64,
    frame: KeyFrame,
    age: Duration,
}

impl VideoPictures {
    pub fn new(source: VideoSource, stills: &Rc<Stills>) -> VideoPictures {
        VideoPictures { source, stills: Rc::clone(stills), last: None }
    }

    /// Returns the picture of the newest key frame, which is the previous picture if there is no
    /// newer one.
    ///
    /// # Errors
    /// `NoVideo` if no key frame arrived within [`SNAPSHOT_TIMEOUT`], `Still` if no picture could
    /// be made from it.
    pub async fn picture(&mut self) -> Result<Rc<Picture>, Error> {
        let camera = match &self.source {
            VideoSource::Ring(camera) => camera(),
            VideoSource::Ffmpeg(url, transport) => {
                let address = Address { url: url.as_str(), transport: transport.name() };
                let jpeg = self.stills.fetch(&address, url.secrets()).await;
                let jpeg = jpeg.map_err(Error::Still)?;
                return Ok(Rc::new(Picture { jpeg, taken: runtime::now() }));
            }
        };
        let found = runtime::timeout(SNAPSHOT_TIMEOUT, self.key_frame(&camera)).await;
        let slow = || Err(Error::NoVideo("no key frame has arrived yet".into()));
        let Found { number, frame, age } = match found.unwrap_or_else(slow)? {
            Ok(found) => found,
            Err(same) => return Ok(same),
        };
        let now = runtime::now();
        let jpeg = self.stills.jpeg(&frame).await.map_err(Error::Still)?;
        let picture = Rc::new(Picture { jpeg, taken: now.checked_sub(age).unwrap_or(now) });
        self.last = Some((Rc::downgrade(&camera), number, Rc::downgrade(&picture)));
        Ok(picture)
    }

    /// Returns the newest key frame, or the picture made from it before.
    async fn key_frame(&self, camera: &Rc<Camera>) -> Result<Result<Found, Rc<Picture>>, Error> {
        let found = camera.changed.until_some(|| {
            if matches!(camera.state(), State::Waiting | State::Off) {
                let reason = camera.last_error().unwrap_or_else(|| "the camera is off".into());
                return Some(Err(Error::NoVideo(reason)));
            }
            let number = newest(camera)?;
            Some(match self.known(camera, number) {
                Some(picture) => Ok(Err(picture)),
                None => look(camera, number).map(Ok),
            })
        });
        found.await
    }

    fn known(&self, camera: &Rc<Camera>, number: u64) -> Option<Rc<Picture>> {
        let (known, of, picture) = self.last.as_ref()?;
        let is_same = *of == number && known.as_ptr() == Rc::as_ptr(camera);
        is_same.then(|| picture.upgrade()).flatten()
    }
}

fn newest(camera: &Camera) -> Option<u64> {
    let intake = camera.intake.borrow();
    intake.ring.key_until(u64::MAX).filter(|&key| intake.is_current(key))
}

fn look(camera: &Camera, number: u64) -> Result<Found, Error> {
    let intake = camera.intake.borrow();
    let ring = &intake.ring;
    let (key, sample) =
        ring.get(number).ok_or(Error::NoVideo("the key frame has left the buffer".into()))?;
    let frame = KeyFrame::new(&key.parameter_sets, sample).map_err(Error::Still)?;
    // From the same run: nothing newer is in the ring.
    let newest =
        ring.get(ring.numbers().end.saturating_sub(1)).map_or(key.decode, |it| it.0.decode);
    let millis = u64::try_from((newest - key.decode).as_millis()).unwrap_or(0);
    Ok(Found { number, frame, age: Duration::from_millis(millis) })
}
