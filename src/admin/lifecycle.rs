//! The question who may ask for a reload. The telemetry address has no authentication, and a browser on
//! the same host reaches it on behalf of any page that it shows.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use pingora::http::RequestHeader;

use crate::connection::Peer;

/// The header by which browsers say what kind of page asks (W3C Fetch Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Returns whether a request comes from a program rather than from a page in a browser.
///
/// A page of another site cannot help sending `Origin` or `Sec-Fetch-Site`; one whose name was made to
/// resolve to this host (DNS rebinding) cannot help sending that name in `Host`, where a program says
/// an address or `localhost`.
pub fn may_change_state(request: &RequestHeader) -> bool {
    let header = |name: &str| request.headers.get(name).map(|value| value.as_bytes());
    let hosts: Vec<_> = request.headers.get_all(HOST).iter().collect();
    let names_this_host = match hosts.as_slice() {
        // HTTP/1.0, which no browser speaks.
        [] => true,
        [host] => Authority::try_from(host.as_bytes()).is_ok_and(|host| is_this_host(host.host())),
        _ => false,
    };
    names_this_host
        && header(ORIGIN.as_str()).is_none()
        && header(SEC_FETCH_SITE).is_none_or(|site| site == b"none")
}

fn is_this_host(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

/// Returns whether a client is on this host, so that it may read the paths and names in an error.
pub fn is_local(peer: &Peer) -> bool {
    peer.address.is_none_or(|address| address.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(headers: &[(&str, &str)]) -> bool {
        let mut request = RequestHeader::build("POST", b"/-/reload", None).expect("a request");
        for (name, value) in headers {
            request.append_header((*name).to_owned(), *value).expect("a header");
        }
        may_change_state(&request)
    }

    #[test]
    fn programs_may_reload_and_pages_in_a_browser_may_not() {
        for host in ["localhost:9444", "127.0.0.1:9444", "[::1]:9444", "10.0.0.7:9444", "LOCALHOST"]
        {
            assert!(allowed(&[("host", host)]), "{host}");
        }
        assert!(allowed(&[]));
        assert!(allowed(&[("host", "localhost"), ("sec-fetch-site", "none")]));
        for headers in [
            &[("host", "evil.example:9444")][..],
            &[("host", "localhost.evil.example")],
            &[("host", "")],
            &[("host", "localhost"), ("host", "localhost")],
            &[("host", "localhost"), ("origin", "https://evil.example")],
            &[("host", "localhost"), ("origin", "null")],
            &[("host", "127.0.0.1:9444"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!allowed(headers), "{headers:?}");
        }
    }
}
