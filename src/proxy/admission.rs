//! The step between the authorization of a request and its exporter: an answer that is shared, or a slot
//! among the requests in flight.

use std::time::Instant;

use pingora::prelude::Result;
use pingora::proxy::Session;

use super::coalesce::{Audience, Key, Lookup, Scope};
use super::in_flight::Slot;
use super::refusal::Refusal;
use super::{Context, Guard, error, responses};
use crate::auth::Requester;
use crate::config::routes::Sharing;
use crate::upstream::Timeouts;

/// The next step of a request that may share an answer.
enum Shared {
    /// It is forwarded.
    Forward,
    /// It has its answer.
    Answered,
    /// It may not be forwarded now.
    Refused(Refusal),
}

impl Guard {
    /// Answers with the answer of another request, or gives the request a slot; false when the request
    /// is to be forwarded.
    pub(super) async fn share_or_admit(
        &self,
        session: &mut Session,
        context: &mut Context,
        audience: &Audience,
        requester: &Requester,
    ) -> Result<bool> {
        let mut refused = match self.share(session, context, audience, requester).await? {
            Shared::Answered => return Ok(true),
            Shared::Refused(refusal) => Some(refusal),
            Shared::Forward => None,
        };
        if refused.is_none() && context.slot.is_none() {
            match self.admit(session, context, requester).await {
                Ok(slot) => context.slot = slot,
                Err(refusal) => refused = Some(refusal),
            }
        }
        // The body of a request that waits for its slot is not read.
        if refused.is_none() && !session.as_mut().is_body_empty() && !context.unsent.upload(0) {
            context.slot = None;
            refused = Some(Refusal::NoMemory);
        }
        let Some(refusal) = refused else { return Ok(false) };
        self.refuse(session, context, refusal).await?;
        Ok(true)
    }

    /// Answers with the answer of another request, if there is one or will be. A request whose answer
    /// others are to get has its slot before they can wait for it: otherwise they would wait behind the
    /// other requests of its client.
    async fn share(
        &self,
        session: &mut Session,
        context: &mut Context,
        audience: &Audience,
        requester: &Requester,
    ) -> Result<Shared> {
        let Some((key, sharing)) = shared_key(session, context, audience) else {
            return Ok(Shared::Forward);
        };
        let timeouts = Timeouts::of(context.snapshot.limits(), session.req_header());
        let deadline = Instant::now() + timeouts.response;
        loop {
            let memory = &context.peer.memory;
            let how = (deadline, context.slot.is_some());
            match self.coalescer.lookup(&key, sharing, how, memory, &self.metrics).await {
                Some(Lookup::Miss) => match self.admit(session, context, requester).await {
                    Ok(slot) => context.slot = slot,
                    Err(refusal) => return Ok(Shared::Refused(refusal)),
                },
                Some(Lookup::Fill(fill)) => {
                    context.fill = Some(fill);
                    return Ok(Shared::Forward);
                }
                Some(Lookup::Bypass) => return Ok(Shared::Forward),
                Some(Lookup::Hit(answer)) => {
                    context.slot = None;
                    responses::shared(session, &answer).await?;
                    return Ok(Shared::Answered);
                }
                None => return Err(error::shared_timeout()),
            }
        }
    }

    /// Waits until the request may be in flight on its route.
    async fn admit(
        &self,
        session: &Session,
        context: &Context,
        requester: &Requester,
    ) -> Result<Option<Slot>, Refusal> {
        let Some(route) = context.route() else { return Ok(None) };
        let limits = context.snapshot.limits();
        let max = route.max_in_flight().unwrap_or(limits.max_in_flight);
        let max_wait = Timeouts::of(limits, session.req_header()).queue;
        let admitted =
            self.in_flight.admit(route.name(), requester.clone(), (max, max_wait), &self.metrics);
        match admitted.await {
            Some(slot) => Ok(Some(slot)),
            None => Err(Refusal::TooManyInFlight),
        }
    }
}

/// Returns the key of a request that may share an answer.
fn shared_key(
    session: &mut Session,
    context: &Context,
    audience: &Audience,
) -> Option<(Key, Sharing)> {
    let route = context.route()?;
    let sharing = route.sharing()?;
    if !session.as_mut().is_body_empty() {
        return None;
    }
    let scope = Scope {
        generation: context.snapshot.generation,
        route: route.name().to_owned(),
        is_tls: context.peer.tls.is_some(),
    };
    Some((Key::of(session.req_header(), scope, audience)?, sharing))
}
