//! Reads a fragment back: bytes of one `moof` and its `mdat` in, what they say out.

/// One `moof` with its `mdat`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    pub sequence_number: u32,
    /// baseMediaDecodeTime.
    pub decode_time: i64,
    pub opens_on_key: bool,
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    pub duration: u32,
    pub composition_offset: i32,
    pub media: Vec<u8>,
}

/// # Panics
/// Where the bytes are not exactly one fragment as smolnvr writes it.
pub fn read(bytes: &[u8]) -> Fragment {
    let (moof, rest) = open(bytes, b"moof");
    let (mut media, rest) = open(rest, b"mdat");
    assert!(rest.is_empty(), "{} bytes behind mdat", rest.len());
    let data_offset = bytes.len() - media.len();
    let (mfhd, traf) = open(moof, b"mfhd");
    let (tfhd, rest) = open(open(traf, b"traf").0, b"tfhd");
    let (tfdt, rest) = open(rest, b"tfdt");
    let (trun, rest) = open(rest, b"trun");
    assert!(rest.is_empty() && tfdt[0] == 1 && trun[0] == 1);
    let default_duration = (number(tfhd) & 8 != 0).then(|| number(&tfhd[8..]));
    let flags = number(trun) & 0x00ff_ffff;
    let mut fields = trun[4..].chunks(4).map(number);
    let mut next = || fields.next().expect("trun holds what its flags say");
    let count = next();
    assert_eq!(next() as usize, data_offset, "data_offset");
    let opens_on_key = next() & 0x0001_0000 == 0;
    let samples = (0..count).map(|_| {
        let duration =
            if flags & 0x100 != 0 { next() } else { default_duration.expect("a default") };
        let (sample, rest) = media.split_at(next() as usize);
        media = rest;
        let composition_offset = if flags & 0x800 != 0 { next().cast_signed() } else { 0 };
        Sample { duration, composition_offset, media: sample.to_vec() }
    });
    let samples = samples.collect();
    assert!(media.is_empty() && fields.next().is_none());
    Fragment {
        sequence_number: number(&mfhd[4..]),
        decode_time: i64::from_be_bytes(tfdt[4..12].try_into().expect("eight bytes")),
        opens_on_key,
        samples,
    }
}

/// The content of the box that `bytes` begin with, and what follows it.
fn open<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> (&'a [u8], &'a [u8]) {
    assert_eq!(&bytes[4..8], kind);
    let (content, rest) = bytes.split_at(number(bytes) as usize);
    (&content[8..], rest)
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
