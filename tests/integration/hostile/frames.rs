//! HTTP/2 frames (RFC 9113 section 6) as bytes, right or wrong.

use crate::support::http2::*;

/// RFC 9113 section 7.
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
}

/// RFC 9113 section 6.5.2.
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub use crate::support::http2::INITIAL_WINDOW_SIZE;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// Both ends of a request's HEADERS frame.
pub const END: u8 = END_STREAM | END_HEADERS;
/// What a frame without flags has.
pub const NONE: u8 = 0;

pub fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

pub fn continuation(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, flags, stream, block)
}

/// What a PRIORITY frame holds; the weight is one less than what it means.
pub fn dependency(on: u32, weight: u8) -> Vec<u8> {
    [&on.to_be_bytes()[..], &[weight]].concat()
}

pub fn priority(stream: u32, on: u32, weight: u8) -> Vec<u8> {
    frame(PRIORITY, NONE, stream, &dependency(on, weight))
}

pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, NONE, stream, &code.to_be_bytes())
}

pub fn ping(flags: u8, payload: [u8; 8]) -> Vec<u8> {
    frame(PING, flags, 0, &payload)
}

/// From a client that has seen no stream of the server's.
pub fn goaway(code: u32) -> Vec<u8> {
    frame(GOAWAY, NONE, 0, &[[0; 4], code.to_be_bytes()].concat())
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, NONE, stream, &increment.to_be_bytes())
}
