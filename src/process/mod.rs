//! What the process asks for and gives up before it serves.

pub mod descriptors;
pub mod dumps;
pub mod limits;
pub mod sandbox;
pub mod threads;
