//! Tells an MQTT server the state of everything, and obeys what it passes on.
//!
//! States are not queued: only the difference from what was last published is sent, so memory is
//! bounded however much happens and however long the server is away. Marks are sent one at a time
//! and repeated until the server has them, as far back as the history goes.

use super::{
    super::{Daemon, control::Wish},
    Listener,
    home::{Home, HomeCamera, KEPT},
};
use crate::{
    camera::{Connector, State},
    config,
    http::url::Target,
    limits,
    mqtt::{Client, Login, MqttEvent, Retain},
    runtime::{self, Async},
    storage::CardState,
};
use smol::future;
use std::{io, net::TcpStream, rc::Rc, time::Instant};

/// What was published, over all connections.
struct Teller {
    daemon: Rc<Daemon>,
    home: Home,
    listener: Listener,
    /// Cameras that Home Assistant knows, and those that it is to forget.
    cameras: Vec<HomeCamera>,
    gone: Vec<String>,
    /// Topics with the last value published over this connection.
    states: Vec<(String, String)>,
    /// The subscriptions of this connection are still to be made.
    is_new: bool,
    /// The server accepted the last connection, but soon closed it.
    was_cut: bool,
    /// Where users find our page, as part of the announcement.
    page: String,
    /// A mark that the server may not have yet.
    mark: Option<(String, String)>,
    quiet_until: Option<Instant>,
    days: Vec<(String, String)>,
    days_until: Option<Instant>,
    /// Where pictures were sent, and when the last one had been taken.
    pictures: Vec<(String, Instant)>,
}

pub(super) async fn run(daemon: Rc<Daemon>, config: config::Mqtt, listener: Listener) {
    let Some(url) = &config.broker else { return };
    let mut connector = Connector::new(&url.0);
    let mut teller = Teller {
        daemon,
        home: Home::new(&config),
        listener,
        cameras: Vec::new(),
        gone: Vec::new(),
        states: Vec::new(),
        is_new: false,
        was_cut: false,
        page: String::new(),
        mark: None,
        quiet_until: None,
        days: Vec::new(),
        days_until: None,
        pictures: Vec::new(),
    };
    let mut pause = limits::MQTT_PAUSE_MIN;
    loop {
        let began = runtime::now();
        let reason = Box::pin(teller.connection(&mut connector, &url.0)).await;
        if runtime::now().duration_since(began) >= limits::MQTT_STEADY {
            pause = limits::MQTT_PAUSE_MIN;
            teller.listener.trouble = None;
            teller.was_cut = false;
        }
        teller.listener.say(Err([&url.0.to_string(), ": ", &reason].concat()));
        runtime::sleep(pause).await;
        pause = (2 * pause).min(limits::MQTT_PAUSE_MAX);
    }
}

impl Teller {
    /// Runs one connection; returns why it ended.
    async fn connection(&mut self, connector: &mut Connector, target: &Target) -> String {
        let socket = match connector.connect().await {
            Ok(socket) => socket,
            Err(error) => {
                self.was_cut = false;
                return error.to_string();
            }
        };
        let began = runtime::now();
        let will = self.home.status();
        let user = target.credentials().map(|it| (&*it.user, &*it.password));
        let id = self.home.id();
        let login = Login { client_id: &id, user_and_password: user, will: (&will, "offline") };
        let mut client = Client::new(&login, runtime::now());
        self.begin(&socket);
        let mut bytes = [0; limits::MQTT_PACKET_BYTES_MAX];
        loop {
            let changed = self.daemon.changed.changed();
            let now = runtime::now();
            if let Err(error) = client.handle_time(now) {
                return error.to_string();
            }
            let mut due = client.deadline();
            if client.is_open() {
                due = due.min(self.tell(&mut client, now));
            }
            let out = std::mem::take(&mut client.out);
            match runtime::timeout(limits::MQTT_ANSWER_TIMEOUT, socket.write_all(&out)).await {
                None => return "it takes nothing".into(),
                Some(Err(error)) => return self.cut(&client, began, Some(error)),
                Some(Ok(())) => drop(out),
            }
            let heard = async { Some(socket.read(&mut bytes).await) };
            let waited = async {
                future::or(changed, runtime::sleep_until(due)).await;
                None
            };
            let read = match future::or(heard, waited).await {
                None => continue,
                Some(Ok(0)) => return self.cut(&client, began, None),
                Some(Ok(count)) => bytes.get(..count).unwrap_or_default(),
                Some(Err(error)) => return self.cut(&client, began, Some(error)),
            };
            let is_open = client.is_open();
            if let Err(error) = client.handle_bytes(read, &mut |event| self.hear(event)) {
                return error.to_string();
            }
            if client.is_open() && !is_open {
                log::info!("mqtt=connected server={target} topic={}", self.home.topic);
            }
        }
    }

