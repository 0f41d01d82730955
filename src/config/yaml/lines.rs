//! The lines of nodes, all in one pass over the text.
//!
//! serde_yaml tells positions only with errors. So the pass walks the document as the tree was read,
//! counts nodes, and fails on purpose at each node that is wanted: at a scalar or a key the failure
//! consumes it and the walk goes on; at a collection, asking for an enum fails without consuming it.
//! An alias, however, is consumed even so. Each collection in a text that could hold aliases therefore
//! takes a pass of its own, which ends there; only the first [`MAX_PASSES`] are looked for.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::{self, Display};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::node::NodeId;
use super::parser;

/// The passes that one call may take in a text with aliases.
const MAX_PASSES: usize = 100;

/// A place in the text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// Finds the positions of the nodes in `wanted`.
pub fn find(text: &str, mut wanted: Vec<NodeId>) -> HashMap<NodeId, Position> {
    wanted.sort_unstable();
    wanted.dedup();
    let may_have_aliases = text.contains('&');
    let (alone, together): (Vec<NodeId>, Vec<NodeId>) =
        wanted.into_iter().partition(|id| id.index == 0 || id.is_container && may_have_aliases);
    let walk = Walk::new(together, None);
    if !walk.wanted.is_empty() {
        // It has been parsed before; where it breaks off, positions are missing and nothing else.
        let _ = walk.over(text);
    }
    let mut found = walk.found.into_inner();
    for id in alone.into_iter().take(MAX_PASSES) {
        found.extend(find_alone(text, id).map(|position| (id, position)));
    }
    found
}

/// Finds the position of a node in a pass that ends there.
pub(super) fn find_alone(text: &str, id: NodeId) -> Option<Position> {
    let error = Walk::new(Vec::new(), Some(id)).over(text).err()?;
    Some(position_of(&error))
}

/// Reads the position out of an error's message, which is the one way to it where the type of the
/// error is not known. A message about the very start of the text has none.
fn position_of(error: &impl Display) -> Position {
    let message = error.to_string();
    let numbers = message.rsplit_once(" at line ").and_then(|(_, end)| {
        let (line, column) = end.split_once(" column ")?;
        Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
    });
    numbers.unwrap_or(Position { line: 1, column: 1 })
}

struct Walk {
    /// The nodes to find, in the order of the text.
    wanted: Vec<NodeId>,
    /// The number of those that have been found.
    done: Cell<usize>,
    /// The node whose position ends the walk.
    last: Option<NodeId>,
    /// The number of the node that comes next.
    next: Cell<u32>,
    found: RefCell<HashMap<NodeId, Position>>,
}

impl Walk {
    fn new(wanted: Vec<NodeId>, last: Option<NodeId>) -> Self {
        let found = RefCell::new(HashMap::with_capacity(wanted.len()));
        Self { wanted, done: Cell::new(0), last, next: Cell::new(0), found }
    }

    fn over(&self, text: &str) -> Result<(), serde_yaml::Error> {
        match parser::first_document(text) {
            Some(document) => VisitNode(self).deserialize(document),
            None => Ok(()),
        }
    }

    /// Returns the node that comes next if it is wanted.
    fn wanted(&self) -> Option<NodeId> {
        let wanted = self.wanted.get(self.done.get()).copied();
        wanted.filter(|id| id.index == self.next.get())
    }

    fn record(&self, id: NodeId, error: &impl Display) {
        self.found.borrow_mut().insert(id, position_of(error));
        self.done.set(self.done.get() + 1);
    }

    fn count(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// Walks over the next item or value, which `access` gives to a seed; `None` after the last one.
    fn child<E: Error>(&self, access: &mut impl Access<E>) -> Result<Option<()>, E> {
        match self.wanted() {
            Some(id) if id.is_container => match access.fail(Fail::Peeking) {
                Err(error) => {
                    self.record(id, &error);
                    access.visit(VisitNode(self))
                }
                Ok(end) => Ok(end),
            },
            Some(id) => match access.fail(Fail::Consuming) {
                Err(error) => {
                    self.record(id, &error);
                    self.count();
                    Ok(Some(()))
                }
                Ok(end) => Ok(end),
            },
            None => access.visit(VisitNode(self)),
        }
    }
}

/// The next item of a list, or the value of the key before.
trait Access<E> {
    fn visit(&mut self, seed: VisitNode<'_>) -> Result<Option<()>, E>;
    fn fail(&mut self, seed: Fail) -> Result<Option<()>, E>;
}

struct Items<A>(A);

impl<'de, A: SeqAccess<'de>> Access<A::Error> for Items<A> {
    fn visit(&mut self, seed: VisitNode<'_>) -> Result<Option<()>, A::Error> {
        self.0.next_element_seed(seed)
    }

    fn fail(&mut self, seed: Fail) -> Result<Option<()>, A::Error> {
        self.0.next_element_seed(seed)
    }
}

struct Values<A>(A);

impl<'de, A: MapAccess<'de>> Access<A::Error> for Values<A> {
    fn visit(&mut self, seed: VisitNode<'_>) -> Result<Option<()>, A::Error> {
        self.0.next_value_seed(seed).map(Some)
    }

    fn fail(&mut self, seed: Fail) -> Result<Option<()>, A::Error> {
        self.0.next_value_seed(seed).map(Some)
    }
}

struct VisitNode<'w>(&'w Walk);

impl<'de> DeserializeSeed<'de> for VisitNode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let index = self.0.count();
        if self.0.last.is_some_and(|last| last.index == index) {
            return deserializer.deserialize_any(FailVisitor);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VisitNode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was there before")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }

    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        let mut items = Items(items);
        while self.0.child(&mut items)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut values = Values(map);
        loop {
            match self.0.wanted() {
                Some(id) => match values.0.next_key_seed(Fail::Consuming) {
                    Err(error) => self.0.record(id, &error),
                    Ok(_) => return Ok(()),
                },
                None if values.0.next_key::<IgnoredAny>()?.is_none() => return Ok(()),
                None => {}
            }
            self.0.count();
            self.0.child(&mut values)?;
        }
    }
}

/// Fails where it is asked for a value.
#[derive(Clone, Copy)]
enum Fail {
    /// Consumes a scalar.
    Consuming,
    /// Leaves a collection where it is.
    Peeking,
}

impl<'de> DeserializeSeed<'de> for Fail {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Self::Consuming => deserializer.deserialize_any(FailVisitor),
            Self::Peeking => deserializer.deserialize_enum("", &[], FailVisitor),
        }
    }
}

struct FailVisitor;

/// The message is never shown.
fn here<T, E: Error>() -> Result<T, E> {
    Err(E::custom("here"))
}

impl<'de> Visitor<'de> for FailVisitor {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        here()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        here()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        here()
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        here()
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        here()
    }
}
