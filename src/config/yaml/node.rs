//! The tree of a YAML document.

/// Tells one node of a document, or one key of a mapping, from all others.
///
/// Nodes are numbered in the order of the text, so that one more pass over the text finds the lines
/// of any number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The number in the order of the text, from 0 for the root.
    pub(super) index: u32,
    /// True if it is a sequence or a mapping.
    pub(super) is_container: bool,
}

impl NodeId {
    /// The root of a document, as a mapping.
    pub const ROOT: Self = Self { index: 0, is_container: true };
}

/// One value of a document.
#[derive(Debug)]
pub struct Node {
    /// The node's number, by which its line is found.
    pub id: NodeId,
    /// The value itself.
    pub content: NodeContent,
}

/// The value of a node.
#[derive(Debug)]
pub enum NodeContent {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A string, a number or a boolean.
    Scalar {
        /// The text as written, without quotes.
        text: String,
        /// True if it is written without quotes and could be something other than a string.
        plain: bool,
    },
    /// The items of a list.
    Sequence(Vec<Node>),
    /// The members of a mapping in the order of the text; a key may stand there twice.
    Mapping(Vec<Member>),
}

/// A key of a mapping, and its value.
#[derive(Debug)]
pub struct Member {
    /// The key as written.
    pub key: String,
    /// The number of the key, by which its line is found.
    pub key_id: NodeId,
    /// The value of the key.
    pub value: Node,
}

impl Node {
    /// Returns whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.content, NodeContent::Null)
    }

    /// Returns whether it is `{}`.
    pub fn is_empty_mapping(&self) -> bool {
        matches!(&self.content, NodeContent::Mapping(members) if members.is_empty())
    }

    /// Describes the value for a message: its type and never its text, which may be a secret in the
    /// wrong place.
    pub fn describe(&self) -> &'static str {
        match self.content {
            NodeContent::Null => "nothing",
            NodeContent::Scalar { plain: true, .. } => "another plain value",
            NodeContent::Scalar { .. } => "a string",
            NodeContent::Sequence(_) => "a list",
            NodeContent::Mapping(_) => "a mapping",
        }
    }
}
