//! Networks that mean no good: nobody gets in, nobody gets stuck, nothing grows.

mod canonical;
mod churn;
mod connections;
mod frames;
mod guessing;
mod handshakes;
mod http2_conformance;
mod http2_floods;
mod response_splitting;
mod sandbox;
mod secrets;
mod slow;
mod smuggling;
mod smuggling_rows;
