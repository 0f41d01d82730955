use exporter_guard::auth::Credentials;

use super::reference;

/// One `Authorization` header: the guard reads out of it what the reference does.
pub fn authorization(header: &[u8]) {
    let read = Credentials::parse(header)
        .map(|credentials| (credentials.user().to_vec(), credentials.password().to_vec()));
    assert_eq!(read, reference::parse(header), "{}", header.escape_ascii());
}
