//! `proxy.file_sd_configs`: routes from the files that Prometheus reads.

use std::time::Duration;

use super::*;

/// A route for each target of these files.
fn config(files: &str, more: &str) -> String {
    let entry = format!(
        "
        file_sd_configs:
        - files: [{files}]
          path: /fleet
        "
    );
    scraper() + &proxy(&(yaml(&entry) + &indented(2, more)))
}

/// As a segment of a path.
fn segment(exporter: &Exporter) -> String {
    exporter.address().replace(':', "-")
}

#[test]
fn each_target_is_a_route() {
    let [node, db, named] = [Exporter::new(), Exporter::new(), Exporter::new()];
    let node_and_db = yaml(&format!(
        "
        - targets: ['{}']
          labels:
            team: a
            __meta_rack: '7'
        - targets: [{}]
          labels:
            __metrics_path__: /db
            __param_module: m
            instance: db1
            __scrape_interval__: 30s
        ",
        node.address(),
        db.address()
    ));
    // As json.MarshalIndent of Go's writes it, with a tab for each > here.
    let json = yaml(&format!(
        r#"
        [
        >{{
        >>"targets": [
        >>>"{0}",
        >>>"{0}"
        >>],
        >>"labels": {{
        >>>"__route__": "third"
        >>}}
        >}}
        ]
        "#,
        named.address()
    ))
    .replace('>', "\t");
    let guard = GuardBuilder::new()
        .config(config("sd/*.yml, sd/all.json", "labels: {team: b, site: x}"))
        .file("sd/one.yml", node_and_db)
        .file("sd/all.json", json)
        .file("sd/notes.txt", "no targets")
        .start();
    let paths = [
        format!("/fleet/{}/metrics", segment(&node)),
        format!("/fleet/{}/db", segment(&db)),
        "/fleet/third/metrics".to_owned(),
    ];
    for path in &paths {
        assert_eq!(status(&guard, path), 200, "{path}");
    }
    assert_eq!(asked(&node), ["/metrics"]);
    assert_eq!(asked(&db), ["/db"]);
    assert_eq!(asked(&named), ["/metrics"]);
    assert_eq!(status(&guard, &format!("/fleet/{}/metrics", segment(&db))), 404);
    let entry = |path: &str, labels: serde_json::Value| {
        let mut all = serde_json::json!({ "__scheme__": "http", "__metrics_path__": path });
        all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
        serde_json::json!({ "targets": ["localhost:80"], "labels": all })
    };
    assert_eq!(
        targets(&guard, SCRAPER),
        serde_json::json!([
            entry(
                &paths[0],
                serde_json::json!({
                    "team": "a", "site": "x", "instance": node.address()
                })
            ),
            entry(
                &paths[1],
                serde_json::json!({
                    "team": "b", "site": "x", "instance": "db1",
                    "__param_module": "m", "__scrape_interval__": "30s"
                })
            ),
            entry(
                &paths[2],
                serde_json::json!({
                    "team": "b", "site": "x", "instance": named.address()
                })
            ),
        ])
    );
}

/// Files come, change and go; one that is broken keeps the targets that it had.
#[test]
fn changes_of_target_files_take_effect() {
    let [first, second] = [Exporter::new(), Exporter::new()];
    let file = |exporter: &Exporter| format!("- targets: ['{}']\n", exporter.address());
    let guard =
        GuardBuilder::new().config(config("'sd/*.yml'", "")).file("sd/empty.json", "").start();
    let status =
        |exporter: &Exporter| status(&guard, &format!("/fleet/{}/metrics", segment(exporter)));
    assert_eq!((status(&first), status(&second)), (404, 404));
    guard.write("sd/a.yml", file(&first));
    guard.wait_generation(2);
    guard.replace("sd/b.yml", file(&second));
    guard.wait_generation(3);
    assert_eq!((status(&first), status(&second)), (200, 200));

    guard.write("sd/a.yml", "- targets: ['http://a.example:1/x']\n");
    guard.wait_generation(4);
    let findings = guard.stderr().join("\n");
    assert!(findings.contains("sd/a.yml:1: error: targets: expected HOST:PORT"), "{findings}");
    assert_eq!((status(&first), status(&second)), (200, 200));

    guard.write("sd/a.yml", file(&first));
    guard.wait_generation(5);
    std::fs::remove_file(guard.path("sd/b.yml")).expect("removing");
    guard.wait_generation(6);
    assert_eq!((status(&first), status(&second)), (200, 404));
}

