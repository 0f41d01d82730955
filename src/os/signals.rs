//! The signals that the guard handles or forwards to its child.

use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// SIGTERM: the guard finishes running requests, then exits.
pub const TERMINATE: Signal = Signal::TERM;
/// SIGINT: the guard exits at once.
pub const INTERRUPT: Signal = Signal::INT;
/// SIGHUP: the guard reloads its configuration.
pub const HANGUP: Signal = Signal::HUP;

/// Signals that are only forwarded to a child.
const FORWARDED: [Signal; 4] = [Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];

/// Returns the name of a signal as kill(1) lists it.
pub fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::TERM => "SIGTERM",
        Signal::INT => "SIGINT",
        Signal::HUP => "SIGHUP",
        Signal::QUIT => "SIGQUIT",
        Signal::USR1 => "SIGUSR1",
        Signal::USR2 => "SIGUSR2",
        _ => "SIGWINCH",
    }
}

/// Receives signals in place of their default actions.
pub struct Signals {
    streams: Vec<(Signal, unix::Signal)>,
}

impl Signals {
    /// Receives the signals that the guard handles and, `with_child`, those that are only
    /// forwarded.
    ///
    /// # Errors
    ///
    /// Returns the error of sigaction(2).
    pub fn new(with_child: bool) -> io::Result<Self> {
        let own = [TERMINATE, INTERRUPT, HANGUP];
        let forwarded = FORWARDED.into_iter().filter(|_| with_child);
        let stream =
            |signal: Signal| Ok((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?));
        let streams = own.into_iter().chain(forwarded).map(stream).collect::<io::Result<_>>()?;
        Ok(Self { streams })
    }

    /// Waits for the next signal; loses none when dropped while it waits.
    pub async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (signal, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for SIGTERM or SIGINT, which end the waits of a guard that shuts down.
    pub async fn next_stop_signal(&mut self) {
        while !matches!(self.next().await, TERMINATE | INTERRUPT) {}
    }
}
