//! Hot reload: whatever way a file changes it takes effect, and a file that is half-written, broken
//! or without its protection admits no client.

mod effects;
mod half_written;
mod kept;
mod protection;
mod requests;
mod stress;
mod ways;

use crate::support::*;

/// A configuration whose only user has this password.
fn with_password(password: &str) -> String {
    users(&[("scraper", &quick_hash(password))])
}
