//! FFmpeg on this machine: where it is, and whose turn it is.
//!
//! One at a time: it is larger than all that records. A recording has it for as long as it lasts;
//! previews take turns, and none is made meanwhile. Knows nothing of: what it is run for.

use crate::runtime::Signal;
use smol::lock::{Mutex, MutexGuard};
use std::{
    cell::RefCell,
    env, fmt,
    path::{Path, PathBuf},
    rc::Rc,
};

/// What all who run FFmpeg share.
pub struct Ffmpeg {
    /// As configured.
    path: RefCell<PathBuf>,
    /// The cameras that are recorded by it.
    recordings: RefCell<Vec<String>>,
    began: Signal,
    preview: Mutex<()>,
}

/// Held while a camera is recorded: previews pause.
pub struct Recording {
    ffmpeg: Rc<Ffmpeg>,
    camera: String,
}

/// It records this camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy(pub String);

impl Ffmpeg {
    pub fn new(path: &Path) -> Ffmpeg {
        Ffmpeg {
            path: RefCell::new(path.to_owned()),
            recordings: RefCell::default(),
            began: Signal::default(),
            preview: Mutex::new(()),
        }
    }

    /// Another one was configured.
    pub fn set_path(&self, path: &Path) {
        self.path.replace(path.to_owned());
    }

    /// Where it is: as configured (in `PATH` where that has no slash), else beside our own binary.
    /// `None`: it is nowhere. Whether it can be run is seen when it is.
    pub fn find(&self) -> Option<PathBuf> {
        find(
            &self.path.borrow(),
            env::var_os("PATH").as_deref(),
            env::current_exe().ok().as_deref(),
        )
    }

    /// A recording begins: a preview under way is broken off.
    pub fn record(self: &Rc<Self>, camera: &str) -> Recording {
        self.recordings.borrow_mut().push(camera.to_owned());
        self.began.notify();
        Recording { ffmpeg: Rc::clone(self), camera: camera.to_owned() }
    }

    /// Does `preview` when it is its turn. Cancel-safe as that is.
    ///
    /// # Errors
    /// [`Busy`] where a camera is recorded by FFmpeg, or begins to be meanwhile.
    pub async fn preview<T>(&self, preview: impl Future<Output = T>) -> Result<T, Busy> {
        let recorded = async {
            loop {
                let began = self.began.changed();
                if let Some(camera) = self.recordings.borrow().first() {
                    return Err(Busy(camera.clone()));
                }
                began.await;
            }
        };
        let turn = async {
            let _turn: MutexGuard<'_, ()> = self.preview.lock().await;
            Ok(preview.await)
        };
        smol::future::or(recorded, turn).await
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut recordings = self.ffmpeg.recordings.borrow_mut();
        if let Some(at) = recordings.iter().position(|camera| *camera == self.camera) {
            recordings.swap_remove(at);
        }
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FFmpeg records camera {}: previews pause meanwhile", self.0)
    }
}

fn find(path: &Path, folders: Option<&std::ffi::OsStr>, own: Option<&Path>) -> Option<PathBuf> {
    let given = if path.components().count() > 1 || path.is_absolute() {
        vec![path.to_owned()]
    } else {
        folders
            .map(|it| env::split_paths(it).map(|folder| folder.join(path)).collect())
            .unwrap_or_default()
    };
    let beside = NAMES.iter().filter_map(|name| Some(own?.parent()?.join(name)));
    given.into_iter().chain(beside).find(|candidate| candidate.is_file())
}

/// What it is called beside our own binary, on the card of the system that smolnvr replaces.
const NAMES: [&str; 2] = ["ffmpeg-3.2", "ffmpeg"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;
    use smol::LocalExecutor;
    use std::{cell::Cell, fs, future::pending};

    #[test]
    fn it_is_looked_for_as_given_and_then_beside_our_own_binary() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let own = file("card/smolnvr");
        let bin = folder.path().join("bin");
        let look = |path: &str| find(Path::new(path), Some(bin.as_os_str()), Some(&own));
        assert_eq!(look("ffmpeg"), None);
        let plain = file("card/ffmpeg");
        assert_eq!(look("ffmpeg"), Some(plain));
        let old = file("card/ffmpeg-3.2");
        assert_eq!(look("/nowhere/ffmpeg"), Some(old));
        let installed = file("bin/ffmpeg");
        assert_eq!(look("ffmpeg"), Some(installed));
        let given = file("other/ffmpeg");
        assert_eq!(look(given.to_str().unwrap()), Some(given));
    }

    #[test]
    fn previews_take_turns_and_pause_while_something_is_recorded() {
        let ffmpeg = Rc::new(Ffmpeg::new(Path::new("ffmpeg")));
        let executor = LocalExecutor::new();
        let began = Rc::new(Cell::new(0));
        let preview = |runs_for_ever: bool| {
            let (ffmpeg, began) = (Rc::clone(&ffmpeg), Rc::clone(&began));
            executor.spawn(async move {
                let work = async {
                    began.set(began.get() + 1);
                    if runs_for_ever {
                        pending::<()>().await;
                    }
                };
                ffmpeg.preview(work).await
            })
        };
        let (first, second) = (preview(true), preview(false));
        runtime::block_on(&executor, async {
            runtime::sleep(std::time::Duration::from_millis(1)).await;
            assert_eq!(began.get(), 1, "one at a time");
            drop(first);
            assert_eq!(second.await, Ok(()));

            let broken_off = preview(true);
            runtime::sleep(std::time::Duration::from_millis(1)).await;
            assert_eq!(began.get(), 3);
            let recording = ffmpeg.record("yard");
            assert_eq!(broken_off.await, Err(Busy("yard".into())));
            assert_eq!(preview(false).await, Err(Busy("yard".into())));
            assert_eq!(began.get(), 3);
            drop(recording);
            assert_eq!(preview(false).await, Ok(()));
        });
    }
}
