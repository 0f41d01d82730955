//! The request path: pingora's hooks, each short and delegating.
//!
//! A request passes these steps: rate limit → route → public path or credentials → [`Permit`] →
//! shared answer or slot → upstream. This is the only module that implements pingora's proxy trait.

mod admission;
mod answers;
mod authorize;
pub mod claims;
mod coalesce;
mod engine;
mod error;
mod forgotten;
pub mod headers;
mod http2_request;
mod in_flight;
mod observed;
mod paced;
mod refusal;
mod responses;
mod unsent;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, HttpPeer, Result};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::auth::{KnownNetworks, Permit, Verifier};
use crate::connection::Peer;
use crate::observe::LogThrottle;
use crate::observe::access_log::{AccessLog, AccessLogMode};
use crate::observe::metrics::Metrics;
use crate::routing::Route;
use crate::snapshot::{Current, Snapshot};
use crate::upstream::{self, Choice, Endpoint, Timeouts};
use crate::{connection, routing};
use authorize::{AccessRequest, Destination};
use coalesce::{Audience, CacheFill, Coalescer, KEYED};
pub use engine::{Engine, engine};
use error::ProxyError;
use in_flight::{InFlight, Slot};
use observed::Observed;
use refusal::Refusal;
use unsent::Unsent;

/// The application that pingora runs.
pub struct Guard {
    current: Arc<Current>,
    verifier: Verifier,
    known_networks: Arc<KnownNetworks>,
    coalescer: Arc<Coalescer>,
    in_flight: Arc<InFlight>,
    metrics: Arc<Metrics>,
    refusals_logged: LogThrottle,
    failures_logged: LogThrottle,
    access_log: AccessLog,
}

/// One request, and the snapshot that it is judged by from beginning to end.
pub struct Context {
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    /// The route and the permit to use it; `None` until the request is authorized.
    authorized: Option<(Permit, Arc<Route>)>,
    /// The endpoint and the address that the request is sent to.
    choice: Option<Choice>,
    /// The choices that could not be reached.
    failed: Vec<Choice>,
    /// The memory for the answer.
    unsent: Unsent,
    /// The answer to be shared; set when other requests wait for it, or may.
    fill: Option<Box<CacheFill>>,
    /// Counts the request as in flight until the exporter's answer has been read.
    slot: Option<Slot>,
    /// The observations for metrics and the access log.
    observed: Observed,
}

impl Context {
    fn route(&self) -> Option<&Arc<Route>> {
        self.authorized.as_ref().map(|(_, route)| route)
    }

    /// Returns the name of the route for the log and for answers; the default route has none.
    fn route_name(&self) -> Option<&str> {
        self.route()?.listed_name()
    }

    /// Returns the endpoint that the request is sent to.
    fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.route()?.replicas.endpoint(self.choice?)
    }
}

impl Guard {
    /// Builds the application, which serves each request by the configuration in force when it
    /// begins, and remembers in `known_networks` where callers have authenticated.
    pub fn new(
        current: Arc<Current>,
        metrics: Arc<Metrics>,
        known_networks: Arc<KnownNetworks>,
        access_log: AccessLogMode,
    ) -> Self {
        Self {
            current,
            verifier: Verifier::new(metrics.callers.verifier().clone()),
            known_networks,
            coalescer: Arc::default(),
            in_flight: Arc::default(),
            metrics,
            refusals_logged: LogThrottle::default(),
            failures_logged: LogThrottle::default(),
            access_log: AccessLog::new(access_log),
        }
    }
}

