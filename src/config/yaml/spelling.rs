//! The spelling of scalars that serde_yaml converted: `1.50` where it says 1.5.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::node::{Node, NodeContent};

/// Gives each converted scalar of a tree its text, in one pass over the text that the tree was read
/// from.
pub fn restore<'de, D: Deserializer<'de>>(root: &mut Node, deserializer: D) {
    if has_converted(root) {
        // It has been parsed before, and goes the same way.
        let _ = Spell(root).deserialize(deserializer);
    }
}

fn has_converted(node: &Node) -> bool {
    match &node.content {
        NodeContent::Null => false,
        NodeContent::Scalar { plain, .. } => *plain,
        NodeContent::Sequence(items) => items.iter().any(has_converted),
        NodeContent::Mapping(members) => members.iter().any(|member| has_converted(&member.value)),
    }
}

/// Walks a tree along with its text, and asks for each converted scalar as text.
struct Spell<'n>(&'n mut Node);

impl<'de> DeserializeSeed<'de> for Spell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match &self.0.content {
            NodeContent::Scalar { plain: true, .. } => deserializer.deserialize_str(self),
            NodeContent::Null | NodeContent::Scalar { .. } => {
                deserializer.deserialize_ignored_any(IgnoredAny).map(drop)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Spell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was there before")
    }

    fn visit_str<E>(self, spelling: &str) -> Result<(), E> {
        self.0.content = NodeContent::Scalar { text: spelling.to_owned(), plain: true };
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let NodeContent::Sequence(nodes) = &mut self.0.content else { return Ok(()) };
        for node in nodes {
            items.next_element_seed(Spell(node))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let NodeContent::Mapping(members) = &mut self.0.content else { return Ok(()) };
        for member in members {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Spell(&mut member.value))?;
        }
        Ok(())
    }
}
