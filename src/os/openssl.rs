//! Calls of OpenSSL that the openssl crate has no wrapper for.

use std::ffi::{c_int, c_uchar, c_void};
use std::panic::catch_unwind;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::ssl::{SslContextBuilder, SslRef, SslSessionRef};
use openssl::x509::store::{X509Store, X509StoreBuilderRef, X509StoreRef};
use openssl::x509::{X509Crl, X509StoreContextRef};
use openssl_sys::{SSL, SSL_CTX, SSL_SESSION, X509_CRL, X509_STORE, X509_STORE_CTX};

/// The decisions that are made when a session ticket is written and when it is presented
/// (SSL_CTX_set_session_ticket_cb(3)).
pub trait TicketPolicy: 'static {
    /// Returns the data that goes into a ticket of this connection; `None` leaves what the resumed
    /// session has.
    fn data(ssl: &SslRef) -> Option<Vec<u8>>;

    /// Returns whether a session with this data may be resumed.
    fn may_resume(data: &[u8]) -> bool;
}

/// The last word about each certificate and each problem of a chain that is verified
/// (X509_STORE_CTX_set_verify_cb(3)).
pub trait VerifyPolicy: 'static {
    /// Returns whether to go on; `ok` is what OpenSSL thinks.
    fn accept(ok: bool, context: &mut X509StoreContextRef) -> bool;
}

type VerifyCallback = unsafe extern "C" fn(c_int, *mut X509_STORE_CTX) -> c_int;

// SSL_TICKET_STATUS and SSL_TICKET_RETURN of <openssl/ssl.h>.
const STATUS_EMPTY: c_int = 3;
const STATUS_NO_DECRYPT: c_int = 4;
const STATUS_SUCCESS: c_int = 5;
const STATUS_SUCCESS_RENEW: c_int = 6;
const RETURN_IGNORE: c_int = 1;
const RETURN_IGNORE_RENEW: c_int = 2;
const RETURN_USE: c_int = 3;
const RETURN_USE_RENEW: c_int = 4;

type GenerateCallback = unsafe extern "C" fn(*mut SSL, *mut c_void) -> c_int;
type DecryptCallback = unsafe extern "C" fn(
    *mut SSL,
    *mut SSL_SESSION,
    *const c_uchar,
    usize,
    c_int,
    *mut c_void,
) -> c_int;

unsafe extern "C" {
    fn SSL_CTX_set_session_ticket_cb(
        context: *mut SSL_CTX,
        generate: GenerateCallback,
        decrypt: DecryptCallback,
        argument: *mut c_void,
    ) -> c_int;
    fn SSL_SESSION_set1_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *const c_void,
        length: usize,
    ) -> c_int;
    fn SSL_SESSION_get0_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *mut *mut c_void,
        length: *mut usize,
    ) -> c_int;
    fn X509_STORE_up_ref(store: *mut X509_STORE) -> c_int;
    fn X509_STORE_set_verify_cb(store: *mut X509_STORE, callback: VerifyCallback);
    fn X509_STORE_add_crl(store: *mut X509_STORE, crl: *mut X509_CRL) -> c_int;
}

