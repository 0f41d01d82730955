//! `proxy.listeners`: listeners with TLS settings of their own, and routes of some listeners only.

use super::*;

/// Any address, so that it is another one than that of the first listener.
const SECOND: &str = "0.0.0.0:0";

/// Three listeners: TLS, TLS with client certificates, and a unix socket without TLS.
struct Site {
    tls: ServerTls,
    second: ServerTls,
    clients: Authority,
}

impl Site {
    fn new() -> Self {
        Self { tls: ServerTls::new(), second: ServerTls::new(), clients: Authority::new("clients") }
    }

    fn builder(&self) -> GuardBuilder {
        let builder = GuardBuilder::new().tls(&self.tls).telemetry();
        let socket = builder.path("guard.sock");
        builder
            .pair("second", &self.second.identity)
            .file("clients.crt", self.clients.pem())
            .arg(format!("--web.listen-address={SECOND}"))
            .arg(format!("--web.listen-address=unix:{}", socket.display()))
    }

    fn client(&self) -> TlsClient {
        TlsClient::new().identity(&self.clients.issue(&Leaf::client()))
    }
}

fn socket(builder: &GuardBuilder) -> String {
    format!("unix:{}", builder.path("guard.sock").display())
}

/// Keys of the `proxy` section.
fn listeners(socket: &str) -> String {
    yaml(&format!(
        "
        listeners:
        - listen_address: {SECOND}
          tls_server_config:
            cert_file: second.crt
            key_file: second.key
            client_ca_file: clients.crt
            client_auth_type: RequireAndVerifyClientCert
        - listen_address: {socket}
          tls_server_config: {{}}
        "
    ))
}

/// A configuration with TLS, a user and these keys of the `proxy` section.
fn with_proxy(keys: &str) -> String {
    guarded() + &proxy(keys)
}

/// What each listener answers, the second one without and with a client certificate; `None` where
/// the handshake fails.
fn statuses(guard: &Guard, site: &Site, target: &str) -> [Option<u16>; 4] {
    let authorization = authorization(SCRAPER);
    statuses_of(guard, site, &get(target, &authorization))
}

fn statuses_of(guard: &Guard, site: &Site, request: &str) -> [Option<u16>; 4] {
    let over_tls = |client: &TlsClient, port: u16| {
        let mut client = client.try_connect(port).ok()?;
        client.send(request);
        client.try_response().ok().map(|answer| answer.status)
    };
    let first = over_tls(&TlsClient::new().trust(&site.tls.ca), guard.port_on("127.0.0.1"));
    let second = guard.port_on("0.0.0.0");
    let without = over_tls(&TlsClient::new().trust(&site.second.ca), second);
    let with_certificate = over_tls(&site.client().trust(&site.second.ca), second);
    let local = Client::unix(&guard.path("guard.sock")).expect("a connection");
    let local = Some({ local }.request(request).status);
    [first, without, with_certificate, local]
}

#[test]
fn each_listener_has_its_tls_and_its_routes() {
    let site = Site::new();
    let [all, one, two] = [Exporter::new(), Exporter::new(), Exporter::new()];
    let builder = site.builder();
    let socket = socket(&builder);
    let routes = yaml(&format!(
        "
        routes:
        - {{path: /all, upstreams: ['{all}']}}
        - {{name: one, path: /x, listeners: ['127.0.0.1:0'], upstreams: ['{one}']}}
        - {{name: two, path: /x, listeners: ['{SECOND}'], upstreams: ['{two}']}}
        - {{name: local, path: /local, listeners: ['{socket}'], upstreams: ['{two}']}}
        "
    ));
    let guard = builder.config(with_proxy(&(listeners(&socket) + &routes))).start();
    assert_eq!(statuses(&guard, &site, "/all/metrics"), [Some(200), None, Some(200), Some(200)]);
    assert_eq!((asked(&one).len(), asked(&two).len()), (0, 0));
    assert_eq!(statuses(&guard, &site, "/x/metrics"), [Some(200), None, Some(200), Some(404)]);
    assert_eq!((asked(&one).len(), asked(&two).len()), (1, 1), "the same path, another route");
    assert_eq!(statuses(&guard, &site, "/local/metrics"), [Some(404), None, Some(404), Some(200)]);

    // Each finds its own.
    let mut local = Client::unix(&guard.path("guard.sock")).expect("a connection");
    let answer = local.get_as(SCRAPER, "/-/targets");
    let found: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let paths: Vec<&str> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|target| target["labels"]["__metrics_path__"].as_str().expect("a path"))
        .collect();
    assert_eq!(paths, ["/all/metrics", "/local/metrics"]);
}

