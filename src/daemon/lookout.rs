//! Watches mounts and the lock file of a firmware upgrade, so that the card thread looks only when
//! there is something to see.

use super::{Daemon, SYSUPGRADE_LOCK};
use crate::{
    runtime::{Async, FileWatch},
    storage::messages::Command,
};
use std::{fs::File, io, path::Path, rc::Rc};

impl Daemon {
    pub(super) async fn follow_mounts(self: Rc<Self>) {
        let ended: io::Result<()> = async {
            // A change of the list makes it ready once; it need not be read
            // (proc_pid_mountinfo(5)).
            let mounts = Async::new(File::open("/proc/self/mountinfo")?)?;
            loop {
                mounts.drained();
                mounts.readable().await?;
                self.look_at_card();
            }
        }
        .await;
        if let Err(error) = ended {
            log::debug!("mounts are not watched: {error}");
        }
    }

    pub(super) async fn follow_upgrades(self: Rc<Self>) {
        match FileWatch::existence(Path::new(SYSUPGRADE_LOCK)) {
            Err(error) => log::debug!("{SYSUPGRADE_LOCK} is not watched: {error}"),
            Ok(watch) => loop {
                watch.changed().await;
                self.look_at_card();
            },
        }
    }

    fn look_at_card(&self) {
        self.desk.post(Command::Look);
        self.desk.flush();
    }
}
