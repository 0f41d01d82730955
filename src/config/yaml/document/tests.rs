use std::path::Path;

use super::*;
use crate::config::yaml::node::Member;
use crate::config::yaml::parser::PASSES;
use crate::config::yaml::{MAX_DEPTH, MAX_NODES};

fn parse(text: &str) -> (Document, Node) {
    Document::parse(text.to_owned()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn fails(text: String) -> SyntaxError {
    Document::parse(text).map(drop).expect_err("no error")
}

fn members(node: &Node) -> &[Member] {
    let NodeContent::Mapping(members) = &node.content else { panic!("no mapping") };
    members
}

fn value<'n>(node: &'n Node, key: &str) -> &'n Node {
    &members(node).iter().find(|member| member.key == key).expect("key").value
}

fn items(node: &Node) -> &[Node] {
    let NodeContent::Sequence(items) = &node.content else { panic!("no list") };
    items
}

fn scalar(node: &Node) -> (&str, bool) {
    let NodeContent::Scalar { text, plain } = &node.content else { panic!("no scalar") };
    (text, *plain)
}

fn line(document: &Document, id: NodeId) -> Option<usize> {
    document.lines(vec![id]).get(&id).copied()
}

#[test]
fn scalars_keep_their_spelling_and_their_quotes() {
    let text = "a: 1.50\nb: yes\nc: \"yes\"\nd: 'on'\ne: 0x1F\nf: True\ng: \"True\"\n";
    let (_, root) = parse(text);
    let found = |key| scalar(value(&root, key));
    assert_eq!(found("a"), ("1.50", true));
    assert_eq!(found("b"), ("yes", true));
    assert_eq!(found("c"), ("yes", false));
    assert_eq!(found("d"), ("on", false));
    assert_eq!(found("e"), ("0x1F", true));
    assert_eq!(found("f"), ("True", true));
    assert_eq!(found("g"), ("True", false));
}

#[test]
fn words_are_plain_where_none_is_a_string() {
    for (text, key, plain) in [
        ("a: yes\nb: 'it''s'\nc: \"no, thanks\"\n", "a", true),
        ("a: yes\nb: 'on'\n", "a", true),
        ("a: yes\nb: 'on'\n", "b", false),
        ("a: 'on'\r\nb: 'é'\r\nc: [é, yes]\r\nd: yes\r\n", "d", true),
        ("a: &x yes\nb: 'no'\n", "a", true),
        ("a: &x 'yes'\n", "a", false),
        ("a: |-\n  yes\n", "a", false),
        ("a: \"yes\"\n", "a", false),
    ] {
        assert_eq!(scalar(value(&parse(text).1, key)).1, plain, "{text}");
    }
}

#[test]
fn nodes_know_their_lines() {
    let text = "# comment\na:\n  b: 1\n  c:\n    - x\n    - y\nd: {e: f}\ng:\n- h: i\n";
    for text in [text.to_owned(), format!("{text}# &\n"), text.replace('\n', "\r\n")] {
        let (document, root) = parse(&text);
        let c = value(value(&root, "a"), "c");
        let wanted = [
            (root.id, 2),
            (members(&root)[0].key_id, 2),
            (value(&root, "a").id, 3),
            (value(value(&root, "a"), "b").id, 3),
            (c.id, 5),
            (items(c)[1].id, 6),
            (value(&root, "d").id, 7),
            (value(value(&root, "d"), "e").id, 7),
            (members(&root)[1].key_id, 7),
            (items(value(&root, "g"))[0].id, 9),
            (value(&items(value(&root, "g"))[0], "h").id, 9),
        ];
        let found = document.lines(wanted.map(|(id, _)| id).to_vec());
        for (id, expected) in wanted {
            assert_eq!(found.get(&id), Some(&expected), "{id:?}");
            assert_eq!(line(&document, id), Some(expected), "{id:?}");
        }
    }
}

/// A pass for each node would make reading quadratic.
#[test]
fn lines_of_many_nodes_take_one_pass() {
    let text = "a: {b: [c]}\nw: yes\n".to_owned();
    let text = (0..1_000).fold(text, |text, n| text + &format!("k{n}: {{x: 'no', y: [{n}]}}\n"));
    let before = PASSES.get();
    let (document, root) = parse(&text);
    assert_eq!(PASSES.get() - before, 3, "the tree, the spelling, and the places of words");
    let ids: Vec<NodeId> = members(&root).iter().map(|member| member.value.id).collect();
    let lines = document.lines(ids.clone());
    assert_eq!(PASSES.get() - before, 4);
    assert_eq!(lines.len(), ids.len());
    assert_eq!(lines[ids.last().expect("a node")], 1_002);
}

