//! A pull point: a camera's answers in, the next request out, and what its detectors say.
//!
//! ```text
//! Find ─▶ Services ─▶ Create ─▶ Pull ◀─▶ Renew
//!   ▲         └───────────┴───────┴────────┘ after a pause
//! ```
//! Cameras hold few subscriptions, forget none of ours before its time is over, and lock accounts:
//! so a new one is made only after a pause, with a short life.
//!
//! Spec: ONVIF Core §9.1 to 9.3; WS-BaseNotification 1.3 §6; WS-Addressing 1.0.
//! Knows nothing of: sockets, HTTP, the camera's host, which answers do not change.

use super::{
    answer::{self, DEVICE, EVENTS},
    ladder::Ladder,
    notice::{Notice, notices},
    place::HostlessUrl,
    probe::uuid,
    read,
    soap::{self, AnswerKind, Form, escaped},
};
use crate::{
    http::url::{Credentials, HTTP_PORT},
    limits,
    units::WallTime,
    xml::Event,
};
use std::time::{Duration, Instant};

/// A subscription to a camera's detectors, and the way to it.
pub struct Pull {
    ladder: Ladder,
    stage: Stage,
    /// Where the device service may be.
    ports: Vec<u16>,
    /// The device service's port: an index into `ports`.
    port: usize,
    /// The service that is asked in this stage.
    place: HostlessUrl,
    /// The subscription's address, as written by the camera.
    address: String,
    /// What the camera wants back with each request about it.
    reference: String,
    renew_at: Option<Instant>,
    life: Duration,
    /// When the last subscription was made.
    since: Option<Instant>,
    /// The ports that the camera names do not lead to it, only that of its device service does.
    is_behind_nat: bool,
    /// Requests in a row that were not answered.
    unanswered: u32,
    /// The camera does not keep a connection open for long.
    is_impatient: bool,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Find,
    Services,
    /// The same, of cameras that do not know `GetServices`.
    Capabilities,
    Create,
    Pull,
    Renew,
}

/// A request before it is dressed.
#[derive(Default)]
struct Draft {
    name: &'static str,
    namespace: &'static str,
    body: String,
    /// Its WS-Addressing action, if it has one.
    action: &'static str,
}

/// What to send where, in a POST.
pub struct Request {
    pub place: HostlessUrl,
    pub authorization: Option<String>,
    pub envelope: String,
    pub form: Form,
    pub action: String,
    /// How long the answer may take.
    pub patience: Duration,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub challenges: Vec<String>,
    pub document: Vec<u8>,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The next request.
    Ask,
    /// The camera sent these notices; then the next request, but not at once.
    Heard(Vec<Notice>),
    /// Wait this long, for this reason; then the next request.
    Pause(Duration, &'static str),
}

impl Pull {
    /// `ports` is where the device service may be, the likeliest first; `seed` is for nonces.
    pub fn new(credentials: Option<Credentials>, ports: Vec<u16>, seed: u64) -> Pull {
        Pull {
            ladder: Ladder::new(credentials, seed),
            stage: Stage::Find,
            ports,
            port: 0,
            place: HostlessUrl { port: HTTP_PORT, path: DEVICE_SERVICE.to_owned() },
            address: String::new(),
            reference: String::new(),
            renew_at: None,
            life: limits::PULL_LIFE,
            since: None,
            is_behind_nat: false,
            unanswered: 0,
            is_impatient: false,
            form: Form::Plain,
        }
    }

    /// The request that is due; `random` anew each time.
    pub fn request(&mut self, random: [u8; 16], now: Instant, wall: WallTime) -> Request {
        if self.stage == Stage::Pull && self.renew_at.is_some_and(|at| at <= now) {
            self.stage = Stage::Renew;
        }
        let wait = if self.is_impatient { limits::PULL_WAIT_SHORT } else { limits::PULL_WAIT };
        let seconds = wait.as_secs().to_string();
        let draft = match self.stage {
            Stage::Find => {
                let port = self.device_port();
                self.place = HostlessUrl { port, path: DEVICE_SERVICE.to_owned() };
                Draft { name: "GetSystemDateAndTime", namespace: DEVICE, ..Draft::default() }
            }
            Stage::Services => {
                let body = "<IncludeCapability>false</IncludeCapability>".to_owned();
                Draft { name: "GetServices", namespace: DEVICE, body, action: "" }
            }
            Stage::Capabilities => {
                let body = "<Category>All</Category>".to_owned();
                Draft { name: "GetCapabilities", namespace: DEVICE, body, action: "" }
            }
            Stage::Create => {
                // Tapo answers 500 without a time.
                let body = ["<InitialTerminationTime>", LIFE, "</InitialTerminationTime>"].concat();
                let name = "CreatePullPointSubscription";
                Draft { name, namespace: EVENTS, body, action: CREATE }
            }
            Stage::Pull => {
                let body = ["<Timeout>PT", &seconds, "S</Timeout>", LIMIT].concat();
                Draft { name: "PullMessages", namespace: EVENTS, body, action: PULL }
            }
            Stage::Renew => {
                let body = ["<TerminationTime>", LIFE, "</TerminationTime>"].concat();
                Draft { name: "Renew", namespace: WSN, body, action: RENEW }
            }
        };
        let wait = if self.stage == Stage::Pull { wait } else { Duration::ZERO };
        self.write(&draft, wait + limits::FIND_REQUEST_TIMEOUT, random, wall)
    }

