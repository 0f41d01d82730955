//! The instructions that `init` prints: the password, shown this once, and the next commands, ready
//! to paste.

use std::path::Path;

use zeroize::Zeroizing;

use super::hostname::Hostname;
use super::init::{CERTIFICATE, Created, KEY, USER, WEB_CONFIG};

/// The initial capacity in bytes, more than the text needs: a string that grows leaves copies of
/// the password behind.
const CAPACITY: usize = 16 * 1024;

/// Returns the instructions.
pub fn text(created: &Created) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(CAPACITY));
    for part in [
        summary(created).as_str(),
        start(created).as_str(),
        &first_request(created),
        "Let Prometheus scrape it. In its prometheus.yml, with server.crt copied to its host and\n\
         ca_file adapted when that is another one:\n\n",
        &scrape_config(created),
    ] {
        text.push_str(part);
    }
    text
}

fn summary(created: &Created) -> Zeroizing<String> {
    let names: Vec<_> = created.hostnames.iter().map(Hostname::to_string).collect();
    let files: Vec<_> = created.files.iter().map(|file| file.display().to_string()).collect();
    Zeroizing::new(format!(
        "Created for {}:\n\n\
         \x20 {}\n\n\
         The password of user {USER}, shown only now: {}\n\n",
        names.join(", "),
        files.join("\n  "),
        created.password.as_str(),
    ))
}

fn start(created: &Created) -> String {
    let config = shell_quoted(&created.directory.join(WEB_CONFIG));
    format!(
        "Start the guard in front of an exporter, as the user who owns {KEY} and {WEB_CONFIG}\n\
         (chown both for another):\n\n\
         \x20 exporter-guard --web.config.file={config} --web.listen-address=:{} \
         --upstream=http://127.0.0.1:9100\n\n",
        created.listen_port,
    )
}

fn first_request(created: &Created) -> Zeroizing<String> {
    let certificate = shell_quoted(&created.directory.join(CERTIFICATE));
    Zeroizing::new(format!(
        "Try it:\n\n\
         \x20 curl --cacert {certificate} -u {USER}:{} https://localhost:{}/metrics\n\n",
        created.password.as_str(),
        created.listen_port,
    ))
}

/// Returns a complete `prometheus.yml`, whose item also fits into the `scrape_configs` of another.
fn scrape_config(created: &Created) -> Zeroizing<String> {
    let target = match created.hostnames.first() {
        Some(Hostname::Ip(address)) if address.is_ipv6() => format!("[{address}]"),
        Some(name) => name.to_string(),
        None => "localhost".to_owned(),
    };
    Zeroizing::new(format!(
        "scrape_configs:\n\
         \x20 - job_name: exporter-guard\n\
         \x20   scheme: https\n\
         \x20   basic_auth:\n\
         \x20     username: {USER}\n\
         \x20     password: {}\n\
         \x20   tls_config:\n\
         \x20     ca_file: {}\n\
         \x20   static_configs:\n\
         \x20     - targets: ['{target}:{}']\n",
        yaml_quoted(&created.password).as_str(),
        yaml_quoted(&created.directory.join(CERTIFICATE).to_string_lossy()).as_str(),
        created.listen_port,
    ))
}

/// Returns the path as one word for a POSIX shell.
fn shell_quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@%".contains(&byte);
    if text.bytes().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns the text as a YAML string; `123` and `1e5` without quotes would be numbers.
fn yaml_quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_for_the_shell_and_for_yaml() {
        assert_eq!(shell_quoted(Path::new("/etc/guard-1/web.yml")), "/etc/guard-1/web.yml");
        for (path, quoted) in [("/a b", "'/a b'"), ("/a'b", r"'/a'\''b'"), ("/$HOME", "'/$HOME'")] {
            assert_eq!(shell_quoted(Path::new(path)), quoted);
        }
        assert_eq!(yaml_quoted("/a: #'b").as_str(), "'/a: #''b'");
    }
}