/// As Kubernetes mounts a ConfigMap.
#[test]
fn changes_of_target_files_behind_links_take_effect() {
    use std::os::unix::fs::symlink;
    let [first, second] = [Exporter::new(), Exporter::new()];
    let builder = GuardBuilder::new().config(config("'sd/*.yml'", ""));
    let mount = builder.path("sd");
    let file = |exporter: &Exporter| format!("- targets: ['{}']\n", exporter.address());
    guard::write(&mount.join("..one/a.yml"), file(&first));
    symlink("..one", mount.join("..data")).expect("a link");
    symlink("..data/a.yml", mount.join("a.yml")).expect("a link");
    let guard = builder.start();
    guard::write(&mount.join("..two/a.yml"), file(&second));
    symlink("..two", mount.join("..data_tmp")).expect("a link");
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("renaming");
    guard.wait_generation(2);
    assert_eq!(status(&guard, &format!("/fleet/{}/metrics", segment(&second))), 200);
    assert_eq!(status(&guard, &format!("/fleet/{}/metrics", segment(&first))), 404);
}

/// As soon as others: the content check, every half minute, would find them, too.
#[test]
fn a_target_file_in_a_directory_behind_a_link_takes_effect() {
    let exporter = Exporter::new();
    let builder = GuardBuilder::new().config(config("'sd/*.yml'", ""));
    std::fs::create_dir(builder.path("real")).expect("a directory");
    std::os::unix::fs::symlink("real", builder.path("sd")).expect("a link");
    let guard = builder.start();
    guard.write("real/a.yml", format!("- targets: ['{}']\n", exporter.address()));
    eventually_within(Duration::from_secs(20), "the reload", || {
        status(&guard, &format!("/fleet/{}/metrics", segment(&exporter))) == 200
    });
}

#[test]
fn a_target_file_in_a_directory_that_was_made_anew_takes_effect() {
    let [first, second] = [Exporter::new(), Exporter::new()];
    let file = |exporter: &Exporter| format!("- targets: ['{}']\n", exporter.address());
    let status = |guard: &Guard, exporter: &Exporter| {
        status(guard, &format!("/fleet/{}/metrics", segment(exporter)))
    };
    let builder = GuardBuilder::new().config(config("'sd/*.yml'", ""));
    let guard = builder.file("sd/a.yml", file(&first)).start();
    std::fs::remove_dir_all(guard.path("sd")).expect("removing");
    std::fs::create_dir(guard.path("sd")).expect("a directory");
    eventually_within(Duration::from_secs(20), "it has no targets", || {
        status(&guard, &first) == 404
    });
    guard.write("sd/b.yml", file(&second));
    eventually_within(Duration::from_secs(20), "the new target", || status(&guard, &second) == 200);
}

/// Half an address is another address.
#[test]
fn half_a_line_of_targets_is_not_read() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new()
        .config(config("a.yml", ""))
        .file(
            "a.yml",
            yaml(&format!(
                "
                - targets:
                  - '{}'
                ",
                exporter.address()
            )),
        )
        .start();
    let cut = yaml(&format!(
        "
        - targets:
          - '{}'
          - a:91
        ",
        exporter.address()
    ));
    guard.replace("a.yml", cut.trim_end());
    guard.wait_generation(2);
    let log = guard.stderr().join("\n");
    assert!(log.contains("the last line of a.yml has no end"), "{log}");
    assert_eq!(status(&guard, &format!("/fleet/{}/metrics", segment(&exporter))), 200);
    assert_eq!(status(&guard, "/fleet/a-91/metrics"), 404);
}

