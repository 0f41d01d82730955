//! Where an HTTP/1 request head ends and whether a body follows: just enough to hand the engine
//! one request at a time. Errs on the safe side: what is not understood here is left to the
//! engine's parser, which then never sees bytes of a later request.

/// What the bytes so far hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// No end of the head yet.
    Partial,
    /// A head of this many bytes.
    Complete { len: usize, body: BodyFraming },
}

/// How the body of a request is framed (RFC 9112 section 6.3).
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum BodyFraming {
    None,
    /// Content-Length or Transfer-Encoding: the bytes after the head are the engine's to read.
    Framed,
    /// Both: the classic request-smuggling ambiguity, refused (RFC 9112 section 6.1).
    Ambiguous,
}

/// Look for the end of the head in `bytes`; `searched` bytes of it had none.
pub fn find(bytes: &[u8], searched: usize) -> Head {
    // The end may straddle what was searched before.
    let from = searched.saturating_sub(3);
    match end(&bytes[from..]) {
        None => Head::Partial,
        Some(end) => {
            let len = from + end;
            Head::Complete { len, body: framing(&bytes[..len]) }
        }
    }
}

/// Past the empty line, with CRLF or bare LF as line ends, both of which the engine takes.
fn end(bytes: &[u8]) -> Option<usize> {
    let mut line_feeds =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i);
    line_feeds.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn framing(head: &[u8]) -> BodyFraming {
    let mut length = false;
    let mut coding = false;
    for line in head.split(|byte| *byte == b'\n') {
        length |= is_field(line, b"content-length");
        coding |= is_field(line, b"transfer-encoding");
    }
    match (length, coding) {
        (false, false) => BodyFraming::None,
        (true, true) => BodyFraming::Ambiguous,
        _ => BodyFraming::Framed,
    }
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.split_at_checked(name.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(name) && matches!(rest, [b':' | b' ' | b'\t', ..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(len: usize, body: BodyFraming) -> Head {
        Head::Complete { len, body }
    }

    #[test]
    fn finds_the_end_wherever_the_reads_were_cut() {
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
    fn sees_how_the_body_is_framed() {
        let framing =
            |fields: &str| match find(format!("POST / HTTP/1.1\r\n{fields}\r\n").as_bytes(), 0) {
                Head::Complete { body, .. } => body,
                Head::Partial => panic!("partial"),
            };
        assert_eq!(framing("Host: a\r\n"), BodyFraming::None);
        assert_eq!(framing("Content-Length: 3\r\n"), BodyFraming::Framed);
        assert_eq!(framing("TRANSFER-encoding:chunked\r\n"), BodyFraming::Framed);
        assert_eq!(
            framing("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
            BodyFraming::Ambiguous
        );
        assert_eq!(framing("X-Content-Length: 3\r\n"), BodyFraming::None);
    }
}
