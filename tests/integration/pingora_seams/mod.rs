//! The seams between the guard and pingora: where the stock engine does something else than what
//! the guard promises, and the guard replaces or configures it. A new version of pingora has to
//! pass these tests before it is taken.
//!
//! Two more seams are tested with their subject: SIGTERM, after which stock pingora waits five
//! minutes, in `signals`, and a refusal that keeps its connection in `basic_auth::connections`.

mod deadlines;
mod idle_cost;
mod tickets;
mod upstream;
