//! Programs that take a web configuration: does this one take it?

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use super::Oracles;
use crate::support::process::{Finished, Process, command, eventually};
use crate::support::{GuardBuilder, logfmt};

/// `Ok` with what it said when it accepts the file, `Err` with what it said when it does not.
type Answer = Result<String, String>;

pub fn compare(
    program: &str,
    answer: Answer,
    accepts: bool,
    oracles: Oracles,
) -> Result<(), String> {
    match (answer, accepts) {
        (Ok(_), true) | (Err(_), false) => Ok(()),
        (Ok(said), false) => Err(format!("{program} accepts it ({oracles:?})\n{said}")),
        (Err(said), true) => Err(format!("{program} refuses it ({oracles:?})\n{said}")),
    }
}

pub fn promtool_accepts(file: &Path) -> Answer {
    let mut promtool = command("promtool");
    promtool.args(["check", "web-config"]).arg(file);
    let finished = Finished::run(&mut promtool, file.parent().unwrap(), b"");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    if finished.code == Some(0) { Ok(said) } else { Err(said) }
}

/// The guard itself, on a free port, in front of its own metrics.
pub fn guard_starts(file: &Path) -> Answer {
    starts(GuardBuilder::new().config_path(file).spawn().process())
}

pub fn node_exporter_starts(file: &Path) -> Answer {
    let mut exporter = command("prometheus-node-exporter");
    exporter.arg(format!("--web.config.file={}", file.display()));
    exporter.args(["--web.listen-address=127.0.0.1:0", "--collector.disable-defaults"]);
    starts(&mut Process::spawn(exporter, file.parent().unwrap()))
}

/// Wait until it answers or has ended: Go's server looks at some settings only after it has said
/// that it listens.
fn starts(process: &mut Process) -> Answer {
    let mut ended = false;
    eventually("an answer or an end", || {
        ended = process.exited().is_some();
        ended || process.stderr().iter().any(|line| answers(line))
    });
    let said = process.stderr().join("\n");
    if ended { Err(said) } else { Ok(said) }
}

/// Whether the listener that a log line names answers; in plaintext with TLS on, too.
fn answers(line: &str) -> bool {
    if logfmt::field(line, "msg") != "Listening on" {
        return false;
    }
    let Ok(mut client) = TcpStream::connect(logfmt::field(line, "address")) else { return false };
    let mut byte = [0];
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok() && client.read_exact(&mut byte).is_ok()
}
