//! The observations of one request, for metrics and the access log. No decision is made by them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora::proxy::Session;

use super::{Context, Guard};
use crate::auth::{self, Caller, Identity};
use crate::observe::access_log::AccessLine;
use crate::observe::metrics::{Answered, CallerKind, Counted};
use crate::proxy::refusal::Refusal;
use crate::routing::Route;

/// The field that names the trace of a request (W3C Trace Context, section 3.2).
const TRACEPARENT: &str = "traceparent";

/// The observations of a request so far.
pub struct Observed {
    started: Instant,
    /// The route, also of a request that it refuses.
    pub route: Option<Arc<Route>>,
    /// The caller, also if the route refuses it; `None` without credentials.
    caller: Option<(CallerKind, String)>,
    /// True if the request was authorized.
    is_authorized: bool,
    upstream_began: Option<Instant>,
    upstream_duration: Option<Duration>,
    /// The bytes of a body that are sent when the request has been forgotten.
    pub sent_apart: usize,
    _in_flight: Counted,
}

impl Observed {
    /// Describes a request whose head has just been received.
    pub fn new(in_flight: Counted) -> Self {
        Self {
            started: Instant::now(),
            route: None,
            caller: None,
            is_authorized: false,
            upstream_began: None,
            upstream_duration: None,
            sent_apart: 0,
            _in_flight: in_flight,
        }
    }

    /// Notes who has sent the request: by its credentials, or else by its certificate.
    pub fn note_caller(&mut self, caller: &Caller<'_>) {
        self.caller = match caller.identity() {
            Some(Identity::User(name)) => {
                Some((CallerKind::User, String::from_utf8_lossy(name).into_owned()))
            }
            Some(Identity::Token(name)) => Some((CallerKind::Token, name.clone())),
            Some(Identity::Nobody) | None => None,
        };
    }

    /// Notes that the exporter is being asked from now on; another replica takes up the same time.
    pub fn upstream_began(&mut self) {
        self.upstream_began.get_or_insert_with(Instant::now);
    }

    /// Notes that the exporter has answered, in whole or in part, or has failed.
    pub fn upstream_ended(&mut self) {
        self.upstream_duration = self.upstream_began.map(|began| began.elapsed());
    }

    /// Describes the caller for the status page.
    fn caller_in_words(&self, host: &str) -> String {
        match &self.caller {
            Some((kind, name)) => format!("{} {name} at {host}", kind.name()),
            None => host.to_owned(),
        }
    }
}

impl Guard {
    /// Counts the result of the authentication, and an authorized request of a caller.
    pub(super) fn note_access(&self, context: &mut Context, refusal: Option<&Refusal>) {
        let callers = &self.metrics.callers;
        let observed = &mut context.observed;
        let names = context.peer.names();
        if observed.caller.is_none() {
            let name = names.and_then(|names| names.iter().next());
            observed.caller = name.map(|name| (CallerKind::Certificate, name.into_owned()));
        }
        match refusal {
            Some(Refusal::Auth(refusal)) => {
                callers.authenticated(Err(auth::Refusal::reason(*refusal)))
            }
            _ if observed.caller.is_some() => callers.authenticated(Ok(())),
            _ => {}
        }
        observed.is_authorized = refusal.is_none();
        if refusal.is_some() {
            return;
        }
        if let Some((kind @ (CallerKind::User | CallerKind::Token), name)) = &observed.caller {
            callers.authorized(*kind, name);
        }
        // One that the configuration lists, if the certificate has several.
        let mut names = names.into_iter().flat_map(|names| names.iter());
        names.find(|name| callers.authorized(CallerKind::Certificate, name));
    }

    /// Counts and logs a request that has ended.
    pub(super) fn note_end(&self, session: &Session, context: &Context) {
        let request = session.req_header();
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let (observed, peer) = (&context.observed, &context.peer);
        let route = observed.route.as_ref().map(|route| route.name());
        let duration = observed.started.elapsed();
        let sent = session.body_bytes_sent() + observed.sent_apart;
        self.metrics.requests.record(&Answered {
            listener: &peer.listener,
            route,
            method: &request.method,
            code: status,
            duration,
            upstream_duration: observed.upstream_duration,
            received: session.body_bytes_read(),
            sent,
            caller: observed.is_authorized.then(|| observed.caller_in_words(&peer.host())),
        });
        self.access_log.write(&AccessLine {
            client: peer.address,
            listener: &peer.listener,
            caller: observed.caller.as_ref().map(|(kind, name)| (*kind, name.as_str())),
            route,
            method: request.method.as_str(),
            path: request.uri.path(),
            status,
            bytes: sent,
            duration,
            upstream_duration: observed.upstream_duration,
            tls: peer.tls_version(),
            traceparent: request.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()),
        });
    }
}