    /// The request that ends the subscription, if there is one.
    pub fn end(&mut self, random: [u8; 16], wall: WallTime) -> Option<Request> {
        let is_on = matches!(self.stage, Stage::Pull | Stage::Renew);
        // It comes in the middle of a pull.
        self.ladder.interrupted();
        let draft =
            Draft { name: "Unsubscribe", namespace: WSN, action: UNSUBSCRIBE, ..Draft::default() };
        is_on.then(|| self.write(&draft, limits::PULL_END_TIMEOUT, random, wall))
    }

    /// Takes the answer to that; returns true if it is to be sent once more.
    pub fn ended(&mut self, reply: &Reply) -> bool {
        let is_refusal = soap::kind(reply.status, &reply.document) == AnswerKind::Refusal;
        is_refusal && self.ladder.refused(&reply.challenges)
    }

    fn write(
        &mut self,
        draft: &Draft,
        patience: Duration,
        random: [u8; 16],
        wall: WallTime,
    ) -> Request {
        let Draft { name, namespace, body, action } = draft;
        let header = match *action {
            "" => String::new(),
            _ => {
                let to = match &*self.address {
                    "" => self.place.at("camera", "http", HTTP_PORT),
                    address => escaped(address),
                };
                let ours = "<a:Action xmlns:a=\"http://www.w3.org/2005/08/addressing\">";
                let id = uuid(random);
                [ours, action, MESSAGE_ID, &id, TO, &to, "</a:To>", &self.reference].concat()
            }
        };
        let body = ["<", name, " xmlns=\"", namespace, "\">", body, "</", name, ">"].concat();
        let (authorization, envelope) = match self.stage {
            // The clock is needed to log in.
            Stage::Find => (None, soap::envelope(&header, &body, None)),
            _ => {
                let dress = self.ladder.dress(&self.place.path, random, wall);
                (dress.authorization, soap::envelope(&header, &body, dress.token.as_ref()))
            }
        };
        let action = match *action {
            "" => [namespace, "/", name].concat(),
            action => action.to_owned(),
        };
        let (place, form) = (self.place.clone(), self.form);
        Request { place, authorization, envelope, form, action, patience }
    }

    /// Takes the answer to the last request; `None` if the connection failed or was closed.
    pub fn answered(&mut self, reply: Option<&Reply>, now: Instant, wall: WallTime) -> Next {
        let Some(reply) = reply else { return self.unanswered() };
        self.unanswered = 0;
        let document = &reply.document;
        let kind = soap::kind(reply.status, document);
        if self.stage == Stage::Find {
            if let Some(form) = self.form.next(reply.status, document) {
                self.form = form;
                return Next::Ask;
            }
            if kind == AnswerKind::Strange
                || kind == AnswerKind::Refusal && !soap::is_soap(document)
            {
                return self.next_port();
            }
            if let Some(told) = answer::clock(document) {
                self.ladder.set_offset_ms(told.0.saturating_sub(wall.0));
            }
            self.stage = Stage::Services;
            return Next::Ask;
        }
        match kind {
            AnswerKind::Answer => self.ladder.accepted(),
            AnswerKind::Refusal if self.ladder.refused(&reply.challenges) => return Next::Ask,
            AnswerKind::Refusal | AnswerKind::Locked => {
                // A new password comes with a reload, which starts over.
                self.ladder.begin_anew();
                return self.again_after(limits::PULL_REFUSED_PAUSE, REFUSED);
            }
            // Some cameras do not know Renew; pulling may be enough, and fails if it is not.
            AnswerKind::Fault | AnswerKind::Strange if self.stage == Stage::Renew => {
                self.ladder.accepted();
                (self.stage, self.renew_at) = (Stage::Pull, None);
                return Next::Ask;
            }
            AnswerKind::Fault | AnswerKind::Strange => match self.stage {
                Stage::Services | Stage::Capabilities => {}
                // The subscription is over: its life, or the camera started anew.
                Stage::Pull => return self.subscribe_anew(now),
                _ => return self.again_after(limits::PULL_PAUSE, FAULT),
            },
        }
        match self.stage {
            Stage::Find => {}
            Stage::Services | Stage::Capabilities => {
                let told = answer::services(document).events;
                let place = told.and_then(|it| Some(HostlessUrl::parse(&it, "http", HTTP_PORT)?.1));
                match place {
                    Some(place) => {
                        (self.address, self.reference) = (String::new(), String::new());
                        (self.place, self.stage) = (self.reachable(place), Stage::Create);
                    }
                    None if self.stage == Stage::Services => self.stage = Stage::Capabilities,
                    None => return self.again_after(limits::PULL_PAUSE, NO_SERVICE),
                }
            }
            Stage::Create => {
                self.subscribed(document, now);
                return Next::Heard(Vec::new());
            }
            Stage::Renew => {
                self.renewed(document, now);
                self.stage = Stage::Pull;
            }
            Stage::Pull => return Next::Heard(notices(document)),
        }
        Next::Ask
    }

