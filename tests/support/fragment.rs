//! Parses a fragment: bytes of one `moof` and its `mdat` in, their content out.

/// One `moof` with its `mdat`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    pub sequence_number: u32,
    /// baseMediaDecodeTime.
    pub decode_time: i64,
    pub opens_on_key: bool,
    pub samples: Vec<Sample>,
    /// The second track.
    pub audio: Option<Audio>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audio {
    pub decode_time: i64,
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    pub duration: u32,
    pub composition_offset: i32,
    pub media: Vec<u8>,
}

/// # Panics
/// If the bytes are not exactly one fragment as smolnvr writes it.
pub fn read(bytes: &[u8]) -> Fragment {
    let (moof, rest) = open(bytes, b"moof");
    let (mut media, rest) = open(rest, b"mdat");
    assert!(rest.is_empty(), "{} bytes behind mdat", rest.len());
    let (mfhd, rest) = open(moof, b"mfhd");
    let (traf, rest) = open(rest, b"traf");
    let media_end = bytes.len();
    let video = run(traf, 1, &mut media, media_end);
    let audio = (!rest.is_empty()).then(|| {
        let (traf, rest) = open(rest, b"traf");
        assert!(rest.is_empty(), "a third track");
        let run = run(traf, 2, &mut media, media_end);
        assert_eq!(run.first_flags, None);
        Audio { decode_time: run.decode_time, samples: run.samples }
    });
    assert!(media.is_empty());
    Fragment {
        sequence_number: number(&mfhd[4..]),
        decode_time: video.decode_time,
        opens_on_key: video.first_flags.expect("flags of the first") & 0x0001_0000 == 0,
        samples: video.samples,
        audio,
    }
}

struct Run {
    decode_time: i64,
    first_flags: Option<u32>,
    samples: Vec<Sample>,
}

/// Reads one `traf`; its samples come next in `media`, which ends at `media_end`.
fn run(traf: &[u8], track: u32, media: &mut &[u8], media_end: usize) -> Run {
    let (tfhd, rest) = open(traf, b"tfhd");
    let (tfdt, rest) = open(rest, b"tfdt");
    let (trun, rest) = open(rest, b"trun");
    assert!(rest.is_empty() && tfdt[0] == 1 && trun[0] == 1);
    assert_eq!(number(&tfhd[4..]), track);
    let default_duration = (number(tfhd) & 8 != 0).then(|| number(&tfhd[8..]));
    let flags = number(trun) & 0x00ff_ffff;
    let mut fields = trun[4..].chunks(4).map(number);
    let mut next = || fields.next().expect("trun holds what its flags say");
    let count = next();
    assert_eq!(next() as usize, media_end - media.len(), "data_offset");
    let first_flags = (flags & 4 != 0).then(&mut next);
    let samples = (0..count).map(|_| {
        let duration =
            if flags & 0x100 != 0 { next() } else { default_duration.expect("a default") };
        let (sample, rest) = media.split_at(next() as usize);
        *media = rest;
        let composition_offset = if flags & 0x800 != 0 { next().cast_signed() } else { 0 };
        Sample { duration, composition_offset, media: sample.to_vec() }
    });
    let samples = samples.collect();
    assert!(fields.next().is_none());
    let decode_time = i64::from_be_bytes(tfdt[4..12].try_into().expect("eight bytes"));
    Run { decode_time, first_flags, samples }
}

/// The content of the first box in `bytes`, and the bytes after it.
fn open<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> (&'a [u8], &'a [u8]) {
    assert_eq!(&bytes[4..8], kind);
    let (content, rest) = bytes.split_at(number(bytes) as usize);
    (&content[8..], rest)
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
