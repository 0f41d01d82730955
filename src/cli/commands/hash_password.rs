//! `hash-password`: makes a bcrypt hash for `basic_auth_users`, in place of htpasswd.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use zeroize::Zeroizing;

use crate::auth::{BCRYPT_READS, DEFAULT_BCRYPT_COST};

/// The costs that bcrypt defines, and so the ones that exporters accept.
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// The costs without a warning: a check takes 50 ms to 1 s, so that a stolen hash is not cheap to
/// guess and a login not expensive.
const USUAL_COSTS: std::ops::RangeInclusive<u32> = 10..=14;
/// The most bytes of a password line; a longer line is not a password but the wrong file. The
/// buffer has this size from the start, so that it leaves no copies of the password behind as it
/// grows.
const MAX_LINE_LEN: usize = 4096;

/// A function that prints a prompt on a terminal and reads the answer without echo.
pub type Prompt<'a> = dyn FnMut(&str) -> io::Result<Zeroizing<String>> + 'a;

/// The source of the password.
pub enum Input<'a> {
    /// A terminal. The password is read twice, since it is not shown.
    Terminal(&'a mut Prompt<'a>),
    /// The first line of a stream; nothing after it is read. The reader must be unbuffered, since a
    /// buffer would keep the password.
    Line(&'a mut dyn Read),
}

/// A reason why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum HashPasswordError {
    /// The cost is not one that bcrypt defines.
    #[error("--cost {0}: bcrypt knows {min} to {max}", min = COSTS.start(), max = COSTS.end())]
    Cost(u32),
    /// The password cannot be read.
    #[error("cannot read the password: {0}")]
    Read(#[source] io::Error),
    /// The password is empty.
    #[error("the password is empty: type one, or pipe it in as a line")]
    Empty,
    /// The first line is too long for a password.
    #[error("the first line has more than {MAX_LINE_LEN} bytes: pipe in the password alone")]
    TooLong,
    /// The password holds a NUL byte.
    #[error(
        "the password holds a NUL byte, where some bcrypt programs stop reading: choose another"
    )]
    Nul,
    /// The second password differs from the first.
    #[error("the two passwords differ: run this again")]
    Differ,
    /// bcrypt cannot hash the password.
    #[error("cannot hash the password: {0}")]
    Bcrypt(#[source] bcrypt::BcryptError),
    /// The hash cannot be printed.
    #[error("cannot print the hash: {0}")]
    Print(#[source] io::Error),
}

/// Reads a password from stdin and prints its hash to stdout, with warnings to stderr.
///
/// # Errors
///
/// Returns the reason why there is no hash.
pub fn run_on_stdin(cost: u32) -> Result<(), HashPasswordError> {
    let stdin = io::stdin();
    let (mut output, mut warnings) = (io::stdout(), io::stderr());
    if stdin.is_terminal() {
        let mut prompt = |text: &str| rpassword::prompt_password(text).map(Zeroizing::new);
        return run(cost, Input::Terminal(&mut prompt), &mut output, &mut warnings);
    }
    let stdin = stdin.as_fd().try_clone_to_owned().map_err(HashPasswordError::Read)?;
    run(cost, Input::Line(&mut std::fs::File::from(stdin)), &mut output, &mut warnings)
}

/// Reads a password from `input` and prints its hash, and nothing else, to `output`.
///
/// # Errors
///
/// Returns the reason why there is no hash.
pub fn run(
    cost: u32,
    input: Input<'_>,
    output: &mut dyn Write,
    warnings: &mut dyn Write,
) -> Result<(), HashPasswordError> {
    if !COSTS.contains(&cost) {
        return Err(HashPasswordError::Cost(cost));
    }
    let password = match input {
        Input::Terminal(prompt) => read_twice(prompt)?,
        Input::Line(reader) => read_line(reader)?,
    };
    if password.contains(&0) {
        return Err(HashPasswordError::Nul);
    }
    // Warnings come before the hash, so that they explain the wait at a high cost. A closed stderr
    // is ignored.
    for warning in warnings_for(&password, cost) {
        let _ = writeln!(warnings, "warning: {warning}");
    }
    // htpasswd writes $2y$ too; some of its versions do not know $2b$, the default of bcrypt.
    let hash = bcrypt::hash_with_result(password.as_slice(), cost)
        .map(|parts| parts.format_for_version(bcrypt::Version::TwoY))
        .map_err(HashPasswordError::Bcrypt)?;
    writeln!(output, "{hash}").and_then(|()| output.flush()).map_err(HashPasswordError::Print)
}

fn read_twice(prompt: &mut Prompt<'_>) -> Result<Zeroizing<Vec<u8>>, HashPasswordError> {
    let mut first = prompt("Password: ").map_err(HashPasswordError::Read)?;
    if first.is_empty() {
        return Err(HashPasswordError::Empty);
    }
    if *first != *prompt("Repeat password: ").map_err(HashPasswordError::Read)? {
        return Err(HashPasswordError::Differ);
    }
    Ok(Zeroizing::new(std::mem::take(&mut *first).into_bytes()))
}

/// Reads one line, and returns it without its line break (LF or CRLF).
fn read_line(reader: &mut dyn Read) -> Result<Zeroizing<Vec<u8>>, HashPasswordError> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_LEN));
    let mut byte = Zeroizing::new([0]);
    loop {
        match reader.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => {
                line.pop_if(|last| *last == b'\r');
                break;
            }
            Ok(_) if line.len() == MAX_LINE_LEN => return Err(HashPasswordError::TooLong),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(HashPasswordError::Read(error)),
        }
    }
    if line.is_empty() { Err(HashPasswordError::Empty) } else { Ok(line) }
}

