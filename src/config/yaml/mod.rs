//! YAML as go yaml.v2 reads it: a text becomes a tree of nodes, and findings about nodes get their
//! lines. Knows nothing of what the nodes mean.

mod document;
mod findings;
mod lines;
mod nesting;
mod node;
mod parser;
mod scalars;
mod spelling;
mod tree;

pub use document::Document;
pub use findings::{Finding, Findings, Severity};
pub use node::{Node, NodeContent, NodeId};
pub use scalars::{boolean, integer};

/// The levels of lists and mappings that a document may have; a web configuration has eight.
pub const MAX_DEPTH: usize = 64;

/// The nodes that a document may have, aliases expanded; 10,000 targets take 40,000.
pub const MAX_NODES: u32 = 1_000_000;
