//! The first bytes of a connection: the TLS handshake, and the answer to plaintext HTTP on a TLS
//! port.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use openssl::x509::X509VerifyResult;
use pingora::protocols::tls::SslStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::io::SocketIo;
use super::transport::Transport;
use crate::tls::Acceptor;

/// The type of a TLS record that holds a handshake message, the first byte of every ClientHello.
const TLS_HANDSHAKE_RECORD: u8 = 0x16;

/// Bytes of the first read: enough for a ClientHello with a post-quantum key share. OpenSSL reads
/// the rest.
const FIRST_READ: usize = 2048;

/// The answer to plaintext HTTP on a TLS port, the same as that of Go's server to the letter.
const HTTP_ON_TLS_PORT: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

const TIMED_OUT: &str = "timed out";
const CLOSED: &str = "closed by the client";

/// The reason why a connection ended before its first request.
#[derive(Debug)]
pub enum HandshakeError {
    /// The client closed the connection or timed out before it sent anything, as port scans and TCP
    /// health checks do.
    Silent,
    /// A load balancer sent no PROXY header, or one that cannot be read.
    ProxyProtocol,
    /// The client sent a plaintext HTTP request to a TLS port.
    HttpOnTlsPort,
    /// The client began a TLS handshake on a plaintext port.
    TlsOnPlainPort,
    /// The TLS handshake failed. The reason is OpenSSL's or the socket's, and holds nothing secret.
    Tls(String),
}

/// The reasons of OpenSSL that have a value of their own in the metrics, by a part of their text.
/// They are few, since a client chooses how its handshake fails.
const TLS_KINDS: [(&str, &str); 8] = [
    (TIMED_OUT, "timed out"),
    (CLOSED, "closed by the client"),
    ("unsupported protocol", "no common version"),
    ("no shared cipher", "no common cipher suite"),
    ("no suitable key share", "no common group"),
    ("did not return a certificate", "no client certificate"),
    ("certificate verify failed", "client certificate not accepted"),
    ("alert", "refused by the client"),
];

/// The reason of every other TLS handshake.
const OTHER_KIND: &str = "other";

impl HandshakeError {
    /// Returns every reason that the metrics name.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        let others = [Self::Silent, Self::ProxyProtocol, Self::HttpOnTlsPort, Self::TlsOnPlainPort];
        let tls = TLS_KINDS.iter().map(|(_, kind)| *kind).chain([OTHER_KIND]);
        others.map(|error| error.kind()).into_iter().chain(tls)
    }

    /// Returns the reason as the metrics name it, one of a fixed few.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Silent => "nothing sent",
            Self::ProxyProtocol => "no valid PROXY header",
            Self::HttpOnTlsPort => "HTTP request to an HTTPS port",
            Self::TlsOnPlainPort => "TLS on a plaintext port",
            Self::Tls(reason) => {
                let kind = TLS_KINDS.iter().find(|(text, _)| reason.contains(text));
                kind.map_or(OTHER_KIND, |(_, kind)| kind)
            }
        }
    }
}

/// Prepares a connection for HTTP, under the deadline that is armed: by a TLS handshake, or without
/// `tls` by a look at the first byte.
///
/// # Errors
///
/// Returns the reason why the connection cannot carry HTTP; it is to be closed then.
pub async fn establish(
    mut io: SocketIo,
    tls: Option<&Acceptor>,
) -> Result<Transport, HandshakeError> {
    let mut first = Vec::with_capacity(FIRST_READ);
    match io.read_buf(&mut first).await {
        Ok(0) | Err(_) => return Err(HandshakeError::Silent),
        Ok(_) => {}
    }
    let is_tls = first[0] == TLS_HANDSHAKE_RECORD;
    match tls {
        None if is_tls => Err(HandshakeError::TlsOnPlainPort),
        Some(_) if first[0].is_ascii_uppercase() => {
            // The connection is closed whether or not the client gets the answer.
            let _ = reject_http(&mut io).await;
            Err(HandshakeError::HttpOnTlsPort)
        }
        None => {
            io.unread(first);
            Ok(Transport::Plain(io))
        }
        Some(acceptor) => {
            io.unread(first);
            accept(acceptor, io).await
        }
    }
}

async fn accept(acceptor: &Acceptor, io: SocketIo) -> Result<Transport, HandshakeError> {
    let deadline = Arc::clone(&io.deadline);
    let ssl = acceptor.new_ssl().map_err(|error| HandshakeError::Tls(error.to_string()))?;
    let mut stream =
        SslStream::new(ssl, io).map_err(|error| HandshakeError::Tls(error.to_string()))?;
    let accepted = {
        let mut accept = std::pin::pin!(stream.accept());
        std::future::poll_fn(|cx| {
            // The connection is closed after the deadline, so computing the rest would be wasted.
            if deadline.is_over() {
                return Poll::Ready(Err(HandshakeError::Tls(TIMED_OUT.to_owned())));
            }
            accept.as_mut().poll(cx).map(Ok)
        })
        .await?
    };
    match accepted {
        Ok(()) => {
            // The socket collects writes; without a flush, the last flight of the handshake and the
            // session tickets would wait for the first response.
            stream.flush().await.map_err(|error| HandshakeError::Tls(error.to_string()))?;
            Ok(Transport::Tls(Box::new(stream)))
        }
        Err(error) => {
            let reason = describe(&error, stream.ssl().verify_result());
            // Sends the alert that tells the client the reason.
            let _ = stream.get_mut().flush().await;
            Err(HandshakeError::Tls(reason))
        }
    }
}

/// Describes the failure; `verified`: what became of the client's certificate.
fn describe(error: &openssl::ssl::Error, verified: X509VerifyResult) -> String {
    if let Some(stack) = error.ssl_error() {
        let reasons: Vec<&str> = stack.errors().iter().filter_map(|e| e.reason()).collect();
        let reasons = reasons.join("; ");
        return match verified {
            X509VerifyResult::OK => reasons,
            cause => format!("{reasons}: {}", cause.error_string()),
        };
    }
    match error.io_error() {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => TIMED_OUT.to_owned(),
        Some(error) => error.to_string(),
        None => CLOSED.to_owned(),
    }
}

async fn reject_http(io: &mut SocketIo) -> io::Result<()> {
    io.write_all(HTTP_ON_TLS_PORT).await?;
    io.shutdown().await
}
