//! YAML as it looks: a block in a string literal, indented with the code around it.

/// The block without the indentation that its lines share: it begins at the first column and ends
/// with a line end. The line ends after the opening quote and before the closing one do not count.
pub fn yaml(block: &str) -> String {
    let block = block.strip_prefix('\n').unwrap_or(block).trim_end();
    let is_blank = |line: &&str| line.trim().is_empty();
    let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let shared = block.lines().filter(|line| !is_blank(line)).map(indentation).min();
    let lines = block.lines().map(|line| line.get(shared.unwrap_or(0)..).unwrap_or_default());
    lines.map(|line| format!("{line}\n")).collect()
}

/// The block as [`yaml`] has it, this many columns further in: to follow the beginning of a section.
pub fn indented(columns: usize, block: &str) -> String {
    let indentation = " ".repeat(columns);
    yaml(block).lines().map(|line| format!("{indentation}{line}\n")).collect()
}

#[test]
fn a_block_loses_the_indentation_that_its_lines_share() {
    let block = yaml(
        "
        a:
          b: c

        d: e
        ",
    );
    assert_eq!(block, "a:\n  b: c\n\nd: e\n");
    assert_eq!(yaml("a: b"), "a: b\n");
    assert_eq!(yaml(""), "");
    assert_eq!(indented(2, &block), "  a:\n    b: c\n  \n  d: e\n");
}
