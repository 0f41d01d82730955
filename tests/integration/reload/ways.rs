//! The ways in which files change.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use super::with_password;
use crate::support::kubernetes::Volume;
use crate::support::*;

/// Change the password a few times in one way; each change is a reload, and what it replaced is
/// refused.
#[track_caller]
fn assert_takes_effect(change: impl Fn(&Guard, String)) {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    for generation in 2..5 {
        let password = generation.to_string();
        change(&guard, with_password(&password));
        guard.wait_generation(generation);
        assert_eq!(guard.login("scraper", &password), 200);
        assert_eq!(guard.login("scraper", (generation - 1).to_string()), 401);
    }
}

#[test]
fn a_write_in_place_takes_effect() {
    assert_takes_effect(|guard, config| guard.write("web.yml", config));
}

#[test]
fn a_rename_over_the_file_takes_effect() {
    assert_takes_effect(|guard, config| guard.replace("web.yml", config));
}

/// vim with a backup: the old file is moved away, a new one is written in its place.
#[test]
fn a_file_that_is_moved_away_and_written_anew_takes_effect() {
    assert_takes_effect(|guard, config| {
        fs::rename(guard.path("web.yml"), guard.path("web.yml~")).unwrap();
        guard.write("web.yml", config);
    });
}

#[test]
fn a_file_that_is_deleted_and_created_again_takes_effect() {
    assert_takes_effect(|guard, config| {
        fs::remove_file(guard.path("web.yml")).unwrap();
        guard.write("web.yml", config);
    });
}

/// With the deletion seen for itself, and some time before the file is back.
#[test]
fn a_file_that_appears_again_takes_effect() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    fs::remove_file(guard.path("web.yml")).unwrap();
    guard.wait_failed_reload(1);
    assert_eq!(guard.login("scraper", "1"), 200, "the last good one stays");
    guard.write("web.yml", with_password("2"));
    guard.wait_generation(2);
    assert_eq!(guard.login("scraper", "2"), 200);
}

#[test]
fn an_update_of_a_kubernetes_volume_with_the_configuration_takes_effect() {
    let builder = GuardBuilder::new().config_path("config/web.yml");
    let root = builder.path("config");
    let mut volume = Volume::new(&root, &[("web.yml", &with_password("1"))]);
    let guard = builder.start();
    for generation in 2..6 {
        let password = generation.to_string();
        volume.update(&[("web.yml", &with_password(&password))]);
        guard.wait_generation(generation);
        assert_eq!(guard.login("scraper", &password), 200);
    }
}

#[test]
fn an_update_of_a_kubernetes_volume_with_the_certificate_takes_effect() {
    let mut site = ServerTls::new();
    let files = |tls: &ServerTls| [tls.identity.chain_pem(), tls.identity.key_pem()];
    let builder = GuardBuilder::new().config(yaml(
        "
        tls_server_config:
          cert_file: tls/tls.crt
          key_file: tls/tls.key
        ",
    ));
    let root = builder.path("tls");
    let [cert, key] = files(&site);
    let mut volume = Volume::new(&root, &[("tls.crt", &cert), ("tls.key", &key)]);
    let guard = builder.start();
    for generation in 2..5 {
        site = ServerTls::new();
        let [cert, key] = files(&site);
        volume.update(&[("tls.crt", &cert), ("tls.key", &key)]);
        guard.wait_generation(generation);
        let client = TlsClient::new().trust(&site.ca);
        assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
    }
}

/// certbot renews into archive/ and points the links in live/ to it, one after the other.
#[test]
fn renewed_links_of_certbot_take_effect() {
    let ca = Authority::new("server CA");
    let builder = GuardBuilder::new().config(yaml(
        "
        tls_server_config:
          cert_file: live/host/fullchain.pem
          key_file: live/host/privkey.pem
        ",
    ));
    let root = builder.path("");
    fs::create_dir_all(root.join("live/host")).unwrap();
    fs::create_dir_all(root.join("archive/host")).unwrap();
    let renew = |count: u32| {
        let identity = ca.issue(&Leaf::server());
        for (name, content) in
            [("privkey", identity.key_pem()), ("fullchain", identity.chain_pem())]
        {
            let target = format!("archive/host/{name}{count}.pem");
            fs::write(root.join(&target), content).unwrap();
            let link = root.join(format!("live/host/{name}.pem"));
            // certbot unlinks and links again.
            if link.is_symlink() {
                fs::remove_file(&link).unwrap();
            }
            symlink(Path::new("../..").join(target), &link).unwrap();
        }
        identity
    };
    renew(1);
    let guard = builder.start();
    for generation in 2..5 {
        let identity = renew(generation);
        let wanted = identity.cert.to_der().unwrap();
        eventually("the new certificate", || guard.certificate() == wanted);
    }
}

