//! The authorization of a request, and the route that it takes. Read from top to bottom, this is the
//! security argument.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{AUTHORIZATION, HOST};
use http::{Method, Version};
use pingora::http::RequestHeader;

use super::coalesce::Audience;
use super::headers;
use super::http2_request;
use super::observed::Observed;
use super::refusal::Refusal;
use crate::auth::{self, Caller, KnownNetworks, Origin, Permit, Presented, Requester, Verifier};
use crate::config::ClientNetwork;
use crate::config::routes::TARGETS;
use crate::connection::Peer;
use crate::routing::{self, RequestTarget, Route, Target};
use crate::snapshot::Snapshot;
use crate::tls::PresentedCertificate;

/// The destination of a request that was authorized.
pub enum Destination {
    /// The exporter of a route; its answer may be shared with this audience, and the request counts for
    /// this requester.
    Route(Permit, Arc<Route>, Audience, Requester),
    /// Service discovery (`/-/targets`), which the guard answers itself.
    Targets(Vec<Target>),
}

/// One request, and everything that it is judged by.
pub struct AccessRequest<'a> {
    /// The head of the request.
    pub request: &'a RequestHeader,
    /// True if a body follows the head.
    pub has_body: bool,
    /// The configuration that was in force when the request began.
    pub snapshot: &'a Snapshot,
    /// The client.
    pub peer: &'a Peer,
    /// The threads that run bcrypt.
    pub verifier: &'a Verifier,
    /// The client networks from which callers have authenticated.
    pub known_networks: &'a KnownNetworks,
}

