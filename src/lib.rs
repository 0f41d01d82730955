//! exporter-guard stands in front of a plaintext Prometheus exporter, terminates TLS, checks who
//! asks by the web configuration file that exporters already read, and forwards what is allowed.
//!
//! # The map
//!
//! Each module uses only modules below it in this list; a test (`tests/integration/architecture.rs`)
//! reads the source and fails if one uses a module above it. docs/architecture.md draws the path of a
//! request and of a configuration through them.
//!
//! - [`cli`]: the command line: flags, subcommands, and which of them runs.
//! - [`server`]: composes runtime, listeners, child and shutdown.
//! - [`handover`]: passes the listening sockets to a successor (`--upgrade`).
//! - [`child`]: runs the exporter as a child process.
//! - [`admin`]: answers at the telemetry address: metrics, health, reload, status page.
//! - [`proxy`]: implements pingora's hooks: authorization, fields, answers of the guard's own.
//! - [`connection`]: takes a client from accept through TLS to one request at a time.
//! - [`snapshot`]: builds the immutable whole of one configuration, watches its files and swaps it.
//! - [`routing`]: finds the route of a request, and checks what the route lets through.
//! - [`upstream`]: reaches the exporters: addresses, replicas, probes, timeouts.
//! - [`auth`]: decides who may pass, and hands out a [`auth::Permit`].
//! - [`tls`]: turns certificates and keys into TLS contexts, and judges client certificates.
//! - [`config`]: reads the web configuration into typed, checked values.
//! - [`observe`]: writes log lines and counts metrics.
//! - [`os`]: asks the operating system: limits, sandbox, signals, the service manager.
//!
//! # Glossary
//!
//! - Client: whoever connects.
//! - Client network: an IPv4 address or an IPv6 /64, the unit of limits.
//! - Caller: an authenticated client: a user, a token, a certificate name.
//! - Credential: what a caller shows: a password, a token, a client certificate.
//! - Permit: evidence that a request was authorized; no request reaches an exporter without one.
//! - Refusal: an answer that the guard gives instead of the exporter's.
//! - Route: a rule from a request to an upstream, with its policy.
//! - Default route: the route to `--upstream`, which every guard without `proxy.routes` has.
//! - Policy: who may do what on a route.
//! - Upstream: the address of an exporter.
//! - Endpoint: what is known of one upstream: connections, health, addresses.
//! - Replicas: the endpoints of a route, in the order of preference.
//! - Snapshot: the immutable whole of one configuration.
//! - Generation: the number of a snapshot, 1 at start.
//! - Downgrade: a reload that would remove a protection.
//! - Coalescing: one upstream request for identical requests.
//! - Verifier: the threads that run bcrypt.
//! - Login throttle: the wait after wrong credentials.
//! - Handover: passing the listening sockets to a successor.
//! - Shutdown, drain, grace period: as in Kubernetes: stop accepting, finish what runs, until a limit.
//! - Budget: a bound on bytes or requests that is shared out.

#![deny(missing_docs, unsafe_code)]

pub mod admin;
pub mod auth;
pub mod child;
pub mod cli;
pub mod config;
pub mod connection;
pub mod handover;
pub mod observe;
pub mod os;
pub mod proxy;
pub mod routing;
pub mod server;
pub mod snapshot;
pub mod tls;
pub mod upstream;

pub use cli::run;