/// Whatever is wrong with one file of targets, everything else takes effect.
#[test]
fn a_bad_file_of_targets_fails_alone() {
    let [first, second, third] = [Exporter::new(), Exporter::new(), Exporter::new()];
    let file = |exporter: &Exporter| format!("- targets: ['{}']\n", exporter.address());
    let own = config("'sd/*.yml'", "");
    let guard = GuardBuilder::new()
        .config(&own)
        .file("sd/b.yml", file(&first))
        .file("sd/c.yml", file(&second))
        .telemetry()
        .start();
    let served = |exporter: &Exporter| {
        status(&guard, &format!("/fleet/{}/metrics", segment(exporter))) == 200
    };
    let is_used = |name: &str| {
        let label = format!("{{file=\"sd/{name}\"}}");
        guard.metric(&format!("exporter_guard_target_file_successful{label}"))
    };
    let labelled = file(&first) + "  labels: {team: x}\n";
    let both = labelled.clone() + &file(&third);
    for (generation, (name, content)) in (2..).step_by(3).zip([
        ("c.yml", "- targets: [\n".to_owned()),
        ("c.yml", "- targets: ['http://a.example:1/x']\n".to_owned()),
        ("c.yml", both.clone()),
        // Those that were there before keep what both have.
        ("a.yml", both),
        ("d.yml", labelled),
    ]) {
        guard.write(&format!("sd/{name}"), &content);
        guard.wait_generation(generation);
        assert!(served(&first) && served(&second), "{content}");
        assert!(!served(&third), "{content}");
        assert_eq!((is_used("b.yml"), is_used(name)), (1.0, 0.0), "{content}");
        // Whatever else changes takes effect meanwhile.
        guard.replace("web.yml", format!("{own}# change {generation}\n"));
        guard.wait_generation(generation + 1);
        assert!(served(&first) && served(&second), "{content}");
        match name {
            "c.yml" => guard.write("sd/c.yml", file(&second)),
            _ => std::fs::remove_file(guard.path(&format!("sd/{name}"))).expect("removing"),
        }
        guard.wait_generation(generation + 2);
    }
}

#[test]
fn a_start_goes_on_without_a_bad_file_of_targets() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new()
        .config(config("'sd/*.yml', absent.yml", ""))
        .file("sd/a.yml", "- targets: ['http://a.example:1/x']\n")
        .file("sd/b.yml", format!("- targets: ['{}']\n", exporter.address()))
        .start();
    assert_eq!(status(&guard, &format!("/fleet/{}/metrics", segment(&exporter))), 200);
    let log = guard.stderr().join("\n");
    for reason in ["sd/a.yml:1: error: targets: expected HOST:PORT", "cannot read absent.yml"] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    let checked = guard::run(guard.path("web.yml").parent().unwrap(), &["check", "web.yml"]);
    assert_eq!(checked.code, Some(1), "check has it as an error: {checked}");
}

/// How long `check` takes for a thousand targets that have a label with this value.
fn time_of_a_thousand_targets(value: &str) -> Duration {
    let group = |n| {
        let group = format!(
            "
            - targets: ['a{n}:1']
              labels: {{x: {value}}}
            "
        );
        yaml(&group)
    };
    let dir = tempfile::tempdir().unwrap();
    guard::write(&dir.path().join("web.yml"), config("a.yml", ""));
    guard::write(&dir.path().join("a.yml"), (0..1000).map(group).collect::<String>());
    let begun = std::time::Instant::now();
    guard::run(dir.path(), &["check", "web.yml"]).expect_code(0);
    begun.elapsed()
}

#[test]
fn a_thousand_targets_with_any_labels_are_read() {
    for value in ["z", "'yes'"] {
        time_of_a_thousand_targets(value);
    }
}

