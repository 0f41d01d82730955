//! The request path: pingora's hooks, each short and delegating.
//!
//! rate limit → route → public path or credentials → [`Permit`] → upstream. This is
//! the only module that implements pingora's proxy trait.

mod authorize;
mod coalesce;
mod engine;
mod error;
pub mod headers;
mod refusal;
mod responses;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, HttpPeer, Result};
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::auth::{Permit, Verifier};
use crate::config::Upstream;
use crate::connection::Peer;
use crate::observe::metrics::Metrics;
use crate::observe::{LogThrottle, metrics};
use crate::routing::Route;
use crate::snapshot::{Current, Snapshot};
use crate::upstream::{Choice, Replicas, Timeouts};
use crate::{auth, connection, routing};
use authorize::{AccessRequest, Destination};
use coalesce::{Audience, CacheFill, Coalescer, KEYED, Key, Lookup};
pub use engine::{Engine, engine};
use refusal::Refusal;

/// The application pingora runs.
pub struct Guard {
    current: Arc<Current>,
    verifier: Verifier,
    /// Where everything goes without routes.
    upstream: Replicas,
    shared: Arc<Coalescer>,
    metrics: Arc<Metrics>,
    refusals_logged: LogThrottle,
    failures_logged: LogThrottle,
}

/// One request: the snapshot it is judged by, from beginning to end.
pub struct Context {
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    permit: Option<Permit>,
    /// `None`: to `--upstream`.
    route: Option<Arc<Route>>,
    /// The replica that is asked.
    choice: Option<Choice>,
    /// Those that were tried in vain.
    failed: Vec<Choice>,
    /// When others wait for its answer, or may.
    leading: Option<Box<CacheFill>>,
}

impl Guard {
    pub fn new(current: Arc<Current>, upstream: Upstream, metrics: Arc<Metrics>) -> Self {
        Self {
            current,
            verifier: Verifier::default(),
            upstream: Replicas::new(&[upstream], None, None),
            shared: Arc::default(),
            metrics,
            refusals_logged: LogThrottle::default(),
            failures_logged: LogThrottle::default(),
        }
    }

    fn replicas<'a>(&'a self, context: &'a Context) -> &'a Replicas {
        context.route.as_ref().map_or(&self.upstream, |route| &route.replicas)
    }

    /// Whether the request has had the answer of another one.
    async fn share(
        &self,
        session: &mut Session,
        context: &mut Context,
        audience: &Audience,
    ) -> Result<bool> {
        let Some(route) = &context.route else { return Ok(false) };
        let Some(sharing) = route.sharing() else { return Ok(false) };
        if !session.as_mut().is_body_empty() {
            return Ok(false);
        }
        let request = session.req_header();
        let snapshot = &context.snapshot;
        let Some(key) = Key::of(request, &route.name, snapshot.generation, audience) else {
            return Ok(false);
        };
        let timeout = Timeouts::of(snapshot.limits(), request).response;
        match self.shared.lookup(key, sharing, timeout, &self.metrics).await {
            Some(Lookup::Fill(leading)) => {
                context.leading = Some(leading);
                Ok(false)
            }
            Some(Lookup::Bypass) => Ok(false),
            Some(Lookup::Hit(answer)) => {
                responses::shared(session, &answer).await?;
                Ok(true)
            }
            None => Err(error::shared_timeout()),
        }
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
        if matches!(refusal, Refusal::Auth(auth::Refusal::NoCertificate)) {
            session.set_keepalive(None);
        }
        responses::refusal(session, &context.snapshot, &refusal).await
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
            responses::text(session, &context.snapshot, 200, metrics::CONTENT_TYPE, body).await
        } else {
            responses::plain(session, &context.snapshot, 404, "Not Found").await
        }
    }
}

#[async_trait]
impl ProxyHttp for Guard {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context {
            snapshot: self.current.load_full(),
            peer: connection::current_peer(),
            permit: None,
            route: None,
            choice: None,
            failed: Vec::new(),
            leading: None,
        }
    }

    /// No compression: the exporter's own encoding passes untouched.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        // RFC 9112 section 9.6: a client that has sent its request may close its side.
        session.as_downstream_mut().set_abort_on_close(false);
        let asked = AccessRequest {
            request: session.req_header(),
            snapshot: &context.snapshot,
            peer: &context.peer,
            verifier: &self.verifier,
        };
        match asked.admit().await {
            Err(refusal) => {
                self.refuse(session, context, refusal).await?;
                Ok(true)
            }
            Ok(Destination::Targets(targets)) => {
                let body = routing::render_targets(&targets);
                responses::text(session, &context.snapshot, 200, responses::JSON, body).await?;
                Ok(true)
            }
            Ok(Destination::Upstream(permit)) if self.upstream.is_own() => {
                self.answer_itself(session, context, permit).await?;
                Ok(true)
            }
            Ok(Destination::Upstream(permit)) => {
                context.permit = Some(permit);
                Ok(false)
            }
            Ok(Destination::Route(permit, route, audience)) => {
                context.permit = Some(permit);
                context.route = Some(route);
                self.share(session, context, &audience).await
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        let Some(permit) = &context.permit else {
            return Err(error::without_permit());
        };
        let timeouts = Timeouts::of(context.snapshot.limits(), session.req_header());
        let replicas = context.route.as_ref().map_or(&self.upstream, |route| &route.replicas);
        loop {
            let Some(choice) = replicas.choose(&context.failed) else {
                return Err(error::no_replica());
            };
            context.choice = Some(choice);
            match replicas.peer(permit, choice, timeouts).await {
                // A name that does not resolve.
                Err(_) if replicas.has_other(choice, &context.failed) => {
                    replicas.failed(choice);
                    context.failed.push(choice);
                }
                peer => return peer,
            }
        }
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let pool = context.choice.and_then(|choice| self.replicas(context).pool(choice));
        let authority = pool.map_or("localhost", |pool| pool.authority());
        if let Some(route) = &context.route {
            headers::rewrite(request, |path| route.inside(path))?;
        }
        if context.leading.is_some() {
            headers::keep(request, &KEYED);
        }
        let peer = &context.peer;
        let original = session.req_header();
        headers::forward(request, original, peer.address, peer.tls.is_some(), authority)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Context,
    ) -> Result<()> {
        // An empty DATA frame (RFC 9113 section 6.1) must not become an empty chunk, which ends a body
        // (RFC 9112 section 7.1).
        if body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        if end_of_stream {
            context.peer.body_received();
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        headers::answer(response, session.req_header().version, &context.snapshot)?;
        if let Some(leading) = &mut context.leading {
            leading.response(response);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        if let Some(leading) = &mut context.leading {
            leading.body(body.as_ref(), end_of_stream);
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(choice) = context.choice {
            let replicas = self.replicas(context);
            error.set_retry(replicas.has_other(choice, &context.failed));
            replicas.failed(choice);
            context.failed.push(choice);
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let failure = error::ProxyError::of(error);
        if let Some(cause) = failure.upstream_cause() {
            self.metrics.upstream_failed(cause);
            let pool = context.choice.and_then(|choice| self.replicas(context).pool(choice));
            if let Some(pool) = pool {
                pool.forget_addresses();
            }
            if let Some(suppressed) = self.failures_logged.admit(cause) {
                tracing::warn!(
                    status = failure.status(),
                    route = context.route.as_ref().map(|route| route.name.as_str()),
                    upstream = pool.map(ToString::to_string),
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
            let route = context.route.as_ref().map(|route| route.name.as_str());
            let body = failure.body(route);
            let _ = responses::plain(session, &context.snapshot, failure.status(), &body).await;
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
