//! `basic_auth_users`: names and bcrypt hashes.

use std::fmt;
use std::ops::RangeInclusive;

use crate::config::files::{Secret, presentable};
use crate::config::keys::Entry;
use crate::config::keys::toolkit::SHORTEST_BCRYPT;

/// A user of `basic_auth_users`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name as written; it may be empty.
    pub name: String,
    /// The hash of the password.
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

/// The costs that bcrypt itself allows.
const COSTS: RangeInclusive<u32> = 4..=31;
/// The cost below which a stolen hash is cheap to guess; x/crypto's and htpasswd's default.
const WEAK_BELOW: u32 = 10;
/// The cost above which one check takes a core for more than a second, which helps attackers most.
const EXPENSIVE_ABOVE: u32 = 14;

/// A text that is no bcrypt hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// The text is shorter than any hash.
    #[error("too short for a bcrypt hash")]
    Short,
    /// The text begins like something else.
    #[error("not a bcrypt hash, which starts with $2")]
    Scheme,
    /// The letter after `$2` is unknown.
    #[error("unknown bcrypt version; known are 2, 2a, 2b, 2x, 2y")]
    Version,
    /// Nothing follows the version.
    #[error("no bcrypt hash: the cost is missing")]
    NoCost,
    /// The cost is no number of two digits in its range.
    #[error("bcrypt cost is not 04 to 31")]
    Cost,
}

/// Reads the users out of the entries of the section.
pub fn read(entries: Vec<Entry<'_>>) -> Vec<User> {
    entries.into_iter().filter_map(user).collect()
}

fn user(entry: Entry<'_>) -> Option<User> {
    let section = entry.value.name();
    let name = match presentable(entry.key) {
        name if name.starts_with('(') => format!("{section} {name}"),
        _ => format!("{section}.{}", entry.key),
    };
    let text = entry.value.named(&name).text()?;
    match PasswordHash::parse(text.as_str()) {
        Ok(hash) => {
            if let Some(warning) = cost_warning(hash.cost) {
                text.warning(format!("bcrypt cost {} {warning}", hash.cost));
            }
            Some(User { name: entry.key.to_owned(), hash })
        }
        Err(error) => {
            // Never the value: it may be a password.
            text.error(format!("{error}; make one with `exporter-guard hash-password`"));
            None
        }
    }
}

fn cost_warning(cost: u32) -> Option<&'static str> {
    if cost < WEAK_BELOW {
        Some("is weak: a stolen hash is cheap to guess; 10 to 14 is usual")
    } else if cost > EXPENSIVE_ABOVE {
        Some("is very high: each wrong password takes more than a second of CPU; 10 to 14 is usual")
    } else {
        None
    }
}

impl PasswordHash {
    /// Accepts what the exporter-toolkit accepts: `$2$` or `$2a$` `$2b$` `$2x$` `$2y$`, a cost of 4
    /// to 31, and at least the length of a hash.
    ///
    /// # Errors
    ///
    /// Returns the first part of the text that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidHash> {
        if text.len() < SHORTEST_BCRYPT {
            return Err(InvalidHash::Short);
        }
        let rest = text.strip_prefix("$2").ok_or(InvalidHash::Scheme)?;
        let rest = rest.strip_prefix(['a', 'b', 'x', 'y']).unwrap_or(rest);
        let rest = rest.strip_prefix('$').ok_or(InvalidHash::Version)?;
        let (cost, _) = rest.split_once('$').ok_or(InvalidHash::NoCost)?;
        let cost = cost
            .parse()
            .ok()
            .filter(|value| cost.len() == 2 && COSTS.contains(value))
            .ok_or(InvalidHash::Cost)?;
        Ok(Self { text: Secret::new(text.as_bytes().to_vec()), cost })
    }

    /// Returns the hash as written.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the cost: each step doubles the time of a check.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}
