//! Request smuggling over HTTP/2, which the exporter gets as HTTP/1.1: what HTTP/1 refuses is refused,
//! and what is forwarded has one reading. The rows of HTTP/1 are sent as HTTP/2 requests where they
//! have a form in it, and rows of HTTP/2's own beside them.

mod message;
mod parity;
mod rows;
mod targets;
mod translated;

use std::collections::{BTreeMap, BTreeSet};

use super::canonical::{self, Canonical};
use super::frames::code;
use super::smuggling::Sent;
use super::smuggling_rows::{self, Expected, Who};
use crate::support::exporter::Request;
use crate::support::*;
use message::{Message, Outcome};
use rows::{Row, Verdict};
use translated::{HTTP1_ALONE, Spelling, Unsaid};

/// What a client asks for that has always been there, between the rows.
const BYSTANDER: &str = "/bystander";

/// Sends a row, and compares what the client and the exporter see with the verdict.
struct Run<'a> {
    row: &'a Row,
    /// Whose the credentials are: the request's own, or those of the one in its body.
    authorized: Who,
    number: usize,
}

impl Run<'_> {
    fn render(&self, text: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(text) else {
            return text.to_vec();
        };
        // The rows of HTTP/1 write the inner request's credentials.
        let row = smuggling_rows::Row {
            family: self.row.family,
            template: String::new(),
            expected: Expected::Refused,
        };
        let sent = Sent { row: &row, authorized: self.authorized, number: self.number };
        sent.render(text).into_bytes()
    }

    fn exchange(&self, guard: &Guard) -> Outcome {
        let render = |text: &[u8]| self.render(text);
        self.row.message.exchange(guard.port(), &render, self.authorized == Who::Outer)
    }

    /// Compares, without the requests that an earlier row may have brought late.
    fn check(
        &self,
        outcome: Outcome,
        reached: &[Request],
        late: &mut Vec<Canonical>,
    ) -> Result<(), String> {
        let mut seen = reached
            .iter()
            .map(|request| canonical::read(&request.raw))
            .collect::<Result<Vec<_>, _>>()?;
        let canonical = |target: &str, body: &str| Canonical {
            target: String::from_utf8_lossy(&self.render(target.as_bytes())).into_owned(),
            body: self.render(body.as_bytes()),
        };
        let is_authorized = self.authorized == Who::Outer;
        let (is_due, expected) = match &self.row.verdict {
            Verdict::Refused => (is_refusal(outcome), Vec::new()),
            Verdict::Forwarded(target, body) if is_authorized => {
                (outcome == Outcome::Answered(200), vec![canonical(target, body)])
            }
            Verdict::Forwarded(..) => (outcome == Outcome::Answered(401), Vec::new()),
            Verdict::Late(target, body) => {
                late.extend(is_authorized.then(|| canonical(target, body)));
                (true, Vec::new())
            }
        };
        late.retain(|request| match seen.iter().position(|seen| seen == request) {
            Some(at) => {
                seen.remove(at);
                false
            }
            None => true,
        });
        match (is_due, seen == expected) {
            (true, true) => Ok(()),
            (true, false) => {
                Err(format!("{outcome:?}: {} instead of {}", requests(&seen), requests(&expected)))
            }
            (false, _) => Err(format!("{outcome:?} instead of {:?}", self.row.verdict)),
        }
    }
}

/// A malformed request is one, whoever sends it: no 401. CONNECT is a 405, whatever else is wrong.
fn is_refusal(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Answered(400 | 405) | Outcome::Reset(code::PROTOCOL_ERROR))
        || outcome == Outcome::Closed
}

/// An exporter that answers anything, and a guard with TLS in front of it.
fn guarded_exporter() -> (Exporter, Guard) {
    let exporter = Exporter::scripted(|request, out| {
        let body = if request.method == "HEAD" { "" } else { request.target.as_str() };
        out.write_all(&ok("", body))?;
        Ok(Next::KeepAlive)
    });
    let guard = GuardBuilder::new().guarded(&ServerTls::new()).upstream(&exporter).start();
    (exporter, guard)
}

