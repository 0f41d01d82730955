use exporter_guard::net::head::{self, BodyFraming, Head};

/// What a client sends: the end of the head is the same however the bytes arrive, and the engine
/// sees neither a later end nor a body that the gate does not know of.
pub fn request_head(sent: &[u8]) {
    let whole = head::find(sent, 0);
    for piece in [1, 2, 3, 5, 1 + sent.len() / 2] {
        assert_eq!(find_by_pieces(sent, piece), whole, "in pieces of {piece}");
    }
    let len = match whole {
        Head::Partial => {
            assert_eq!(first_empty_line(sent), None);
            None
        }
        Head::Complete { len, .. } => {
            assert_eq!(first_empty_line(sent), Some(len));
            Some(len)
        }
    };
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    // The gate drops empty lines before a request.
    let skipped = sent.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if skipped > 0 {
        return;
    }
    if let Ok(httparse::Status::Complete(end)) = request.parse(sent) {
        assert_eq!(len, Some(end), "the engine sees another end");
        let has = |name| request.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        let expected = match (has("content-length"), has("transfer-encoding")) {
            (false, false) => BodyFraming::None,
            (true, true) => BodyFraming::Ambiguous,
            _ => BodyFraming::Framed,
        };
        assert_eq!(whole, Head::Complete { len: end, body: expected });
    }
}

/// The head as the gate finds it when `piece` bytes arrive at a time.
fn find_by_pieces(sent: &[u8], piece: usize) -> Head {
    let mut searched = 0;
    while searched < sent.len() {
        let arrived = sent.len().min(searched + piece);
        match head::find(&sent[..arrived], searched) {
            Head::Partial => searched = arrived,
            complete => return complete,
        }
    }
    Head::Partial
}

/// Where the first empty line ends.
fn first_empty_line(sent: &[u8]) -> Option<usize> {
    (1..=sent.len()).find(|end| {
        let so_far = &sent[..*end];
        so_far.ends_with(b"\n\n") || so_far.ends_with(b"\n\r\n")
    })
}
