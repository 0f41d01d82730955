//! Requests that only HTTP/2 can say, and the spellings of those that HTTP/1 refuses (RFC 9113
//! sections 8.1.1, 8.2 and 8.3.1, RFC 9110 section 8.6, RFC 3986).

use super::message::Message;
use super::targets::{authorities, fragments, paths, pseudo_headers};
use crate::hostile::smuggling_rows::NUMBER;

#[derive(Clone, Debug)]
pub enum Verdict {
    /// 400, or the stream or the connection ends; nothing whole reaches the exporter.
    Refused,
    /// With this target and body; without credentials 401.
    Forwarded(String, String),
    /// Malformed after a whole body, which has passed already: at most this reaches the exporter, and
    /// maybe after the end of the stream.
    Late(String, String),
}

#[derive(Clone, Debug)]
pub struct Row {
    pub family: &'static str,
    pub message: Message,
    pub verdict: Verdict,
}

/// The request of a row, and what is expected.
pub type Case = (Message, Verdict);

/// A family's name, and what makes its rows.
type Family = (&'static str, fn() -> Vec<Case>);

pub fn rows() -> Vec<Row> {
    let families: [Family; 9] = [
        ("Content-Length", lengths),
        ("Content-Length and DATA", lengths_of_data),
        (":path", paths),
        ("fragments", fragments),
        (":authority and Host", authorities),
        (":scheme and other pseudo-headers", pseudo_headers),
        ("fields of the connection", connection_fields),
        ("names and values", names_and_values),
        ("cookies", cookies),
    ];
    let rows = |(family, rows): Family| {
        rows().into_iter().map(move |(message, verdict)| Row { family, message, verdict })
    };
    families.into_iter().flat_map(rows).collect()
}

pub fn outer() -> String {
    format!("/outer-{NUMBER}")
}

pub fn forwarded(body: &str) -> Verdict {
    Verdict::Forwarded(outer(), body.to_owned())
}

/// Returns what is before the `#` of a target, if it has one; the number of a row is none.
pub fn without_fragment(target: &str) -> Option<String> {
    let marked = target.replace(NUMBER, "\0");
    marked.split_once('#').map(|(before, _)| before.replace('\0', NUMBER))
}

pub fn refused(message: Message) -> Case {
    (message, Verdict::Refused)
}

fn with_length(lengths: &[&str]) -> Message {
    lengths
        .iter()
        .fold(Message::post("hello"), |message, length| message.and("content-length", length))
}

fn lengths() -> Vec<Case> {
    let one = [
        "",
        " ",
        "05",
        "005",
        "0000000000000000005",
        "00000000000000000005",
        "+5",
        "-5",
        "5 ",
        " 5",
        "\t5",
        "5\t",
        "5,",
        ",5",
        "5,5",
        "5, 5",
        "5, 5, 5",
        "5;",
        "5.0",
        "0x5",
        "5h",
        "five",
        "5_",
        "\u{665}",
        "\u{ff15}",
        "5\u{a0}",
        "\"5\"",
        "18446744073709551621",
        "99999999999999999999",
    ];
    let many: [&[&str]; 8] = [
        &["5", "5"],
        &["5", "5", "5"],
        &["5", "05"],
        &["5", "6"],
        &["6", "5"],
        &["5", ""],
        &["", "5"],
        &["0", "5"],
    ];
    let one = one.into_iter().map(|length| refused(with_length(&[length])));
    let many = many.into_iter().map(|lengths| refused(with_length(lengths)));
    let apart =
        Message::post("hello").and("content-length", "5").and("x", "y").and("content-length", "5");
    let without_body = [&["00"][..], &["0", "0"], &["-0"], &["+0"], &[""], &["5"]]
        .into_iter()
        .flat_map(|lengths| ["GET", "POST", "HEAD", "DELETE"].map(|method| (lengths, method)))
        .map(|(lengths, method)| {
            let message = Message::get().set(":method", method);
            refused(lengths.iter().fold(message, |m, length| m.and("content-length", length)))
        });
    let right = ["GET", "POST", "PUT", "DELETE"]
        .map(|method| (with_length(&["5"]).set(":method", method), forwarded("hello")));
    let zero = (Message::get().and("content-length", "0"), forwarded(""));
    let all = one.chain(many).chain([refused(apart)]).chain(without_body);
    all.chain(right).chain([zero]).collect()
}

fn lengths_of_data() -> Vec<Case> {
    let late = || Verdict::Late(outer(), "hello".to_owned());
    let mut rows: Vec<Case> =
        ["1", "4", "6", "5000"].into_iter().map(|length| refused(with_length(&[length]))).collect();
    let hello = || with_length(&["5"]);
    let in_two = |first: &str, second: &str| {
        Message { pieces: Vec::new(), ..hello() }.piece(first).piece(second)
    };
    rows.extend([
        (in_two("he", "llo"), forwarded("hello")),
        (in_two("", "hello"), forwarded("hello")),
        (in_two("hello", ""), forwarded("hello")),
        refused(in_two("he", "ll")),
        refused(in_two("he", "llo!")),
        (in_two("hello", "!"), late()),
        (with_length(&["0"]), Verdict::Late(outer(), String::new())),
        (hello().trailer("x", "y"), forwarded("hello")),
        (hello().trailer("content-length", "0"), forwarded("hello")),
        (hello().trailer("host", "elsewhere"), forwarded("hello")),
        (hello().trailer("authorization", "Basic nobody"), forwarded("hello")),
        (hello().trailer("transfer-encoding", "chunked"), late()),
        (hello().trailer("connection", "close"), late()),
        (hello().trailer("X", "y"), late()),
        (Message::post("hello").trailer("content-length", "0"), forwarded("hello")),
        refused(with_length(&["6"]).trailer("x", "y")),
        (Message::post("hello").piece(""), forwarded("hello")),
        (Message::post("").piece("hello"), forwarded("hello")),
        (Message::post("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), {
            forwarded("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        }),
    ]);
    rows
}

/// RFC 9113 section 8.2.2.
fn connection_fields() -> Vec<Case> {
    let wrong = [
        ("connection", "close"),
        ("connection", "keep-alive"),
        ("connection", "content-length"),
        ("connection", ""),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("transfer-encoding", "trailers"),
        ("transfer-encoding", ""),
        ("upgrade", "h2c"),
        ("upgrade", "websocket"),
        ("te", "chunked"),
        ("te", "gzip"),
        ("te", ""),
        ("te", " trailers"),
        ("te", "trailers "),
        ("te", "Trailers"),
        ("te", "trailers, chunked"),
        ("te", "trailers,chunked"),
        ("te", "chunked, trailers"),
    ];
    let wrong = wrong.into_iter().flat_map(|(name, value)| {
        let post = Message::post("0\r\n\r\n");
        [Message::get(), post.clone(), post.and("content-length", "5")]
            .map(|message| refused(message.and(name, value)))
    });
    let right = [("te", "trailers"), ("http2-settings", "AAMAAABk"), ("trailer", "x")]
        .map(|(name, value)| (Message::get().and(name, value), forwarded("")));
    wrong.chain(right).collect()
}

fn names_and_values() -> Vec<Case> {
    let blanks = ["x", "accept", "cookie", "user-agent", "range", "x-y"].into_iter();
    let blanks = blanks.flat_map(|name| {
        [" y", "y ", "\ty", "y\t", " y ", " ", "\t"].map(|value| Message::get().and(name, value))
    });
    let values =
        ["\0", "a\0b", "\r", "a\r\nX: y", "a\nX: y", "\r\n\r\nGET /smuggled HTTP/1.1", "\u{7f}"]
            .map(|value| Message::get().and("x", value));
    let names = [
        "X",
        "Content-Length",
        "x y",
        "x ",
        " x",
        "x:",
        "x:y",
        "x\t",
        "x\r\ny",
        "x\0",
        "x\u{e9}",
        "(x)",
        "content-length ",
        "transfer-encoding:",
        "transfer-encoding ",
        "x\r\ntransfer-encoding",
    ]
    .map(|name| Message::get().and(name, "chunked"));
    let right = [("x", ""), ("x", "a  b"), ("x", "a\tb"), ("x-caf", "caf\u{e9}"), ("'x'", "y")]
        .map(|(name, value)| (Message::get().and(name, value), forwarded("")));
    blanks.chain(values).chain(names).map(refused).chain(right).collect()
}

/// RFC 9113 section 8.2.3: as many fields as the client likes, and one for HTTP/1.
fn cookies() -> Vec<Case> {
    let crumbs: [&[&str]; 6] = [
        &["a=1"],
        &["a=1", "b=2"],
        &["a=1", "b=2", "a=1"],
        &["a=1; b=2", "c=3"],
        &["", "a=1"],
        &["", ""],
    ];
    let all = |crumbs: &[&str]| {
        crumbs.iter().fold(Message::get(), |message, crumb| message.and("cookie", crumb))
    };
    let right = crumbs.map(|crumbs| (all(crumbs), forwarded("")));
    let apart = Message::get().and("cookie", "a=1").and("x", "y").and("cookie", "b=2");
    let wrong = [&["a=1", " b=2"][..], &["a=1 ", "b=2"], &["a=1", "b=2\r\nX: y"]]
        .map(|crumbs| refused(all(crumbs)));
    right.into_iter().chain([(apart, forwarded(""))]).chain(wrong).collect()
}
