//! The service manager: its sockets (sd_listen_fds(3)), and notifications to it (sd_notify(3)),
//! which are sent only where `NOTIFY_SOCKET` is set.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use sd_notify::NotifyState;

/// Takes the sockets that the service manager has passed (sd_listen_fds(3)); none without socket
/// activation. Must be called once only.
///
/// # Errors
///
/// Returns an error when the variables that announce the sockets are malformed.
pub fn listen_sockets() -> io::Result<Vec<OwnedFd>> {
    let passed = sd_notify::listen_fds()?;
    // SAFETY: the service manager passed these descriptors to this process, and nothing else in it
    // uses them.
    Ok(passed.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect())
}

/// Notifies the service manager that the guard serves, or that a reload has ended.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Notifies the service manager that a requested reload begins. With `Type=notify-reload` it waits
/// for [`ready`].
pub fn reloading() {
    // Without the time, the manager would take the end of an earlier reload for the end of this
    // one.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now, NotifyState::Status("Reloading")]);
    }
}

/// Notifies the service manager that the guard shuts down.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("Finishing running requests")]);
}

/// Sets the status text that the service manager shows.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// Notifies the service manager that the runtime is alive, twice per `WatchdogSec`; returns at once
/// without one.
pub async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(limit / 2).await;
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(err = %error, "Failed to notify the service manager");
    }
}