/// A value that YAML 1.1 reads as something else than text costs no more than one that is text.
#[test]
#[ignore = "a wall-clock bound"]
fn a_thousand_targets_with_quoted_labels_cost_no_more_than_with_plain_ones() {
    let (plain, word) = (time_of_a_thousand_targets("z"), time_of_a_thousand_targets("'yes'"));
    assert!(word < plain * 10, "{plain:?} and {word:?}");
}

#[test]
fn routes_of_targets_have_the_rules_of_their_entry() {
    let exporter = Exporter::new();
    let hash = quick_hash(SCRAPER.1);
    let config = users(&[("scraper", &hash), ("alice", &hash)])
        + &yaml(&format!(
            "
            proxy:
              routes:
              - {{path: /own, upstreams: ['{exporter}']}}
              file_sd_configs:
              - files: [a.yml]
                name: sd
                path: /
                access: [{{users: [alice]}}]
                methods: [POST]
            "
        ));
    let target = exporter.address();
    let guard = GuardBuilder::new()
        .config(config)
        .file("a.yml", format!("- targets: ['{target}']"))
        .start();
    let path = format!("/{}/metrics", segment(&exporter));
    assert_eq!(status(&guard, "/own/metrics"), 200);
    assert_eq!(status(&guard, &path), 403);
    assert_eq!(guard.connect().get(&path).status, 401);
    assert_eq!(guard.connect().get_as(("alice", SCRAPER.1), &path).status, 405);
    let explained = guard::run(guard.dir(), &["check", "--explain", "web.yml"]).expect_code(0);
    let line = format!("sd-{}: POST {path} on any host", segment(&exporter));
    assert!(explained.stdout.contains(&line), "{line} in\n{explained}");
}

#[test]
fn findings_about_targets_name_file_and_line() {
    let ours = "listeners: [x]";
    for (more, files, content, finding) in [
        ("", "'*.txt'", "", "web.yml:5: error: proxy.file_sd_configs.files: expected a file"),
        ("", "'*/a.yml'", "", "web.yml:5: error: proxy.file_sd_configs.files: only the name"),
        ("", "b.yml", "", "b.yml: error: cannot read b.yml"),
        ("", "'none*.yml'", "", "web.yml:5: warning: proxy.file_sd_configs.files: \"none*.yml\""),
        ("upstreams: [x]", "a.yml", "", "web.yml:7: error: proxy.file_sd_configs: unknown"),
        (
            ours,
            "a.yml",
            &*yaml(
                "

                - targets: [a:1]
                  target: x
                ",
            ),
            "a.yml:3: error: group: unknown key",
        ),
        (ours, "a.yml", "targets: [a:1]\n", "a.yml:1: error: expected a list of groups"),
        (ours, "a.yml", "- targets: [a:1, 'a b']\n", "a.yml:1: error: targets: expected HOST:PORT"),
        (
            ours,
            "a.yml",
            &*yaml(
                "
                - targets: [a:1]
                - targets: [a-1]
                ",
            ),
            "a.yml:2: error: proxy.routes.a-1",
        ),
        (ours, "a.yml", "- labels: {a-b: c}\n", "a.yml:1: error: labels: a label name"),
        (ours, "a.yml", "- targets: [a:1\n", "a.yml:2: error: did not find expected"),
        (
            ours,
            "a.yml",
            &*yaml(
                "
                - targets: [a:1]
                  labels: {__scheme__: https}
                ",
            ),
            "web.yml:5: error: proxy.file_sd_configs.upstream_tls: missing",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        guard::write(&dir.path().join("web.yml"), config(files, more));
        guard::write(&dir.path().join("a.yml"), content);
        let said = guard::run(dir.path(), &["check", "--strict", "web.yml"]).expect_code(1);
        assert!(
            said.stdout.lines().any(|line| line.starts_with(finding)),
            "{finding:?} in\n{said}"
        );
    }
}
