//! Tests a camera before its URL is saved: what it sends, and a picture.
//!
//! One at a time: each test needs a ring for a few seconds.

use super::{Web, answer::Answer, live::mime_type, packer::Packer};
use crate::{
    camera::probe::{self, Effort, ProbeReport},
    http::url::Target,
    limits,
    media::Intake,
    mp4::init::write_live_init,
    runtime,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Question {
    url: String,
    /// The camera whose stored password replaces `***`.
    camera: Option<String>,
}

#[derive(Serialize)]
struct Finding {
    #[serde(flatten)]
    report: ProbeReport,
    picture: Option<Picture>,
}

#[derive(Serialize)]
struct Picture {
    mime: String,
    base64: String,
}

impl Web {
    /// `POST /api/probe`.
    pub(super) async fn probe(&self, body: &[u8]) -> Answer {
        let Ok(question) = serde_json::from_slice::<Question>(body) else {
            return Answer::error(400, "expected {\"url\":\"rtsp://...\"}");
        };
        let target = match self.target(&question) {
            Ok(target) => target,
            Err(wrong) => return Answer::error(400, wrong),
        };
        let Some(_turn) = self.probing.try_enter(1) else {
            return Answer::error(409, "another camera is being tested: try again in a moment");
        };
        let effort = Effort {
            span: limits::WEB_PROBE_SPAN,
            patience: limits::WEB_PROBE_PATIENCE,
            ring_bytes: limits::WEB_PROBE_RING_BYTES,
        };
        let look = probe::look(&target, effort);
        match runtime::timeout(limits::WEB_PROBE_TIMEOUT, look).await {
            Some(Ok((report, intake))) => {
                Answer::json(&Finding { report, picture: picture(&intake) })
            }
            Some(Err(error)) => Answer::error(502, error.to_string()),
            None => Answer::error(504, "the camera did not answer in time"),
        }
    }

    fn target(&self, question: &Question) -> Result<Target, String> {
        if question.url.len() > limits::URL_BYTES_MAX {
            return Err(format!("url: longer than {} characters", limits::URL_BYTES_MAX));
        }
        let camera = question.camera.as_deref().unwrap_or_default();
        let url = self.daemon.config.borrow().unmasked(&question.url, camera);
        let url = url.map_err(|unknown| format!("url: {unknown}"))?;
        url.parse().map_err(|error| format!("url: {error}"))
    }
}

/// The newest key frame and the frames after it, as a short MP4.
fn picture(intake: &Intake) -> Option<Picture> {
    let key = intake.ring.key_until(u64::MAX)?;
    let (frame, _) = intake.ring.get(key)?;
    let mut bytes = Vec::new();
    write_live_init(&mut bytes, &frame.parameter_sets, None);
    let mut packer = Packer::default();
    packer.go_on_with(intake, frame);
    packer.write_fragment(intake, key, limits::WEB_PROBE_PICTURE_BYTES, &mut bytes);
    Some(Picture { mime: mime_type(&frame.parameter_sets, None), base64: STANDARD.encode(&bytes) })
}
