//! Clients, and exporters, that mean harm on the wire.

mod canonical;
mod response_splitting;
mod smuggling;
mod smuggling_rows;
