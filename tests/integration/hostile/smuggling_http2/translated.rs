//! The rows of HTTP/1 as HTTP/2 requests: method, target, fields and body of the outer request. What
//! follows its head is its DATA, so that the inner request is in its body.

use super::message::Message;
use super::rows::{Verdict, without_fragment};
use crate::hostile::smuggling_rows::{Expected, Row};

/// Fields of the connection (RFC 9113 section 8.2.2), malformed whatever their values.
const CONNECTION_FIELDS: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Families that HTTP/2 has nothing like, with the reason.
pub const HTTP1_ALONE: &[(&str, &str)] = &[
    ("line ends", "fields are not lines"),
    ("chunk sizes", "DATA frames have their length, and no chunks"),
    ("chunk extensions", "DATA frames have their length, and no chunks"),
    ("chunk ends and trailers", "DATA frames have their length, and no chunks"),
    (
        "chunks that pingora takes although they are malformed",
        "DATA frames have their length, and no chunks",
    ),
    ("versions", "a request has no version, and ALPN has chosen one"),
    ("pipelining", "each request has a stream of its own"),
];

/// Why a row of another family has no form in HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsaid {
    /// The first line is not a method, a target and a version, with a blank between each.
    RequestLine,
    /// A line of the head has no colon, so that it is no field.
    FieldWithoutColon,
}

/// How the host of a row is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// The first `Host` as `:authority`, others as `host`.
    Authority,
    /// Each `Host` as `host`, without `:authority`.
    Host,
}

/// Returns the row as an HTTP/2 request.
pub fn translate(row: &Row, spelling: Spelling) -> Result<Message, Unsaid> {
    let (head, rest) = row.template.split_once("\r\n\r\n").ok_or(Unsaid::RequestLine)?;
    let mut lines = head.trim_start_matches(['\r', '\n']).split("\r\n");
    let line: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = line[..] else { return Err(Unsaid::RequestLine) };
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), line.split_once(':'), fields.last_mut()) {
            // A folded line is more of the value.
            (true, _, Some((_, value))) => *value += &format!("\r\n{line}"),
            (_, Some((name, value)), _) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                fields.push((name.to_ascii_lowercase(), value.to_owned()));
            }
            (_, None, _) => return Err(Unsaid::FieldWithoutColon),
        }
    }
    Ok(message(method, target, spelling, fields, rest))
}

fn message(
    method: &str,
    target: &str,
    spelling: Spelling,
    mut fields: Vec<(String, String)>,
    rest: &str,
) -> Message {
    let (scheme, in_target, path) = split(target);
    let mut authority = in_target.map(str::to_owned);
    if spelling == Spelling::Authority
        && authority.is_none()
        && let Some(at) = fields.iter().position(|(name, _)| name == "host")
    {
        authority = Some(fields.remove(at).1);
    }
    let mut message = Message { fields: Vec::new(), pieces: Vec::new(), trailers: Vec::new() }
        .and(":method", method)
        .and(":scheme", scheme)
        .and(":path", path);
    if let Some(authority) = authority {
        message = message.and(":authority", authority);
    }
    for (name, value) in fields {
        message = message.and(name, value);
    }
    if rest.is_empty() { message } else { message.piece(rest) }
}

/// Splits a target in absolute-form into scheme, authority and path.
fn split(target: &str) -> (&str, Option<&str>, &str) {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (scheme, Some(authority), path)
        }
        _ => ("https", None, target),
    }
}

/// Returns what HTTP/2 makes of a row: what HTTP/1 refuses is refused, and so are fields of the
/// connection, blanks around values, and a length other than that of the DATA.
pub fn verdict(row: &Row, message: &Message) -> Verdict {
    let values = |name: &str| -> Vec<&[u8]> {
        let matching = message.fields.iter().filter(|(field, _)| field == name.as_bytes());
        matching.map(|(_, value)| value.as_slice()).collect()
    };
    let is_refused_over_http1 =
        matches!(row.expected, Expected::BadRequest | Expected::Refused | Expected::OuterRefused);
    let target = String::from_utf8_lossy(values(":path")[0]).into_owned();
    if let Some(before) = without_fragment(&target) {
        return Verdict::Forwarded(before, message.body());
    }
    if row.family == "Host" && [values(":authority"), values("host")] == [[b"localhost"]; 2] {
        // RFC 9113 section 8.3.1: both may be there, if they are equal.
        return Verdict::Forwarded(target, message.body());
    }
    let length = message.body().len().to_string();
    let is_malformed = CONNECTION_FIELDS.iter().any(|name| !values(name).is_empty())
        || values("te").iter().any(|value| *value != b"trailers")
        || message.fields.iter().any(|(_, value)| value.trim_ascii() != value)
        || values("content-length").iter().any(|value| *value != length.as_bytes());
    if !is_refused_over_http1 && values("content-length") == [b"0"] && length != "0" {
        return Verdict::Late(target, String::new());
    }
    match is_refused_over_http1 || is_malformed {
        true => Verdict::Refused,
        false => Verdict::Forwarded(target, message.body()),
    }
}
