//! What breaks the rules (h2spec's "http2"; the sections are those of RFC 7540, which RFC 9113
//! replaces).

use super::Case;
use super::session::{OPAQUE, Session};
use crate::hostile::frames::{code::*, setting::*, *};
use crate::support::http2::*;

/// A kind of frame that there is not.
const UNKNOWN: u8 = 0x16;
/// The bit before the stream's number.
const RESERVED: u32 = 1 << 31;
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// A field of four kilobytes.
fn long() -> Vec<u8> {
    literal("x-long", &"x".repeat(4000))
}

pub(super) const CASES: &[Case] = &[
    Case("http2/3.5/1", "the client's preface", |s| {
        s.send([PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 65_535)])].concat());
        s.server_preface()
    }),
    Case("http2/3.5/2", "an invalid preface", |s| {
        s.send("INVALID CONNECTION PREFACE\r\n\r\n");
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/4.1/1", "a frame of unknown type", |s| {
        s.begin([frame(UNKNOWN, NONE, 0, &[0; 8]), ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("http2/4.1/2", "undefined flags", |s| {
        s.begin([ping(0x16, OPAQUE)])?;
        s.pong()
    }),
    Case("http2/4.1/3", "the reserved bit", |s| {
        s.begin([frame(PING, NONE, RESERVED, &OPAQUE)])?;
        s.pong()
    }),
    Case("http2/4.2/1", "DATA of the maximum size", |s| {
        s.begin_with(|s| {
            [s.post(1), data(1, END_STREAM, &vec![b'x'; s.max_frame_size()])].concat()
        })?;
        s.answered(1)
    }),
    Case("http2/4.2/2", "DATA above the maximum size", |s| {
        s.begin_with(|s| {
            [s.post(1), data(1, END_STREAM, &vec![b'x'; s.max_frame_size() + 1])].concat()
        })?;
        s.stream_error(&[FRAME_SIZE_ERROR])
    }),
    Case("http2/4.2/3", "HEADERS above the maximum size", |s| {
        s.begin_with(|s| {
            let fields = long().repeat(1 + s.max_frame_size() / 4000);
            headers(1, END, &[s.block("GET"), fields].concat())
        })?;
        s.connection_error(&[FRAME_SIZE_ERROR])
    }),
    Case("http2/4.3/1", "an invalid header block", |s| {
        s.begin([headers(1, END, &[0x40])])?;
        s.connection_error(&[COMPRESSION_ERROR])
    }),
    Case("http2/4.3/2", "PRIORITY inside a header block", |s| {
        s.begin([
            headers(1, NONE, &s.block("GET")),
            priority(1, 0, 255),
            continuation(1, END_HEADERS, &long()),
        ])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/4.3/3", "HEADERS of another stream inside a header block", |s| {
        s.begin([
            headers(1, NONE, &s.block("GET")),
            s.get(3),
            continuation(1, END_HEADERS, &long()),
        ])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.1/1", "idle: DATA", |s| {
        s.begin([data(1, END_STREAM, b"test")])?;
        s.stream_error(&[PROTOCOL_ERROR, STREAM_CLOSED])
    }),
    Case("http2/5.1/2", "idle: RST_STREAM", |s| {
        s.begin([rst_stream(1, CANCEL)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.1/3", "idle: WINDOW_UPDATE", |s| {
        s.begin([window_update(1, 100)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.1/4", "idle: CONTINUATION", |s| {
        s.begin([continuation(1, END_HEADERS, &s.block("GET"))])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.1/5", "half-closed: DATA", |s| {
        s.begin([s.get(1), data(1, END_STREAM, b"test")])?;
        s.stream_error(&[STREAM_CLOSED])
    }),
    Case("http2/5.1/6", "half-closed: HEADERS", |s| {
        s.begin([s.get(1), s.get(1)])?;
        s.stream_error(&[STREAM_CLOSED])
    }),
    Case("http2/5.1/7", "half-closed: CONTINUATION", |s| {
        s.begin([s.get(1), continuation(1, END_HEADERS, &s.block("GET"))])?;
        s.stream_error(&[STREAM_CLOSED, PROTOCOL_ERROR])
    }),
    Case("http2/5.1/8", "closed by RST_STREAM: DATA", |s| {
        s.begin([s.post(1), rst_stream(1, CANCEL), data(1, END_STREAM, b"test")])?;
        s.stream_error(&[STREAM_CLOSED])
    }),
    Case("http2/5.1/9", "closed by RST_STREAM: HEADERS", |s| {
        s.begin([s.post(1), rst_stream(1, CANCEL), s.get(1)])?;
        s.stream_error(&[STREAM_CLOSED])
    }),
    Case("http2/5.1/10", "closed by RST_STREAM: CONTINUATION", |s| {
        s.begin([s.post(1), rst_stream(1, CANCEL), continuation(1, END_HEADERS, &long())])?;
        s.stream_error(&[STREAM_CLOSED, PROTOCOL_ERROR])
    }),
    Case("http2/5.1/11", "closed: DATA", |s| {
        s.begin([s.get(1)])?;
        s.ended(1)?;
        s.send(data(1, END_STREAM, b"test"));
        s.stream_error(&[STREAM_CLOSED])
    }),
    Case("http2/5.1/12", "closed: HEADERS", |s| {
        s.begin([s.get(1)])?;
        s.ended(1)?;
        let again = s.get(1);
        s.send(again);
        s.connection_error(&[STREAM_CLOSED])
    }),
    Case("http2/5.1/13", "closed: CONTINUATION", |s| {
        s.begin([s.get(1)])?;
        s.ended(1)?;
        s.send(continuation(1, END_HEADERS, &long()));
        s.connection_error(&[STREAM_CLOSED, PROTOCOL_ERROR])
    }),
    Case("http2/5.1.1/1", "an even stream", |s| {
        s.begin([s.get(2)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.1.1/2", "a stream below the last", |s| {
        s.begin([s.get(5), s.get(3)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.1.2/1", "more streams than allowed at a time", |s| {
        s.begin([settings(&[(INITIAL_WINDOW_SIZE, 0)])])?;
        let allowed = s.setting(MAX_CONCURRENT_STREAMS).ok_or("any number of streams")?;
        let requests: Vec<u8> = (0..=allowed).flat_map(|n| s.get(2 * n + 1)).collect();
        s.send(requests);
        s.stream_error(&[PROTOCOL_ERROR, REFUSED_STREAM])
    }),
    Case("http2/5.3.1/1", "HEADERS that depends on itself", |s| {
        let block = [dependency(1, 255), s.block("GET")].concat();
        s.begin([headers(1, END | WITH_PRIORITY, &block)])?;
        s.stream_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.3.1/2", "PRIORITY that depends on itself", |s| {
        s.begin([priority(1, 1, 255)])?;
        s.stream_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/5.4.1/1", "the end after an invalid PING", |s| {
        s.begin([frame(PING, NONE, 3, &[0; 8])])?;
        s.closed()
    }),
    Case("http2/5.4.1/2", "GOAWAY after an invalid PING", |s| {
        s.begin([frame(PING, NONE, 3, &[0; 8])])?;
        s.goaway(PROTOCOL_ERROR)
    }),
    Case("http2/5.5/1", "an extension", |s| {
        s.begin([frame(UNKNOWN, NONE, 0, &[0; 8]), ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("http2/5.5/2", "an extension inside a header block", |s| {
        s.begin([headers(1, END_STREAM, &s.block("GET")), frame(UNKNOWN, NONE, 0, &[0; 8])])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.1/1", "DATA of stream 0", |s| {
        s.begin([data(0, END_STREAM, b"test")])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.1/2", "DATA of a stream that is not open", |s| {
        s.begin([headers(1, END, &s.block("POST")), data(1, END_STREAM, b"test")])?;
        s.stream_error(&[STREAM_CLOSED])
    }),
    Case("http2/6.1/3", "DATA with more padding than frame", |s| {
        s.begin([s.post(1), data(1, END_STREAM | PADDED, b"\x06test")])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.2/1", "HEADERS without END_HEADERS, then PRIORITY", |s| {
        s.begin([headers(1, NONE, &s.block("GET")), priority(1, 0, 255)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.2/2", "HEADERS without END_HEADERS, then of another stream", |s| {
        s.begin([headers(1, NONE, &s.block("GET")), s.get(3)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.2/3", "HEADERS of stream 0", |s| {
        s.begin([s.get(0)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.2/4", "HEADERS with more padding than frame", |s| {
        let block = s.block("GET");
        let padding = u8::try_from(block.len() + 1).expect("a short block");
        s.begin([headers(1, END | PADDED, &[&[padding], &*block].concat())])?;
        s.stream_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.3/1", "PRIORITY of stream 0", |s| {
        s.begin([priority(0, 0, 255)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.3/2", "PRIORITY of the wrong length", |s| {
        s.begin([s.get(1), frame(PRIORITY, NONE, 1, b"\x80\0\0\x01")])?;
        s.stream_error(&[FRAME_SIZE_ERROR])
    }),
    Case("http2/6.4/1", "RST_STREAM of stream 0", |s| {
        s.begin([rst_stream(0, CANCEL)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.4/2", "RST_STREAM of an idle stream", |s| {
        s.begin([rst_stream(1, CANCEL)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.4/3", "RST_STREAM of the wrong length", |s| {
        s.begin([s.get(1), frame(RST_STREAM, NONE, 1, &[0; 3])])?;
        s.stream_error(&[FRAME_SIZE_ERROR])
    }),
    Case("http2/6.5/1", "acknowledged SETTINGS with content", |s| {
        s.begin([frame(SETTINGS, ACK, 0, &[0])])?;
        s.connection_error(&[FRAME_SIZE_ERROR])
    }),
    Case("http2/6.5/2", "SETTINGS of a stream", |s| {
        s.begin([frame(SETTINGS, NONE, 1, b"\0\x03\0\0\0\x64")])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.5/3", "SETTINGS of the wrong length", |s| {
        s.begin([frame(SETTINGS, NONE, 0, b"\0\x03\0")])?;
        s.stream_error(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR])
    }),
    Case("http2/6.5.2/1", "ENABLE_PUSH neither 0 nor 1", |s| {
        s.begin([settings(&[(ENABLE_PUSH, 2)])])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.5.2/2", "INITIAL_WINDOW_SIZE above the maximum", |s| {
        s.begin([settings(&[(INITIAL_WINDOW_SIZE, MAX_WINDOW + 1)])])?;
        s.connection_error(&[FLOW_CONTROL_ERROR])
    }),
    Case("http2/6.5.2/3", "MAX_FRAME_SIZE below the minimum", |s| {
        s.begin([settings(&[(MAX_FRAME_SIZE, (1 << 14) - 1)])])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.5.2/4", "MAX_FRAME_SIZE above the maximum", |s| {
        s.begin([settings(&[(MAX_FRAME_SIZE, 1 << 24)])])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.5.2/5", "an unknown setting", |s| {
        s.begin([settings(&[(0xff, 1)]), ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("http2/6.5.3/1", "the last of several values holds", |s| {
        s.begin([settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)])])?;
        s.settings_acknowledged()?;
        ask(s);
        s.first_data(1, 1)
    }),
    Case("http2/6.5.3/2", "SETTINGS are acknowledged", |s| {
        s.begin([settings(&[(ENABLE_PUSH, 0)])])?;
        s.settings_acknowledged()
    }),
    Case("http2/6.7/1", "PING", |s| {
        s.begin([ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("http2/6.7/2", "an acknowledgement of no PING", |s| {
        s.begin([ping(ACK, [1; 8]), ping(NONE, OPAQUE)])?;
        s.pong()
    }),
    Case("http2/6.7/3", "PING of a stream", |s| {
        s.begin([frame(PING, NONE, 1, &[0; 8])])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.7/4", "PING of the wrong length", |s| {
        s.begin([frame(PING, NONE, 0, &[0; 6])])?;
        s.connection_error(&[FRAME_SIZE_ERROR])
    }),
    Case("http2/6.8/1", "GOAWAY of a stream", |s| {
        s.begin([frame(GOAWAY, NONE, 1, &[0; 8])])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.9/1", "WINDOW_UPDATE by 0 of the connection", |s| {
        s.begin([window_update(0, 0)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.9/2", "WINDOW_UPDATE by 0 of a stream", |s| {
        s.begin([s.post(1), window_update(1, 0)])?;
        s.stream_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.9/3", "WINDOW_UPDATE of the wrong length", |s| {
        s.begin([frame(WINDOW_UPDATE, NONE, 0, b"\0\0\x01")])?;
        s.connection_error(&[FRAME_SIZE_ERROR])
    }),
    Case("http2/6.9.1/1", "a window of 1 byte is kept", |s| {
        s.begin([settings(&[(INITIAL_WINDOW_SIZE, 1)])])?;
        s.settings_acknowledged()?;
        ask(s);
        s.first_data(1, 1)
    }),
    Case("http2/6.9.1/2", "the connection's window above the maximum", |s| {
        s.begin([window_update(0, MAX_WINDOW), window_update(0, MAX_WINDOW)])?;
        s.goaway(FLOW_CONTROL_ERROR)
    }),
    Case("http2/6.9.1/3", "a stream's window above the maximum", |s| {
        s.begin([s.post(1), window_update(1, MAX_WINDOW), window_update(1, MAX_WINDOW)])?;
        s.reset(1, FLOW_CONTROL_ERROR)
    }),
    Case("http2/6.9.2/1", "a window that grows by SETTINGS", |s| {
        s.begin([settings(&[(INITIAL_WINDOW_SIZE, 0)])])?;
        s.settings_acknowledged()?;
        ask(s);
        s.send(settings(&[(INITIAL_WINDOW_SIZE, 1)]));
        s.first_data(1, 1)
    }),
    Case("http2/6.9.2/2", "a window below zero", |s| {
        s.begin([settings(&[(INITIAL_WINDOW_SIZE, 3)])])?;
        s.settings_acknowledged()?;
        ask(s);
        s.first_data(1, 3)?;
        s.send(settings(&[(INITIAL_WINDOW_SIZE, 2)]));
        s.settings_acknowledged()?;
        s.send(window_update(1, 2));
        s.first_data(1, 1)
    }),
    Case("http2/6.9.2/3", "a window above the maximum by SETTINGS", |s| {
        s.begin([settings(&[(INITIAL_WINDOW_SIZE, MAX_WINDOW + 1)])])?;
        s.connection_error(&[FLOW_CONTROL_ERROR])
    }),
    Case("http2/6.10/1", "more than one CONTINUATION", |s| {
        s.begin([
            headers(1, END_STREAM, &s.block("GET")),
            continuation(1, NONE, &long()),
            continuation(1, END_HEADERS, &long()),
        ])?;
        s.answered(1)
    }),
    Case("http2/6.10/2", "CONTINUATION, then DATA", |s| {
        s.begin([
            headers(1, NONE, &s.block("POST")),
            continuation(1, NONE, &long()),
            data(1, END_STREAM, b"test"),
        ])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.10/3", "CONTINUATION of stream 0", |s| {
        s.begin([headers(1, END_STREAM, &s.block("GET")), continuation(0, END_HEADERS, &long())])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.10/4", "CONTINUATION after a whole HEADERS", |s| {
        s.begin([s.get(1), continuation(1, END_HEADERS, &long())])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.10/5", "CONTINUATION after the last CONTINUATION", |s| {
        s.begin([
            headers(1, END_STREAM, &s.block("GET")),
            continuation(1, END_HEADERS, &long()),
            continuation(1, END_HEADERS, &long()),
        ])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/6.10/6", "CONTINUATION after DATA", |s| {
        s.begin([s.post(1), data(1, NONE, b"test"), continuation(1, END_HEADERS, &long())])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
    Case("http2/7/1", "GOAWAY with an unknown code", |s| {
        s.begin([goaway(0xff), ping(NONE, OPAQUE)])?;
        s.pong_or_close()
    }),
    Case("http2/7/2", "RST_STREAM with an unknown code", |s| {
        s.begin([s.post(1), rst_stream(1, 0xff), ping(NONE, OPAQUE)])?;
        s.pong_or_close()
    }),
    Case("http2/8.1/1", "trailers without END_STREAM", |s| {
        s.begin([
            s.post(1),
            data(1, NONE, b"test"),
            headers(1, END_HEADERS, &literal("x-test", "ok")),
        ])?;
        s.malformed()
    }),
    Case("http2/8.1.2/1", "an upper-case name", |s| {
        s.begin([headers(1, END, &s.with("GET", "X-TEST", "ok"))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.1/1", "an unknown pseudo-header", |s| {
        let block = [literal(":test", "ok"), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.malformed()
    }),
    Case("http2/8.1.2.1/2", "the pseudo-header of a response", |s| {
        let block = [literal(":status", "200"), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.malformed()
    }),
    Case("http2/8.1.2.1/3", "a pseudo-header as a trailer", |s| {
        s.begin([
            s.post(1),
            data(1, NONE, b"test"),
            headers(1, END_HEADERS, &literal(":method", "POST")),
        ])?;
        s.malformed()
    }),
    Case("own/8.1/1", "a pseudo-header as a trailer, and nothing else wrong", |s| {
        s.begin([s.post(1), data(1, NONE, b"test"), headers(1, END, &literal(":method", "POST"))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.1/4", "a pseudo-header after a header", |s| {
        let block = [literal("x-test", "ok"), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.malformed()
    }),
    Case("http2/8.1.2.2/1", "a header of the connection", |s| {
        s.begin([headers(1, END, &s.with("GET", "connection", "keep-alive"))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.2/2", "TE other than trailers", |s| {
        s.begin([headers(1, END, &s.with("GET", "te", "trailers, deflate"))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.3/1", "an empty :path", |s| {
        s.begin([headers(1, END, &s.but("GET", ":path", Some("")))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.3/2", "no :method", |s| {
        s.begin([headers(1, END, &s.but("GET", ":method", None))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.3/3", "no :scheme", |s| {
        s.begin([headers(1, END, &s.but("GET", ":scheme", None))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.3/4", "no :path", |s| {
        s.begin([headers(1, END, &s.but("GET", ":path", None))])?;
        s.malformed()
    }),
    Case("http2/8.1.2.3/5", "two :method", |s| {
        let block = [literal(":method", "GET"), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.malformed()
    }),
    Case("http2/8.1.2.3/6", "two :scheme", |s| {
        let block = [literal(":scheme", "https"), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.malformed()
    }),
    Case("http2/8.1.2.3/7", "two :path", |s| {
        let block = [literal(":path", "/metrics"), s.block("GET")].concat();
        s.begin([headers(1, END, &block)])?;
        s.malformed()
    }),
    Case("http2/8.1.2.6/1", "Content-Length other than that of DATA", |s| {
        s.begin([
            headers(1, END_HEADERS, &s.with("POST", "content-length", "1")),
            data(1, END_STREAM, b"test"),
        ])?;
        s.malformed()
    }),
    Case("http2/8.1.2.6/2", "Content-Length other than that of all DATA", |s| {
        s.begin([
            headers(1, END_HEADERS, &s.with("POST", "content-length", "1")),
            data(1, NONE, b"test"),
            data(1, END_STREAM, b"test"),
        ])?;
        s.malformed()
    }),
    Case("http2/8.2/1", "PUSH_PROMISE", |s| {
        let promise = [&3_u32.to_be_bytes()[..], &s.block("GET")].concat();
        s.begin([frame(PUSH_PROMISE, END_HEADERS, 1, &promise)])?;
        s.connection_error(&[PROTOCOL_ERROR])
    }),
];

/// Send a GET once SETTINGS are in force.
fn ask(s: &mut Session) {
    let request = s.get(1);
    s.send(request);
}
