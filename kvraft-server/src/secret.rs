//! `gen-secret` prints a fresh cluster secret.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result, anyhow};
use ring::rand::{SecureRandom, SystemRandom};

/// 256 bits: nobody guesses them.
const SECRET_BYTES: usize = 32;

pub(crate) fn run() -> Result<()> {
    writeln!(std::io::stdout(), "{}", generate()?).context("cannot write the secret")
}

/// Takes 32 bytes from the system's random source.
pub(crate) fn random() -> Result<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow!("the system's random source failed"))?;
    Ok(bytes)
}

/// Makes 32 random bytes, as hexadecimal digits.
pub(crate) fn generate() -> Result<String> {
    let mut text = String::with_capacity(2 * SECRET_BYTES);
    for byte in random()? {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::generate;

    #[test]
    fn a_secret_has_64_hexadecimal_digits_that_differ_each_time() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 64);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }
}
