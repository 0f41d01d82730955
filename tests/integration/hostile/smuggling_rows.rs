//! What is sent, in families of spellings, and what RFC 9112 makes of it.
//!
//! Every row is a request to `/outer-…` with another, to `/smuggled-…`, in or behind it.

/// Stands for the number of the row, and is as long.
pub const NUMBER: &str = "####";

/// Stands for the credentials of the outer request, when it has any.
pub const OUTER_LOGIN: &str = "Outer-Login: ?";

/// The inner request has this or, when it has credentials, those in as many bytes.
pub const INNER_LOGIN: &str = "X-Credentials: Basic ????????????????????????????";

/// Whose a request is: one of the two has credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Outer,
    Inner,
}

/// One request that a valid row holds.
#[derive(Clone, Debug)]
pub struct Message {
    pub who: Who,
    pub target: String,
    pub body: String,
    /// By Content-Length or Transfer-Encoding.
    pub framed: bool,
}

#[derive(Clone, Debug)]
pub enum Expected {
    /// Exactly 400, once; nothing reaches the exporter.
    BadRequest,
    /// A 4xx, or closed without an answer; nothing whole reaches the exporter.
    Refused,
    /// A 4xx for the outer request, of which the end is clear: the inner one may be answered as
    /// what it is, a request of its own.
    OuterRefused,
    /// Malformed, but the engine's parser takes it. What it takes it for reaches the exporter in
    /// canonical form, and the inner request only as data or by its own right.
    Taken,
    /// These, in this order: 200 and forwarded with credentials, 401 without.
    Answered(Vec<Message>),
}

#[derive(Clone, Debug)]
pub struct Row {
    pub family: &'static str,
    pub template: String,
    pub expected: Expected,
}

/// The template of a row, and what is expected.
type Case = (String, Expected);

