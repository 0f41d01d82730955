//! Reads the log lines of Prometheus's programs.

use std::collections::HashMap;

/// The fields of one line; later ones win.
pub fn parse(line: &str) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    let mut rest = line.trim_start();
    while let Some((key, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => match value.split_once(' ') {
                Some((value, after)) => (value.to_owned(), after),
                None => (value.to_owned(), ""),
            },
        };
        fields.insert(key.to_owned(), value);
        rest = after.trim_start();
    }
    fields
}

/// One field; empty when it is not there.
pub fn field(line: &str, name: &str) -> String {
    parse(line).remove(name).unwrap_or_default()
}

fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            other => value.push(other),
        }
    }
    (value, "")
}

#[test]
fn quoted_and_plain_fields_are_read() {
    let line = r#"time=1 level=INFO msg="a \"b\" = c\n" listener=web empty="" n=2"#;
    let fields = parse(line);
    assert_eq!(fields["msg"], "a \"b\" = c\n");
    assert_eq!(fields["listener"], "web");
    assert_eq!(fields["empty"], "");
    assert_eq!(fields["n"], "2");
}
