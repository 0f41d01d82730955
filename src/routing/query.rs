//! The `target` parameter of multi-target exporters (`/probe?target=…&module=…`).

const TARGET: &str = "target";

/// Returns whether the query has no `target`, or exactly one, which is listed. False for every
/// query with `;`, which separates parameters for some programs and not for others.
pub fn has_allowed_target(query: Option<&str>, allowed: &[String]) -> bool {
    let query = query.unwrap_or_default();
    if query.contains(';') {
        return false;
    }
    let targets = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case(TARGET));
    let mut targets = targets.map(|(name, value)| (name == TARGET, value));
    match (targets.next(), targets.next()) {
        (None, _) => true,
        (Some((true, target)), None) => allowed.iter().any(|allowed| *allowed == *target),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_may_have_one_target_that_is_listed() {
        let allowed = ["https://a.example/x?y".to_owned(), "10.0.0.1".to_owned()];
        for (query, passes) in [
            ("target=10.0.0.1", true),
            ("module=http_2xx&target=10.0.0.1", true),
            ("target=https%3A%2F%2Fa.example%2Fx%3Fy&module=m", true),
            ("t%61rget=10.0.0.1", true),
            ("target=10.0.0.2", false),
            ("target=10.0.0.1&target=10.0.0.2", false),
            ("target=10.0.0.1&target=10.0.0.1", false),
            ("target=10.0.0.1&t%61rget=10.0.0.2", false),
            ("target=10.0.0.1&Target=10.0.0.2", false),
            ("target=10.0.0.1;target=10.0.0.2", false),
            ("target=10.0.0.1%20", false),
            ("target=", false),
            ("module=m", true),
            ("", true),
            ("module=m;x", false),
        ] {
            assert_eq!(has_allowed_target(Some(query), &allowed), passes, "{query}");
        }
        assert!(has_allowed_target(None, &allowed));
    }
}
