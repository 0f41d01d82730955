//! `hash-password`.

use std::path::Path;

use crate::support::guard::binary;
use crate::support::process::Finished;
use crate::support::terminal::Terminal;
use crate::support::*;

fn hash_password(args: &[&str], input: &[u8]) -> Finished {
    Finished::run(binary().arg("hash-password").args(args), Path::new("/"), input)
}

#[track_caller]
fn hash(args: &[&str], input: &[u8]) -> String {
    let finished = hash_password(args, input).expect_code(0);
    let hash = finished.stdout.trim_end_matches('\n');
    assert!(hash.len() == 60 && hash.starts_with("$2") && !hash.contains('\n'), "{finished}");
    hash.to_owned()
}

#[test]
fn the_first_line_of_stdin_is_hashed() {
    for input in [&b"open sesame\n"[..], b"open sesame", b"open sesame\r\n", b"open sesame\nmore\n"]
    {
        let hash = hash(&["--cost=4"], input);
        assert!(bcrypt::verify("open sesame", &hash).unwrap(), "{input:?}: {hash}");
    }
    let hash = hash(&["--cost=4"], " spaces and ümläuts \n".as_bytes());
    assert!(bcrypt::verify(" spaces and ümläuts ", &hash).unwrap(), "{hash}");
}

#[test]
fn the_cost_is_what_was_asked_for() {
    assert_eq!(&hash(&[], b"p\n")[4..7], "10$");
    assert_eq!(&hash(&["--cost", "5"], b"p\n")[4..7], "05$");
    assert_eq!(&hash(&["--cost=12"], b"p\n")[4..7], "12$");
}

#[test]
fn every_hash_has_a_salt_of_its_own() {
    assert_ne!(hash(&["--cost=4"], b"p\n"), hash(&["--cost=4"], b"p\n"));
}

#[test]
fn an_empty_password_is_refused() {
    for input in [&b""[..], b"\n", b"\r\n"] {
        let finished = hash_password(&["--cost=4"], input).expect_code(1);
        assert_eq!(finished.stdout, "", "{finished}");
        assert!(!finished.stderr.is_empty(), "{finished}");
    }
}

/// bcrypt reads 72 bytes: silently hashing the first 72 would promise more than there is.
#[test]
fn a_password_over_72_bytes_is_not_cut_silently() {
    let long = "x".repeat(73) + "\n";
    let finished = hash_password(&["--cost=4"], long.as_bytes());
    assert!(finished.stderr.contains("72"), "{finished}");
    let fits = "x".repeat(72) + "\n";
    assert!(bcrypt::verify("x".repeat(72), &hash(&["--cost=4"], fits.as_bytes())).unwrap());
}

/// What a terminal shows when these two are typed.
fn at_a_terminal(first: &str, second: &str) -> (Option<i32>, String) {
    let mut command = binary();
    command.args(["hash-password", "--cost=4"]);
    let mut terminal = Terminal::spawn(command);
    terminal.type_unseen(first, 1);
    terminal.type_unseen(second, 2);
    let (status, screen) = terminal.finish();
    (status.code(), screen)
}

#[test]
fn a_terminal_is_asked_twice_without_echo() {
    let (code, screen) = at_a_terminal("open sesame", "open sesame");
    assert_eq!(code, Some(0), "{screen}");
    let hash = screen.split_whitespace().find(|word| word.starts_with("$2")).expect("a hash");
    assert!(bcrypt::verify("open sesame", hash).unwrap(), "{screen}");
    assert!(!screen.contains("sesame"), "{screen}");

    let (code, screen) = at_a_terminal("open sesame", "open barley");
    assert_eq!(code, Some(1), "{screen}");
    assert!(!screen.contains("$2"), "{screen}");
    assert!(!screen.contains("sesame") && !screen.contains("barley"), "{screen}");
}

#[test]
fn a_hash_that_was_made_admits_its_password() {
    let hash = hash(&["--cost=4"], b"open sesame\n");
    let guard = GuardBuilder::new().config(users(&[("a", &hash)])).start();
    assert_eq!(guard.connect().get_as(("a", "open sesame"), "/metrics").status, 200);
    assert_eq!(guard.connect().get_as(("a", "open"), "/metrics").status, 401);
}
