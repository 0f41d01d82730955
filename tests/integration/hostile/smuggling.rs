//! Request smuggling: one connection, two readings. Whatever the bytes, the exporter gets the
//! requests that were authorized and no others, in a form that has one reading.

use std::collections::BTreeSet;

use super::canonical::{self, Canonical};
use super::smuggling_rows::{
    Expected, INNER_LOGIN, Message, NUMBER, OUTER_LOGIN, Row, Who, outer, rows, smuggled,
};
use crate::support::exporter::Request;
use crate::support::*;

/// A client that has always been there is looked at after this many rows.
const BYSTANDER_EVERY: usize = 25;

/// A row as it is sent, with a number that makes its targets its own.
pub struct Sent<'a> {
    pub row: &'a Row,
    /// Who of the two has credentials.
    pub authorized: Who,
    pub number: usize,
}

impl Sent<'_> {
    pub fn render(&self, template: &str) -> String {
        let login = format!("Authorization: {}", basic(SCRAPER.0, SCRAPER.1));
        let (outer, inner) = match self.authorized {
            Who::Outer => (login.as_str(), INNER_LOGIN),
            Who::Inner => ("X-Outer: nobody", login.as_str()),
        };
        // A length in the template counts the inner request.
        assert_eq!(inner.len(), INNER_LOGIN.len());
        let numbered = template.replace(NUMBER, &format!("{:04}", self.number));
        numbered.replace(INNER_LOGIN, inner).replace(OUTER_LOGIN, outer)
    }

    /// Every answer but 100 Continue, up to the end of the connection.
    fn exchange(&self, guard: &Guard) -> Result<Vec<u16>, String> {
        let mut client = guard.connect();
        client.send(self.render(&self.row.template));
        client.finish_sending();
        let mut statuses = Vec::new();
        loop {
            // The refusal of one that is malformed has a body all the same.
            let is_head = statuses.is_empty()
                && self.row.template.starts_with("HEAD ")
                && matches!(self.row.expected, Expected::Answered(_));
            let answer = if is_head { client.try_head() } else { client.try_response() };
            match answer {
                Ok(answer) if answer.status == 100 => {}
                Ok(answer) => statuses.push(answer.status),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(format!("after {statuses:?}: {error}")),
            }
        }
        let rest = client.rest();
        if !rest.is_empty() {
            return Err(format!("{statuses:?}, then {:?}", String::from_utf8_lossy(&rest)));
        }
        Ok(statuses)
    }

    fn check(&self, statuses: &[u16], reached: &[Request]) -> Result<(), String> {
        let seen = reached
            .iter()
            .map(|request| canonical::read(&request.raw))
            .collect::<Result<Vec<_>, _>>()?;
        let is_refusal = |status: &u16| (400..500).contains(status);
        let unexpected = |what: &str| Err(format!("{statuses:?} instead of {what}"));
        let expected = match &self.row.expected {
            Expected::BadRequest if statuses != [400] => return unexpected("400"),
            Expected::Refused if !statuses.iter().all(is_refusal) => return unexpected("a 4xx"),
            Expected::BadRequest | Expected::Refused => Vec::new(),
            Expected::OuterRefused => match statuses.split_first() {
                None => Vec::new(),
                Some((first, rest)) if is_refusal(first) => {
                    self.answered(rest, &[smuggled()], 0)?
                }
                Some(_) => return unexpected("a 4xx first"),
            },
            Expected::Taken => return self.taken(&seen),
            Expected::Answered(messages) => {
                // The guard may close after a request with a body.
                let framed = messages.iter().position(|message| message.framed);
                let least = framed.map_or(messages.len(), |at| at + 1);
                self.answered(statuses, messages, least)?
            }
        };
        if seen == expected { Ok(()) } else { Err(format!("{expected:#?}, but {seen:#?}")) }
    }

    /// What must have reached the exporter for these answers, of which there are at least so many.
    fn answered(
        &self,
        statuses: &[u16],
        messages: &[Message],
        least: usize,
    ) -> Result<Vec<Canonical>, String> {
        let expected: Vec<u16> = messages
            .iter()
            .map(|message| if self.authorized == message.who { 200 } else { 401 })
            .collect();
        if statuses.len() < least || !expected.starts_with(statuses) {
            return Err(format!("{statuses:?} instead of {expected:?}"));
        }
        let answered = messages.iter().take(statuses.len());
        let authorized = answered.filter(|message| self.authorized == message.who);
        let canonical = |message: &Message| Canonical {
            target: self.render(&message.target),
            body: self.render(&message.body).into_bytes(),
        };
        Ok(authorized.map(canonical).collect())
    }

    /// Each of the two requests at most once, and only when it is authorized.
    fn taken(&self, seen: &[Canonical]) -> Result<(), String> {
        let mut allowed = vec![outer(""), smuggled()];
        for request in seen {
            let at = allowed.iter().position(|message| {
                self.authorized == message.who && self.render(&message.target) == request.target
            });
            allowed.remove(at.ok_or_else(|| format!("{request:#?} was forwarded"))?);
        }
        Ok(())
    }
}

#[test]
fn the_exporter_sees_exactly_the_authorized_requests() {
    let exporter = Exporter::scripted(|request, out| {
        let body = if request.method == "HEAD" { "" } else { request.target.as_str() };
        out.write_all(&ok("", body))?;
        Ok(Next::KeepAlive)
    });
    let config = format!("{}proxy:\n  limits:\n    header_timeout: 1s\n", scraper());
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    let mut bystander = guard.connect();
    let mut wrong = Vec::new();
    for (index, row) in rows().iter().enumerate() {
        for (variation, authorized) in [Who::Outer, Who::Inner].into_iter().enumerate() {
            let number = 2 * index + variation;
            let sent = Sent { row, authorized, number };
            let before = exporter.requests().len();
            let outcome = sent
                .exchange(&guard)
                .and_then(|statuses| sent.check(&statuses, &exporter.requests().split_off(before)));
            if let Err(error) = outcome {
                let Row { family, template, .. } = row;
                wrong.push(format!("{family} {number} {authorized:?}: {template:?}: {error}"));
            }
        }
        if index % BYSTANDER_EVERY == 0 {
            assert_eq!(bystander.get_as(SCRAPER, "/bystander").text(), "/bystander", "{row:?}");
        }
    }
    drop(guard);
    eventually("the exporter's connections end", || exporter.is_idle());
    for fragment in exporter.fragments() {
        if !is_beginning_of_an_authorized_request(&fragment) {
            wrong.push(format!("the exporter got {:?}", String::from_utf8_lossy(&fragment)));
        }
    }
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n"));
}

/// A body that turns out to be malformed has begun to pass already; it never ends.
fn is_beginning_of_an_authorized_request(fragment: &[u8]) -> bool {
    let text = String::from_utf8_lossy(fragment).to_ascii_lowercase();
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.starts_with("post /outer-") && !head.contains("authorization:")
}

/// The rows are as many as they are meant to be, and none stands twice.
#[test]
fn there_are_three_hundred_distinct_rows() {
    let rows = rows();
    let mut templates = BTreeSet::new();
    let twice: Vec<&Row> = rows.iter().filter(|row| !templates.insert(&row.template)).collect();
    assert!(twice.is_empty(), "{twice:#?}");
    assert!(templates.len() >= 300, "{}", templates.len());
}