/// Makes the connections of a context write and accept session tickets by `P`. Tickets belong to the
/// context that a connection begins with, also when a name (SNI) changes it.
///
/// # Errors
///
/// Returns OpenSSL's error.
pub fn set_ticket_policy<P: TicketPolicy>(
    builder: &mut SslContextBuilder,
) -> Result<(), ErrorStack> {
    // SAFETY: the context outlives the call, and the callbacks are functions that need no argument.
    let set = unsafe {
        SSL_CTX_set_session_ticket_cb(
            builder.as_ptr(),
            generate::<P>,
            decrypt::<P>,
            std::ptr::null_mut(),
        )
    };
    if set == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// Returns the data in the ticket that a session was resumed from, or that it will be written to.
pub fn ticket_data(session: &SslSessionRef) -> Vec<u8> {
    let (mut data, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: writes a pointer into the session, which outlives the copy below, and its length.
    let found = unsafe {
        SSL_SESSION_get0_ticket_appdata(session.as_ptr(), &raw mut data, &raw mut length)
    };
    if found != 1 || data.is_null() {
        return Vec::new();
    }
    // SAFETY: OpenSSL keeps so many bytes there for as long as the session lives.
    unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec()
}

/// Returns another reference to a store.
pub fn share_store(store: &X509StoreRef) -> X509Store {
    // SAFETY: one more reference is counted, which the returned value gives up when dropped.
    unsafe {
        X509_STORE_up_ref(store.as_ptr());
        X509Store::from_ptr(store.as_ptr())
    }
}

/// Adds a certificate revocation list to a store (X509_STORE_add_crl(3)).
///
/// # Errors
///
/// Returns OpenSSL's error.
pub fn add_crl(store: &mut X509StoreBuilderRef, crl: &X509Crl) -> Result<(), ErrorStack> {
    // SAFETY: the store takes a reference of its own to the list.
    let added = unsafe { X509_STORE_add_crl(store.as_ptr(), crl.as_ptr()) };
    if added == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// Makes verifications with this store ask `P`. A handshake asks its own callback instead.
pub fn set_verify_policy<P: VerifyPolicy>(store: &mut X509StoreBuilderRef) {
    // SAFETY: the store outlives the call, and the callback is a function that needs no argument.
    unsafe { X509_STORE_set_verify_cb(store.as_ptr(), verify::<P>) }
}

/// Called for each certificate and each problem of a chain. A panic must not unwind into OpenSSL; it
/// refuses the chain.
unsafe extern "C" fn verify<P: VerifyPolicy>(ok: c_int, context: *mut X509_STORE_CTX) -> c_int {
    let accepted = catch_unwind(|| {
        // SAFETY: OpenSSL passes the verification that goes on, valid and not used otherwise during
        // the call.
        P::accept(ok == 1, unsafe { X509StoreContextRef::from_ptr_mut(context) })
    });
    c_int::from(accepted.unwrap_or(false))
}

/// Called before a ticket is written. A panic must not unwind into OpenSSL; it ends the handshake.
unsafe extern "C" fn generate<P: TicketPolicy>(ssl: *mut SSL, _: *mut c_void) -> c_int {
    let written = catch_unwind(|| {
        // SAFETY: OpenSSL passes the connection that the ticket is for, valid during the call.
        let ssl = unsafe { SslRef::from_ptr(ssl) };
        let (Some(data), Some(session)) = (P::data(ssl), ssl.session()) else { return 1 };
        // SAFETY: OpenSSL copies the bytes; the session is the connection's.
        unsafe {
            SSL_SESSION_set1_ticket_appdata(session.as_ptr(), data.as_ptr().cast(), data.len())
        }
    });
    written.unwrap_or(0)
}

/// Called once a ticket was decrypted, or could not be.
unsafe extern "C" fn decrypt<P: TicketPolicy>(
    _: *mut SSL,
    session: *mut SSL_SESSION,
    _: *const c_uchar,
    _: usize,
    status: c_int,
    _: *mut c_void,
) -> c_int {
    let resumes = match status {
        STATUS_SUCCESS => RETURN_USE,
        STATUS_SUCCESS_RENEW => RETURN_USE_RENEW,
        STATUS_EMPTY | STATUS_NO_DECRYPT => return RETURN_IGNORE_RENEW,
        _ => return RETURN_IGNORE,
    };
    let may_resume = catch_unwind(|| {
        // SAFETY: with these two statuses OpenSSL passes the session of the ticket.
        P::may_resume(&ticket_data(unsafe { SslSessionRef::from_ptr(session) }))
    });
    if may_resume.unwrap_or(false) { resumes } else { RETURN_IGNORE_RENEW }
}
