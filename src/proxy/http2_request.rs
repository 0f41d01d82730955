//! The checks of an HTTP/2 request before it is authorized: a request that HTTP/1 refuses is refused
//! over HTTP/2, too, because the exporter gets both as HTTP/1.1.
//!
//! Other checks are made before a request comes here. The h2 crate ends the stream or the connection
//! of a request with a missing, repeated or unknown pseudo-header, with a field of the connection or a
//! name in upper case (RFC 9113 section 8.2), and of one whose `Content-Length` differs from its DATA
//! (section 8.1.1). pingora answers 400 to one without an authority, with userinfo, or whose `Host`
//! differs from `:authority` (section 8.3.1).
//!
//! A fragment cannot be refused here: the h2 crate cuts `:path` at the first `#` and keeps no copy of
//! the rest. What is authorized, logged and forwarded is therefore the target without the fragment,
//! and a `:path` that is nothing but a fragment is refused.

use http::header::{CONTENT_LENGTH, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderValue, Version};
use pingora::http::RequestHeader;

use super::headers::has_valid_port;
use super::refusal::{Malformed, Refusal};
use crate::connection::request_head::{is_length, is_path, is_target_byte};

/// Checks a request of HTTP/2; requests of other versions are checked while they are read, by
/// [`crate::connection::request_head`].
///
/// # Errors
///
/// Returns [`Refusal::Malformed`] or [`Refusal::BadHost`].
pub fn check(request: &RequestHeader) -> Result<(), Refusal> {
    if request.version != Version::HTTP_2 {
        return Ok(());
    }
    if !has_valid_target(request) {
        return Err(Refusal::Malformed(Malformed::Target));
    }
    if request.uri.authority().is_some_and(|authority| !has_valid_port(authority)) {
        return Err(Refusal::BadHost);
    }
    if !has_valid_length(request) {
        return Err(Refusal::Malformed(Malformed::ContentLength));
    }
    if !request.headers.keys().all(is_token) {
        return Err(Refusal::Malformed(Malformed::FieldName));
    }
    if request.headers.values().any(has_outer_blank) {
        return Err(Refusal::Malformed(Malformed::FieldValue));
    }
    Ok(())
}

/// Returns whether `:scheme` and `:path` make up a target that HTTP/1 has a form for (RFC 9113
/// section 8.3.1, RFC 3986 section 3.3). The h2 crate drops the scheme of a request without
/// `:authority`.
fn has_valid_target(request: &RequestHeader) -> bool {
    let path = request.raw_path();
    let scheme = request.uri.scheme_str().unwrap_or("https");
    let is_http = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    is_http
        && !is_fragment(request)
        && is_path(path, request.method.as_str())
        && path.iter().copied().all(is_target_byte)
}

/// Returns whether nothing is left of `:path` without its fragment. Such a path is shown as `/`, but
/// differs from it.
fn is_fragment(request: &RequestHeader) -> bool {
    let root = PathAndQuery::from_static("/");
    request.uri.path_and_query().is_some_and(|path| path.as_str() == "/" && *path != root)
}

/// Returns whether there is at most one `Content-Length`, and that a plain number (RFC 9110 section
/// 8.6). The h2 crate accepts repeated equal ones and an empty one, which pingora forwards.
fn has_valid_length(request: &RequestHeader) -> bool {
    let mut lengths = request.headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    first.is_none_or(|length| is_length(length.as_bytes())) && lengths.next().is_none()
}

/// Returns whether a name has only the characters that RFC 9110 section 5.6.2 allows. The http crate
/// takes `"` for one of them.
fn is_token(name: &HeaderName) -> bool {
    name.as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Returns whether a value starts or ends with a blank, which HTTP/1 has only outside of values and
/// HTTP/2 nowhere (RFC 9113 section 8.2.1).
fn has_outer_blank(value: &HeaderValue) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    is_blank(bytes.first()) || is_blank(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, fields: &[(&str, &str)]) -> RequestHeader {
        let target = format!("https://localhost{path}");
        let mut request = http::Request::get(target).version(Version::HTTP_2);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        RequestHeader::from(request.body(()).expect("a request").into_parts().0)
    }

    #[track_caller]
    fn assert_malformed(request: &RequestHeader, part: Malformed) {
        let refused = check(request);
        assert!(matches!(refused, Err(Refusal::Malformed(found)) if found == part), "{refused:?}");
    }

    #[test]
    fn each_part_of_a_request_is_checked() {
        assert!(check(&request("/metrics?a=b", &[("x", "y"), ("content-length", "5")])).is_ok());
        for path in ["?x", "/\u{e9}", "/?\u{e9}"] {
            assert_malformed(&request(path, &[]), Malformed::Target);
        }
        for length in ["", "05", "00", "+5", "5, 5"] {
            assert_malformed(
                &request("/", &[("content-length", length)]),
                Malformed::ContentLength,
            );
        }
        let twice = [("content-length", "5"), ("content-length", "5")];
        assert_malformed(&request("/", &twice), Malformed::ContentLength);
        for value in [" y", "y\t", " "] {
            assert_malformed(&request("/", &[("x", value)]), Malformed::FieldValue);
        }
    }

    #[test]
    fn requests_of_http1_are_checked_elsewhere() {
        let mut request = request("/", &[("x", " y")]);
        request.set_version(Version::HTTP_11);
        assert!(check(&request).is_ok());
    }
}
