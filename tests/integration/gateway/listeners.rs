//! `proxy.listeners`: doors with a TLS of their own, and routes that are behind some of them.

use super::*;

/// Any address, so that it is another one than that of the first listener.
const SECOND: &str = "0.0.0.0:0";

/// Three doors: TLS, TLS with client certificates, and a unix socket without TLS.
struct House {
    tls: ServerTls,
    second: ServerTls,
    clients: Authority,
}

impl House {
    fn new() -> Self {
        Self { tls: ServerTls::new(), second: ServerTls::new(), clients: Authority::new("clients") }
    }

    fn builder(&self) -> GuardBuilder {
        let builder = GuardBuilder::new().tls(&self.tls).telemetry();
        let socket = builder.path("guard.sock");
        builder
            .file("second.crt", self.second.identity.chain_pem())
            .file("second.key", self.second.identity.key_pem())
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

fn listeners(socket: &str) -> String {
    format!(
        "  listeners:\n  - listen_address: {SECOND}\n    tls_server_config:\n      \
         cert_file: second.crt\n      key_file: second.key\n      client_ca_file: clients.crt\n      \
         client_auth_type: RequireAndVerifyClientCert\n  - listen_address: {socket}\n    \
         tls_server_config: {{}}\n"
    )
}

/// By each door: what it answers, `None` where it stays shut.
fn statuses(guard: &Guard, house: &House, target: &str) -> [Option<u16>; 4] {
    let authorization = format!("Authorization: {}\r\n", basic(SCRAPER.0, SCRAPER.1));
    statuses_of(guard, house, &get(target, &authorization))
}

fn statuses_of(guard: &Guard, house: &House, request: &str) -> [Option<u16>; 4] {
    let over_tls = |client: &TlsClient, port: u16| {
        let mut client = client.try_connect(port).ok()?;
        client.send(request);
        client.try_response().ok().map(|answer| answer.status)
    };
    let first = over_tls(&TlsClient::new().trust(&house.tls.ca), guard.port_on("127.0.0.1"));
    let second = guard.port_on("0.0.0.0");
    let stranger = over_tls(&TlsClient::new().trust(&house.second.ca), second);
    let friend = over_tls(&house.client().trust(&house.second.ca), second);
    let local = Client::unix(&guard.path("guard.sock")).expect("a connection");
    let local = Some({ local }.request(request).status);
    [first, stranger, friend, local]
}

#[test]
fn each_has_its_tls_and_its_routes() {
    let house = House::new();
    let [all, one, two] = [Exporter::new(), Exporter::new(), Exporter::new()];
    let builder = house.builder();
    let socket = socket(&builder);
    let config = format!(
        "{TLS}{}proxy:\n{}  routes:\n\
         \x20 - {{path: /all, upstreams: ['{all}']}}\n\
         \x20 - {{name: one, path: /x, listeners: ['127.0.0.1:0'], upstreams: ['{one}']}}\n\
         \x20 - {{name: two, path: /x, listeners: ['{SECOND}'], upstreams: ['{two}']}}\n\
         \x20 - {{name: local, path: /local, listeners: ['{socket}'], upstreams: ['{two}']}}\n",
        scraper(),
        listeners(&socket)
    );
    let guard = builder.config(config).start();
    assert_eq!(statuses(&guard, &house, "/all/metrics"), [Some(200), None, Some(200), Some(200)]);
    assert_eq!((asked(&one).len(), asked(&two).len()), (0, 0));
    assert_eq!(statuses(&guard, &house, "/x/metrics"), [Some(200), None, Some(200), Some(404)]);
    assert_eq!((asked(&one).len(), asked(&two).len()), (1, 1), "the same path, another route");
    assert_eq!(statuses(&guard, &house, "/local/metrics"), [Some(404), None, Some(404), Some(200)]);

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
fn one_exporter_may_have_several_doors() {
    let house = House::new();
    let exporter = Exporter::new();
    let builder = house.builder().upstream(&exporter);
    let config = format!("{TLS}{}proxy:\n{}", scraper(), listeners(&socket(&builder)));
    let guard = builder.config(config).start();
    assert_eq!(statuses(&guard, &house, "/metrics"), [Some(200), None, Some(200), Some(200)]);
}

/// What one door demands another does not make good.
#[test]
fn a_route_that_certificates_alone_open_is_behind_doors_that_demand_them() {
    let house = House::new();
    let exporter = Exporter::new();
    let config = |socket: &str, listeners_of_route: &str| {
        format!(
            "{TLS}proxy:\n{}  routes:\n\
             \x20 - {{path: /a, upstreams: ['{exporter}']{listeners_of_route}}}\n",
            listeners(socket)
        )
    };
    let builder = house.builder();
    let everywhere = config(&socket(&builder), "");
    let failed = builder.config(everywhere).fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("say who may use the route"), "{failed}");

    for more in ["", ", access: [{any_client: true}]"] {
        let builder = house.builder();
        let behind = config(&socket(&builder), &format!(", listeners: ['{SECOND}']{more}"));
        let guard = builder.config(behind).start();
        let anybody = statuses_of(&guard, &house, &get("/a/metrics", ""));
        assert_eq!(anybody, [Some(401), None, Some(200), Some(401)]);
    }
}

#[test]
fn each_is_reloaded_by_itself() {
    let mut house = House::new();
    let builder = house.builder();
    let config = format!("{TLS}{}proxy:\n{}", scraper(), listeners(&socket(&builder)));
    let guard = builder.config(config).start();
    let before = statuses(&guard, &house, "/metrics");
    assert_eq!(before, [Some(200), None, Some(200), Some(200)]);
    house.second = ServerTls::new();
    guard.replace("second.key", house.second.identity.key_pem());
    guard.replace("second.crt", house.second.identity.chain_pem());
    let reloaded = guard.wait_generation(2);
    assert_eq!(logfmt::field(&reloaded, "changed"), "certificate");
    assert_eq!(statuses(&guard, &house, "/metrics"), before);
}

/// A file that is cut before the section, or within it, is a weaker one.
#[test]
fn what_a_listener_demands_is_not_lost_by_a_cut() {
    let house = House::new();
    let builder = house.builder();
    let socket = socket(&builder);
    let own = listeners(&socket);
    let file = |own: &str| format!("{TLS}{}proxy:\n  public_paths: [/-/healthy]\n{own}", scraper());
    let guard = builder.config(file(&own)).start();
    let before = statuses(&guard, &house, "/metrics");
    let end = own.find("      client_auth_type").expect("the key");
    let no_ca = own[..end].replace("      client_ca_file: clients.crt\n", "");
    let lone_key = no_ca.replace("cert_file: second.crt", "min_version: TLS12");
    let lone_key = lone_key.replace("      key_file: second.key\n", "");
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
        assert_eq!(statuses(&guard, &house, "/metrics"), before);
    }
    // Said in so many words; that the socket gets the file's TLS takes nothing away.
    let meant = format!("{no_ca}      client_auth_type: NoClientCert\n");
    guard.replace("web.yml", file(&meant));
    guard.wait_generation(2);
}

#[test]
fn a_listener_that_is_not_there_is_an_error() {
    for (section, message) in [
        (
            "  listeners: [{listen_address: ':1', tls_server_config: {}}]\n",
            "proxy.listeners.listen_address: no listener is called",
        ),
        (
            "  routes: [{path: /a, upstreams: ['unix:/x'], listeners: [':1']}]\n",
            "proxy.routes.listeners: no listener is called",
        ),
    ] {
        let config = format!("{}proxy:\n{section}", scraper());
        let failed = GuardBuilder::new().config(config).fail_to_start().expect_code(1);
        assert!(failed.stderr.contains(message), "{failed}");
    }
}

#[test]
fn what_is_wrong_is_said() {
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
        let config = format!("{}proxy:\n  listeners:\n  - {listener}\n", scraper());
        let (code, said) = check(&config);
        assert_eq!(code, i32::from(level == "error"), "{said}");
        let is_said = |line: &str| {
            line.starts_with(&format!("web.yml:5: {level}: ")) && line.contains(message)
        };
        assert!(said.lines().any(is_said), "{message:?} in\n{said}");
    }
    let twice = "  - {listen_address: 'unix:/x', tls_server_config: {}}\n".repeat(2);
    let (_, said) = check(&format!("proxy:\n  listeners:\n{twice}"));
    assert!(said.contains("there twice"), "{said}");
}
