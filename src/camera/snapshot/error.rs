//! Why there is no picture, in one line for the page and the log, without credentials.

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
    /// The connection, or the RTSP session on it, failed.
    Camera(camera::Error),
    Response(ResponseError),
    /// 401 in spite of credentials, or without any to send.
    Unauthorized {
        user: Option<String>,
    },
    UnknownChallenge,
    /// Another status than success. `path` may be shown.
    Refused {
        status: u16,
        path: String,
    },
    /// A redirect to another host or scheme.
    RedirectedAway,
    TooManyRedirects,
    /// The body does not start and end like a JPEG.
    NotJpeg,
    TooSlow,
    /// The encodings in the RTSP stream.
    NoTrack {
        has: String,
    },
    Stream(JpegError),
    /// Why there is no key frame.
    NoVideo(String),
    /// Why no picture could be made from a key frame.
    Still(still::Error),
}

impl Error {
    /// Returns true if retrying soon may lock the camera's account.
    pub fn is_about_credentials(&self) -> bool {
        match self {
            Error::Unauthorized { .. } | Error::Refused { status: 403, .. } => true,
            Error::Camera(error) => error.is_about_credentials(),
            _ => false,
        }
    }

    /// Returns true if the same source may soon have a picture.
    pub fn is_passing(&self) -> bool {
        matches!(self, Error::Still(error) if error.is_passing())
    }

    /// Returns true if video arrived but making a picture from it failed.
    pub fn is_of_video_that_is_there(&self) -> bool {
        matches!(self, Error::Still(_))
    }

    /// Returns true if other addresses on the same server are worth trying.
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
            Error::Unauthorized { user: None } => f.write_str(
                "401 Unauthorized: the camera requires a user and password, but the URL has none",
            ),
            Error::UnknownChallenge => f.write_str(
                "401 Unauthorized: the camera offers neither Basic nor Digest with MD5 or SHA-256",
            ),
            Error::Refused { status, path } => match status {
                403 => write!(f, "403: this user may not read {path} on the camera"),
                404 => write!(f, "404: the camera has no {path}"),
                503 => {
                    f.write_str("503: the camera is busy, or its JPEG pictures are switched off")
                }
                _ => write!(f, "{status}: the camera's response for {path}"),
            },
            Error::RedirectedAway => {
                f.write_str("the camera redirects to another host or to https")
            }
            Error::TooManyRedirects => {
                write!(f, "the camera redirects more than {SNAPSHOT_REDIRECTS_MAX} times")
            }
            Error::NotJpeg => f.write_str("the camera did not send a complete JPEG"),
            Error::TooSlow => {
                write!(
                    f,
                    "the camera sent no complete picture within {} s",
                    SNAPSHOT_TIMEOUT.as_secs()
                )
            }
            Error::NoTrack { has } => write!(f, "its stream has no JPEG track (only {has})"),
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
