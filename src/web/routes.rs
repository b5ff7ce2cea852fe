//! Routes: the table that says once which there are, by which methods, for whom, and what answers.
//!
//! Nothing of an address is decoded, and none reaches the file system: cameras' names and numbers are
//! looked up. Spec: docs/http.md. Knows nothing of: sockets.

use super::{
    MediaPlace, Web,
    access::{Class, Who},
    answer::{Answer, Body, Source},
    assets,
    socket::Link,
};
use crate::{http::request::Head, storage::SpanAction};
use std::{pin::Pin, rc::Rc};

/// A request that was read whole.
pub(super) struct Asked<'a> {
    pub head: Head<'a>,
    pub body: &'a [u8],
    pub link: &'a Link,
    pub who: Who,
}

/// What becomes of a request.
pub(super) enum Outcome {
    Answer(Answer),
    /// The connection becomes a WebSocket.
    Socket(Box<dyn Source>, Option<MediaPlace>),
}

/// One row: a method of a path. `{…}` stands for one segment of the path, `{…}.ext` for one with that
/// ending; the handler gets these segments, whole.
struct Route {
    method: &'static str,
    path: &'static str,
    /// Who may ask; `access` decides it from the head, and a test compares.
    #[cfg_attr(not(test), expect(dead_code, reason = "access decides before the route is known"))]
    class: Class,
    handler: Handler,
}

type Handler = for<'a> fn(&'a Rc<Web>, &'a Asked<'a>, [&'a str; 2]) -> Reply<'a>;

enum Reply<'a> {
    Now(Answer),
    Later(Pin<Box<dyn Future<Output = Answer> + 'a>>),
}

use Class::{Change, LogIn, Public, Read};
use Reply::{Later, Now};

const fn route(method: &'static str, path: &'static str, class: Class, handler: Handler) -> Route {
    Route { method, path, class, handler }
}

/// All but the page's own files ([`assets`]). Where two rows fit, the first one answers.
const ROUTES: &[Route] = &[
    route("GET", "/api/status", Read, |web, _, _| Now(web.status())),
    route("GET", "/api/events", Read, |web, _, _| Now(web.events())),
    route("GET", "/api/session", Public, |web, it, _| Now(web.session(it.who))),
    route("POST", "/api/session", LogIn, |web, it, _| later(web.log_in(it))),
    route("DELETE", "/api/session", LogIn, |web, it, _| Now(web.log_out(&it.head))),
    route("PUT", "/api/password", LogIn, |web, it, _| later(web.change_password(it))),
    route("POST", "/api/record/start", Change, |web, it, _| later(web.record_start(&it.head))),
    route("POST", "/api/record/stop", Change, |web, it, _| later(web.record_stop(&it.head))),
    route("POST", "/api/shutdown", Change, |web, _, _| later(web.shutdown())),
    route("POST", "/api/storage/release", Change, |web, _, _| later(web.storage_release())),
    route("POST", "/api/storage/resume", Change, |web, _, _| later(web.storage_resume())),
    route("GET", "/api/config", Read, |web, _, _| Now(web.config())),
    route("PUT", "/api/config", Change, |web, it, _| {
        later(web.change_config(it.body, it.link.peer))
    }),
    route("POST", "/api/probe", Change, |web, it, _| later(web.probe(it.body))),
    route("GET", "/api/recordings", Read, |web, it, _| Now(web.recordings(&it.head))),
    route("GET", "/api/timeline", Read, |web, it, _| Now(web.timeline(&it.head))),
    route("GET", "/api/days", Read, |web, it, _| Now(web.days(&it.head))),
    route("DELETE", "/api/recordings/{camera}/{number}", Change, |web, _, [camera, number]| {
        later(web.delete_recording(camera, number))
    }),
    route("DELETE", "/api/recordings/{camera}", Change, |web, it, [camera, _]| {
        later(web.span(&it.head, camera, SpanAction::Delete))
    }),
    route("PUT", "/api/keep/{camera}", Change, |web, it, [camera, _]| {
        later(web.span(&it.head, camera, SpanAction::Keep))
    }),
    route("DELETE", "/api/keep/{camera}", Change, |web, it, [camera, _]| {
        later(web.span(&it.head, camera, SpanAction::Release))
    }),
    #[cfg(feature = "pictures")]
    route("GET", "/recordings/{camera}/{number}.jpg", Read, |web, it, [camera, file]| {
        later(web.thumbnail(&it.head, camera, file))
    }),
    #[cfg(not(feature = "pictures"))]
    route("GET", "/recordings/{camera}/{number}.jpg", Read, |_, _, _| {
        Now(Answer::error(404, "this smolnvr is built without pictures of recordings"))
    }),
    route("GET", "/recordings/{camera}/{number}.mp4", Read, |web, it, [camera, file]| {
        later(web.recording(&it.head, camera, file))
    }),
    route("GET", "/clip/{camera}.mp4", Read, |web, it, [file, _]| later(web.clip(&it.head, file))),
    route("GET", "/snapshot/{camera}.jpg", Read, |web, _, [file, _]| later(web.snapshot(file))),
    route("GET", "/live/{camera}.mp4", Read, |web, it, [file, _]| {
        Now(web.live_file(&it.head, file))
    }),
    route("GET", "/live/{camera}", Read, |web, it, [camera, _]| {
        Now(web.no_web_socket(&it.head, camera))
    }),
    route("GET", "/metrics", Read, |web, _, _| Now(web.metrics())),
    route("GET", "/api/openapi.json", Read, |_, it, _| {
        Now(assets::answer(&it.head, "api/openapi.json"))
    }),
];

fn later<'a>(answer: impl Future<Output = Answer> + 'a) -> Reply<'a> {
    Later(Box::pin(answer))
}

