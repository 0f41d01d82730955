//! The replicas of an exporter: a request may be sent to any of them.

use std::sync::Arc;

use pingora::prelude::{Error, ErrorType, HttpPeer, Result};

use super::{ClientTls, Endpoint, Timeouts};
use crate::auth::Permit;
use crate::config::Upstream;

/// The choice of one of the [`Replicas`] and of one of its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The index of the endpoint.
    endpoint: usize,
    /// The index of the address in the answer of the resolver.
    address: usize,
}

/// The endpoints of a route, in the order of preference.
pub struct Replicas(Vec<Arc<Endpoint>>);

impl Replicas {
    /// Builds the replicas of a route; endpoints that `previous` has with the same TLS are kept,
    /// with their connections and their health.
    pub fn new(
        upstreams: &[Upstream],
        tls: Option<&Arc<ClientTls>>,
        previous: Option<&Self>,
    ) -> Self {
        let endpoint = |upstream: &Upstream| {
            let is_same = |endpoint: &&Arc<Endpoint>| endpoint.is(upstream, tls.map(Arc::as_ref));
            let kept = previous.and_then(|previous| previous.0.iter().find(is_same));
            kept.cloned().unwrap_or_else(|| Arc::new(Endpoint::new(upstream.clone(), tls.cloned())))
        };
        Self(upstreams.iter().map(endpoint).collect())
    }

    /// Returns the address of the first endpoint.
    #[cfg(test)]
    pub fn first(&self) -> &Upstream {
        self.0[0].upstream()
    }

    /// Returns whether the guard itself is the upstream: it serves its own metrics.
    pub fn is_own(&self) -> bool {
        self.0.iter().any(|endpoint| *endpoint.upstream() == Upstream::Own)
    }

    /// Returns the endpoints, in the order of preference.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.0.iter()
    }

    /// Returns the endpoint of a choice.
    pub fn endpoint(&self, choice: Choice) -> Option<&Arc<Endpoint>> {
        self.0.get(choice.endpoint)
    }

    /// Chooses the first endpoint that is up, or else the first one, among the choices that have
    /// not failed for this request; `None` when all of them have.
    pub fn choose(&self, failed: &[Choice]) -> Option<Choice> {
        let candidates = || {
            let endpoints = self.0.iter().enumerate();
            endpoints
                .flat_map(|(index, endpoint)| {
                    let addresses = 0..endpoint.address_count();
                    addresses.map(move |address| Choice { endpoint: index, address })
                })
                .filter(|choice| !failed.contains(choice))
        };
        let is_up = |choice: &Choice| self.0[choice.endpoint].is_up();
        candidates().find(is_up).or_else(|| candidates().next())
    }

    /// Returns whether there is another choice than this one and the ones that have failed.
    pub fn has_other(&self, choice: Choice, failed: &[Choice]) -> bool {
        let failed: Vec<Choice> = failed.iter().copied().chain([choice]).collect();
        self.choose(&failed).is_some()
    }

    /// Makes the peer for a request that holds a permit.
    ///
    /// # Errors
    ///
    /// Returns the error of [`Endpoint::peer`], or an error when the choice is none of these
    /// replicas.
    pub async fn peer(
        &self,
        permit: &Permit,
        choice: Choice,
        timeouts: Timeouts,
    ) -> Result<Box<HttpPeer>> {
        let endpoint = self
            .endpoint(choice)
            .ok_or_else(|| Error::explain(ErrorType::ConnectError, "no replica left").into_up())?;
        endpoint.peer(permit, choice.address, timeouts).await
    }

    /// Notes that a choice could not be reached. If the route has other endpoints, they are
    /// preferred until this one can be reached again.
    pub fn failed(&self, choice: Choice) {
        if self.0.len() > 1
            && let Some(endpoint) = self.endpoint(choice)
        {
            Endpoint::down(endpoint);
        }
    }
}
