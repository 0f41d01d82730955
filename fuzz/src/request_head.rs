use exporter_guard::connection::request_head::{self, BodyFraming, Head};

/// Checks the bytes that a client sends: the end of the head is the same however the bytes arrive,
/// and the engine finds neither another end nor a body that the guard does not know of.
pub fn request_head(sent: &[u8]) {
    let whole = request_head::find(sent, 0);
    for piece in [1, 2, 3, 5, 1 + sent.len() / 2] {
        assert_eq!(find_by_pieces(sent, piece), whole, "in pieces of {piece}");
    }
    let end = first_empty_line(sent);
    match whole {
        Head::Partial => assert_eq!(end, None),
        Head::Complete { len, .. } => assert_eq!(end, Some(len)),
        // The engine does not get a malformed head.
        Head::Malformed => {
            assert_ne!(end, None);
            return;
        }
    }
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    // The client stream drops empty lines before a request.
    let skipped = sent.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if skipped > 0 {
        return;
    }
    if let Ok(httparse::Status::Complete(seen)) = request.parse(sent) {
        assert_eq!(Some(seen), end, "the engine sees another end");
        let is_framing = |name: &str| {
            ["content-length", "transfer-encoding"].iter().any(|f| name.eq_ignore_ascii_case(f))
        };
        let body = match request.headers.iter().filter(|field| is_framing(field.name)).count() {
            0 => BodyFraming::None,
            1 => BodyFraming::Framed,
            _ => panic!("framed more than once"),
        };
        assert_eq!(whole, Head::Complete { len: seen, body });
    }
}

/// Finds the head as the client stream does when `piece` bytes arrive at a time.
fn find_by_pieces(sent: &[u8], piece: usize) -> Head {
    let mut searched = 0;
    while searched < sent.len() {
        let arrived = sent.len().min(searched + piece);
        match request_head::find(&sent[..arrived], searched) {
            Head::Partial => searched = arrived,
            complete => return complete,
        }
    }
    Head::Partial
}

/// Returns the index of the byte after the first empty line.
fn first_empty_line(sent: &[u8]) -> Option<usize> {
    (1..=sent.len()).find(|end| {
        let so_far = &sent[..*end];
        so_far.ends_with(b"\n\n") || so_far.ends_with(b"\n\r\n")
    })
}
