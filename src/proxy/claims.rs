//! Request fields that proxies and frameworks believe.
//!
//! A proxy in front of an exporter sets them to say who the client is, by which URL and method it
//! asked, or what its certificate says. Nothing in front of the guard is trusted to set them, so that a
//! client could claim anything in them: they are removed.

/// The beginnings of such names.
const PREFIXES: [&str; 15] = [
    "x-forwarded",
    "x-original-",
    "x-remote-",
    "x-auth-request-",
    "x-authenticated-",
    "x-webauth-",
    "x-client-",
    "x-ssl-",
    "x-envoy-",
    "x-amzn-",
    "x-goog-",
    "cf-",
    "ssl-",
    "remote-",
    "impersonate-",
];

/// Names that no beginning covers.
const NAMES: [&str; 22] = [
    "forwarded",
    "x-real-ip",
    "x-real-port",
    "true-client-ip",
    "x-true-client-ip",
    "client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-appengine-user-ip",
    "x-proxyuser-ip",
    "x-host",
    "x-rewrite-url",
    "x-url-scheme",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "front-end-https",
    "x-user",
    "x-username",
];

/// Returns whether a field of this name, in lower case, is removed from requests.
///
/// A name with an underscore is removed as well: CGI and WSGI spell `-` and `_` alike
/// (RFC 3875 section 4.1.18), so that `X_Forwarded_For` would pass for the field that the guard sets.
pub fn is_claim(name: &str) -> bool {
    name.contains('_')
        || NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_scrape_are_no_claims() {
        for name in [
            "accept",
            "accept-encoding",
            "user-agent",
            "x-prometheus-scrape-timeout-seconds",
            "x-scope-orgid",
            "traceparent",
            "content-type",
            "host",
        ] {
            assert!(!is_claim(name), "{name}");
        }
    }
}
