//! Who gets through, and where to. Read from top to bottom, this is the security argument.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{AUTHORIZATION, HOST};
use http::{Method, Version};
use pingora::http::RequestHeader;

use super::coalesce::Audience;
use super::headers;
use super::refusal::Refusal;
use crate::auth::{Caller, Origin, Permit, Verifier};
use crate::config::ClientNetwork;
use crate::config::routes::{TARGETS, is_plain};
use crate::connection::Peer;
use crate::routing::{Route, Routes, Target};
use crate::snapshot::Snapshot;
use crate::{auth, routing};

/// Where a request goes that was admitted.
pub enum Destination {
    /// `--upstream`.
    Upstream(Permit),
    Route(Permit, Arc<Route>, Audience),
    /// Service discovery.
    Targets(Vec<Target>),
}

/// One request, and what it is judged by.
pub struct AccessRequest<'a> {
    pub request: &'a RequestHeader,
    pub snapshot: &'a Snapshot,
    pub peer: &'a Peer,
    pub verifier: &'a Verifier,
}

impl AccessRequest<'_> {
    pub async fn admit(&self) -> Result<Destination, Refusal> {
        if let Some(limiter) = &self.snapshot.rate_limiter {
            limiter.take(Instant::now()).map_err(Refusal::RateLimited)?;
        }
        headers::check_host(self.request)?;
        match &self.snapshot.routes {
            None => self.to_upstream().await.map(Destination::Upstream),
            Some(routes) => self.by_route(routes).await,
        }
    }

    /// As the exporter-toolkit has it.
    async fn to_upstream(&self) -> Result<Permit, Refusal> {
        if let Some(declared) = self.snapshot.public_paths.find(self.request.raw_path()) {
            return Ok(auth::public(declared));
        }
        self.certified()?;
        let users = &self.snapshot.users;
        let authorization = self.authorization();
        let permit = auth::authorize(users, self.verifier, self.origin(), &authorization);
        permit.await.map_err(Refusal::Auth)
    }

    /// Which routes and paths there are is nobody's business who may use none.
    async fn by_route(&self, routes: &Routes) -> Result<Destination, Refusal> {
        let uri = &self.request.uri;
        let path = uri.path();
        if !self.request.raw_path_is_utf8() || is_plain(path).is_err() {
            return Err(Refusal::AmbiguousPath);
        }
        let route = routes.find(&self.peer.listener, self.host(), self.peer.server_name(), path);
        let check = |permit, route: &Arc<Route>| {
            route.check(permit, &self.request.method, path, uri.query()).map_err(Refusal::Route)
        };
        if let Some(route) = route
            && let Some(declared) = route.public(path)
        {
            let permit = check(auth::public(declared), route)?;
            return Ok(Destination::Route(permit, Arc::clone(route), Audience::Everybody));
        }
        self.certified()?;
        let caller = self.caller().await?;
        if path == TARGETS {
            return self.targets(routes, &caller).map(Destination::Targets);
        }
        let Some(route) = route else {
            return Err(match self.is_known(routes, &caller) {
                true => Refusal::Route(routing::Refusal::Path),
                false => Refusal::Auth(auth::Refusal::NoCredentials),
            });
        };
        let permit = route.policy.admit(&caller).map_err(Refusal::Auth)?;
        let audience = match (route.sharing(), caller.identity()) {
            (Some(sharing), _) if sharing.same_for_all => Audience::Everybody,
            (_, Some(identity)) => Audience::One(identity.clone()),
            (_, None) => Audience::Unknown,
        };
        Ok(Destination::Route(check(permit, route)?, Arc::clone(route), audience))
    }

    /// What the handshake did not insist on for the sake of public paths, or of a configuration
    /// that was in force then.
    fn certified(&self) -> Result<(), Refusal> {
        if self.peer.certificate() >= self.snapshot.config.client_certificate(&self.peer.listener) {
            return Ok(());
        }
        Err(Refusal::Auth(auth::Refusal::NoCertificate))
    }

    async fn caller(&self) -> Result<Caller<'_>, Refusal> {
        let known = (&self.snapshot.users, &self.snapshot.tokens);
        let shown = (self.address(), self.peer.names());
        let authorization = self.authorization();
        let caller = auth::authenticate(known, self.verifier, self.origin(), &authorization, shown);
        caller.await.map_err(Refusal::Auth)
    }

    fn targets(&self, routes: &Routes, caller: &Caller<'_>) -> Result<Vec<Target>, Refusal> {
        if !self.is_known(routes, caller) {
            return Err(Refusal::Auth(auth::Refusal::NoCredentials));
        }
        if ![Method::GET, Method::HEAD].contains(&self.request.method) {
            return Err(Refusal::Route(routing::Refusal::Method("GET, HEAD".to_owned())));
        }
        let tls = self.peer.tls.is_some();
        let permitted = self.routes(routes).filter(|route| route.policy.admit(caller).is_ok());
        Ok(permitted.filter_map(|route| Target::new(route, self.host(), tls)).collect())
    }

    /// Whether it has shown credentials, or needs none for some route.
    fn is_known(&self, routes: &Routes, caller: &Caller<'_>) -> bool {
        caller.has_credentials()
            || self.routes(routes).any(|route| route.policy.admit(caller).is_ok())
    }

    /// Those that are reached by the listener that was asked.
    fn routes<'r>(&self, routes: &'r Routes) -> impl Iterator<Item = &'r Arc<Route>> {
        routes.on(&self.peer.listener)
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

    fn authorization(&self) -> Vec<&[u8]> {
        let values = self.request.headers.get_all(AUTHORIZATION).iter();
        values.map(|value| value.as_bytes()).collect()
    }

    /// HTTP/2 has it in a pseudo-header.
    fn host(&self) -> &str {
        let authority = match self.request.version {
            Version::HTTP_2 => self.request.uri.authority().map(|authority| authority.as_str()),
            _ => None,
        };
        let host = || self.request.headers.get(HOST).and_then(|host| host.to_str().ok());
        authority.or_else(host).unwrap_or_default()
    }
}
