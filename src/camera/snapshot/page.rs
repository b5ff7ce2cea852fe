//! One picture over HTTP: a URL in, a JPEG out.
//!
//! Spec: RFC 9110, RFC 9112.

use super::error::Error;
use crate::{
    camera::{self, Connector},
    http::{
        auth::{Authenticator, Challenge},
        question::question,
        response::Response,
        url::Target,
    },
    limits::{SNAPSHOT_READ_BYTES, SNAPSHOT_REDIRECTS_MAX, SNAPSHOT_TIMEOUT},
    runtime,
    still::whole_jpeg,
};

/// An HTTP URL that returns a JPEG.
pub struct Page {
    pub target: Target,
    connector: Connector,
    /// Remembers the challenge, so that only the first picture takes two requests.
    authenticator: Authenticator,
}

impl Page {
    /// `seed` is for nonces.
    pub fn new(target: Target, seed: u64) -> Page {
        Page {
            connector: Connector::new(&target),
            authenticator: Authenticator::new(target.credentials().cloned(), seed),
            target,
        }
    }

    /// Fetches the current picture over a new connection.
    ///
    /// # Errors
    /// Why there is none; `TooSlow` after [`SNAPSHOT_TIMEOUT`].
    pub async fn picture(&mut self) -> Result<Vec<u8>, Error> {
        let picture = runtime::timeout(SNAPSHOT_TIMEOUT, self.follow());
        picture.await.unwrap_or(Err(Error::TooSlow))
    }

    /// Fetches the picture, answering challenges and following redirects.
    async fn follow(&mut self) -> Result<Vec<u8>, Error> {
        let mut elsewhere: Option<Target> = None;
        let (mut challenges, mut redirects) = (0, 0);
        loop {
            let target = elsewhere.as_ref().unwrap_or(&self.target);
            let path = target.origin_form();
            let authorization = self.authenticator.authorization("GET", &path);
            let fields = [
                ("Accept", "image/jpeg, multipart/x-mixed-replace, */*"),
                ("Connection", "close"),
                ("Authorization", authorization.as_deref().unwrap_or_default()),
            ];
            let question = question("GET", &path, target.authority(), &fields);
            let response = match elsewhere {
                Some(_) => ask(&mut Connector::new(target), &question, Response::default()).await?,
                None => ask(&mut self.connector, &question, Response::default()).await?,
            };
            match response.status {
                200 => return whole_jpeg(response.into_body()).ok_or(Error::NotJpeg),
                401 => {
                    self.answer(&response, challenges)?;
                    challenges += 1;
                }
                301 | 302 | 303 | 307 | 308 if redirects == SNAPSHOT_REDIRECTS_MAX => {
                    return Err(Error::TooManyRedirects);
                }
                301 | 302 | 303 | 307 | 308 => {
                    redirects += 1;
                    let location = response.location.as_deref().unwrap_or_default();
                    elsewhere = Some(target.page_moved(location).ok_or(Error::RedirectedAway)?);
                }
                status => return Err(Error::Refused { status, path: target.masked_path() }),
            }
        }
    }

    /// Processes the challenges of a 401, the `count`th in a row.
    fn answer(&mut self, response: &Response, count: usize) -> Result<(), Error> {
        let mut challenges = response.challenges.iter().map(String::as_str);
        match (self.authenticator.challenged(&mut challenges), count) {
            (Challenge::New, 0) | (Challenge::Stale, 0 | 1) => Ok(()),
            (Challenge::Unknown, _) => Err(Error::UnknownChallenge),
            _ => {
                let user = self.authenticator.user().map(str::to_owned);
                Err(Error::Unauthorized { user })
            }
        }
    }
}

/// Sends a request over a new connection, and reads its answer into `response`. Cancel-safe.
///
/// # Errors
/// The connection failed, or the camera sent no valid answer.
pub async fn ask(
    connector: &mut Connector,
    question: &str,
    mut response: Response,
) -> Result<Response, Error> {
    let broken = camera::Error::Broken;
    let socket = connector.connect().await?;
    socket.write_all(question.as_bytes()).await.map_err(broken)?;
    let mut bytes = vec![0; SNAPSHOT_READ_BYTES];
    loop {
        let count = socket.read(&mut bytes).await.map_err(broken)?;
        if count == 0 {
            response.handle_close()?;
            return Ok(response);
        }
        let read = bytes.get(..count).unwrap_or_default();
        if response.handle_bytes(read)? {
            return Ok(response);
        }
    }
}
