//! Writes docs/configuration.md from the declarations of the keys:
//! `cargo run --example configuration -- docs/configuration.md`.

use std::{env, fs, io};

fn main() -> io::Result<()> {
    let file = env::args_os().nth(1);
    let file = file.ok_or_else(|| io::Error::other("usage: configuration FILE"))?;
    fs::write(file, exporter_guard::config::reference())
}
