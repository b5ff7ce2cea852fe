//! One camera's streams, by ONVIF.
//!
//! Spec: ONVIF Core, Media and Media2 Service Specifications.

use super::{Camera, Stream, connect};
use crate::{
    clock,
    http::{
        response::Response,
        url::{Credentials, HTTP_PORT, RTSP_PORT, Target},
    },
    limits::{
        FIND_DOCUMENT_BYTES_MAX, FIND_LOOKUP_TIMEOUT, FIND_REQUEST_TIMEOUT, SNAPSHOT_READ_BYTES,
    },
    onvif::{
        answer::{self, DEVICE, MEDIA, MEDIA2, Profile, Services},
        ladder::{Dress, Ladder},
        place::HostlessUrl,
        soap::{self, AnswerKind, Form, escaped},
    },
    runtime, sys,
};
use std::{
    io::{Read as _, Write as _},
    net::IpAddr,
    time::{Duration, Instant},
};

/// The lookup of one camera.
pub(super) struct Lookup {
    ip: IpAddr,
    device: HostlessUrl,
    ladder: Ladder,
    deadline: Instant,
    form: Form,
}

/// An answer and its status.
struct Reply {
    status: u16,
    challenges: Vec<String>,
    document: Vec<u8>,
}

/// How likely an answer comes from a device service, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    Unsure,
    Sure,
}

/// Returns how likely a device service answers at this place; `None` if something else answers, or
/// nothing.
pub(super) fn device_service(ip: IpAddr, place: &HostlessUrl, until: Instant) -> Option<Certainty> {
    let left = until.checked_duration_since(runtime::now()).filter(|left| !left.is_zero())?;
    drop(connect(ip, place.port, GUESS_LIMIT.min(left))?);
    let until = until.min(runtime::now() + GUESS_PATIENCE);
    let (reply, _) = ask_clock(ip, place, until)?;
    match soap::kind(reply.status, &reply.document) {
        AnswerKind::Strange => None,
        AnswerKind::Refusal if !soap::is_soap(&reply.document) => {
            // AXIS asks for a password before it says anything; so may a page that is no camera's.
            let is_digest = |challenge: &String| challenge.to_ascii_lowercase().contains("digest");
            reply.challenges.iter().any(is_digest).then_some(Certainty::Unsure)
        }
        _ => Some(Certainty::Sure),
    }
}

impl Lookup {
    pub fn new(ip: IpAddr, device: HostlessUrl, credentials: Option<Credentials>) -> Lookup {
        let ladder = Ladder::new(credentials, u64::from_be_bytes(nonce()));
        let deadline = runtime::now() + FIND_LOOKUP_TIMEOUT;
        Lookup { ip, device, ladder, deadline, form: Form::Plain }
    }

    /// Asks for everything, for [`FIND_LOOKUP_TIMEOUT`]; returns how often the credentials were refused.
    pub fn ask(&mut self, camera: &mut Camera) -> usize {
        let device = self.device.clone();
        if let Some((reply, form)) = ask_clock(self.ip, &device, self.deadline) {
            self.form = form;
            if let Some(told) = answer::clock(&reply.document) {
                self.ladder.set_offset_ms(told.0 - clock::now().0);
            }
        }
        if let Some(document) = self.call(&device, &device_request("GetDeviceInformation")) {
            let (maker, model) = answer::information(&document);
            camera.maker = if maker.is_empty() { std::mem::take(&mut camera.maker) } else { maker };
            camera.model = if model.is_empty() { std::mem::take(&mut camera.model) } else { model };
        }
        let services = self.services();
        self.media(camera, &services);
        if camera.streams.is_empty() {
            camera.needs_password = self.ladder.was_refused();
            camera.error = Some(self.reason().to_owned());
        }
        self.ladder.refusals()
    }

