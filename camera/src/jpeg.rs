//! JPEG files in, RTP payloads out.
//!
//! Spec: RFC 2435, tables in band (Q 255). Knows nothing of: RTP headers, the origin of files.

/// The payloads of one picture, none longer than `bytes_max`. There are none if RTP cannot carry
/// the file.
pub(crate) fn payloads(jpeg: &[u8], bytes_max: usize) -> Vec<Vec<u8>> {
    let Some(picture) = Picture::parse(jpeg) else { return Vec::new() };
    let mut payloads = Vec::new();
    let mut offset = 0;
    while offset < picture.scan.len() {
        let [_, high, middle, low] = (offset as u32).to_be_bytes(); // 24 bits hold any picture here
        let (width, height) = picture.size;
        let mut payload = vec![0, high, middle, low, picture.kind, 255, width, height];
        if offset == 0 {
            let [high, low] = (picture.tables.len() as u16).to_be_bytes(); // two of 64
            payload.extend_from_slice(&[0, 0, high, low]);
            payload.extend_from_slice(&picture.tables);
        }
        let room = bytes_max.saturating_sub(payload.len()).max(1);
        let end = picture.scan.len().min(offset + room);
        payload.extend_from_slice(&picture.scan[offset..end]);
        payloads.push(payload);
        offset = end;
    }
    payloads
}

/// The parts of a file that RTP carries.
struct Picture<'a> {
    /// 0: 4:2:2, 1: 4:2:0.
    kind: u8,
    /// In blocks of 8 pixels.
    size: (u8, u8),
    tables: Vec<u8>,
    scan: &'a [u8],
}

impl Picture<'_> {
    fn parse(jpeg: &[u8]) -> Option<Picture<'_>> {
        let mut rest = jpeg.strip_prefix(&[0xff, 0xd8])?;
        let (mut kind, mut size, mut tables) = (None, (0, 0), Vec::new());
        loop {
            let [0xff, marker, high, low, ..] = *rest else { return None };
            let (segment, behind) =
                rest.split_at_checked(2 + usize::from(u16::from_be_bytes([high, low])))?;
            match (marker, &segment[4..]) {
                // Any number of 8-bit tables, each after its identifier.
                (0xdb, content) => content.chunks(65).for_each(|table| tables.extend(&table[1..])),
                (0xc0, &[8, h0, h1, w0, w1, 3, _, sampling, ..]) => {
                    kind = [0x21, 0x22].iter().position(|it| *it == sampling);
                    let blocks = |pair| u8::try_from(u16::from_be_bytes(pair).div_ceil(8)).ok();
                    size = (blocks([w0, w1])?, blocks([h0, h1])?);
                }
                (0xda, _) => {
                    let scan = behind.strip_suffix(&[0xff, 0xd9])?;
                    return Some(Picture { kind: kind? as u8, size, tables, scan });
                }
                _ => {}
            }
            rest = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::PICTURE;

    #[test]
    fn the_payloads_contain_each_byte_of_a_picture_once() {
        let payloads = payloads(PICTURE, 500);
        let data: Vec<u8> = payloads
            .iter()
            .enumerate()
            .flat_map(|(index, payload)| &payload[if index == 0 { 8 + 4 + 128 } else { 8 }..])
            .copied()
            .collect();
        assert!(PICTURE.ends_with(&[&data[..], &[0xff, 0xd9]].concat()));
        assert_eq!(data[..2], PICTURE[PICTURE.len() - data.len() - 2..][..2]);
        assert!(
            payloads
                .iter()
                .all(|payload| payload.len() <= 500 && payload[4..8] == [1, 255, 20, 15])
        );
    }

    #[test]
    fn a_file_that_is_not_a_picture_has_no_payloads() {
        for length in 0..PICTURE.len() {
            assert!(payloads(&PICTURE[..length], 500).is_empty(), "{length}");
        }
    }
}
