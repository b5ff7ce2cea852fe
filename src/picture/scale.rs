//! Scaling: a decoder's planes in, a preview's planes out: 8 bits, full range, 4:2:0.
//!
//! Each output sample is the average of the box it covers; nothing is enlarged. Colours keep the
//! video's matrix, as with FFmpeg.

use super::Error;
use crate::limits::{PREVIEW_HEIGHT, PREVIEW_WIDTH};

/// A decoded picture.
pub(super) struct Planes<'a> {
    pub luma: Plane<'a>,
    /// Blue and red difference; none in a grey picture.
    pub chroma: Option<[Plane<'a>; 2]>,
    pub full_range: bool,
}

/// A rectangle of samples within a larger one.
pub(super) struct Plane<'a> {
    pub samples: Samples<'a>,
    pub stride: usize,
    /// The first sample's column and row.
    pub origin: (usize, usize),
    pub size: (usize, usize),
    /// Bits per sample, 8 to 16.
    pub depth: u8,
}

pub(super) enum Samples<'a> {
    Bytes(&'a [u8]),
    /// Two bytes per sample.
    LittleEndian(&'a [u8]),
    Words(&'a [u16]),
}

/// A picture ready for encoding.
pub(super) struct Small {
    pub size: (usize, usize),
    pub luma: Vec<u8>,
    /// Half the width and height, rounded up.
    pub chroma: [Vec<u8>; 2],
}

impl<'a> Plane<'a> {
    /// A plane without a border.
    pub fn whole(samples: Samples<'a>, size: (usize, usize), depth: u8) -> Plane<'a> {
        Plane { samples, stride: size.0, origin: (0, 0), size, depth }
    }

    fn sample(&self, x: usize, y: usize) -> Option<u32> {
        let at = (self.origin.1 + y) * self.stride + self.origin.0 + x;
        match self.samples {
            Samples::Bytes(bytes) => bytes.get(at).copied().map(u32::from),
            Samples::Words(words) => words.get(at).copied().map(u32::from),
            Samples::LittleEndian(bytes) => {
                let pair = bytes.get(2 * at..)?.first_chunk()?;
                Some(u16::from_le_bytes(*pair).into())
            }
        }
    }
}

/// Scales a picture down to fit the preview.
///
/// # Errors
/// `Size`: a plane has no samples, or fewer than its size says.
pub(super) fn shrink(picture: &Planes<'_>) -> Result<Small, Error> {
    let size = fit(picture.luma.size);
    let half = (size.0.div_ceil(2), size.1.div_ceil(2));
    let luma = Range::luma(picture.full_range);
    let chroma = Range::chroma(picture.full_range);
    let boxes = |plane, size, range| average(plane, size, range).ok_or(Error::Size);
    Ok(Small {
        size,
        luma: boxes(&picture.luma, size, &luma)?,
        chroma: match &picture.chroma {
            Some([blue, red]) => [boxes(blue, half, &chroma)?, boxes(red, half, &chroma)?],
            None => [const { GREY }; 2].map(|grey| vec![grey; half.0 * half.1]),
        },
    })
}

/// The largest size of the same shape that fits, never an enlarged one.
fn fit((width, height): (usize, usize)) -> (usize, usize) {
    if width <= PREVIEW_WIDTH && height <= PREVIEW_HEIGHT {
        (width, height)
    } else if width * PREVIEW_HEIGHT >= height * PREVIEW_WIDTH {
        (PREVIEW_WIDTH, scaled(height, PREVIEW_WIDTH, width))
    } else {
        (scaled(width, PREVIEW_HEIGHT, height), PREVIEW_HEIGHT)
    }
}

/// `value * to / from`, rounded, at least 1.
fn scaled(value: usize, to: usize, from: usize) -> usize {
    ((value * to + from / 2) / from).max(1)
}

/// Averages the samples of `plane` over `width` by `height` equal boxes. `None` if there are no
/// samples.
///
/// To keep integers, a sample counts as `width` by `height` parts, so a box has as many parts as
/// the plane has samples, and every border falls between parts.
fn average(plane: &Plane<'_>, (width, height): (usize, usize), range: &Range) -> Option<Vec<u8>> {
    let (from_width, from_height) = plane.size;
    if from_width == 0 || from_height == 0 {
        return None;
    }
    let area = from_width as u64 * from_height as u64;
    let mut out = Vec::with_capacity(width * height);
    let mut sums = vec![0u64; width];
    for row in 0..height {
        sums.fill(0);
        for (y, parts) in covered(row, from_height, height) {
            for (column, sum) in sums.iter_mut().enumerate() {
                let mut line = 0;
                for (x, parts) in covered(column, from_width, width) {
                    line += u64::from(plane.sample(x, y)?) * parts as u64;
                }
                *sum += line * parts as u64;
            }
        }
        out.extend(sums.iter().map(|&sum| {
            // In 256ths of an 8-bit value.
            let mean = ((sum << 16 >> plane.depth) + area / 2) / area;
            range.stretch(i32::try_from(mean).unwrap_or(i32::MAX))
        }));
    }
    Some(out)
}

/// The samples, of `from` in a row, under box `index` of `to`, with the parts that the box has of
/// each; the parts add up to `from`.
fn covered(index: usize, from: usize, to: usize) -> impl Iterator<Item = (usize, usize)> {
    let (start, end) = (index * from, (index + 1) * from);
    (start / to..end.div_ceil(to)).map(move |sample| {
        let parts = end.min((sample + 1) * to) - start.max(sample * to);
        (sample, parts)
    })
}

/// Maps a video's range of values to the full range of a JPEG (JFIF, ITU-T T.871 §6.2).
struct Range {
    /// The value that becomes `to`, and the width of the video's range, of 255.
    from: i32,
    to: i32,
    width: i32,
}

impl Range {
    fn luma(full: bool) -> Range {
        if full { Range::FULL } else { Range { from: 16, to: 0, width: 219 } }
    }

    fn chroma(full: bool) -> Range {
        let grey = i32::from(GREY);
        if full { Range::FULL } else { Range { from: grey, to: grey, width: 224 } }
    }

    /// `value` in 256ths.
    fn stretch(&self, value: i32) -> u8 {
        let stretched = (value - self.from * 256) * 255 / self.width + self.to * 256;
        u8::try_from((stretched.max(0) + 128) / 256).unwrap_or(u8::MAX)
    }

    const FULL: Range = Range { from: 0, to: 0, width: 255 };
}

const GREY: u8 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(samples: &[u8], width: usize) -> Plane<'_> {
        Plane::whole(Samples::Bytes(samples), (width, samples.len() / width), 8)
    }

    #[test]
    fn a_picture_keeps_its_shape_and_is_never_made_larger() {
        for (from, to) in [
            ((1920, 1080), (640, 360)),
            ((640, 360), (640, 360)),
            ((352, 288), (352, 288)),
            ((704, 576), (440, 360)),
            ((2592, 1944), (480, 360)),
            ((1080, 1920), (203, 360)),
            ((16384, 2), (640, 1)),
            ((1, 16384), (1, 360)),
        ] {
            assert_eq!(fit(from), to);
        }
    }

    #[test]
    fn each_sample_is_the_average_of_the_box_that_it_covers() {
        let samples = [0, 100, 200, 50, 150, 250];
        let of = |size| average(&plane(&samples, 3), size, &Range::FULL).unwrap();
        assert_eq!(of((3, 2)), samples);
        assert_eq!(of((1, 1)), [125]);
        assert_eq!(of((3, 1)), [25, 125, 225]);
        // One and a half samples each: (0 + 100/2) / 1.5, (100/2 + 200) / 1.5.
        assert_eq!(of((2, 2)), [33, 167, 83, 217]);
    }

    #[test]
    fn limited_range_is_stretched_and_full_range_is_left() {
        let luma = [0, 16, 126, 235, 255];
        let of = |range| average(&plane(&luma, 5), (5, 1), &range).unwrap();
        assert_eq!(of(Range::luma(false)), [0, 0, 128, 255, 255]);
        assert_eq!(of(Range::luma(true)), luma);
        let chroma = [16, 72, 128, 184, 240];
        let of = |range| average(&plane(&chroma, 5), (5, 1), &range).unwrap();
        assert_eq!(of(Range::chroma(false)), [1, 64, 128, 192, 255]);
        assert_eq!(of(Range::chroma(true)), chroma);
    }

    #[test]
    fn ten_bits_become_eight_and_what_is_cropped_is_not_seen() {
        let words = [999, 0, 512, 1023, 999, 4, 40, 400];
        let little: Vec<u8> = words.iter().flat_map(|word: &u16| word.to_le_bytes()).collect();
        for samples in [Samples::Words(&words), Samples::LittleEndian(&little)] {
            let plane = Plane { samples, stride: 4, origin: (1, 0), size: (3, 2), depth: 10 };
            let eight = average(&plane, (3, 2), &Range::FULL).unwrap();
            assert_eq!(eight, [0, 128, 255, 1, 10, 100]);
        }
    }

    #[test]
    fn a_plane_with_fewer_samples_than_it_says_is_an_error() {
        let short = Plane { size: (3, 2), ..plane(&[1, 2, 3, 4, 5], 5) };
        assert_eq!(average(&short, (3, 2), &Range::FULL), None);
        let none = Plane { size: (0, 2), ..plane(&[1], 1) };
        assert_eq!(average(&none, (1, 1), &Range::FULL), None);
    }
}
