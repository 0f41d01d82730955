//! `basic_auth_users`: names and bcrypt hashes.

use std::fmt;
use std::ops::RangeInclusive;

use super::findings::Problems;
use super::node::{Entry, Node};
use super::secret::{Secret, presentable};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub hash: PasswordHash,
}

/// A bcrypt hash whose version and cost are known to be good.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Secret,
    cost: u32,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<bcrypt hash of cost {}>", self.cost)
    }
}

/// What bcrypt itself allows.
const COSTS: RangeInclusive<u32> = 4..=31;
/// Below this a stolen hash is cheap to guess; x/crypto's and htpasswd's default is 10.
const WEAK_BELOW: u32 = 10;
/// Above this one check takes a core for more than a second, which helps attackers most.
const DEAR_ABOVE: u32 = 14;
/// `$2$10$` and 53 characters, the shortest that the exporter-toolkit takes.
const SHORTEST: usize = 59;

pub(super) fn validate(node: Option<&Node>, problems: &mut Problems) -> Vec<User> {
    let Some(node) = node else { return Vec::new() };
    let entries = node.entries("basic_auth_users", problems);
    entries.into_iter().filter_map(|entry| user(entry, problems)).collect()
}

fn user(entry: &Entry, problems: &mut Problems) -> Option<User> {
    let place = match presentable(&entry.key) {
        name if name.starts_with('(') => format!("basic_auth_users {name}"),
        _ => format!("basic_auth_users.{}", entry.key),
    };
    let text = entry.value.string(&place, problems)?;
    match PasswordHash::parse(text) {
        Ok(hash) => {
            if let Some(warning) = cost_warning(hash.cost) {
                problems
                    .warning(&entry.value, format!("{place}: bcrypt cost {} {warning}", hash.cost));
            }
            Some(User { name: entry.key.clone(), hash })
        }
        Err(what) => {
            // Never the value: it may be a password.
            problems.error(
                &entry.value,
                format!("{place}: {what}; make one with `exporter-guard hash-password`"),
            );
            None
        }
    }
}

fn cost_warning(cost: u32) -> Option<&'static str> {
    if cost < WEAK_BELOW {
        Some("is weak: a stolen hash is cheap to guess; 10 to 14 is usual")
    } else if cost > DEAR_ABOVE {
        Some("is very high: each wrong password takes more than a second of CPU; 10 to 14 is usual")
    } else {
        None
    }
}

impl PasswordHash {
    /// Accepts what the exporter-toolkit accepts: `$2$` or `$2a$` `$2b$` `$2x$` `$2y$`, a cost of 4
    /// to 31, and at least the length of a hash.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() < SHORTEST {
            return Err("too short for a bcrypt hash");
        }
        let rest = text.strip_prefix("$2").ok_or("not a bcrypt hash, which starts with $2")?;
        let rest = rest.strip_prefix(['a', 'b', 'x', 'y']).unwrap_or(rest);
        let rest =
            rest.strip_prefix('$').ok_or("unknown bcrypt version; known are 2, 2a, 2b, 2x, 2y")?;
        let (cost, _) = rest.split_once('$').ok_or("no bcrypt hash: the cost is missing")?;
        let cost = cost
            .parse()
            .ok()
            .filter(|value| cost.len() == 2 && COSTS.contains(value))
            .ok_or("bcrypt cost is not 04 to 31")?;
        Ok(Self { text: Secret::new(text.as_bytes().to_vec()), cost })
    }

    /// The hash as written.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    pub fn cost(&self) -> u32 {
        self.cost
    }
}
