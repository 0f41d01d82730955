//! The health of one upstream, for the metrics and the status page. No decision is
//! made by it.

use parking_lot::Mutex;

/// The result of the last request that was sent to an upstream.
#[derive(Debug, Default)]
pub struct UpstreamHealth(Mutex<Option<Result<(), &'static str>>>);

impl UpstreamHealth {
    /// Records that the upstream was reached.
    pub fn reached(&self) {
        *self.0.lock() = Some(Ok(()));
    }

    /// Records that the upstream failed, with the cause.
    pub fn failed(&self, cause: &'static str) {
        *self.0.lock() = Some(Err(cause));
    }

    /// Returns whether the upstream was reached the last time; `None` before the first time.
    pub fn is_up(&self) -> Option<bool> {
        self.0.lock().map(|result| result.is_ok())
    }

    /// Returns the cause of the last failure, if nothing has succeeded since.
    pub fn cause(&self) -> Option<&'static str> {
        self.0.lock().and_then(Result::err)
    }
}
