//! One exporter behind the guard: everything that a route can say stands directly under `proxy`.

use crate::support::real::{NodeExporter, PrometheusDir};
use crate::support::*;

const TOKEN: &str = "correct-horse-battery-staple";
/// `printf %s correct-horse-battery-staple | sha256sum`
const TOKEN_SHA256: &str = "87cbebfeebc05f7c54ac9336c4b4bbec831227a641951a4bde7edd56020f8590";

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn user() -> String {
    format!("Authorization: {}\r\n", basic(SCRAPER.0, SCRAPER.1))
}

fn status(guard: &Guard, head: String) -> u16 {
    let mut client = guard.connect();
    client.send(head);
    client.head().status
}

/// A file with a token, and these rules for `proxy.access`.
fn with_token(rules: &str) -> String {
    format!("proxy:\n  tokens:\n    prometheus: sha256:{TOKEN_SHA256}\n  access:\n{rules}")
}

#[test]
fn prometheus_scrapes_a_sidecar_with_a_bearer_token() {
    let exporter = NodeExporter::new();
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", with_token("  - tokens: [prometheus]\n"));
    let guard = GuardBuilder::new().config(config).tls(&tls).upstream(exporter.url()).start();
    let dir = PrometheusDir::new();
    dir.write("ca.crt", tls.ca.pem());
    dir.write("token", "wrong");
    let job = "    tls_config:
      ca_file: ca.crt
    authorization:
      credentials_file: token
";
    let prometheus = dir.start(guard.port(), job);
    let error = prometheus.wait_down();
    assert!(error.contains("401"), "{error}");
    prometheus.write("token", TOKEN);
    prometheus.wait_up();
}

#[test]
fn prometheus_scrapes_a_sidecar_that_asks_for_its_network_and_certificate_name() {
    let exporter = NodeExporter::new();
    let (tls, clients) = (ServerTls::new(), Authority::new("clients"));
    let config = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients.crt
proxy:
  access:
  - client_names: [prometheus.example]
    networks: [127.0.0.0/8]
"
    );
    let guard = GuardBuilder::new()
        .config(config)
        .tls(&tls)
        .file("clients.crt", clients.pem())
        .upstream(exporter.url())
        .start();
    let dir = PrometheusDir::new();
    let named = |name| clients.issue(&Leaf::client().sans(&[San::Dns(name)]));
    let identity = named("prometheus.example");
    dir.write("ca.crt", tls.ca.pem());
    dir.write("client.crt", identity.chain_pem());
    dir.write("client.key", identity.key_pem());
    let job = "    tls_config:
      ca_file: ca.crt
      cert_file: client.crt
      key_file: client.key
";
    dir.start(guard.port(), job).wait_up();
    let other = TlsClient::new().identity(&named("other.example"));
    assert_eq!(other.connect(guard.port()).get("/metrics").status, 401);
}

#[test]
fn access_rules_decide_as_on_a_route() {
    let exporter = Exporter::new();
    let guard = |rules: &str| {
        let config = format!("{}{}", scraper(), with_token(rules));
        GuardBuilder::new().config(config).upstream(&exporter).start()
    };
    let heads = ["".to_owned(), user(), bearer(TOKEN), bearer("wrong")];
    for (rules, expected) in [
        ("  - any_user: true\n", [401, 200, 403, 401]),
        ("  - tokens: [prometheus]\n", [401, 403, 200, 401]),
        ("  - users: [scraper]\n  - tokens: [prometheus]\n", [401, 200, 200, 401]),
        ("  - networks: [127.0.0.1]\n", [200, 200, 200, 401]),
        ("  - networks: [192.0.2.0/24]\n", [401, 403, 403, 401]),
    ] {
        let guard = guard(rules);
        for (head, expected) in heads.iter().zip(expected) {
            assert_eq!(status(&guard, get("/metrics", head)), expected, "{rules}{head}");
        }
    }
}

#[test]
fn methods_paths_and_targets_are_checked_as_on_a_route() {
    let exporter = Exporter::new();
    let config = "proxy:
  methods: [GET]
  paths: [/metrics, /probe]
  allowed_targets: [a.example]
";
    let guard = GuardBuilder::new().config(open(config)).upstream(&exporter).start();
    assert_eq!(status(&guard, get("/metrics", "")), 200);
    assert_eq!(status(&guard, get("/probe?target=a.example", "")), 200);
    assert_eq!(status(&guard, get("/probe?target=b.example", "")), 403);
    assert_eq!(status(&guard, get("/other", "")), 404);
    assert_eq!(status(&guard, get("/%6detrics", "")), 400);
    assert_eq!(status(&guard, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()), 405);
    let reached: Vec<String> = exporter.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(reached, ["/metrics", "/probe?target=a.example"]);
}

