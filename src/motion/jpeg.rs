//! The means of a JPEG's blocks: a file in, a coarse grey picture out.
//!
//! Of each block of 8x8 pixels the first coefficient (DC) is its mean. The others are skipped by
//! their Huffman codes, without a transform. Of a progressive file only the first scan is read.
//! Spec: ITU-T T.81. Knows nothing of: colours, motion.

mod bits;

use crate::limits::MOTION_CELLS_SIDE_MAX;
use bits::{CodedBits, Huffman};
use std::fmt;

/// A coarse grey picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grid {
    /// At most [`MOTION_CELLS_SIDE_MAX`], as is the height.
    pub width: usize,
    pub height: usize,
    /// Row by row, in sixteenths of a grey level: 0 to 4,095.
    pub means: Vec<u16>,
}

/// Reads a file, a row of its coding units at a time.
pub struct JpegReader<'a> {
    tables: Box<Tables>,
    frame: FrameHeader,
    parts: Vec<ScanComponent>,
    /// How far a DC coefficient is shifted, in the first scan of a progressive file.
    shift: u8,
    bits: CodedBits<'a>,
    /// Coding units in a row, rows of them, and the next row.
    units: (usize, usize),
    row: usize,
    /// Coding units until the predictions start over; `None`: never.
    until_restart: Option<u16>,
    sums: Vec<i32>,
}

/// Why a file has no means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    NotJpeg,
    /// It ends too early, or its data do not fit its head.
    Broken,
    /// Lossless, arithmetic or hierarchical coding, more than 8 bits, or more than three colours.
    Unsupported,
}

#[derive(Default)]
struct Tables {
    /// The first element of each quantization table.
    steps: [u16; 4],
    dc: [Huffman; 4],
    ac: [Huffman; 4],
    restart_interval: u16,
}

/// What a frame header says (T.81 §B.2.2).
struct FrameHeader {
    is_progressive: bool,
    size: (usize, usize),
    components: Vec<Component>,
}

struct Component {
    id: u8,
    across: usize,
    down: usize,
    quantization: u8,
}

/// A component in a scan.
struct ScanComponent {
    is_luma: bool,
    /// Its blocks in a coding unit.
    across: usize,
    blocks: usize,
    dc: usize,
    ac: usize,
    prediction: i32,
}

impl<'a> JpegReader<'a> {
    /// Reads up to the scan that has the luminance.
    ///
    /// # Errors
    /// Why there is none.
    pub fn new(file: &'a [u8]) -> Result<JpegReader<'a>, DecodeError> {
        let mut rest = file.strip_prefix(&[0xff, START]).ok_or(DecodeError::NotJpeg)?;
        let mut tables = Box::<Tables>::default();
        let mut frame = None;
        loop {
            let (marker, segment, behind) = segment(rest)?;
            rest = behind;
            match marker {
                0xc4 => tables.take_codes(segment)?,
                0xdb => tables.take_steps(segment)?,
                0xdd => tables.restart_interval = word(segment).ok_or(DecodeError::Broken)?,
                0xc0..=0xc2 => frame = Some(FrameHeader::read(marker == 0xc2, segment)?),
                0xc3..=0xcf => return Err(DecodeError::Unsupported),
                0xda => {
                    let known = frame.as_ref().ok_or(DecodeError::Broken)?;
                    let Some((parts, shift)) = known.scan(segment)? else {
                        rest = behind_scan(rest);
                        continue;
                    };
                    let frame = frame.take().ok_or(DecodeError::Broken)?;
                    return Ok(JpegReader::at_scan(tables, frame, parts, shift, rest));
                }
                _ => {}
            }
        }
    }

    fn at_scan(
        tables: Box<Tables>,
        frame: FrameHeader,
        parts: Vec<ScanComponent>,
        shift: u8,
        rest: &'a [u8],
    ) -> JpegReader<'a> {
        let most = |of: fn(&Component) -> usize| frame.components.iter().map(of).max();
        let (across, down) = (most(|it| it.across), most(|it| it.down));
        // A component alone has a unit for each block that is in the picture, however it is
        // sampled.
        let (across, down) = match (parts.len(), frame.components.first()) {
            (1, Some(luma)) => (across.unwrap_or(1) / luma.across, down.unwrap_or(1) / luma.down),
            _ => (across.unwrap_or(1), down.unwrap_or(1)),
        };
        let units =
            (frame.size.0.div_ceil(8 * across.max(1)), frame.size.1.div_ceil(8 * down.max(1)));
        let (width, height, _) = frame.cells();
        let until_restart = Some(tables.restart_interval).filter(|it| *it > 0);
        let bits = CodedBits::new(rest);
        let sums = vec![0; width * height];
        JpegReader { tables, frame, parts, shift, bits, units, row: 0, until_restart, sums }
    }

