//! Compressed objects: told by their first bytes, whatever their names and headers say, and decompressed as they come.

use bytes::{Buf as _, Bytes};
use flate2::write::GzDecoder;
use std::io::{self, ErrorKind, Write as _};
use zstd::stream::raw;
use zstd::stream::raw::Operation as _;

/// The most that is decompressed at once [bytes], apart from what a decoder had already begun.
const STEP: usize = 128 * 1024;

/// How many bytes tell a compression.
const MAGIC: usize = 4;

/// Why compressed data cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Damage {
    pub(super) compression: &'static str,
    /// What the data does, for people: `ends in the middle`.
    pub(super) reason: String,
}

/// Between an object's bytes and its document, which is them where nothing is compressed.
pub(super) enum Decompressor {
    /// Its first bytes, which are too few to tell.
    Undecided(Vec<u8>),
    Plain,
    Gzip(Box<Gzip>),
    Zstd(Zstd),
}

impl Decompressor {
    pub(super) fn new() -> Self {
        Self::Undecided(Vec::new())
    }

    /// What the document is kept in, if it is.
    pub(super) fn compression(&self) -> Option<&'static str> {
        match self {
            Self::Undecided(_) | Self::Plain => None,
            Self::Gzip(_) => Some("gzip"),
            Self::Zstd(_) => Some("zstd"),
        }
    }

    /// Takes bytes from the front of `piece` and gives what they hold of the document, maybe nothing yet. Call again until
    /// `piece` is empty. What a call gives is bounded, however well it was compressed.
    pub(super) fn read(&mut self, piece: &mut Bytes) -> Result<Bytes, Damage> {
        if let Self::Undecided(beginning) = self {
            beginning.extend_from_slice(&piece.split_to(piece.len().min(MAGIC - beginning.len())));
            if beginning.len() < MAGIC {
                return Ok(Bytes::new());
            }
            let beginning = self.decide()?;
            *piece = [&beginning, &piece[..]].concat().into();
        }
        let read = match self {
            Self::Undecided(_) | Self::Plain => return Ok(std::mem::take(piece)),
            Self::Gzip(gzip) => gzip.read(piece),
            Self::Zstd(zstd) => zstd.read(piece),
        };
        read.map(Bytes::from).map_err(|error| self.damage(&error))
    }

    /// What is left of the document: the object has ended.
    pub(super) fn finish(&mut self) -> Result<Bytes, Damage> {
        let left = match self {
            Self::Undecided(beginning) => return Ok(std::mem::take(beginning).into()),
            Self::Plain => return Ok(Bytes::new()),
            Self::Gzip(gzip) => gzip.finish(),
            Self::Zstd(zstd) => zstd.finish(),
        };
        left.map(Bytes::from).map_err(|error| self.damage(&error))
    }

    /// Gives the bytes back that it was decided by.
    fn decide(&mut self) -> Result<Vec<u8>, Damage> {
        let Self::Undecided(beginning) = std::mem::replace(self, Self::Plain) else { return Ok(Vec::new()) };
        match beginning[..] {
            [0x1f, 0x8b, ..] => *self = Self::Gzip(Box::default()),
            // A frame, or one that is to be skipped: some writers begin with those.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                let zstd = Zstd::new().map_err(|error| Damage { compression: "zstd", reason: error.to_string() })?;
                *self = Self::Zstd(zstd);
            }
            _ => {}
        }
        Ok(beginning)
    }

    fn damage(&self, error: &io::Error) -> Damage {
        let reason = match error.kind() {
            ErrorKind::UnexpectedEof => "ends in the middle, as after an upload that was cut short".to_owned(),
            _ => format!("is damaged: {error}"),
        };
        Damage { compression: self.compression().unwrap_or_default(), reason }
    }
}

/// One member after the other.
#[derive(Default)]
pub(super) struct Gzip {
    member: Option<GzDecoder<Vec<u8>>>,
    members: u64,
}

impl Gzip {
    fn read(&mut self, piece: &mut Bytes) -> io::Result<Vec<u8>> {
        let Some(member) = &mut self.member else {
            // Members are padded with zeros where they come from tapes.
            let padding = piece.iter().take_while(|byte| self.members > 0 && **byte == 0).count();
            piece.advance(padding);
            match piece.first() {
                None => {}
                Some(0x1f) => self.member = Some(GzDecoder::new(Vec::new())),
                Some(_) => return Err(io::Error::other("something else follows")),
            }
            return Ok(Vec::new());
        };
        match member.write(&piece[..piece.len().min(STEP)])? {
            0 => self.finish(),
            read => {
                piece.advance(read);
                Ok(std::mem::take(member.get_mut()))
            }
        }
    }

    /// Of the member, whose checksum is looked at.
    fn finish(&mut self) -> io::Result<Vec<u8>> {
        self.members += 1;
        self.member.take().map_or(Ok(Vec::new()), GzDecoder::finish)
    }
}

