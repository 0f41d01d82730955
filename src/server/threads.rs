//! The threads besides the main one. Each enters its sandbox before it does anything else.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::connection::HandshakePool;
use crate::observe::{self, Metrics};
use crate::os::priorities::lower_priority;
use crate::os::sandbox::{self, SandboxPolicy};
use crate::snapshot::Current;
use crate::snapshot::reload::{Initial, Reloader};

/// The threads of a guard that serves.
pub struct Threads {
    /// Watches the configuration.
    pub reloader: Reloader,
    /// Serves requests.
    pub runtime: Runtime,
    /// Computes TLS handshakes.
    pub handshakes: Arc<HandshakePool>,
}

/// The nice value of handshake threads, below the threads that serve (see
/// [`crate::connection::handshake_pool`]).
const HANDSHAKE_NICE: i32 = 5;

/// The settings and shared state that the threads are started with.
pub struct Start {
    /// The configuration files of the first load.
    pub initial: Initial,
    /// The configuration in force.
    pub current: Arc<Current>,
    /// The guard's own metrics.
    pub metrics: Arc<Metrics>,
    /// The rights that the sandbox leaves; `None` without a sandbox.
    pub sandbox: Option<SandboxPolicy>,
    /// Keeps the main thread outside the sandbox, which a child that it starts would inherit.
    pub main_outside: bool,
}

/// A reason why a thread cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system refuses a thread.
    #[error("cannot start {what}: {cause}")]
    Thread {
        /// The name of the thread for the message.
        what: &'static str,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// The thread that starts the others has panicked.
    #[error("cannot start threads")]
    Panicked,
}

impl Start {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// Returns the thread that cannot be started, with the reason.
    pub fn start(self) -> Result<Threads, StartError> {
        if !self.main_outside {
            return self.start_from_this_thread();
        }
        // Threads inherit the sandbox of the thread that starts them. A temporary thread enters it
        // here and starts the others, so that the main thread stays outside.
        std::thread::scope(|scope| scope.spawn(|| self.start_from_this_thread()).join())
            .map_err(|_| StartError::Panicked)?
    }

    fn start_from_this_thread(self) -> Result<Threads, StartError> {
        let Self { initial, current, metrics, sandbox, .. } = self;
        enter_process_sandbox(sandbox.as_ref());
        let thread_error = |what| move |cause| StartError::Thread { what, cause };
        observe::start_log_writer().map_err(thread_error("the log thread"))?;
        let reloader = Reloader::start(initial, current, metrics)
            .map_err(thread_error("the reload thread"))?;
        let runtime_sandbox = sandbox.clone();
        let runtime = Builder::new_multi_thread()
            .on_thread_start(move || enter_network_sandbox(runtime_sandbox.as_ref()))
            .enable_all()
            .build()
            .map_err(thread_error("the runtime"))?;
        let handshakes = HandshakePool::start(runtime.handle(), move || {
            lower_priority(HANDSHAKE_NICE);
            enter_network_sandbox(sandbox.as_ref());
        });
        let handshakes = handshakes.map_err(thread_error("a handshake thread"))?;
        Ok(Threads { reloader, runtime, handshakes })
    }
}

/// Enters the sandbox of the whole process, and logs the extent to which the kernel enforces it.
fn enter_process_sandbox(policy: Option<&SandboxPolicy>) {
    let Some(policy) = policy else {
        tracing::warn!("Sandbox disabled by --no-sandbox");
        return;
    };
    let enforcement = sandbox::enter(policy);
    let landlock = enforcement.landlock.name();
    if enforcement.is_full() {
        tracing::info!(landlock, "Entered the sandbox");
    } else {
        let refused = enforcement.refused.join("; ");
        tracing::warn!(landlock, refused, "Entered the sandbox in part");
    }
}

/// Enters the sandbox of a thread that talks to the network.
fn enter_network_sandbox(policy: Option<&SandboxPolicy>) {
    // A failure is not fatal, since the thread has inherited the sandbox of the process.
    if let Some(policy) = policy
        && let Err(error) = sandbox::enter_network_thread(policy)
    {
        tracing::error!(err = %error, "Failed to enter the sandbox of a network thread");
    }
}