#[test]
fn a_link_that_is_pointed_to_another_configuration_takes_effect() {
    let builder = GuardBuilder::new().file("a.yml", with_password("1"));
    let builder = builder.file("other/b.yml", with_password("2"));
    symlink("a.yml", builder.path("web.yml")).unwrap();
    let guard = builder.start();
    symlink("other/b.yml", guard.path("link")).unwrap();
    fs::rename(guard.path("link"), guard.path("web.yml")).unwrap();
    guard.wait_generation(2);
    assert_eq!(guard.login("scraper", "2"), 200);
    // Now the target of the new link is what counts.
    guard.write("other/b.yml", with_password("3"));
    guard.wait_generation(3);
    assert_eq!(guard.login("scraper", "3"), 200);
}

/// The directory itself replaced: a watch stays with the old one.
#[test]
fn a_file_in_a_directory_that_was_replaced_takes_effect() {
    let builder = GuardBuilder::new().config_path("etc/web.yml");
    let guard = builder.file("etc/web.yml", with_password("1")).start();
    guard.wait_first_look();
    guard.write("etc.new/web.yml", with_password("2"));
    fs::rename(guard.path("etc"), guard.path("etc.old")).unwrap();
    fs::rename(guard.path("etc.new"), guard.path("etc")).unwrap();
    // At the latest by the content check.
    eventually_within(Duration::from_secs(45), "the new directory's file", || {
        guard.login("scraper", "2") == 200
    });
    guard.write("etc/web.yml", with_password("3"));
    guard.wait_generation(3);
    assert_eq!(guard.login("scraper", "3"), 200);
}

/// A write through another name of the file, as a write on another host over NFS, raises no event
/// here; the content check every 30 s sees it.
#[test]
fn a_change_without_an_event_is_found_by_the_content_check() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    guard.wait_first_look();
    fs::create_dir(guard.path("elsewhere")).unwrap();
    fs::hard_link(guard.path("web.yml"), guard.path("elsewhere/web.yml")).unwrap();
    guard.write("elsewhere/web.yml", with_password("2"));
    eventually_within(Duration::from_secs(45), "the content check", || {
        guard.login("scraper", "2") == 200
    });
}

/// Thirty changes in turn by the two usual ways, and how long each took.
fn changes_that_took_effect() -> Vec<Duration> {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    let change = |generation: u32| {
        let password = generation.to_string();
        let config = with_password(&password);
        let start = Instant::now();
        match generation % 2 {
            0 => guard.write("web.yml", config),
            _ => guard.replace("web.yml", config),
        }
        guard.wait_generation(generation);
        start.elapsed()
    };
    (2..32).map(change).collect()
}

#[test]
fn each_of_thirty_changes_takes_effect() {
    assert_eq!(changes_that_took_effect().len(), 30);
}

/// At the 99th percentile; here the second slowest of 30.
#[test]
#[ignore = "a wall-clock bound"]
fn a_change_takes_effect_within_two_seconds() {
    let mut times = changes_that_took_effect();
    times.sort();
    assert!(times[times.len() - 2] < Duration::from_secs(2), "{times:?}");
}

/// A writer that takes its time, as a slow editor or a copy over the network does.
#[test]
fn a_file_that_is_written_slowly_takes_effect_when_it_is_closed() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    guard.wait_first_look();
    let config = with_password("2");
    let mut file = fs::File::create(guard.path("web.yml")).unwrap();
    for piece in config.as_bytes().chunks(10) {
        file.write_all(piece).unwrap();
        file.sync_data().unwrap();
        // The pace of the writer.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(guard.login("scraper", "1"), 200, "nothing changes before it is closed");
    }
    drop(file);
    guard.wait_generation(2);
    assert_eq!(guard.login("scraper", "2"), 200);
    let failures = guard.stderr().into_iter().filter(|line| guard::is_failed_reload(line));
    assert_eq!(failures.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_rewrite_with_the_same_content_is_no_reload() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    let config = fs::read(guard.path("web.yml")).unwrap();
    guard.write("web.yml", &config);
    guard.replace("web.yml", &config);
    fs::File::open(guard.path("web.yml"))
        .and_then(|file| file.set_modified(std::time::SystemTime::now()))
        .unwrap();
    guard.write("other.yml", "nothing of ours");
    guard.write("web.yml", with_password("2"));
    // The only reload there is.
    guard.wait_generation(2);
    let lines = guard.stderr().into_iter().filter(|line| guard::is_reload(line));
    assert_eq!(lines.count(), 1);
}

/// Another program opens a file of the directory all the time.
#[test]
fn events_beside_the_file_do_not_delay_a_change() {
    let guard = GuardBuilder::new().config(with_password("1")).file("unrelated", "").start();
    let path = guard.path("unrelated");
    let noise = |_number, stop: &load::Stop| {
        while !stop.is_set() {
            drop(fs::File::open(&path));
            // The pace of the noise.
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    load::beside(1, noise, || {
        guard.replace("web.yml", with_password("2"));
        guard.wait_generation(2);
    });
}
