//! Tells programs and servers what happens, at once.
//!
//! ```text
//! tell.rs      which listeners there are, and what each is told
//! ├─ news      what is told of one thing that happened
//! ├─ program   `on_mark` and `on_segment`
//! ├─ webhook   POST of JSON
//! ├─ broker    MQTT: the connection, and what is sent when
//! └─ home      MQTT: topics and states, and Home Assistant's discovery
//! ```
//! Each listener is a task that reads the history at its own pace. Nothing waits for it: entries it
//! is too slow for are dropped, counted and logged.

mod broker;
mod home;
mod news;
mod program;
mod webhook;

use self::news::News;
use super::Daemon;
use crate::{config, runtime};
use smol::Task;
use std::{rc::Rc, sync::PoisonError};

/// The listeners in effect.
#[derive(Default)]
pub(super) struct Telling {
    hooks: config::Hooks,
    mqtt: config::Mqtt,
    _tasks: Vec<Task<()>>,
}

/// Whether a listener is told of marks, of complete recordings, or of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Marks,
    Segments,
    Both,
}

/// A reader of the history.
struct Listener {
    name: &'static str,
    about: About,
    next_mark: u64,
    next_segment: u64,
    trouble: Option<String>,
}

impl Daemon {
    /// Starts the listeners of the configuration, if these have changed.
    pub(super) fn start_telling(self: &Rc<Self>) {
        let (hooks, mqtt) = {
            let config = self.config.borrow();
            (config.hooks.clone(), config.mqtt.clone())
        };
        let before = self.telling.borrow();
        if (&before.hooks, &before.mqtt) == (&hooks, &mqtt) {
            return;
        }
        drop(before);
        let listener = |name, about| Listener::new(name, about, self);
        let mut tasks = Vec::new();
        for (name, command, about) in [
            ("on_mark", &hooks.on_mark, About::Marks),
            ("on_segment", &hooks.on_segment, About::Segments),
        ] {
            if !command.is_empty() {
                let (daemon, command) = (Rc::clone(self), command.clone());
                let work = program::run(daemon, command, listener(name, about));
                tasks.push(runtime::task(&self.executor, work));
            }
        }
        if let Some(url) = &hooks.webhook {
            let about = if hooks.webhook_segments { About::Both } else { About::Marks };
            let (daemon, target) = (Rc::clone(self), url.0.clone());
            let work = webhook::run(daemon, target, listener("webhook", about));
            tasks.push(runtime::task(&self.executor, work));
        }
        if mqtt.broker.is_some() {
            let work = broker::run(Rc::clone(self), mqtt.clone(), listener("mqtt", About::Marks));
            tasks.push(runtime::task(&self.executor, work));
        }
        self.telling.replace(Telling { hooks, mqtt, _tasks: tasks });
    }

    /// Notes that a recording is complete, if anybody wants to know.
    pub(super) fn tell_of_segment(&self, camera: &str, number: u32) {
        let telling = self.telling.borrow();
        let hooks = &telling.hooks;
        if !hooks.on_segment.is_empty() || hooks.webhook_segments {
            self.history.borrow_mut().complete.push((camera.to_owned(), number));
        }
    }
}

impl Listener {
    /// Starts with the next entry.
    fn new(name: &'static str, about: About, daemon: &Daemon) -> Listener {
        let history = daemon.history.borrow();
        let (next_mark, next_segment) = (history.marks.next(), history.complete.next());
        Listener { name, about, next_mark, next_segment, trouble: None }
    }

    /// Waits for the next thing to tell. Cancel-safe.
    async fn next(&mut self, daemon: &Daemon) -> News {
        daemon.changed.until_some(|| self.poll(daemon)).await
    }

    /// The next thing to tell, if there is one.
    fn poll(&mut self, daemon: &Daemon) -> Option<News> {
        let history = daemon.history.borrow();
        let mut missed = 0;
        let mut found = None;
        while self.about != About::Segments
            && found.is_none()
            && self.next_mark < history.marks.next()
        {
            match history.marks.get(self.next_mark) {
                // Repeated for the card while it goes on.
                Some(mark) if mark.is_watch() || mark.length_ms > 0 && !mark.course.is_over() => {}
                Some(mark) => found = Some(News::of_mark(mark, &catalog(daemon).began())),
                None => missed += 1,
            }
            self.next_mark += 1;
        }
        while self.about != About::Marks
            && found.is_none()
            && self.next_segment < history.complete.next()
        {
            match history.complete.get(self.next_segment) {
                Some((camera, number)) => {
                    found = News::of_segment(camera, *number, &catalog(daemon));
                }
                None => missed += 1,
            }
            self.next_segment += 1;
        }
        if missed > 0 {
            log::warn!("{}: {missed} dropped: they came faster than they were taken", self.name);
        }
        found
    }

    /// Logs a failure, unless it is the one before; and the first success after it.
    fn say(&mut self, result: Result<(), String>) {
        match (result, self.trouble.take()) {
            (Ok(()), None) => {}
            (Ok(()), Some(_)) => log::info!("{}=ok", self.name),
            (Err(reason), before) => {
                if before.as_ref() != Some(&reason) {
                    log::warn!("{}: {reason}", self.name);
                }
                self.trouble = Some(reason);
            }
        }
    }
}

/// Describes the names under which the MQTT server and Home Assistant know this recorder.
pub fn mqtt_names(config: &config::Mqtt) -> String {
    let home = home::Home::new(config);
    let told = home
        .announcement(&[], &[], "")
        .map(|(topic, _)| format!(", for Home Assistant in {topic}"));
    format!("states and marks below {}{}", home.topic, told.unwrap_or_default())
}

fn catalog(daemon: &Daemon) -> std::sync::MutexGuard<'_, crate::storage::catalog::Catalog> {
    daemon.desk.storage.catalog().lock().unwrap_or_else(PoisonError::into_inner)
}
