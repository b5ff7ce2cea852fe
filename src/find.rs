//! "What is my camera's URL?": looks for cameras nearby, and asks one for its streams.
//!
//! Only networks that are not the Internet are asked. Passwords go only to the camera that the user
//! named: hosts in answers are ignored, and redirects are not followed.
//!
//! ```text
//! find.rs      cameras nearby; one camera
//! ├─ network   probes by multicast, or to one address
//! ├─ lookup    one camera's streams, by ONVIF
//! ├─ paths     one camera's streams, by paths that makers use
//! └─ error     why one camera was not found
//! ```
//!
//! *Cost*: nothing while nobody looks; then a socket, at most 64 KB for an answer and some KB for
//! the cameras.
//! The calls block, so they run on a thread of their own: as tasks they would take three times the
//! code.
//! Knows nothing of: the configuration, recordings.

mod error;
mod lookup;
mod network;
mod paths;

pub use error::Error;

use crate::{
    http::{
        local::is_local,
        url::{Credentials, HTTP_PORT, RTSP_PORT, Target},
    },
    limits::{
        FIND_DEVICES_MAX, FIND_GUESS_TIMEOUT, FIND_REFUSALS_MAX, FIND_REQUEST_TIMEOUT, FIND_TIMEOUT,
    },
    onvif::{place::HostlessUrl, probe::Device},
    runtime,
};
use lookup::{Certainty, Lookup};
use network::Answer;
use paths::Tries;
use serde::Serialize;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs as _},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// A camera.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Camera {
    /// Its IP address.
    pub address: String,
    /// Its own name; may be empty, like the next two.
    pub name: String,
    pub maker: String,
    pub model: String,
    /// The URL of its ONVIF device service.
    pub onvif: Option<String>,
    /// First the one to record; then a smaller one of H.264, if there is one.
    pub streams: Vec<Stream>,
    /// The URL of a JPEG.
    pub snapshot: Option<String>,
    /// It shows its streams only to its own users.
    pub needs_password: bool,
    /// Why nothing more is known.
    pub error: Option<String>,
}

/// One of a camera's streams. What the camera does not tell is empty or 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stream {
    /// Without user and password.
    pub url: String,
    pub name: String,
    pub codec: String,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub kbit_s: u32,
}

/// Looks for cameras in the networks of this machine, and on the machine itself. Takes
/// [`FIND_TIMEOUT`]; like [`at`], it blocks.
///
/// # Errors
/// [`Error::Busy`].
pub fn nearby() -> Result<Vec<Camera>, Error> {
    let _turn = Turn::take()?;
    let until = runtime::now() + FIND_TIMEOUT;
    // The camera that runs on this machine.
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut camera = Camera { address: address.to_string(), ..Camera::default() };
    Tries::new(address, None).look(&mut camera, &paths::PORTS[..1], &paths::PATHS);
    let is_here = !camera.streams.is_empty() || camera.needs_password;
    let mut cameras = Vec::from_iter(is_here.then_some(camera));
    let mut answers = network::search(None, until);
    drop_doubles(&mut answers);
    for answer in answers {
        add(&mut cameras, answer.address, answer.device.as_ref());
    }
    Ok(cameras)
}

