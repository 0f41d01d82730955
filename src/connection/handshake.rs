//! The first bytes of a connection: TLS where it belongs, and a word to those who got it wrong.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use pingora::protocols::tls::SslStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::io::SocketIo;
use super::transport::Transport;
use crate::tls::Acceptor;

/// The type of a TLS record that holds a handshake message, the first byte of every ClientHello.
const TLS_HANDSHAKE_RECORD: u8 = 0x16;

/// Enough for a ClientHello with a post-quantum key share; the rest is read by OpenSSL.
const FIRST_READ: usize = 2048;

/// What Go's server answers, to the letter.
const HTTP_ON_TLS_PORT: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

const TIMED_OUT: &str = "timed out";

/// Why a connection ended before its first request.
#[derive(Debug)]
pub enum HandshakeError {
    /// Closed or timed out before it said anything: port scans and TCP health checks.
    Silent,
    /// A load balancer did not say who its client is, or not in a way that can be read.
    ProxyProtocol,
    HttpOnTlsPort,
    TlsOnPlainPort,
    /// With OpenSSL's reason, which holds nothing secret.
    Tls(String),
}

/// Bring the connection to the point where HTTP can be spoken, under the deadline that is armed.
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
            // A courtesy; the connection is over either way.
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
            // Nobody waits any more for what there would be to compute.
            if deadline.is_over() {
                return Poll::Ready(Err(HandshakeError::Tls(TIMED_OUT.to_owned())));
            }
            accept.as_mut().poll(cx).map(Ok)
        })
        .await?
    };
    match accepted {
        Ok(()) => {
            // The last flight and the session tickets must not wait for the first response.
            stream.flush().await.map_err(|error| HandshakeError::Tls(error.to_string()))?;
            Ok(Transport::Tls(Box::new(stream)))
        }
        Err(error) => {
            let reason = describe(&error);
            // Sends the alert that says why.
            let _ = stream.get_mut().flush().await;
            Err(HandshakeError::Tls(reason))
        }
    }
}

fn describe(error: &openssl::ssl::Error) -> String {
    if let Some(stack) = error.ssl_error() {
        let reasons: Vec<&str> = stack.errors().iter().filter_map(|e| e.reason()).collect();
        return reasons.join("; ");
    }
    match error.io_error() {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => TIMED_OUT.to_owned(),
        Some(error) => error.to_string(),
        None => "closed by the client".to_owned(),
    }
}

async fn reject_http(io: &mut SocketIo) -> io::Result<()> {
    io.write_all(HTTP_ON_TLS_PORT).await?;
    io.shutdown().await
}