/// Returns the warnings about a password and a cost that work, but perhaps not as meant.
fn warnings_for(password: &[u8], cost: u32) -> Vec<String> {
    let mut warnings = Vec::new();
    if password.len() > BCRYPT_READS {
        warnings.push(format!(
            "bcrypt reads the first {BCRYPT_READS} bytes of a password; the other {} do not count",
            password.len() - BCRYPT_READS
        ));
    }
    if cost < *USUAL_COSTS.start() {
        warnings.push(format!("a hash of cost {cost} is cheap to guess once stolen; 10 is usual"));
    }
    if cost > *USUAL_COSTS.end() {
        warnings.push(format!(
            "cost {cost} is {} times the work of cost 10, for this and for every login that is \
             not cached",
            1_u64 << (cost - DEFAULT_BCRYPT_COST)
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes the first line of `input`; returns the result, stdout and stderr.
    fn hash(cost: u32, input: &[u8]) -> (Result<(), HashPasswordError>, String, String) {
        let (mut reader, mut output, mut warnings) = (input, Vec::new(), Vec::new());
        let result = run(cost, Input::Line(&mut reader), &mut output, &mut warnings);
        (result, String::from_utf8(output).unwrap(), String::from_utf8(warnings).unwrap())
    }

    fn type_in(answers: &[&str]) -> (Result<(), HashPasswordError>, String) {
        let mut answers = answers.iter();
        let mut prompt = |_: &str| Ok(Zeroizing::new((*answers.next().unwrap()).to_owned()));
        let mut output = Vec::new();
        let result = run(4, Input::Terminal(&mut prompt), &mut output, &mut Vec::new());
        (result, String::from_utf8(output).unwrap())
    }

    #[test]
    fn one_line_is_hashed_without_its_line_break() {
        for (input, password) in [
            (&b"a b\n"[..], &b"a b"[..]),
            (b"a\r\n", b"a"),
            (b"a\r\r\n", b"a\r"),
            (b"a", b"a"),
            (b"a\r", b"a\r"),
            (b"a\nb\n", b"a"),
            (b"a:b\xff\n", b"a:b\xff"),
        ] {
            let (result, output, _) = hash(4, input);
            result.unwrap();
            let line = output.strip_suffix('\n').unwrap();
            assert_eq!(line.len(), 60);
            assert!(line.starts_with("$2y$04$"), "{line}");
            assert!(bcrypt::verify(password, line).unwrap(), "{input:?}");
        }
    }

    #[test]
    fn nothing_is_read_past_the_line() {
        let mut reader = &b"first\nsecond\n"[..];
        run(4, Input::Line(&mut reader), &mut Vec::new(), &mut Vec::new()).unwrap();
        assert_eq!(reader, b"second\n");
    }

    #[test]
    fn empty_long_and_nul_passwords_and_unknown_costs_are_refused() {
        for input in [&b""[..], b"\n", b"\r\n", b"\nsecond\n"] {
            assert!(matches!(hash(4, input).0, Err(HashPasswordError::Empty)), "{input:?}");
        }
        assert!(matches!(hash(4, b"a\0b\n").0, Err(HashPasswordError::Nul)));
        assert!(matches!(hash(4, &[b'a'; MAX_LINE_LEN + 1]).0, Err(HashPasswordError::TooLong)));
        assert!(hash(4, &[&[b'a'; MAX_LINE_LEN][..], b"\n"].concat()).0.is_ok());
        for cost in [0, 3, 32, u32::MAX] {
            let (result, output, _) = hash(cost, b"a\n");
            assert!(matches!(result, Err(HashPasswordError::Cost(_))));
            assert_eq!(output, "");
        }
    }

    #[test]
    fn a_terminal_is_prompted_twice() {
        let (result, output) = type_in(&["secret", "secret"]);
        result.unwrap();
        assert!(bcrypt::verify("secret", output.trim_end()).unwrap());
        let (result, output) = type_in(&["secret", "Secret"]);
        assert!(matches!(result, Err(HashPasswordError::Differ)));
        assert_eq!(output, "");
        assert!(matches!(type_in(&[""]).0, Err(HashPasswordError::Empty)));
    }

    #[test]
    fn warnings_go_to_stderr_only() {
        assert_eq!(hash(10, b"secret\n").2, "");
        assert_eq!(hash(10, &[b'a'; 72]).2, "");
        assert!(hash(4, b"secret\n").2.contains("cheap to guess"));
        let (_, output, warnings) = hash(10, &[b'a'; 75]);
        assert!(warnings.contains("the other 3 do not count"), "{warnings}");
        assert_eq!(output.lines().count(), 1);
        assert!(warnings_for(b"secret", 15)[0].contains("32 times"));
    }

    #[test]
    fn a_closed_stdout_is_an_error() {
        let mut full = &mut [0_u8; 10][..];
        let result = run(4, Input::Line(&mut &b"a\n"[..]), &mut full, &mut Vec::new());
        assert!(matches!(result, Err(HashPasswordError::Print(_))));
    }
}
