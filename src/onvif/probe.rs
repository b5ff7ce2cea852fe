//! WS-Discovery and mDNS: probes out, and who answered in.
//!
//! Cameras are particular: some want a type, some refuse one of the two; VIVOTEK and AXIS want
//! `Scopes`, Hikvision refuses line breaks between elements. So several probes are sent, and again,
//! as datagrams are lost.
//!
//! Spec: WS-Discovery (April 2005) §5, ONVIF Core §7.3; RFC 6762 §6.7 (mDNS by plain unicast).
//! Knows nothing of: sockets.

use super::{append, place::HostlessUrl, read};
use crate::{http::url::percent_decoded, limits::FIND_INTERFACES_MAX, xml::Event};
use std::net::IpAddr;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// `NetworkVideoTransmitter`.
    Transmitter,
    /// `Device`; some cameras answer nothing else.
    Device,
    /// No type; some answer only then.
    Anything,
    /// The name of a board with OpenIPC.
    Mdns,
}

/// When to send what, in milliseconds from the start.
pub const SCHEDULE: [(u64, ProbeKind); 12] = [
    (0, ProbeKind::Transmitter),
    (50, ProbeKind::Device),
    (100, ProbeKind::Anything),
    (150, ProbeKind::Mdns),
    (1000, ProbeKind::Transmitter),
    (1050, ProbeKind::Device),
    (1100, ProbeKind::Anything),
    (1150, ProbeKind::Mdns),
    (2500, ProbeKind::Transmitter),
    (2550, ProbeKind::Device),
    (2600, ProbeKind::Anything),
    (2650, ProbeKind::Mdns),
];

/// A device that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The same in all of its answers; may be empty.
    pub id: String,
    pub name: String,
    pub maker: String,
    /// ONVIF's `hardware`.
    pub model: String,
    /// Where its device service is, at the address that answered.
    pub service: Option<HostlessUrl>,
    /// The addresses that it names as its own.
    pub addresses: Vec<IpAddr>,
}

/// An identifier of a message (RFC 9562 §5.4) made of random bytes.
pub fn uuid(random: [u8; 16]) -> String {
    let mut id = String::new();
    for (at, byte) in random.into_iter().enumerate() {
        let byte = match at {
            6 => byte & 0x0f | 0x40,
            8 => byte & 0x3f | 0x80,
            _ => byte,
        };
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            id.extend(char::from_digit(digit.into(), 16));
        }
    }
    id
}

impl ProbeKind {
    /// The datagram to send; `id` from [`uuid`], a new one for each.
    pub fn datagram(self, id: &str) -> Vec<u8> {
        let types = match self {
            ProbeKind::Transmitter => "dn:NetworkVideoTransmitter",
            ProbeKind::Device => "tds:Device",
            ProbeKind::Anything => "",
            ProbeKind::Mdns => return MDNS_QUESTION.concat(),
        };
        // In one line, with every prefix declared at the top.
        [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"",
            " xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\"",
            " xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"",
            " xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"",
            " xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\">",
            "<s:Header><a:MessageID>urn:uuid:",
            id,
            "</a:MessageID><a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>",
            "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header>",
            "<s:Body><d:Probe><d:Types>",
            types,
            "</d:Types><d:Scopes/></d:Probe></s:Body></s:Envelope>",
        ]
        .concat()
        .into_bytes()
    }
}

/// Whether a datagram is an answer to [`ProbeKind::Mdns`]; the board is the sender.
pub fn is_mdns_answer(datagram: &[u8]) -> bool {
    // The identifier that was asked with; a response without an error, with at least one answer.
    matches!(datagram, [b's', b'n', flags, code, _, _, high, low, ..]
        if flags & 0x80 != 0 && code & 0x0f == 0 && (*high, *low) != (0, 0))
}

/// The cameras in an answer from `sender` to one of the probes with these `ids`. Printers and
/// televisions answer, too; they are left out.
pub fn matches(datagram: &[u8], sender: IpAddr, ids: &[String]) -> Vec<Device> {
    let mut relates_to = String::new();
    let mut found = Vec::new();
    let mut raw = Raw::default();
    read(datagram, &mut |path, event| match (path, event) {
        (_, Event::Start(element)) if element.name == "ProbeMatch" => raw = Raw::default(),
        ([.., "RelatesTo"], Event::Text(text)) => relates_to = text.to_ascii_lowercase(),
        ([.., "EndpointReference", "Address"], Event::Text(text)) => append(&mut raw.id, text),
        ([.., "Types"], Event::Text(text)) => raw.types = text.clone().into_owned(),
        ([.., "Scopes"], Event::Text(text)) => raw.scopes = text.clone().into_owned(),
        ([.., "XAddrs"], Event::Text(text)) => raw.addresses = text.clone().into_owned(),
        (_, Event::End("ProbeMatch")) => found.extend(raw.device(sender)),
        _ => {}
    });
    // With and without `urn:uuid:`.
    if !ids.iter().any(|id| relates_to.contains(id.as_str())) {
        found.clear();
    }
    found
}

/// One match as the camera wrote it.
#[derive(Default)]
struct Raw {
    id: String,
    types: String,
    scopes: String,
    addresses: String,
}

impl Raw {
    fn device(&self, sender: IpAddr) -> Option<Device> {
        let says = |text: &str| text.to_ascii_lowercase().contains("onvif");
        let is_camera = self.types.contains("NetworkVideoTransmitter")
            || [&self.types, &self.scopes, &self.addresses].into_iter().any(|text| says(text));
        if !is_camera {
            return None;
        }
        let mut device = Device { id: self.id.clone(), ..Device::default() };
        for scope in self.scopes.split_whitespace() {
            let Some((_, path)) = scope.split_once("://www.onvif.org/") else { continue };
            let Some((kind, value)) = path.split_once('/') else { continue };
            let field = match kind.to_ascii_lowercase().as_str() {
                "name" => &mut device.name,
                "hardware" => &mut device.model,
                "manufacturer" | "mfr" => &mut device.maker,
                _ => continue,
            };
            if field.is_empty() {
                append(field, &percent_decoded(value).unwrap_or_default());
            }
        }
        for url in self.addresses.split_whitespace() {
            let Some((host, place)) = HostlessUrl::parse(url, "http", 80) else { continue };
            let host = host.parse().ok();
            if host == Some(sender) && !device.addresses.contains(&sender) {
                device.service = Some(place);
            } else {
                device.service = device.service.or(Some(place));
            }
            device
                .addresses
                .extend(host.filter(|_| device.addresses.len() < FIND_INTERFACES_MAX as usize));
        }
        Some(device)
    }
}

/// A question for the address of `openipc.local`, with the identifier `sn`; answers come to the
/// port that asked.
const MDNS_QUESTION: [&[u8]; 3] =
    [b"sn\0\0\0\x01\0\0\0\0\0\0", b"\x07openipc\x05local\0", b"\0\x01\x80\x01"];
