//! The signals that the guard acts on or passes on to its child.

use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// SIGTERM: finish what runs, then end.
pub const TERMINATE: Signal = Signal::TERM;
/// SIGINT: end at once.
pub const INTERRUPT: Signal = Signal::INT;
/// SIGHUP: reload.
pub const HANGUP: Signal = Signal::HUP;

/// Signals that only a child has a use for.
const PASSED_ON: [Signal; 4] = [Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];

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

/// Receives signals in the place of their default actions.
pub struct Signals {
    streams: Vec<(Signal, unix::Signal)>,
}

impl Signals {
    /// Takes over the signals of the guard, and `with_child` those that a child may have a use for.
    ///
    /// # Errors
    ///
    /// Returns the error of sigaction(2).
    pub fn new(with_child: bool) -> io::Result<Self> {
        let own = [TERMINATE, INTERRUPT, HANGUP];
        let passed_on = PASSED_ON.into_iter().filter(|_| with_child);
        let stream =
            |signal: Signal| Ok((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?));
        let streams = own.into_iter().chain(passed_on).map(stream).collect::<io::Result<_>>()?;
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

    /// Waits until somebody asks a guard that is stopping to make haste.
    pub async fn urged(&mut self) {
        while !matches!(self.next().await, TERMINATE | INTERRUPT) {}
    }
}
