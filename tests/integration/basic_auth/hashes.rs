//! The bcrypt hashes that users come with.

use crate::support::*;

/// htpasswd writes $2y$, Python's bcrypt $2b$, Go $2a$, and crypt_blowfish has $2x$.
#[test]
fn every_minor_version_of_bcrypt_is_read() {
    let hash = quick_hash("secret");
    let rest = &hash[4..];
    for version in ["$2a$", "$2b$", "$2y$", "$2x$", "$2$"] {
        let config = users(&[("user", &format!("{version}{rest}"))]);
        let guard = GuardBuilder::new().config(config).start();
        assert_eq!(guard.login("user", "secret"), 200, "{version}");
        assert_eq!(guard.login("user", "Secret"), 401, "{version}");
    }
}

/// Vectors of other implementations, so that the test does not rest on the library under test.
#[test]
fn hashes_of_other_programs_are_read() {
    for (password, hash) in [
        // Of crypt_blowfish, and one of jBCrypt's; libxcrypt agrees.
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
        ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
    ] {
        let guard = GuardBuilder::new().config(users(&[("user", hash)])).start();
        assert_eq!(guard.login("user", password), 200, "{password:?}");
        assert_eq!(guard.login("user", format!("{password}x")), 401, "{password:?}");
    }
}

#[test]
fn hashes_that_htpasswd_and_openssl_cannot_have_meant_are_refused_at_start() {
    let hash = quick_hash("secret");
    for bad in [
        "plaintext",
        "$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
        "$apr1$abcdefgh$vFKQ7ZbD1ZdBW4g8nVJbT.",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        &hash[..40],
        &hash.replace("$04$", "$03$"),
        &hash.replace("$04$", "$32$"),
        "''",
    ] {
        let config = yaml(&format!(
            "
            basic_auth_users:
              user: {}
            ",
            quoted(bad)
        ));
        let failed = GuardBuilder::new().config(config).fail_to_start().expect_code(1);
        assert!(failed.stderr.contains("web.yml:2"), "{failed}");
        assert!(!failed.stderr.contains(&hash[10..30]), "a hash is a secret, too\n{failed}");
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// bcrypt reads 72 bytes; exporters let a longer password in by its first 72.
#[test]
fn only_the_first_72_bytes_of_a_password_count() {
    let long = "0123456789".repeat(8);
    let guard = GuardBuilder::new().config(users(&[("user", &quick_hash(&long[..72]))])).start();
    assert_eq!(guard.login("user", &long[..72]), 200);
    assert_eq!(guard.login("user", &long), 200);
    assert_eq!(guard.login("user", &long[..71]), 401);
}
