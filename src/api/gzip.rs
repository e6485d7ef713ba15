//! One gzip document out of parts that were compressed before, each by itself.
//!
//! A part is compressed to whole blocks that end on a byte and refer to nothing before them, so that
//! parts in any order are one stream. (Several gzip documents one after the other would be simpler and
//! are allowed too, but browsers read the first one only.)

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Little is gained by more: the text is short and repeats itself.
const LEVEL: Compression = Compression::new(3);
/// The head of a document: the magic number, deflate, no name, no time, no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The last block, which is empty and stored as it is.
const LAST: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// A part of a document, compressed.
#[derive(Debug)]
pub struct Part {
    blocks: Box<[u8]>,
    /// Checksum and length of the text.
    crc: Crc,
}

impl Part {
    /// Compresses `text`.
    pub fn of(text: &[u8]) -> Part {
        let mut crc = Crc::new();
        crc.update(text);
        let mut blocks = Vec::new();
        if !text.is_empty() {
            let mut deflate = Compress::new(LEVEL, false);
            loop {
                blocks.reserve(text.len() / 4 + 64);
                let taken = deflate.total_in() as usize;
                deflate
                    .compress_vec(&text[taken..], &mut blocks, FlushCompress::Sync)
                    .expect("it fails only after the end of a stream, which is never written");
                // All is out when room is left.
                if blocks.len() < blocks.capacity() {
                    break;
                }
            }
        }
        Part { blocks: blocks.into(), crc }
    }
}

/// A document that is being written.
#[derive(Debug)]
pub struct Document {
    crc: Crc,
}

impl Document {
    /// Begins a document in `out`.
    pub fn begin(out: &mut Vec<u8>) -> Document {
        out.extend_from_slice(&HEAD);
        Document { crc: Crc::new() }
    }

    /// Adds a part.
    pub fn add(&mut self, part: &Part, out: &mut Vec<u8>) {
        out.extend_from_slice(&part.blocks);
        self.crc.combine(&part.crc);
    }

    /// Adds a few bytes that are not worth compressing, at most 65,535.
    pub fn add_stored(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let length = u16::try_from(text.len()).expect("a few bytes");
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(text);
        self.crc.update(text);
    }

    /// Ends the document.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&LAST);
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn parts_in_any_order_are_one_document() {
        // Hardly compressible, and longer than any block.
        let mut state = 1u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(200_000)
        .collect();
        let texts: [&[u8]; 4] = [b"{\"a\":1}", &[], &[b'x'; 100_000], &noise];
        let parts = texts.map(Part::of);
        assert!(parts[2].blocks.len() < 1_000, "compressed");
        let mut document = Vec::new();
        let mut expected = Vec::new();
        let mut writing = Document::begin(&mut document);
        for number in [3, 0, 1, 2, 0, 3, 2] {
            writing.add_stored(b",", &mut document);
            writing.add(&parts[number], &mut document);
            expected.extend_from_slice(b",");
            expected.extend_from_slice(texts[number]);
        }
        writing.end(&mut document);
        let mut read = Vec::new();
        // Reads one document and checks its checksum and length.
        GzDecoder::new(&*document).read_to_end(&mut read).unwrap();
        assert!(read == expected);
    }
}