/// A family's name, and what makes its rows.
type Family = (&'static str, fn() -> Vec<Case>);

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// The smuggled request.
fn inner() -> String {
    format!("GET /smuggled-{NUMBER} HTTP/1.1\r\nHost: localhost\r\n{INNER_LOGIN}\r\n\r\n")
}

/// It, hidden behind what one side takes for the end of a chunked body.
fn inner_after_last_chunk() -> String {
    format!("0\r\n\r\n{}", inner())
}

/// It, as a chunked body.
fn inner_in_a_chunk() -> String {
    format!("{:x}\r\n{}\r\n0\r\n\r\n", inner().len(), inner())
}

fn length(body: &str) -> String {
    format!("Content-Length: {}\r\n", body.len())
}

fn request(method: &str, fields: &str, rest: &str) -> String {
    let line = format!("{method} /outer-{NUMBER} HTTP/1.1");
    format!("{line}\r\nHost: localhost\r\n{OUTER_LOGIN}\r\n{fields}\r\n{rest}")
}

fn post(fields: &str, rest: &str) -> String {
    request("POST", fields, rest)
}

/// A GET with another request line or Host, and the inner request behind it.
fn get(line: &str, host: &str) -> String {
    format!("{line}\r\n{host}{OUTER_LOGIN}\r\n\r\n{}", inner())
}

pub fn outer(body: &str) -> Message {
    let target = format!("/outer-{NUMBER}");
    Message { who: Who::Outer, target, body: body.to_owned(), framed: true }
}

fn outer_without_body() -> Message {
    Message { framed: false, ..outer("") }
}

pub fn smuggled() -> Message {
    let target = format!("/smuggled-{NUMBER}");
    Message { who: Who::Inner, target, body: String::new(), framed: false }
}

/// The outer request with this body, then the inner one as a request of its own.
fn outer_then_inner(body: &str) -> Expected {
    Expected::Answered(vec![outer(body), smuggled()])
}

/// The inner request is data.
fn inner_is_the_body() -> Expected {
    Expected::Answered(vec![outer(&inner())])
}

/// Neither request has a body.
fn one_after_the_other() -> Expected {
    Expected::Answered(vec![outer_without_body(), smuggled()])
}

pub fn rows() -> Vec<Row> {
    let families: [Family; 18] = [
        ("CL.TE and TE.CL", length_with_coding),
        ("CL with TE, misspelt", length_with_misspelt_coding),
        ("TE.TE", codings),
        ("TE spelling", coding_names),
        ("CL values", length_values),
        ("CL spelling", length_names),
        ("line ends", line_feeds),
        ("bare CR", carriage_returns),
        ("chunk sizes", chunk_sizes),
        ("chunk extensions", chunk_extensions),
        ("chunk ends and trailers", chunk_ends),
        ("chunks that pingora takes although they are malformed", chunks_taken_by_pingora),
        ("versions", versions),
        ("Upgrade and Connection", connection_options),
        ("obs-fold", folds),
        ("Host", hosts),
        ("request target", targets),
        ("pipelining", pipelines),
    ];
    let rows = |(family, rows): Family| {
        rows().into_iter().map(move |(template, expected)| Row { family, template, expected })
    };
    families.into_iter().flat_map(rows).collect()
}

/// RFC 9112 section 6.1: both fields at once are an attempt to smuggle, in whatever order.
fn length_with_coding() -> Vec<Case> {
    let codings = [
        CHUNKED,
        "transfer-encoding: chunked\r\n",
        "TRANSFER-ENCODING: CHUNKED\r\n",
        "Transfer-Encoding:chunked\r\n",
        "Transfer-Encoding:\tchunked\r\n",
        "Transfer-Encoding: chunked \r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    ];
    let body = inner_after_last_chunk();
    let lengths = [
        length(&body),
        "content-length:0\r\n".to_owned(),
        "Content-Length: 5\r\n".to_owned(),
        "CONTENT-LENGTH: 5\r\nContent-Length: 5\r\n".to_owned(),
        "Content-Length: five\r\n".to_owned(),
        "Content-Length:\r\n".to_owned(),
    ];
    let mut rows = Vec::new();
    for coding in codings {
        for length in &lengths {
            for fields in [format!("{length}{coding}"), format!("{coding}X: y\r\n{length}")] {
                rows.push((post(&fields, &body), Expected::BadRequest));
            }
        }
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let fields = format!("Content-Length: 5\r\n{CHUNKED}");
        rows.push((request(method, &fields, &body), Expected::BadRequest));
    }
    rows.push((
        post(&format!("{CHUNKED}Content-Length: 5\r\n{CHUNKED}"), &body),
        Expected::BadRequest,
    ));
    rows
}

/// Names that one server reads as Transfer-Encoding and another does not (RFC 9112 section 5.1).
fn misspelt(name: &str, value: &str) -> Vec<String> {
    let (start, end) = name.split_once('-').expect("a name of two words");
    [
        format!("{name} : {value}"),
        format!("{name}\t: {value}"),
        format!("{name}\u{b}: {value}"),
        format!("{name}\u{c}: {value}"),
        format!("{name}\0: {value}"),
        format!("{name}\r: {value}"),
        format!("{name}\u{a0}: {value}"),
        format!("{name};: {value}"),
        format!("{name} {value}"),
        format!("{name}={value}"),
        format!("\u{b}{name}: {value}"),
        format!("\0{name}: {value}"),
        format!("\r{name}: {value}"),
        format!("\u{feff}{name}: {value}"),
        format!("\"{name}\": {value}"),
        format!("({name}): {value}"),
        format!(":{name}: {value}"),
        format!("{start} {end}: {value}"),
        format!("{start}\r\n-{end}: {value}"),
        format!("{start}-\r\n {end}: {value}"),
        format!("X: y\r{name}: {value}"),
        format!("X: y\0{name}: {value}"),
        format!("{name}: \u{b}{value}"),
        format!("{name}: {value}\0"),
        format!("{name}: \0{value}"),
        format!("{name}: {value}\r\r"),
    ]
    .map(|line| format!("{line}\r\n"))
    .into()
}

fn length_with_misspelt_coding() -> Vec<Case> {
    let body = inner_after_last_chunk();
    let lines = misspelt("Transfer-Encoding", "chunked").into_iter();
    let fields = lines.map(|line| format!("{}{line}", length(&body)));
    fields.map(|fields| (post(&fields, &body), Expected::BadRequest)).collect()
}

/// The only coding of requests is one `chunked`; servers differ about every other value (RFC 9112
/// section 6.1; Go's server refuses them, too).
fn codings() -> Vec<Case> {
    let body = inner_after_last_chunk();
    let one = [
        "",
        "identity",
        "gzip",
        "chunk",
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked x",
        "c hunked",
        "chunked;q=1",
        "chunked; a=b",
        "\"chunked\"",
        "'chunked'",
        "chunked\u{a0}",
        "\u{a0}chunked",
        "chun\u{212a}ed",
        "chunked,",
        ",chunked",
        ", chunked",
        "chunked, identity",
        "chunked, gzip",
        "chunked, chunked",
        "identity, chunked",
        "gzip, chunked",
        "gzip,chunked",
        "deflate, gzip, chunked",
        "xchunked, chunked",
        "x\tchunked",
        "x,\tchunked",
    ];
    let two = [
        ("chunked", "chunked"),
        ("chunked", "identity"),
        ("identity", "chunked"),
        ("chunked", "xchunked"),
        ("xchunked", "chunked"),
        ("gzip", "chunked"),
        ("chunked", "gzip"),
        ("", "chunked"),
        ("chunked", ""),
    ];
    let single = one.iter().map(|value| format!("Transfer-Encoding: {value}\r\n"));
    let double = two.iter().flat_map(|(first, second)| {
        let first = format!("Transfer-Encoding: {first}\r\n");
        [
            format!("{first}Transfer-Encoding: {second}\r\n"),
            format!("{first}X: y\r\ntransfer-encoding: {second}\r\n"),
        ]
    });
    let wrong = single.chain(double).map(|fields| (post(&fields, &body), Expected::Refused));
    let valid = ["chunked", "CHUNKED", "Chunked", "chunkeD", " chunked", "\tchunked", "chunked \t"];
    let right = valid.iter().flat_map(|value| {
        ["Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING"].map(|name| {
            let fields = format!("{name}:{value}\r\n");
            (post(&fields, &format!("5\r\nhello\r\n{body}")), outer_then_inner("hello"))
        })
    });
    let hidden = ["POST", "GET", "DELETE", "OPTIONS"]
        .map(|method| (request(method, CHUNKED, &inner_in_a_chunk()), inner_is_the_body()));
    wrong.chain(right).chain(hidden).collect()
}

/// Fields that only look like a framing field are none, and mean nothing.
fn lookalikes(name: &str, value: &str) -> Vec<String> {
    let underscore = name.replace('-', "_");
    let dot = name.replace('-', ".");
    let joined = name.replace('-', "");
    [
        underscore,
        dot,
        joined,
        format!("X-{name}"),
        format!("{name}s"),
        format!("{name}-"),
        format!("'{name}'"),
    ]
    .map(|name| format!("{name}: {value}\r\n"))
    .into()
}

fn coding_names() -> Vec<Case> {
    let misspelt = misspelt("Transfer-Encoding", "chunked").into_iter();
    let wrong = misspelt.flat_map(|line| {
        [inner_after_last_chunk(), inner()].map(|rest| (post(&line, &rest), Expected::Refused))
    });
    let lookalikes = lookalikes("Transfer-Encoding", "chunked").into_iter();
    let right = lookalikes.flat_map(|line| {
        let with_length = format!("{line}{}", length(&inner()));
        [
            (post(&line, &inner()), one_after_the_other()),
            (post(&with_length, &inner()), inner_is_the_body()),
        ]
    });
    wrong.chain(right).collect()
}

/// RFC 9112 section 6.3: anything but digits, or a second opinion, is an error.
fn length_values() -> Vec<Case> {
    let body = inner();
    let n = body.len();
    let wrong = [
        String::new(),
        "-1".to_owned(),
        "-0".to_owned(),
        format!("-{n}"),
        format!("+{n}"),
        format!("{n}.0"),
        format!("{n};"),
        format!("{n},"),
        format!(",{n}"),
        format!("{n} 0"),
        format!("0 {n}"),
        format!("{n}\u{b}"),
        format!("{n}\u{a0}"),
        format!("\"{n}\""),
        format!("0x{n:x}"),
        format!("{n:x}h"),
        format!("{n}, {n}"),
        format!("{n}\r\nContent-Length: {n}"),
        format!("{n}\r\nX: y\r\ncontent-length: {n}"),
        format!("{n}, 0"),
        format!("0, {n}"),
        format!("{n}, {n}, 0"),
        format!("{n}, +{n}"),
        format!("{n}\r\nContent-Length: 0"),
        format!("0\r\nContent-Length: {n}"),
        format!("{n}\r\ncontent-length: {n}1"),
        format!("{n}\r\nX: y\r\nCONTENT-LENGTH: 0"),
        format!("{n}\r\nContent-Length:"),
        format!("{n}\r\nContent-Length: -{n}"),
        "1e2".to_owned(),
        "five".to_owned(),
        "1_0".to_owned(),
        "\u{661}\u{662}".to_owned(),
        "18446744073709551615".to_owned(),
        "18446744073709551616".to_owned(),
        "99999999999999999999999999".to_owned(),
        // Never complete.
        format!("{}", n + 1),
        // Octal to some.
        format!("0{n}"),
        format!("000{n}"),
        "00".to_owned(),
    ];
    let wrong = wrong
        .map(|value| (post(&format!("Content-Length: {value}\r\n"), &body), Expected::Refused));
    let right = [format!("{n}"), format!("\t{n}"), format!("{n} \t")];
    let right = right
        .map(|value| (post(&format!("Content-Length:{value}\r\n"), &body), inner_is_the_body()));
    let methods = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]
        .map(|method| (request(method, &length(&body), &body), inner_is_the_body()));
    let none = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]
        .map(|method| (request(method, "", &body), one_after_the_other()));
    let zero = (post("Content-Length: 0\r\n", &body), outer_then_inner(""));
    let expect =
        (post(&format!("Expect: 100-continue\r\n{}", length(&body)), &body), inner_is_the_body());
    wrong.into_iter().chain(right).chain(methods).chain(none).chain([zero, expect]).collect()
}

