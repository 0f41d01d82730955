//! One request over both versions: refused by both, or forwarded by both with the same target.

use super::guarded_exporter;
use super::message::{Message, Outcome};
use super::targets::{WRONG_AUTHORITIES, wrong_paths};
use crate::support::*;

/// What becomes of a target: the one that the exporter is asked for, or the status of a refusal; `None`
/// without an answer.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Forwarded(String),
    Refused(Option<u16>),
}

struct Versions {
    exporter: Exporter,
    guard: Guard,
    login: bool,
}

impl Versions {
    fn fate(&self, before: usize, status: Option<u16>) -> Fate {
        match (&self.exporter.requests()[before..], status) {
            ([request], Some(200)) => Fate::Forwarded(request.target.clone()),
            ([], status) => Fate::Refused(status),
            (requests, status) => panic!("{status:?} and {requests:#?}"),
        }
    }

    #[track_caller]
    fn check(&self, targets: Vec<(&str, Fate, Fate)>) {
        for (target, http1, http2) in targets {
            assert_eq!(self.over_http1(target.as_bytes()), http1, "{target} over HTTP/1");
            assert_eq!(self.over_http2(target.as_bytes()), http2, "{target} over HTTP/2");
        }
    }

    fn over_http1(&self, target: &[u8]) -> Fate {
        self.over_http1_at("localhost", target)
    }

    fn over_http1_at(&self, host: &str, target: &[u8]) -> Fate {
        let before = self.exporter.requests().len();
        let mut client = TlsClient::new().connect(self.guard.port());
        let fields = if self.login { authorization(SCRAPER) } else { String::new() };
        let rest = format!(" HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        client.send([b"GET ", target, rest.as_bytes()].concat());
        client.finish_sending();
        self.fate(before, client.head_or_close().map(|response| response.status))
    }

    fn over_http2(&self, target: &[u8]) -> Fate {
        let before = self.exporter.requests().len();
        let message = Message::get().set(":path", target);
        let outcome = message.exchange(self.guard.port(), &<[u8]>::to_vec, self.login);
        let status = match outcome {
            Outcome::Answered(status) => Some(status),
            Outcome::Reset(_) | Outcome::Closed => None,
        };
        self.fate(before, status)
    }
}

/// Every byte but `#`, of which the h2 crate says nothing, and characters beyond ASCII, in a path and
/// in a query.
#[test]
fn every_byte_of_a_target_is_treated_alike() {
    let (exporter, guard) = guarded_exporter();
    let versions = Versions { exporter, guard, login: true };
    let mut forwarded = 0;
    let bytes = (0..=u8::MAX).filter(|byte| *byte != b'#').map(|byte| vec![byte]);
    let characters = ["\u{80}", "\u{e9}", "\u{2028}", "\u{ff0f}", "\u{1f511}"];
    for piece in bytes.chain(characters.map(Vec::from)) {
        for before in ["/x", "/x?"] {
            let target = [before.as_bytes(), &piece, b"y"].concat();
            let over = (versions.over_http1(&target), versions.over_http2(&target));
            let shown = target.escape_ascii();
            match over {
                (Fate::Forwarded(first), Fate::Forwarded(second)) => {
                    forwarded += 1;
                    assert_eq!((first.as_bytes(), second.as_bytes()), (&target[..], &target[..]));
                }
                (Fate::Refused(_), Fate::Refused(_)) => {}
                other => panic!("{shown}: {other:?}"),
            }
        }
    }
    assert!((150..=2 * 94).contains(&forwarded), "{forwarded}");
}

/// What the rows of HTTP/2 have for wrong, and HTTP/1 can say: it has the absolute-form, and line ends
/// and blanks around values mean something in it.
#[test]
fn wrong_targets_and_hosts_are_refused_over_http1_too() {
    let (exporter, guard) = guarded_exporter();
    let versions = Versions { exporter, guard, login: true };
    let is_said = |path: &String| {
        let absolute = path.to_ascii_lowercase().contains("://localhost");
        !absolute && !path.contains("HTTP/1.1")
    };
    let paths: Vec<String> = wrong_paths().into_iter().filter(is_said).collect();
    let hosts: Vec<&str> = WRONG_AUTHORITIES
        .into_iter()
        .filter(|host| *host == host.trim() && !host.contains('\n'))
        .collect();
    assert!(paths.len() >= 45 && hosts.len() >= 25, "{} {}", paths.len(), hosts.len());
    for path in paths {
        let fate = versions.over_http1(path.as_bytes());
        assert!(matches!(fate, Fate::Refused(_)), "{path:?}: {fate:?}");
    }
    for host in hosts {
        let fate = versions.over_http1_at(host, b"/");
        assert_eq!(fate, Fate::Refused(Some(400)), "{host:?}");
    }
}

/// The targets that are public, or look so, with what either version makes of them.
fn public_targets() -> Vec<(&'static str, Fate, Fate)> {
    let alike = |target: &'static str, status: u16| {
        (target, Fate::Refused(Some(status)), Fate::Refused(Some(status)))
    };
    let healthy = || Fate::Forwarded("/-/healthy".to_owned());
    let refused = |status| Fate::Refused(Some(status));
    vec![
        ("/-/healthy", healthy(), healthy()),
        // The h2 crate has taken the fragment away: it is the public path, and nothing else is asked.
        ("/-/healthy#", refused(400), healthy()),
        ("/-/healthy#x", refused(400), healthy()),
        ("/-/healthy#/../../metrics", refused(400), healthy()),
        ("/-/healthy#?/metrics", refused(400), healthy()),
        ("/-/healthy?#x", refused(400), refused(401)),
        ("/metrics#/-/healthy", refused(400), refused(401)),
        ("/#/-/healthy", refused(400), refused(401)),
        ("#/-/healthy", refused(400), refused(400)),
        alike("/-/healthy?", 401),
        alike("/-/healthy?x", 401),
        alike("/metrics?/-/healthy", 401),
        alike("?/-/healthy", 400),
        alike("?", 400),
        alike("*", 400),
        alike("/-/healthy/", 401),
        alike("//-/healthy", 401),
        alike("/-/healthy%23x", 401),
        alike("/-/healthy%3fx", 401),
        alike("/-/healthy\u{e9}", 400),
        alike("/-/\u{e9}/../healthy", 400),
        // Over HTTP/2 an absolute-form is no path.
        ("http://localhost/-/healthy", refused(401), Fate::Refused(None)),
        ("https://localhost/-/healthy", refused(401), Fate::Refused(None)),
        ("https://localhost/metrics", refused(401), Fate::Refused(None)),
        ("https://elsewhere/-/healthy", refused(400), Fate::Refused(None)),
        ("-/healthy", refused(400), Fate::Refused(None)),
    ]
}