    fn reason(&self) -> &'static str {
        match (self.ladder.was_refused(), self.ladder.has_credentials()) {
            (true, false) => "the camera wants user and password",
            (true, true) if self.ladder.is_locked() => {
                "the camera has locked this user's account: try again later"
            }
            (true, true) => {
                "the camera refuses this user and password; they are not tried again, as cameras \
                 lock accounts"
            }
            (false, _) if runtime::now() >= self.deadline => "the camera did not answer in time",
            (false, _) => "the camera names no stream over ONVIF",
        }
    }

    fn services(&mut self) -> Services {
        let device = self.device.clone();
        for (name, what) in [
            ("GetServices", "<IncludeCapability>false</IncludeCapability>"),
            ("GetCapabilities", "<Category>All</Category>"),
        ] {
            let document = self.call(&device, &request(name, DEVICE, &[what]));
            let services = document.map(|it| answer::services(&it)).unwrap_or_default();
            if services.media.is_some() || services.media2.is_some() {
                return services;
            }
        }
        let guess = HostlessUrl { port: device.port, path: MEDIA_SERVICE.to_owned() };
        Services { media: Some(guess.at("x", "http", 0)), ..Services::default() }
    }

    /// Asks for the streams by Media2, which alone lists H.265, or else by Media: some cameras list
    /// Media2 without knowing it.
    fn media(&mut self, camera: &mut Camera, services: &Services) {
        let services = [(MEDIA2, &services.media2), (MEDIA, &services.media)];
        for (namespace, service) in services {
            let Some(service) = service else { continue };
            let Some((_, told)) = HostlessUrl::parse(service, "http", HTTP_PORT) else { continue };
            let place = self.reachable(told);
            let filter = if namespace == MEDIA2 { "<Type>All</Type>" } else { "" };
            let question = request("GetProfiles", namespace, &[filter]);
            let Some(document) = self.call(&place, &question) else { continue };
            if document.len() >= FIND_DOCUMENT_BYTES_MAX {
                camera.error = Some(CUT_OFF.to_owned());
            }
            let profiles = answer::profiles(&document);
            let Some((main, small)) = answer::choice(&profiles) else { continue };
            for profile in [Some(main), small].into_iter().flatten() {
                let stream = self.stream(&place, namespace, profile);
                // Some cameras have one stream for all of their profiles.
                let is_new = |it: &Stream| camera.streams.iter().all(|known| known.url != it.url);
                let stream = stream.filter(is_new);
                camera.streams.extend(stream);
            }
            if camera.streams.is_empty() {
                continue;
            }
            let token = escaped(&main.token);
            let token = ["<ProfileToken>", &token, "</ProfileToken>"];
            let question = request("GetSnapshotUri", namespace, &token);
            if let Some(document) = self.call(&place, &question) {
                let uri = answer::uri(&document).unwrap_or_default();
                let place = HostlessUrl::parse(&uri, "http", HTTP_PORT);
                camera.snapshot = place.map(|(_, it)| it.at(&camera.address, "http", HTTP_PORT));
            }
            return;
        }
    }

    /// The place a camera named; behind a NAT, its port is the one that led to the device service.
    fn reachable(&self, told: HostlessUrl) -> HostlessUrl {
        let port = self.device.port;
        let is_there = || connect(self.ip, told.port, CONNECT_LIMIT).is_some();
        if told.port == port || is_there() { told } else { HostlessUrl { port, ..told } }
    }

    fn stream(
        &mut self,
        place: &HostlessUrl,
        namespace: &str,
        profile: &Profile,
    ) -> Option<Stream> {
        let how = if namespace == MEDIA2 { OVER_RTSP_2 } else { OVER_RTSP };
        let token = escaped(&profile.token);
        let parts = [how, "<ProfileToken>", &token, "</ProfileToken>"];
        let question = request("GetStreamUri", namespace, &parts);
        let document = self.call(place, &question)?;
        let uri = answer::uri(&document)?;
        let (_, place) = HostlessUrl::parse(&uri, "rtsp", RTSP_PORT)?;
        let codec = profile.codec.to_ascii_lowercase();
        let known = ["h264", "h265"].into_iter().find(|name| codec.contains(&name[1..]));
        Some(Stream {
            url: place.at(&self.ip.to_string(), "rtsp", RTSP_PORT),
            name: profile.name.clone(),
            codec: known.map_or(codec, str::to_owned),
            width: profile.width,
            height: profile.height,
            fps: profile.fps,
            kbit_s: profile.kbit_s,
        })
    }

    /// Sends a request, and logs in where that is necessary; `None` if there is no answer to it.
    fn call(&mut self, place: &HostlessUrl, body: &str) -> Option<Vec<u8>> {
        while !self.ladder.is_over() && runtime::now() < self.deadline {
            let Dress { authorization, token } =
                self.ladder.dress(&place.path, nonce(), clock::now());
            let question = soap::envelope("", body, token.as_ref());
            let form = (self.form, &*action(body));
            let Reply { status, challenges, document } =
                post(self.ip, place, &question, authorization.as_deref(), form, self.deadline)?;
            match soap::kind(status, &document) {
                AnswerKind::Answer => {
                    self.ladder.accepted();
                    return Some(document);
                }
                AnswerKind::Locked => self.ladder.locked(),
                AnswerKind::Refusal if self.ladder.refused(&challenges) => {}
                AnswerKind::Fault => {
                    // It got past the login.
                    self.ladder.accepted();
                    return None;
                }
                AnswerKind::Refusal => return None,
                AnswerKind::Strange => {
                    // A service that is missing or broken is no word about the password.
                    if !matches!(status, 404 | 500..=599) {
                        self.ladder.ignored();
                    }
                    return None;
                }
            }
        }
        None
    }
}

