//! The signals that the guard acts on or passes on to its child.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Finish what runs, then end.
pub const TERMINATE: SignalKind = SignalKind::terminate();
/// End at once.
pub const INTERRUPT: SignalKind = SignalKind::interrupt();
/// Reload.
pub const HANGUP: SignalKind = SignalKind::hangup();

const QUIT: SignalKind = SignalKind::quit();
const USER_1: SignalKind = SignalKind::user_defined1();
const USER_2: SignalKind = SignalKind::user_defined2();

/// What only a child has a use for.
const PASSED_ON: [SignalKind; 4] = [QUIT, USER_1, USER_2, SignalKind::window_change()];

/// As kill(1) lists it.
pub fn name(kind: SignalKind) -> &'static str {
    match kind {
        TERMINATE => "SIGTERM",
        INTERRUPT => "SIGINT",
        HANGUP => "SIGHUP",
        QUIT => "SIGQUIT",
        USER_1 => "SIGUSR1",
        USER_2 => "SIGUSR2",
        _ => "SIGWINCH",
    }
}

pub struct Signals {
    streams: Vec<(SignalKind, Signal)>,
}

impl Signals {
    pub fn new(with_child: bool) -> io::Result<Self> {
        let own = [TERMINATE, INTERRUPT, HANGUP];
        let passed_on = PASSED_ON.into_iter().filter(|_| with_child);
        let streams = own
            .into_iter()
            .chain(passed_on)
            .map(|kind| Ok((kind, signal(kind)?)))
            .collect::<io::Result<_>>()?;
        Ok(Self { streams })
    }

    /// The next signal; loses none when dropped while it waits.
    pub async fn next(&mut self) -> SignalKind {
        std::future::poll_fn(|context| {
            for (kind, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*kind);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Wait until somebody asks a guard that is stopping to make haste.
    pub async fn urged(&mut self) {
        while !matches!(self.next().await, TERMINATE | INTERRUPT) {}
    }
}
