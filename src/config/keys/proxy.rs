//! The section `proxy` and what stands in it, but for routes.

use std::time::Duration;

use super::declaration::{Key, section};
use super::number_types::{GoDuration, Integer};
use super::route;
use super::section_types::{Nested, NestedList};
use super::text_types::{Text, TextList, TextMapping};
use super::toolkit::TLS;

/// A hash of bcrypt or of SHA-256.
const TOKEN_HASH: &str =
    r"^(sha256:[0-9a-fA-F]{64}$|\$2[abxy]?\$(0[4-9]|\+[4-9]|[12][0-9]|3[01])\$)";

const fn seconds(seconds: u64) -> GoDuration {
    GoDuration::positive(Some(Duration::from_secs(seconds)))
}

/// A number of connections or streams: one at least, and no more than any host has descriptors for.
const fn connections(default: usize) -> Integer<usize> {
    Integer::new(1..=1_000_000, default, "")
}

section! {
    PROXY = "proxy", Guard, "The section of exporter-guard itself. The keys of a route that stand \
        directly here ([keys of a route](#keys-of-a-route)) are those of the default route in a file \
        without `routes` and `file_sd_configs`, and the defaults of each route in a file with them.",
        shares [route::ACCESS, route::METHODS, route::PATHS, route::PUBLIC_PATHS, route::COALESCE,
            route::CACHE_FOR, route::SAME_FOR_ALL, route::LABELS, route::ALLOWED_TARGETS];
    LIMITS_KEY: Nested = Key::new("limits", Nested(&LIMITS),
        "The time that each phase may take, and how much one client may have")
        .protecting("{}");
    LISTENERS_KEY: NestedList = Key::new("listeners",
        NestedList::of(&LISTENERS, "a list of listeners"),
        "Listeners with a TLS of their own in the place of the file's")
        .protecting("[]");
    CERTIFICATES_KEY: NestedList = Key::new("certificates",
        NestedList::of(&CERTIFICATES, "a list of cert_file and key_file"),
        "More certificates, each for clients that ask for one of its DNS names (SNI); all others get \
         that of `tls_server_config`");
    PROXY_PROTOCOL_KEY: NestedList = Key::new("proxy_protocol",
        NestedList::of(&PROXY_PROTOCOL, "a list of listeners"),
        "Listeners behind a load balancer that speaks the PROXY protocol, version 1 or 2")
        .protecting("[]");
    TOKENS: TextMapping = Key::new("tokens",
        TextMapping::new("token name", "", Text::matching("hash", TOKEN_HASH)),
        "Bearer tokens by name: `sha256:` and 64 hexadecimal digits, or a bcrypt hash (at most 8 of \
         these)");
    TOKENS_FILE: Text = Key::new("tokens_file", Text::new("path"),
        "A file with more tokens, in the form of `tokens`");
    ROUTES_KEY: NestedList = Key::new("routes",
        NestedList::of(&route::ROUTES, "a list of routes"),
        "The exporters behind the guard. Whether there are any cannot change while the guard runs")
        .without("the default route to `--upstream`");
    FILE_SD_CONFIGS: NestedList = Key::new("file_sd_configs",
        NestedList::of(&route::FILE_SD, "a list of mappings with files"),
        "A route for each target of Prometheus's `file_sd` files");
}

