//! The hint about a key that is unknown.

use super::declaration::{Declaration, SectionKeys};

/// Returns what somebody who wrote this key may have meant; `home` is the section that has it.
pub fn about(key: &str, keys: &SectionKeys, home: Option<&str>) -> String {
    if let Some(near) = nearest(key, keys).or_else(|| only_longer(key, keys)) {
        return format!("did you mean {near}?");
    }
    match home {
        Some("") => format!("{key} belongs at the beginning of a line, outside of all sections"),
        Some(section) => format!("{key} belongs under {section}"),
        None => "docs/configuration.md and `exporter-guard schema` have the keys".to_owned(),
    }
}

/// Finds the key with the fewest typing errors: at most three, and in a third of the letters.
fn nearest(key: &str, keys: &SectionKeys) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let names = keys.keys().map(Declaration::name);
    let distances =
        names.map(|name| (strsim::damerau_levenshtein(&key, &name.to_ascii_lowercase()), name));
    let near =
        distances.filter(|(distance, name)| *distance <= (name.len().min(key.len()) / 3).min(3));
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Finds the only key that begins or ends like this one.
fn only_longer(key: &str, keys: &SectionKeys) -> Option<&'static str> {
    const SHORTEST: usize = 4;
    let is_longer = |name: &&str| name.starts_with(key) || name.ends_with(key);
    let mut longer = keys.keys().map(Declaration::name).filter(is_longer);
    let first = longer.next().filter(|_| key.len() >= SHORTEST);
    first.filter(|_| longer.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::SectionKeys;
    use crate::config::keys::file::{FILE, home_of};
    use crate::config::keys::proxy::{LIMITS, PROXY};
    use crate::config::keys::toolkit::{HTTP, TLS};

    fn about(key: &str, keys: &SectionKeys) -> String {
        super::about(key, keys, home_of(key))
    }

    #[test]
    fn a_typo_finds_its_key_and_a_stray_key_its_section() {
        for (key, keys, hint) in [
            ("cert_fle", &TLS, "did you mean cert_file?"),
            ("ca_file", &TLS, "did you mean client_ca_file?"),
            ("http3", &HTTP, "did you mean http2?"),
            ("public_path", &PROXY, "did you mean public_paths?"),
            ("TLS_server_config", &FILE, "did you mean tls_server_config?"),
            ("min_version", &FILE, "min_version belongs under tls_server_config"),
            ("max_connections", &PROXY, "max_connections belongs under proxy.limits"),
            ("access", &TLS, "access belongs under proxy"),
            ("server_name", &PROXY, "server_name belongs under proxy.routes.upstream_tls"),
        ] {
            assert_eq!(about(key, keys), hint, "{key}");
        }
        for key in ["timeout", "x", "", "nonsense"] {
            assert!(about(key, &LIMITS).starts_with("docs/configuration.md"), "{key}");
        }
        assert!(about("basic_auth_users", &PROXY).contains("outside of all sections"));
    }
}
