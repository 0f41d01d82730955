//! Who may use a route.

use super::*;

const TOKEN: &str = "correct-horse-battery-staple";
/// `printf %s correct-horse-battery-staple | sha256sum`
const TOKEN_SHA256: &str = "87cbebfeebc05f7c54ac9336c4b4bbec831227a641951a4bde7edd56020f8590";

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn user(name: &str) -> String {
    format!("Authorization: {}\r\n", basic(name, SCRAPER.1))
}

fn two_users() -> String {
    let hash = quick_hash(SCRAPER.1);
    users(&[("scraper", &hash), ("alice", &hash)])
}

#[test]
fn each_route_has_its_own_rules() {
    let exporter = Exporter::new();
    let route = |path: &str, access: &str| {
        format!("- {{path: {path}, upstreams: ['{exporter}']{access}}}\n")
    };
    let routes = [
        route("/default", ""),
        route("/alice", ", access: [{users: [alice]}]"),
        route("/token", ", access: [{tokens: [ci]}]"),
        route("/either", ", access: [{users: [alice]}, {tokens: [ci]}]"),
        route("/here", ", access: [{any_user: true, networks: ['127.0.0.0/8', '::1']}]"),
        route("/there", ", access: [{any_user: true, networks: [192.0.2.0/24]}]"),
        route("/open", ", access: [{networks: [127.0.0.1]}]"),
        route("/public", ", access: [{users: [alice]}], public_paths: [/metrics]"),
    ];
    let tokens = format!("tokens: {{ci: 'sha256:{TOKEN_SHA256}'}}\n");
    let config = two_users() + &proxy(&(tokens + "routes:\n" + &routes.concat()));
    let guard = GuardBuilder::new().config(config).start();
    let (nobody, scraper, alice) = (String::new(), user("scraper"), user("alice"));
    let (token, wrong) = (bearer(TOKEN), bearer("wrong"));
    for (path, expected) in [
        //           nobody, scraper, alice, token, wrong token
        ("/default", [401, 200, 200, 403, 401]),
        ("/alice", [401, 403, 200, 403, 401]),
        ("/token", [401, 403, 403, 200, 401]),
        ("/either", [401, 403, 200, 200, 401]),
        ("/here", [401, 200, 200, 403, 401]),
        ("/there", [401, 403, 403, 403, 401]),
        ("/open", [200, 200, 200, 200, 401]),
        ("/public", [200, 200, 200, 200, 200]),
        // No route: the same for who has nothing to show.
        ("/absent", [404, 404, 404, 404, 401]),
    ] {
        for (more, expected) in
            [&nobody, &scraper, &alice, &token, &wrong].into_iter().zip(expected)
        {
            let answer = guard.connect().request(get(&format!("{path}/metrics"), more));
            assert_eq!(answer.status, expected, "{path} {more}");
            assert_eq!(answer.header("www-authenticate").is_some(), expected == 401);
        }
    }
    assert!(exporter.requests().iter().all(|request| !request.has("authorization")));
}