/// Asks for the clock without credentials, which cannot be made before it is known. Returns the form
/// in which the camera was asked, too.
fn ask_clock(ip: IpAddr, place: &HostlessUrl, until: Instant) -> Option<(Reply, Form)> {
    let body = device_request("GetSystemDateAndTime");
    let (question, action) = (soap::envelope("", &body, None), action(&body));
    let mut form = Form::Plain;
    loop {
        let reply = post(ip, place, &question, None, (form, &action), until)?;
        match form.next(reply.status, &reply.document) {
            Some(next) => form = next,
            None => return Some((reply, form)),
        }
    }
}

/// Sends one request over a connection of its own, as cameras do not keep them well; again where
/// the camera closes it without a word.
fn post(
    ip: IpAddr,
    place: &HostlessUrl,
    envelope: &str,
    authorization: Option<&str>,
    form: (Form, &str),
    until: Instant,
) -> Option<Reply> {
    let url = place.at(&ip.to_string(), "http", HTTP_PORT);
    let target = Target::http(&url).ok()?;
    let question = soap::post(&place.path, target.authority(), authorization, envelope, form);
    let exchange = || exchange(ip, place.port, question.as_bytes(), until);
    let response = exchange().or_else(exchange)?;
    let (status, challenges) = (response.status, response.challenges.clone());
    Some(Reply { status, challenges, document: response.into_body() })
}

fn exchange(ip: IpAddr, port: u16, question: &[u8], until: Instant) -> Option<Response> {
    let deadline = until.min(runtime::now() + FIND_REQUEST_TIMEOUT);
    let left = || deadline.checked_duration_since(runtime::now()).filter(|left| !left.is_zero());
    let mut socket = connect(ip, port, CONNECT_LIMIT.min(left()?))?;
    socket.write_all(question).ok()?;
    let mut response = Response::document(FIND_DOCUMENT_BYTES_MAX);
    let mut bytes = vec![0; SNAPSHOT_READ_BYTES];
    loop {
        socket.set_read_timeout(Some(left()?)).ok()?;
        let count = socket.read(&mut bytes).ok()?;
        if count == 0 {
            return response.handle_close().ok().map(|()| response);
        }
        if response.handle_bytes(bytes.get(..count).unwrap_or_default()).ok()? {
            return Some(response);
        }
    }
}

fn device_request(name: &str) -> String {
    request(name, DEVICE, &[])
}

fn request(name: &str, namespace: &str, parts: &[&str]) -> String {
    ["<", name, " xmlns=\"", namespace, "\">", &parts.concat(), "</", name, ">"].concat()
}

/// What a request of [`request`] is called in a head.
fn action(request: &str) -> String {
    let mut parts = request.split(['<', ' ', '"']).skip(1).step_by(2);
    let (name, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    [namespace, "/", name].concat()
}

fn nonce<const N: usize>() -> [u8; N] {
    let random = sys::random().unwrap_or_default();
    random.first_chunk().copied().unwrap_or([0; N])
}

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The time to connect to a port that is only guessed: a camera in the same network answers sooner.
const GUESS_LIMIT: Duration = Duration::from_millis(300);
/// Within this, any device service at such a port answers with its time.
const GUESS_PATIENCE: Duration = Duration::from_millis(1500);
const CUT_OFF: &str =
    "the camera lists more profiles than are read: a smaller stream may be missing";
/// How Media and Media2 are asked for a stream.
const OVER_RTSP: &str = "<StreamSetup><Stream xmlns=\"http://www.onvif.org/ver10/schema\">RTP-Unicast</Stream>\
    <Transport xmlns=\"http://www.onvif.org/ver10/schema\"><Protocol>RTSP</Protocol></Transport></StreamSetup>";
const OVER_RTSP_2: &str = "<Protocol>RTSP</Protocol>";
/// Where the media service of most cameras is.
const MEDIA_SERVICE: &str = "/onvif/media_service";
