//! Response splitting: a compromised exporter answers more than it was asked. No client gets an
//! answer to another request, and none has to guess where its own ends.

use crate::support::*;

/// What is to be taken for the answer to another request.
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned";
const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

fn answer(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}{POISON}")
}

/// RFC 9112 section 6.3: how a response is framed that is framed twice, or wrongly, or not at all.
fn answers() -> Vec<String> {
    let lengths = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: five\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "X: y\rContent-Length: 5\r\n",
        "X: y\r\n\r\n",
    ];
    let codings = [
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n",
    ];
    let statuses = ["204 No Content", "304 Not Modified", "101 Switching Protocols"];
    let with_length = lengths.iter().map(|fields| answer(fields, "hello"));
    let with_coding = codings.iter().map(|fields| answer(fields, CHUNKS));
    let without_body = statuses.iter().flat_map(|status| {
        ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"]
            .map(|fields| format!("HTTP/1.1 {status}\r\n{fields}\r\n{POISON}"))
    });
    with_length.chain(with_coding).chain(without_body).collect()
}

/// Every parser finds the same end, and no protocol is switched to.
fn is_clear(head: &Response) -> bool {
    let lengths = head.values("content-length");
    let codings = head.values("transfer-encoding");
    let framing = match (&lengths[..], &codings[..]) {
        ([], [] | ["chunked"]) => true,
        ([length], []) => length.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    framing && head.status >= 200 && (head.status != 204 || lengths.len() + codings.len() == 0)
}

#[test]
fn a_second_answer_of_the_exporter_reaches_no_client() {
    let answers = answers();
    let scripted = answers.clone();
    let exporter = Exporter::scripted(move |request, out| {
        let number = request.target.strip_prefix("/asked-").and_then(|n| n.parse::<usize>().ok());
        match number {
            Some(number) => out.write_all(scripted[number].as_bytes())?,
            None => out.write_all(&ok("", "clean"))?,
        }
        Ok(Next::KeepAlive)
    });
    let config = "proxy:\n  limits:\n    response_timeout: 1s\n";
    let guard = GuardBuilder::new().config(open(config)).upstream(&exporter).start();
    let mut bystander = guard.connect();
    let mut wrong = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        for method in ["GET", "HEAD"] {
            let mut client = guard.connect();
            client.send(format!("{method} /asked-{number} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            let head = client.head_or_close();
            if !head.as_ref().is_none_or(is_clear) {
                wrong.push(format!("{method} {answer:?}: {head:?}"));
            }
            for other in [&mut bystander, &mut guard.connect()] {
                let next = other.get("/next").text();
                if next != "clean" {
                    wrong.push(format!("{method} {answer:?}: the next got {next:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
