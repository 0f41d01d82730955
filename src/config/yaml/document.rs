//! A text with the tree of its first document.

use std::collections::HashMap;

use super::lines::{self, Position};
use super::nesting::{self, is_break};
use super::node::{Node, NodeContent, NodeId};
use super::scalars::is_yaml11_boolean;
use super::{parser, spelling, tree};

/// A mark at the beginning of a file, which says nothing in UTF-8 (YAML 1.1 section 5.2).
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text that a tree was read from; serde_yaml is the only parser.
pub struct Document {
    text: String,
    /// The lines of the text.
    line_count: usize,
}

/// A text that is no YAML, or nothing that a configuration can be.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// The line, from 1, if the parser tells.
    pub line: Option<usize>,
    message: String,
}

impl Document {
    /// Parses the first document of `text`, as go yaml.v2 does.
    ///
    /// # Errors
    ///
    /// Returns what the parser says, or that the text nests too deeply or expands to too many nodes.
    pub fn parse(mut text: String) -> Result<(Self, Node), SyntaxError> {
        if text.starts_with(BYTE_ORDER_MARK) {
            // The parser takes it for a column, so that the next line would begin left of the first.
            text.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        if let Some(line) = nesting::find_too_deep(&text) {
            return Err(SyntaxError { line: Some(line), message: tree::too_deep() });
        }
        let document = Self { line_count: line_count(&text), text };
        let mut root = document.read_tree().map_err(|error| document.syntax_error(&error))?;
        if let Some(error) = parser::trailing_text(&document.text) {
            return Err(document.syntax_error(&error));
        }
        if let Some(yaml) = parser::first_document(&document.text) {
            spelling::restore(&mut root, yaml);
        }
        document.mark_plain_words(&mut root);
        tree::merge(&mut root);
        Ok((document, root))
    }

    fn syntax_error(&self, error: &serde_yaml::Error) -> SyntaxError {
        SyntaxError {
            line: error.location().map(|at| self.clamp(at.line())),
            message: without_location(error),
        }
    }

    fn read_tree(&self) -> Result<Node, serde_yaml::Error> {
        match parser::first_document(&self.text) {
            Some(yaml) => tree::read(yaml),
            None => Ok(Node {
                id: NodeId { index: 0, is_container: false },
                content: NodeContent::Null,
            }),
        }
    }

    /// Returns the line of a place; what is missing at the end is missed after the last line.
    fn clamp(&self, line: usize) -> usize {
        line.min(self.line_count)
    }

    /// Returns whether the last line has an end, as a file that is whole has it.
    pub fn ends_in_newline(&self) -> bool {
        self.text.ends_with('\n')
    }

    /// Finds the lines of nodes, from 1. The cost hardly depends on their number, unless the text
    /// has anchors.
    pub fn lines(&self, nodes: Vec<NodeId>) -> HashMap<NodeId, usize> {
        let found = lines::find(&self.text, nodes);
        found.into_iter().map(|(id, at)| (id, self.clamp(at.line))).collect()
    }

    /// Marks the words that are booleans in YAML 1.1 and written without quotes. serde_yaml takes
    /// them for strings, and only their places tell.
    fn mark_plain_words(&self, root: &mut Node) {
        let mut words = Vec::new();
        find_words(root, &mut |id, _| words.push(id));
        if words.is_empty() {
            return;
        }
        let positions = has_words_as_strings(&self.text).then(|| lines::find(&self.text, words));
        let lines: Vec<&str> = split_lines(&self.text).collect();
        let is_plain = |id| match &positions {
            None => true,
            Some(positions) => positions.get(&id).is_some_and(|at| is_plain_at(&lines, *at)),
        };
        find_words(root, &mut |id, plain| *plain = is_plain(id));
    }
}

/// Calls `each` with every scalar that is a boolean in YAML 1.1 alone.
fn find_words(node: &mut Node, each: &mut impl FnMut(NodeId, &mut bool)) {
    match &mut node.content {
        NodeContent::Scalar { text, plain } if !*plain && is_yaml11_boolean(text) => {
            each(node.id, plain);
        }
        NodeContent::Null | NodeContent::Scalar { .. } => {}
        NodeContent::Sequence(items) => items.iter_mut().for_each(|item| find_words(item, each)),
        NodeContent::Mapping(members) => {
            members.iter_mut().for_each(|member| find_words(&mut member.value, each));
        }
    }
}

/// Returns whether such a word may stand somewhere in quotes, in a block or behind a tag.
fn has_words_as_strings(text: &str) -> bool {
    let is_quoted_word = |quote| text.split(quote).any(is_yaml11_boolean);
    ["|-", ">-", "|+", ">+", "!"].iter().any(|mark| text.contains(mark))
        || is_quoted_word('"')
        || is_quoted_word('\'')
}

fn is_plain_at(lines: &[&str], at: Position) -> bool {
    let line = lines.get(at.line - 1).copied().unwrap_or_default();
    let mut rest = line.chars().skip(at.column - 1).peekable();
    if rest.peek() == Some(&'&') {
        // The value comes after its anchor.
        rest.by_ref().find(|c| c.is_whitespace());
    }
    let first = rest.find(|c| !c.is_whitespace());
    !matches!(first, Some('"' | '\'' | '|' | '>' | '!'))
}

fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    // An empty line between a carriage return and its line feed is none.
    let mut after_return = false;
    text.split_inclusive(is_break).filter(move |line| {
        let is_half = after_return && *line == "\n";
        after_return = line.ends_with('\r');
        !is_half
    })
}

fn line_count(text: &str) -> usize {
    split_lines(text).count() + usize::from(text.ends_with(is_break) || text.is_empty())
}

/// Returns serde_yaml's message without the place, which a finding says in its own way, and without
/// the keys on the way there, which may be secrets.
fn without_location(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        return tree::too_deep();
    }
    let own = [tree::too_deep(), tree::too_many(), tree::TAGGED.to_owned()];
    if let Some(own) = own.into_iter().find(|own| text.contains(own)) {
        return own;
    }
    match text.find(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