impl Route {
    /// The segments that stand for the braces of its path; `None` where the path is another.
    fn segments<'a>(&self, path: &'a str) -> Option<[&'a str; 2]> {
        let mut found = [""; 2];
        let mut segments = found.iter_mut();
        let mut asked = path.split('/');
        for part in self.path.split('/') {
            let asked = asked.next()?;
            let Some(ending) = part.strip_prefix('{').and_then(|it| it.split_once('}')) else {
                if part != asked {
                    return None;
                }
                continue;
            };
            // Players ask for `014.MP4` too.
            let (name, end) = asked.split_at_checked(asked.len().checked_sub(ending.1.len())?)?;
            if name.is_empty() || !end.eq_ignore_ascii_case(ending.1) {
                return None;
            }
            *segments.next()? = asked;
        }
        asked.next().is_none().then_some(found)
    }
}

impl Web {
    pub(super) async fn answer(self: &Rc<Self>, asked: &Asked<'_>) -> Outcome {
        let head = &asked.head;
        if head.is_upgrade() {
            return self.web_socket(head);
        }
        // A HEAD is a GET whose body is not sent.
        let method = if head.method == "HEAD" { "GET" } else { head.method };
        let path = head.path();
        let asset = path.strip_prefix('/').filter(|name| assets::find(name).is_some());
        let found = ROUTES.iter().filter(|route| route.method == method);
        let found = found.filter_map(|route| Some((route.handler, route.segments(path)?))).next();
        Outcome::Answer(match (found, asset) {
            (Some((handler, segments)), _) => match handler(self, asked, segments) {
                Now(answer) => answer,
                Later(answer) => answer.await,
            },
            (None, Some(name)) if method == "GET" => assets::answer(head, name),
            // A proxy that asks whether somebody is there.
            (None, Some("")) if method == "OPTIONS" && head.field("host").is_none() => {
                Answer::new(204, Body::None).with("Allow", "GET, HEAD")
            }
            _ => match allowed(path) {
                methods if methods.is_empty() => Answer::error(404, "there is nothing here"),
                methods => Answer::error(405, format!("only {methods} is possible here"))
                    .with("Allow", methods),
            },
        })
    }
}

/// The methods of a path that exists; empty where it does not.
fn allowed(path: &str) -> String {
    let is_asset = path.strip_prefix('/').is_some_and(|name| assets::find(name).is_some());
    let of_routes = ROUTES.iter().filter(|route| route.segments(path).is_some());
    let methods = of_routes.map(|route| route.method).chain(is_asset.then_some("GET"));
    let mut list = String::new();
    for method in methods {
        if list.split(", ").all(|known| known != method) {
            list += if list.is_empty() { "" } else { ", " };
            list += if method == "GET" { "GET, HEAD" } else { method };
        }
    }
    list
}

#[cfg(test)]
mod tests;
