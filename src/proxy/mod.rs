//! The request path: pingora's hooks, each short and delegating.
//!
//! rate limit → public path or credentials → [`Permit`] → upstream. This is
//! the only module that implements pingora's proxy trait.

mod engine;
mod failure;
pub mod headers;
mod refusal;
mod respond;
mod upstream;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, HttpPeer, Result};
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::auth::{self, Denial, Origin, Permit, Verifier};
use crate::metrics::{self, Metrics};
use crate::net::{self, Peer};
use crate::snapshot::{Current, Snapshot};
use crate::source::Source;
use crate::telemetry::Throttle;
pub use engine::{Engine, engine};
use refusal::Refusal;
pub use upstream::{Upstream, UpstreamPool};

/// The application pingora runs.
pub struct Guard {
    current: Arc<Current>,
    verifier: Verifier,
    upstream: UpstreamPool,
    metrics: Arc<Metrics>,
    refusals_logged: Throttle,
    failures_logged: Throttle,
}

/// One request: the snapshot it is judged by, from beginning to end.
pub struct Context {
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    permit: Option<Permit>,
    /// How many of the upstream's addresses have been tried in vain.
    failed_addresses: usize,
}

impl Guard {
    pub fn new(current: Arc<Current>, upstream: Upstream, metrics: Arc<Metrics>) -> Self {
        Self {
            current,
            verifier: Verifier::default(),
            upstream: UpstreamPool::new(upstream),
            metrics,
            refusals_logged: Throttle::default(),
            failures_logged: Throttle::default(),
        }
    }

    /// Read from top to bottom, this is the security argument.
    async fn admit(
        &self,
        request: &RequestHeader,
        snapshot: &Snapshot,
        peer: &Peer,
    ) -> Result<Permit, Refusal> {
        if let Some(limiter) = &snapshot.rate_limiter {
            limiter.take(Instant::now()).map_err(Refusal::RateLimited)?;
        }
        headers::check_host(request)?;
        if let Some(declared) = snapshot.public_paths.find(request.raw_path()) {
            return Ok(auth::public(declared));
        }
        let values: Vec<&[u8]> =
            request.headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes()).collect();
        let origin = Origin {
            source: Source::of(peer.address),
            max_failures: snapshot.limits().max_auth_failures,
            certified: peer.certificate >= snapshot.client_certificate(),
        };
        auth::authorize(&snapshot.users, &self.verifier, origin, &values)
            .await
            .map_err(Refusal::Denied)
    }

    async fn refuse(
        &self,
        session: &mut Session,
        context: &Context,
        refusal: Refusal,
    ) -> Result<()> {
        self.metrics.request_refused(refusal.reason());
        if let Some(suppressed) = self.refusals_logged.admit(refusal.reason()) {
            tracing::warn!(
                status = refusal.status(),
                reason = refusal.reason(),
                remote = %context.peer,
                suppressed,
                "Request refused"
            );
        }
        if let Some(delay) = refusal.delay() {
            tokio::time::sleep(delay).await;
        }
        if matches!(refusal, Refusal::Denied(Denial::NotCertified)) {
            session.set_keepalive(None);
        }
        respond::refusal(session, &context.snapshot, &refusal).await
    }

    /// Serve the guard's own metrics to whoever may scrape them.
    async fn answer_itself(
        &self,
        session: &mut Session,
        context: &Context,
        permit: Permit,
    ) -> Result<()> {
        drop(permit);
        if session.req_header().uri.path() == "/metrics" {
            let body = self.metrics.render();
            respond::text(session, &context.snapshot, 200, metrics::CONTENT_TYPE, body).await
        } else {
            respond::plain(session, &context.snapshot, 404, "Not Found").await
        }
    }
}

#[async_trait]
impl ProxyHttp for Guard {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context {
            snapshot: self.current.load_full(),
            peer: net::request_begins(),
            permit: None,
            failed_addresses: 0,
        }
    }

    /// No compression: the exporter's own encoding passes untouched.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        // RFC 9112 section 9.6: a client that has sent its request may close its side.
        session.as_downstream_mut().set_abort_on_close(false);
        match self.admit(session.req_header(), &context.snapshot, &context.peer).await {
            Err(refusal) => {
                self.refuse(session, context, refusal).await?;
                Ok(true)
            }
            Ok(permit) if self.upstream.is_own() => {
                self.answer_itself(session, context, permit).await?;
                Ok(true)
            }
            Ok(permit) => {
                context.permit = Some(permit);
                Ok(false)
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        let Some(permit) = &context.permit else {
            return Err(failure::without_permit());
        };
        let timeouts = upstream::Timeouts::of(context.snapshot.limits(), session.req_header());
        self.upstream.peer(permit, context.failed_addresses, timeouts).await
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let authority = self.upstream.authority();
        let peer = &context.peer;
        headers::forward(request, session.req_header(), peer.address, peer.tls, authority)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        _body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Context,
    ) -> Result<()> {
        if end_of_stream {
            context.peer.body_ended();
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        headers::answer(response, session.req_header().version, &context.snapshot)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        context.failed_addresses += 1;
        error.set_retry(context.failed_addresses < self.upstream.address_count());
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let failure = failure::Failure::of(error);
        if let Some(cause) = failure.upstream_cause() {
            self.metrics.upstream_failed(cause);
            self.upstream.forget_addresses();
            if let Some(suppressed) = self.failures_logged.admit(cause) {
                tracing::warn!(
                    status = failure.status(),
                    upstream = %self.upstream,
                    cause,
                    suppressed,
                    "Upstream failed"
                );
            }
        }
        let started = session.response_written().is_some_and(|r| !r.status.is_informational());
        if failure.status() != 0 && !started {
            session.set_keepalive(None);
            // The client may have left; there is nobody else to tell.
            let _ =
                respond::plain(session, &context.snapshot, failure.status(), failure.body()).await;
        }
        FailToProxy { error_code: failure.status(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, context: &mut Context) {
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        self.metrics.request_answered(status);
        tracing::debug!(
            method = %session.req_header().method,
            path = session.req_header().uri.path(),
            status,
            remote = %context.peer,
            "Request answered"
        );
    }

    /// pingora's own lines can hold whole request heads, credentials included.
    fn suppress_error_log(&self, _session: &Session, _context: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _context: &Context,
        _error: &Error,
        _what: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