    /// Why the server may have ended the connection. A server that stops reading resets it.
    fn cut(&mut self, client: &Client, began: Instant, error: Option<io::Error>) -> String {
        let is_early = client.is_open() && runtime::now() < began + limits::MQTT_STEADY;
        if is_early && std::mem::replace(&mut self.was_cut, true) {
            return "it lets us in and closes the connection, again and again: give each recorder \
                    an `mqtt.topic` of its own, and see how large its packets may be (mosquitto: \
                    max_packet_size)"
                .into();
        }
        error.map_or_else(|| "it closed the connection".into(), |error| error.to_string())
    }

    /// Forgets what was published: a new connection starts with everything.
    fn begin(&mut self, socket: &Async<TcpStream>) {
        self.states.clear();
        self.is_new = true;
        self.quiet_until = None;
        let listen = self.daemon.config.borrow().web.listen;
        let ours = socket.get_ref().local_addr().ok().filter(|_| !listen.ip().is_loopback());
        self.page = ours.map_or(String::new(), |mut ours| {
            ours.set_port(listen.port());
            format!(",\"cu\":\"http://{ours}/\"")
        });
    }

    fn hear(&mut self, event: MqttEvent<'_>) {
        match event {
            MqttEvent::Open => {}
            MqttEvent::Confirmed => self.mark = None,
            MqttEvent::Denied => {
                log::warn!("mqtt: the server denies a subscription: allow us to read our topic")
            }
            MqttEvent::Message { topic, payload: b"online", .. } if topic == self.home.birth() => {
                // Home Assistant has started and needs everything.
                self.states.clear();
            }
            MqttEvent::Message { topic, payload, retained } => {
                if let Some(name) = self.home.recorded(topic).filter(|_| retained) {
                    return self.find_gone(name);
                }
                let Some((camera, wish)) = self.home.command(topic, payload) else { return };
                let stations = self.daemon.stations.borrow();
                let station = stations.iter().find(|it| it.camera.name == camera).cloned();
                drop(stations);
                let Some(station) = station else { return };
                if retained {
                    log::warn!(
                        "camera={camera} mqtt: a command that the server kept is not obeyed"
                    );
                } else if station.is_asked() != (wish == Wish::Start) {
                    log::info!("camera={camera} recording={wish:?} asked=mqtt");
                    let _ = self.daemon.want_recording(Some(camera), wish);
                }
            }
        }
    }

    /// Handles a retained state of a camera, which may have been removed while we were not
    /// connected.
    fn find_gone(&mut self, name: &str) {
        let is_known = self.cameras.iter().any(|camera| camera.name == name)
            || self.gone.iter().any(|gone| gone == name);
        if !is_known && self.gone.len() < limits::CAMERAS_MAX {
            self.gone.push(name.to_owned());
            self.states.clear();
        }
    }

    /// Publishes what is new; returns when to look again if nothing changes.
    fn tell(&mut self, client: &mut Client, now: Instant) -> Instant {
        if std::mem::take(&mut self.is_new) {
            let home = &self.home;
            client.subscribe(&[&home.commands(), &home.birth(), &home.recordings()]);
        }
        if self.mark.is_none()
            && let Some(news) = self.listener.poll(&self.daemon)
        {
            let camera = news.texts().find(|(name, _)| *name == "camera").unwrap_or_default().1;
            self.mark = Some((self.home.topic(&camera, "mark"), news.to_json()));
            self.ask_for_picture(&camera);
        }
        if client.is_confirmed()
            && let Some((topic, text)) = &self.mark
        {
            client.publish_surely(topic, text.as_bytes(), now);
        }
        if let Some(until) = self.quiet_until.filter(|until| *until > now) {
            return until;
        }
        let before = client.out.len();
        self.announce(client);
        self.tell_states(client, now);
        self.show_a_picture(client);
        let is_said = client.out.len() > before;
        self.quiet_until = is_said.then(|| now + limits::MQTT_STATE_INTERVAL);
        now + limits::MQTT_PICTURE_INTERVAL
    }

