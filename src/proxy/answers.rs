//! The requests that the guard answers itself: those that are refused, and those for its own metrics.

use http::header::ACCEPT;
use pingora::prelude::Result;
use pingora::proxy::Session;

use super::refusal::Refusal;
use super::{Context, Guard, responses};
use crate::auth::Permit;
use crate::observe::metrics::Format;
use crate::routing::Route;

impl Guard {
    /// Counts and logs a refusal.
    pub(super) fn count_refusal(&self, context: &Context, refusal: &Refusal) {
        self.metrics.request_refused(refusal.reason(), context.peer.host());
        if let Some(suppressed) = self.refusals_logged.admit(refusal.reason()) {
            tracing::warn!(
                status = refusal.status(),
                reason = refusal.reason(),
                remote = %context.peer,
                suppressed,
                "Request refused"
            );
        }
    }

    /// Refuses a request: counts and logs it, and answers.
    pub(super) async fn refuse(
        &self,
        session: &mut Session,
        context: &mut Context,
        refusal: Refusal,
    ) -> Result<()> {
        self.count_refusal(context, &refusal);
        if let Some(delay) = refusal.delay() {
            tokio::time::sleep(delay).await;
        }
        if refusal.closes_connection() {
            session.set_keepalive(None);
        }
        responses::refusal(session, context, &refusal).await?;
        if refusal.closes_connection() {
            context.peer.close_connection();
        }
        Ok(())
    }

    /// Serves the guard's own metrics, at `/metrics` alone, to a caller with a permit for them.
    pub(super) async fn answer_itself(
        &self,
        session: &mut Session,
        context: &Context,
        (permit, route): (Permit, &Route),
    ) -> Result<()> {
        drop(permit);
        if route.inside(session.req_header().uri.path()) == "/metrics" {
            let accept = session.req_header().headers.get_all(ACCEPT).iter();
            let format = Format::negotiate(accept.filter_map(|value| value.to_str().ok()));
            let body = self.metrics.render(format);
            responses::text(session, &context.snapshot, 200, format.content_type(), body).await
        } else {
            responses::plain(session, &context.snapshot, 404, "Not Found").await
        }
    }
}
