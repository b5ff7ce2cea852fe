//! The receiver's side of RFC 6184 and RFC 7798, written independently of the camera's code: RTP
//! packets of one access unit in, its NAL units out. Panics on unknown input.

/// `header_bytes`: 1 for H.264, 2 for H.265.
pub fn nal_units<'a>(header_bytes: usize, packets: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut nals: Vec<Vec<u8>> = Vec::new();
    for packet in packets {
        assert_eq!(packet[0], 0x80, "version 2, no padding, no extension, no CSRC");
        let payload = &packet[12..];
        let (header, mut rest) = payload.split_at(header_bytes);
        let kind = if header_bytes == 1 { header[0] & 0x1f } else { header[0] >> 1 & 0x3f };
        match (header_bytes, kind) {
            (1, 24) | (2, 48) => {
                while let Some((length, tail)) = rest.split_first_chunk::<2>() {
                    let (nal, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
                    nals.push(nal.to_vec());
                    rest = tail;
                }
                assert!(rest.is_empty());
            }
            (1, 28) | (2, 49) => {
                let (fu, body) = rest.split_first().expect("fragments have a header");
                if fu & 0x80 != 0 {
                    nals.push(match header {
                        [first] => vec![first & 0xe0 | fu & 0x1f],
                        _ => vec![header[0] & 0x81 | (fu & 0x3f) << 1, header[1]],
                    });
                }
                nals.last_mut().expect("a first fragment came before").extend_from_slice(body);
            }
            (1, 1..=23) | (2, 0..=47) => nals.push(payload.to_vec()),
            other => panic!("packet of type {other:?}"),
        }
    }
    nals
}
