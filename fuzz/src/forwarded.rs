use std::net::SocketAddr;

use exporter_guard::connection::request_head::{self, Head};
use exporter_guard::proxy::claims::is_claim;
use exporter_guard::proxy::headers;
use pingora::http::RequestHeader;

const CLIENT: &str = "192.0.2.1:50000";
const UPSTREAM: &str = "127.0.0.1:9100";

/// Checks the request fields that reach the exporter: none that a client sends about itself, those
/// that the guard sets, once each, and all others unchanged.
pub fn forwarded(sent: &[u8]) {
    // The engine only gets complete heads.
    if !matches!(request_head::find(sent, 0), Head::Complete { .. }) {
        return;
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(_)) = request.parse(sent) else { return };
    let (Some(method), Some(path)) = (request.method, request.path) else { return };
    let Ok(mut original) = RequestHeader::build(method, path.as_bytes(), None) else { return };
    original.set_version(http::Version::HTTP_11);
    for field in request.headers.iter() {
        if original.append_header(field.name.to_owned(), field.value).is_err() {
            return;
        }
    }
    if headers::check_host(&original).is_err() {
        return;
    }
    let client: SocketAddr = CLIENT.parse().expect("an address");
    for (client, tls) in [(Some(client), true), (Some(client), false), (None, false)] {
        let mut sent = original.clone();
        headers::forward(&mut sent, &original, client, tls, UPSTREAM).expect("good headers");
        check(&original, &sent, client, tls);
    }
}

fn check(original: &RequestHeader, sent: &RequestHeader, client: Option<SocketAddr>, tls: bool) {
    assert_eq!(sent.method, original.method);
    assert!(sent.raw_path().starts_with(b"/"), "asked for {:?}", sent.raw_path());
    let all = |name: &str| -> Vec<&[u8]> {
        sent.headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
    };
    assert!(all("authorization").is_empty());
    for name in ["forwarded", "x-real-ip", "x-forwarded-port", "x-remote-user", "x_forwarded_for"] {
        assert!(all(name).is_empty(), "{name}");
    }
    let address = client.map(|client| client.ip().to_string());
    let expected: Vec<&[u8]> = address.iter().map(String::as_bytes).collect();
    assert_eq!(all("x-forwarded-for"), expected);
    assert_eq!(all("x-forwarded-proto"), [if tls { &b"https"[..] } else { b"http" }]);
    assert_eq!(all("x-forwarded-host"), all("host"));

    let is_removed = |name: &str| name == "authorization" || is_claim(name);
    let others = |request: &RequestHeader| -> Vec<(String, Vec<u8>)> {
        let fields = request.headers.iter().filter(|(name, _)| !is_removed(name.as_str()));
        let mut fields: Vec<_> = fields
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        fields.sort();
        fields
    };
    assert_eq!(others(sent), others(original));
}
