//! As a service: what systemd is told, the sockets it passes, the units.

mod activation;
mod notify;
mod units;