    /// Reads the next row; returns true if that was the last one.
    ///
    /// *Cost*: up to a few microseconds a block.
    ///
    /// # Errors
    /// `Broken`.
    pub fn read_row(&mut self) -> Result<bool, DecodeError> {
        let (blocks_wide, blocks_high) = self.frame.blocks();
        let (width, _, shift) = self.frame.cells();
        for column in 0..self.units.0 {
            self.restart()?;
            for part in &mut self.parts {
                let tables = &*self.tables;
                let (dc, ac) = (tables.dc.get(part.dc), tables.ac.get(part.ac));
                let (dc, ac) = (dc.ok_or(DecodeError::Broken)?, ac.ok_or(DecodeError::Broken)?);
                let ac = (!self.frame.is_progressive).then_some(ac);
                for block in 0..part.blocks {
                    let difference = self.bits.block(dc, ac)?;
                    part.prediction = (part.prediction + difference).clamp(-DC_MAX, DC_MAX);
                    if !part.is_luma {
                        continue;
                    }
                    let x = column * part.across + block % part.across;
                    let y = self.row * (part.blocks / part.across) + block / part.across;
                    if x < blocks_wide && y < blocks_high {
                        let cell = (y >> shift) * width + (x >> shift);
                        if let Some(sum) = self.sums.get_mut(cell) {
                            *sum += part.prediction;
                        }
                    }
                }
            }
        }
        self.row += 1;
        Ok(self.row >= self.units.1)
    }

    /// Returns the picture, as far as its rows were read.
    pub fn finish(self) -> Grid {
        let (width, height, shift) = self.frame.cells();
        let (blocks_wide, blocks_high) = self.frame.blocks();
        let luma = self.frame.components.first().map_or(0, |it| usize::from(it.quantization));
        let step = self.tables.steps.get(luma).copied().unwrap_or(1);
        // A coefficient is eight times a mean, counted from the middle.
        let factor = 2 * (i64::from(step) << self.shift);
        let side = 1 << shift;
        let mut means = Vec::with_capacity(self.sums.len());
        let mut sums = self.sums.iter();
        for y in 0..height {
            let rows = side.min(blocks_high - y * side);
            for x in 0..width {
                let count = rows * side.min(blocks_wide - x * side);
                let sum = i64::from(sums.next().copied().unwrap_or(0));
                let mean = sum * factor / (count.max(1) as i64) + MIDDLE;
                means.push(u16::try_from(mean.clamp(0, 2 * MIDDLE - 1)).unwrap_or(0));
            }
        }
        Grid { width, height, means }
    }

    /// Skips a restart marker if one is due (T.81 §E.2.4).
    fn restart(&mut self) -> Result<(), DecodeError> {
        let Some(left) = &mut self.until_restart else { return Ok(()) };
        if *left == 0 {
            self.bits.pass_restart()?;
            self.parts.iter_mut().for_each(|part| part.prediction = 0);
            *left = self.tables.restart_interval;
        }
        *left -= 1;
        Ok(())
    }
}

impl Tables {
    /// DQT (T.81 §B.2.4.1).
    fn take_steps(&mut self, mut segment: &[u8]) -> Result<(), DecodeError> {
        while let Some((&kind, table)) = segment.split_first() {
            let is_wide = kind >> 4 != 0;
            let (table, behind) = table
                .split_at_checked(if is_wide { 128 } else { 64 })
                .ok_or(DecodeError::Broken)?;
            let first = if is_wide { word(table) } else { table.first().map(|it| (*it).into()) };
            let step = self.steps.get_mut(usize::from(kind & 15)).ok_or(DecodeError::Broken)?;
            *step = first.unwrap_or(1);
            segment = behind;
        }
        Ok(())
    }

    /// DHT (T.81 §B.2.4.2).
    fn take_codes(&mut self, mut segment: &[u8]) -> Result<(), DecodeError> {
        while let Some((&kind, table)) = segment.split_first() {
            let (lengths, table) = table.split_first_chunk::<16>().ok_or(DecodeError::Broken)?;
            let count = lengths.iter().map(|it| usize::from(*it)).sum();
            let (symbols, behind) = table.split_at_checked(count).ok_or(DecodeError::Broken)?;
            let place = usize::from(kind & 15);
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let table = tables.get_mut(place).ok_or(DecodeError::Broken)?;
            table.fill(lengths, symbols).ok_or(DecodeError::Broken)?;
            segment = behind;
        }
        Ok(())
    }
}