    /// Tells Home Assistant which cameras there are.
    fn announce(&mut self, client: &mut Client) {
        let config = self.daemon.config.borrow();
        let cameras = config.camera.iter().map(|camera| {
            let (name, label) = (camera.name.as_str().to_owned(), camera.label().to_owned());
            HomeCamera { name, label }
        });
        let cameras: Vec<_> = cameras.collect();
        if !self.states.is_empty() && cameras == self.cameras {
            return;
        }
        let is_there = |name: &str| cameras.iter().any(|camera| camera.name == name);
        self.gone.extend(self.cameras.drain(..).map(|camera| camera.name));
        self.gone.retain(|name| !is_there(name));
        self.gone.truncate(limits::CAMERAS_MAX);
        for (name, what) in self.gone.iter().flat_map(|name| KEPT.map(|what| (name, what))) {
            client.publish(&self.home.topic(name, what), b"", Retain::Yes);
        }
        if let Some((topic, text)) = self.home.announcement(&cameras, &self.gone, &self.page) {
            client.publish(&topic, text.as_bytes(), Retain::Yes);
        }
        self.cameras = cameras;
    }

    fn tell_states(&mut self, client: &mut Client, now: Instant) {
        if self.days_until.is_none_or(|until| until <= now) {
            self.days = days(&self.daemon);
            self.days_until = Some(now + limits::MQTT_PICTURE_INTERVAL);
        }
        let mut states = Vec::new();
        let book = self.daemon.marks.borrow();
        for station in self.daemon.stations.borrow().iter() {
            let name = &*station.camera.name;
            let days = self.days.iter().find(|(of, _)| of == name).map(|(_, days)| days.clone());
            for (what, state) in [
                ("recording", on_off(station.is_asked())),
                ("motion", on_off(book.is_active(name))),
                ("online", on_off(station.camera.state() == State::Live)),
                ("days", days.unwrap_or_else(|| "None".to_owned())),
            ] {
                states.push((self.home.topic(name, what), state));
            }
        }
        let card = self.daemon.card.borrow();
        let is_well = matches!(*card, CardState::Ok | CardState::Released);
        states.push((self.home.topic("card", "problem"), on_off(!is_well)));
        states.push((self.home.topic("card", "state"), card.name().to_owned()));
        // Last: a client that sees it finds all the others.
        states.push((self.home.status(), "online".to_owned()));
        for state in &states {
            if !self.states.contains(state) {
                client.publish(&state.0, state.1.as_bytes(), Retain::Yes);
            }
        }
        for (topic, _) in &self.states {
            if !states.iter().any(|(known, _)| known == topic) {
                client.publish(topic, b"", Retain::Yes);
            }
        }
        self.states = states;
    }

    /// Requests a picture of a beginning event, if the camera can provide one cheaply.
    fn ask_for_picture(&self, camera: &str) {
        let stations = self.daemon.stations.borrow();
        let mut stations = stations.iter().filter(|it| it.snapshots.are_cheap());
        if let Some(station) = stations.find(|it| it.camera.name == camera) {
            let (daemon, station) = (Rc::clone(&self.daemon), Rc::clone(station));
            runtime::spawn(&self.daemon.executor, async move {
                let _ = station.snapshots.newest().await;
                daemon.changed.notify();
            });
        }
    }

    /// Sends one new picture at a time.
    fn show_a_picture(&mut self, client: &mut Client) {
        for station in self.daemon.stations.borrow().iter() {
            let topic = self.home.topic(&station.camera.name, "picture");
            let before = self.pictures.iter_mut().find(|(known, _)| *known == topic);
            let Some(picture) = station.snapshots.last() else { continue };
            let taken = picture.taken;
            let is_soon = |last: Instant| taken < last + limits::MQTT_PICTURE_INTERVAL;
            if picture.jpeg.len() > limits::MQTT_PICTURE_BYTES_MAX
                || before.as_ref().is_some_and(|(_, last)| is_soon(*last))
            {
                continue;
            }
            client.publish(&topic, &picture.jpeg, Retain::Yes);
            match before {
                Some((_, last)) => *last = taken,
                // Cameras that are gone are forgotten eventually.
                None => {
                    self.pictures.truncate(limits::CAMERAS_MAX);
                    self.pictures.push((topic, taken));
                }
            }
            return;
        }
    }
}

fn on_off(is_on: bool) -> String {
    if is_on { "ON" } else { "OFF" }.to_owned()
}

/// How many days fit for each camera.
fn days(daemon: &Daemon) -> Vec<(String, String)> {
    let retained = daemon.config.borrow().storage.retained();
    let catalog = super::catalog(daemon);
    let days = catalog.days(retained).into_iter().filter_map(|(camera, days)| {
        let tenths = (days? * 10.0).round() as u64;
        Some((camera.to_owned(), format!("{}.{}", tenths / 10, tenths % 10)))
    });
    days.collect()
}
