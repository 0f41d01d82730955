//! Exporters that stand for each other.

use std::sync::Arc;

use pingora::prelude::{Error, ErrorType, HttpPeer, Result};

use super::{ClientTls, Endpoint, Timeouts};
use crate::auth::Permit;
use crate::config::Upstream;

/// One of [`Replicas`], and one of its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    endpoint: usize,
    address: usize,
}

/// In the order of preference.
pub struct Replicas(Vec<Arc<Endpoint>>);

impl Replicas {
    /// Those that were there before are the same ones.
    pub fn new(
        upstreams: &[Upstream],
        tls: Option<&Arc<ClientTls>>,
        before: Option<&Self>,
    ) -> Self {
        let endpoint = |upstream: &Upstream| {
            let is_same = |endpoint: &&Arc<Endpoint>| endpoint.is(upstream, tls.map(Arc::as_ref));
            let known = before.and_then(|before| before.0.iter().find(is_same));
            known
                .cloned()
                .unwrap_or_else(|| Arc::new(Endpoint::new(upstream.clone(), tls.cloned())))
        };
        Self(upstreams.iter().map(endpoint).collect())
    }

    #[cfg(test)]
    pub fn first(&self) -> &Upstream {
        self.0[0].upstream()
    }

    /// The guard's own page instead of an exporter.
    pub fn is_own(&self) -> bool {
        self.0.iter().any(|endpoint| *endpoint.upstream() == Upstream::Own)
    }

    pub fn endpoint(&self, choice: Choice) -> Option<&Arc<Endpoint>> {
        self.0.get(choice.endpoint)
    }

    /// The first that is up, or else the first, of those that have not failed this request.
    pub fn choose(&self, failed: &[Choice]) -> Option<Choice> {
        let all = || {
            let endpoints = self.0.iter().enumerate();
            endpoints
                .flat_map(|(endpoint, of)| {
                    (0..of.address_count()).map(move |n| Choice { endpoint, address: n })
                })
                .filter(|choice| !failed.contains(choice))
        };
        let is_up = |choice: &Choice| self.0[choice.endpoint].is_up();
        all().find(is_up).or_else(|| all().next())
    }

    /// Whether there is more to try than this one and those that have failed.
    pub fn has_other(&self, choice: Choice, failed: &[Choice]) -> bool {
        let failed: Vec<Choice> = failed.iter().copied().chain([choice]).collect();
        self.choose(&failed).is_some()
    }

    /// The peer for a request that holds a permit.
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

    /// That this one cannot be reached. With others to ask, it is left alone until it can.
    pub fn failed(&self, choice: Choice) {
        if self.0.len() > 1
            && let Some(endpoint) = self.endpoint(choice)
        {
            Endpoint::down(endpoint);
        }
    }
}