#[test]
fn without_any_of_these_keys_every_method_and_path_is_forwarded() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    for target in ["/x%2fy", "/-/targets", "/a//b", "/debug/pprof/heap"] {
        assert_eq!(status(&guard, get(target, &user())), 200, "{target}");
    }
    let post = format!("POST /x HTTP/1.1\r\nHost: a\r\n{}Content-Length: 0\r\n\r\n", user());
    assert_eq!(status(&guard, post), 200);
    assert_eq!(exporter.requests().len(), 5);
}

#[test]
fn without_users_and_rules_credentials_are_not_looked_at() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    for head in [user(), bearer("anything"), "Authorization: Nonsense\r\n".to_owned()] {
        assert_eq!(status(&guard, get("/metrics", &head)), 200, "{head}");
    }
}

#[test]
fn identical_scrapes_share_an_answer() {
    let exporter = Exporter::new();
    let config = format!("{}proxy:\n  cache_for: 1m\n", scraper());
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    for _ in 0..3 {
        assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200);
    }
    assert_eq!(exporter.requests().len(), 1);
}

#[test]
fn labels_make_service_discovery_name_the_exporter() {
    let exporter = Exporter::new();
    let config = format!("{}proxy:\n  labels: {{team: infra}}\n", scraper());
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    assert_eq!(status(&guard, get("/-/targets", "")), 401);
    let targets = guard.connect().get_as(SCRAPER, "/-/targets");
    let targets: serde_json::Value = serde_json::from_slice(&targets.body).unwrap();
    assert_eq!(targets[0]["labels"]["team"], "infra", "{targets}");
    assert_eq!(targets[0]["labels"]["__metrics_path__"], "/metrics", "{targets}");
    assert!(exporter.requests().is_empty());
}

#[test]
fn tokens_that_no_rule_asks_for_are_refused_at_start() {
    let config = format!("proxy:\n  tokens:\n    prometheus: sha256:{TOKEN_SHA256}\n");
    let failed = GuardBuilder::new().config(config).fail_to_start();
    assert_eq!(failed.code, Some(1), "{failed}");
    assert!(failed.stderr.contains("no rule of proxy.access asks for tokens"), "{failed}");
}

#[test]
fn keys_under_proxy_are_the_defaults_of_every_route() {
    let exporter = Exporter::new();
    let config = format!(
        "{}proxy:
  tokens:
    prometheus: sha256:{TOKEN_SHA256}
  access:
  - tokens: [prometheus]
  methods: [GET]
  paths: [/metrics, /probe]
  public_paths: [/healthy]
  labels: {{team: infra, tier: one}}
  routes:
  - path: /inherits
    upstreams: ['{exporter}']
  - path: /own
    upstreams: ['{exporter}']
    access: [{{any_user: true}}]
    paths: [/other]
    public_paths: []
    labels: {{tier: two}}
",
        scraper()
    );
    let guard = GuardBuilder::new().config(config).start();
    let token = bearer(TOKEN);
    for (target, head, expected) in [
        ("/inherits/metrics", token.as_str(), 200),
        ("/inherits/probe", &token, 200),
        ("/inherits/other", &token, 404),
        ("/inherits/healthy", "", 200),
        ("/inherits/metrics", &user(), 403),
        ("/own/other", &user(), 200),
        ("/own/metrics", &user(), 404),
        ("/own/healthy", "", 401),
    ] {
        assert_eq!(status(&guard, get(target, head)), expected, "{target} {head}");
    }
    let targets = guard.connect().get_as(SCRAPER, "/-/targets");
    let targets: serde_json::Value = serde_json::from_slice(&targets.body).unwrap();
    assert_eq!(targets[0]["labels"]["team"], "infra", "{targets}");
    assert_eq!(targets[0]["labels"]["tier"], "two", "{targets}");
}

#[test]
fn a_reload_that_drops_a_rule_is_refused() {
    let exporter = Exporter::new();
    let rules = "  - tokens: [prometheus]\n    networks: [127.0.0.0/8]\n";
    let guard = GuardBuilder::new()
        .config(format!("{TLS}{}", with_token(rules)))
        .tls(&ServerTls::new())
        .upstream(&exporter)
        .telemetry()
        .start();
    // The same file, cut in the middle of the rule, and before it.
    let cut = format!("{TLS}{}", with_token("  - networks: [127.0.0.0/8]\n"));
    for (number, file) in (1..).zip([cut, TLS.to_owned()]) {
        guard.replace("web.yml", file);
        guard.wait_stderr("the refusal", number, |line| line.contains("Reload failed"));
        assert_eq!(guard.metric("exporter_guard_config_generation"), 1.0);
    }
}
