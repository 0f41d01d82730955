//! The fields that are removed from and added to the head of a message on its way through the
//! guard.
//!
//! pingora strips the hop-by-hop request fields and those named in `Connection` (RFC 9110 section
//! 7.6.1) by the policy set in [`crate::upstream`].

use std::net::SocketAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;
use http::{HeaderValue, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Error;

use super::claims::is_claim;
use super::error;
use super::refusal::Refusal;
use crate::snapshot::Snapshot;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Hop-by-hop response fields that pingora forwards.
const HOP_BY_HOP_RESPONSE: [HeaderName; 3] =
    [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection"), UPGRADE];

/// Turns a request into the one that the exporter gets: without credentials, and with true fields
/// about the client, which has no address on a unix socket.
///
/// # Errors
///
/// Returns an error when pingora rejects the value of a field.
pub fn forward(
    request: &mut RequestHeader,
    original: &RequestHeader,
    client: Option<SocketAddr>,
    tls: bool,
    upstream_authority: &str,
) -> Result<(), Box<Error>> {
    if !request.raw_path().starts_with(b"/") {
        // RFC 9112 section 3.2.1: an origin server gets the path as the target. The authority of an
        // absolute-form is the same as in Host, and the engine keeps only the path as the URI.
        request.set_uri(request.uri.clone());
    }
    request.remove_header(&AUTHORIZATION);
    remove_fields(request, |name| is_claim(name.as_str()));
    join_cookies(request)?;
    if let Some(address) = client {
        request.insert_header(X_FORWARDED_FOR, address.ip().to_canonical().to_string())?;
    }
    request.insert_header(X_FORWARDED_PROTO, if tls { "https" } else { "http" })?;
    if let Some(host) = host(original) {
        request.insert_header(X_FORWARDED_HOST, host)?;
    } else {
        // HTTP/1.0 knows no Host; the exporter gets HTTP/1.1, which must have one (RFC 9112
        // section 3.2).
        request.insert_header(HOST, upstream_authority)?;
    }
    Ok(())
}

/// Joins the `Cookie` fields into one. HTTP/2 clients split it, and an HTTP/1.1 server may read only
/// the first (RFC 9113 section 8.2.3, RFC 6265 section 5.4).
fn join_cookies(request: &mut RequestHeader) -> Result<(), Box<Error>> {
    let cookies = request.headers.get_all(COOKIE);
    if cookies.iter().nth(1).is_none() {
        return Ok(());
    }
    let crumbs = cookies.iter().map(HeaderValue::as_bytes).filter(|crumb| !crumb.is_empty());
    let joined = crumbs.collect::<Vec<_>>().join(&b"; "[..]);
    request.insert_header(COOKIE, joined)
}

/// Removes all fields but `Host` and `names` from a request whose answer is shared: the answer may
/// depend only on what the requests have in common.
pub fn keep(request: &mut RequestHeader, names: &[HeaderName]) {
    remove_fields(request, |name| *name != HOST && !names.contains(name));
}

fn remove_fields(request: &mut RequestHeader, is_removed: impl Fn(&HeaderName) -> bool) {
    let removed: Vec<HeaderName> =
        request.headers.keys().filter(|name| is_removed(name)).cloned().collect();
    for name in removed {
        request.remove_header(&name);
    }
}

/// Returns whether a request names this field in `Connection`, so that it is not forwarded
/// (RFC 9110 section 7.6.1).
pub fn is_hop_by_hop(request: &RequestHeader, name: &HeaderName) -> bool {
    let options = request.headers.get_all(CONNECTION).iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// Replaces the path of a request by `inside(path)`, the one that the exporter knows. The query
/// stays.
///
/// # Errors
///
/// Returns an error when pingora rejects the new target.
pub fn rewrite(
    request: &mut RequestHeader,
    inside: impl for<'p> Fn(&'p str) -> &'p str,
) -> Result<(), Box<Error>> {
    let path = inside(request.uri.path());
    let target = match request.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    request.set_raw_path(target.as_bytes())
}

/// Checks that an HTTP/1.1 request has exactly one valid `Host` (RFC 9112 section 3.2), as Go's
/// server demands. HTTP/1.0 and HTTP/2 requests may have none, and the field may be empty.
///
/// # Errors
///
/// Returns [`Refusal::BadHost`].
pub fn check_host(request: &RequestHeader) -> Result<(), Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version == Version::HTTP_11 => Err(Refusal::BadHost),
        (None, _) => Ok(()),
        (Some(host), None) if host.is_empty() => Ok(()),
        (Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(authority) if has_valid_port(&authority) => Ok(()),
            _ => Err(Refusal::BadHost),
        },
        (Some(_), Some(_)) => Err(Refusal::BadHost),
    }
}

/// Returns whether the port, if there is one, consists of digits only (RFC 3986 section 3.2.3;
/// there may be none after the colon). The parser accepts anything as a port.
pub fn has_valid_port(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host());
    rest.and_then(|rest| rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the host that a request names; HTTP/2 has it in a pseudo-header.
pub fn host(request: &RequestHeader) -> Option<Vec<u8>> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes().to_vec()),
        None => request.headers.get(HOST).map(|host| host.as_bytes().to_vec()),
    }
}

/// Turns a response of the exporter into the one that a client of this HTTP version gets.
///
/// # Errors
///
/// Returns [`error::malformed_response`] for an upgrade, and for a body whose end clients could
/// read differently.
pub fn answer(
    response: &mut ResponseHeader,
    version: Version,
    snapshot: &Snapshot,
) -> Result<(), Box<Error>> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        // The guard never asks for an upgrade.
        return Err(error::malformed_response());
    }
    if response.status.is_informational() {
        return Ok(());
    }
    frame_once(response)?;
    for name in &HOP_BY_HOP_RESPONSE {
        response.remove_header(name);
    }
    if version < Version::HTTP_11 {
        // RFC 9112 section 6.1: an HTTP/1.0 client knows no transfer coding; the end of the
        // connection ends its body.
        response.remove_header(&TRANSFER_ENCODING);
    }
    configured(response, snapshot)
}

/// Leaves one framing that every client reads alike (RFC 9112 section 6.3). The engine has made
/// sure that the response does not have both framings, and that its lengths do not differ.
fn frame_once(response: &mut ResponseHeader) -> Result<(), Box<Error>> {
    let mut codings = response.headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        return Err(error::malformed_response());
    }
    if response.status == StatusCode::NO_CONTENT {
        response.remove_header(&TRANSFER_ENCODING);
        response.remove_header(&CONTENT_LENGTH);
    }
    let length = response.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if let Some(length) = length {
        let first = length.split(',').next().unwrap_or_default().trim().to_owned();
        response.insert_header(CONTENT_LENGTH, first)?;
    }
    Ok(())
}

/// Sets the fields of `http_server_config.headers`, which every response carries in place of the
/// exporter's own.
///
/// # Errors
///
/// Returns an error when pingora rejects the value of a field.
pub fn configured(response: &mut ResponseHeader, snapshot: &Snapshot) -> Result<(), Box<Error>> {
    for (name, value) in &snapshot.headers {
        response.insert_header(name.clone(), value.clone())?;
    }
    Ok(())
}
