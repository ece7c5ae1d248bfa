//! `SecuritySettings` says by what the nodes and clients of a cluster know each other.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Shortest cluster secret in bytes: 256 bits of entropy, if they are random.
pub(crate) const MIN_SECRET_BYTES: usize = 32;

/// Whether the traffic between nodes may go unprotected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Insecure {
    /// Nodes prove who they are and encrypt what they say.
    #[default]
    No,
    /// No protection, and so no address but a loopback one.
    Loopback,
    /// No protection on any address: everyone who reaches the port is a member.
    Anywhere,
}

impl FromStr for Insecure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "true" | "loopback" => Ok(Self::Loopback),
            "false" => Ok(Self::No),
            "anywhere" => Ok(Self::Anywhere),
            _ => Err(Error::invalid(format!("{text:?} is none of true, false, anywhere"))),
        }
    }
}

/// By what the nodes of a cluster know each other.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Security {
    /// Secrets that all nodes share: the first signs, all are trusted.
    Secrets(Vec<Vec<u8>>),
    /// PEM files, read again when they change.
    Files(SecurityFiles),
    /// Encrypted, but everybody is trusted.
    Insecure,
}

/// Where the certificates of [`Security::Files`] lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecurityFiles {
    /// Certificates of the authorities whose nodes are trusted.
    pub(crate) ca: PathBuf,
    /// The certificate of this node, then those between it and the authority.
    pub(crate) cert: PathBuf,
    /// The private key of this node: PKCS#8 or SEC1.
    pub(crate) key: PathBuf,
}

impl fmt::Debug for Security {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secrets(secrets) => write!(f, "{} cluster secrets", secrets.len()),
            Self::Files(files) => files.fmt(f),
            Self::Insecure => f.write_str("insecure"),
        }
    }
}

/// What a user said of security, before it is checked.
#[derive(Clone, Default)]
pub(super) struct SecuritySettings {
    pub(super) cluster_secrets: Vec<Vec<u8>>,
    pub(super) tls_ca: Option<PathBuf>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) insecure: Insecure,
}

impl SecuritySettings {
    /// Adds a secret; white space around it is not part of it.
    pub(super) fn add_secret(&mut self, secret: &[u8]) {
        self.cluster_secrets.push(secret.trim_ascii().to_vec());
    }

    /// Checks that there is exactly one kind of security, for `what`, which is `loopback` or not.
    pub(super) fn check(&self, what: &str, loopback: bool) -> Result<Security> {
        let files = [&self.tls_ca, &self.tls_cert, &self.tls_key];
        let given = usize::from(!self.cluster_secrets.is_empty())
            + usize::from(files.iter().any(|file| file.is_some()))
            + usize::from(self.insecure != Insecure::No);
        if given != 1 {
            let kinds = if given == 0 { "no security" } else { "more than one kind of security" };
            return Err(Error::invalid(format!(
                "{what} has {kinds}; set exactly one of cluster_secret, tls_ca with tls_cert and tls_key, or \
                 insecure"
            )));
        }
        if let [Some(ca), Some(cert), Some(key)] = files {
            return Ok(Security::Files(SecurityFiles {
                ca: ca.clone(),
                cert: cert.clone(),
                key: key.clone(),
            }));
        }
        if files.iter().any(|file| file.is_some()) {
            return Err(Error::invalid(
                "tls_ca, tls_cert and tls_key belong together; one of them is not set",
            ));
        }
        if self.insecure == Insecure::Loopback && !loopback {
            return Err(Error::invalid(format!(
                "insecure is for loopback addresses, and there is {what}; set cluster_secret, or insecure to \
                 anywhere if everyone who reaches this port may be a member"
            )));
        }
        if self.insecure != Insecure::No {
            return Ok(Security::Insecure);
        }
        if let Some(short) =
            self.cluster_secrets.iter().find(|secret| secret.len() < MIN_SECRET_BYTES)
        {
            return Err(Error::invalid(format!(
                "cluster_secret has {} bytes; take at least {MIN_SECRET_BYTES} random ones, as \
                 `kvraft-server gen-secret` makes",
                short.len()
            )));
        }
        Ok(Security::Secrets(self.cluster_secrets.clone()))
    }
}