fn length_names() -> Vec<Case> {
    let body = inner();
    let misspelt = misspelt("Content-Length", &body.len().to_string()).into_iter();
    let wrong = misspelt.map(|line| (post(&line, &body), Expected::Refused));
    let lookalikes = lookalikes("Content-Length", &body.len().to_string()).into_iter();
    let right = lookalikes.map(|line| (post(&line, &body), one_after_the_other()));
    wrong.chain(right).collect()
}

/// RFC 9112 section 2.2: a line may end in LF alone. Each line in turn does, and all of them.
fn line_feeds() -> Vec<Case> {
    let chunks = format!("5\r\nhello\r\n{}", inner_after_last_chunk());
    let framings = [
        (String::new(), inner(), one_after_the_other()),
        (length(&inner()), inner(), inner_is_the_body()),
        (CHUNKED.to_owned(), chunks.clone(), outer_then_inner("hello")),
        (format!("{CHUNKED}Content-Length: 5\r\n"), chunks, Expected::BadRequest),
    ];
    let mut rows = Vec::new();
    for (fields, rest, expected) in framings {
        let head = post(&format!("X: y\r\n{fields}"), "");
        let lines: Vec<&str> = head.split_terminator("\r\n").collect();
        // One bit for each line.
        let masks = (0..lines.len()).map(|at| 1 << at).chain([(1 << lines.len()) - 1, 0b101_011]);
        for mask in masks {
            let ends = |at: usize| if mask & (1 << at) == 0 { "\r\n" } else { "\n" };
            let head: String =
                lines.iter().enumerate().map(|(at, line)| format!("{line}{}", ends(at))).collect();
            rows.push((format!("{head}{rest}"), expected.clone()));
        }
    }
    rows
}

