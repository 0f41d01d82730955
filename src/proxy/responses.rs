//! The answers that the guard gives itself. Each carries the configured header fields.

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    AGE, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use pingora::proxy::Session;

use super::coalesce::Answer;
use super::refusal::Refusal;
use super::{Context, forgotten, headers};
use crate::snapshot::Snapshot;

/// The challenge of a 401. RFC 7617 section 2 requires a realm.
const CHALLENGE: &str = "Basic realm=\"exporter-guard\", charset=\"UTF-8\"";
/// The media type of service discovery.
pub const JSON: &str = "application/json; charset=utf-8";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Sends the answer to a request that is refused. Over HTTP/2 it does not wait for a client that has no
/// window for it.
///
/// # Errors
///
/// Returns pingora's error when the client cannot be written to.
pub async fn refusal(
    session: &mut Session,
    context: &mut Context,
    refusal: &Refusal,
) -> Result<()> {
    let snapshot = &context.snapshot;
    let body = with_newline(refusal.body());
    let mut response = header(refusal.status(), PLAIN_TEXT, body.len(), snapshot)?;
    if refusal.status() == 401 {
        response.insert_header(WWW_AUTHENTICATE, CHALLENGE)?;
    }
    if let Some(methods) = refusal.allow() {
        response.insert_header(ALLOW, methods)?;
    }
    if let Some(seconds) = refusal.retry_after() {
        response.insert_header(RETRY_AFTER, seconds)?;
    }
    if context.peer.is_stream() {
        let body = body_for(session, body);
        session.write_response_header(Box::new(response), body.is_empty()).await?;
        context.observed.sent_apart = forgotten::send(session, &context.peer, body);
        return Ok(());
    }
    send(session, response, body).await
}

/// Sends one line of plain text.
///
/// # Errors
///
/// Returns pingora's error when the client cannot be written to.
pub async fn plain(
    session: &mut Session,
    snapshot: &Snapshot,
    status: u16,
    line: &str,
) -> Result<()> {
    text(session, snapshot, status, PLAIN_TEXT, with_newline(line)).await
}

/// Sends a body of this media type.
///
/// # Errors
///
/// Returns pingora's error when the client cannot be written to.
pub async fn text(
    session: &mut Session,
    snapshot: &Snapshot,
    status: u16,
    content_type: &str,
    body: String,
) -> Result<()> {
    let response = header(status, content_type, body.len(), snapshot)?;
    send(session, response, body).await
}

/// Sends the answer to another request, which has the configured fields already.
///
/// # Errors
///
/// Returns pingora's error when the client cannot be written to.
pub async fn shared(session: &mut Session, answer: &Answer) -> Result<()> {
    let mut response = ResponseHeader::build(answer.status, Some(2 + answer.headers.len()))?;
    for (name, value) in &answer.headers {
        response.append_header(name.clone(), value.clone())?;
    }
    // RFC 9110 section 8.6: 204 has no Content-Length, and that of 304 would be of another body.
    if ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&answer.status) {
        response.insert_header(CONTENT_LENGTH, answer.body.len())?;
    }
    response.insert_header(AGE, answer.age())?;
    session.write_response_header(Box::new(response), false).await?;
    session.write_response_body(Some(answer.body.clone()), true).await
}

fn with_newline(line: &str) -> String {
    format!("{line}\n")
}

fn header(
    status: u16,
    content_type: &str,
    len: usize,
    snapshot: &Snapshot,
) -> Result<ResponseHeader> {
    // The six: content type, length and sniffing, challenge or retry, date and connection.
    let mut response = ResponseHeader::build(status, Some(6 + snapshot.headers.len()))?;
    response.insert_header(CONTENT_TYPE, content_type)?;
    response.insert_header(CONTENT_LENGTH, len)?;
    response.insert_header(X_CONTENT_TYPE_OPTIONS, "nosniff")?;
    headers::configured(&mut response, snapshot)?;
    Ok(response)
}

/// Returns the body as the method of the request allows it.
fn body_for(session: &Session, body: String) -> Bytes {
    match session.req_header().method {
        http::Method::HEAD => Bytes::new(),
        _ => Bytes::from(body),
    }
}

async fn send(session: &mut Session, response: ResponseHeader, body: String) -> Result<()> {
    let body = body_for(session, body);
    session.write_response_header(Box::new(response), false).await?;
    session.write_response_body(Some(body), true).await
}
