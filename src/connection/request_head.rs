//! The end of an HTTP/1 request head, and whether a body follows: enough to give the engine one
//! request at a time.
//!
//! The search errs on the safe side: a head that it does not understand is left to the engine's
//! parser, which then never gets bytes of a later request. A head that the engine would read in its
//! own way and forward is refused.

/// The state of a request head, judged by the bytes that have come so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// The end of the head has not come yet.
    Partial,
    /// The bytes begin with a whole head.
    Complete {
        /// The length of the head in bytes, with the empty line that ends it.
        len: usize,
        /// The framing of the body that follows.
        body: BodyFraming,
    },
    /// The head is one that another server may read in another way.
    Malformed,
}

/// The framing of a request's body (RFC 9112 section 6.3).
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum BodyFraming {
    /// The request has no body.
    None,
    /// `Content-Length` or `Transfer-Encoding`: the engine reads the bytes after the head.
    Framed,
}

/// Looks for the end of the head in `bytes`, the first `searched` of which are known to hold none.
pub fn find(bytes: &[u8], searched: usize) -> Head {
    // The end may begin in the bytes that were searched before.
    let from = searched.saturating_sub(3);
    match find_end(&bytes[from..]) {
        None => Head::Partial,
        Some(end) => {
            let len = from + end;
            match framing(&bytes[..len]) {
                Some(body) if has_request_line(&bytes[..len]) => Head::Complete { len, body },
                _ => Head::Malformed,
            }
        }
    }
}

/// Finds the position after the empty line. Lines end with CRLF or a bare LF; the engine accepts
/// both.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let mut line_feeds =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i);
    line_feeds.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Returns the framing; `None` for heads that smuggle requests (RFC 9112 section 6.1): with
/// `Content-Length` and `Transfer-Encoding`, with more than one of either, or with any transfer
/// coding but `chunked`. The engine would forward lists and repeated fields, and not every server
/// finds the same end of the body in them.
fn framing(head: &[u8]) -> Option<BodyFraming> {
    let mut framing = BodyFraming::None;
    for line in head.split(|byte| *byte == b'\n') {
        let length = field(line, b"content-length").map(is_length);
        let coding =
            field(line, b"transfer-encoding").map(|value| value.eq_ignore_ascii_case(b"chunked"));
        match length.or(coding) {
            None => {}
            Some(true) if framing == BodyFraming::None => framing = BodyFraming::Framed,
            Some(_) => return None,
        }
    }
    Some(framing)
}

/// Returns whether the value of a `Content-Length` is a plain number. RFC 9110 section 8.6 allows
/// leading zeros, which no client sends and which some programs read as octal.
pub fn is_length(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_digit) && (value == b"0" || !matches!(value, [] | [b'0', ..]))
}

/// Returns whether a byte may stand in a request target: visible ASCII (RFC 3986 section 2), and no
/// `#`, since a fragment is never sent (RFC 9110 section 7.1).
pub fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// Returns whether a target is in origin-form, or in asterisk-form with its method (RFC 9112 sections
/// 3.2.1 and 3.2.4).
pub fn is_path(target: &[u8], method: &str) -> bool {
    target.starts_with(b"/") || (target == b"*" && method == "OPTIONS")
}

/// Returns the value when the line is this field. White space before the colon counts as part of
/// the field here; the engine refuses it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let is_field = start.eq_ignore_ascii_case(name) && matches!(rest, [b':' | b' ' | b'\t', ..]);
    is_field.then(|| rest[1..].trim_ascii())
}

/// Returns whether the first line is three words with one space between (RFC 9112 section 3), the
/// second of them a target in one of its forms (section 3.2). The engine would escape characters
/// that do not belong there, and ask the exporter for something else.
fn has_request_line(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.iter().all(|byte| *byte == b' ' || is_target_byte(*byte)) {
        return false;
    }
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let is_absolute = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let is_target = std::str::from_utf8(method).is_ok_and(|method| is_path(target, method))
        || is_absolute(b"http://")
        || is_absolute(b"https://")
        // The engine refuses CONNECT, whatever its target.
        || method == b"CONNECT";
    !method.is_empty() && is_target && !version.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(len: usize, body: BodyFraming) -> Head {
        Head::Complete { len, body }
    }

    #[test]
    fn the_end_is_found_wherever_the_reads_were_cut() {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next";
        for searched in 0..=27 {
            assert_eq!(find(request, searched.min(26)), complete(27, BodyFraming::None));
        }
        for cut in 0..27 {
            assert_eq!(find(&request[..cut], 0), Head::Partial);
        }
        assert_eq!(find(b"GET / HTTP/1.1\nHost: a\n\n", 0), complete(24, BodyFraming::None));
    }

    #[test]
    fn a_body_has_one_framing_or_the_head_is_malformed() {
        let framing =
            |fields: &str| match find(format!("POST / HTTP/1.1\r\n{fields}\r\n").as_bytes(), 0) {
                Head::Complete { body, .. } => Some(body),
                Head::Malformed => None,
                Head::Partial => panic!("partial"),
            };
        assert_eq!(framing("Host: a\r\n"), Some(BodyFraming::None));
        assert_eq!(framing("Content-Length: 3\r\n"), Some(BodyFraming::Framed));
        assert_eq!(framing("TRANSFER-encoding:Chunked \r\n"), Some(BodyFraming::Framed));
        assert_eq!(framing("X-Content-Length: 3\r\n"), Some(BodyFraming::None));
        assert_eq!(framing("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), None);
        assert_eq!(framing("Content-Length: 3\r\nContent-Length: 3\r\n"), None);
        assert_eq!(framing("Content-Length: 3, 3\r\n"), None);
        assert_eq!(framing("Content-Length: 0\r\n"), Some(BodyFraming::Framed));
        assert_eq!(framing("Content-Length: 03\r\n"), None);
        assert_eq!(framing("Content-Length: 00\r\n"), None);
        assert_eq!(framing("Transfer-Encoding: x, chunked\r\n"), None);
        assert_eq!(framing("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), None);
    }

    #[test]
    fn a_request_line_has_three_words_and_a_valid_target() {
        let is_accepted = |line: &str| {
            find(format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), 0) != Head::Malformed
        };
        for line in ["GET /%C3%A9 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET HTTP://a/ HTTP/1.1"] {
            assert!(is_accepted(line), "{line}");
        }
        for line in [
            "",
            "GET /",
            "GET  / HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET /\r HTTP/1.1",
            "GET /#a HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET a HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "GET * HTTP/1.1",
        ] {
            assert!(!is_accepted(line), "{line}");
        }
    }
}