/// RFC 9112 section 2.2: a CR without its LF is invalid.
fn carriage_returns() -> Vec<Case> {
    let line = format!("GET /outer-{NUMBER} HTTP/1.1");
    let smuggled = format!("GET /smuggled-{NUMBER} HTTP/1.1");
    let body = inner();
    [
        get(&format!("{line}\r"), "Host: localhost\r\n"),
        get(&format!("\r{line}"), "Host: localhost\r\n"),
        get(&format!("GET\r/outer-{NUMBER} HTTP/1.1"), "Host: localhost\r\n"),
        get(&format!("GET /outer-{NUMBER}\rHTTP/1.1"), "Host: localhost\r\n"),
        get(&format!("GET /outer-{NUMBER}\r HTTP/1.1"), "Host: localhost\r\n"),
        get(&line, "Host: localhost\r"),
        get(&line, "Host: local\rhost\r\n"),
        get(&line, "Host: localhost\r\nX\r: y\r\n"),
        get(&line, "Host: localhost\r\nX: \ry\r\n"),
        get(&line, "Host: localhost\r\nX: y\r\r\n"),
        get(&line, "Host: localhost\r\n\rX: y\r\n"),
        get(&line, "Host: localhost\r\n\r\r\n"),
        get(&line, &format!("Host: localhost\r\nX: y\r\r{smuggled}\r\rHost: a\r\r\r\n")),
        get(&line.replace("1.1", &format!("1.1\rHost: a\r\r{smuggled}")), "Host: localhost\r\n"),
        post(&format!("Content-Length: {}\r", body.len()), &body),
    ]
    .map(|template| (template, Expected::Refused))
    .into()
}

