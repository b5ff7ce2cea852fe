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
pub enum Kind {
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
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">",
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

/// A POST of an envelope. Quirk: some cameras (Pelco) answer nothing where the head does not name the `action`,
/// others (Illustra) refuse a head that does; it is left out if it is empty.
pub fn post(
    path: &str,
    host: &str,
    authorization: Option<&str>,
    envelope: &str,
    action: &str,
) -> String {
    let plain = "application/soap+xml; charset=utf-8";
    let named = [plain, "; action=\"", action, "\""].concat();
    let fields = [
        ("Content-Type", if action.is_empty() { plain } else { &named }),
        ("Content-Length", &envelope.len().to_string()),
        ("Connection", "close"),
        ("Authorization", authorization.unwrap_or_default()),
    ];
    question("POST", path, host, &fields) + envelope
}

/// Text for an element or a value.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// Returns what an answer is. Codes vary: a refusal may have any status, and the name of its fault
/// may be in the code or only in words.
pub fn kind(status: u16, document: &[u8]) -> Kind {
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
    let told = words.to_ascii_lowercase();
    let says = |words: &[&str]| is_fault && words.iter().any(|word| told.contains(word));
    if says(&["locked"]) {
        Kind::Locked
    } else if matches!(status, 401 | 403) || says(&REFUSALS) {
        Kind::Refusal
    } else if is_fault {
        Kind::Fault
    } else if is_soap && status == 200 {
        Kind::Answer
    } else {
        Kind::Strange
    }
}

/// Whether a camera answered with nothing, as some do where the head does not name the action.
pub fn is_mute(status: u16, document: &[u8]) -> bool {
    document.is_empty() && !matches!(status, 300..=399 | 401 | 403..=405)
}

/// Whether a document is SOAP at all.
pub fn is_soap(document: &[u8]) -> bool {
    let mut is_soap = false;
    read(document, &mut |path, _| is_soap |= path.first() == Some(&"Envelope"));
    is_soap
}

/// `ter:NotAuthorized`, `wsse:FailedAuthentication`, "Sender not authorized", "Wsse authorized time
/// check failed", "An error was discovered processing the <wsse:Security> header".
const REFUSALS: [&str; 5] =
    ["authoriz", "authentication", "securitytoken", "security>", "unauthoris"];
/// The words of a fault that are looked at.
const FAULT_BYTES_MAX: usize = 400;
