//! The endpoints at `--telemetry.listen-address`: the guard's own metrics and its lifecycle, in
//! plaintext, on loopback by default.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use crate::connection;
use crate::observe::metrics::{Format, Metrics};
use crate::snapshot::Current;
use crate::snapshot::reload::ReloadHandle;
use crate::upstream::Readiness;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

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
}

#[async_trait]
impl ServeHttp for AdminApp {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        connection::current_peer().head_received();
        let method = session.req_header().method.clone();
        let is_read = matches!(method, Method::GET | Method::HEAD);
        match session.req_header().uri.path() {
            "/metrics" if is_read => {
                let accept = session.req_header().headers.get_all(header::ACCEPT).iter();
                let format = Format::negotiate(accept.filter_map(|value| value.to_str().ok()));
                answer(StatusCode::OK, format.content_type(), self.metrics.render(format))
            }
            "/-/healthy" if is_read => text(StatusCode::OK, "exporter-guard is healthy.\n"),
            "/-/ready" if is_read => self.ready(),
            "/" if is_read => answer(StatusCode::OK, HTML, self.status_page()),
            "/-/reload" if matches!(method, Method::POST | Method::PUT) => self.reload().await,
            "/metrics" | "/-/healthy" | "/-/ready" | "/" => not_allowed("GET, HEAD"),
            // Prometheus accepts both methods for a reload.
            "/-/reload" => not_allowed("POST, PUT"),
            _ => text(StatusCode::NOT_FOUND, "Not Found\n"),
        }
    }
}

impl AdminApp {
    fn ready(&self) -> Response<Vec<u8>> {
        if self.readiness.get() {
            text(StatusCode::OK, "exporter-guard is ready.\n")
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, "The exporter does not answer yet.\n")
        }
    }

    async fn reload(&self) -> Response<Vec<u8>> {
        match self.reload.request().await {
            Ok(()) => text(StatusCode::OK, ""),
            Err(error) => answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                PLAIN_TEXT,
                format!("failed to reload config: {error}\n"),
            ),
        }
    }

    fn status_page(&self) -> String {
        let snapshot = self.current.load();
        let yes_no = |on: bool| if on { "yes" } else { "no" };
        format!(
            "<!DOCTYPE html><html lang=\"en\"><head><title>exporter-guard</title></head><body>\
             <h1>exporter-guard {version}</h1><table>\
             <tr><th>Configuration generation</th><td>{generation}</td></tr>\
             <tr><th>TLS</th><td>{tls}</td></tr><tr><th>HTTP/2</th><td>{http2}</td></tr>\
             <tr><th>Users</th><td>{users}</td></tr></table>\
             <p><a href=\"/metrics\">Metrics</a> <a href=\"/-/healthy\">Healthy</a> \
             <a href=\"/-/ready\">Ready</a></p></body></html>\n",
            version = env!("CARGO_PKG_VERSION"),
            generation = snapshot.generation,
            tls = yes_no(snapshot.has_tls()),
            http2 = yes_no(snapshot.http2()),
            users = snapshot.users.len(),
        )
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
    response
}
