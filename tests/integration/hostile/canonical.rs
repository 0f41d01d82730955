//! Reads a forwarded request so strictly that no server can read it in another way (RFC 9112):
//! one line end, one framing, nothing left over.

/// What any server makes of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Canonical {
    pub target: String,
    pub body: Vec<u8>,
}

/// Fields that end at the guard (RFC 9110 sections 7.6.1 and 11.6.2).
const NOT_FORWARDED: [&str; 8] = [
    "authorization",
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "upgrade",
];

pub fn read(raw: &[u8]) -> Result<Canonical, String> {
    let end =
        raw.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no end of the head")?;
    let head = std::str::from_utf8(&raw[..end]).map_err(|_| "a head that is not UTF-8")?;
    let body = &raw[end + 4..];
    let mut lines = head.split("\r\n");
    let target = target(lines.next().unwrap_or_default())?;
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let values = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(n, _)| n == name).map(|(_, value)| *value).collect()
    };
    if let Some(name) = NOT_FORWARDED.iter().find(|name| !values(name).is_empty()) {
        return Err(format!("{name} was forwarded"));
    }
    if values("cookie").len() > 1 {
        return Err(format!("Cookie: {:?}", values("cookie")));
    }
    if values("host").len() != 1 {
        return Err(format!("Host: {:?}", values("host")));
    }
    let body = match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) if body.is_empty() => Vec::new(),
        ([length], []) if is_length(length, body.len()) => body.to_vec(),
        ([], ["chunked"]) => chunked(body).ok_or_else(|| format!("chunks: {:?}", text(body)))?,
        framing => return Err(format!("framing {framing:?}, then {:?}", text(body))),
    };
    Ok(Canonical { target, body })
}

/// RFC 9112 section 3, with the origin-form that is for origin servers (section 3.2.1).
fn target(line: &str) -> Result<String, String> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        [method, target, "HTTP/1.1"]
            if is_token(method)
                && target.starts_with('/')
                && target.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(target.to_owned())
        }
        _ => Err(format!("request line {line:?}")),
    }
}

fn field(line: &str) -> Result<(String, &str), String> {
    let bad = || format!("field {line:?}");
    let (name, value) = line.split_once(": ").ok_or_else(bad)?;
    let printable = value.chars().all(|c| c == '\t' || !c.is_control());
    if is_token(name) && printable { Ok((name.to_ascii_lowercase(), value)) } else { Err(bad()) }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn is_length(value: &str, len: usize) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse() == Ok(len)
}

/// RFC 9112 section 7.1 without extensions and trailers.
fn chunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        if !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok()?;
        let (data, after) = rest[end + 2..].split_at_checked(size)?;
        rest = after.strip_prefix(b"\r\n")?;
        if size == 0 {
            return rest.is_empty().then_some(body);
        }
        body.extend_from_slice(data);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
