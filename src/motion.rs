//! Motion: pictures of a camera in, whether something moves in them out.
//!
//! ```text
//! motion.rs     what is watched for
//! ├─ jpeg       a JPEG → the means of its blocks
//! └─ detector   these, one picture after another → motion
//! ```
//! Knows nothing of: where pictures are from, marks.

pub mod detector;
pub mod jpeg;

use crate::limits::MOTION_AREAS_MAX;

/// A part of the picture, in percent of its width and height.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    pub left: u8,
    pub top: u8,
    pub right: u8,
    pub bottom: u8,
}

impl Area {
    /// Parses `left top right bottom, …`; `None` if it is invalid or has too many areas.
    pub fn list(text: &str) -> Option<Vec<Area>> {
        if text.trim().is_empty() {
            return Some(Vec::new());
        }
        let area = |text: &str| {
            let mut numbers =
                text.split_whitespace().map(|it| it.parse().ok().filter(|it| *it <= 100));
            let mut next = || numbers.next().flatten();
            let area = Area { left: next()?, top: next()?, right: next()?, bottom: next()? };
            let is_fit = area.left < area.right && area.top < area.bottom && next().is_none();
            is_fit.then_some(area)
        };
        let areas: Option<Vec<_>> = text.split(',').map(area).collect();
        areas.filter(|areas| areas.len() <= MOTION_AREAS_MAX)
    }

    /// Returns true if it contains the middle of a cell of a grid of that size.
    fn has(&self, x: usize, y: usize, (width, height): (usize, usize)) -> bool {
        let is_in = |place: usize, all: usize, from: u8, to: u8| {
            let middle = (2 * place + 1) * 50;
            usize::from(from) * all <= middle && middle < usize::from(to) * all
        };
        is_in(x, width, self.left, self.right) && is_in(y, height, self.top, self.bottom)
    }
}