impl AccessRequest<'_> {
    /// Authorizes the request: rate limit, form, `Host`, path, public path or credentials, rules of the
    /// route, what the route lets through.
    ///
    /// # Errors
    ///
    /// Returns the refusal that the client gets. Unauthenticated clients cannot enumerate routes:
    /// unknown paths are 401, not 404.
    pub async fn authorize(&self, observed: &mut Observed) -> Result<Destination, Refusal> {
        if let Some(limiter) = &self.snapshot.rate_limiter {
            let network = ClientNetwork::of(self.address());
            let known = self.known_networks.contains(network).then_some(network);
            limiter.take(known, Instant::now()).map_err(Refusal::RateLimited)?;
        }
        http2_request::check(self.request)?;
        headers::check_host(self.request)?;
        let target = self.target();
        let route = self.route(&target)?;
        observed.route = route.cloned();
        if let Some(route) = route
            && let Some(declared) = route.public(&target)
        {
            let permit = route.check(auth::public(declared), &target).map_err(Refusal::Route)?;
            let requester = Requester::Network(ClientNetwork::of(self.address()));
            return Ok(Destination::Route(
                permit,
                Arc::clone(route),
                Audience::Everybody,
                requester,
            ));
        }
        self.check_certificate()?;
        let caller = self.caller(route).await?;
        observed.note_caller(&caller);
        if target.path == TARGETS && self.routes().any(|route| route.is_discovered()) {
            return self.targets(&caller).map(Destination::Targets);
        }
        let Some(route) = route else {
            return Err(match self.may_know_routes(&caller) {
                true => Refusal::Route(routing::Refusal::Path),
                false => Refusal::Auth(auth::Refusal::NoCredentials),
            });
        };
        let permit =
            route.policy.authorize(&caller).map_err(|refusal| self.hide(refusal, &caller))?;
        let audience = match (route.sharing(), caller.identity()) {
            (Some(sharing), _) if sharing.same_for_all => Audience::Everybody,
            (_, Some(identity)) => Audience::One(identity.clone()),
            (_, None) => Audience::Unknown,
        };
        let permit = route.check(permit, &target).map_err(Refusal::Route)?;
        Ok(Destination::Route(permit, Arc::clone(route), audience, caller.requester()))
    }

    /// Finds the route of the request. Where a path decides, one that two programs may read in two ways
    /// is refused.
    fn route(&self, target: &RequestTarget<'_>) -> Result<Option<&Arc<Route>>, Refusal> {
        let (listener, name) = (&self.peer.listener, self.peer.server_name());
        let route = self.snapshot.routes.find(listener, self.host(), name, target.path);
        let decides_by_path = route.is_none_or(|route| route.decides_by_path());
        if decides_by_path && !target.is_plain() {
            return Err(Refusal::AmbiguousPath);
        }
        Ok(route)
    }

    /// Demands the client certificate that the handshake did not insist on, for the sake of public
    /// paths or of a configuration that was in force then, and that a certificate has neither ended nor
    /// lost its admission since.
    fn check_certificate(&self) -> Result<(), Refusal> {
        let (listener, presented) = (&self.peer.listener, self.peer.presented());
        if self.peer.certificate() < self.snapshot.required_certificate(listener) {
            return Err(Refusal::Auth(auth::Refusal::NoCertificate));
        }
        let is_withdrawn = |certificate: &PresentedCertificate| {
            let tls = self.snapshot.tls(listener);
            certificate.has_ended()
                || tls.is_some_and(|tls| !certificate.is_admitted_by(&tls.client_verifier))
        };
        match presented.is_some_and(is_withdrawn) {
            true => Err(Refusal::Auth(auth::Refusal::CertificateWithdrawn)),
            false => Ok(()),
        }
    }

    async fn caller(&self, route: Option<&Arc<Route>>) -> Result<Caller<'_>, Refusal> {
        let values = self.request.headers.get_all(AUTHORIZATION).iter();
        let authorization: Vec<&[u8]> = values.map(|value| value.as_bytes()).collect();
        let presented = Presented {
            authorization: &authorization,
            address: self.address(),
            names: self.peer.names(),
        };
        let caller = if route.is_some_and(|route| route.policy.ignores_credentials()) {
            Caller::without_credentials(&presented)
        } else {
            let known = (&self.snapshot.users, &self.snapshot.tokens);
            let caller = auth::authenticate(known, self.verifier, self.origin(), &presented).await;
            caller.map_err(Refusal::Auth)?
        };
        self.known_networks.add(ClientNetwork::of(self.address()), &caller.requester());
        Ok(caller)
    }

    /// Turns the refusal of a route into the one that a request without a route gets, unless the client
    /// may know which routes there are.
    fn hide(&self, refusal: auth::Refusal, caller: &Caller<'_>) -> Refusal {
        match refusal {
            auth::Refusal::NotPermitted if !self.may_know_routes(caller) => {
                Refusal::Auth(auth::Refusal::Unidentified)
            }
            refusal => Refusal::Auth(refusal),
        }
    }

    fn targets(&self, caller: &Caller<'_>) -> Result<Vec<Target>, Refusal> {
        if !self.may_know_routes(caller) {
            return Err(Refusal::Auth(auth::Refusal::NoCredentials));
        }
        if ![Method::GET, Method::HEAD].contains(&self.request.method) {
            let allowed = "GET, HEAD".to_owned();
            return Err(Refusal::Route(routing::Refusal::Method(allowed)));
        }
        let tls = self.peer.tls.is_some();
        let permitted = self.routes().filter(|route| route.policy.authorize(caller).is_ok());
        Ok(permitted.filter_map(|route| Target::new(route, self.host(), tls)).collect())
    }

    /// Returns whether the caller has shown credentials, or needs none for some route.
    fn may_know_routes(&self, caller: &Caller<'_>) -> bool {
        caller.has_credentials()
            || self.routes().any(|route| route.policy.authorize(caller).is_ok())
    }

    /// Returns the routes that are reached by the listener of the request.
    fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.snapshot.routes.on(&self.peer.listener)
    }

    fn target(&self) -> RequestTarget<'_> {
        RequestTarget {
            method: &self.request.method,
            path: self.request.uri.path(),
            query: self.request.uri.query(),
            raw: self.request.raw_path(),
            has_body: self.has_body,
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            source: ClientNetwork::of(self.address()),
            max_failures: self.snapshot.limits().max_auth_failures,
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.peer.address
    }

    /// Returns the authority that the client asks; HTTP/2 has it in a pseudo-header.
    fn host(&self) -> &str {
        let authority = match self.request.version {
            Version::HTTP_2 => self.request.uri.authority().map(|authority| authority.as_str()),
            _ => None,
        };
        let host = || self.request.headers.get(HOST).and_then(|host| host.to_str().ok());
        authority.or_else(host).unwrap_or_default()
    }
}
