//! One connection of a case: what it sends, and what it has to see.

use std::fmt;
use std::time::Duration;

use super::Outcome;
use crate::hostile::frames::*;
use crate::support::http2::*;
use crate::support::wire::is_timeout;
use crate::support::*;

/// How long to look for what is known not to come.
const FORLORN: Duration = Duration::from_secs(1);

/// The index of `:status 400` in HPACK's static table.
const STATUS_400: u8 = 0x8c;

/// What a PING carries.
pub const OPAQUE: [u8; 8] = *b"a case  ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Let through to the exporter.
    Scraper,
    /// Answered by the guard: 401.
    Stranger,
}

pub struct Session {
    client: Client,
    who: Who,
    /// What the server has in its SETTINGS.
    settings: Vec<(u16, u32)>,
}

enum Event {
    Frame(Frame),
    Closed,
    Silence,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame) => write!(f, "{frame:?}"),
            Self::Closed => f.write_str("the end"),
            Self::Silence => f.write_str("silence"),
        }
    }
}

impl Session {
    pub fn connect(port: u16, who: Who, forlorn: bool) -> Self {
        let client = TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(port);
        assert_eq!(client.ssl().selected_alpn_protocol(), Some(&b"h2"[..]), "ALPN");
        if forlorn {
            client.set_read_timeout(FORLORN);
        }
        Self { client, who, settings: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.send(bytes);
    }

    /// Preface and SETTINGS of both sides, acknowledged by both, and then the first frames of the
    /// case in one write.
    pub fn begin<const N: usize>(&mut self, frames: [Vec<u8>; N]) -> Outcome {
        self.send([PREFACE, &settings(&[])].concat());
        self.server_preface()?;
        self.send(frame(SETTINGS, ACK, 0, b""));
        self.settings_acknowledged()?;
        self.send(frames.concat());
        Ok(())
    }

    /// As [`Self::begin`], with frames that need to know what the server allows.
    pub fn begin_with(&mut self, frames: impl FnOnce(&Self) -> Vec<u8>) -> Outcome {
        self.begin([])?;
        let bytes = frames(self);
        self.send(bytes);
        Ok(())
    }

    pub fn setting(&self, wanted: u16) -> Option<u32> {
        self.settings.iter().find(|(id, _)| *id == wanted).map(|(_, value)| *value)
    }

    pub fn max_frame_size(&self) -> usize {
        self.setting(setting::MAX_FRAME_SIZE).map_or(16_384, |size| size as usize)
    }

    /// What a request needs, and credentials.
    pub fn fields(&self, method: &'static str) -> Vec<(&'static str, String)> {
        let pseudo = [
            (":method", method),
            (":scheme", "https"),
            (":path", "/metrics"),
            (":authority", "localhost"),
        ];
        let mut fields: Vec<_> =
            pseudo.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        if self.who == Who::Scraper {
            fields.push(("authorization", basic(SCRAPER.0, SCRAPER.1)));
        }
        fields
    }

    /// The header block of a request, and one more field.
    pub fn with(&self, method: &'static str, name: &str, value: &str) -> Vec<u8> {
        [self.block(method), literal(name, value)].concat()
    }

    /// The header block of a request in which one field is as given, or not there.
    pub fn but(&self, method: &'static str, name: &str, value: Option<&str>) -> Vec<u8> {
        let fields = self.fields(method);
        block(fields.iter().filter_map(|(field, usual)| match *field == name {
            true => Some((*field, value?)),
            false => Some((*field, usual.as_str())),
        }))
    }

    pub fn block(&self, method: &'static str) -> Vec<u8> {
        block(self.fields(method).iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// The whole HEADERS frame of a GET.
    pub fn get(&self, stream: u32) -> Vec<u8> {
        headers(stream, END, &self.block("GET"))
    }

    /// The HEADERS frame of a POST with something to follow.
    pub fn post(&self, stream: u32) -> Vec<u8> {
        headers(stream, END_HEADERS, &self.block("POST"))
    }

    fn next(&mut self) -> Event {
        match Frame::read(&mut self.client) {
            Ok(frame) => Event::Frame(frame),
            Err(error) if is_timeout(&error) => Event::Silence,
            Err(_) => Event::Closed,
        }
    }

    /// Read until `judge` has a verdict.
    fn wait(&mut self, what: &str, judge: impl Fn(&Event) -> Option<bool>) -> Outcome {
        let mut seen = Vec::new();
        loop {
            let event = self.next();
            let verdict = judge(&event);
            let over = !matches!(event, Event::Frame(_));
            seen.push(event.to_string());
            match verdict {
                Some(true) => return Ok(()),
                None if !over => {}
                _ => return Err(format!("no {what} in {}", seen.join(", "))),
            }
        }
    }

    /// The first frame of this kind decides.
    fn first(&mut self, what: &str, kind: u8, good: impl Fn(&Frame) -> bool) -> Outcome {
        self.wait(what, |event| match event {
            Event::Frame(frame) if frame.kind == kind => Some(good(frame)),
            _ => None,
        })
    }

    /// RFC 9113 section 3.4: SETTINGS before anything else.
    pub fn server_preface(&mut self) -> Outcome {
        match self.next() {
            Event::Frame(Frame { kind: SETTINGS, flags: 0, stream: 0, payload }) => {
                self.settings = payload
                    .chunks_exact(6)
                    .map(|six| {
                        let id = u16::from_be_bytes([six[0], six[1]]);
                        (id, u32::from_be_bytes([six[2], six[3], six[4], six[5]]))
                    })
                    .collect();
                Ok(())
            }
            other => Err(format!("no SETTINGS first: {other}")),
        }
    }

    pub fn settings_acknowledged(&mut self) -> Outcome {
        self.first("SETTINGS acknowledged", SETTINGS, |frame| frame.flags & ACK != 0)
    }

    pub fn pong(&mut self) -> Outcome {
        self.first("PING acknowledged", PING, is_pong)
    }

    /// That the server is done, or has gone.
    pub fn pong_or_close(&mut self) -> Outcome {
        self.wait("PING acknowledged or end", |event| match event {
            Event::Frame(frame) if frame.kind == PING => Some(is_pong(frame)),
            Event::Closed => Some(true),
            _ => None,
        })
    }

    /// The response that is due, on this stream.
    pub fn answered(&mut self, stream: u32) -> Outcome {
        let admitted = self.who == Who::Scraper;
        self.first("response", HEADERS, |frame| {
            frame.stream == stream && (frame.payload[0] == STATUS_200) == admitted
        })
    }

    /// The end of the response.
    pub fn ended(&mut self, stream: u32) -> Outcome {
        self.wait("end of the stream", |event| match event {
            Event::Frame(frame) if frame.stream == stream => match frame.kind {
                DATA | HEADERS => (frame.flags & END_STREAM != 0).then_some(true),
                RST_STREAM => Some(error_code(frame) == Some(code::NO_ERROR)),
                _ => None,
            },
            _ => None,
        })
    }

    /// The first DATA has this many bytes.
    pub fn first_data(&mut self, stream: u32, length: usize) -> Outcome {
        let what = format!("DATA of {length} bytes");
        self.first(&what, DATA, |frame| frame.stream == stream && frame.payload.len() == length)
    }

    pub fn any_data(&mut self, stream: u32) -> Outcome {
        self.first("DATA", DATA, |frame| frame.stream == stream)
    }

    pub fn closed(&mut self) -> Outcome {
        self.wait("end", |event| matches!(event, Event::Closed).then_some(true))
    }

    pub fn goaway(&mut self, code: u32) -> Outcome {
        self.first("GOAWAY", GOAWAY, |frame| error_code(frame) == Some(code))
    }

    pub fn reset(&mut self, stream: u32, code: u32) -> Outcome {
        self.first("RST_STREAM", RST_STREAM, |frame| {
            frame.stream == stream && error_code(frame) == Some(code)
        })
    }

    /// RFC 9113 section 5.4.1, with one of these codes.
    pub fn connection_error(&mut self, codes: &[u32]) -> Outcome {
        self.error(codes, &[GOAWAY])
    }

    /// RFC 9113 section 5.4.2; any of them may be treated as one of the connection.
    pub fn stream_error(&mut self, codes: &[u32]) -> Outcome {
        self.error(codes, &[GOAWAY, RST_STREAM])
    }

    fn error(&mut self, codes: &[u32], kinds: &[u8]) -> Outcome {
        self.wait(&format!("error of {codes:?}"), |event| match event {
            Event::Frame(frame) if kinds.contains(&frame.kind) => {
                error_code(frame).is_some_and(|code| codes.contains(&code)).then_some(true)
            }
            Event::Frame(_) | Event::Silence => None,
            Event::Closed => Some(true),
        })
    }

    /// RFC 9113 section 8.1.1: a stream error, before which a server may say 400. The 401 that a
    /// client without credentials gets for anything does not count.
    pub fn malformed(&mut self) -> Outcome {
        self.wait("refusal as malformed", |event| match event {
            Event::Frame(frame) => match frame.kind {
                HEADERS => (frame.payload[0] == STATUS_400).then_some(true),
                GOAWAY | RST_STREAM => {
                    (error_code(frame) == Some(code::PROTOCOL_ERROR)).then_some(true)
                }
                _ => None,
            },
            Event::Silence => None,
            Event::Closed => Some(true),
        })
    }
}

fn is_pong(frame: &Frame) -> bool {
    frame.flags & ACK != 0 && frame.payload == OPAQUE
}

/// Of RST_STREAM or GOAWAY.
fn error_code(frame: &Frame) -> Option<u32> {
    let from = if frame.kind == GOAWAY { 4 } else { 0 };
    let code = frame.payload.get(from..from + 4)?;
    Some(u32::from_be_bytes(code.try_into().ok()?))
}
