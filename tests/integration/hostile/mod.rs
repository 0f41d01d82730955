//! Clients that mean no good, or do not know better.

mod frames;
mod http2_conformance;
mod http2_floods;
