//! The depth to which a text nests `[` and `{`, found before it is parsed: libyaml's work for each
//! token grows with the depth, so that 200,000 of them would take seconds.
//!
//! The scanner knows as much of YAML's lexical rules as it takes to tell a bracket that opens a
//! collection from one in a comment, in quotes, in a block or in plain text.

use super::MAX_DEPTH;

/// Returns the line, from 1, at which the first document of `text` nests flow collections deeper than
/// [`MAX_DEPTH`].
pub fn find_too_deep(text: &str) -> Option<usize> {
    find_deeper_than(MAX_DEPTH, text)
}

fn find_deeper_than(limit: usize, text: &str) -> Option<usize> {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets <= limit {
        return None;
    }
    Scanner::new(text).find_deeper_than(limit)
}

/// Returns whether a line ends here, by section 4.2 of YAML 1.1.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

struct Scanner<'t> {
    rest: &'t str,
    /// The line, from 1.
    line: usize,
    /// The column in characters, from 0.
    column: usize,
    depth: usize,
    /// The column of the innermost block collection; `None` at the top.
    indent: Option<usize>,
    /// The column of the last scalar, which is a key if a colon follows.
    scalar: usize,
    has_content: bool,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (line, column, depth, scalar) = (1, 0, 0, 0);
        Self { rest, line, column, depth, indent: None, scalar, has_content: false }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if is_break(c) {
            // A carriage return and its line feed are one break.
            if !(c == '\r' && self.rest.starts_with('\n')) {
                self.line += 1;
            }
            self.column = 0;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn skip_while(&mut self, mut holds: impl FnMut(char) -> bool) {
        while self.peek().is_some_and(&mut holds) {
            self.next();
        }
    }

    fn find_deeper_than(mut self, limit: usize) -> Option<usize> {
        while let Some(c) = self.peek() {
            if self.is_document_marker() {
                if self.has_content || c == '.' {
                    return None;
                }
                self.skip_while(|c| c == '-');
            }
            self.token()?;
            if self.depth > limit {
                return Some(self.line);
            }
        }
        None
    }

    /// Skips one token, or blanks; `None` at the end of the text.
    fn token(&mut self) -> Option<()> {
        let c = self.peek()?;
        match c {
            _ if c.is_whitespace() || is_break(c) => self.next().map(drop),
            '%' if self.column == 0 && !self.has_content => self.comment(),
            '#' => self.comment(),
            _ => {
                self.has_content = true;
                self.content(c)
            }
        }
    }

    fn content(&mut self, c: char) -> Option<()> {
        let in_flow = self.depth > 0;
        let column = self.column;
        match c {
            '[' | '{' => self.depth += 1,
            ']' | '}' => self.depth = self.depth.saturating_sub(1),
            ',' => {}
            ':' if in_flow => {}
            ':' if self.is_blank_at(1) => self.indent = Some(self.scalar),
            '-' | '?' if self.is_blank_at(1) => {
                self.indent = if in_flow { self.indent } else { Some(column) };
            }
            '"' | '\'' => return self.quoted(c),
            '|' | '>' if !in_flow => return self.block(),
            '&' | '*' | '!' => return self.word(),
            _ => return self.plain(),
        }
        self.next().map(drop)
    }

    /// Returns whether a blank, a break or the end of the text follows after `offset` bytes.
    fn is_blank_at(&self, offset: usize) -> bool {
        let after = self.rest.get(offset..).and_then(|rest| rest.chars().next());
        after.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(c))
    }

    fn is_document_marker(&self) -> bool {
        let is_marker = self.rest.starts_with("---") || self.rest.starts_with("...");
        self.column == 0 && is_marker && self.is_blank_at(3)
    }

    fn comment(&mut self) -> Option<()> {
        self.skip_while(|c| !is_break(c));
        Some(())
    }

    /// Skips an anchor, an alias or a tag.
    fn word(&mut self) -> Option<()> {
        self.scalar = self.column;
        let in_flow = self.depth > 0;
        self.next()?;
        let ends = |c: char| c.is_whitespace() || is_break(c) || in_flow && ",[]{}".contains(c);
        self.skip_while(|c| !ends(c));
        Some(())
    }

    fn quoted(&mut self, quote: char) -> Option<()> {
        self.scalar = self.column;
        self.next()?;
        loop {
            match self.next()? {
                '\\' if quote == '"' => drop(self.next()?),
                c if c == quote && c == '\'' && self.peek() == Some(quote) => drop(self.next()?),
                c if c == quote => return Some(()),
                _ => {}
            }
        }
    }

    /// Skips a block scalar: every line that is empty or indented deeper than its collection.
    fn block(&mut self) -> Option<()> {
        let indent = self.indent.unwrap_or(0);
        self.comment();
        while self.peek().is_some() {
            self.skip_while(is_break);
            self.skip_while(|c| c == ' ');
            match self.peek() {
                Some(c) if is_break(c) => {}
                Some(_) if self.column > indent => drop(self.comment()),
                _ => break,
            }
        }
        Some(())
    }

    /// Skips plain text with the lines that continue it.
    fn plain(&mut self) -> Option<()> {
        self.scalar = self.column;
        loop {
            self.plain_line();
            if !self.peek().is_some_and(is_break) {
                return Some(());
            }
            self.skip_while(|c| c.is_whitespace() || is_break(c));
            let is_indented = self.indent.is_none_or(|indent| self.column > indent);
            let is_continued = self.depth == 0 && is_indented && !self.is_document_marker();
            if !is_continued || self.peek().is_none_or(|c| c == '#') {
                return Some(());
            }
        }
    }

    /// Skips plain text up to what ends it on its line.
    fn plain_line(&mut self) {
        let in_flow = self.depth > 0;
        while let Some(c) = self.peek() {
            let ends = match c {
                ':' => self.is_blank_at(1) || in_flow && self.rest[1..].starts_with(FLOW),
                ' ' | '\t' => self.rest[1..].starts_with('#'),
                _ => is_break(c) || in_flow && FLOW.contains(&c),
            };
            if ends {
                return;
            }
            self.next();
        }
    }
}