/// RFC 9112 section 7.1: hexadecimal digits and nothing else.
fn chunk_sizes() -> Vec<Case> {
    let wrong = [
        "+5",
        "-5",
        "0x5",
        "0X5",
        "5h",
        "g",
        "five",
        "5.0",
        "5_",
        "5,",
        "5 5",
        " 5",
        "\t5",
        "\u{b}5",
        "5\u{b}",
        "5\0",
        "\u{0}5",
        "\u{a0}5",
        "5\r",
        "\r5",
        "10000000000000005",
        "FFFFFFFFFFFFFFFF",
        "FFFFFFFFFFFFFFFFF",
        "8000000000000000",
        "-0",
        "+0",
    ]
    .map(|size| {
        let chunks = format!("{size}\r\nhello\r\n{}", inner_after_last_chunk());
        (post(CHUNKED, &chunks), Expected::Refused)
    });
    let right = ["5", "05", "0000000005"].map(|size| {
        let chunks = format!("{size}\r\nhello\r\n{}", inner_after_last_chunk());
        (post(&format!("X: {size}\r\n{CHUNKED}"), &chunks), outer_then_inner("hello"))
    });
    let last = ["0", "00", "0000000000"].map(|zero| {
        let chunks = format!("5\r\nhello\r\n{zero}\r\n\r\n{}", inner());
        (post(&format!("X: last {zero}\r\n{CHUNKED}"), &chunks), outer_then_inner("hello"))
    });
    let upper = format!("{:X}\r\n{}\r\n0\r\n\r\n", inner().len(), inner());
    let upper = (post(&format!("X: upper\r\n{CHUNKED}"), &upper), inner_is_the_body());
    wrong.into_iter().chain(right).chain(last).chain([upper]).collect()
}

/// RFC 9112 section 7.1.1: extensions are ignored, but they end where the line does.
fn chunk_extensions() -> Vec<Case> {
    let row = |extension: &str, expected: Expected| {
        let first = format!("5{extension}\r\nhello\r\n{}", inner_after_last_chunk());
        let last = format!("5\r\nhello\r\n0{extension}\r\n\r\n{}", inner());
        [(post(CHUNKED, &first), expected.clone()), (post(CHUNKED, &last), expected)]
    };
    let right = [";a", ";a=b", ";a=\"b\"", ";a=b;c=d", ";a=\"b;c\"", " ;a", ";a=0", ";0", ";a=5 "]
        .into_iter()
        .flat_map(|extension| row(extension, outer_then_inner("hello")));
    let wrong = [";a\rb", ";\r", ";a=\"\r\"", "a", " a", "=a", "\u{b};a", "\0;a", "\n"]
        .into_iter()
        .flat_map(|extension| row(extension, Expected::Refused));
    right.chain(wrong).collect()
}

/// RFC 9112 sections 7.1 and 7.1.2.
fn chunk_ends() -> Vec<Case> {
    let wrong = [
        // The data does not end where the size says.
        "5\r\nhello",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello\n\r0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "7\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\rhello\r0\r\r",
        // The body does not end.
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\r\n",
        "5\r\nhello\r\n0\r\n\r",
    ]
    .map(|chunks| (post(CHUNKED, &format!("{chunks}{}", inner())), Expected::Refused));
    let right = [
        "X: y\r\n",
        "X: y\r\nZ:\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Host: elsewhere\r\n",
        "Authorization: Basic nobody\r\n",
        "Connection: close\r\n",
        "Trailer: X\r\n",
    ]
    .map(|trailers| {
        let chunks = format!("5\r\nhello\r\n0\r\n{trailers}\r\n{}", inner());
        (post(CHUNKED, &chunks), outer_then_inner("hello"))
    });
    wrong.into_iter().chain(right).collect()
}

