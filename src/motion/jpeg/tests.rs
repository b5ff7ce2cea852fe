//! Files made here, of every kind that cameras send, and one by another encoder.

use super::*;
use proptest::prelude::*;

/// A file to be made.
#[derive(Clone, Debug)]
struct Plan {
    size: (usize, usize),
    /// Samples of luminance, across and down, for one of colour; `None` is grey.
    sampling: Option<(usize, usize)>,
    is_progressive: bool,
    /// One component a scan, colours first.
    is_apart: bool,
    interval: u16,
    step: u8,
    /// Of each block of luminance, row by row, again and again.
    coefficients: Vec<i32>,
}

impl Plan {
    fn new(size: (usize, usize)) -> Plan {
        let coefficients = vec![0, 50, -100, 7, 1023, -1024, 3];
        Plan {
            size,
            sampling: Some((2, 2)),
            is_progressive: false,
            is_apart: false,
            interval: 0,
            step: 3,
            coefficients,
        }
    }

    fn blocks(&self) -> (usize, usize) {
        (self.size.0.div_ceil(8), self.size.1.div_ceil(8))
    }

    fn coefficient(&self, x: usize, y: usize) -> i32 {
        let (width, height) = self.blocks();
        let at = y.min(height - 1) * width + x.min(width - 1);
        self.coefficients[at % self.coefficients.len()]
    }

    fn file(&self) -> Vec<u8> {
        // Behind SOI, a comment that looks like the end.
        let mut out = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 0xff, 0xd9];
        segment(&mut out, 0xdb, &[&[0][..], &[self.step; 64]].concat());
        let lengths = |of: &[(usize, u8)]| {
            (1..=16).map(|length| of.iter().filter(|it| it.0 == length).count() as u8).collect()
        };
        for (class, codes) in [(0, DC), (0x10, AC)] {
            let counts: Vec<u8> = lengths(codes);
            let symbols: Vec<u8> = codes.iter().map(|it| it.1).collect();
            segment(&mut out, 0xc4, &[&[class][..], &counts, &symbols].concat());
        }
        let (width, height) = (self.size.0 as u16, self.size.1 as u16);
        let (across, down) = self.sampling.unwrap_or((1, 1));
        let mut frame = vec![8];
        frame.extend(height.to_be_bytes().iter().chain(&width.to_be_bytes()));
        let luma = (across << 4 | down) as u8;
        frame.extend(match self.sampling {
            Some(_) => vec![3, 1, luma, 0, 2, 0x11, 0, 3, 0x11, 0],
            None => vec![1, 1, luma, 0],
        });
        segment(&mut out, if self.is_progressive { 0xc2 } else { 0xc0 }, &frame);
        if self.interval > 0 {
            segment(&mut out, 0xdd, &self.interval.to_be_bytes());
        }
        let all: &[u8] = if self.sampling.is_some() { &[1, 2, 3] } else { &[1] };
        match self.is_apart {
            true => all.iter().rev().for_each(|id| self.scan(&mut out, &[*id])),
            false => self.scan(&mut out, all),
        }
        out.extend([0xff, 0xd9]);
        out
    }

    fn scan(&self, out: &mut Vec<u8>, ids: &[u8]) {
        let mut head = vec![ids.len() as u8];
        ids.iter().for_each(|id| head.extend([*id, 0]));
        head.extend(if self.is_progressive { [0, 0, 1] } else { [0, 63, 0] });
        segment(out, 0xda, &head);
        let (across, down) = self.sampling.unwrap_or((1, 1));
        let (wide, high) = self.blocks();
        let is_alone = ids.len() == 1;
        let (across, down) = match (is_alone, ids) {
            (true, [1]) => (1, 1),
            _ => (across, down),
        };
        let mut bits = Writer { out, byte: 1 };
        let (mut last, mut units) = ([0; 4], 0);
        for row in 0..high.div_ceil(down) {
            for column in 0..wide.div_ceil(across) {
                if self.interval > 0 && units > 0 && units % usize::from(self.interval) == 0 {
                    bits.align();
                    bits.out
                        .extend([0xff, 0xd0 | (units / usize::from(self.interval) - 1) as u8 & 7]);
                    last = [0; 4];
                }
                units += 1;
                for id in ids {
                    let blocks = if *id == 1 { across * down } else { 1 };
                    for block in 0..blocks {
                        let (x, y) =
                            (column * across + block % across, row * down + block / across);
                        let value = if *id == 1 { self.coefficient(x, y) } else { 5 };
                        let before = &mut last[usize::from(*id)];
                        bits.block(value - *before, !self.is_progressive, x + y);
                        *before = value;
                    }
                }
            }
        }
        bits.align();
    }

    /// The mean of each cell, as it was meant.
    fn means(&self, shift: usize) -> Vec<u16> {
        let ((width, height), side) = (self.blocks(), 1 << shift);
        let factor = 2 * i32::from(self.step) * if self.is_progressive { 2 } else { 1 };
        let mut means = Vec::new();
        for top in (0..height).step_by(side) {
            for left in (0..width).step_by(side) {
                let (mut sum, mut count) = (0, 0);
                for y in top..height.min(top + side) {
                    for x in left..width.min(left + side) {
                        sum += self.coefficient(x, y);
                        count += 1;
                    }
                }
                means.push((sum * factor / count + 2048).clamp(0, 4095) as u16);
            }
        }
        means
    }
}

