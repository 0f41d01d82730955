//! `check --explain`.

use super::*;

#[test]
fn explain_prints_one_line_for_each_route() {
    let dir = tempfile::tempdir().unwrap();
    let routes = yaml(
        "
        - {path: /node, upstreams: ['http://127.0.0.1:9100']}
        - name: db
          hosts: [db.example]
          upstreams: ['unix:/a', 'unix:/b']
          public_paths: [/-/healthy]
          allowed_targets: [x]
          access:
          - {users: [scraper], networks: [10.0.0.0/8]}
          - {networks: [unix]}
        ",
    );
    guard::write(&dir.path().join("web.yml"), with_routes(&routes));
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