/// RFC 9112 sections 7.1 and 7.1.1 forbid these: a chunk without a size, which httparse takes for
/// the last, and a bare LF in an extension, which it skips like any other byte. What reaches the
/// exporter is framed anew.
fn chunks_taken_by_pingora() -> Vec<Case> {
    let request = format!(";a\n{}", inner());
    let extensions =
        [";\n", ";a\n", ";a\nb", ";a=\"\n\"", ";a\n5\r\nhello\r\n0\r\n", ";a\n0\n\n", &request];
    let extended = extensions.into_iter().flat_map(|extension| {
        [
            format!("5{extension}\r\nhello\r\n{}", inner_after_last_chunk()),
            format!("5\r\nhello\r\n0{extension}\r\n\r\n{}", inner()),
        ]
    });
    let without_size = ["", " ", ";a", "\r\n5"].into_iter().flat_map(|size| {
        [
            format!("{size}\r\nhello\r\n{}", inner_after_last_chunk()),
            format!("5\r\nhello\r\n{size}\r\n{}", inner()),
        ]
    });
    extended.chain(without_size).map(|chunks| (post(CHUNKED, &chunks), Expected::Taken)).collect()
}

/// RFC 9112 section 6.1: HTTP/1.0 has no Transfer-Encoding. Section 2.3: two digits and a dot.
fn versions() -> Vec<Case> {
    let old = |template: String| template.replacen("HTTP/1.1", "HTTP/1.0", 1);
    let body = inner();
    let mut rows = Vec::new();
    for coding in ["chunked", "Chunked", "identity", "gzip, chunked", "xchunked", ""] {
        for more in ["", "Connection: keep-alive\r\n", "Connection: Transfer-Encoding\r\n"] {
            let fields = format!("Transfer-Encoding: {coding}\r\n{more}");
            rows.push((old(post(&fields, &inner_after_last_chunk())), Expected::Refused));
        }
        let fields = format!("Transfer-Encoding: {coding}\r\nContent-Length: 5\r\n");
        rows.push((old(post(&fields, &inner_after_last_chunk())), Expected::BadRequest));
    }
    // The connection ends with the answer.
    rows.push((old(post(&length(&body), &body)), inner_is_the_body()));
    rows.push((old(post("", &body)), Expected::Answered(vec![outer_without_body()])));
    rows.push((old(request("GET", "", &body)), Expected::Answered(vec![outer_without_body()])));
    for version in [
        "",
        " ",
        " HTTP",
        " HTTP/",
        " HTTP/0.9",
        " HTTP/1",
        " HTTP/1.",
        " HTTP/1.11",
        " HTTP/01.1",
        " HTTP/1.1x",
        " HTTP/1,1",
        " HTTP/2.0",
        " HTTP/2",
        " HTTP/9.9",
        " http/1.1",
        " HTTQ/1.1",
        " HTTP /1.1",
        " HTTP/ 1.1",
        " HTTP/1. 1",
        " HTTP/-1.1",
        " HTTP/\u{b2}.1",
        "HTTP/1.1",
    ] {
        let line = format!("GET /outer-{NUMBER}{version}");
        rows.push((get(&line, "Host: localhost\r\n"), Expected::Refused));
    }
    // The preface of HTTP/2 (RFC 9113 section 3.4), which is not spoken without TLS.
    let preface = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{body}");
    rows.push((preface, Expected::Refused));
    rows
}

/// RFC 9110 sections 7.6.1 and 7.8: what is named in Connection ends at the guard, but the framing
/// of a message is not the client's to take away.
fn connection_options() -> Vec<Case> {
    let body = inner();
    let upgrades = [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: HTTP/2.0, SHTTP/1.3\r\n",
        "Upgrade: websocket\r\n",
        "Upgrade: h2c\r\n",
        "Connection: Upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade:\r\n",
    ];
    let options = [
        "Connection: Content-Length\r\n",
        "Connection: Transfer-Encoding\r\n",
        "Connection: keep-alive, content-length, transfer-encoding\r\n",
        "Connection: Authorization\r\n",
        "Keep-Alive: timeout=5\r\n",
        "Proxy-Connection: keep-alive\r\n",
        "TE: trailers, chunked\r\nConnection: TE\r\n",
        "Trailer: Content-Length\r\n",
    ];
    let mut rows = Vec::new();
    for fields in upgrades.into_iter().chain(options) {
        let without_length = format!("{fields}{CHUNKED}");
        rows.push((request("GET", fields, &body), one_after_the_other()));
        rows.push((post(&format!("{fields}{}", length(&body)), &body), inner_is_the_body()));
        rows.push((post(&without_length, &inner_in_a_chunk()), inner_is_the_body()));
        let chunks = format!("5\r\nhello\r\n{}", inner_after_last_chunk());
        rows.push((post(&without_length, &chunks), outer_then_inner("hello")));
        let both = format!("{fields}{CHUNKED}Content-Length: 5\r\n");
        rows.push((post(&both, &chunks), Expected::BadRequest));
    }
    for target in ["localhost:9100", "/outer-####", "http://localhost/outer-####", "*"] {
        let line = format!("CONNECT {target} HTTP/1.1");
        rows.push((get(&line, "Host: localhost\r\n"), Expected::Refused));
        let with_length = format!("Host: localhost\r\n{}", length(&body));
        rows.push((get(&line, &with_length), Expected::Refused));
    }
    // Fields for everybody are not the connection's.
    for option in ["Host", "host, close", "X-Forwarded-For", "Content-Length;", "Content Length"] {
        let fields = format!("Connection: {option}\r\n{}", length(&body));
        rows.push((post(&fields, &body), Expected::OuterRefused));
        let fields = format!("Connection: {option}\r\n{CHUNKED}");
        rows.push((post(&fields, &inner_in_a_chunk()), Expected::OuterRefused));
    }
    // Nothing comes after it.
    let close = Expected::Answered(vec![outer_without_body()]);
    rows.push((request("GET", "Connection: close\r\n", &body), close));
    rows
}

