//! SOAP: a request out, and what kind of answer came in.
//!
//! Spec: SOAP 1.2 §5; WS-Security UsernameToken Profile 1.0 §3.1.
//! Knows nothing of: sockets, when to log in.

use super::{append, read};
use crate::{
    http::{question::question, url::Credentials},
    units::WallTime,
    xml::Event,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lhash::Sha1;

/// What proves that the sender knows the password, for a short time around `created`.
pub struct Token<'a> {
    pub credentials: &'a Credentials,
    pub nonce: [u8; 16],
    /// By the camera's clock.
    pub created: WallTime,
}

/// What an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    Answer,
    /// It wants credentials, or others.
    Refusal,
    /// It takes none any more: somebody guessed too often.
    Locked,
    /// Something else is wrong.
    Fault,
    /// It is no SOAP.
    Strange,
}

/// A request with this header and body, in one line.
pub fn envelope(header: &str, body: &str, token: Option<&Token<'_>>) -> String {
    let token = token.map(Token::header).unwrap_or_default();
    let (open, close) =
        if header.len() + token.len() > 0 { ("<s:Header>", "</s:Header>") } else { ("", "") };
    [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "<s:Envelope xmlns:s=\"",
        SOAP_1_2,
        "\">",
        open,
        header,
        &token,
        close,
        // Some cameras look for exactly this, as the reference client sends it.
        "<s:Body xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"",
        " xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">",
        body,
        "</s:Body></s:Envelope>",
    ]
    .concat()
}

impl Token<'_> {
    fn header(&self) -> String {
        // Without `mustUnderstand`, which some cameras do not.
        [
            "<o:Security xmlns:o=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd\"",
            " xmlns:u=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\">",
            "<o:UsernameToken><o:Username>",
            &escaped(&self.credentials.user),
            "</o:Username><o:Password Type=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest\">",
            &self.digest(),
            "</o:Password><o:Nonce EncodingType=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary\">",
            &STANDARD.encode(self.nonce),
            "</o:Nonce><u:Created>",
            &self.created.to_string(),
            "</u:Created></o:UsernameToken></o:Security>",
        ]
        .concat()
    }

    fn digest(&self) -> String {
        let created = self.created.to_string();
        let bytes = [&self.nonce, created.as_bytes(), self.credentials.password.as_bytes()];
        STANDARD.encode(Sha1::new().const_update(&bytes.concat()).const_result())
    }
}

/// How a request is written; each camera understands one of these, most of them the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Quirk: some cameras (Illustra) refuse a head that names the action.
    #[default]
    Plain,
    /// The head names the action. Quirk: some cameras (Pelco) answer nothing where it does not.
    Named,
    /// SOAP 1.1. Quirk: some firmware answers nothing else (OpenIPC/viewer#65).
    Old,
}

impl Form {
    /// The form to try after this answer; `None` if it was an answer, or no form is left.
    pub fn next(self, status: u16, document: &[u8]) -> Option<Form> {
        let is_mute = document.is_empty() && !matches!(status, 300..=399 | 401 | 403..=405 | 415);
        let is_other =
            status == 415 || fault(document).1.is_some_and(|told| told.contains("versionmismatch"));
        match self {
            Form::Plain if is_mute => Some(Form::Named),
            Form::Plain | Form::Named if is_mute || is_other => Some(Form::Old),
            _ => None,
        }
    }
}

/// A POST of an envelope, in that form.
pub fn post(
    path: &str,
    host: &str,
    authorization: Option<&str>,
    envelope: &str,
    (form, action): (Form, &str),
) -> String {
    let plain = "application/soap+xml; charset=utf-8";
    let named = [plain, "; action=\"", action, "\""].concat();
    let quoted = ["\"", action, "\""].concat();
    let (kind, action) = match form {
        Form::Plain => (plain, ""),
        Form::Named => (&*named, ""),
        Form::Old => ("text/xml; charset=utf-8", &*quoted),
    };
    let envelope = match form {
        Form::Old => envelope.replacen(SOAP_1_2, SOAP_1_1, 1),
        _ => envelope.to_owned(),
    };
    let fields = [
        ("Content-Type", kind),
        ("SOAPAction", action),
        ("Content-Length", &envelope.len().to_string()),
        ("Connection", "close"),
        ("Authorization", authorization.unwrap_or_default()),
    ];
    question("POST", path, host, &fields) + &envelope
}

/// Text for an element or a value.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// Returns what an answer is. Codes vary: a refusal may have any status, and the name of its fault
/// may be in the code or only in words.
pub fn kind(status: u16, document: &[u8]) -> AnswerKind {
    let (is_soap, fault) = fault(document);
    let says = |words: &[&str]| {
        fault.as_ref().is_some_and(|told| words.iter().any(|it| told.contains(it)))
    };
    if says(&["locked"]) {
        AnswerKind::Locked
    } else if matches!(status, 401 | 403) || says(&REFUSALS) {
        AnswerKind::Refusal
    } else if fault.is_some() {
        AnswerKind::Fault
    } else if is_soap && status == 200 {
        AnswerKind::Answer
    } else {
        AnswerKind::Strange
    }
}

/// Whether a document is SOAP, and the words of its fault, in lower case.
fn fault(document: &[u8]) -> (bool, Option<String>) {
    let mut words = String::new();
    let (mut is_soap, mut is_fault) = (false, false);
    read(document, &mut |path, event| match event {
        Event::Start(element) => {
            is_soap |= element.name == "Envelope";
            is_fault |= element.name == "Fault" && path.len() <= 3;
        }
        Event::Text(text) if is_fault && words.len() < FAULT_BYTES_MAX => {
            if !words.is_empty() {
                words.push(' ');
            }
            append(&mut words, text);
        }
        _ => {}
    });
    (is_soap, is_fault.then(|| words.to_ascii_lowercase()))
}

/// Whether a document is SOAP at all.
pub fn is_soap(document: &[u8]) -> bool {
    let mut is_soap = false;
    read(document, &mut |path, _| is_soap |= path.first() == Some(&"Envelope"));
    is_soap
}

const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";
const SOAP_1_1: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// `ter:NotAuthorized`, `wsse:FailedAuthentication`, "Sender not authorized", "Wsse authorized time
/// check failed", "An error was discovered processing the <wsse:Security> header".
const REFUSALS: [&str; 5] =
    ["authoriz", "authentication", "securitytoken", "security>", "unauthoris"];
/// The words of a fault that are looked at.
const FAULT_BYTES_MAX: usize = 400;