impl FrameHeader {
    fn read(is_progressive: bool, segment: &[u8]) -> Result<FrameHeader, DecodeError> {
        let (&[bits, h1, h0, w1, w0, count], components) =
            segment.split_first_chunk().ok_or(DecodeError::Broken)?;
        let size = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
        if bits != 8 || !matches!(count, 1 | 3) || size.0 == 0 || size.1 == 0 {
            return Err(DecodeError::Unsupported);
        }
        let components: Vec<_> = components
            .chunks_exact(3)
            .filter_map(|it| match *it {
                [id, sampling, quantization] => Some(Component {
                    id,
                    across: usize::from(sampling >> 4),
                    down: usize::from(sampling & 15),
                    quantization: quantization & 3,
                }),
                _ => None,
            })
            .collect();
        let is_fit = |it: &Component| (1..=4).contains(&it.across) && (1..=4).contains(&it.down);
        if components.len() != usize::from(count) || !components.iter().all(is_fit) {
            return Err(DecodeError::Broken);
        }
        Ok(FrameHeader { is_progressive, size, components })
    }

    /// Reads the components and shift of a scan; `None` if it does not contain the luminance's
    /// means.
    /// Spec: T.81 §B.2.3.
    fn scan(&self, segment: &[u8]) -> Result<Option<(Vec<ScanComponent>, u8)>, DecodeError> {
        let (&count, segment) = segment.split_first().ok_or(DecodeError::Broken)?;
        let (chosen, rest) =
            segment.split_at_checked(2 * usize::from(count)).ok_or(DecodeError::Broken)?;
        let &[first, _, approximation, ..] = rest else { return Err(DecodeError::Broken) };
        let mut parts = Vec::new();
        for pair in chosen.chunks_exact(2) {
            let &[id, tables] = pair else { continue };
            let place = self.components.iter().position(|it| it.id == id);
            let component = place.and_then(|place| self.components.get(place));
            let Component { across, down, .. } = component.ok_or(DecodeError::Broken)?;
            let (across, down) = if count == 1 { (1, 1) } else { (*across, *down) };
            parts.push(ScanComponent {
                is_luma: place == Some(0),
                across,
                blocks: across * down,
                dc: usize::from(tables >> 4),
                ac: usize::from(tables & 15),
                prediction: 0,
            });
        }
        let is_first = !self.is_progressive || first == 0 && approximation >> 4 == 0;
        let has_means = is_first && parts.iter().any(|part| part.is_luma) && parts.len() <= 3;
        let shift = if self.is_progressive { approximation & 15 } else { 0 };
        Ok(has_means.then_some((parts, shift)))
    }

    /// Blocks of luminance across and down, within the picture.
    fn blocks(&self) -> (usize, usize) {
        (self.size.0.div_ceil(8), self.size.1.div_ceil(8))
    }

    /// Cells across and down, and by how much a block's place is shifted to get its cell's.
    fn cells(&self) -> (usize, usize, u32) {
        let (width, height) = self.blocks();
        let side = width.max(height);
        let shift = (0..16).find(|shift| side.div_ceil(1 << shift) <= MOTION_CELLS_SIDE_MAX);
        let shift = shift.unwrap_or(16);
        (width.div_ceil(1 << shift), height.div_ceil(1 << shift), shift)
    }
}

/// Splits off the next marker and its segment (T.81 §B.1.1).
fn segment(rest: &[u8]) -> Result<(u8, &[u8], &[u8]), DecodeError> {
    let [0xff, rest @ ..] = rest else { return Err(DecodeError::Broken) };
    let start = rest.iter().position(|byte| *byte != 0xff).ok_or(DecodeError::Broken)?;
    let [marker, rest @ ..] = rest.get(start..).unwrap_or_default() else {
        return Err(DecodeError::Broken);
    };
    let length = usize::from(word(rest).ok_or(DecodeError::Broken)?);
    let (segment, behind) = rest.split_at_checked(length).ok_or(DecodeError::Broken)?;
    Ok((*marker, segment.get(2..).ok_or(DecodeError::Broken)?, behind))
}

/// Skips a scan's data; returns what follows.
fn behind_scan(rest: &[u8]) -> &[u8] {
    let is_marker = |two: &[u8]| matches!(two, [0xff, 1..=0xcf | 0xd8..=0xfe]);
    let end = rest.windows(2).position(is_marker);
    end.and_then(|end| rest.get(end..)).unwrap_or_default()
}

fn word(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|two| u16::from_be_bytes(*two))
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeError::NotJpeg => "not a JPEG",
            DecodeError::Broken => "a broken JPEG",
            DecodeError::Unsupported => "a JPEG of a rare kind",
        })
    }
}

const START: u8 = 0xd8;
/// Beyond any coefficient of 8-bit pixels, so that sums stay in range.
const DC_MAX: i32 = 1 << 15;
/// The middle grey, in sixteenths.
const MIDDLE: i64 = 128 * 16;

#[cfg(test)]
mod tests;
