//! The detector: coarse pictures in, one after another; whether something moves in them out.
//!
//! A cell has changed if it differs both from the background, which follows slowly, and from the
//! picture before, by more than it usually does. Something moves if changed cells touch each other
//! in two pictures, near each other. A change of the whole picture (a lamp, the exposure, the
//! infrared filter, a shaking camera) is not motion.
//! Knows nothing of: JPEG, time (pictures come twice a second), marks.

use super::{Area, jpeg::Grid};

/// One camera's background.
#[derive(Debug)]
pub struct Detector {
    /// By how much a cell must differ, in sixteenths of a grey level.
    threshold: i32,
    mask: Vec<Area>,
    size: (usize, usize),
    cells: Vec<Cell>,
    /// Pictures since the start or the last change of the whole picture, up to
    /// [`PICTURES_LEARNT_MAX`].
    learnt: u8,
    /// Where cells changed in the last two pictures, newest first.
    before: [Zones; 2],
    evidence: u8,
}

/// The finding about a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Nothing yet: the background is being learnt.
    Learning,
    Still,
    Motion,
}

/// In sixteenths of a grey level.
#[derive(Clone, Copy, Debug)]
struct Cell {
    background: i16,
    /// By how much it usually differs from that; [`MASKED`] if that does not matter.
    deviation: i16,
    /// By how much it differed in the last picture.
    residual: i16,
}

/// A coarse map: a bit for each of 16 columns, in 9 rows.
type Zones = [u16; ZONE_ROWS];

impl Detector {
    /// `sensitivity` is 1 to 9.
    pub fn new(sensitivity: u8, mask: Vec<Area>) -> Detector {
        let threshold = 16 * (11 - i32::from(sensitivity.min(9)));
        Detector {
            threshold,
            mask,
            size: (0, 0),
            cells: Vec::new(),
            learnt: 0,
            before: [[0; ZONE_ROWS]; 2],
            evidence: 0,
        }
    }

    /// Examines the next picture; one of another size starts over.
    pub fn look(&mut self, grid: &Grid) -> Seen {
        if self.size != (grid.width, grid.height) || self.cells.len() != grid.means.len() {
            self.start_over(grid);
            return Seen::Learning;
        }
        let light = self.light(grid);
        let rows = self.compare(grid, light);
        let (zones, count) = self.zones(&rows);
        let masked = self.cells.iter().filter(|it| it.deviation == MASKED).count();
        let all = self.cells.len() - masked;
        let spread: u32 = zones.iter().map(|row| row.count_ones()).sum();
        if count > all / 2 || spread > SPREAD_MAX || light.abs() > LIGHT_MAX {
            self.take_over(grid);
        }
        if self.learnt < PICTURES_LEARNT_MAX {
            self.learnt += 1;
            self.evidence = 0;
            self.before = [zones, self.before[0]];
            return Seen::Learning;
        }
        let is_hot = zones != [0; ZONE_ROWS];
        let is_near = touches(&zones, &near(&self.before));
        self.before = [zones, self.before[0]];
        self.evidence = match (is_hot, is_near) {
            (true, true) => self.evidence + 2,
            (true, false) => 1,
            (false, _) => self.evidence.saturating_sub(1),
        };
        self.evidence = self.evidence.min(EVIDENCE_MAX);
        if is_hot && self.evidence >= EVIDENCE { Seen::Motion } else { Seen::Still }
    }

    fn start_over(&mut self, grid: &Grid) {
        self.size = (grid.width, grid.height);
        let cell = |(at, mean): (usize, &u16)| {
            let (x, y) = (at % grid.width.max(1), at / grid.width.max(1));
            let is_masked = self.mask.iter().any(|it| it.has(x, y, self.size));
            let deviation = if is_masked { MASKED } else { 0 };
            Cell { background: *mean as i16, deviation, residual: 0 }
        };
        self.cells = grid.means.iter().enumerate().map(cell).collect();
        (self.learnt, self.evidence, self.before) = (0, 0, [[0; ZONE_ROWS]; 2]);
    }

    /// Makes a picture the background, and learns what is usual in it.
    fn take_over(&mut self, grid: &Grid) {
        for (cell, mean) in self.cells.iter_mut().zip(&grid.means) {
            (cell.background, cell.residual) = (*mean as i16, 0);
        }
        self.learnt = 0;
    }

    /// By how much the picture is brighter than the background: the median of the cells, which no
    /// object moves that covers less than half of them.
    fn light(&self, grid: &Grid) -> i32 {
        // Of each difference in grey levels, from -256 on.
        let mut counts = [0u16; 512];
        let mut all = 0u16;
        for (cell, mean) in self.cells.iter().zip(&grid.means) {
            let level = (i32::from(*mean) - i32::from(cell.background)) >> 4;
            let count = usize::try_from(level + 256).ok().and_then(|at| counts.get_mut(at));
            if let Some(count) = count.filter(|_| cell.deviation != MASKED) {
                *count += 1;
                all += 1;
            }
        }
        let mut below = 0;
        let median = counts.iter().position(|count| {
            below += count;
            below > all / 2
        });
        (median.unwrap_or(256) as i32 - 256) * 16 + 8
    }

