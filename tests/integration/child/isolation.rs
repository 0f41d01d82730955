//! What the child sees of the guard: its output, and nothing else.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::running;
use crate::support::*;

#[test]
fn output_of_the_child_passes_unchanged() {
    // Bytes that are no UTF-8, no line end: through pipes as the shell would have written them.
    let guard = GuardBuilder::new().config(OPEN);
    let script = r"printf 'a\000b\377 no line end'; printf 'to stderr\n' >&2";
    let mut command = guard::binary();
    let config = guard.path("web.yml");
    command.args(["--telemetry.listen-address=", "--web.listen-address=127.0.0.1:0"]);
    command.arg("--web.config.file").arg(config).args(["--", "sh", "-c", script]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.stdout, b"a\0b\xff no line end");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.lines().any(|line| line == "to stderr"), "{stderr}");
}

#[test]
fn the_child_reads_the_standard_input_of_the_guard() {
    let guard = GuardBuilder::new().config(OPEN);
    let mut command = guard::binary();
    let config = guard.path("web.yml");
    command.args(["--telemetry.listen-address=", "--web.listen-address=127.0.0.1:0"]);
    command.arg("--web.config.file").arg(config).args(["--", "cat"]);
    let finished = process::Finished::run(&mut command, guard.dir(), b"from the guard's stdin");
    assert_eq!(finished.expect_code(0).stdout, "from the guard's stdin");
}

#[test]
fn the_child_inherits_no_variable_of_the_guard() {
    let mut guard = running("tr '\\0' '\\n' < /proc/self/environ; kill -TERM $PPID; sleep 1000")
        .env("EXPORTER_GUARD_LOG_LEVEL", "debug")
        .env("NOTIFY_SOCKET", "/run/canary")
        .env("LISTEN_FDS", "0")
        .env("LISTEN_FDNAMES", "canary")
        .env("CREDENTIALS_DIRECTORY", "/run/credentials/canary")
        .env("FOR_THE_EXPORTER", "kept")
        .start();
    guard.process().wait_exit();
    let seen = guard.stdout().join("\n");
    assert!(seen.contains("FOR_THE_EXPORTER=kept"), "{seen}");
    for name in ["EXPORTER_GUARD_", "NOTIFY_SOCKET", "LISTEN_", "CREDENTIALS_DIRECTORY", "canary"] {
        assert!(!seen.contains(name), "{name} in\n{seen}");
    }
}

#[test]
fn the_child_inherits_no_descriptor_of_the_guard() {
    let tls = ServerTls::new();
    // Descriptor 9 was open before the guard was, and is not close-on-exec.
    let mut guard = running("ls -l /proc/$$/fd; kill -TERM $PPID; sleep 1000")
        .inside(&["sh", "-c", "exec 9<web.yml; exec \"$@\"", "sh"])
        .guarded(&tls)
        .telemetry()
        .start();
    guard.process().wait_exit();
    let links: Vec<String> =
        guard.stdout().into_iter().filter(|line| line.contains("->")).collect();
    let own = |line: &&String| {
        let number = line.split(" -> ").next().and_then(|left| left.rsplit(' ').next());
        number.and_then(|number| number.parse::<u32>().ok()).is_none_or(|number| number > 2)
    };
    // dash opens nothing of its own above 2 when it runs `sh -c`.
    assert_eq!(links.iter().filter(own).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(links.len(), 3, "{links:?}");
}

/// The exporter finds what it would find without the guard: nothing is blocked, and ignored is what
/// the guard's caller ignores.
#[test]
fn the_child_ignores_the_signals_that_the_caller_ignores() {
    let ignored = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("SigIgn");
        // Those from 32 on are the C library's own, which nothing but the kernel's call changes.
        u64::from_str_radix(line.trim(), 16).unwrap() & 0x7fff_ffff
    };
    // The harness starts the guard with every signal at its default; sh ignores for its caller.
    for (caller, expected) in [("exec \"$@\"", 0), ("trap '' ALRM; exec \"$@\"", 1 << 13)] {
        let script = "grep ^Sig /proc/self/status; kill -TERM $PPID; sleep 1000";
        let mut guard = running(script).inside(&["sh", "-c", caller, "sh"]).start();
        guard.process().wait_exit();
        let seen = guard.stdout().join("\n");
        assert_eq!(ignored(&seen), expected, "{caller}: {seen}");
        assert!(seen.contains("SigBlk:\t0000000000000000"), "{seen}");
    }
}

/// Arguments of exporters hold passwords more often than they should.
#[test]
fn arguments_of_the_child_are_not_logged() {
    let guard = GuardBuilder::new()
        .config(OPEN)
        .arg("--log.level=trace")
        .file("exporter", "#!/bin/sh\nexit 3\n")
        .child(&["./exporter", "--password=canary"]);
    let script = guard.path("exporter");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let finished = guard.fail_to_start().expect_code(3);
    assert!(finished.stderr.contains("program=./exporter"), "{finished}");
    assert!(!finished.stderr.contains("canary"), "{finished}");
}