#[async_trait]
impl ProxyHttp for Guard {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        let peer = connection::current_peer();
        peer.head_received();
        peer.read_ahead.begin();
        Context {
            snapshot: self.current.load_full(),
            unsent: Unsent::new(&peer),
            peer,
            authorized: None,
            choice: None,
            failed: Vec::new(),
            fill: None,
            slot: None,
            observed: Observed::new(self.metrics.requests.begin()),
        }
    }

    /// Adds no module, not even compression: the exporter's own encoding passes unchanged.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        // RFC 9112 section 9.6: a client that has sent its request may close its side.
        session.as_downstream_mut().set_abort_on_close(false);
        let has_body = !session.as_mut().is_body_empty();
        let access = AccessRequest {
            request: session.req_header(),
            has_body,
            snapshot: &context.snapshot,
            peer: &context.peer,
            verifier: &self.verifier,
            known_networks: &self.known_networks,
        };
        let decision = access.authorize(&mut context.observed).await;
        self.note_access(context, decision.as_ref().err());
        match decision {
            Err(refusal) => {
                self.refuse(session, context, refusal).await?;
                Ok(true)
            }
            Ok(Destination::Targets(targets)) => {
                let body = routing::render_targets(&targets);
                responses::text(session, &context.snapshot, 200, responses::JSON, body).await?;
                Ok(true)
            }
            Ok(Destination::Route(permit, route, ..)) if route.replicas.is_own() => {
                self.answer_itself(session, context, (permit, &route)).await?;
                Ok(true)
            }
            Ok(Destination::Route(permit, route, audience, requester)) => {
                if let Audience::One(identity) = &audience {
                    context.peer.memory.identify(identity);
                }
                if !context.unsent.forward() {
                    self.refuse(session, context, Refusal::NoMemory).await?;
                    return Ok(true);
                }
                context.authorized = Some((permit, route));
                self.share_or_admit(session, context, &audience, &requester).await
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        let Some((permit, route)) = &context.authorized else {
            return Err(error::without_permit());
        };
        context.observed.upstream_began();
        let timeouts = Timeouts::of(context.snapshot.limits(), session.req_header());
        let replicas = &route.replicas;
        loop {
            let Some(choice) = replicas.choose(&context.failed) else {
                return Err(error::no_replica());
            };
            context.choice = Some(choice);
            match replicas.peer(permit, choice, timeouts).await {
                // The host name did not resolve.
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
        let Some((_, route)) = &context.authorized else {
            return Err(error::without_permit());
        };
        if route.strips_path() {
            headers::rewrite(request, |path| route.inside(path))?;
        }
        let authority = context.endpoint().map_or("localhost", |endpoint| endpoint.authority());
        if context.fill.is_some() {
            headers::keep(request, &KEYED);
        }
        let peer = &context.peer;
        // An answer that others get must not depend on the address of one client.
        let address = peer.address.filter(|_| context.fill.is_none());
        let original = session.req_header();
        headers::forward(request, original, address, peer.tls.is_some(), authority)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Context,
    ) -> Result<()> {
        // An empty DATA frame (RFC 9113 section 6.1) must not become an empty chunk, which ends a
        // body (RFC 9112 section 7.1).
        if body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        if let Some(piece) = body
            && !context.unsent.upload(piece.len())
        {
            return Err(error::no_memory());
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
        context.observed.upstream_ended();
        if let Some(endpoint) = context.endpoint() {
            endpoint.health().reached();
        }
        headers::answer(response, session.req_header().version, &context.snapshot)?;
        if !context.unsent.answer(response) {
            return Err(error::no_memory());
        }
        context.peer.read_ahead.head_received();
        if let Some(fill) = &mut context.fill {
            fill.response(response);
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
        let read_ahead = &context.peer.read_ahead;
        read_ahead.taken();
        if read_ahead.keeps_up() && context.unsent.widen() {
            read_ahead.widen();
        }
        if end_of_stream {
            context.observed.upstream_ended();
        }
        if let Some(fill) = &mut context.fill {
            fill.body(body.as_ref(), end_of_stream);
        }
        if end_of_stream {
            context.slot = None;
        }
        Ok(None)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: RawFd,
        digest: Option<&Digest>,
        _context: &mut Context,
    ) -> Result<()> {
        if upstream::may_be_used(digest) { Ok(()) } else { Err(error::revoked()) }
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let (Some(choice), Some((_, route))) = (context.choice, &context.authorized) {
            let replicas = &route.replicas;
            error.set_retry(replicas.has_other(choice, &context.failed));
            if let (Some(cause), Some(endpoint)) =
                (ProxyError::of(&error).upstream_cause(), replicas.endpoint(choice))
            {
                endpoint.health().failed(cause);
            }
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
        let proxy_error = ProxyError::of(error);
        if let Some(cause) = proxy_error.upstream_cause() {
            self.metrics.upstream_failed(cause);
            context.observed.upstream_ended();
            let endpoint = context.endpoint();
            if let Some(endpoint) = endpoint {
                endpoint.health().failed(cause);
                endpoint.forget_addresses();
            }
            if let Some(suppressed) = self.failures_logged.admit(cause) {
                tracing::warn!(
                    status = proxy_error.status(),
                    route = context.route_name(),
                    upstream = endpoint.map(ToString::to_string),
                    cause,
                    suppressed,
                    "Upstream failed"
                );
            }
        }
        if proxy_error == ProxyError::NoMemory {
            return self.out_of_memory(session, context).await;
        }
        let started = session.response_written().is_some_and(|r| !r.status.is_informational());
        if proxy_error.status() != 0 && !started {
            session.set_keepalive(None);
            // A failed write means that the client has left, and with it the need for an answer.
            let body = proxy_error.body(context.route_name());
            let _ = responses::plain(session, &context.snapshot, proxy_error.status(), &body).await;
        }
        FailToProxy { error_code: proxy_error.status(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, context: &mut Context) {
        self.note_end(session, context);
    }

    /// Suppresses pingora's own log lines, which can hold whole request heads, credentials
    /// included.
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
