//! One test, or more, for each row of the table "stock piece / observed / so" in design.md: pingora
//! is pinned, and these are the seams where a new version could fall back to what was observed.
//!
//! The row about SIGTERM is in `signals`, and the 401 that keeps its connection in
//! `basic_auth::connections`.

mod deadlines;
mod idle_cost;
mod tickets;
mod upstream;