/// Without routes, too.
#[test]
fn one_exporter_is_served_on_several_listeners() {
    let site = Site::new();
    let exporter = Exporter::new();
    let builder = site.builder().upstream(&exporter);
    let config = with_proxy(&listeners(&socket(&builder)));
    let guard = builder.config(config).start();
    assert_eq!(statuses(&guard, &site, "/metrics"), [Some(200), None, Some(200), Some(200)]);
}

/// A certificate that one listener demands does not protect a route on another.
#[test]
fn a_route_for_certificates_alone_is_on_listeners_that_demand_them() {
    let site = Site::new();
    let exporter = Exporter::new();
    let config = |socket: &str, listeners_of_route: &str| {
        let routes = yaml(&format!(
            "
            routes:
            - {{path: /a, upstreams: ['{exporter}']{listeners_of_route}}}
            "
        ));
        TLS.to_owned() + &proxy(&(listeners(socket) + &routes))
    };
    let builder = site.builder();
    let everywhere = config(&socket(&builder), "");
    let failed = builder.config(everywhere).fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("say who may use the route"), "{failed}");

    for more in ["", ", access: [{any_client: true}]"] {
        let builder = site.builder();
        let behind = config(&socket(&builder), &format!(", listeners: ['{SECOND}']{more}"));
        let guard = builder.config(behind).start();
        let anybody = statuses_of(&guard, &site, &get("/a/metrics", ""));
        assert_eq!(anybody, [Some(401), None, Some(200), Some(401)]);
    }
}

#[test]
fn the_certificate_of_one_listener_is_reloaded_alone() {
    let mut site = Site::new();
    let builder = site.builder();
    let config = with_proxy(&listeners(&socket(&builder)));
    let guard = builder.config(config).start();
    let before = statuses(&guard, &site, "/metrics");
    assert_eq!(before, [Some(200), None, Some(200), Some(200)]);
    site.second = ServerTls::new();
    guard.replace("second.key", site.second.identity.key_pem());
    guard.replace("second.crt", site.second.identity.chain_pem());
    let reloaded = guard.wait_generation(2);
    assert_eq!(logfmt::field(&reloaded, "changed"), "certificate");
    assert_eq!(statuses(&guard, &site, "/metrics"), before);
}

/// A file that is cut before the section, or within it, is a weaker one.
#[test]
fn what_a_listener_demands_is_not_lost_by_a_cut() {
    let site = Site::new();
    let builder = site.builder();
    let socket = socket(&builder);
    let own = listeners(&socket);
    let file = |own: &str| with_proxy(&("public_paths: [/-/healthy]\n".to_owned() + own));
    let guard = builder.config(file(&own)).start();
    let before = statuses(&guard, &site, "/metrics");
    let end = own.find("    client_auth_type").expect("the key");
    let no_ca = own[..end].replace("    client_ca_file: clients.crt\n", "");
    let lone_key = no_ca.replace("cert_file: second.crt", "min_version: TLS12");
    let lone_key = lone_key.replace("    key_file: second.key\n", "");
    for (count, (cut, why)) in [
        ("", "weaker client certificates"),
        (&no_ca, "weaker client certificates"),
        (&lone_key, "nothing in it turns TLS on"),
    ]
    .into_iter()
    .enumerate()
    {
        guard.replace("web.yml", file(cut));
        let line = guard.wait_failed_reload(count + 1);
        assert!(line.contains(why), "{line}");
        assert_eq!(statuses(&guard, &site, "/metrics"), before);
    }
    // Said in so many words; that the socket gets the file's TLS takes nothing away.
    let meant = format!("{no_ca}    client_auth_type: NoClientCert\n");
    guard.replace("web.yml", file(&meant));
    guard.wait_generation(2);
}

