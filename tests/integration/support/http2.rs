//! Just enough HTTP/2 (RFC 9113) to hold a connection open and ask again on it, and the frames to
//! do worse with.

use std::io;

use super::tls::{H2_AND_HTTP1, TlsClient};
use super::wire::{Client, basic};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
/// Of HEADERS: that it begins with what a PRIORITY frame holds.
pub const WITH_PRIORITY: u8 = 0x20;

/// RFC 9113 section 6.5.2.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// The index of `:status 200` in HPACK's static table, as a header block begins with it.
pub const STATUS_200: u8 = 0x88;

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn read(client: &mut Client) -> io::Result<Self> {
        let head = client.take(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = client.take(length as usize)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Self { kind: head[3], flags: head[4], stream, payload })
    }
}

/// What a stream brought.
#[derive(Debug)]
pub struct Answer {
    /// Whether the status is 200; others are not decoded.
    pub ok: bool,
    pub body: Vec<u8>,
}

pub struct Http2 {
    client: Client,
    next_stream: u32,
}

impl Http2 {
    /// Take over a connection whose ALPN is h2.
    #[track_caller]
    pub fn begin(mut client: Client) -> Self {
        assert_eq!(client.ssl().selected_alpn_protocol(), Some(&b"h2"[..]), "ALPN");
        client.send(PREFACE);
        client.send(frame(SETTINGS, 0, 0, b""));
        Self { client, next_stream: 1 }
    }

    /// A new connection to a server with TLS.
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        Self::begin(TlsClient::new().alpn(H2_AND_HTTP1).connect(port))
    }

    /// Take nothing of any response (RFC 9113 section 6.9.2).
    pub fn no_window(&mut self) {
        self.client.send(settings(&[(INITIAL_WINDOW_SIZE, 0)]));
    }

    /// Take as much as there is.
    pub fn largest_window(&mut self) {
        self.client.send(settings(&[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]));
        self.client.send(frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    }

    pub fn into_client(self) -> Client {
        self.client
    }

    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Send a GET; more headers have lower-case names.
    pub fn send_get(&mut self, path: &str, more: &[(&str, &str)]) -> u32 {
        self.try_send_get(path, more).unwrap_or_else(|error| panic!("not sent: {error}"))
    }

    pub fn try_send_get(&mut self, path: &str, more: &[(&str, &str)]) -> io::Result<u32> {
        let stream = self.next_stream;
        self.next_stream += 2;
        let flags = END_STREAM | END_HEADERS;
        self.client.try_send(&frame(HEADERS, flags, stream, &header_block(path, more)))?;
        Ok(stream)
    }

    /// A GET with a body of these pieces, the last of which ends it.
    #[track_caller]
    pub fn get_with_body(&mut self, path: &str, more: &[(&str, &str)], pieces: &[&[u8]]) -> Answer {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.client.send(frame(HEADERS, END_HEADERS, stream, &header_block(path, more)));
        for (index, piece) in pieces.iter().enumerate() {
            let flags = if index + 1 == pieces.len() { END_STREAM } else { 0 };
            self.client.send(frame(DATA, flags, stream, piece));
        }
        self.answer(stream)
    }

    #[track_caller]
    pub fn get(&mut self, path: &str, more: &[(&str, &str)]) -> Answer {
        let stream = self.send_get(path, more);
        self.answer(stream)
    }

    #[track_caller]
    pub fn get_as(&mut self, (user, password): (&str, &str), path: &str) -> Answer {
        self.get(path, &[("authorization", &basic(user, password))])
    }

    #[track_caller]
    pub fn answer(&mut self, stream: u32) -> Answer {
        self.try_answer(stream).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    pub fn try_answer(&mut self, stream: u32) -> io::Result<Answer> {
        let mut answer = Answer { ok: false, body: Vec::new() };
        loop {
            let frame = self.read_frame()?;
            match (frame.kind, frame.stream == stream) {
                (HEADERS, true) => answer.ok |= frame.payload.first() == Some(&STATUS_200),
                (DATA, true) => {
                    self.widen(stream, frame.payload.len());
                    answer.body.extend(frame.payload);
                }
                (RST_STREAM, true) => return Err(io::Error::other("stream reset")),
                _ => continue,
            }
            if frame.flags & END_STREAM != 0 {
                return Ok(answer);
            }
        }
    }

    /// Give back the window that was used.
    fn widen(&mut self, stream: u32, bytes: usize) {
        if bytes > 0 {
            let increment = u32::try_from(bytes).expect("a frame is small").to_be_bytes();
            self.client.send(frame(WINDOW_UPDATE, 0, 0, &increment));
            self.client.send(frame(WINDOW_UPDATE, 0, stream, &increment));
        }
    }

    /// The next frame; settings and pings are answered on the way.
    pub fn read_frame(&mut self) -> io::Result<Frame> {
        let read = Frame::read(&mut self.client)?;
        match (read.kind, read.flags & ACK) {
            (SETTINGS, 0) => self.client.send(frame(SETTINGS, ACK, 0, b"")),
            (PING, 0) => self.client.send(frame(PING, ACK, 0, &read.payload)),
            _ => {}
        }
        Ok(read)
    }
}

/// The first part of a request whose header block never ends.
pub fn unfinished_headers() -> Vec<u8> {
    frame(HEADERS, END_STREAM, 1, &header_block("/metrics", &[]))
}

/// SETTINGS with these identifiers and values.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let value = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &values.iter().flat_map(value).collect::<Vec<u8>>())
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn header_block(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo =
        [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    block(pseudo.iter().chain(more).copied())
}

pub fn block<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    fields.into_iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// A literal without indexing and without Huffman coding (RFC 7541 section 6.2.2).
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    literal_bytes(name.as_bytes(), value.as_bytes())
}

/// The same of any bytes.
pub fn literal_bytes(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0], &*string_bytes(name), &*string_bytes(value)].concat()
}

