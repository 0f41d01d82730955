//! The threads besides the main one, each in its sandbox before it does anything.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::handshakes::Handshakes;
use crate::metrics::Metrics;
use crate::process::sandbox::{self, Landlock, Reach};
use crate::process::threads::lower_priority;
use crate::reload::{Initial, Reloader};
use crate::snapshot::Current;

pub struct Threads {
    pub reloader: Reloader,
    pub runtime: Runtime,
    pub handshakes: Arc<Handshakes>,
}

/// A handshake keeps a thread busy for most of a millisecond. On threads of their own, below those
/// that serve, strangers that connect by the dozen hold up nobody whose connection is open.
const HANDSHAKE_NICE: libc::c_int = 5;

/// What the threads are started with.
pub struct Start {
    pub initial: Initial,
    pub current: Arc<Current>,
    pub metrics: Arc<Metrics>,
    /// `None`: no sandbox.
    pub reach: Option<Reach>,
    /// Whether the main thread stays outside the sandbox, for the sake of the child it starts.
    pub main_outside: bool,
}

impl Start {
    pub fn start(self) -> Result<Threads, String> {
        if !self.main_outside {
            return self.start_from_here();
        }
        // A thread that is gone afterwards: what it starts inherits its sandbox.
        std::thread::scope(|scope| scope.spawn(|| self.start_from_here()).join())
            .map_err(|_| "cannot start threads".to_owned())?
    }

    fn start_from_here(self) -> Result<Threads, String> {
        let Self { initial, current, metrics, reach, .. } = self;
        match &reach {
            Some(reach) => {
                let landlock = sandbox::enter(reach)
                    .map_err(|error| format!("cannot enter the sandbox: {error}"))?;
                match landlock {
                    Landlock::Enforced => tracing::info!(landlock = landlock.name(), "Sandbox"),
                    Landlock::Partly | Landlock::Missing => {
                        tracing::warn!(landlock = landlock.name(), "Sandbox");
                    }
                }
            }
            None => tracing::warn!("No sandbox, as told"),
        }
        let reloader = Reloader::start(initial, current, metrics)
            .map_err(|error| format!("cannot start the reload thread: {error}"))?;
        let serving = reach.clone();
        let runtime = Builder::new_multi_thread()
            .on_thread_start(move || enter(serving.as_ref()))
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start the runtime: {error}"))?;
        let handshakes = Handshakes::start(runtime.handle(), move || {
            lower_priority(HANDSHAKE_NICE);
            enter(reach.as_ref());
        });
        let handshakes =
            handshakes.map_err(|error| format!("cannot start a handshake thread: {error}"))?;
        Ok(Threads { reloader, runtime, handshakes })
    }
}

/// What a thread that talks to the network does first.
fn enter(reach: Option<&Reach>) {
    // The first layer holds either way.
    if let Some(reach) = reach
        && let Err(error) = sandbox::enter_network_thread(reach)
    {
        tracing::error!(err = %error, "A thread cannot enter its sandbox");
    }
}
