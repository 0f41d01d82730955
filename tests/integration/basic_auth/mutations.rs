//! A million damaged `Authorization` headers against a reference model: the guard's verdict is the
//! model's, and none gets in that does not hold a user's password.

use std::collections::HashSet;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use exporter_guard::auth::{
    self, Credentials, Origin, Permit, Policy, Presented, Refusal, Tokens, Users, Verifier,
};
use exporter_guard::config;
use exporter_guard::config::ClientNetwork;
use exporter_guard::config::routes::AccessRules;

use crate::fuzz_seeds::reference;
use crate::support::guard::hash;
use crate::support::*;

const SEED: u64 = 0x5eed_a11c;
const MUTATIONS: usize = 1_000_000;
/// So many distinct wrong passwords of known users, and so many of unknown ones, go through bcrypt,
/// at a millisecond each; those of the other mutations are compared with the model as read.
const WRONG_CHECKED: usize = 3_000;

/// One that never has to wait.
const LOCAL: Origin = Origin { source: ClientNetwork::Local, max_failures: u32::MAX };

/// Longer than the 72 bytes that bcrypt reads.
const LONG: &str =
    "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF0123456789abcdef";

/// Users, passwords and the costs of their hashes.
const USERS: [(&str, &str, u32); 8] = [
    ("alice", "wonderland", 4),
    ("bob", "builder", 5),
    ("nobody", "", 4),
    ("", "secret", 4),
    ("colon", "a:b::c", 4),
    ("caf\u{e9} \u{2615}", "p\u{e4}ssw\u{f6}rd \u{1f511}", 4),
    ("long", LONG, 4),
    ("alicf", "x", 4),
];

#[test]
fn a_million_mutations_get_the_verdict_of_the_model() {
    let outcome = Trial::new().run(SEED, WRONG_CHECKED);
    println!("{outcome:?}");
    // The mutations are of every kind.
    assert!(outcome.admitted > MUTATIONS / 100, "{outcome:?}");
    assert!(outcome.malformed > MUTATIONS / 10, "{outcome:?}");
    assert!(outcome.wrong > MUTATIONS / 10, "{outcome:?}");
}

#[test]
#[ignore = "minutes: every distinct password goes through bcrypt"]
fn a_million_mutations_all_through_bcrypt() {
    println!("{:?}", Trial::new().run(SEED, usize::MAX));
}

/// How many mutations ended how, which is the same for the guard and the model.
#[derive(Debug, Default)]
struct Outcome {
    /// With a right password.
    admitted: usize,
    absent: usize,
    malformed: usize,
    wrong: usize,
    /// Wrong passwords that went through bcrypt.
    checked: usize,
}

struct Trial {
    users: Users,
    verifier: Verifier,
}

impl Trial {
    fn new() -> Self {
        let hashes = USERS.map(|(user, password, cost)| (user, hash(password, cost)));
        let text = users(&hashes.each_ref().map(|(user, hash)| (*user, hash.as_str())));
        let reading = config::parse(Path::new("web.yml"), text.into_bytes());
        let users = Users::new(&reading.config.expect("a configuration").users, None);
        Self { users, verifier: Verifier::default() }
    }

    /// Panics at the first verdict that is not the model's.
    fn run(&self, seed: u64, wrong_checked: usize) -> Outcome {
        println!("seed {seed:#x}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut random = Random(seed);
            let mut outcome = Outcome::default();
            let mut seen = HashSet::new();
            let (mut known, mut unknown) = (0, 0);
            for _ in 0..MUTATIONS {
                let headers = mutated(&mut random);
                let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
                for header in &headers {
                    assert_eq!(read(header), reference::parse(header), "{}", shown(&headers));
                }
                let verdict = model(&headers);
                match verdict {
                    Ok(()) => outcome.admitted += 1,
                    Err(Refusal::NoCredentials) => outcome.absent += 1,
                    Err(Refusal::Malformed) => outcome.malformed += 1,
                    Err(_) => {
                        outcome.wrong += 1;
                        let pair = reference::parse(headers[0]).expect("was read");
                        let is_known = USERS.iter().any(|user| user.0.as_bytes() == pair.0);
                        let checked = if is_known { &mut known } else { &mut unknown };
                        if *checked >= wrong_checked || !seen.insert(pair) {
                            continue;
                        }
                        *checked += 1;
                        outcome.checked += 1;
                    }
                }
                let decided = authorize(&self.users, &self.verifier, &headers).await;
                assert_eq!(decided.map(|_permit| ()), verdict, "{}", shown(&headers));
            }
            outcome
        })
    }
}