/// RFC 7541 section 5.2, not Huffman-coded.
pub fn string(text: &str) -> Vec<u8> {
    string_bytes(text.as_bytes())
}

fn string_bytes(text: &[u8]) -> Vec<u8> {
    let mut bytes = integer(0, 7, text.len());
    bytes.extend(text);
    bytes
}

/// The status that the first header block of a connection begins with, if it is one of those that an
/// answer of the guard or of an exporter has: by its index in the static table, or as a literal with
/// Huffman-coded digits (RFC 7541 appendices A and B).
pub fn status(header_block: &[u8]) -> Option<u16> {
    match *header_block {
        [indexed @ 0x88..=0x8e, ..] => {
            Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)])
        }
        [0x48, length @ 0x82..=0x83, ref rest @ ..] => {
            three_digits(rest.get(..usize::from(length & 0x7f))?)
        }
        _ => None,
    }
}

/// Decodes 0 to 2, which have five bits, and 3 to 9, which have six.
fn three_digits(bytes: &[u8]) -> Option<u16> {
    let padded = [bytes, &[0xff; 4]].concat();
    let mut bits = u32::from_be_bytes([padded[0], padded[1], padded[2], padded[3]]);
    let mut number = 0;
    for _ in 0..3 {
        let (digit, length) = match (bits >> 27, bits >> 26) {
            (digit @ 0..=2, _) => (digit, 5),
            (_, six @ 0b01_1001..=0b01_1111) => (six - 0b01_1001 + 3, 6),
            _ => return None,
        };
        number = 10 * number + u16::try_from(digit).ok()?;
        bits <<= length;
    }
    Some(number)
}

/// RFC 7541 section 5.1: a number in the low bits of a byte that begins with `pattern`.
pub fn integer(pattern: u8, bits: u32, value: usize) -> Vec<u8> {
    let max = (1_usize << bits) - 1;
    let low = |value: usize| u8::try_from(value & 0xff).expect("one byte");
    if value < max {
        return vec![pattern | low(value)];
    }
    let mut bytes = vec![pattern | low(max)];
    let mut rest = value - max;
    while rest >= 128 {
        bytes.push(0x80 | low(rest & 0x7f));
        rest >>= 7;
    }
    bytes.push(low(rest));
    bytes
}
