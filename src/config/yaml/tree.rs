//! The events of serde_yaml to a tree of numbered nodes, of bounded depth and size.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::node::{Member, Node, NodeContent, NodeId};
use super::{MAX_DEPTH, MAX_NODES};

/// Reads one document. Scalars that serde_yaml converted have no text yet.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
    let count = Cell::new(0);
    TreeSeed { count: &count, depth: 0 }.deserialize(deserializer)
}

/// The message about `!tag`.
pub const TAGGED: &str = "tags are not allowed here";

/// Returns the message about lists in lists without end.
pub fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels")
}

/// Returns the message about aliases that multiply.
pub fn too_many() -> String {
    format!("more than {MAX_NODES} values, those of aliases counted")
}

#[derive(Clone, Copy)]
struct TreeSeed<'c> {
    /// The nodes so far.
    count: &'c Cell<u32>,
    /// The collections around this node.
    depth: usize,
}

impl TreeSeed<'_> {
    fn number<E: Error>(self) -> Result<u32, E> {
        let index = self.count.get();
        if index >= MAX_NODES {
            return Err(E::custom(too_many()));
        }
        self.count.set(index + 1);
        Ok(index)
    }

    fn below<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(too_deep()));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let index = self.number()?;
        let content = deserializer.deserialize_any(self)?;
        let is_container = matches!(content, NodeContent::Sequence(_) | NodeContent::Mapping(_));
        Ok(Node { id: NodeId { index, is_container }, content })
    }
}

/// A scalar whose spelling serde_yaml does not tell.
fn converted() -> NodeContent {
    NodeContent::Scalar { text: String::new(), plain: true }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = NodeContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a sequence or a scalar")
    }

    fn visit_unit<E>(self) -> Result<NodeContent, E> {
        Ok(NodeContent::Null)
    }

    /// An empty file, or one of comments alone, has no document at all.
    fn visit_none<E>(self) -> Result<NodeContent, E> {
        Ok(NodeContent::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<NodeContent, E> {
        Ok(NodeContent::Scalar { text: text.to_owned(), plain: false })
    }

    fn visit_bool<E>(self, _: bool) -> Result<NodeContent, E> {
        Ok(converted())
    }

    fn visit_i64<E>(self, _: i64) -> Result<NodeContent, E> {
        Ok(converted())
    }

    fn visit_u64<E>(self, _: u64) -> Result<NodeContent, E> {
        Ok(converted())
    }

    fn visit_i128<E>(self, _: i128) -> Result<NodeContent, E> {
        Ok(converted())
    }

    fn visit_u128<E>(self, _: u128) -> Result<NodeContent, E> {
        Ok(converted())
    }

    fn visit_f64<E>(self, _: f64) -> Result<NodeContent, E> {
        Ok(converted())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeContent, A::Error> {
        let below = self.below()?;
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(below)? {
            nodes.push(node);
        }
        Ok(NodeContent::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeContent, A::Error> {
        let below = self.below()?;
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let key_id = NodeId { index: self.number()?, is_container: false };
            members.push(Member { key, key_id, value: map.next_value_seed(below)? });
        }
        Ok(NodeContent::Mapping(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<NodeContent, A::Error> {
        Err(A::Error::custom(TAGGED))
    }
}

/// Resolves `<<` everywhere: it takes over the members of another mapping that are not given beside
/// it (yaml.org/type/merge).
pub fn merge(node: &mut Node) {
    match &mut node.content {
        NodeContent::Null | NodeContent::Scalar { .. } => {}
        NodeContent::Sequence(items) => items.iter_mut().for_each(merge),
        NodeContent::Mapping(members) => {
            members.iter_mut().for_each(|member| merge(&mut member.value));
            merge_members(members);
        }
    }
}

fn merge_members(members: &mut Vec<Member>) {
    let Some(index) = members.iter().position(|member| member.key == "<<") else { return };
    let merged: Vec<Node> = match members.remove(index).value {
        Node { content: NodeContent::Sequence(items), .. } => items,
        node => vec![node],
    };
    let mut keys: HashSet<String> = members.iter().map(|member| member.key.clone()).collect();
    for node in merged {
        let NodeContent::Mapping(others) = node.content else { continue };
        members.extend(others.into_iter().filter(|member| keys.insert(member.key.clone())));
    }
}