/// The characters that end plain text in a flow collection.
const FLOW: [char; 5] = [',', '[', ']', '{', '}'];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::{Document, Node, NodeContent};

    #[test]
    fn brackets_that_open_nothing_do_not_count() {
        let many = "[{".repeat(MAX_DEPTH);
        for text in [
            format!("# {many}\na: 1\n"),
            format!("a: 1 # {many}\n"),
            format!("a: \"{many}\\\"{many}\"\n"),
            format!("a: '{many}''{many}'\nb: [1]\n"),
            format!("a: b{many}\n"),
            format!("a: b\n  {many}\n"),
            format!("- a: b\n\n    {many}\n"),
            format!("a: |\n  {many}\n\n  {many}\nb: 1\n"),
            format!("a:\n- >-\n  {many}\n"),
            format!("'a': {{b: \"{many}\"}}\n"),
            format!("a: 1\n---\n{many}\n"),
            format!("a: 1\n...\n{many}\n"),
            format!("%YAML 1.1 {many}\n---\na: 1\n"),
            format!("a: [{}]\n", "[1], {b: 2}, ".repeat(MAX_DEPTH)),
            format!("a: {}\n", "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH)),
        ] {
            assert_eq!(find_too_deep(&text), None, "{text}");
        }
    }

    #[test]
    fn brackets_that_open_a_collection_count() {
        let many = "[".repeat(MAX_DEPTH + 1);
        for (text, line) in [
            (many.clone(), 1),
            (format!("a: 1\nb: {many}"), 2),
            (format!("a: b\nc:\n  {many}"), 3),
            (format!("a: b # c\n\r\n- {many}"), 3),
            (format!("---\na: |\n  x\nb: &x {many}"), 4),
            (format!("{{\"a\":{many}"), 1),
            (format!("- 'a'\n- \"b\"\n- {}", "[\n".repeat(MAX_DEPTH + 1)), MAX_DEPTH + 3),
            (format!("a: {}", "{b: ".repeat(MAX_DEPTH + 1)), 1),
        ] {
            assert_eq!(find_too_deep(&text), Some(line), "{text}");
        }
    }

    /// A generator of numbers that are always the same ones.
    struct Random(u64);

    impl Random {
        fn new() -> Self {
            Self(0x9E37_79B9_7F4A_7C15)
        }

        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % limit as u64).expect("a small number")
        }

        /// Puts tokens together that mean different things in different contexts.
        fn text(&mut self) -> String {
            const TOKENS: [&str; 24] = [
                "[", "[", "]", "{", "{", "}", ", ", ": ", ":", "a", "b", "\n", "\n  ", "\n- ",
                "- ", "'", "\"", "#", " ", "|\n ", "? ", "\n---\n", "c[d", "\\",
            ];
            let count = self.below(16);
            (0..count).map(|_| TOKENS[self.below(TOKENS.len())]).collect()
        }

        /// Writes a value of flow collections down to a depth.
        fn flow(&mut self, depth: usize) -> String {
            let scalars = ["a", "'[{'", "\"]}\\\"\"", "b # [[\n ", "'c''['", "-1", "d"];
            if depth == 0 {
                return scalars[self.below(scalars.len())].to_owned();
            }
            let mut values = Vec::new();
            for _ in 0..=self.below(3) {
                let below = self.below(depth);
                values.push(self.flow(below));
            }
            let keyed = |(key, value): (usize, &String)| format!("k{key}: {value}");
            match self.below(2) {
                0 => format!("[ {}]", values.join(", ")),
                _ => format!(
                    "{{{}}}",
                    values.iter().enumerate().map(keyed).collect::<Vec<_>>().join(",\n ")
                ),
            }
        }
    }

    fn depth(node: &Node) -> usize {
        match &node.content {
            NodeContent::Null | NodeContent::Scalar { .. } => 0,
            NodeContent::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            NodeContent::Mapping(members) => {
                1 + members.iter().map(|member| depth(&member.value)).max().unwrap_or(0)
            }
        }
    }

    /// No text that the parser takes to its end may be refused for a depth that it does not have.
    #[test]
    fn the_scanner_finds_no_more_than_the_parser() {
        let (mut random, mut deep) = (Random::new(), 0);
        for _ in 0..100_000 {
            let text = random.text();
            let is_whole = serde_yaml::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let Some((_, root)) = Document::parse(text.clone()).ok().filter(|_| is_whole) else {
                continue;
            };
            let depth = depth(&root);
            deep += usize::from(depth > 1);
            assert_eq!(find_deeper_than(depth, &text), None, "{text:?}");
        }
        assert!(deep > 100, "{deep} texts with collections in collections");
    }

    /// The scanner finds each flow collection of a text.
    #[test]
    fn the_scanner_finds_what_the_parser_finds() {
        let (mut random, mut deep) = (Random::new(), 0);
        for _ in 0..5_000 {
            let text = format!("x: {}\n", random.flow(5));
            let Ok((_, root)) = Document::parse(text.clone()) else { continue };
            let depth = depth(&root) - 1;
            assert_eq!(find_deeper_than(depth, &text), None, "{text}");
            if depth > 0 {
                deep += 1;
                assert!(find_deeper_than(depth - 1, &text).is_some(), "{text}");
            }
        }
        assert!(deep > 1_000, "{deep} texts with collections");
    }
}