    /// Compares all cells and lets the background follow; returns the changed ones, a row in each
    /// element.
    fn compare(&mut self, grid: &Grid, light: i32) -> Vec<u128> {
        let (threshold, is_new) = (self.threshold, self.learnt < PICTURES_LEARNT_MAX);
        let mut rows = vec![0u128; grid.height];
        let lines =
            self.cells.chunks_mut(grid.width.max(1)).zip(grid.means.chunks(grid.width.max(1)));
        for (row, (cells, means)) in rows.iter_mut().zip(lines) {
            for (x, (cell, mean)) in cells.iter_mut().zip(means).enumerate() {
                if cell.deviation == MASKED {
                    continue;
                }
                let difference = i32::from(*mean) - i32::from(cell.background);
                let residual = difference - light;
                let (size, deviation) = (residual.abs(), i32::from(cell.deviation));
                let moved = (residual - i32::from(cell.residual)).abs();
                let is_changed = size > threshold + 3 * deviation && moved > threshold / 2;
                *row |= u128::from(is_changed) << x;
                let pace = match (is_new, is_changed) {
                    (true, _) => 2,
                    (false, true) => 5,
                    (false, false) => 3,
                };
                let step = difference >> pace;
                cell.background += step as i16;
                cell.deviation += ((size.min(DEVIATION_MAX) - deviation) >> 5) as i16;
                // As it would have been before this background.
                cell.residual = (residual - step) as i16;
            }
        }
        rows
    }

    /// Where changed cells touch each other, and how many have changed.
    fn zones(&self, rows: &[u128]) -> (Zones, usize) {
        let mut zones = [0; ZONE_ROWS];
        let mut count = 0;
        for (y, row) in rows.iter().enumerate() {
            count += row.count_ones() as usize;
            let around = [y.checked_sub(1), Some(y), y.checked_add(1)];
            let around = around.map(|y| y.and_then(|y| rows.get(y)).copied().unwrap_or(0));
            let mut left = *row;
            while left != 0 {
                let x = left.trailing_zeros() as usize;
                left &= left - 1;
                let touching = around.map(|row| (row << 1 >> x) & 7);
                let touching = touching.map(u128::count_ones).iter().sum::<u32>();
                if touching >= TOUCHING_MIN
                    && let Some(zone) = zones.get_mut(y * ZONE_ROWS / self.size.1.max(1))
                {
                    *zone |= 1 << (x * 16 / self.size.0.max(1)).min(15);
                }
            }
        }
        (zones, count)
    }
}

/// The zones at most two away from one of these.
fn near(before: &[Zones; 2]) -> Zones {
    let mut near = [0; ZONE_ROWS];
    for (y, row) in near.iter_mut().enumerate() {
        for zones in before {
            let around = zones.iter().skip(y.saturating_sub(2)).take(y.min(2) + 3);
            *row |= around.fold(0, |all, it| all | it);
        }
        *row |= *row << 1 | *row >> 1;
        *row |= *row << 1 | *row >> 1;
    }
    near
}

fn touches(one: &Zones, other: &Zones) -> bool {
    one.iter().zip(other).any(|(one, other)| one & other != 0)
}

