//! Integration tests: the program as its users meet it, with the real programs around it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access_log;
mod architecture;
mod basic_auth;
mod child;
mod cli;
mod conf;
mod corpus;
mod data_path;
mod fuzz_seeds;
mod gateway;
mod hostile;
mod image;
mod kubernetes;
mod metrics;
mod package;
mod pingora_seams;
mod prometheus;
mod prometheus_rules;
mod reload;
mod sidecar;
mod signals;
mod status_page;
mod support;
mod systemd;
mod telemetry;
mod tls;
mod upgrade;
