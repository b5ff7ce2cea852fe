//! The control socket: a test or a person sends lines, which change the faults of a running camera.
//!
//! `STREAM FAULT VALUE` sets a fault by the name of its option, `STREAM FAULT off` ends it, `STREAM
//! off` ends all; `disconnect` cuts all connections. Each line is answered with `ok` or an error.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use crate::faults::Faults;
use crate::server::Camera;

/// A listener on the control socket.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
}

impl Control {
    /// Listens at `path`; a socket left by an earlier run is removed.
    ///
    /// # Errors
    /// The system's.
    pub fn bind(path: &Path) -> io::Result<Control> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Control { listener: UnixListener::bind(path)? })
    }

    /// Serves one client to its end.
    ///
    /// # Errors
    /// The system's, and the client's connection.
    pub fn serve_one(&self, camera: &Camera) -> io::Result<()> {
        answer(camera, &self.listener.accept()?.0)
    }

    /// Serves clients until the listener fails, each on a thread of its own.
    pub fn serve(&self, camera: &Camera) {
        thread::scope(|scope| {
            for client in self.listener.incoming().map_while(Result::ok) {
                // Clients may disconnect at any time.
                scope.spawn(move || answer(camera, &client));
            }
        });
    }
}

fn answer(camera: &Camera, client: &UnixStream) -> io::Result<()> {
    let mut output = client;
    for line in BufReader::new(client).lines() {
        let reply = match command(camera, &line?) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error,
        };
        writeln!(output, "{reply}")?;
    }
    Ok(())
}

fn command(camera: &Camera, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["disconnect"] => {
            camera.disconnect_all();
            Ok(())
        }
        [stream, "off"] if camera.set_faults(stream, Faults::default()) => Ok(()),
        [stream, fault, value] => {
            let unknown = || format!("there is no stream {stream}");
            let mut faults = camera.faults(stream).ok_or_else(unknown)?;
            faults.set(fault, value)?;
            camera.set_faults(stream, faults);
            Ok(())
        }
        _ => Err("not STREAM FAULT VALUE, STREAM off, or disconnect".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Clip;

    #[test]
    fn a_line_sets_or_ends_faults() {
        let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
        let lose = || camera.faults("cam").unwrap().lose_per_mille;
        assert_eq!(command(&camera, "cam lose-per-mille 10"), Ok(()));
        assert_eq!(lose(), 10);
        assert_eq!(command(&camera, "cam lose-per-mille off"), Ok(()));
        assert_eq!(lose(), 0);
        assert_eq!(command(&camera, "cam clock still"), Ok(()));
        assert_eq!(command(&camera, "cam off"), Ok(()));
        assert_eq!(camera.faults("cam"), Some(Faults::default()));
        assert_eq!(command(&camera, "disconnect"), Ok(()));
        for wrong in ["", "cam", "yard clock still", "yard off", "cam sleep 1", "cam clock x"] {
            assert!(command(&camera, wrong).is_err(), "{wrong}");
        }
    }
}
