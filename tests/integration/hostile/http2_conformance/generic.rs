//! What every server takes (h2spec's "generic").

use super::Case;
use super::session::OPAQUE;
use crate::hostile::frames::*;
use crate::support::http2::*;

const EXCLUSIVE: u32 = 1 << 31;
/// No window: the response cannot end, nor can its stream.
const NO_WINDOW: &[(u16, u32)] = &[(setting::INITIAL_WINDOW_SIZE, 0)];

/// Huffman-coded, from RFC 7541 section C.4.
const CUSTOM_KEY: &[u8] = b"\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f";
const CUSTOM_VALUE: &[u8] = b"\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";

pub(super) const CASES: &[Case] = &[
    Case("generic/1/1", "the client's preface", |s| {
        s.send([PREFACE, &settings(&[])].concat());
        s.server_preface()
    }),
    Case("generic/2/1", "PRIORITY on an idle stream", |s| {
        s.begin([priority(1, 0, 255), ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("generic/2/2", "WINDOW_UPDATE on a half-closed stream", |s| {
        s.begin([settings(NO_WINDOW), s.get(1), window_update(1, 1)])?;
        s.any_data(1)
    }),
    Case("generic/2/3", "PRIORITY on a half-closed stream", |s| {
        s.begin([settings(NO_WINDOW), s.get(1), priority(1, 0, 255), window_update(1, 1)])?;
        s.any_data(1)
    }),
    Case("generic/2/4", "RST_STREAM on a half-closed stream", |s| {
        s.begin([s.get(1), rst_stream(1, code::CANCEL), ping(NONE, OPAQUE)])?;
        s.pong_or_close()
    }),
    Case("generic/2/5", "PRIORITY on a closed stream", |s| {
        s.begin([s.get(1)])?;
        s.ended(1)?;
        s.send([priority(1, 0, 255), ping(NONE, OPAQUE)].concat());
        s.pong()
    }),
    Case("generic/3.1/1", "DATA", |s| {
        s.begin([s.post(1), data(1, END_STREAM, b"test")])?;
        s.answered(1)
    }),
    Case("generic/3.1/2", "more than one DATA", |s| {
        s.begin([s.post(1), data(1, NONE, b"test"), data(1, END_STREAM, b"test")])?;
        s.answered(1)
    }),
    Case("generic/3.1/3", "DATA with padding", |s| {
        s.begin([s.post(1), data(1, END_STREAM | PADDED, b"\x05test\0\0\0\0\0")])?;
        s.answered(1)
    }),
    Case("generic/3.2/1", "HEADERS", |s| {
        s.begin([s.get(1)])?;
        s.answered(1)
    }),
    Case("generic/3.2/2", "HEADERS with padding", |s| {
        let padded = [b"\x08", &*s.block("GET"), &[0; 8]].concat();
        s.begin([headers(1, END | PADDED, &padded)])?;
        s.answered(1)
    }),
    Case("generic/3.2/3", "HEADERS with priority", |s| {
        let block = [dependency(0, 255), s.block("GET")].concat();
        s.begin([headers(1, END | WITH_PRIORITY, &block)])?;
        s.answered(1)
    }),
    Case("generic/3.3/1", "PRIORITY with weight 1", |s| {
        s.begin([priority(1, 0, 0), s.get(1)])?;
        s.answered(1)
    }),
    Case("generic/3.3/2", "PRIORITY with weight 256", |s| {
        s.begin([priority(1, 0, 255), s.get(1)])?;
        s.answered(1)
    }),
    Case("generic/3.3/3", "PRIORITY with a dependency", |s| {
        s.begin([priority(3, 1, 0), s.get(1)])?;
        s.answered(1)
    }),
    Case("generic/3.3/4", "PRIORITY, exclusive", |s| {
        s.begin([priority(1, EXCLUSIVE, 0), s.get(1)])?;
        s.answered(1)
    }),
    Case("generic/3.3/5", "PRIORITY on an idle stream, then a request on a lower one", |s| {
        s.begin([priority(3, 0, 255), s.get(1)])?;
        s.answered(1)
    }),
    Case("generic/3.4/1", "RST_STREAM", |s| {
        s.begin([s.post(1), rst_stream(1, code::CANCEL), ping(NONE, OPAQUE)])?;
        s.pong_or_close()
    }),
    Case("generic/3.5/1", "SETTINGS", |s| {
        s.begin([settings(&[
            (setting::HEADER_TABLE_SIZE, 4096),
            (setting::ENABLE_PUSH, 1),
            (setting::MAX_CONCURRENT_STREAMS, 100),
            (setting::INITIAL_WINDOW_SIZE, 65_535),
            (setting::MAX_FRAME_SIZE, 16_384),
            (setting::MAX_HEADER_LIST_SIZE, 100),
        ])])?;
        s.settings_acknowledged()
    }),
    Case("generic/3.7/1", "PING", |s| {
        s.begin([ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("generic/3.8/1", "GOAWAY", |s| {
        s.begin([goaway(code::NO_ERROR), ping(NONE, OPAQUE)])?;
        s.pong_or_close()
    }),
    Case("generic/3.9/1", "WINDOW_UPDATE of the connection", |s| {
        s.begin([window_update(0, 1), ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("generic/3.9/2", "WINDOW_UPDATE of a stream", |s| {
        s.begin([s.get(1), window_update(1, 1)])?;
        s.answered(1)
    }),
    Case("generic/3.10/1", "CONTINUATION", |s| {
        let block = s.block("GET");
        s.begin([headers(1, END_STREAM, &block[..5]), continuation(1, END_HEADERS, &block[5..])])?;
        s.answered(1)
    }),
    Case("generic/3.10/2", "more than one CONTINUATION", |s| {
        let block = s.block("GET");
        s.begin([
            headers(1, END_STREAM, &block[..5]),
            continuation(1, NONE, &block[5..10]),
            continuation(1, END_HEADERS, &block[10..]),
        ])?;
        s.answered(1)
    }),
    Case("generic/4/1", "GET", |s| {
        s.begin([s.get(1)])?;
        s.answered(1)
    }),
    Case("generic/4/2", "HEAD", |s| {
        s.begin([headers(1, END, &s.block("HEAD"))])?;
        s.answered(1)
    }),
    Case("generic/4/3", "POST", |s| {
        s.begin([s.post(1), data(1, END_STREAM, b"test")])?;
        s.answered(1)
    }),
    Case("generic/4/4", "POST with trailers", |s| {
        s.begin([
            headers(1, END_HEADERS, &s.with("POST", "trailer", "x-test")),
            data(1, NONE, b"test"),
            headers(1, END, &literal("x-test", "ok")),
        ])?;
        s.answered(1)
    }),
    Case("generic/5/1", "an indexed field", |s| with_field(s, &[integer(0x80, 7, 58)])),
    Case("generic/5/2", "incremental indexing, indexed name", |s| {
        with_field(s, &[integer(0x40, 6, 58), string("test")])
    }),
    Case("generic/5/3", "incremental indexing, indexed name, Huffman-coded", |s| {
        with_field(s, &[integer(0x40, 6, 58), CUSTOM_VALUE.to_vec()])
    }),
    Case("generic/5/4", "incremental indexing, new name", |s| {
        with_field(s, &[vec![0x40], string("x-test"), string("test")])
    }),
    Case("generic/5/5", "incremental indexing, new name, Huffman-coded", |s| {
        with_field(s, &[vec![0x40], CUSTOM_KEY.to_vec(), CUSTOM_VALUE.to_vec()])
    }),
    Case("generic/5/6", "without indexing, indexed name", |s| {
        with_field(s, &[integer(0, 4, 58), string("test")])
    }),
    Case("generic/5/7", "without indexing, indexed name, Huffman-coded", |s| {
        with_field(s, &[integer(0, 4, 58), CUSTOM_VALUE.to_vec()])
    }),
    Case("generic/5/8", "without indexing, new name", |s| {
        with_field(s, &[literal("x-test", "test")])
    }),
    Case("generic/5/9", "without indexing, new name, Huffman-coded", |s| {
        with_field(s, &[vec![0], CUSTOM_KEY.to_vec(), CUSTOM_VALUE.to_vec()])
    }),
    Case("generic/5/10", "never indexed, indexed name", |s| {
        with_field(s, &[integer(0x10, 4, 58), string("test")])
    }),
    Case("generic/5/11", "never indexed, indexed name, Huffman-coded", |s| {
        with_field(s, &[integer(0x10, 4, 58), CUSTOM_VALUE.to_vec()])
    }),
    Case("generic/5/12", "never indexed, new name", |s| {
        with_field(s, &[vec![0x10], string("x-test"), string("test")])
    }),
    Case("generic/5/13", "never indexed, new name, Huffman-coded", |s| {
        with_field(s, &[vec![0x10], CUSTOM_KEY.to_vec(), CUSTOM_VALUE.to_vec()])
    }),
    Case("generic/5/14", "a dynamic table size update", |s| {
        let block = [integer(0x20, 5, 128), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.answered(1)
    }),
    Case("generic/5/15", "two dynamic table size updates", |s| {
        let block = [integer(0x20, 5, 128), integer(0x20, 5, 4096), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.answered(1)
    }),
];

/// A GET with a field that is written in this way is answered.
fn with_field(s: &mut super::Session, field: &[Vec<u8>]) -> super::Outcome {
    s.begin([headers(1, END, &[s.block("GET"), field.concat()].concat())])?;
    s.answered(1)
}
