//! mosquitto, and a client that subscribes to everything.

use super::{port::Port, wait_for};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;

/// A running mosquitto on a port of its own.
pub struct Broker {
    folder: TempDir,
    pub port: u16,
    child: Option<Child>,
}

impl Broker {
    pub fn start(settings: &str) -> Broker {
        let folder = tempfile::tempdir().unwrap();
        let free = Port::closed();
        let port = free.number();
        drop(free);
        let text = format!("listener {port} 127.0.0.1\nuser root\n{settings}\n");
        fs::write(folder.path().join("conf"), text).unwrap();
        let mut broker = Broker { folder, port, child: None };
        broker.restart();
        broker
    }

    pub fn open() -> Broker {
        Broker::start("allow_anonymous true")
    }

    pub fn restart(&mut self) {
        let child = Command::new("/usr/sbin/mosquitto")
            .arg("-c")
            .arg(self.folder.path().join("conf"))
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        let port = self.port;
        wait_for("mosquitto", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub fn publish(&self, topic: &str, payload: &str, flags: &[&str]) {
        let port = self.port.to_string();
        let status = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port, "-t", topic, "-m", payload])
            .args(flags)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client that receives every message.
pub struct Watcher {
    child: Child,
    lines: Arc<Mutex<Vec<(String, String)>>>,
}

impl Watcher {
    pub fn new(broker: &Broker) -> Watcher {
        let port = broker.port.to_string();
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "#", "-F", "%t\t%x"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = Arc::<Mutex<Vec<_>>>::default();
        let (pipe, sink) = (child.stdout.take().unwrap(), Arc::clone(&lines));
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8(line).unwrap();
                let Some((topic, digits)) = line.split_once('\t') else { continue };
                let bytes = (0..digits.len()).step_by(2);
                let bytes = bytes.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
                let payload = String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned();
                sink.lock().unwrap().push((topic.to_owned(), payload));
            }
        });
        Watcher { child, lines }
    }

    pub fn all(&self) -> Vec<(String, String)> {
        self.lines.lock().unwrap().clone()
    }

    /// The messages of a topic, in order.
    pub fn of(&self, topic: &str) -> Vec<String> {
        let all = self.all().into_iter().filter(|(it, _)| it == topic);
        all.map(|(_, payload)| payload).collect()
    }

    pub fn last(&self, topic: &str) -> String {
        self.of(topic).pop().unwrap_or_default()
    }

    pub fn wait(&self, topic: &str, payload: &str) {
        wait_for(&format!("{topic} {payload}, got {:?}", self.of(topic)), || {
            self.last(topic) == payload
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
