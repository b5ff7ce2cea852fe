//! A second MP4 reader, for the tests alone: it shares no code with the one under test.

use std::{fs, path::Path};

pub struct Movie {
    pub sample_entry: [u8; 4],
    /// Duration in `mehd`, in ticks of 90 kHz; 0 while the file is not closed.
    pub duration: i64,
    pub samples: Vec<Sample>,
    /// The second track.
    pub audio: Option<Audio>,
    /// Referenced sizes of the `sidx`, and the offset of its end.
    pub index: Option<(Vec<u32>, usize)>,
    pub first_moof: usize,
    /// The offset of the end of the last whole fragment.
    pub end: usize,
    pub bytes: usize,
}

pub struct Sample {
    pub decode: i64,
    pub presentation: i64,
    pub duration: u32,
    pub key: bool,
    pub nals: Vec<Vec<u8>>,
}

/// A sound track; times in its own ticks.
pub struct Audio {
    pub sample_entry: [u8; 4],
    pub timescale: u32,
    pub samples: Vec<AudioSample>,
}

pub struct AudioSample {
    pub decode: i64,
    pub bytes: Vec<u8>,
}

/// Reads a file up to its last whole fragment.
pub fn read(path: &Path) -> Result<Movie, String> {
    parse(&fs::read(path).map_err(|error| error.to_string())?)
}

/// The same for bytes in memory.
pub fn parse(file: &[u8]) -> Result<Movie, String> {
    let mut movie = Movie {
        sample_entry: [0; 4],
        duration: 0,
        samples: Vec::new(),
        audio: None,
        index: None,
        first_moof: 0,
        end: 0,
        bytes: file.len(),
    };
    let mut moof: Option<(usize, &[u8])> = None;
    for (at, kind, content) in boxes(file) {
        match &kind {
            b"moov" => movie.read_moov(content)?,
            b"sidx" => {
                let count = usize::from(u16::from_be_bytes([
                    content[content.len() - 12 * entries(content) - 2],
                    content[content.len() - 12 * entries(content) - 1],
                ]));
                let table = &content[content.len() - 12 * count..];
                let sizes = table.chunks(12).map(|entry| number(entry) & 0x7fff_ffff).collect();
                movie.index = Some((sizes, at + 8 + content.len()));
            }
            b"moof" => {
                if movie.first_moof == 0 {
                    movie.first_moof = at;
                }
                moof = Some((at, content));
            }
            b"mdat" => {
                let size = content.len();
                let (start, content) = moof.take().ok_or("mdat without moof")?;
                movie.read_fragment(file, start, content)?;
                movie.end = at + 8 + size;
            }
            _ => {}
        }
    }
    if movie.sample_entry == [0; 4] { Err("no moov".into()) } else { Ok(movie) }
}

