//! Benchmarks of the cost of one request and of one reload, in process.

use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use exporter_guard::auth::{Origin, Presented, Tokens, Users, Verifier, authenticate};
use exporter_guard::config::ClientNetwork;
use exporter_guard::config::Upstream;
use exporter_guard::connection::budget::MemoryBudget;
use exporter_guard::connection::handshake::establish;
use exporter_guard::connection::limits::{ConnectionLimits, ConnectionTracker};
use exporter_guard::connection::serve::{Admitted, serve};
use exporter_guard::connection::{Bound, Peer, SocketIo};
use exporter_guard::observe::Metrics;
use exporter_guard::observe::access_log::AccessLogMode;
use exporter_guard::proxy::{Guard, engine};
use exporter_guard::snapshot::load::load;
use exporter_guard::snapshot::{Current, Snapshot};

/// The bcrypt cost: the lowest, since each step doubles the time of the benchmarks of failed
/// logins.
const COST: u32 = 4;

/// A source that the login throttle never delays.
const ORIGIN: Origin = Origin { source: ClientNetwork::Local, max_failures: u32::MAX };

fn web_config(directory: &Path, users: usize) -> std::path::PathBuf {
    let path = directory.join("web.yml");
    let hash = bcrypt::hash("password", COST).expect("hash");
    let mut file = std::fs::File::create(&path).expect("create");
    writeln!(file, "basic_auth_users:").expect("write");
    for user in 0..users {
        writeln!(file, "  user{user}: {hash}").expect("write");
    }
    path
}

fn users(count: usize) -> Users {
    let directory = tempfile::tempdir().expect("directory");
    let Ok(loaded) = load(&web_config(directory.path(), count)) else { panic!("config") };
    Users::new(&loaded.config.users, None)
}

fn authorization(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let verifier = Verifier::default();
    // user0:password, user0:wrong, nobody:wrong
    let requests: [(&str, &[u8], bool); 3] = [
        ("hit", b"Basic dXNlcjA6cGFzc3dvcmQ=", true),
        ("wrong password", b"Basic dXNlcjA6d3Jvbmc=", false),
        ("unknown user", b"Basic bm9ib2R5Ondyb25n", false),
    ];
    for count in [1, 10_000] {
        let (users, tokens) = (users(count), Tokens::default());
        for (name, header, admitted) in requests {
            c.bench_function(&format!("authorization/{count} users/{name}"), |b| {
                b.iter(|| {
                    let result = runtime.block_on(authenticate(
                        (&users, &tokens),
                        &verifier,
                        ORIGIN,
                        &Presented {
                            authorization: &[black_box(header)],
                            address: None,
                            names: None,
                        },
                    ));
                    assert_eq!(result.is_ok(), admitted);
                });
            });
        }
    }
}

fn config_load(c: &mut Criterion) {
    for count in [1, 1_000] {
        let directory = tempfile::tempdir().expect("directory");
        let path = web_config(directory.path(), count);
        c.bench_function(&format!("config load/{count} users"), |b| {
            b.iter(|| assert!(load(black_box(&path)).is_ok()));
        });
    }
}

fn with_routes(directory: &Path, routes: usize) -> std::path::PathBuf {
    let path = web_config(directory, 1);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
    writeln!(file, "proxy:\n  routes:").expect("write");
    for route in 0..routes {
        let address = format!("http://127.0.0.1:{}", 10_000 + route);
        writeln!(file, "  - path: /exporters/{route}\n    strip_path: true").expect("write");
        writeln!(file, "    upstreams: [{address}]\n    hosts: [a.example]").expect("write");
        writeln!(file, "    access:\n    - users: [user0]\n      networks: [10.0.0.0/8]")
            .expect("write");
    }
    path
}

fn routing(c: &mut Criterion) {
    for count in [1, 1_000] {
        let directory = tempfile::tempdir().expect("directory");
        let path = with_routes(directory.path(), count);
        c.bench_function(&format!("config load and build/{count} routes"), |b| {
            b.iter(|| {
                let Ok(loaded) = load(black_box(&path)) else { panic!("config") };
                assert!(Snapshot::build(loaded, &Upstream::Own, None).is_ok());
            });
        });
        let Ok(loaded) = load(&path) else { panic!("config") };
        let snapshot = Snapshot::build(loaded, &Upstream::Own, None).expect("snapshot");
        let routes = snapshot.routes;
        c.bench_function(&format!("routing/{count} routes"), |b| {
            b.iter(|| {
                let host = black_box("a.example:9443");
                assert!(
                    routes.find(":9443", host, None, black_box("/exporters/0/metrics")).is_some()
                );
            });
        });
    }
}

/// Measures a request over a loopback connection to an engine in this process: everything but TLS
/// and the exporter.
fn request(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("directory");
    let Ok(loaded) = load(&web_config(directory.path(), 1)) else { panic!("config") };
    let snapshot = Snapshot::build(loaded, &Upstream::Own, None).expect("snapshot");
    let limits = snapshot.limits().clone();
    let current = Arc::new(Current::from_pointee(snapshot));
    let guard =
        Guard::new(current, Arc::new(Metrics::default()), Arc::default(), AccessLogMode::Off);
    let engine = engine(guard).expect("engine");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let Some(bound) = Bound::bind(&"127.0.0.1:0".parse().expect("address")).expect("bind").pop()
    else {
        panic!("no socket")
    };
    let address = bound.address.clone();
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let _context = runtime.enter();
    let listener = bound.listen().expect("listen");
    runtime.spawn(async move {
        let (socket, address) = listener.accept().await;
        let io = SocketIo::new(socket, limits.write_timeout);
        let peer = Arc::new(Peer::new(
            Arc::clone(&listener.name),
            address,
            None,
            Arc::clone(&io.deadline),
            Arc::new(MemoryBudget::default())
                .reserve(ClientNetwork::of(address), limits.max_buffered_bytes),
        ));
        let one = ConnectionLimits { total: 1, per_network: 1, reserves: false };
        let permit = Arc::new(ConnectionTracker::default())
            .assign(ClientNetwork::of(address), false, one)
            .expect("permit");
        let transport = establish(io, None).await.expect("plaintext");
        let admitted = Admitted { permit, refused: Box::new(|_, _| {}) };
        serve(&engine, transport, peer, admitted, &limits, &stopping).await;
    });
    let mut client = std::net::TcpStream::connect(address).expect("connect");
    let request =
        b"GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dXNlcjA6cGFzc3dvcmQ=\r\n\r\n";
    c.bench_function("request/in process", |b| {
        b.iter(|| {
            client.write_all(request).expect("send");
            let mut response = [0; 1024];
            let length = client.read(&mut response).expect("receive");
            assert!(response[..length].ends_with(b"Not Found\n"));
        });
    });
}

criterion_group!(benches, request, authorization, config_load, routing);
criterion_main!(benches);
