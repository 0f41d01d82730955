//! Finds the limits that a reload would loosen because their keys are gone.

use std::collections::HashMap;
use std::time::Duration;

use super::HALF_WRITTEN;
use crate::config::Config;

/// Describes what of the rate limit, of `proxy.limits` and of `proxy.proxy_protocol` is gone from
/// `new`.
pub fn find(old: &Config, new: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if old.rate_limit.is_some() && new.rate_limit.is_none() && !new.declared.rate_limit_off {
        found
            .push(format!("this would turn the rate limit off: {HALF_WRITTEN} `rate_limit: {{}}`"));
    }
    found.extend(loosened(old, new).map(|key| {
        format!(
            "proxy.limits.{key}: without it the default would hold, which is looser: \
             {HALF_WRITTEN} the default"
        )
    }));
    found.extend(loosened_routes(old, new));
    let is_declared = new.proxy.declared.contains(&"proxy_protocol");
    if !is_declared || !new.proxy.proxy_protocol.is_empty() {
        let rules = |config: &Config| -> Vec<String> {
            let rules = config.proxy.proxy_protocol.iter();
            rules.map(|rule| rule.listen_address.clone()).collect()
        };
        let kept = rules(new);
        let gone = rules(old).into_iter().filter(|listener| !kept.contains(listener));
        found.extend(gone.map(|listener| {
            format!(
                "proxy.proxy_protocol: this would take the clients of {listener:?} for the load \
                 balancer itself: {HALF_WRITTEN} `proxy_protocol: []` first, without any other"
            )
        }));
    }
    found
}

/// Returns the limits that `old` sets and `new` does not, where the default is looser. What an exporter
/// may take (`response_timeout`) is no protection from clients.
fn loosened<'a>(old: &'a Config, new: &'a Config) -> impl Iterator<Item = &'static str> + 'a {
    let (was, is) = (&old.proxy.limits, &new.proxy.limits);
    let times = [
        ("connect_timeout", was.connect_timeout, is.connect_timeout),
        ("handshake_timeout", was.handshake_timeout, is.handshake_timeout),
        ("header_timeout", was.header_timeout, is.header_timeout),
        ("body_timeout", was.body_timeout, is.body_timeout),
        ("write_timeout", was.write_timeout, is.write_timeout),
        ("idle_timeout", was.idle_timeout, is.idle_timeout),
    ];
    let failures = |failures: u32| usize::try_from(failures).unwrap_or(usize::MAX);
    let counts = [
        ("max_header_bytes", was.max_header_bytes, is.max_header_bytes),
        ("max_connections", was.max_connections, is.max_connections),
        (
            "max_connections_per_address",
            was.max_connections_per_address,
            is.max_connections_per_address,
        ),
        ("max_streams_per_address", was.max_streams_per_address, is.max_streams_per_address),
        ("max_buffered_bytes", was.max_buffered_bytes, is.max_buffered_bytes),
        ("max_auth_failures", failures(was.max_auth_failures), failures(is.max_auth_failures)),
        ("max_in_flight", was.max_in_flight, is.max_in_flight),
    ];
    let times = times.into_iter().map(|(key, was, is): (_, Duration, _)| (key, is > was));
    let counts = counts.into_iter().map(|(key, was, is)| (key, is > was));
    let is_gone = |key: &str| was.declared.contains(&key) && !is.declared.contains(&key);
    times
        .chain(counts)
        .filter(move |(key, is_looser)| *is_looser && is_gone(key))
        .map(|(key, _)| key)
}

/// Describes the routes whose own `max_in_flight` is gone, where that of `proxy.limits` is looser.
fn loosened_routes(old: &Config, new: &Config) -> Vec<String> {
    let common = new.proxy.limits.max_in_flight;
    let was: HashMap<&str, usize> = old
        .proxy
        .routes
        .iter()
        .filter_map(|route| Some((route.name.as_str(), route.policy.max_in_flight?)))
        .filter(|(_, was)| *was < common)
        .collect();
    let is_gone = |name: &str, own: Option<usize>| own.is_none() && was.contains_key(name);
    let routes = new.proxy.routes.iter();
    let loosened = routes.filter(|route| is_gone(&route.name, route.policy.max_in_flight));
    loosened
        .map(|route| {
            format!(
                "proxy.routes.{}.max_in_flight: without it that of proxy.limits would hold, which is \
                 looser: {HALF_WRITTEN} `max_in_flight: {common}`",
                route.name
            )
        })
        .collect()
}
