//! A route in words, for `check --explain`.

use crate::auth;
use crate::config::routes::{Pattern, RouteConfig, Sharing};

/// Describes in one line who reaches what.
pub fn explain(config: &RouteConfig, has_users: bool) -> String {
    let policy = &config.policy;
    let any_or = |all: &[String], any: &str| match all {
        [] => any.to_owned(),
        some => some.join(", "),
    };
    let hosts = any_or(&policy.hosts, "any host");
    let listeners = match policy.listeners.as_slice() {
        [] => String::new(),
        some => format!(" at {}", some.join(", ")),
    };
    let outside = |path: &str| config.outside(path);
    let paths: Vec<String> = config.patterns().iter().map(Pattern::as_str).map(outside).collect();
    let upstreams: Vec<String> = config.upstreams.iter().map(ToString::to_string).collect();
    let upstreams =
        if config.is_default { "--upstream".to_owned() } else { upstreams.join(" or ") };
    let inside = match (config.strip, config.prefix.as_str()) {
        (true, prefix) if !prefix.is_empty() => format!(" without {prefix}"),
        _ => String::new(),
    };
    let mut line = format!(
        "{}: {} {} on {hosts}{listeners} to {upstreams}{inside} for {}",
        config.name,
        any_or(policy.methods.as_deref().unwrap_or_default(), "any method of"),
        any_or(&paths, "any path"),
        auth::explain(&policy.access, has_users),
    );
    if !policy.public_paths.is_empty() {
        let public: Vec<String> =
            policy.public_paths.iter().map(String::as_str).map(outside).collect();
        line.push_str(&format!("; for anybody {}", public.join(", ")));
    }
    if let Some(targets) = &config.allowed_targets {
        line.push_str(&format!("; only with a target of {}", targets.join(", ")));
    }
    if let Some(Sharing { cache_for, same_for_all }) = policy.sharing {
        let whom = if same_for_all { "all" } else { "each user" };
        line.push_str(&format!("; answers shared among requests of {whom}"));
        if !cache_for.is_zero() {
            line.push_str(&format!(" for {} s", cache_for.as_secs_f64()));
        }
    }
    line
}
