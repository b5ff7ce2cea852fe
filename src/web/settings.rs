//! Shows and changes the configuration.
//!
//! Spec: docs/http.md.

use super::{Web, access::Peer, answer::Answer};
use crate::{
    config::{self, ChangeError, EditRights},
    runtime,
};
use serde_json::Value as Json;
use std::rc::Rc;

impl Web {
    /// `GET /api/config`.
    pub(super) fn config(&self) -> Answer {
        Answer::json(&self.daemon.config.borrow().to_json())
    }

    /// `PUT /api/config`: responds once the new configuration is in effect.
    pub(super) async fn change_config(self: &Rc<Self>, body: &[u8], peer: Peer) -> Answer {
        let reach = match peer {
            Peer::Unix => EditRights::Machine,
            Peer::Address(_) => EditRights::Network,
        };
        let Ok(change) = serde_json::from_slice(body) else {
            return Answer::error(400, "expected the configuration, or part of it, as JSON");
        };
        let web = Rc::clone(self);
        let changed = self.to_its_end(async move {
            // Taken here, so that a simultaneous request is refused.
            let Some(_turn) = web.configuring.try_enter(1) else {
                return Answer::error(409, "another change is in progress: try again in a moment");
            };
            web.take_up(change, reach).await
        });
        changed.await
    }

    /// Writes the change and puts it into effect.
    async fn take_up(&self, change: Json, reach: EditRights) -> Answer {
        let file = self.daemon.options.config_file.clone();
        let running = self.daemon.config.borrow().clone();
        match runtime::unblock(move || config::change(&file, &running, &change, reach)).await {
            Ok(config) if config == *self.daemon.config.borrow() => self.config(),
            Ok(_) => match self.daemon.reload().await {
                Ok(()) => self.config(),
                Err(error) => Answer::error(500, error),
            },
            Err(error) => {
                let status = match error {
                    ChangeError::Refused(_) => 400,
                    ChangeError::NotByNetwork(_) => 403,
                    ChangeError::Outdated(_) => 409,
                    ChangeError::Unwritable { .. } => 500,
                };
                Answer::error(status, error.to_string())
            }
        }
    }
}
