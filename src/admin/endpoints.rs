//! The endpoints at `--telemetry.listen-address`: the guard's own metrics and its lifecycle, in
//! plaintext, on loopback by default.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use super::lifecycle;
use super::status::{self, CONTENT_SECURITY_POLICY, Status};
use crate::connection::{self, Peer};
use crate::observe::metrics::{Format, Metrics};
use crate::snapshot::Current;
use crate::snapshot::reload::ReloadHandle;
use crate::upstream::Readiness;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// The answer to a request for a reload that a page in a browser may have made.
const FROM_BROWSER: &str =
    "Forbidden: ask with an address or localhost in Host, and without Origin\n";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const CSP: HeaderName = header::CONTENT_SECURITY_POLICY;

/// The application behind the telemetry listener.
pub struct AdminApp {
    /// The metrics that `/metrics` serves.
    pub metrics: Arc<Metrics>,
    /// The snapshot that the status page describes.
    pub current: Arc<Current>,
    /// The handle by which `/-/reload` requests a reload.
    pub reload: ReloadHandle,
    /// The readiness that `/-/ready` reports.
    pub readiness: Arc<Readiness>,
    /// The names and the addresses of the web listeners, for the status page.
    pub listeners: Vec<(String, String)>,
}

#[async_trait]
impl ServeHttp for AdminApp {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let peer = connection::current_peer();
        peer.head_received();
        let method = session.req_header().method.clone();
        let is_read = matches!(method, Method::GET | Method::HEAD);
        match session.req_header().uri.path() {
            "/metrics" if is_read => {
                let accept = session.req_header().headers.get_all(header::ACCEPT).iter();
                let format = Format::negotiate(accept.filter_map(|value| value.to_str().ok()));
                answer(StatusCode::OK, format.content_type(), self.metrics.render(format))
            }
            "/-/healthy" if is_read => self.healthy(),
            "/-/ready" if is_read => self.ready(),
            "/" if is_read => self.status_page(),
            "/api/v1/status" if is_read => answer(StatusCode::OK, JSON, self.status().to_json()),
            "/-/reload" if matches!(method, Method::POST | Method::PUT) => {
                match lifecycle::may_change_state(session.req_header()) {
                    true => self.reload(&peer).await,
                    false => text(StatusCode::FORBIDDEN, FROM_BROWSER),
                }
            }
            "/metrics" | "/-/healthy" | "/-/ready" | "/" | "/api/v1/status" => {
                not_allowed("GET, HEAD")
            }
            // Prometheus accepts both methods for a reload.
            "/-/reload" => not_allowed("POST, PUT"),
            _ => text(StatusCode::NOT_FOUND, "Not Found\n"),
        }
    }
}

impl AdminApp {
    fn healthy(&self) -> Response<Vec<u8>> {
        match self.reload.is_stuck() {
            true => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "The configuration cannot change: its thread has not run for a minute.\n",
            ),
            false => text(StatusCode::OK, "exporter-guard is healthy.\n"),
        }
    }

    fn ready(&self) -> Response<Vec<u8>> {
        if self.readiness.get() {
            text(StatusCode::OK, "exporter-guard is ready.\n")
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, "The exporter does not answer yet.\n")
        }
    }

    /// Reloads. The error names files, keys and users, which are for clients on this host alone.
    async fn reload(&self, peer: &Peer) -> Response<Vec<u8>> {
        match self.reload.request().await {
            Ok(()) => text(StatusCode::OK, ""),
            Err(error) => {
                let reason = match lifecycle::is_local(peer) {
                    true => error.to_string(),
                    false => "the log of the guard says why".to_owned(),
                };
                let body = format!("failed to reload config: {reason}\n");
                answer(StatusCode::INTERNAL_SERVER_ERROR, PLAIN_TEXT, body)
            }
        }
    }

    fn status(&self) -> Status {
        Status::collect(&self.current.load(), &self.metrics, &self.listeners)
    }

    fn status_page(&self) -> Response<Vec<u8>> {
        let mut response = answer(StatusCode::OK, HTML, status::render(&self.status()));
        let policy = HeaderValue::from_str(&CONTENT_SECURITY_POLICY);
        response.headers_mut().extend(policy.ok().map(|policy| (CSP, policy)));
        response
    }
}

fn text(status: StatusCode, body: &str) -> Response<Vec<u8>> {
    answer(status, PLAIN_TEXT, body.to_owned())
}

fn not_allowed(allow: &'static str) -> Response<Vec<u8>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
    response
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Vec<u8>> {
    let length = header::HeaderValue::from(body.len());
    let mut response = Response::new(body.into_bytes());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
