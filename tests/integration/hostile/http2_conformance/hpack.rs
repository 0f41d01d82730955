//! Header blocks that cannot be decoded (h2spec's "hpack", RFC 7541). The dynamic table is empty,
//! so that the last valid index is 61.

use super::session::Session;
use super::{Case, Outcome};
use crate::hostile::frames::*;
use crate::support::http2::*;

/// `custom-key` as RFC 7541 section C.4.3 has it, but for the last byte: one bit of the text, which
/// is 0, and seven ones to fill it up.
const CUSTOM_KEY: &[u8] = b"\x25\xa8\x49\xe9\x5b\xa9\x7d";

pub(super) const CASES: &[Case] = &[
    Case("hpack/2.3.3/1", "an index beyond the tables", |s| after_get(s, &integer(0x80, 7, 70))),
    Case("hpack/2.3.3/2", "the index of a name beyond the tables", |s| {
        after_get(s, &[integer(0x40, 6, 70), string("")].concat())
    }),
    Case("hpack/4.2/1", "a dynamic table size update at the end", |s| {
        after_get(s, &integer(0x20, 5, 1))
    }),
    Case("hpack/5.2/1", "Huffman coding with more than 7 bits of padding", |s| {
        huffman(s, b"\x7f\xff")
    }),
    Case("hpack/5.2/2", "Huffman coding with zeros as padding", |s| huffman(s, b"\x00")),
    Case("hpack/5.2/3", "Huffman coding with the EOS symbol", |s| huffman(s, b"\x7f\xff\xff\xff")),
    Case("hpack/6.1/1", "index 0", |s| after_get(s, &integer(0x80, 7, 0))),
    Case("hpack/6.3/1", "a dynamic table size update above the limit", |s| {
        s.begin([])?;
        let limit = s.setting(setting::HEADER_TABLE_SIZE).unwrap_or(4096) as usize;
        let block = [integer(0x20, 5, limit + 1), s.block("GET")].concat();
        s.send(headers(1, END, &block));
        s.connection_error(&[code::COMPRESSION_ERROR])
    }),
];

fn after_get(s: &mut Session, bytes: &[u8]) -> Outcome {
    s.begin([headers(1, END, &[&s.block("GET"), bytes].concat())])?;
    s.connection_error(&[code::COMPRESSION_ERROR])
}

/// A value that ends like this.
fn huffman(s: &mut Session, end: &[u8]) -> Outcome {
    let length = integer(0x80, 7, CUSTOM_KEY.len() + end.len());
    after_get(s, &[&[0], &*string("x-test"), &length, CUSTOM_KEY, end].concat())
}
