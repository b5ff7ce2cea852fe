//! Inputs derived from others: bytes, lengths, words and pieces changed.

use crate::random::Random;

/// Changes `bytes` in a few places; new content also comes from `other` and `words`. At most
/// `bytes_max` long.
pub fn mutate(
    bytes: &mut Vec<u8>,
    random: &mut Random,
    other: &[u8],
    words: &[&str],
    bytes_max: usize,
) {
    for _ in 0..1 + random.below(4) {
        step(bytes, random, other, words);
    }
    bytes.truncate(bytes_max);
}

fn step(bytes: &mut Vec<u8>, random: &mut Random, other: &[u8], words: &[&str]) {
    let at = random.below(bytes.len() + 1);
    let behind = bytes.len() - at;
    match random.below(10) {
        0 => change(bytes, at, |byte| byte ^ 1 << random.below(8)),
        1 => change(bytes, at, |_| random.number() as u8),
        2 => change(bytes, at, |_| TELLING[random.below(TELLING.len())]),
        3 => change(bytes, at, |byte| byte.wrapping_add(random.below(9) as u8).wrapping_sub(4)),
        4 => length(bytes, at, random),
        5 => drop(bytes.drain(at..at + random.below(behind.min(64) + 1))),
        6 => {
            let from = random.below(bytes.len() + 1);
            let end = from + random.below((bytes.len() - from).min(64) + 1);
            let piece = bytes[from..end].to_vec();
            bytes.splice(at..at, piece);
        }
        7 => {
            let from = random.below(other.len() + 1);
            let end = from + random.below(other.len() - from + 1);
            let until = at + random.below(behind + 1);
            bytes.splice(at..until, other[from..end].iter().copied());
        }
        8 if !words.is_empty() => {
            let word = words[random.below(words.len())].as_bytes();
            let until = at + random.below(behind.min(word.len()) + 1);
            bytes.splice(at..until, word.iter().copied());
        }
        _ => {
            let count = random.below(4) + 1;
            let put: Vec<u8> = (0..count).map(|_| random.number() as u8).collect();
            bytes.splice(at..at, put);
        }
    }
}

fn change(bytes: &mut [u8], at: usize, new: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = new(*byte);
    }
}

/// Writes a number of two or four bytes that a length may be: of what follows, about, or at an
/// edge.
fn length(bytes: &mut [u8], at: usize, random: &mut Random) {
    let behind = bytes.len().saturating_sub(at) as u32;
    let edges = [0, 1, behind, 0x7fff, 0xffff, 0x8000_0000, u32::MAX];
    let near = edges[random.below(edges.len())].wrapping_add(random.below(9) as u32);
    let number = near.wrapping_sub(4).to_be_bytes();
    let number = if random.below(2) == 0 { &number[2..] } else { &number[..] };
    bytes.iter_mut().skip(at).zip(number).for_each(|(to, from)| *to = *from);
}

/// Bytes at which parsers turn.
const TELLING: [u8; 24] = *b"\0\x01\x03\x1f\x7f\x80\xfe\xff\r\n \t\"'\\=:;,/%#$9";
