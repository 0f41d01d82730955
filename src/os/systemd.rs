//! What the service manager is told (sd_notify(3)); nothing where `NOTIFY_SOCKET` is not set.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use sd_notify::NotifyState;

/// Takes the sockets that the service manager has passed (sd_listen_fds(3)); none without socket
/// activation. To be called once.
///
/// # Errors
///
/// Returns an error when the variables that announce the sockets are malformed.
pub fn listen_sockets() -> io::Result<Vec<OwnedFd>> {
    let passed = sd_notify::listen_fds()?;
    // SAFETY: the service manager passed these descriptors to this process, and nothing else here uses
    // them.
    Ok(passed.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect())
}

/// The guard serves; also the end of a reload.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload that was asked for begins. With `Type=notify-reload` the manager waits for [`ready`].
pub fn reloading() {
    // Without the time the manager would take the end of an earlier reload for that of this one.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now, NotifyState::Status("Reloading")]);
    }
}

pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Finishing what runs")]);
}

pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Say that the runtime is alive, twice in the time that the manager gives (`WatchdogSec`).
pub async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(limit / 2).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(err = %error, "Cannot notify the service manager");
    }
}
