//! Attacks from the network: no request passes without credentials, no client is delayed, and
//! memory, threads and descriptors do not grow.

mod canonical;
mod churn;
mod connections;
mod fairness;
mod frames;
mod guessing;
mod handshakes;
mod http2_conformance;
mod http2_floods;
mod log_pipe;
mod memory;
mod response_splitting;
mod sandbox;
#[cfg(target_arch = "x86_64")]
mod seccomp;
mod secrets;
mod slow;
mod smuggling;
mod smuggling_http2;
mod smuggling_rows;
