//! `check --explain`.

use super::*;

#[test]
fn each_route_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let routes = "  - {path: /node, upstreams: ['http://127.0.0.1:9100']}\n\
                  \x20 - name: db\n    hosts: [db.example]\n    upstreams: ['unix:/a', 'unix:/b']\n    \
                  public_paths: [/-/healthy]\n    allowed_targets: [x]\n    access:\n    \
                  - {users: [scraper], networks: [10.0.0.0/8]}\n    - {networks: [unix]}\n";
    guard::write(&dir.path().join("web.yml"), with_routes(routes));
    let explained =
        guard::run(dir.path(), &["check", "--explain", "web.yml"]).expect_code(0).stdout;
    for line in [
        "node: GET, HEAD /node/metrics on any host to http://127.0.0.1:9100 without /node for any user",
        "db: GET, HEAD /metrics on db.example to unix:/a or unix:/b for user scraper from \
         10.0.0.0/8, or from unix; for anybody /-/healthy; only with a target of x",
    ] {
        assert!(explained.lines().any(|said| said == line), "{line}\nin\n{explained}");
    }
    let quiet = guard::run(dir.path(), &["check", "web.yml"]).expect_code(0).stdout;
    assert!(!quiet.contains("any host"), "{quiet}");
}