/// RFC 9112 section 5.2: a server refuses folded lines.
fn folds() -> Vec<Case> {
    let body = inner();
    let n = body.len();
    let mut rows = Vec::new();
    for end in ["\r\n", "\n"] {
        for space in [" ", "\t", "  ", " \t"] {
            for fields in [
                format!("X: y{end}{space}z\r\n"),
                format!("X:{end}{space}z\r\n"),
                format!("X: y{end}{space}Content-Length: {n}\r\n"),
                format!("X: y{end}{space}Transfer-Encoding: chunked\r\n"),
                format!("Content-Length:{end}{space}{n}\r\n"),
                format!("Content-Length: {n}{end}{space}\r\n"),
                format!("Content-Length: 1{end}{space}{n}\r\n"),
                format!("Transfer-Encoding:{end}{space}chunked\r\n"),
                format!("Transfer-Encoding: chunked{end}{space}, identity\r\n"),
                format!("Transfer-Encoding: identity,{end}{space}chunked\r\n"),
            ] {
                rows.push((post(&fields, &body), Expected::Refused));
            }
            let line = format!("GET /outer-{NUMBER} HTTP/1.1{end}{space}X: y");
            rows.push((get(&line, "Host: localhost\r\n"), Expected::Refused));
            rows.push((
                get(
                    &format!("GET /outer-{NUMBER} HTTP/1.1"),
                    &format!("Host:{end}{space}localhost\r\n"),
                ),
                Expected::Refused,
            ));
            let fields =
                format!("Content-Length: {n}\r\nTransfer-Encoding:{end}{space}chunked\r\n");
            rows.push((post(&fields, &body), Expected::BadRequest));
        }
    }
    rows
}

/// RFC 9112 section 3.2: one valid Host.
fn hosts() -> Vec<Case> {
    let line = format!("GET /outer-{NUMBER} HTTP/1.1");
    [
        "",
        "X: y\r\n",
        "Host localhost\r\n",
        "Host : localhost\r\n",
        "Host\t: localhost\r\n",
        " Host: localhost\r\n",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: elsewhere\r\n",
        "Host: localhost\r\nhost: elsewhere\r\n",
        "HOST: localhost\r\nX: y\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost:\r\n",
        "Host:\r\nHost: localhost\r\n",
        "Host: localhost\r\n Host: elsewhere\r\n",
        "Host: localhost, elsewhere\r\n",
        "Host: localhost elsewhere\r\n",
        "Host: localhost\telsewhere\r\n",
        "Host: localhost/smuggled\r\n",
        "Host: localhost?smuggled\r\n",
        "Host: localhost#smuggled\r\n",
        "Host: user@localhost\r\n",
        "Host: http://localhost\r\n",
        "Host: localhost:port\r\n",
        "Host: localhost:80:80\r\n",
        "Host: localhost:-1\r\n",
        "Host: [::1\r\n",
        "Host: ::1]\r\n",
        "Host: local\0host\r\n",
        "Host: local\\host\r\n",
        "Host: <localhost>\r\n",
    ]
    .into_iter()
    .map(|host| (get(&line, host), Expected::OuterRefused))
    .collect()
}