/// Sends every row with and without credentials, and fails with all that went wrong.
fn run(rows: &[Row]) {
    let (exporter, guard) = guarded_exporter();
    let mut bystander = Http2::connect(guard.port());
    let (mut wrong, mut late) = (Vec::new(), Vec::new());
    let mut seen = 0;
    for (index, row) in rows.iter().enumerate() {
        for (variation, authorized) in [Who::Outer, Who::Inner].into_iter().enumerate() {
            let run = Run { row, authorized, number: 2 * index + variation };
            let outcome = run.exchange(&guard);
            let mut reached = exporter.requests().split_off(seen);
            seen += reached.len();
            reached.retain(|request| request.target != BYSTANDER);
            if let Err(error) = run.check(outcome, &reached, &mut late) {
                let Row { family, message, .. } = row;
                wrong.push(format!("{family}, {authorized:?}: {}: {error}", shown(message)));
            }
        }
        if index % 25 == 0 {
            assert!(bystander.get_as(SCRAPER, BYSTANDER).ok, "{row:?}");
        }
    }
    drop(guard);
    eventually("the exporter's connections end", || exporter.is_idle());
    for fragment in exporter.fragments() {
        let text = String::from_utf8_lossy(&fragment).to_ascii_lowercase();
        if !text.starts_with("post /outer-") || text.contains("authorization:") {
            wrong.push(format!("the exporter got {text:?}"));
        }
    }
    let rest = exporter.requests().split_off(seen);
    for request in rest.iter().filter(|request| request.target != BYSTANDER) {
        let read = canonical::read(&request.raw);
        if !read.as_ref().is_ok_and(|read| late.contains(read)) {
            wrong.push(format!("{read:?} reached the exporter late"));
        }
    }
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n"));
}

fn requests(requests: &[Canonical]) -> String {
    let shown = |request: &Canonical| format!("{} {}", request.target, request.body.escape_ascii());
    format!("{:?}", requests.iter().map(shown).collect::<Vec<_>>())
}

fn shown(message: &Message) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let field = |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}: {}", text(name), text(value));
    let fields: Vec<String> = message.fields.iter().chain(&message.trailers).map(field).collect();
    format!("[{}] {}", fields.join(" | "), text(message.body().as_bytes()))
}

/// Every row of HTTP/1 that HTTP/2 can say, in two spellings of the host.
fn rows_of_http1() -> (Vec<Row>, BTreeMap<Unsaid, usize>) {
    let mut unsaid = BTreeMap::new();
    let mut said = BTreeSet::new();
    let mut rows = Vec::new();
    for row in smuggling_rows::rows() {
        if HTTP1_ALONE.iter().any(|(family, _)| *family == row.family) {
            continue;
        }
        for spelling in [Spelling::Authority, Spelling::Host] {
            match translated::translate(&row, spelling) {
                Ok(message) if said.insert(message.clone()) => {
                    let verdict = translated::verdict(&row, &message);
                    rows.push(Row { family: row.family, message, verdict });
                }
                Ok(_) => {}
                Err(reason) => *unsaid.entry(reason).or_default() += 1,
            }
        }
    }
    (rows, unsaid)
}

#[test]
fn what_http1_refuses_is_refused_over_http2() {
    run(&rows_of_http1().0);
}

#[test]
fn malformed_http2_requests_are_refused_and_others_forwarded_in_one_form() {
    run(&rows::rows());
}

/// The rows are as many as they are meant to be, none stands twice, and those that HTTP/2 cannot say
/// are accounted for.
#[test]
fn the_rows_of_both_versions_are_accounted_for() {
    let (rows, unsaid) = rows_of_http1();
    eprintln!(
        "COUNT {} {} {unsaid:?} {}",
        rows.len(),
        rows::rows().len(),
        smuggling_rows::rows().len()
    );
    let mut by = BTreeMap::new();
    for r in rows::rows() {
        *by.entry(r.family).or_insert(0) += 1;
    }
    assert!(rows.len() >= 1_200, "{}", rows.len());
    assert_eq!(
        unsaid.keys().collect::<Vec<_>>(),
        [&Unsaid::RequestLine, &Unsaid::FieldWithoutColon]
    );
    assert!(unsaid.values().sum::<usize>() <= 100, "{unsaid:?}");
    for (family, reason) in HTTP1_ALONE {
        let has_rows = smuggling_rows::rows().iter().any(|row| row.family == *family);
        assert!(has_rows, "{family} ({reason}) has no rows");
    }
    let own = rows::rows();
    let mut messages = BTreeSet::new();
    let twice: Vec<String> = own
        .iter()
        .filter(|row| !messages.insert(&row.message))
        .map(|row| shown(&row.message))
        .collect();
    assert!(twice.is_empty(), "{}", twice.join("\n"));
    assert!(own.len() >= 500, "{}", own.len());
}

/// RFC 9113 section 8.2.3, and RFC 6265 section 5.4 for HTTP/1.
#[test]
fn the_exporter_gets_one_cookie_field() {
    let (exporter, guard) = guarded_exporter();
    let login = basic(SCRAPER.0, SCRAPER.1);
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", ""), ("cookie", "b=2; c=3")];
    let fields = [&[("authorization", login.as_str())], &crumbs[..]].concat();
    assert!(Http2::connect(guard.port()).get("/", &fields).ok);
    let lines = "Cookie: a=1\r\nX: y\r\nCookie: b=2; c=3\r\n";
    let request = get("/", &format!("{}{lines}", authorization(SCRAPER)));
    assert_eq!(TlsClient::new().connect(guard.port()).request(request).status, 200);
    for request in exporter.requests() {
        assert_eq!(request.values("cookie"), ["a=1; b=2; c=3"]);
    }
    assert_eq!(exporter.requests().len(), 2);
}
