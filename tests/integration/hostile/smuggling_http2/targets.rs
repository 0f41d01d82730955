//! The rows about the target of a request: `:path`, `:authority`, `Host`, `:scheme` and `:method` (RFC
//! 9113 section 8.3.1, RFC 3986).

use super::message::Message;
use super::rows::{Case, Verdict, forwarded, outer, refused, without_fragment};

/// Targets that HTTP/1 has no form for, or characters that no target has.
pub fn wrong_paths() -> Vec<String> {
    let outer = outer();
    let short = [
        "",
        "?",
        "?x",
        "?/",
        "??",
        "*",
        "**",
        "*?",
        "*x",
        "*/",
        "/*\u{e9}",
        "x",
        ".",
        "..",
        "./",
        ":",
        "\\",
        "%2f",
        "localhost:9100",
        "//\u{0}",
        "/ ",
        " /",
        "/\t",
        "\t/",
    ];
    let long = [
        format!("?{outer}"),
        outer.trim_start_matches('/').to_owned(),
        format!("\\{outer}"),
        format!("http://localhost{outer}"),
        format!("HTTP://localhost{outer}"),
        format!("https://localhost{outer}"),
        format!("https://elsewhere{outer}"),
        format!("http:{outer}"),
        format!("http:/\\localhost{outer}"),
        format!("localhost{outer}"),
        format!(" {outer}"),
        format!("{outer} "),
        format!("{outer} x"),
        format!("{outer}\tx"),
        format!("{outer}\r"),
        format!("{outer}\n"),
        format!("{outer}\0"),
        format!("{outer}\u{b}"),
        format!("{outer}\u{7f}"),
        format!("{outer}\u{80}"),
        format!("{outer}\u{a0}"),
        format!("{outer}\u{e9}"),
        format!("{outer}/\u{212a}"),
        format!("\u{ff0f}{outer}"),
        format!("{outer}?\u{e9}"),
        format!("{outer}?a b"),
        format!("{outer}?a\r\nX: y"),
        format!("{outer} HTTP/1.1"),
        format!("{outer} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /smuggled"),
    ];
    short.map(str::to_owned).into_iter().chain(long).collect()
}

pub fn paths() -> Vec<Case> {
    let outer = outer();
    let path = |path: String| Message::get().set(":path", path);
    let wrong = wrong_paths().into_iter().map(|target| refused(path(target)));
    let bytes = [&b"\xe9"[..], b"\xff", b"\xc0\xaf", b"?\xe9", b"\xed\xa0\x80"]
        .map(|end| refused(path(String::new()).set(":path", [outer.as_bytes(), end].concat())));
    let methods = ["POST", "PUT", "HEAD", "DELETE", "TRACE"].into_iter().flat_map(|method| {
        ["*", "?x", "x"].map(|target| refused(path(target.to_owned()).set(":method", method)))
    });
    // An asterisk-form is no path, and the routes of a guard are chosen by one.
    let options = ["*", "?x", "**", "*x", "*?x", "x"]
        .map(|target| refused(path(target.to_owned()).set(":method", "OPTIONS")));
    let right = ["", "?", "?a=b", "?a?b", "/../x", "//x", "/%00", "/%2e%2e/x", ";x", "?/*", "/*"]
        .map(|end| format!("{outer}{end}"))
        .map(|target| (path(target.clone()), Verdict::Forwarded(target, String::new())));
    wrong.chain(bytes).chain(methods).chain(options).chain(right).collect()
}

/// The h2 crate takes fragments away: what is left is the request.
pub fn fragments() -> Vec<Case> {
    let outer = outer();
    let path = |path: &str| Message::get().set(":path", path);
    let cut = ["#", "#x", "#/smuggled", "#?x", "##", "/x#y", "?a#b", "?#b"].map(|end| {
        let target = format!("{outer}{end}");
        let left = without_fragment(&target).unwrap_or_default();
        (path(&target), Verdict::Forwarded(left, String::new()))
    });
    let wrong = ["#", "#x", "#/", "?#", "*#", "*#x", "x#y", "?x#y", "##", "#*"]
        .map(|target| refused(path(target)));
    cut.into_iter().chain(wrong).collect()
}

