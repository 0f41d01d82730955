use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use openssl::pkey::{Id, PKey};
use openssl::x509::X509;

use super::*;

fn options(directory: &Path) -> Options {
    Options {
        directory: directory.to_owned(),
        hostnames: vec!["node1.example.com".to_owned()],
        rsa: false,
        listen_port: DEFAULT_PORT,
    }
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

fn promtool(args: &[&str], file: &Path) {
    let output = Command::new("promtool").args(args).arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {args:?} {}: {text}", file.display());
}

#[test]
fn modes_hold() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    let created = create(&options(&directory)).unwrap();
    assert_eq!(
        created.files.iter().map(|path| mode(path)).collect::<Vec<_>>(),
        [0o600, 0o644, 0o600]
    );
    assert_eq!(mode(&directory), 0o755);
    assert_eq!(mode(&parent.path().join("a")), 0o755);
}

/// Runs [`modes_hold`] in other processes, since the umask belongs to a whole process.
#[test]
fn modes_hold_whatever_the_umask() {
    let test = module_path!().split_once("::").unwrap().1.to_owned() + "::modes_hold";
    for umask in ["000", "027", "077"] {
        let output = Command::new("sh")
            .args(["-c", "umask $1; exec \"$2\" --exact \"$3\"", "sh", umask])
            .arg(std::env::current_exe().unwrap())
            .arg(&test)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "umask {umask}: {text}");
    }
}

#[test]
fn an_existing_file_is_kept_and_no_other_one_is_written() {
    for name in [KEY, CERTIFICATE, WEB_CONFIG] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, "mine").unwrap();
        let error = create(&options(directory.path())).unwrap_err();
        assert!(matches!(&error, InitError::Exists(found) if *found == path));
        assert!(error.to_string().contains(name) && error.to_string().contains("--directory"));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_symbolic_link_in_place_of_a_file_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    std::os::unix::fs::symlink(&target, directory.path().join(WEB_CONFIG)).unwrap();
    assert!(matches!(create(&options(directory.path())), Err(InitError::Exists(_))));
    assert!(!exists(&target));
}

#[test]
fn a_second_run_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let created = create(&options(directory.path())).unwrap();
    let read = || created.files.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>();
    let before = read();
    assert!(matches!(create(&options(directory.path())), Err(InitError::Exists(_))));
    assert_eq!(read(), before);
}

#[test]
fn a_bad_hostname_or_directory_leaves_no_files() {
    let parent = tempfile::tempdir().unwrap();
    let mut wrong = options(&parent.path().join("new"));
    wrong.hostnames.push("*.example.com".to_owned());
    let error = create(&wrong).unwrap_err().to_string();
    assert!(error.contains("*.example.com") && error.contains("wildcards"), "{error}");
    assert!(matches!(create(&options(Path::new(""))), Err(InitError::Directory(_))));
    let two_lines = parent.path().join("a\nb");
    assert!(matches!(create(&options(&two_lines)), Err(InitError::Directory(_))));
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = create(&options(&file)).unwrap_err().to_string();
    assert!(error.contains("file") && error.contains("no directory"), "{error}");
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn a_password_that_cannot_be_printed_leaves_no_files() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    let mut full = &mut [0_u8; 10][..];
    assert!(matches!(run(&options(&directory), &mut full), Err(InitError::Print(_))));
    assert!(!exists(&parent.path().join("a")));
}

#[test]
fn the_key_belongs_to_the_certificate() {
    for (rsa, id) in [(false, Id::EC), (true, Id::RSA)] {
        let directory = tempfile::tempdir().unwrap();
        let created = create(&Options { rsa, ..options(directory.path()) }).unwrap();
        let key = std::fs::read(&created.files[0]).unwrap();
        assert!(key.starts_with(b"-----BEGIN PRIVATE KEY-----"), "not PKCS#8");
        let key = PKey::private_key_from_pem(&key).unwrap();
        let certificate = X509::from_pem(&std::fs::read(&created.files[1]).unwrap()).unwrap();
        assert_eq!(key.id(), id);
        assert!(certificate.public_key().unwrap().public_eq(&key));
    }
}

#[test]
fn the_password_matches_its_hash_and_is_in_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let created = create(&options(directory.path())).unwrap();
    assert_eq!(created.password.len(), PASSWORD_LEN);
    assert!(created.password.bytes().all(|byte| ALPHABET.contains(&byte)));
    for path in &created.files {
        assert!(!std::fs::read_to_string(path).unwrap().contains(created.password.as_str()));
    }
    assert!(!format!("{created:?}").contains(created.password.as_str()));
    let config = std::fs::read_to_string(directory.path().join(WEB_CONFIG)).unwrap();
    let hash = config.lines().find_map(|line| line.trim().strip_prefix("prometheus: ")).unwrap();
    assert!(hash.starts_with("$2y$10$"));
    assert!(bcrypt::verify(created.password.as_str(), hash).unwrap());
    let other = tempfile::tempdir().unwrap();
    assert_ne!(*create(&options(other.path())).unwrap().password, *created.password);
}

#[test]
fn promtool_accepts_the_web_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let created = create(&options(directory.path())).unwrap();
    promtool(&["check", "web-config"], &created.files[2]);
}

#[test]
fn promtool_accepts_the_scrape_config() {
    for name in ["plain", "it's: #odd \"$HOME\""] {
        for hostname in ["node1.example.com", "10.0.0.1", "2001:db8::1"] {
            let parent = tempfile::tempdir().unwrap();
            let directory = parent.path().join(name);
            let hostnames = vec![hostname.to_owned()];
            let created = create(&Options { hostnames, ..options(&directory) }).unwrap();
            let text = instructions(&created);
            let start = text.find("scrape_configs:").unwrap();
            let file = parent.path().join("prometheus.yml");
            std::fs::write(&file, &text[start..]).unwrap();
            promtool(&["check", "config"], &file);
        }
    }
}

#[test]
fn the_instructions_name_the_files_the_names_and_the_password() {
    let directory = tempfile::tempdir().unwrap();
    let created = create(&Options { listen_port: 8443, ..options(directory.path()) }).unwrap();
    let text = instructions(&created);
    let directory = directory.path().display();
    for part in [
        format!("ca_file: '{directory}/server.crt'"),
        format!("--cacert {directory}/server.crt"),
        format!("--web.config.file={directory}/web.yml"),
        "https://localhost:8443/metrics".to_owned(),
        "['node1.example.com:8443']".to_owned(),
        format!("-u prometheus:{}", created.password.as_str()),
    ] {
        assert!(text.contains(&part), "{part} is not in\n{}", text.as_str());
    }
}