    /// Takes the answer to `CreatePullPointSubscription`.
    fn subscribed(&mut self, document: &[u8], now: Instant) {
        read(document, &mut |path, event| {
            if let ([.., "SubscriptionReference", "Address"], Event::Text(text)) = (path, event)
                && self.address.is_empty()
                && text.len() <= limits::URL_BYTES_MAX
            {
                self.address = text.clone().into_owned();
            }
        });
        // Without a usable address, the service itself may answer for the subscription.
        if let Some((_, place)) = HostlessUrl::parse(&self.address, "http", HTTP_PORT) {
            self.place = self.reachable(place);
        }
        self.reference = answer::reference(document);
        self.renewed(document, now);
        (self.stage, self.since) = (Stage::Pull, Some(now));
    }

    /// A place that the camera named, at the port that leads to it.
    fn reachable(&self, told: HostlessUrl) -> HostlessUrl {
        let port = if self.is_behind_nat { self.device_port() } else { told.port };
        HostlessUrl { port, ..told }
    }

    fn device_port(&self) -> u16 {
        self.ports.get(self.port).copied().unwrap_or(HTTP_PORT)
    }

    /// Notes how long the subscription lives.
    fn renewed(&mut self, document: &[u8], now: Instant) {
        let told = answer::lifetime(document);
        let told = told.filter(|it| *it <= limits::PULL_LIFE);
        self.life = told.unwrap_or(self.life).max(limits::PULL_LIFE_MIN);
        self.renew_at = Some(now + self.life * 4 / 5);
    }

    fn unanswered(&mut self) -> Next {
        self.unanswered += 1;
        match self.stage {
            Stage::Find => self.next_port(),
            // Quirk: Tapo C220 closes the connection after 10 s; C530WS at once, now and then
            // (lightNVR#603), so that the next request must not follow at once.
            Stage::Pull if self.unanswered < limits::PULL_UNANSWERED_MAX => {
                self.is_impatient |= self.unanswered >= 2;
                Next::Heard(Vec::new())
            }
            // Exactly once more, as cameras close connections without a word.
            _ if self.stage != Stage::Pull && self.unanswered < 2 => Next::Ask,
            Stage::Create if self.place.port != self.device_port() => {
                (self.is_behind_nat, self.place.port) = (true, self.device_port());
                Next::Ask
            }
            _ => self.again_after(limits::PULL_PAUSE, SILENT),
        }
    }

    /// Subscribes again, [`limits::PULL_PAUSE`] after the last time at the earliest.
    fn subscribe_anew(&mut self, now: Instant) -> Next {
        let due = self.since.map_or(now, |since| since + limits::PULL_PAUSE);
        match due.checked_duration_since(now).filter(|left| !left.is_zero()) {
            Some(left) => self.again_after(left, FAULT),
            None => {
                self.stage = Stage::Find;
                Next::Ask
            }
        }
    }

    fn next_port(&mut self) -> Next {
        self.is_behind_nat = false;
        self.form = Form::Plain;
        self.port += 1;
        if self.port < self.ports.len() {
            return Next::Ask;
        }
        self.port = 0;
        self.again_after(limits::PULL_PAUSE, NO_DEVICE)
    }

    /// Begins anew after a pause.
    fn again_after(&mut self, pause: Duration, reason: &'static str) -> Next {
        self.stage = Stage::Find;
        self.unanswered = 0;
        Next::Pause(pause, reason)
    }
}

/// Where the device service of most cameras is.
const DEVICE_SERVICE: &str = "/onvif/device_service";
/// [`limits::PULL_LIFE`].
const LIFE: &str = "PT300S";
const LIMIT: &str = "<MessageLimit>30</MessageLimit>";
const WSN: &str = "http://docs.oasis-open.org/wsn/b-2";
const MESSAGE_ID: &str =
    "</a:Action><a:MessageID xmlns:a=\"http://www.w3.org/2005/08/addressing\">urn:uuid:";
const TO: &str = "</a:MessageID><a:To xmlns:a=\"http://www.w3.org/2005/08/addressing\">";
const CREATE: &str =
    "http://www.onvif.org/ver10/events/wsdl/EventPortType/CreatePullPointSubscriptionRequest";
const PULL: &str =
    "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/PullMessagesRequest";
const RENEW: &str = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest";
const UNSUBSCRIBE: &str =
    "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest";
const NO_DEVICE: &str =
    "no ONVIF at the camera's usual ports (80, 8000, 8080, 8899, 2020) or that of snapshot";
const NO_SERVICE: &str = "the camera names no events over ONVIF";
const REFUSED: &str =
    "the camera refuses this user and password over ONVIF; they are not tried again for an hour";
const FAULT: &str =
    "the camera does not let anybody subscribe to its events, or ended the subscription";
const SILENT: &str = "the camera does not answer over ONVIF";

#[cfg(test)]
#[path = "tests/pull.rs"]
mod tests;
