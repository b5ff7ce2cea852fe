//! RTP/JPEG: packets of one track in, complete JFIF pictures out.
//!
//! The packets contain only what differs from picture to picture; the rest of the JPEG head is made
//! here.
//! Spec: RFC 2435 (types 0, 1, 64 and 65), ITU-T T.81 Annex B.

mod tables;

use super::{Lost, Packet};
use crate::{bits::Bytes, limits::SNAPSHOT_BYTES_MAX, units::RtpTime};
use std::fmt;
use tables::{HUFFMAN_SEGMENTS, QuantizationTables};

/// Assembles the pictures of one track.
///
/// *Cost*: one buffer that grows to the largest picture, at most [`SNAPSHOT_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct JpegDepacketizer {
    /// The picture being assembled.
    picture: Vec<u8>,
    scan: Option<Scan>,
    /// The last tables sent in band, and their Q: later pictures may refer to them.
    tables: Option<(u8, QuantizationTables)>,
}

/// Why a picture is missing: the camera's fault, or a kind of JPEG that RFC 2435 leaves open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JpegError {
    /// A payload that ends within its headers, or whose tables are invalid.
    Malformed,
    /// Neither 4:2:2 nor 4:2:0 in one scan (RFC 2435 §4.1).
    Type(u8),
    /// A reserved Q.
    Q(u8),
    /// Its tables were never sent.
    NoTables,
    /// Wider or taller than 2,040 pixels, which the payload header cannot express.
    NoSize,
    TooLong,
}

/// The entropy-coded data of the picture being assembled.
#[derive(Clone, Copy, Debug)]
struct Scan {
    /// Its start in the picture.
    start: usize,
    timestamp: RtpTime,
}

/// The headers before a payload's data (RFC 2435 §3.1).
struct Header<'a> {
    fragment_offset: usize,
    kind: u8,
    q: u8,
    /// In blocks of 8 pixels.
    size: (u8, u8),
    restart_interval: Option<u16>,
    rest: Bytes<'a>,
}

impl JpegDepacketizer {
    /// Processes the next packet in order, which follows `lost` missing ones; returns a picture if
    /// this was its last packet. A picture with a missing packet is dropped.
    ///
    /// # Errors
    /// Why this picture is missing; the next one may be fine.
    pub fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        lost: Lost,
    ) -> Result<Option<&[u8]>, JpegError> {
        let scan =
            self.scan.take().filter(|scan| lost.0 == 0 && scan.timestamp == packet.timestamp);
        let header = Header::parse(packet.payload).ok_or(JpegError::Malformed)?;
        let (scan, data) = match scan {
            _ if header.fragment_offset == 0 => {
                let (start, data) = self.begin(header)?;
                (Scan { start, timestamp: packet.timestamp }, data)
            }
            Some(scan) if scan.start + header.fragment_offset == self.picture.len() => {
                (scan, header.rest.0)
            }
            _ => return Ok(None),
        };
        if self.picture.len() + data.len() + END_OF_IMAGE.len() > SNAPSHOT_BYTES_MAX {
            return Err(JpegError::TooLong);
        }
        self.picture.extend_from_slice(data);
        if !packet.marker {
            self.scan = Some(scan);
            return Ok(None);
        }
        if self.picture.len() == scan.start {
            return Err(JpegError::Malformed);
        }
        // Some senders include it, contrary to RFC 2435.
        if !self.picture.ends_with(&END_OF_IMAGE) {
            self.picture.extend_from_slice(&END_OF_IMAGE);
        }
        Ok(Some(&self.picture))
    }

    /// Writes a picture's head; returns where its data starts, and the first of the data.
    fn begin<'a>(&mut self, header: Header<'a>) -> Result<(usize, &'a [u8]), JpegError> {
        let Header { kind, q, size, restart_interval, mut rest, .. } = header;
        let scaled;
        let tables = match q {
            1..=99 => {
                scaled = QuantizationTables::scaled(q);
                &scaled
            }
            128.. => {
                let sent = QuantizationTables::parse(&mut rest).ok_or(JpegError::Malformed)?;
                match sent {
                    Some(sent) => &self.tables.insert((q, sent)).1,
                    None => match &self.tables {
                        Some((known, tables)) if *known == q && q != Q_WITH_TABLES => tables,
                        _ => return Err(JpegError::NoTables),
                    },
                }
            }
            _ => return Err(JpegError::Q(q)),
        };
        // Sampling of Y, horizontal and vertical; Cb and Cr have 1:1 (RFC 2435 §4.1).
        let sampling = match kind & !TYPE_WITH_RESTARTS {
            0 => 0x21,
            1 => 0x22,
            _ => return Err(JpegError::Type(kind)),
        };
        if size.0 == 0 || size.1 == 0 {
            return Err(JpegError::NoSize);
        }
        self.picture.clear();
        write_head(&mut self.picture, tables, sampling, size, restart_interval);
        Ok((self.picture.len(), rest.0))
    }
}