/// Decides as a sidecar with users and without access rules does.
async fn authorize(
    users: &Users,
    verifier: &Verifier,
    authorization: &[&[u8]],
) -> Result<Permit, Refusal> {
    let presented = Presented { authorization, address: None, names: None };
    let known = (users, &Tokens::default());
    let caller = auth::authenticate(known, verifier, LOCAL, &presented).await?;
    Policy::new(&AccessRules::Toolkit, true).authorize(&caller)
}

fn read(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let credentials = Credentials::parse(header)?;
    Some((credentials.user().to_vec(), credentials.password().to_vec()))
}

/// Exactly one header, a known user, and the password as bcrypt sees it.
fn model(headers: &[&[u8]]) -> Result<(), Refusal> {
    let header = match headers {
        [] => return Err(Refusal::NoCredentials),
        [header] => header,
        _ => return Err(Refusal::Malformed),
    };
    let (user, password) = reference::parse(header).ok_or(Refusal::Malformed)?;
    let is_right = USERS.iter().any(|(name, right, _)| {
        name.as_bytes() == user && reference::same_password(right.as_bytes(), &password)
    });
    if is_right { Ok(()) } else { Err(Refusal::WrongCredentials) }
}

fn shown(headers: &[&[u8]]) -> String {
    headers.iter().map(|header| format!("[{}]", header.escape_ascii())).collect()
}

/// The header values of one request: a user's own, damaged before or after it was encoded.
fn mutated(random: &mut Random) -> Vec<Vec<u8>> {
    let mut pair = pair(random);
    let times = random.below(3);
    for _ in 0..times {
        damage(&mut pair, random);
    }
    let engine = [&STANDARD, &STANDARD, &STANDARD, &STANDARD, &STANDARD_NO_PAD, &URL_SAFE];
    let mut header = b"Basic ".to_vec();
    header.extend_from_slice(random.pick(&engine).encode(&pair).as_bytes());
    let least = usize::from(times == 0);
    for _ in 0..least + random.below(3) {
        match random.below(8) {
            0 => change_scheme(&mut header, random),
            1 => change_padding(&mut header, random),
            2 => insert_space(&mut header, random),
            3 => splice(&mut header, random),
            _ => damage(&mut header, random),
        }
    }
    match random.below(64) {
        0 => Vec::new(),
        1 => vec![header.clone(), header],
        2 => vec![header, valid(random)],
        3 => vec![valid(random), header],
        _ => vec![header],
    }
}

fn pair(random: &mut Random) -> Vec<u8> {
    let (user, password, _) = random.pick(&USERS);
    format!("{user}:{password}").into_bytes()
}

fn valid(random: &mut Random) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(pair(random))).into_bytes()
}

/// Change a few bytes of anything.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = bytes.len().min(at + 1 + random.below(4));
    match random.below(8) {
        0 => bytes.insert(at, random.byte()),
        1 => bytes.insert(at, *random.pick(b":=\0 \t,;-_+/aA\r\n\x7f\xff")),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        kind => {
            let Some(byte) = bytes.get_mut(at) else { return };
            match kind {
                5 => *byte ^= 1 << random.below(8),
                6 => *byte = random.byte(),
                _ => *byte ^= u8::from(byte.is_ascii_alphabetic()) << 5,
            }
        }
    }
}

fn change_scheme(header: &mut Vec<u8>, random: &mut Random) {
    const SCHEMES: [&str; 12] = [
        "basic ",
        "BASIC ",
        "bAsIc ",
        "Basic",
        "Basic  ",
        "Basic\t",
        "Bearer ",
        "Digest ",
        "Basi\u{107} ",
        "Basic=",
        "",
        " Basic ",
    ];
    let end = header.len().min(6);
    header.splice(..end, random.pick(&SCHEMES).bytes());
}

fn change_padding(header: &mut Vec<u8>, random: &mut Random) {
    while header.last() == Some(&b'=') {
        header.pop();
    }
    header.extend(std::iter::repeat_n(b'=', random.below(4)));
}

fn insert_space(header: &mut Vec<u8>, random: &mut Random) {
    let places = [0, 5, 6, header.len(), random.below(header.len() + 1)];
    let at = (*random.pick(&places)).min(header.len());
    header.insert(at, *random.pick(b" \t\r\n\x0b"));
}

/// The start of this header and the end of another.
fn splice(header: &mut Vec<u8>, random: &mut Random) {
    let other = valid(random);
    header.truncate(random.below(header.len() + 1));
    header.extend_from_slice(random.pick(&["", ", ", ",", " "]).as_bytes());
    header.extend_from_slice(&other[random.below(other.len())..]);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
