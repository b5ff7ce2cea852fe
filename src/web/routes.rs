//! Routes: the one table of paths, with their methods, permissions and handlers.
//!
//! Paths are not decoded and never reach the file system: names and numbers of cameras are looked
//! up.
//! Spec: docs/http.md.
//! Knows nothing of: sockets.

use super::{
    MediaPlace, Web,
    access::{Class, Who},
    answer::{Answer, Body, Source},
    assets,
    link::Link,
};
use crate::{http::request::Head, storage::SpanAction};
use std::{pin::Pin, rc::Rc};

/// A complete request.
pub(super) struct Asked<'a> {
    pub head: Head<'a>,
    pub body: &'a [u8],
    pub link: &'a Rc<Link>,
    pub who: Who,
}

/// The result of a request.
pub(super) enum Outcome {
    Answer(Answer),
    /// The connection becomes a WebSocket.
    Socket(Box<dyn Source>, Option<MediaPlace>),
}

/// One row: a method of a path. `{…}` stands for one segment of the path, `{…}.ext` for one with
/// that extension; the handler gets these segments in full.
struct Route {
    method: &'static str,
    path: &'static str,
    /// Who may use it. `access` decides that from the head; a test compares the two.
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

/// All routes except the page's own files ([`assets`]). If two rows match, the first one applies.
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
    route("POST", "/api/discover", Change, |web, it, _| later(web.discover(it.body))),
    route("POST", "/api/probe", Change, |web, it, _| later(web.probe(it.body))),
    route("GET", "/api/recordings", Read, |web, it, _| Now(web.recordings(&it.head))),
    route("POST", "/api/clock", Change, |web, it, _| Now(web.take_time(it.body))),
    route("GET", "/api/timeline", Read, |web, it, _| later(web.timeline(&it.head))),
    route("GET", "/api/days", Read, |web, it, _| later(web.days(&it.head))),
    route("GET", "/api/marks", Read, |web, it, _| later(web.marks(&it.head))),
    route("POST", "/api/marks", Change, |web, it, _| Now(web.take_mark(it.body))),
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
        Now(Answer::error(404, "this build of smolnvr makes no pictures of recordings"))
    }),
    route("GET", "/recordings/{camera}/{number}.mp4", Read, |web, it, [camera, file]| {
        later(web.recording(it, camera, file))
    }),
    route("GET", "/clip/{camera}.mp4", Read, |web, it, [file, _]| later(web.clip(it, file))),
    route("GET", "/hls/{camera}.m3u8", Read, |web, it, [file, _]| {
        later(web.playlist(&it.head, file))
    }),
    route("GET", "/hls/{camera}/{number}.mp4", Read, |web, _, [camera, file]| {
        later(web.hls_init(camera, file))
    }),
    route("GET", "/hls/{camera}/{number}.m4s", Read, |web, it, [camera, file]| {
        later(web.hls_media(it, camera, file))
    }),
    route("GET", "/snapshot/{camera}.jpg", Read, |web, _, [file, _]| later(web.snapshot(file))),
    route("GET", "/live/{camera}.mp4", Read, |web, it, [file, _]| Now(web.live_file(it, file))),
    route("GET", "/live/{camera}", Read, |web, it, [camera, _]| Now(web.no_web_socket(it, camera))),
    route("GET", "/links", Read, |web, it, _| Now(web.links(&it.head))),
    route("GET", "/metrics", Read, |web, _, _| Now(web.metrics())),
    route("GET", "/api/openapi.json", Read, |_, it, _| {
        Now(assets::answer(&it.head, "api/openapi.json"))
    }),
];

fn later<'a>(answer: impl Future<Output = Answer> + 'a) -> Reply<'a> {
    Later(Box::pin(answer))
}

impl Route {
    /// Returns the segments in place of the braces; `None` if the path does not match.
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
            // Some players request `014.MP4`.
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
            return self.web_socket(asked);
        }
        // A HEAD is a GET without its body.
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
            // A proxy's check whether the server is up.
            (None, Some("")) if method == "OPTIONS" && head.field("host").is_none() => {
                Answer::new(204, Body::None).with("Allow", "GET, HEAD")
            }
            _ => match allowed(path) {
                methods if methods.is_empty() => Answer::error(404, "not found"),
                methods => Answer::error(405, format!("only {methods} is allowed here"))
                    .with("Allow", methods),
            },
        })
    }
}

/// The methods of a path; empty if it does not exist.
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