const ZONE_ROWS: usize = 9;
/// The deviation of a masked cell.
const MASKED: i16 = i16::MAX;
/// Half that of the brightest foliage in wind; more would blind a cell in which people walk.
const DEVIATION_MAX: i32 = 16 * 16;
/// How many of a changed cell and its eight neighbours must have changed, so that rain and noise do
/// not count.
const TOUCHING_MIN: u32 = 4;
/// After the first picture, or after all changed: 3 s, in which a camera switches its filter and
/// its exposure.
const PICTURES_LEARNT_MAX: u8 = 6;
/// Above this, the light has changed: 8 grey levels over all cells since the last few pictures.
const LIGHT_MAX: i32 = 8 * 16;
/// Above this, the camera moves or part of the light changed: a third of the zones.
const SPREAD_MAX: u32 = 48;
/// A picture counts 2 if cells changed near those of the previous two pictures, 1 if elsewhere.
const EVIDENCE: u8 = 5;
const EVIDENCE_MAX: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use Seen::{Learning, Motion, Still};

    const SIZE: (usize, usize) = (80, 45);

    fn detector() -> Detector {
        Detector::new(5, Vec::new())
    }

    /// A scene in so much light, with a box of 3x6 cells at these places, and noise.
    fn scene(light: i32, boxes: &[(usize, usize)], nth: usize) -> Grid {
        let mean = |at: usize| {
            let (x, y) = (at % SIZE.0, at / SIZE.0);
            let is_box = |it: &&(usize, usize)| {
                (it.0..it.0 + 3).contains(&x) && (it.1..it.1 + 6).contains(&y)
            };
            let level =
                if boxes.iter().find(is_box).is_some() { 40 } else { 80 + (x * 7 + y * 13) % 64 };
            let noise = (at * 31 + nth * 17) % 48;
            (16 * (level as i32 + light) + noise as i32).clamp(0, 4095) as u16
        };
        Grid { width: SIZE.0, height: SIZE.1, means: (0..SIZE.0 * SIZE.1).map(mean).collect() }
    }

    /// What is seen of a still scene, then of what `next` makes of each picture's number.
    fn seen(detector: &mut Detector, count: usize, next: impl Fn(usize) -> Grid) -> Vec<Seen> {
        for nth in 0..20 {
            let expected = if nth <= usize::from(PICTURES_LEARNT_MAX) { Learning } else { Still };
            assert_eq!(detector.look(&scene(0, &[], nth)), expected, "{nth}");
        }
        (0..count).map(|nth| detector.look(&next(nth))).collect()
    }

    #[test]
    fn motion_is_seen_from_its_third_picture_until_it_stops() {
        let place = |nth: usize| (10 + 2 * nth.min(8), 20);
        let seen = seen(&mut detector(), 14, |nth| scene(0, &[place(nth)], nth));
        assert_eq!(seen[..9], [&[Still; 2][..], &[Motion; 7]].concat());
        assert_eq!(seen[9..], [Still; 5]);
    }

    #[test]
    fn an_object_that_stays_becomes_background_and_leaves_no_ghost() {
        let mut detector = detector();
        let came = seen(&mut detector, 60, |nth| scene(0, &[(30, 20)], nth));
        assert_eq!(came, [Still; 60]);
        let left: Vec<_> = (0..20).map(|nth| detector.look(&scene(0, &[], nth))).collect();
        assert_eq!(left, [Still; 20]);
    }

    #[test]
    fn drops_and_insects_here_and_there_are_no_motion() {
        let places = [(5, 5), (70, 30), (30, 2), (10, 38), (60, 8)];
        let seen = seen(&mut detector(), 40, |nth| scene(0, &[places[nth % 5]], nth));
        assert_eq!(seen, [Still; 40]);
    }

    #[test]
    fn a_lamp_a_dusk_and_a_shaking_camera_are_no_motion() {
        let lamp = seen(&mut detector(), 60, |nth| scene(60 * (nth as i32 / 20 % 2), &[], nth));
        assert!(!lamp.contains(&Motion) && lamp.contains(&Learning), "{lamp:?}");
        let dusk = seen(&mut detector(), 70, |nth| scene(-(nth as i32), &[], nth));
        assert_eq!(dusk, [Still; 70]);
        // Edges everywhere are now brighter, now darker.
        let shaking = seen(&mut detector(), 40, |nth| {
            let mut grid = scene(0, &[], nth);
            for (at, mean) in grid.means.iter_mut().enumerate() {
                let (x, y) = (at % SIZE.0, at / SIZE.0);
                if x % 6 < 3 && y % 6 < 2 {
                    *mean += 400 * (nth as u16 % 2);
                }
            }
            grid
        });
        assert!(!shaking.contains(&Motion), "{shaking:?}");
    }

    #[test]
    fn nothing_moves_in_a_masked_area() {
        let mask = Area::list("0 30 100 70, 90 0 100 5").unwrap();
        let place = |nth: usize| (10 + 2 * nth, 20);
        let masked = seen(&mut Detector::new(5, mask), 14, |nth| scene(0, &[place(nth)], nth));
        assert_eq!(masked, [Still; 14]);
        let elsewhere = Area::list("0 80 100 100").unwrap();
        let moving = seen(&mut Detector::new(5, elsewhere), 14, |nth| scene(0, &[place(nth)], nth));
        assert!(moving.contains(&Motion));
        let everywhere = Area::list("0 0 100 100").unwrap();
        seen(&mut Detector::new(5, everywhere), 14, |nth| scene(0, &[place(nth)], nth));
    }

    #[test]
    fn a_picture_of_another_size_starts_over() {
        let mut detector = detector();
        seen(&mut detector, 1, |nth| scene(0, &[], nth));
        let small = Grid { width: 2, height: 1, means: vec![0, 4095] };
        let empty = Grid { width: 0, height: 1, means: vec![] };
        for grid in [&small, &small, &empty, &empty] {
            assert_eq!(detector.look(grid), Learning);
        }
    }

    #[test]
    fn areas_are_four_percentages_in_order() {
        let area = |left, top, right, bottom| Area { left, top, right, bottom };
        assert_eq!(Area::list(""), Some(vec![]));
        let two = vec![area(0, 0, 100, 10), area(60, 40, 100, 60)];
        assert_eq!(Area::list("0 0 100 10, 60 40 100 60"), Some(two));
        for wrong in
            ["0 0 100", "0 0 100 101", "10 0 10 5", "0 0 1 1 1", "a b c d", ",", "0 0 -1 4"]
        {
            assert_eq!(Area::list(wrong), None, "{wrong}");
        }
        assert_eq!(Area::list(&["0 0 1 1"; 17].join(",")), None);
    }
}
