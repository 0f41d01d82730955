use exporter_guard::auth::Credentials;

use super::reference;

/// Checks that the guard reads the same user and password from an `Authorization` header as the
/// reference implementation.
pub fn authorization(header: &[u8]) {
    let read = Credentials::parse(header)
        .map(|credentials| (credentials.user().to_vec(), credentials.password().to_vec()));
    assert_eq!(read, reference::parse(header), "{}", header.escape_ascii());
}