/// Codes by their lengths. Some are looked up at once, and some are longer.
const DC: &[(usize, u8)] = &[
    (2, 0),
    (3, 3),
    (4, 1),
    (4, 2),
    (5, 4),
    (5, 5),
    (6, 6),
    (6, 7),
    (7, 8),
    (10, 9),
    (12, 10),
    (16, 11),
];
const AC: &[(usize, u8)] =
    &[(2, 0x00), (3, 0x11), (3, 0xf0), (4, 0x72), (9, 0x05), (10, 0x2a), (16, 0x13)];

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Bits behind a leading one.
    byte: u16,
}

impl Writer<'_> {
    fn bits(&mut self, value: u32, count: usize) {
        for bit in (0..count).rev() {
            self.byte = self.byte << 1 | (value >> bit & 1) as u16;
            if self.byte >= 256 {
                let byte = self.byte as u8;
                self.out.push(byte);
                if byte == 0xff {
                    self.out.push(0);
                }
                self.byte = 1;
            }
        }
    }

    fn align(&mut self) {
        while self.byte != 1 {
            self.bits(1, 1);
        }
    }

    fn symbol(&mut self, codes: &[(usize, u8)], symbol: u8) {
        let (mut code, mut length) = (0u32, 0);
        for (next, of) in codes {
            code <<= next - length;
            length = *next;
            if *of == symbol {
                return self.bits(code, length);
            }
            code += 1;
        }
        panic!("no code for {symbol}");
    }

    fn block(&mut self, difference: i32, has_ac: bool, nth: usize) {
        let size = 32 - difference.unsigned_abs().leading_zeros();
        self.symbol(DC, size as u8);
        let value = if difference < 0 { difference + (1 << size) - 1 } else { difference };
        self.bits(value as u32, size as usize);
        if !has_ac {
            return;
        }
        // Further coefficients, of one kind or another, or all 63.
        for symbol in [&[0xf0, 0x2a][..], &[0x11, 0x05, 0x72], &[], &[0x13; 63]][nth % 4] {
            let symbol = if nth % 4 == 3 { &0x05 } else { symbol };
            self.symbol(AC, *symbol);
            self.bits(u32::MAX >> 7, usize::from(symbol & 15));
        }
        if nth % 4 != 3 {
            self.symbol(AC, 0);
        }
    }
}

fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((content.len() as u16 + 2).to_be_bytes());
    out.extend(content);
}

fn read(file: &[u8]) -> Result<Grid, DecodeError> {
    let mut reader = JpegReader::new(file)?;
    while !reader.read_row()? {}
    Ok(reader.finish())
}

