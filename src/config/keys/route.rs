//! The keys of routes, and of the files of targets that routes are made from.

use std::time::Duration;

use super::declaration::{Key, section};
use super::number_types::{Boolean, GoDuration, Integer};
use super::section_types::{Nested, NestedList};
use super::text_types::{ChoiceList, Text, TextList, TextMapping};

/// A path of one spelling: no empty segment, none of dots alone.
const PATH: &str = r"^(?!.*//)(?!.*/\.\.?(/|$))/[-A-Za-z0-9._~/:@!$&'()*+,=]*$";
/// The same, or everything below one.
const PATH_PATTERN: &str = r"^(?=/)(?!.*//)(?!.*/\.\.?(/|$))[-A-Za-z0-9._~/:@!$&'()+,=]*(/\*)?$";
/// The same, and nothing that looks like everything below one.
const PUBLIC_PATH: &str = r"^(?!.*//)(?!.*/\.\.?(/|$))(?!.*/\*$)/[-A-Za-z0-9._~/:@!$&'()*+,=]*$";
const LABEL: &str = "^[a-zA-Z_][a-zA-Z0-9_]*$";
/// `__` is Prometheus's own.
const OWN_LABEL: &str = "^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$";
const ROUTE_NAME: &str = "^[a-zA-Z0-9._-]{1,255}$";

/// The methods that a route may name: CONNECT and TRACE are nobody's (RFC 9110 section 9.3).
const METHOD_NAMES: [(&str, &str); 7] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];

/// The longest time that an answer may be kept: a page of metrics that is older misleads.
const MAX_CACHE: Duration = Duration::from_secs(600);

section! {
    ROUTE_DEFAULTS = "keys of a route", Guard, "These keys may stand in an item of \
        [`proxy.routes`](#proxyroutes) or [`proxy.file_sd_configs`](#proxyfile_sd_configs) (there \
        without `paths`, which targets bring themselves), and directly under [`proxy`](#proxy). A route \
        takes the value under `proxy` for a key that it does not have itself; of `labels` it takes \
        those that it does not give another value. In a file without routes the keys under `proxy` are \
        the default route's, whose defaults stand in the table after \"default route:\".";
    ACCESS: NestedList = Key::new("access",
        NestedList::of(&RULES, "a list of rules, any of which admits"),
        "The rules, one of which a request must meet")
        .without("every user of `basic_auth_users`, or without users everybody whose certificate the \
                  listener demands; default route: everybody when there are no users")
        .protecting("[]");
    METHODS: ChoiceList<&'static str> = Key::new("methods",
        ChoiceList::of(&METHOD_NAMES, "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS"),
        "The methods that are let through")
        .without("`GET`, `HEAD`; default route: any method")
        .protecting("[]");
    PATHS: TextList = Key::new("paths", TextList::of(Text::matching("path", PATH_PATTERN)),
        "The paths that are let through, as the exporter sees them. `/*` at the end is everything \
         below, but for `/debug/pprof`, which must be named")
        .without("`/metrics`; default route: any path")
        .protecting("[]");
    PUBLIC_PATHS: TextList = Key::new("public_paths",
        TextList::of(Text::matching("path", PUBLIC_PATH)),
        "The paths that are answered without credentials, for example `/-/healthy`, as the exporter \
         sees them, exactly and without a query, to GET and HEAD without a body. A client certificate \
         that is demanded of everybody else is not demanded here");
    COALESCE: Boolean = Key::new("coalesce", Boolean::new(false),
        "Whether identical requests that come at a time share one answer")
        .without("whether `cache_for` is more than 0");
    CACHE_FOR: GoDuration = Key::new("cache_for", GoDuration::at_most(MAX_CACHE),
        "The time for which an answer is given to identical requests again");
    SAME_FOR_ALL: Boolean = Key::new("same_for_all", Boolean::new(false),
        "Whether everybody shares answers; else each user or token has its own");
    LABELS: TextMapping = Key::new("labels",
        TextMapping::new("label name", OWN_LABEL, Text::new("text")).with_null(),
        "The labels that service discovery (`/-/targets`) has for the route");
    ALLOWED_TARGETS: TextList = Key::new("allowed_targets", TextList::of(Text::new("text")),
        "The values that the query parameter `target` may have, for blackbox_exporter and the like. \
         Requests with a body, which may hold another target, are refused")
        .without("any")
        .protecting("[]");
}

section! {
    ROUTES = "proxy.routes", Guard, "A route: from a path, a host or both to one exporter, or to \
        replicas of it.",
        shares [HOSTS, ROUTE_LISTENERS, UPSTREAM_TLS, ROUTE_MAX_IN_FLIGHT, ACCESS, METHODS, PATHS,
            PUBLIC_PATHS, COALESCE, CACHE_FOR, SAME_FOR_ALL, LABELS, ALLOWED_TARGETS];
    ROUTE_NAME_KEY: Text = Key::new("name", Text::matching("name", ROUTE_NAME),
        "The name in logs, answers and service discovery: letters, digits, dots, dashes and \
         underscores, at most 255")
        .without("the path with dashes, or the first host");
    ROUTE_PATH: Text = Key::new("path", Text::matching("path", PATH),
        "The segments with which the path of a request begins. The longest path that fits counts")
        .without("any path");
    STRIP_PATH: Boolean = Key::new("strip_path", Boolean::new(true),
        "Whether the exporter is asked without `path`");
    UPSTREAMS: TextList = Key::new("upstreams", TextList::of(Text::new("address")),
        "The exporter: `http://HOST:PORT`, `https://HOST:PORT` or `unix:/path`, or `self` for the \
         guard's own metrics. Of several, the first \
         that accepts connections is asked")
        .required();
}