impl Header<'_> {
    /// `None` if the payload ends too early.
    fn parse(payload: &[u8]) -> Option<Header<'_>> {
        let mut rest = Bytes(payload);
        let [_type_specific, high, middle, low] = rest.array()?;
        let fragment_offset = u32::from_be_bytes([0, high, middle, low]);
        let [kind, q, width, height] = rest.array()?;
        let mut restart_interval = None;
        if (TYPE_WITH_RESTARTS..2 * TYPE_WITH_RESTARTS).contains(&kind) {
            restart_interval = Some(rest.u16()?);
            rest.u16()?; // first, last, count: the offsets show which are missing
        }
        Some(Header {
            fragment_offset: usize::try_from(fragment_offset).ok()?,
            kind,
            q,
            size: (width, height),
            restart_interval,
            rest,
        })
    }
}

impl fmt::Display for JpegError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JpegError::Malformed => f.write_str("a packet violates RFC 2435"),
            JpegError::Type(kind) => write!(f, "RTP/JPEG type {kind} is not supported"),
            JpegError::Q(q) => write!(f, "RTP/JPEG Q {q} is reserved"),
            JpegError::NoTables => f.write_str("its quantization tables never arrived"),
            JpegError::NoSize => f.write_str("it is wider or higher than 2040 pixels"),
            JpegError::TooLong => {
                write!(f, "a picture is larger than {} KB", SNAPSHOT_BYTES_MAX / 1024)
            }
        }
    }
}

/// Everything before the entropy-coded data (T.81 §B.2).
fn write_head(
    out: &mut Vec<u8>,
    tables: &QuantizationTables,
    sampling: u8,
    (width, height): (u8, u8),
    restart_interval: Option<u16>,
) {
    let [width_high, width_low] = (u16::from(width) * 8).to_be_bytes();
    let [height_high, height_low] = (u16::from(height) * 8).to_be_bytes();
    out.extend_from_slice(&[0xff, 0xd8]); // SOI
    out.extend_from_slice(b"\xff\xe0\x00\x10JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00"); // APP0
    tables.write(out);
    if let Some(interval) = restart_interval {
        let [high, low] = interval.to_be_bytes();
        out.extend_from_slice(&[0xff, 0xdd, 0, 4, high, low]); // DRI
    }
    let chroma = tables.chroma_id();
    // 16-bit tables require the extended process.
    let start_of_frame = if tables.is_baseline() { 0xc0 } else { 0xc1 };
    out.extend_from_slice(&[0xff, start_of_frame, 0, 17, 8]);
    out.extend_from_slice(&[height_high, height_low, width_high, width_low, 3]);
    out.extend_from_slice(&[1, sampling, 0, 2, 0x11, chroma, 3, 0x11, chroma]);
    out.extend_from_slice(&HUFFMAN_SEGMENTS);
    out.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]); // SOS
}

/// Types 64 to 127 are 0 to 63 with restart markers (RFC 2435 §3.1.3).
const TYPE_WITH_RESTARTS: u8 = 64;
/// Its tables are sent with every picture (RFC 2435 §3.1.8).
const Q_WITH_TABLES: u8 = 255;
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
