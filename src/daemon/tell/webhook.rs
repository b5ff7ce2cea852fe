//! Sends what happens to a web server: a POST of JSON.
//!
//! Spec: RFC 9110, RFC 7617. Redirects are not followed.

use super::{super::Daemon, Listener};
use crate::{
    camera::{Connector, snapshot::ask},
    http::{auth::Authenticator, question::question, response::Response, url::Target},
    limits, runtime,
};
use std::rc::Rc;

pub(super) async fn run(daemon: Rc<Daemon>, target: Target, mut listener: Listener) {
    let mut connector = Connector::new(&target);
    let name = target.to_string();
    loop {
        let request = request(&target, &listener.next(&daemon).await.to_json());
        let mut pauses = limits::WEBHOOK_RETRIES.into_iter();
        let result = loop {
            // The status is the answer: what follows may never end.
            let answer = ask(&mut connector, &request, Response::document(0));
            let answer = runtime::timeout(limits::WEBHOOK_TIMEOUT, answer);
            let (reason, is_final) = match Box::pin(answer).await {
                Some(Ok(response)) => match response.status {
                    200..300 => break Ok(()),
                    // A server in trouble may recover; one that refuses will refuse again.
                    status => (format!("it answered {status}"), (300..500).contains(&status)),
                },
                Some(Err(error)) => (error.to_string(), false),
                None => ("no answer in time".to_owned(), false),
            };
            match pauses.next().filter(|_| !is_final) {
                Some(pause) => runtime::sleep(pause).await,
                None => break Err([&*name, ": ", &reason].concat()),
            }
        };
        listener.say(result);
    }
}

fn request(target: &Target, body: &str) -> String {
    let path = target.origin_form();
    let mut authenticator = Authenticator::new(target.credentials().cloned(), 0);
    // As if the server had asked for it.
    authenticator.challenged(&mut ["Basic realm=\"\""].into_iter());
    let authorization = authenticator.authorization("POST", &path);
    let fields = [
        ("Content-Type", "application/json"),
        ("Connection", "close"),
        ("Authorization", authorization.as_deref().unwrap_or_default()),
        ("Content-Length", &body.len().to_string()),
    ];
    question("POST", &path, target.authority(), &fields) + body
}
