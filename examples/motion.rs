//! What `motion = "jpeg"` would see: JPEGs on standard input, one behind the other and two a
//! second; spans of motion on standard output, in seconds.
//!
//! ```text
//! ffmpeg -i CLIP -vf fps=2,scale=640:-2 -c:v mjpeg -q:v 5 -f image2pipe - | motion [SENSITIVITY]
//! ```

use smolnvr::motion::{
    detector::{Detector, Seen},
    jpeg::JpegReader,
};
use std::io::{self, Read as _};

fn main() -> io::Result<()> {
    let sensitivity = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(5);
    let mut all = Vec::new();
    io::stdin().read_to_end(&mut all)?;
    let mut detector = Detector::new(sensitivity, Vec::new());
    let (mut since, mut last) = (None, 0);
    let is_between = |four: &[u8]| four == [0xff, 0xd9, 0xff, 0xd8];
    let mut starts: Vec<_> =
        all.windows(4).enumerate().filter(|it| is_between(it.1)).map(|it| it.0 + 2).collect();
    starts.insert(0, 0);
    starts.push(all.len());
    let mut pictures = 0;
    for file in starts.windows(2).filter_map(|it| all.get(it[0]..it[1])) {
        let mut reader = JpegReader::new(file).expect("a JPEG");
        while !reader.read_row().expect("whole data") {}
        let seen = detector.look(&reader.finish());
        if seen == Seen::Motion {
            since.get_or_insert(pictures);
            last = pictures;
        }
        if pictures - last >= 20
            && let Some(begin) = since.take()
        {
            println!("{} {}", f64::from(begin) / 2.0, f64::from(last) / 2.0);
        }
        pictures += 1;
    }
    if let Some(begin) = since {
        println!("{} {}", f64::from(begin) / 2.0, f64::from(last) / 2.0);
    }
    println!("{pictures} pictures");
    Ok(())
}