#[test]
fn nodes_behind_aliases_are_where_their_anchors_are() {
    let text = "a: &x {b: [1]}\nc: *x\nd:\n- *x\n- e: f\n  g: [h]\n";
    let (document, root) = parse(text);
    let last = &items(value(&root, "d"))[1];
    for (id, expected) in [
        (value(&root, "c").id, 1),
        (value(value(&root, "c"), "b").id, 1),
        (items(value(value(&root, "c"), "b"))[0].id, 1),
        (items(value(&root, "d"))[0].id, 1),
        (last.id, 5),
        (value(last, "g").id, 6),
        (items(value(last, "g"))[0].id, 6),
    ] {
        assert_eq!(line(&document, id), Some(expected), "{id:?}");
    }
}

#[test]
fn an_empty_text_is_nothing_and_later_documents_do_not_count() {
    for text in ["", "# only a comment\n", "---\n", "\u{feff}"] {
        assert!(parse(text).1.is_null(), "{text:?}");
    }
    assert_eq!(scalar(value(&parse("a: 1\n---\nb: [\n").1, "a")).0, "1");
}

#[test]
fn merge_keys_take_over_what_is_not_given() {
    let (_, root) = parse("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}\n");
    let y = value(&root, "y");
    assert_eq!(scalar(value(y, "a")).0, "1");
    assert_eq!(scalar(value(y, "b")).0, "3");
    assert_eq!(scalar(value(value(&root, "z"), "c")).0, "4");
}

#[test]
fn a_syntax_error_has_its_line() {
    let error = fails("a: 1\nb: [1, 2\nc: 3\n".to_owned());
    assert!(error.line.is_some(), "{error}");
    assert!(!error.to_string().contains("line"), "{error}");
}

#[test]
fn depth_is_bounded_with_a_message() {
    let flow = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let block = |depth: usize| "- ".repeat(depth - 1) + "[]\n";
    for nested in [flow, block] {
        parse(&nested(MAX_DEPTH));
        for depth in [MAX_DEPTH + 1, 200, 200_000] {
            let error = fails(nested(depth));
            assert_eq!(error.to_string(), "nested deeper than 64 levels");
            assert_eq!(error.line, Some(1));
        }
    }
    let error = fails(format!("# a\nb:\n  - {}", "[".repeat(200_000)));
    assert_eq!(error.line, Some(3));
}

/// A billion laughs: ten levels of ten aliases each.
#[test]
fn aliases_cannot_multiply_without_bound() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{list}]\n");
    }
    let message = fails(text).to_string();
    assert!(message.contains("repetition limit") || message.contains("values"), "{message}");
    // serde_yaml counts the aliases, and not what each stands for.
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(10_000), "*a, ".repeat(1_000));
    assert!(fails(wide).to_string().contains(&format!("more than {MAX_NODES} values")));
}

/// Collects the values of a tree, each of which has a pass of its own to compare with.
fn ids(node: &Node, found: &mut Vec<NodeId>) {
    found.push(node.id);
    match &node.content {
        NodeContent::Null | NodeContent::Scalar { .. } => {}
        NodeContent::Sequence(items) => items.iter().for_each(|item| ids(item, found)),
        NodeContent::Mapping(members) => {
            members.iter().for_each(|member| ids(&member.value, found));
        }
    }
}

/// One pass for all nodes finds what a pass for each of them finds.
#[test]
fn the_lines_of_real_files_are_those_of_their_nodes() {
    let mut files = 0;
    for directory in ["conf", "conf/kubernetes", "fuzz/seeds/web_config", "fuzz/seeds/file_sd"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let Ok(text) = std::fs::read_to_string(entry.expect("an entry").path()) else {
                continue;
            };
            let Ok((document, root)) = Document::parse(text.clone()) else { continue };
            let mut all = Vec::new();
            ids(&root, &mut all);
            let lines = document.lines(all.clone());
            for id in all {
                let alone = lines::find_alone(&text, id).map(|at| document.clamp(at.line));
                assert_eq!(lines.get(&id).copied(), alone, "{id:?} of\n{text}");
            }
            files += 1;
        }
    }
    assert!(files > 10, "{files}");
}