#[test]
fn a_public_path_is_one_over_either_version_and_nothing_like_it() {
    let exporter = Exporter::new();
    let config = guarded() + &proxy("public_paths: [/-/healthy]");
    let builder = GuardBuilder::new().config(config).tls(&ServerTls::new());
    let guard = builder.upstream(&exporter).start();
    let versions = Versions { exporter, guard, login: false };
    versions.check(public_targets());
}

/// On a route, the path alone decides: any query passes.
#[test]
fn a_public_path_of_a_route_is_one_over_either_version_and_nothing_like_it() {
    let exporter = Exporter::new();
    let routes = yaml(&format!(
        "
        routes:
          - {{path: /node, upstreams: ['{exporter}'], public_paths: [/-/healthy]}}
        "
    ));
    let builder = GuardBuilder::new().config(guarded() + &proxy(&routes)).tls(&ServerTls::new());
    let versions = Versions { guard: builder.start(), exporter, login: false };
    let forwarded = |target: &str| Fate::Forwarded(target.to_owned());
    let refused = |status| Fate::Refused(Some(status));
    versions.check(vec![
        ("/node/-/healthy", forwarded("/-/healthy"), forwarded("/-/healthy")),
        ("/node/-/healthy?x", forwarded("/-/healthy?x"), forwarded("/-/healthy?x")),
        ("/node/-/healthy#x", refused(400), forwarded("/-/healthy")),
        ("/node/-/healthy#/../metrics", refused(400), forwarded("/-/healthy")),
        ("/node/metrics#/-/healthy", refused(400), refused(401)),
        ("/node#/-/healthy", refused(400), refused(401)),
        ("/node/metrics?/-/healthy", refused(401), refused(401)),
        ("/node/-/healthy%23x", refused(400), refused(400)),
        ("/node/-/healthy\u{e9}", refused(400), refused(400)),
        ("/node/metrics/../-/healthy", refused(400), refused(400)),
        ("?/node/-/healthy", refused(400), refused(400)),
        ("*", refused(400), refused(400)),
        ("https://localhost/node/-/healthy", forwarded("/-/healthy"), Fate::Refused(None)),
        ("https://localhost/node/metrics", refused(401), Fate::Refused(None)),
    ]);
}