proptest! {
    #[test]
    fn every_kind_of_file_has_the_means_that_were_written(
        size in (1usize..200, 1usize..100),
        sampling in prop::sample::select(vec![
            None, Some((1, 1)), Some((2, 1)), Some((2, 2)), Some((1, 2)), Some((4, 1)),
        ]),
        is_progressive: bool,
        is_apart: bool,
        interval in 0u16..9,
        step in 1u8..40,
        coefficients in prop::collection::vec(-900i32..900, 1..60),
    ) {
        let plan = Plan { size, sampling, is_progressive, is_apart, interval, step, coefficients };
        let grid = read(&plan.file()).unwrap();
        prop_assert_eq!((grid.width, grid.height), plan.blocks());
        prop_assert_eq!(grid.means, plan.means(0));
    }
}

#[test]
fn a_large_picture_has_larger_cells() {
    for (size, cells, shift) in [
        ((768, 96), (96, 12), 0),
        ((776, 80), (49, 5), 1),
        ((1920, 1080), (60, 34), 2),
        ((8, 8192), (1, 64), 4),
    ] {
        let plan = Plan::new(size);
        let grid = read(&plan.file()).unwrap();
        assert_eq!((grid.width, grid.height), cells);
        assert_eq!(grid.means, plan.means(shift), "{size:?}");
    }
}

#[test]
fn the_means_of_a_camera_s_file_are_those_of_another_decoder() {
    let grid = read(include_bytes!("../../../ci/clips/quality75.jpg")).unwrap();
    assert_eq!((grid.width, grid.height), (20, 15));
    // ffmpeg -i quality75.jpg -vf extractplanes=y,scale=20:15:flags=area, rows 1 and 11.
    for (row, expected) in [(0, ROW_1), (10, ROW_11)] {
        for (mean, expected) in grid.means.iter().skip(20 * row).zip(expected) {
            assert!((i32::from(*mean) - 16 * expected).abs() <= 16, "{mean} {expected}");
        }
    }
}

const ROW_1: [i32; 20] =
    [235, 235, 228, 210, 210, 194, 170, 170, 158, 145, 145, 120, 106, 106, 87, 81, 81, 46, 41, 41];
const ROW_11: [i32; 20] =
    [41, 41, 34, 16, 16, 50, 106, 106, 61, 16, 16, 112, 170, 170, 54, 16, 16, 208, 235, 235];

#[test]
fn every_truncation_is_an_error() {
    for (is_progressive, is_apart) in [(false, false), (true, false), (false, true)] {
        let file = Plan { is_progressive, is_apart, ..Plan::new((64, 48)) }.file();
        // Without its end it is still whole.
        for length in 0..file.len() - 3 {
            assert!(read(&file[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn a_file_that_says_it_is_huge_ends_with_its_data() {
    let mut file = Plan::new((64, 48)).file();
    let frame = file.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
    file[frame + 5..frame + 9].fill(0xff);
    assert_eq!(read(&file), Err(DecodeError::Broken));
}

#[test]
fn other_files_are_refused_in_true_words() {
    let file = Plan::new((64, 48)).file();
    let with = |at: usize, byte| {
        let mut file = file.clone();
        let frame = file.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
        file[frame + at] = byte;
        read(&file)
    };
    // Lossless, arithmetic, 12 bits, no height, four colours.
    for (at, byte) in [(1, 0xc3), (1, 0xc9), (4, 12), (6, 0), (9, 4)] {
        assert_eq!(with(at, byte), Err(DecodeError::Unsupported), "{at}");
    }
    assert_eq!(with(9, 3).map(drop), Ok(()));
    assert_eq!(read(b"<html>"), Err(DecodeError::NotJpeg));
    assert_eq!(read(b""), Err(DecodeError::NotJpeg));
    assert_eq!(read(&[0xff, 0xd8, 0xff, 0xd9]), Err(DecodeError::Broken));
}
