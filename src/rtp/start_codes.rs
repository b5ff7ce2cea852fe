//! Start codes and zeros that do not belong in an RTP payload, but that some cameras send.
//!
//! Spec: H.264 and H.265 Annex B, §7.4.1.

use crate::bits::Bytes;

/// Splits a byte string at start codes (Annex B), if there are any.
pub(super) fn split_at_start_codes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(position) = find_start_code(bytes) else { return rest.take() };
        rest = bytes.get(position + 3..);
        bytes.get(..position)
    })
}

/// Returns the size of the next NAL unit in an aggregate (RFC 6184 §5.7.1, RFC 7798 §4.4.2).
///
/// Quirk: zeros after the last NAL unit of an aggregate (bluenviron/gortsplib#559). A size of 0, or
/// an incomplete one, ends it.
pub(super) fn next_size(rest: &mut Bytes<'_>) -> Option<usize> {
    rest.u16().filter(|size| *size > 0).map(usize::from)
}

pub(super) fn starts_with_start_code(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 0, 1]) || bytes.starts_with(&[0, 0, 0, 1])
}

/// Finds the first `00 00 01`; reads only every third byte if there are no zeros.
pub(super) fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut index = 2;
    while let Some(byte) = bytes.get(index) {
        match byte {
            0 => index += 1,
            1 if bytes.get(index - 2..index) == Some(&[0, 0]) => return Some(index - 2),
            _ => index += 3,
        }
    }
    None
}

pub(super) fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = bytes {
        bytes = rest;
    }
    bytes
}