/// RFC 9112 sections 3 and 3.2: who splits the request line otherwise asks for something else.
fn targets() -> Vec<Case> {
    let host = "Host: localhost\r\n";
    let outer = format!("/outer-{NUMBER}");
    let wrong = [
        format!("GET http://elsewhere{outer} HTTP/1.1"),
        format!("GET http://localhost@elsewhere{outer} HTTP/1.1"),
        format!("GET http://user:password@localhost{outer} HTTP/1.1"),
        format!("GET http://{outer} HTTP/1.1"),
        format!("GET http:{outer} HTTP/1.1"),
        format!("GET http:\\\\localhost{outer} HTTP/1.1"),
        format!("GET http://localhost:99999{outer} HTTP/1.1"),
        format!("GET http://localhost:x{outer} HTTP/1.1"),
        format!("GET http://localhost http://elsewhere{outer} HTTP/1.1"),
        format!("GET outer-{NUMBER} HTTP/1.1"),
        format!("GET ?outer-{NUMBER} HTTP/1.1"),
        format!("GET \\outer-{NUMBER} HTTP/1.1"),
        format!("GET ftp://localhost{outer} HTTP/1.1"),
        format!("GET {outer}#/smuggled-{NUMBER} HTTP/1.1"),
        "GET * HTTP/1.1".to_owned(),
        "GET localhost:9100 HTTP/1.1".to_owned(),
        format!("GET {outer} /smuggled-{NUMBER} HTTP/1.1"),
        format!("GET {outer} HTTP/1.1 HTTP/1.1"),
        format!("GET  {outer} HTTP/1.1"),
        format!("GET {outer}  HTTP/1.1"),
        format!("GET\t{outer} HTTP/1.1"),
        format!("GET {outer}\tHTTP/1.1"),
        format!("GET\u{b}{outer} HTTP/1.1"),
        format!("GET {outer}\0 HTTP/1.1"),
        format!("GET {outer}\u{7f} HTTP/1.1"),
        format!("GET {outer}\u{e9} HTTP/1.1"),
        format!("GET {outer}?\u{e9} HTTP/1.1"),
        format!("GET \u{ff0f}{outer} HTTP/1.1"),
        format!("GET http://localhost{outer}\u{e9} HTTP/1.1"),
        format!("G\u{e9}T {outer} HTTP/1.1"),
        format!(" GET {outer} HTTP/1.1"),
        format!("GET {outer} HTTP/1.1 "),
        format!("G ET {outer} HTTP/1.1"),
        format!("G\0T {outer} HTTP/1.1"),
        format!("G(T {outer} HTTP/1.1"),
        format!("GET:{outer} HTTP/1.1"),
        format!("{outer} HTTP/1.1"),
        "GET".to_owned(),
        "GET  HTTP/1.1".to_owned(),
        "HTTP/1.1 200 OK".to_owned(),
    ]
    .map(|line| (get(&line, host), Expected::Refused));
    let right = [
        format!("\r\nGET {outer} HTTP/1.1"),
        format!("\n\r\nGET {outer} HTTP/1.1"),
        format!("GET http://localhost{outer} HTTP/1.1"),
        format!("GET HTTP://localhost{outer} HTTP/1.1"),
        format!("GET https://localhost{outer} HTTP/1.1"),
    ]
    .map(|line| (get(&line, host), one_after_the_other()));
    let absolute = (
        get(
            &format!("GET http://localhost{outer} HTTP/1.1"),
            &format!("{host}{}", length(&inner())),
        ),
        inner_is_the_body(),
    );
    // Routes are chosen by a path, and this is none.
    let asterisk = (get("OPTIONS * HTTP/1.1", host), Expected::OuterRefused);
    wrong.into_iter().chain(right).chain([absolute, asterisk]).collect()
}

/// Requests of which one, at each place in turn, has no credentials.
fn pipelines() -> Vec<Case> {
    let mut rows = Vec::new();
    for count in 2..=6 {
        for theirs in 0..count {
            for between in ["", "\r\n"] {
                let mut template = String::new();
                let mut messages = Vec::new();
                for at in 0..count {
                    if at == theirs {
                        template += &inner();
                        messages.push(smuggled());
                    } else {
                        let target = format!("/outer-{NUMBER}-{at}");
                        let line = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n");
                        template += &format!("{line}{OUTER_LOGIN}\r\n\r\n");
                        messages.push(Message { target, ..outer_without_body() });
                    }
                    template += between;
                }
                rows.push((template, Expected::Answered(messages)));
            }
        }
    }
    rows
}
