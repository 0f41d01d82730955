//! One HTTP/2 request as it is sent, field by field, and what becomes of its stream.

use crate::hostile::frames::{data, headers};
use crate::hostile::smuggling_rows::NUMBER;
use crate::support::http2::*;
use crate::support::wire::is_timeout;
use crate::support::*;

/// Stands for `authorization`, when the request has credentials.
pub const LOGIN: &str = "outer-login";

/// The request of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// One DATA frame each; without any, the header block ends the stream.
    pub pieces: Vec<Vec<u8>>,
    /// Fields behind the body.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a stream ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered(u16),
    /// With this error code.
    Reset(u32),
    /// The connection ended.
    Closed,
}

impl Message {
    /// A valid GET to `/outer-…`.
    pub fn get() -> Self {
        let target = format!("/outer-{NUMBER}");
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", &target),
            (LOGIN, "?"),
        ];
        let fields = fields.map(|(name, value)| (name.into(), value.into())).into();
        Self { fields, pieces: Vec::new(), trailers: Vec::new() }
    }

    /// A valid POST with this body, of which nothing gives the length.
    pub fn post(body: &str) -> Self {
        Self::get().set(":method", "POST").piece(body)
    }

    /// The same, with another value in the place of a field.
    pub fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for field in self.fields.iter_mut().filter(|(field, _)| field == name.as_bytes()) {
            field.1 = value.as_ref().to_vec();
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| field != name.as_bytes());
        self
    }

    /// The same, with one more field.
    pub fn and(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// The same, with one more DATA frame.
    pub fn piece(mut self, piece: &str) -> Self {
        self.pieces.push(piece.into());
        self
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    /// The content of all DATA frames.
    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.pieces.concat()).into_owned()
    }

    /// Sends the request on a connection of its own, every text in it as `render` writes it.
    pub fn exchange(&self, port: u16, render: &dyn Fn(&[u8]) -> Vec<u8>, login: bool) -> Outcome {
        let mut connection = Http2::connect(port);
        connection.client().send(self.frames(render, login));
        loop {
            let frame = match connection.read_frame() {
                Ok(frame) => frame,
                Err(error) if is_timeout(&error) => panic!("no answer to {self:?}"),
                Err(_) => return Outcome::Closed,
            };
            match (frame.kind, frame.stream) {
                (HEADERS, 1) => match status(&frame.payload) {
                    Some(status) => return Outcome::Answered(status),
                    None => panic!("a status that is not decoded: {frame:?}"),
                },
                (RST_STREAM, 1) => {
                    let code = frame.payload[..4].try_into().expect("four bytes");
                    return Outcome::Reset(u32::from_be_bytes(code));
                }
                _ => {}
            }
        }
    }

    fn frames(&self, render: &dyn Fn(&[u8]) -> Vec<u8>, login: bool) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in &self.fields {
            block.extend(match (name == LOGIN.as_bytes(), login) {
                (true, true) => literal("authorization", &basic(SCRAPER.0, SCRAPER.1)),
                (true, false) => literal("x-outer", "nobody"),
                (false, _) => literal_bytes(name, &render(value)),
            });
        }
        let end = |is_last: bool| if is_last { END_STREAM } else { 0 };
        let has_trailers = !self.trailers.is_empty();
        let is_head_alone = self.pieces.is_empty() && !has_trailers;
        let mut frames = headers(1, END_HEADERS | end(is_head_alone), &block);
        for (index, piece) in self.pieces.iter().enumerate() {
            let is_last = index + 1 == self.pieces.len() && !has_trailers;
            frames.extend(data(1, end(is_last), &render(piece)));
        }
        if has_trailers {
            let block: Vec<u8> =
                self.trailers.iter().flat_map(|(name, value)| literal_bytes(name, value)).collect();
            frames.extend(headers(1, END_HEADERS | END_STREAM, &block));
        }
        frames
    }
}
