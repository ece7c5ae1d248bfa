//! `Tokens` are those who may use the HTTP interface, as a file lists them by their hashes.
//!
//! A token is 256 random bits, so its plain SHA-256 is enough: what makes the hash of a password
//! slow protects words that people choose, which can be guessed from a list. Nobody goes through
//! 2^256 numbers, however fast each of them is tried.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use crate::reloaded::Content;
use crate::secret;

/// What every token begins with, so that one that was published by mistake can be found.
const PREFIX: &str = "kvraft_";
/// What precedes a hash, so that there can be another kind one day.
const HASH: &str = "sha256:";
/// Longest name: it is part of each idempotency key, which has 255 bytes together with it.
pub(crate) const MAX_NAME: usize = 64;

/// What somebody may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Read and watch the map, and see the state of the cluster.
    Read,
    /// Change the map.
    Write,
    /// Change the membership, and take backups.
    Admin,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| anyhow!("the role {text:?} is not read, write or admin"))
    }
}

/// Who sends a request: the name in the line of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// The lines of a token file.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Vec<([u8; 32], Principal)>);

impl Tokens {
    /// Reads a token file: lines of `name role sha256:…`, empty ones, and comments after `#`.
    pub(crate) fn read(files: &[Content]) -> Result<Self> {
        let mut tokens = Self::default();
        for file in files {
            let text = str::from_utf8(file.bytes()?)
                .with_context(|| format!("{} is not text", file.path.display()))?;
            for (at, line) in text.lines().enumerate() {
                let line = line.split('#').next().unwrap_or_default().trim();
                if !line.is_empty() {
                    let place = || format!("{}, line {}", file.path.display(), at + 1);
                    tokens.add(line).with_context(place)?;
                }
            }
        }
        Ok(tokens)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [name, role, hash] = words.as_slice() else {
            // The line itself is not shown: it may hold a token by mistake.
            bail!("a line is: name role {HASH}…, as `kvraft-server token new` prints it");
        };
        check_name(name)?;
        let hash = hash_of_text(hash)?;
        let principal = Principal { name: (*name).to_owned(), role: role.parse()? };
        ensure!(self.0.iter().all(|(known, _)| *known != hash), "this hash is there twice");
        self.0.push((hash, principal));
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds whose token this is. It takes as long whether or not one of them fits, and however
    /// well: all are compared, each to its end.
    pub(crate) fn find(&self, token: &str) -> Option<&Principal> {
        let hash = digest(&SHA256, token.as_bytes());
        let mut found = None;
        for (known, principal) in &self.0 {
            if bool::from(known.as_slice().ct_eq(hash.as_ref())) {
                found = Some(principal);
            }
        }
        found
    }
}

/// A new token, and its line for the file.
pub(crate) struct NewToken {
    pub(crate) token: String,
    pub(crate) line: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("line", &self.line).finish_non_exhaustive()
    }
}

/// Makes a token for `role`, under `name` or one made up.
pub(crate) fn generate(role: Role, name: Option<&str>) -> Result<NewToken> {
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret::random()?));
    let hash = digest(&SHA256, token.as_bytes());
    let mut digits = String::new();
    for byte in hash.as_ref() {
        write!(digits, "{byte:02x}")?;
    }
    let made_up = format!("token-{}", digits.get(..8).unwrap_or_default());
    let name = name.unwrap_or(&made_up);
    check_name(name)?;
    Ok(NewToken { line: format!("{name} {} {HASH}{digits}", role.name()), token })
}

fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    ensure!(
        (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits),
        "the name of a token has 1 to {MAX_NAME} letters, digits, dots, dashes, underscores or @"
    );
    Ok(())
}

fn hash_of_text(text: &str) -> Result<[u8; 32]> {
    let wrong = || anyhow!("a hash is {HASH} and 64 hexadecimal digits, and never the token");
    let digits = text.strip_prefix(HASH).filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair = str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'));
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tokens> {
        Tokens::read(&[Content::of("tokens", text.as_bytes())])
    }

    #[test]
    fn a_new_token_is_found_under_its_name_and_no_other_is() {
        let one = generate(Role::Write, Some("ci")).unwrap();
        let other = generate(Role::Admin, None).unwrap();
        let text = format!("# who may\n\n{}  # the builds\n{}\n", one.line, other.line);
        let tokens = read(&text).unwrap();
        let wanted = Principal { name: "ci".to_owned(), role: Role::Write };
        assert_eq!(tokens.find(&one.token), Some(&wanted));
        assert_eq!(tokens.find(&other.token).unwrap().role, Role::Admin);
        assert_eq!(tokens.find(&one.token[1..]), None);
        assert_eq!(tokens.find(""), None);
        assert_eq!(one.token.len(), PREFIX.len() + 43);
    }

    #[test]
    fn a_line_that_is_wrong_is_named_and_not_shown() {
        let good = generate(Role::Read, Some("a")).unwrap();
        let cases = [
            (good.token.clone(), "name role"),
            (format!("a read {}", good.token), "64 hexadecimal"),
            (good.line.replace("read", "root"), "root"),
            (good.line.replacen("a ", "a/b ", 1), "the name of a token"),
            (format!("{}\n{}", good.line, good.line), "twice"),
            (format!("a read {HASH}{}", "+1".repeat(32)), "64 hexadecimal"),
        ];
        for (text, said) in cases {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(said) && error.contains("tokens, line"), "{error}");
            assert!(!error.contains(&good.token), "{error}");
        }
        assert!(!format!("{good:?}").contains(&good.token));
    }

    #[test]
    fn roles_grow() {
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
        for role in Role::ALL {
            assert_eq!(role.name().parse::<Role>().unwrap(), role);
        }
    }
}