/// Values that no host and port has, in `:authority` or `Host`.
pub const WRONG_AUTHORITIES: [&str; 34] = [
    "a:evil",
    "localhost:port",
    "localhost:-1",
    "localhost:+80",
    "localhost: 80",
    "localhost:80 ",
    "localhost:80:80",
    "localhost:8o",
    "localhost:\u{668}\u{660}",
    "[::1]:x",
    "[::1]x",
    "[::1",
    "::1]",
    "user@localhost",
    "user:password@localhost",
    "user@localhost:80",
    "@localhost",
    "localhost@",
    "user%40x@localhost",
    "localhost localhost",
    " localhost",
    "localhost ",
    "\tlocalhost",
    "localhost/",
    "localhost/smuggled",
    "localhost?smuggled",
    "localhost#smuggled",
    "http://localhost",
    "//localhost",
    "<localhost>",
    "local\\host",
    "local\0host",
    "localhost\r\nX: y",
    "localh\u{f6}st",
];

pub fn authorities() -> Vec<Case> {
    let get = Message::get;
    let host = |value: &str| get().without(":authority").and("host", value);
    let rows = WRONG_AUTHORITIES.into_iter().flat_map(|value| {
        let both = get().set(":authority", value).and("host", value);
        [get().set(":authority", value), host(value), both, get().and("host", value)].map(refused)
    });
    let more = [
        get().without(":authority"),
        get().set(":authority", ""),
        get().set(":authority", "").and("host", "localhost"),
        get().and("host", ""),
        get().and("host", "elsewhere"),
        get().and("host", "LOCALHOST"),
        get().and("host", "localhost:80"),
        get().and("host", "localhost").and("host", "localhost"),
        get().and("host", "localhost").and("host", "elsewhere"),
        host("localhost").and("host", "localhost"),
        host("localhost").and("host", "elsewhere"),
        host("localhost").and("host", ""),
        host("localhost, elsewhere"),
        get().and(":authority", "localhost"),
    ]
    .map(refused);
    let right = ["localhost:80", "localhost:", "[::1]:80", "127.0.0.1", "a.b-c_d~e"]
        .into_iter()
        .flat_map(|value| {
            let named = get().set(":authority", value);
            [named.clone(), named.and("host", value), host(value)]
        })
        .chain([host("localhost"), host("")])
        .map(|message| (message, forwarded("")));
    let both = (get().and("host", "localhost"), forwarded(""));
    rows.chain(more).chain(right).chain([both]).collect()
}

pub fn pseudo_headers() -> Vec<Case> {
    let get = Message::get;
    let schemes = ["", "ftp", "file", "javascript", "data", "ws", "https:", "https://", " https"]
        .map(|scheme| get().set(":scheme", scheme));
    let methods = ["", "G ET", "GET ", " GET", "G\0T", "G(T", "G\u{e9}T", "GET / HTTP/1.1\r\n"]
        .map(|method| get().set(":method", method));
    let missing = [":method", ":scheme", ":path"].map(|name| get().without(name));
    let more = [
        get().and(":path", "/smuggled"),
        get().and(":method", "POST"),
        get().and(":protocol", "websocket"),
        get().and(":status", "200"),
        get().and(":x", "y"),
        get().and(":", "y"),
        get().and("", "y"),
        get().set(":method", "CONNECT"),
        get().set(":method", "CONNECT").without(":path").without(":scheme"),
        get().set(":method", "CONNECT").and(":protocol", "websocket"),
    ];
    let right =
        ["http", "HTTP", "HTTPS"].map(|scheme| (get().set(":scheme", scheme), forwarded("")));
    // The h2 crate tells nothing of the scheme where there is no `:authority`.
    let unseen = get().set(":scheme", "ftp").without(":authority").and("host", "localhost");
    let right = right.into_iter().chain([(unseen, forwarded(""))]);
    let wrong = schemes.into_iter().chain(methods).chain(missing).chain(more).map(refused);
    wrong.chain(right).collect()
}