impl Movie {
    fn read_moov(&mut self, moov: &[u8]) -> Result<(), String> {
        // An endless file has no duration.
        self.duration = match find(moov, &[b"mvex", b"mehd"]) {
            None => 0,
            Some(mehd) if mehd[0] == 0 => i64::from(number(&mehd[4..])),
            Some(mehd) => i64::from_be_bytes(mehd[4..12].try_into().unwrap()),
        };
        let path: [&[u8; 4]; 5] = [b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
        let stsd = find(moov, &path).ok_or("no stsd")?;
        self.sample_entry = stsd[12..16].try_into().unwrap();
        let mdhd = find(moov, &[b"trak", b"mdia", b"mdhd"]).ok_or("no mdhd")?;
        let timescale = if mdhd[0] == 0 { number(&mdhd[12..]) } else { number(&mdhd[20..]) };
        if timescale != 90_000 {
            return Err(format!("timescale {timescale}"));
        }
        let second = boxes(moov).filter(|(_, kind, _)| kind == b"trak").nth(1);
        if let Some((_, _, trak)) = second {
            let stsd = find(trak, &path[1..]).ok_or("no stsd")?;
            let mdhd = find(trak, &[b"mdia", b"mdhd"]).ok_or("no mdhd")?;
            let sample_entry = stsd[12..16].try_into().unwrap();
            let (timescale, samples) = (number(&mdhd[12..]), Vec::new());
            self.audio = Some(Audio { sample_entry, timescale, samples });
        }
        Ok(())
    }

    fn read_fragment(&mut self, file: &[u8], start: usize, moof: &[u8]) -> Result<(), String> {
        let traf = find(moof, &[b"traf"]).ok_or("no traf")?;
        let Run { mut decode, default_duration, flags, count, fields } = Run::of(traf)?;
        let mut fields = fields.chunks(4).map(number);
        let mut next = || fields.next().ok_or("trun ends early");
        let mut at = start + next()? as usize;
        let first_flags = if flags & 4 != 0 { next()? } else { 0x0101_0000 };
        for index in 0..count {
            let duration = if flags & 0x100 != 0 { next()? } else { default_duration };
            let bytes = next()? as usize;
            let offset = if flags & 0x800 != 0 { next()?.cast_signed() } else { 0 };
            let media = file.get(at..at + bytes).ok_or("mdat ends early")?;
            self.samples.push(Sample {
                decode,
                presentation: decode + i64::from(offset),
                duration,
                key: index == 0 && first_flags & 0x0001_0000 == 0,
                nals: nals(media)?,
            });
            decode += i64::from(duration);
            at += bytes;
        }
        let second = boxes(moof).filter(|(_, kind, _)| kind == b"traf").nth(1);
        match (&mut self.audio, second) {
            (_, None) => Ok(()),
            (None, Some(_)) => Err("a second traf without a track".into()),
            (Some(audio), Some((_, _, traf))) => audio.read_run(file, start, traf),
        }
    }
}

/// One `traf`, up to the fields of its samples.
struct Run<'a> {
    decode: i64,
    default_duration: u32,
    flags: u32,
    count: u32,
    fields: &'a [u8],
}

impl Run<'_> {
    fn of(traf: &[u8]) -> Result<Run<'_>, String> {
        let tfhd = find(traf, &[b"tfhd"]).ok_or("no tfhd")?;
        let tfdt = find(traf, &[b"tfdt"]).ok_or("no tfdt")?;
        let trun = find(traf, &[b"trun"]).ok_or("no trun")?;
        Ok(Run {
            decode: i64::from_be_bytes(tfdt[4..12].try_into().unwrap()),
            default_duration: if number(tfhd) & 8 != 0 { number(&tfhd[8..]) } else { 0 },
            flags: number(trun) & 0x00ff_ffff,
            count: number(&trun[4..]),
            fields: &trun[8..],
        })
    }
}

impl Audio {
    fn read_run(&mut self, file: &[u8], start: usize, traf: &[u8]) -> Result<(), String> {
        let Run { mut decode, default_duration, flags, count, fields } = Run::of(traf)?;
        let mut fields = fields.chunks(4).map(number);
        let mut next = || fields.next().ok_or("trun ends early");
        let mut at = start + next()? as usize;
        for _ in 0..count {
            let duration = if flags & 0x100 != 0 { next()? } else { default_duration };
            let length = next()? as usize;
            let bytes = file.get(at..at + length).ok_or("mdat ends early")?.to_vec();
            self.samples.push(AudioSample { decode, bytes });
            decode += i64::from(duration);
            at += length;
        }
        Ok(())
    }
}

fn nals(mut media: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut nals = Vec::new();
    while !media.is_empty() {
        let length = number(media.get(..4).ok_or("a length is cut")?) as usize;
        nals.push(media.get(4..4 + length).ok_or("a NAL unit is cut")?.to_vec());
        media = &media[4 + length..];
    }
    Ok(nals)
}

/// Whole boxes: offset, kind, content.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = (usize, [u8; 4], &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = bytes.get(at..at + 8)?;
        let size = number(head) as usize;
        let content = bytes.get(at + 8..at + size.max(8))?;
        let found = (at, head[4..8].try_into().unwrap(), content);
        at += size.max(8);
        Some(found)
    })
}

fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    let Some((kind, rest)) = path.split_first() else { return Some(bytes) };
    let (_, _, content) = boxes(bytes).find(|(_, found, _)| found == *kind)?;
    find(content, rest)
}

/// Entries of a `sidx`, from its own length: 24 or 32 bytes stand before them.
fn entries(sidx: &[u8]) -> usize {
    let fixed = if sidx[0] == 0 { 24 } else { 32 };
    (sidx.len() - fixed) / 12
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
