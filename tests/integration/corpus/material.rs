//! The certificates and keys that the rows name.

use std::path::Path;

use crate::support::guard::{write as write_file, write_pair};
use crate::support::{Authority, KeyKind, Leaf};

pub fn write(directory: &Path) {
    for (name, leaf) in [
        ("ec", Leaf::server()),
        ("rsa", Leaf::server().key(KeyKind::Rsa)),
        ("ed", Leaf::server().key(KeyKind::Ed25519)),
        ("expired", Leaf::server().valid(-20, -10)),
        ("soon", Leaf::server().valid(-20, 5)),
        ("future", Leaf::server().valid(5, 50)),
        ("nosan", Leaf::server().sans(&[])),
        ("other", Leaf::server()),
    ] {
        write_pair(directory, name, &leaf.self_signed());
    }
    for (name, key) in [("sec1", KeyKind::Ecdsa), ("pkcs1", KeyKind::Rsa)] {
        let identity = Leaf::server().key(key).self_signed();
        write_file(&directory.join(format!("{name}.crt")), identity.chain_pem());
        write_file(&directory.join(format!("{name}.key")), identity.traditional_key_pem());
    }
    let ca = Authority::new("clients");
    write_file(&directory.join("ca.crt"), ca.pem());
    let middle = ca.intermediate("middle");
    let chained = middle.issue(&Leaf::server());
    write_pair(directory, "chain", &chained);
    write_file(&directory.join("empty.pem"), "");
    write_file(
        &directory.join("garbage.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    write_file(&directory.join("text.pem"), "no PEM at all\n");
    let key = KeyKind::Ecdsa.generate();
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let encrypted = key.private_key_to_pem_pkcs8_passphrase(cipher, b"passphrase").unwrap();
    write_file(&directory.join("encrypted.key"), encrypted);
    std::fs::create_dir_all(directory.join("directory.pem")).unwrap();
}
