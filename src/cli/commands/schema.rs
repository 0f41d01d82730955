//! `schema`: the JSON Schema of the web configuration, for editors.

use std::io::{self, Write};

use crate::config;

/// Prints the schema (JSON Schema 2020-12) to stdout.
///
/// # Errors
///
/// Returns why stdout cannot be written to.
pub fn run() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:#}", config::schema())
}