// The reasons for the defaults: an exporter is a neighbour, and one that takes longer than two seconds
// to accept is overloaded. Prometheus's default scrape timeout is ten seconds, and a handshake or a
// head that takes longer has no scrape behind it; it drops idle connections itself after five minutes,
// and its connections must survive a scrape interval. Scrapes have no body, and what an exporter takes
// by POST is small. 64 KiB in 30 s are two kilobytes a second. 32 KiB of head are what nginx allows,
// twenty times that of a scrape; below 1 KiB one with a long token may not fit. 8192 connections are
// 200 MB when idle with TLS; Prometheus keeps one for each target. A whole site may stand behind one
// address, which can take a quarter of them. What 1024 streams hold is bounded by `max_buffered_bytes`; a
// Prometheus with five thousand targets behind one gateway asks for a few hundred at a time. 64 MiB of
// `max_buffered_bytes` are half of the memory that conf/kubernetes gives the guard, and a client that
// reads needs it for milliseconds; with less than 1 MiB for each of the four shares, a single large page
// might not pass. Nobody
// mistypes a thousand times; a guesser has the thousand likeliest passwords a day. 30 requests in flight
// are fewer than the 40 that node_exporter answers at a time, so that ten are left for whoever asks it
// directly; two Prometheus servers have one each, unless the exporter is slower than their interval.
section! {
    LIMITS = "proxy.limits", Guard, "A connection that exceeds a timeout is closed; a request that \
        does is answered 408 or 504 where that is possible.";
    CONNECT_TIMEOUT: GoDuration = Key::new("connect_timeout", seconds(2),
        "Until the exporter has accepted a connection; at least 1 s is waited");
    RESPONSE_TIMEOUT: GoDuration = Key::new("response_timeout", GoDuration::positive(None),
        "Until the exporter answers, and between pieces of its answer; at least 1 s is waited")
        .without("what Prometheus says in `X-Prometheus-Scrape-Timeout-Seconds` less 0.5 s, else 9.5 s");
    HANDSHAKE_TIMEOUT: GoDuration = Key::new("handshake_timeout", seconds(10),
        "From accept to the end of the TLS handshake");
    HEADER_TIMEOUT: GoDuration = Key::new("header_timeout", seconds(10),
        "For one request head, from its first byte to its last");
    BODY_TIMEOUT: GoDuration = Key::new("body_timeout", seconds(30),
        "For the body of a request, from the end of its head");
    WRITE_TIMEOUT: GoDuration = Key::new("write_timeout", seconds(30),
        "Until the client has taken what it was sent, for each 64 KiB");
    IDLE_TIMEOUT: GoDuration = Key::new("idle_timeout", seconds(300),
        "Between two requests of a connection");
    MAX_HEADER_BYTES: Integer<usize> = Key::new("max_header_bytes",
        Integer::new(1024..=256 * 1024, 32 * 1024, "bytes"), "The size of one request head");
    MAX_CONNECTIONS: Integer<usize> = Key::new("max_connections", connections(8192),
        "Connections open at a time, of all web listeners; fewer where the limit of open files leaves \
         no room");
    MAX_CONNECTIONS_PER_ADDRESS: Integer<usize> = Key::new("max_connections_per_address",
        connections(2048), "Connections open at a time from one IPv4 address or IPv6 /64");
    MAX_STREAMS_PER_ADDRESS: Integer<usize> = Key::new("max_streams_per_address",
        connections(1024),
        "HTTP/2 streams open at a time, of all connections from one address. One more is refused with \
         REFUSED_STREAM, which says that the client may ask again");
    MAX_BUFFERED_BYTES: Integer<usize> = Key::new("max_buffered_bytes",
        Integer::new(4 * 1024 * 1024..=64 * 1024 * 1024 * 1024, 64 * 1024 * 1024, "bytes"),
        "Memory for open requests and for answers that clients have not taken, of all web listeners; one \
         address may have a quarter of it, one user or token half, shared answers half. Beyond that a \
         request gets 503 with `Retry-After`, a stream REFUSED_STREAM. When all of it is used, the newest \
         requests of the address that has most are ended in favor of others");
    MAX_AUTH_FAILURES: Integer<u32> = Key::new("max_auth_failures",
        Integer::new(1..=1_000_000, 1000, ""),
        "Different wrong passwords from one address within a day before it has to wait: 1 s, doubling \
         to 1 min");
    MAX_IN_FLIGHT: Integer<usize> = Key::new("max_in_flight",
        Integer::new(1..=1_000_000, 30, ""),
        "Requests of a route that its exporter answers at a time. Of these one user, token, certificate \
         name or else address gets at most two thirds, and less while others have some. Others wait \
         for at most 2 s or half of the scrape's timeout, and are answered 503 after that");
}

section! {
    LISTENERS = "proxy.listeners", Guard, "A listener with a TLS of its own.",
        shares [CERTIFICATES_KEY];
    LISTENERS_ADDRESS: Text = Key::new("listen_address", Text::new("address"),
        "The listener, as `--web.listen-address` (or with systemd's sockets the log) has it")
        .required();
    LISTENERS_TLS: Nested = Key::new("tls_server_config", Nested(&TLS),
        "The TLS of the listener. `{}` is no TLS")
        .required();
}

section! {
    CERTIFICATES = "proxy.certificates", Guard, "A certificate beside that of `tls_server_config`.";
    CERTIFICATES_CERT_FILE: Text = Key::new("cert_file", Text::new("path"),
        "The file with the certificate, followed by its intermediates")
        .required();
    CERTIFICATES_KEY_FILE: Text = Key::new("key_file", Text::new("path"),
        "The file with the key of the certificate")
        .required();
}

section! {
    PROXY_PROTOCOL = "proxy.proxy_protocol", Guard, "A listener behind a load balancer. The client \
        that the PROXY header names counts for logs, limits and `X-Forwarded-For`.";
    PROXY_PROTOCOL_ADDRESS: Text = Key::new("listen_address", Text::new("address"),
        "The listener, as `--web.listen-address` has it")
        .required();
    SOURCES: TextList = Key::new("sources", TextList::of(Text::new("network")),
        "The addresses or networks of the load balancer, and `unix` for a unix socket. From these a \
         header must come; from elsewhere none is looked for")
        .required();
}
