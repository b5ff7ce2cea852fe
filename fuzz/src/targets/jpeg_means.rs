//! JPEG files in which motion is looked for, one after another.

use crate::source::Source;
use smolnvr::{
    limits::MOTION_CELLS_SIDE_MAX,
    motion::{
        detector::{Detector, Seen},
        jpeg::{DecodeError, Grid, JpegReader},
    },
};

pub fn jpeg_means(data: &[u8]) {
    let Some((&[choice], file)) = data.split_first_chunk() else { return };
    let mut detector = Detector::new(choice & 15, Vec::new());
    if choice & 0x80 == 0 {
        match read(file) {
            Ok(grid) => {
                let seen = [grid.clone(), grid].map(|grid| detector.look(&grid));
                assert_eq!(seen, [Seen::Learning; 2]);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        return;
    }
    // Any pictures, of any size.
    let mut source = Source::new(file);
    while !source.is_empty() {
        let (width, height) = (source.below(MOTION_CELLS_SIDE_MAX), 1 + source.below(3));
        let means = (0..width * height).map(|_| source.u16() & 4095).collect();
        let grid = Grid { width, height, means };
        for _ in 0..source.u8() & 15 {
            detector.look(&grid);
        }
    }
}

fn read(file: &[u8]) -> Result<Grid, DecodeError> {
    let mut reader = JpegReader::new(file)?;
    let mut rows = 1;
    while !reader.read_row()? {
        rows += 1;
    }
    assert!(rows <= 8192, "a row of blocks is read once");
    let grid = reader.finish();
    assert!(grid.width <= MOTION_CELLS_SIDE_MAX && grid.height <= MOTION_CELLS_SIDE_MAX);
    assert_eq!(grid.means.len(), grid.width * grid.height);
    assert!(grid.means.iter().all(|mean| *mean < 4096));
    Ok(grid)
}
