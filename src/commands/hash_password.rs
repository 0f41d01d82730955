//! `hash-password`: a bcrypt hash for `basic_auth_users`.

use std::io::{self, BufRead, IsTerminal, Write};

use zeroize::Zeroizing;

use crate::cli::HashPasswordArgs;

/// bcrypt reads no more than this.
const BCRYPT_READS: usize = 72;
const WEAK_BELOW: u32 = 10;
const DEAR_ABOVE: u32 = 14;

pub fn run(args: &HashPasswordArgs) -> Result<(), String> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() { prompt()? } else { read_line(&mut stdin.lock())? };
    for warning in check(&password, args.cost)? {
        eprintln!("warning: {warning}");
    }
    let hash = bcrypt::hash(password.as_bytes(), args.cost)
        .map_err(|error| format!("cannot hash the password: {error}"))?;
    writeln!(io::stdout(), "{hash}").map_err(|error| format!("cannot print the hash: {error}"))
}

/// Ask twice, without echo.
fn prompt() -> Result<Zeroizing<String>, String> {
    let ask = |text| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .map_err(|error| format!("cannot read the password: {error}"))
    };
    let first = ask("Password: ")?;
    let second = ask("Repeat password: ")?;
    if first != second {
        return Err("the two passwords differ".to_owned());
    }
    Ok(first)
}

/// One line, without its end.
fn read_line(input: &mut impl BufRead) -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    input.read_line(&mut line).map_err(|error| format!("cannot read the password: {error}"))?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok(line)
}

/// What cannot be hashed, and what is worth a warning.
fn check(password: &str, cost: u32) -> Result<Vec<String>, String> {
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if password.contains('\0') {
        return Err(
            "the password holds a NUL byte, where some bcrypt programs stop reading".to_owned()
        );
    }
    let mut warnings = Vec::new();
    if password.len() > BCRYPT_READS {
        warnings.push(format!(
            "bcrypt reads the first {BCRYPT_READS} bytes of a password; the rest does not count"
        ));
    }
    if cost < WEAK_BELOW {
        warnings.push(format!(
            "a hash of cost {cost} is cheap to guess once stolen; 10 to 14 is usual"
        ));
    }
    if cost > DEAR_ABOVE {
        warnings.push(format!("cost {cost}: each wrong password takes more than a second of CPU"));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_line_without_its_end() {
        for (input, password) in
            [("a b\n", "a b"), ("a\r\n", "a"), ("a", "a"), ("a\nb\n", "a"), ("", "")]
        {
            assert_eq!(*read_line(&mut input.as_bytes()).unwrap(), password);
        }
    }

    #[test]
    fn refuses_and_warns() {
        assert!(check("", 10).is_err());
        assert!(check("a\0b", 10).is_err());
        assert!(check("secret", 10).unwrap().is_empty());
        assert_eq!(check("secret", 4).unwrap().len(), 1);
        assert_eq!(check("secret", 15).unwrap().len(), 1);
        assert_eq!(check(&"x".repeat(73), 10).unwrap().len(), 1);
    }
}