/// Without a route that is open to all, a client without credentials cannot find out which routes
/// there are.
#[test]
fn without_credentials_every_route_answers_401() {
    let guard = gateway("- {path: /a, upstreams: ['unix:/x']}\n");
    for target in ["/a/metrics", "/a/debug/pprof", "/b/metrics", "/", "/-/targets"] {
        assert_eq!(guard.connect().get(target).status, 401, "{target}");
    }
    let post =
        guard.connect().request("POST /a/metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(post.status, 401);
}

/// Whatever the rules of a route ask for, a stranger gets the answer of a path without a route.
#[test]
fn without_credentials_no_route_can_be_told_from_none() {
    let (tls, clients) = (ServerTls::new(), Authority::new("clients"));
    let routes = [
        "[{networks: [192.0.2.0/24]}]",
        "[{client_names: [a.example]}]",
        "[{client_names: [a.example], networks: [127.0.0.1]}]",
        "[{any_user: true}]",
        "[{any_user: true, networks: [192.0.2.0/24]}, {networks: [192.0.2.0/24]}]",
    ];
    let count = routes.len();
    let routes = routes.into_iter().enumerate().map(|(number, access)| {
        format!(
            "- {{path: /{number}, name: r{number}, upstreams: ['unix:/x'], access: {access}}}\n"
        )
    });
    let verify = "
        client_auth_type: VerifyClientCertIfGiven
        client_ca_file: ca.crt
        ";
    let config = [tls_with(verify), scraper(), proxy_routes(&routes.collect::<String>())].concat();
    let builder = GuardBuilder::new().config(config).tls(&tls).file("ca.crt", clients.pem());
    let guard = builder.start();
    let other = clients.issue(&Leaf::client().sans(&[San::Dns("b.example")]));
    for client in [TlsClient::new(), TlsClient::new().identity(&other)] {
        let answer = |target: &str| {
            let mut answer = client.connect(guard.port()).get(target);
            answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
            (answer.status, answer.text(), answer.headers)
        };
        let none = answer("/absent/metrics");
        assert_eq!(none.0, 401);
        for number in 0..count {
            for path in ["metrics", "other"] {
                assert_eq!(answer(&format!("/{number}/{path}")), none, "{number}");
            }
        }
    }
    // Who is known learns why.
    let mut known = TlsClient::new().connect(guard.port());
    assert_eq!(known.get_as(SCRAPER, "/0/metrics").status, 403);
    assert_eq!(known.get_as(SCRAPER, "/absent/metrics").status, 404);
    let line = guard.wait_log("the reason", |line| line.contains("without credentials"));
    assert_eq!(logfmt::field(&line, "status"), "401", "{line}");
}

#[test]
fn tokens_come_from_a_file_that_is_watched() {
    let exporter = Exporter::new();
    let config = proxy(&format!(
        "
        tokens_file: tokens.yml
        routes:
        - path: /a
          upstreams: ['{exporter}']
          access: [{{tokens: [ci]}}]
        "
    ));
    let tokens = |digest: &str| format!("ci: sha256:{digest}\n");
    let guard = GuardBuilder::new().config(config).file("tokens.yml", tokens(TOKEN_SHA256)).start();
    let status = || guard.connect().request(get("/a/metrics", &bearer(TOKEN))).status;
    assert_eq!(status(), 200);
    guard.replace("tokens.yml", tokens(&"0".repeat(64)));
    guard.wait_generation(2);
    assert_eq!(status(), 401);
}

/// With bcrypt nothing tells which hash a token belongs to: each is tried, and what was right is
/// remembered.
#[test]
fn tokens_with_bcrypt_hashes_are_admitted() {
    let exporter = Exporter::new();
    let long = "l".repeat(72);
    let config = yaml(&format!(
        "
        proxy:
          tokens:
            one: {}
            two: {}
            long: {}
            quick: sha256:{TOKEN_SHA256}
          routes:
          - path: /any
            upstreams: ['{exporter}']
            access: [{{tokens: [one, two, long, quick]}}]
          - path: /two
            upstreams: ['{exporter}']
            access: [{{tokens: [two]}}]
        ",
        quick_hash("first"),
        guard::hash("second", 10),
        quick_hash(&long)
    ));
    let guard = GuardBuilder::new().config(&config).start();
    let ask = |path: &str, token: &str| {
        guard.connect().request(get(&format!("{path}/metrics"), &bearer(token))).status
    };
    for _ in 0..2 {
        for token in ["first", "second", &long, TOKEN] {
            assert_eq!(ask("/any", token), 200, "{token}");
        }
        assert_eq!(ask("/two", "second"), 200);
        assert_eq!(ask("/two", "first"), 403);
        // bcrypt reads 72 bytes.
        for token in ["third", "", &format!("{long}x"), "firs", "first second"] {
            assert_eq!(ask("/any", token), 401, "{token:?}");
        }
    }
    // A hash that is taken away admits no token, and one that stays still does.
    let without = config.lines().filter(|line| !line.contains("one:"));
    let without: String = without.map(|line| line.replace("[one, ", "[") + "\n").collect();
    guard.replace("web.yml", without);
    guard.wait_generation(2);
    assert_eq!(ask("/any", "first"), 401);
    assert_eq!(ask("/any", "second"), 200);
}

#[test]
fn a_route_admits_certificates_by_their_names() {
    let exporter = Exporter::new();
    let (tls, clients) = (ServerTls::new(), Authority::new("clients"));
    let route = |path: &str, names: &str| {
        let access = format!("access: [{{client_names: [{names}]}}]");
        format!("- {{path: {path}, upstreams: ['{exporter}'], {access}}}\n")
    };
    let routes = [
        route("/dns", "a.example, b.example"),
        route("/spiffe", "'spiffe://example/prometheus'"),
        route("/ip", "192.0.2.7"),
        route("/cn", "'cn:client'"),
        route("/no-cn", "client"),
    ];
    let verify = "
        client_auth_type: VerifyClientCertIfGiven
        client_ca_file: ca.crt
        ";
    let config = tls_with(verify) + &proxy_routes(&routes.concat());
    let builder = GuardBuilder::new().config(config).tls(&tls).file("ca.crt", clients.pem());
    let guard = builder.start();
    let reached = |client: &TlsClient| -> Vec<&str> {
        let all = ["/dns", "/spiffe", "/ip", "/cn", "/no-cn"];
        let mut connection = client.connect(guard.port());
        all.into_iter()
            .filter(|path| match connection.get(&format!("{path}/metrics")).status {
                200 => true,
                // The second for a client that no route admits.
                403 | 401 => false,
                other => panic!("{path}: {other}"),
            })
            .collect()
    };
    let client =
        |sans: &[San]| TlsClient::new().identity(&clients.issue(&Leaf::client().sans(sans)));
    assert_eq!(reached(&TlsClient::new()), Vec::<&str>::new());
    assert_eq!(reached(&client(&[San::Dns("b.example")])), ["/dns", "/cn"]);
    assert_eq!(reached(&client(&[San::Uri("spiffe://example/prometheus")])), ["/spiffe", "/cn"]);
    assert_eq!(reached(&client(&[San::Ip("192.0.2.7".parse().unwrap())])), ["/ip", "/cn"]);
    assert_eq!(reached(&client(&[])), ["/cn"]);

    // A resumed session has shown the same.
    let resuming = client(&[San::Dns("a.example")]);
    assert_eq!(reached(&resuming), ["/dns", "/cn"]);
    let session = resuming.last_session().expect("a session");
    assert_eq!(reached(&resuming.resume(session)), ["/dns", "/cn"]);
}
