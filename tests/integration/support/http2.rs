//! Just enough HTTP/2 (RFC 9113) to hold a connection open and ask again on it.

use std::io;

use super::wire::Client;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The index of `:status 200` in HPACK's static table, as a header block begins with it.
const STATUS_200: u8 = 0x88;

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
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

    /// Take nothing of any response (RFC 9113 section 6.9.2).
    pub fn no_window(&mut self) {
        const INITIAL_WINDOW_SIZE: [u8; 6] = [0, 4, 0, 0, 0, 0];
        self.client.send(frame(SETTINGS, 0, 0, &INITIAL_WINDOW_SIZE));
    }

    /// Take as much as there is.
    pub fn largest_window(&mut self) {
        self.client.send(frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
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
        let stream = self.next_stream;
        self.next_stream += 2;
        let flags = END_STREAM | END_HEADERS;
        self.client.send(frame(HEADERS, flags, stream, &header_block(path, more)));
        stream
    }

    #[track_caller]
    pub fn get(&mut self, path: &str, more: &[(&str, &str)]) -> Answer {
        let stream = self.send_get(path, more);
        self.answer(stream)
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
        let head = self.client.take(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = self.client.take(length as usize)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let read = Frame { kind: head[3], flags: head[4], stream, payload };
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

pub fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, b"")
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Literals without indexing and without Huffman coding (RFC 7541 section 6.2.2).
fn header_block(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo =
        [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    let mut block = Vec::new();
    for (name, value) in pseudo.iter().chain(more) {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|n| *n < 127).expect("a short text"));
            block.extend(text.bytes());
        }
    }
    block
}
