//! Why there is no picture: one line for the page and the log, without credentials.

use crate::http::response::ResponseError;
use crate::{
    camera,
    limits::{SNAPSHOT_REDIRECTS_MAX, SNAPSHOT_TIMEOUT},
    rtp::JpegError,
    rtsp, still,
};
use std::fmt;

#[derive(Debug)]
pub enum Error {
    /// The connection, or the RTSP session over it.
    Camera(camera::Error),
    Response(ResponseError),
    /// 401 after an answer, or no user to answer with.
    Unauthorized {
        user: Option<String>,
    },
    UnknownChallenge,
    /// Another status that is no success. `path` as far as it may be shown.
    Refused {
        status: u16,
        path: String,
    },
    /// To another host or scheme.
    RedirectedAway,
    TooManyRedirects,
    /// The body does not begin and end like a JPEG.
    NotJpeg,
    TooSlow,
    /// The encodings that the RTSP stream has.
    NoTrack {
        has: String,
    },
    Stream(JpegError),
    /// Why there is no key frame.
    NoVideo(String),
    /// Why nothing became of a key frame.
    Still(still::Error),
}

impl Error {
    /// Whether another try soon may lock the camera's account.
    pub fn is_about_credentials(&self) -> bool {
        match self {
            Error::Unauthorized { .. } | Error::Refused { status: 403, .. } => true,
            Error::Camera(error) => error.is_about_credentials(),
            _ => false,
        }
    }

    /// Whether the same way may soon lead to a picture.
    pub fn is_passing(&self) -> bool {
        matches!(self, Error::Still(error) if error.is_passing())
    }

    /// Whether there is video, of which only no picture was made.
    pub fn is_of_video_that_is_there(&self) -> bool {
        matches!(self, Error::Still(_))
    }

    /// Whether other addresses of the same server are worth a try.
    pub fn is_of_one_address(&self) -> bool {
        !matches!(
            self,
            Error::Camera(_)
                | Error::Unauthorized { .. }
                | Error::UnknownChallenge
                | Error::Response(ResponseError::NotHttp)
                | Error::TooSlow
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Camera(error) => error.fmt(f),
            Error::Response(error) => error.fmt(f),
            Error::Unauthorized { user: Some(user) } => {
                write!(f, "401 Unauthorized: the camera refuses user {user:?} or the password")
            }
            Error::Unauthorized { user: None } => {
                f.write_str("401 Unauthorized: the camera wants a user, the address has none")
            }
            Error::UnknownChallenge => f.write_str(
                "401 Unauthorized: the camera offers neither Basic nor Digest with MD5 or SHA-256",
            ),
            Error::Refused { status, path } => match status {
                403 => write!(f, "403: the camera does not let this user have {path}"),
                404 => write!(f, "404: the camera has no {path}"),
                503 => {
                    f.write_str("503: the camera's JPEG pictures are switched off, or it is busy")
                }
                _ => write!(f, "{status}: the camera's answer to {path}"),
            },
            Error::RedirectedAway => {
                f.write_str("the camera says that its picture is on another host or by https")
            }
            Error::TooManyRedirects => {
                write!(f, "the camera redirects more than {SNAPSHOT_REDIRECTS_MAX} times")
            }
            Error::NotJpeg => f.write_str("what the camera sent is not a whole JPEG"),
            Error::TooSlow => {
                write!(
                    f,
                    "the camera sent no whole picture within {} s",
                    SNAPSHOT_TIMEOUT.as_secs()
                )
            }
            Error::NoTrack { has } => write!(f, "its stream has no JPEG track (has: {has})"),
            Error::Stream(error) => write!(f, "the camera's JPEG stream: {error}"),
            Error::NoVideo(reason) => f.write_str(reason),
            Error::Still(error) => error.fmt(f),
        }
    }
}

impl From<camera::Error> for Error {
    fn from(error: camera::Error) -> Error {
        match error {
            camera::Error::Session(rtsp::Error::NoVideo { has }) => Error::NoTrack { has },
            error => Error::Camera(error),
        }
    }
}

impl From<ResponseError> for Error {
    fn from(error: ResponseError) -> Error {
        Error::Response(error)
    }
}