/// One frame after the other, in a window of 128 MiB at most.
pub(super) struct Zstd {
    decoder: raw::Decoder<'static>,
    is_within_frame: bool,
}

impl Zstd {
    fn new() -> io::Result<Self> {
        Ok(Self { decoder: raw::Decoder::new()?, is_within_frame: false })
    }

    fn read(&mut self, piece: &mut Bytes) -> io::Result<Vec<u8>> {
        let mut content = vec![0; STEP];
        let mut written = 0;
        loop {
            let status = self.decoder.run_on_buffers(piece, &mut content[written..])?;
            piece.advance(status.bytes_read);
            written += status.bytes_written;
            self.is_within_frame = status.remaining > 0;
            if written < content.len() || !piece.is_empty() {
                content.truncate(written);
                return Ok(content);
            }
            // The decoder may hold more, of a block at most.
            content.resize(written + STEP, 0);
        }
    }

    fn finish(&self) -> io::Result<Vec<u8>> {
        if self.is_within_frame { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(Vec::new()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// The whole document, and the most that came at once.
    fn read(object: &[u8], piece_bytes: usize) -> Result<(Vec<u8>, usize), Damage> {
        let (mut decompressor, mut document, mut most) = (Decompressor::new(), Vec::new(), 0);
        for piece in object.chunks(piece_bytes) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                let read = decompressor.read(&mut piece)?;
                most = most.max(read.len());
                document.extend_from_slice(&read);
            }
        }
        document.extend_from_slice(&decompressor.finish()?);
        Ok((document, most))
    }

    #[track_caller]
    fn check(object: &[u8], expected: Result<&[u8], &str>) {
        for piece_bytes in [1, 2, 7, 1 << 20] {
            let document = read(object, piece_bytes).map(|(document, _)| document);
            let document = document.map_err(|damage| format!("{}: {}", damage.compression, damage.reason));
            assert_eq!(document.as_deref().map_err(String::as_str), expected, "in pieces of {piece_bytes}");
        }
    }

    fn text() -> Vec<u8> {
        (0..50_000).flat_map(|i| format!("{{\"id\":{i}}}\n").into_bytes()).collect()
    }

    #[test]
    fn an_object_is_read_as_what_it_is() {
        for content in [&b""[..], b"[", b"[1]", b"[1,2,3]\n"] {
            check(content, Ok(content));
            check(&gzip(content), Ok(content));
            check(&zstd(content), Ok(content));
        }
        let text = text();
        check(&gzip(&text), Ok(&text));
        check(&zstd(&text), Ok(&text));
    }

    #[test]
    fn members_and_frames_are_read_one_after_the_other() {
        check(&[gzip(b"[1,"), gzip(b""), gzip(b"2]")].concat(), Ok(b"[1,2]"));
        check(&[gzip(b"[1,"), gzip(b"2]"), vec![0; 700]].concat(), Ok(b"[1,2]"));
        let skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        check(&[skipped.clone(), zstd(b"[1,"), skipped, zstd(b"2]")].concat(), Ok(b"[1,2]"));
    }

    #[test]
    fn what_is_cut_short_or_damaged_is_told() {
        let cut = "ends in the middle, as after an upload that was cut short";
        let text = text();
        let (gzip, zstd) = (gzip(&text), zstd(&text));
        for end in [4, 12, gzip.len() / 2, gzip.len() - 9] {
            check(&gzip[..end], Err(&format!("gzip: {cut}")));
        }
        for end in [4, 12, zstd.len() / 2, zstd.len() - 1] {
            check(&zstd[..end], Err(&format!("zstd: {cut}")));
        }
        let checksum = "is damaged: corrupt gzip stream does not have a matching checksum";
        check(&gzip[..gzip.len() - 1], Err(&format!("gzip: {checksum}")));
        let mut wrong = gzip.clone();
        wrong[gzip.len() - 8] ^= 1;
        check(&wrong, Err(&format!("gzip: {checksum}")));
        check(&[&gzip[..], b"x"].concat(), Err("gzip: is damaged: something else follows"));
        let mut wrong = zstd.clone();
        wrong[zstd.len() - 1] ^= 1;
        check(&wrong, Err("zstd: is damaged: Restored data doesn't match checksum"));
        for other in [&b"x"[..], b"{\"id\":1}"] {
            check(&[&zstd[..], other].concat(), Err("zstd: is damaged: Unknown frame descriptor"));
        }
    }

    #[test]
    fn what_comes_at_once_is_bounded() {
        let zeros = vec![0; 50_000_000];
        for object in [gzip(&zeros), zstd(&zeros)] {
            assert!(object.len() < 100_000);
            let (document, most) = read(&object, object.len()).unwrap();
            assert_eq!((document.len(), most < 3 * STEP), (zeros.len(), true), "{most}");
        }
    }
}
