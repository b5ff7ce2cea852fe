//! JPEG: a small picture in, its file out. Spec: ITU-T T.81, T.871 (JFIF).

use super::{Error, scale::Small};
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType};

/// A little better than FFmpeg's `-q:v 7`, and a quarter larger.
const QUALITY: u8 = 70;

pub(super) fn encode(picture: &Small) -> Result<Vec<u8>, Error> {
    let mut file = Vec::new();
    Encoder::new(&mut file, QUALITY).encode_image(Buffer(picture)).map_err(Error::Jpeg)?;
    Ok(file)
}

/// Gives the encoder full-width rows; it subsamples chroma again, to a quarter.
struct Buffer<'a>(&'a Small);

impl ImageBuffer for Buffer<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        u16::try_from(self.0.size.0).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.0.size.1).unwrap_or(u16::MAX)
    }

    fn fill_buffers(&self, row: u16, [luma, blue, red, _]: &mut [Vec<u8>; 4]) {
        let (width, row) = (self.0.size.0, usize::from(row));
        luma.extend(self.0.luma.iter().skip(row * width).take(width));
        let half = width.div_ceil(2);
        for (out, plane) in [blue, red].into_iter().zip(&self.0.chroma) {
            let line = plane.iter().skip(row / 2 * half).take(half);
            out.extend(line.flat_map(|&value| [value; 2]).take(width));
        }
    }
}