section! {
    TARGET_ROUTES = "keys of routes and targets", Guard, "These keys may stand in an item of \
        [`proxy.routes`](#proxyroutes) or [`proxy.file_sd_configs`](#proxyfile_sd_configs).";
    HOSTS: TextList = Key::new("hosts", TextList::of(Text::new("host")),
        "The hosts that a request may be for, without ports: that of the request, or the one that the \
         connection was opened for (SNI). Routes with hosts come before those without")
        .without("any host")
        .protecting("[]");
    ROUTE_LISTENERS: TextList = Key::new("listeners", TextList::of(Text::new("address")),
        "The listeners that lead here, as `--web.listen-address` has them")
        .without("all listeners")
        .protecting("[]");
    UPSTREAM_TLS: Nested = Key::new("upstream_tls", Nested(&UPSTREAM_TLS_KEYS),
        "The TLS towards upstreams with `https://`, which need it");
    ROUTE_MAX_IN_FLIGHT: Integer<usize> = Key::new("max_in_flight",
        Integer::new(1..=1_000_000, 30, ""),
        "Requests that the exporter answers at a time, in the place of `proxy.limits.max_in_flight`: \
         more for exporters such as blackbox_exporter, which one Prometheus asks for many targets")
        .without("as in `proxy.limits`");
}

section! {
    FILE_SD = "proxy.file_sd_configs", Guard, "Files of Prometheus's `file_sd_configs`, and what holds \
        for the routes of their targets.",
        shares [HOSTS, ROUTE_LISTENERS, UPSTREAM_TLS, ROUTE_MAX_IN_FLIGHT, ACCESS, METHODS,
            PUBLIC_PATHS, COALESCE, CACHE_FOR, SAME_FOR_ALL, LABELS, ALLOWED_TARGETS];
    FILES: TextList = Key::new("files", TextList::of(Text::new("path")),
        "The files, which end in `.json`, `.yml` or `.yaml`. A name may be a pattern such as `*.yml`; \
         a directory may not")
        .required();
    FILE_SD_NAME: Text = Key::new("name", Text::matching("name", ROUTE_NAME),
        "The beginning of the routes' names, before a dash and the target")
        .without("the target alone");
    FILE_SD_PATH: Text = Key::new("path", Text::matching("path", PATH),
        "The path below which each target has a segment of its own")
        .without("`/`");
}

section! {
    UPSTREAM_TLS_KEYS = "proxy.routes.upstream_tls", Guard, "The TLS towards exporters.";
    CA_FILE: Text = Key::new("ca_file", Text::new("path"),
        "The CA of the exporter; the system's CAs are not trusted")
        .required();
    UPSTREAM_CRL_FILE: TextList = Key::new("crl_file", TextList::of(Text::new("path")),
        "Files with certificate revocation lists of the CA, PEM or DER, which the exporter's \
         certificate is checked against")
        .without("certificates are not revoked")
        .protecting("[]");
    SERVER_NAME: Text = Key::new("server_name", Text::new("name"),
        "The name that the exporter's certificate must have. Addresses are not checked, and need one")
        .without("the host of the address");
    UPSTREAM_CERT_FILE: Text = Key::new("cert_file", Text::new("path"),
        "The certificate of the guard, for exporters that ask for one");
    UPSTREAM_KEY_FILE: Text = Key::new("key_file", Text::new("path"),
        "The key of that certificate");
}

section! {
    RULES = "proxy.routes.access", Guard, "A rule. A request meets it if every condition holds; it \
        must have one condition at least, and of `any_user`, `users` and `tokens` one at most.";
    ANY_USER: Boolean = Key::new("any_user", Boolean::new(false), "Any user of `basic_auth_users`")
        .protecting("false");
    USERS: TextList = Key::new("users", TextList::of(Text::new("user name")),
        "One of these users of `basic_auth_users`")
        .protecting("[]");
    RULE_TOKENS: TextList = Key::new("tokens", TextList::of(Text::new("token name")),
        "One of these tokens of `proxy.tokens` and `proxy.tokens_file`")
        .protecting("[]");
    ANY_CLIENT: Boolean = Key::new("any_client", Boolean::new(false),
        "Everybody who gets through a listener that demands certificates");
    CLIENT_NAMES: TextList = Key::new("client_names", TextList::of(Text::new("name")),
        "One of these names in a verified client certificate: a SAN, or `cn:` and the common name")
        .protecting("[]");
    NETWORKS: TextList = Key::new("networks", TextList::of(Text::new("network")),
        "The address of the client in one of these networks, and `unix` for a unix socket")
        .protecting("[]");
}

section! {
    TARGET_GROUP = "group", Guard, "A group of targets: an item of the list that a file of \
        `file_sd_configs` is. The labels `__scheme__`, `__metrics_path__` and `__route__` (the name of \
        the route) are instructions.";
    TARGETS: TextList = Key::new("targets", TextList::of(Text::new("address")),
        "The exporters: `HOST:PORT`");
    GROUP_LABELS: TextMapping = Key::new("labels",
        TextMapping::new("label name", LABEL, Text::new("text")).with_null(),
        "The labels that the targets have in common");
}