#[test]
fn a_listener_that_is_not_there_is_an_error() {
    for (section, message) in [
        (
            "listeners: [{listen_address: ':1', tls_server_config: {}}]",
            "proxy.listeners.listen_address: no listener is called",
        ),
        (
            "routes: [{path: /a, upstreams: ['unix:/x'], listeners: [':1']}]",
            "proxy.routes.listeners: no listener is called",
        ),
    ] {
        let config = scraper() + &proxy(section);
        let failed = GuardBuilder::new().config(config).fail_to_start().expect_code(1);
        assert!(failed.stderr.contains(message), "{failed}");
    }
}

#[test]
fn findings_about_listeners_name_line_and_key() {
    for (listener, level, message) in [
        ("{tls_server_config: {}}", "error", "listen_address: missing"),
        ("{listen_address: ':1'}", "error", "write `tls_server_config: {}`"),
        ("{listen_address: ':1', colour: red, tls_server_config: {}}", "error", "unknown key"),
        (
            "{listen_address: ':1', tls_server_config: {min_version: TLS9, cert_file: a}}",
            "error",
            "proxy.listeners.tls_server_config.min_version",
        ),
        (
            "{listen_address: ':1', tls_server_config: {}, certificates: []}",
            "error",
            "there is no TLS",
        ),
        ("{listen_address: ':1', tls_server_config: {}}", "warning", "cross the network in clear"),
    ] {
        let config = scraper()
            + &proxy(&format!(
                "
                listeners:
                - {listener}
                "
            ));
        let (code, said) = check(&config);
        assert_eq!(code, i32::from(level == "error"), "{said}");
        let is_said = |line: &str| {
            line.starts_with(&format!("web.yml:5: {level}: ")) && line.contains(message)
        };
        assert!(said.lines().any(is_said), "{message:?} in\n{said}");
    }
    let twice = "
        listeners:
        - {listen_address: 'unix:/x', tls_server_config: {}}
        - {listen_address: 'unix:/x', tls_server_config: {}}
        ";
    let (_, said) = check(&proxy(twice));
    assert!(said.contains("there twice"), "{said}");
}

/// A name counts only on listeners whose CA it is meant to be signed by.
#[test]
fn client_names_belong_to_one_ca() {
    let (tls, one, two) = (ServerTls::new(), Authority::new("one"), Authority::new("two"));
    let exporter = Exporter::new();
    let start = |second_ca: &str, listeners_of_route: &str| {
        let verify = "
            client_auth_type: VerifyClientCertIfGiven
            client_ca_file: one.crt
            ";
        let keys = yaml(&format!(
            "
            listeners:
            - listen_address: {SECOND}
              tls_server_config:
                cert_file: server.crt
                key_file: server.key
                client_ca_file: {second_ca}
                client_auth_type: VerifyClientCertIfGiven
            routes:
            - path: /a
              upstreams: ['{exporter}']
              access: [{{client_names: [a.example]}}]
              listeners: [{listeners_of_route}]
            "
        ));
        GuardBuilder::new()
            .config(tls_with(verify) + &proxy(&keys))
            .tls(&tls)
            .file("one.crt", one.pem())
            .file("two.crt", two.pem())
            .file("one-again.crt", one.pem())
            .arg(format!("--web.listen-address={SECOND}"))
    };
    let first = "'127.0.0.1:0'";
    let both = format!("{first}, '{SECOND}'");
    for listeners in ["", &both] {
        let failed = start("two.crt", listeners).fail_to_start().expect_code(1);
        assert!(failed.stderr.contains("different CAs"), "{failed}");
        assert!(failed.stderr.contains("limit the route to listeners with one CA"), "{failed}");
    }
    let named = |ca: &Authority| {
        let leaf = Leaf::client().sans(&[San::Dns("a.example")]);
        TlsClient::new().identity(&ca.issue(&leaf))
    };
    let status = |guard: &Guard, ca: &Authority, host: &str| {
        named(ca).connect(guard.port_on(host)).get("/a/metrics").status
    };
    let guard = start("two.crt", first).start();
    assert_eq!(status(&guard, &one, "127.0.0.1"), 200);
    assert_eq!(status(&guard, &two, "0.0.0.0"), 401, "the same name of another CA");
    let guard = start("one-again.crt", "").start();
    assert_eq!([status(&guard, &one, "127.0.0.1"), status(&guard, &one, "0.0.0.0")], [200; 2]);
}
