//! Reloads on request: SIGHUP and `POST /-/reload`, here for changes that raise no
//! event of their own.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use super::with_password;
use crate::support::guard::RELOAD;
use crate::support::*;
use crate::support::{inject, procfs};

/// A guard and a second name of its configuration, in a directory that is not watched.
fn guard() -> Guard {
    let guard = GuardBuilder::new().config(with_password("1")).telemetry().start();
    fs::create_dir(guard.path("elsewhere")).unwrap();
    fs::hard_link(guard.path("web.yml"), guard.path("elsewhere/web.yml")).unwrap();
    guard.wait_first_look();
    guard
}

#[test]
fn sighup_reloads_a_file_that_changed_without_an_event() {
    let guard = guard();
    guard.write("elsewhere/web.yml", with_password("2"));
    guard.signal(libc::SIGHUP);
    guard.wait_generation(2);
    assert_eq!(guard.login("scraper", "2"), 200);

    guard.write("elsewhere/web.yml", "broken: true\n");
    guard.signal(libc::SIGHUP);
    guard.wait_failed_reload(1);
    assert_eq!(guard.login("scraper", "2"), 200);
}

/// The content check, every 30 s, would find both changes, too.
#[test]
#[ignore = "a wall-clock bound"]
fn sighup_reloads_long_before_the_content_check() {
    assert_within(
        Duration::from_secs(10),
        "two reloads by SIGHUP",
        sighup_reloads_a_file_that_changed_without_an_event,
    );
}

#[test]
fn post_reload_reloads_and_says_how_it_went() {
    let guard = guard();
    guard.write("elsewhere/web.yml", with_password("2"));
    let response = guard.reload();
    assert_eq!(response.status, 200);
    assert_eq!(guard.login("scraper", "2"), 200, "in force when the answer is there");

    guard.write(
        "elsewhere/web.yml",
        yaml(
            "
            basic_auth_users:
              scraper: plain
            ",
        ),
    );
    let response = guard.reload();
    assert_eq!(response.status, 500);
    assert!(response.text().contains("web.yml:2"), "{}", response.text());
    assert!(!response.text().contains("plain\n"), "{}", response.text());
    assert_eq!(guard.login("scraper", "2"), 200);

    guard.write("elsewhere/web.yml", with_password("3"));
    assert_eq!(guard.reload().status, 200);
    assert_eq!(guard.login("scraper", "3"), 200);
}

#[test]
fn a_request_without_a_change_is_no_reload() {
    let guard = guard();
    for _ in 0..2 {
        assert_eq!(guard.reload().status, 200);
        guard.signal(libc::SIGHUP);
    }
    guard.write("elsewhere/web.yml", with_password("2"));
    assert_eq!(guard.reload().status, 200);
    guard.wait_generation(2);
    let lines = guard.stderr().into_iter().filter(|line| guard::is_reload(line));
    assert_eq!(lines.count(), 1);
}

/// A second request about a file that is still broken gets the same answer.
#[test]
fn a_request_with_a_file_that_is_still_broken_fails_again() {
    let guard = guard();
    let good = fs::read(guard.path("web.yml")).unwrap();
    guard.write("elsewhere/web.yml", "nonsense: 1\n");
    for _ in 0..2 {
        let response = guard.reload();
        assert_eq!(response.status, 500);
        assert!(response.text().contains("web.yml:1"), "{}", response.text());
    }
    // Back to what was in force all along: nothing to do, and nothing wrong any more.
    guard.write("elsewhere/web.yml", good);
    assert_eq!(guard.reload().status, 200);
    assert_eq!(guard.metric("exporter_guard_config_last_reload_successful"), 1.0);
}

#[test]
fn a_get_of_reload_reloads_nothing() {
    let guard = guard();
    guard.write("elsewhere/web.yml", with_password("2"));
    assert_eq!(guard.telemetry().get("/-/reload").status, 405);
    assert_eq!(guard.login("scraper", "1"), 200);
}

/// Only the telemetry listener takes requests to reload.
#[test]
fn the_web_listener_reloads_nothing() {
    let guard = guard();
    let authorization = basic("scraper", "1");
    let request = format!(
        "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    guard.write("elsewhere/web.yml", with_password("2"));
    assert_eq!(guard.connect().request(request).status, 404);
    assert_eq!(guard.login("scraper", "1"), 200);
}

#[test]
fn many_requests_to_reload_are_all_answered() {
    let guard = guard();
    guard.write("elsewhere/web.yml", with_password("2"));
    let mut clients: Vec<Client> = (0..10).map(|_| guard.telemetry()).collect();
    for client in &mut clients {
        client.send(RELOAD);
        guard.signal(libc::SIGHUP);
    }
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(guard.login("scraper", "2"), 200);
}

/// A page that a browser on this host shows could ask for reloads, and read the errors by a name of its
/// own that resolves to this host.
#[test]
fn a_page_in_a_browser_cannot_reload() {
    let guard = guard();
    guard.write("elsewhere/web.yml", "broken: true\n");
    let post = |head: &str| {
        let request = format!("POST /-/reload HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n");
        guard.telemetry().request(request)
    };
    for head in [
        "Host: evil.example:9444\r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        let answer = post(head);
        assert_eq!(answer.status, 403, "{head}");
        assert!(!answer.text().contains("web.yml"), "{}", answer.text());
    }
    assert_eq!(guard.metric("exporter_guard_config_reloads_total{result=\"failure\"}"), 0.0);
    let answer = post("Host: localhost\r\n");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("unknown key"), "{}", answer.text());
}

#[test]
fn requests_for_reloads_cannot_fill_the_log() {
    let guard = guard();
    for _ in 0..100 {
        assert_eq!(guard.reload().status, 200);
    }
    guard.write("elsewhere/web.yml", "broken: true\n");
    for _ in 0..100 {
        assert_eq!(guard.reload().status, 500);
    }
    let lines = guard.stderr();
    let count = |message: &str| lines.iter().filter(|line| line.contains(message)).count();
    for message in ["Web configuration is unchanged", "Reload failed"] {
        assert!((1..80).contains(&count(message)), "{message}: {}", count(message));
    }
}

/// A pipe that takes the place of a file between a look at it and its opening would block the thread that
/// opens it for ever.
#[test]
fn a_pipe_in_the_place_of_a_file_for_moments_does_not_end_reloads() {
    let guard = guard();
    let (file, pipe) = (guard.path("web.yml"), guard.path("elsewhere/pipe"));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // An even number of exchanges.
            while !is_over.load(Ordering::Relaxed) {
                for _ in 0..2 {
                    renameat_with(CWD, &file, CWD, &pipe, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            // The file may be a pipe when it is read, which is an error.
            guard.reload();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    guard.write("web.yml", with_password("2"));
    eventually("the reload", || guard.reload().status == 200);
    assert_eq!(guard.login("scraper", "2"), 200);
}

#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "waits for a minute of silence"]
fn a_reload_thread_that_hangs_is_not_healthy() {
    let guard = guard();
    let healthy = || guard.telemetry().get("/-/healthy").status;
    assert_eq!(healthy(), 200);
    let threads = procfs::named_threads(guard.id());
    let (thread, _) = threads.iter().find(|(_, name)| name == "reload").unwrap();
    let held = inject::hold(*thread);
    assert_eq!(healthy(), 200, "not at once");
    eventually_within(Duration::from_secs(90), "the loss of health", || healthy() == 503);
    let last = guard.metric("exporter_guard_reload_thread_last_run_timestamp_seconds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(now - last >= 60.0, "{last}");
    drop(held);
    eventually("health", || healthy() == 200);
}