/// Drops the answers of cameras that answered at another of their addresses before: they have one
/// id there, and name each other's address. Ids alone do not tell: those of a series may be equal.
fn drop_doubles(answers: &mut Vec<Answer>) {
    let mut at = 0;
    while let Some(answer) = answers.get(at) {
        let (before, _) = answers.split_at(at);
        let is_double = before.iter().any(|first| first.is_same_camera(answer));
        if is_double {
            answers.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Adds a camera that answered, once, even if it answers again or through several networks.
fn add(cameras: &mut Vec<Camera>, address: IpAddr, device: Option<&Device>) {
    let address = if network::is_own(address) { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address };
    let address = address.to_string();
    let onvif = device.and_then(|device| device.service.as_ref());
    let onvif = onvif.map(|place| place.at(&address, "http", HTTP_PORT));
    // Several cameras at one address have a port each.
    let is_same = |it: &Camera| {
        it.address == address && (it.onvif.is_none() || onvif.is_none() || it.onvif == onvif)
    };
    let known = cameras.iter().position(is_same).unwrap_or(cameras.len());
    if known == cameras.len() && known < FIND_DEVICES_MAX {
        cameras.push(Camera { address, ..Camera::default() });
    }
    let Some(camera) = cameras.get_mut(known) else { return };
    camera.onvif = camera.onvif.take().or(onvif);
    if let Some(device) = device {
        for (field, told) in [
            (&mut camera.name, &device.name),
            (&mut camera.maker, &device.maker),
            (&mut camera.model, &device.model),
        ] {
            if field.is_empty() {
                field.clone_from(told);
            }
        }
    }
}

/// Asks the camera at `address`, a host name or IP address with or without a port, or a URL, for
/// its streams. Credentials are refused at most [`FIND_REFUSALS_MAX`] times.
///
/// # Errors
/// It is not in a network nearby, or there is no camera. A camera that refuses to answer is found
/// all the same: see [`Camera::error`].
pub fn at(address: &str, credentials: Option<Credentials>) -> Result<Camera, Error> {
    let asked = Asked::parse(address).ok_or(Error::Address)?;
    let _turn = Turn::take()?;
    let ip = resolve(&asked.host)?;
    let credentials = credentials.or(asked.credentials);
    let mut camera = Camera { address: ip.to_string(), ..Camera::default() };
    let mut tries = Tries::new(ip, credentials.clone());
    if let Some(path) = &asked.path {
        let port = asked.rtsp_port.unwrap_or(RTSP_PORT);
        tries.look(&mut camera, &[port], &[(path, None)]);
        if !camera.streams.is_empty() || camera.needs_password {
            return Ok(camera);
        }
    }
    if let Some(place) = device_service(ip, asked.http_port) {
        camera.onvif = Some(place.at(&camera.address, "http", HTTP_PORT));
        tries.refusals += Lookup::new(ip, place, credentials).ask(&mut camera);
    }
    if camera.streams.is_empty() && tries.refusals < FIND_REFUSALS_MAX {
        let given = asked.rtsp_port.map(|port| [port]);
        // The board's own port 8554 is ours, not a camera's.
        let usual = if ip.is_loopback() { &paths::PORTS[..1] } else { &paths::PORTS[..] };
        tries.look(&mut camera, given.as_ref().map_or(usual, |given| &given[..]), &paths::PATHS);
        if !camera.streams.is_empty() {
            (camera.needs_password, camera.error) = (false, None);
        }
    }
    match camera.onvif.is_none() && !camera.needs_password && camera.streams.is_empty() {
        true if tries.met_server => Err(Error::NoPath(asked.host)),
        true => Err(Error::NoCamera(asked.host)),
        false => Ok(camera),
    }
}

/// Finds the camera's device service: at the ports that are usual, or by a probe to its address.
fn device_service(ip: IpAddr, port: Option<u16>) -> Option<HostlessUrl> {
    let until = runtime::now() + FIND_GUESS_TIMEOUT;
    let given = port.map(|port| [port]);
    let mut unsure = None;
    for &port in given.as_ref().map_or(&ONVIF_PORTS[..], |given| &given[..]) {
        let place = HostlessUrl { port, path: DEVICE_SERVICE.to_owned() };
        match lookup::device_service(ip, &place, until) {
            Some(Certainty::Sure) => return Some(place),
            Some(Certainty::Unsure) => unsure = unsure.or(Some(place)),
            None => {}
        }
    }
    if unsure.is_some() || port.is_some() {
        return unsure;
    }
    network::search(Some(ip), until).into_iter().find_map(|answer| answer.device?.service)
}

/// Returns the address of a host nearby.
fn resolve(host: &str) -> Result<IpAddr, Error> {
    let found: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => {
            let found = (host, 0).to_socket_addrs().map_err(|_| Error::Unknown(host.to_owned()))?;
            found.map(|address| address.ip()).take(FIND_DEVICES_MAX).collect()
        }
    };
    let near = || found.iter().copied().filter(|address| is_local(*address));
    let address = near().find(IpAddr::is_ipv4).or_else(|| near().next());
    address.ok_or_else(|| Error::Foreign(host.to_owned()))
}

/// Connects to a camera. Each read and write takes at most [`FIND_REQUEST_TIMEOUT`].
fn connect(ip: IpAddr, port: u16, limit: Duration) -> Option<TcpStream> {
    let socket = TcpStream::connect_timeout(&SocketAddr::new(ip, port), limit).ok()?;
    socket.set_read_timeout(Some(FIND_REQUEST_TIMEOUT)).ok()?;
    socket.set_write_timeout(Some(FIND_REQUEST_TIMEOUT)).ok()?;
    Some(socket)
}

/// Held during a search: one at a time, even if its client has gone.
struct Turn;

impl Turn {
    fn take() -> Result<Turn, Error> {
        if IS_BUSY.swap(true, Ordering::Relaxed) { Err(Error::Busy) } else { Ok(Turn) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        IS_BUSY.store(false, Ordering::Relaxed);
    }
}

static IS_BUSY: AtomicBool = AtomicBool::new(false);

/// What users type: `192.168.1.20`, `camera.local:8080`, `http://…`, `rtsp://…`.
#[derive(Debug, Default)]
struct Asked {
    host: String,
    http_port: Option<u16>,
    rtsp_port: Option<u16>,
    /// The path of an RTSP URL, if it has one.
    path: Option<String>,
    credentials: Option<Credentials>,
}

impl Asked {
    fn parse(address: &str) -> Option<Asked> {
        let address = address.trim();
        let asked = |host: &str| Asked { host: host.to_owned(), ..Asked::default() };
        if address.parse::<IpAddr>().is_ok() {
            return Some(asked(address));
        }
        let is_rtsp = address.get(..7).is_some_and(|it| it.eq_ignore_ascii_case("rtsp://"));
        let target = if is_rtsp {
            address.parse()
        } else if address.contains("://") {
            Target::http(address)
        } else {
            Target::http(&["http://", address].concat())
        };
        let target = target.ok()?;
        let after_host = target.authority().rsplit_once(':');
        let port = after_host.filter(|(_, port)| !port.contains(']')).map(|_| target.port());
        let credentials = target.credentials().cloned();
        let asked = Asked { credentials, ..asked(target.host()) };
        if !is_rtsp {
            return Some(Asked { http_port: port, ..asked });
        }
        let path = Some(target.origin_form()).filter(|path| path.len() > 1);
        Some(Asked { rtsp_port: port, path, ..asked })
    }
}

/// Most cameras; Reolink and Hikvision recorders; several; Xiongmai; Tapo.
const ONVIF_PORTS: [u16; 5] = [80, 8000, 8080, 8899, 2020];
const DEVICE_SERVICE: &str = "/onvif/device_service";

#[cfg(test)]
mod tests;
