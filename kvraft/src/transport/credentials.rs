//! `Credentials` are what a node proves itself by, as they are now: files may change under it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::secret::{self, Authority};
use super::tls::{Material, TlsConfigs, Trust};
use crate::config::{Security, SecurityFiles};
use crate::environment::Clock;
use crate::error::{Error, Result};

/// Files are looked at again at most this often, when a connection is made.
const RECHECK: Duration = Duration::from_secs(1);

/// The TLS settings of this moment. Cheap to clone.
#[derive(Clone)]
pub(super) struct Credentials(Arc<Shared>);

struct Shared {
    files: Option<SecurityFiles>,
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
}

struct Current {
    configs: TlsConfigs,
    seen: Vec<Option<Stamp>>,
    checked: Instant,
}

/// What changes when a file is replaced or written.
type Stamp = (SystemTime, u64);

impl Credentials {
    pub(super) fn load(security: &Security, clock: Arc<dyn Clock>) -> Result<Self> {
        let (files, seen) = match security {
            Security::Files(files) => (Some(files.clone()), files.stamps()),
            Security::Secrets(_) | Security::Insecure => (None, Vec::new()),
        };
        let configs = security.material()?.configs()?;
        let current = Mutex::new(Current { configs, seen, checked: clock.now() });
        Ok(Self(Arc::new(Shared { files, clock, current })))
    }

    /// Returns the settings last read.
    pub(super) fn known(&self) -> TlsConfigs {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner).configs.clone()
    }

    /// Returns the settings for a new connection, after a look at the files if it is time.
    pub(super) async fn current(&self) -> Result<TlsConfigs> {
        let due = {
            let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.0.clock.now();
            let due = self.0.files.is_some() && now.duration_since(current.checked) >= RECHECK;
            if due {
                current.checked = now;
            }
            due
        };
        if due {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.reload()).await.map_err(|error| {
                Error::closed("the node stopped while reading certificates").with_source(error)
            })?;
        }
        Ok(self.known())
    }
}

impl Shared {
    /// Takes changed files over. Files that cannot be used (one of them may be half written)
    /// leave the former ones in force, and are tried again.
    fn reload(&self) {
        let Some(files) = &self.files else { return };
        let stamps = files.stamps();
        {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.seen == stamps {
                return;
            }
        }
        match files.material().and_then(Material::configs) {
            Ok(configs) => {
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                current.configs = configs;
                current.seen = stamps;
                tracing::info!(cert = %files.cert.display(), "took changed certificates over");
            }
            Err(error) => {
                tracing::warn!(%error, "changed certificates cannot be used, the former ones stay");
            }
        }
    }
}

impl Security {
    fn material(&self) -> Result<Material> {
        match self {
            Self::Secrets(secrets) => {
                let authorities: Vec<_> = secrets
                    .iter()
                    .map(|secret| Authority::derive(secret))
                    .collect::<Result<_>>()?;
                let Some(first) = authorities.first() else {
                    return Err(Error::invalid(
                        "cluster_secret is empty: make one with `kvraft-server gen-secret`",
                    ));
                };
                let leaf = first.issue()?;
                let roots = roots(authorities.iter().map(Authority::certificate))?;
                Ok(Material {
                    chain: vec![leaf.certificate],
                    key: leaf.key,
                    trust: Trust::Roots(roots),
                })
            }
            Self::Files(files) => files.material(),
            Self::Insecure => {
                let leaf = secret::self_signed()?;
                Ok(Material { chain: vec![leaf.certificate], key: leaf.key, trust: Trust::Anyone })
            }
        }
    }

    /// Derives the key by which the node disowns the connections of its former start.
    pub(super) fn reset_key(&self, node_id: u64) -> Result<ring::hmac::Key> {
        match self {
            Self::Secrets(secrets) => {
                secret::reset_key(secrets.first().map_or(&[], Vec::as_slice), node_id)
            }
            Self::Files(files) => secret::reset_key(&read(&files.key)?, node_id),
            Self::Insecure => secret::reset_key(&[], node_id),
        }
    }
}

impl SecurityFiles {
    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        [&self.ca, &self.cert, &self.key].into_iter().map(stamp).collect()
    }

    fn material(&self) -> Result<Material> {
        let roots = roots(certificates(&self.ca)?.into_iter())
            .map_err(|error| error.context(self.ca.display()))?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| {
            Error::invalid(format!(
                "{} holds no private key in PEM (PKCS#8 or SEC1)",
                self.key.display()
            ))
            .with_source(error)
        })?;
        Ok(Material { chain: certificates(&self.cert)?, key, trust: Trust::Roots(roots) })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::invalid(format!("cannot read {}", path.display())).with_source(error)
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let none = || Error::invalid(format!("{} holds no certificate in PEM", path.display()));
    let certificates = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| none().with_source(error))?;
    if certificates.is_empty() { Err(none()) } else { Ok(certificates) }
}

fn roots(certificates: impl Iterator<Item = CertificateDer<'static>>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| {
            Error::invalid("a CA certificate cannot be used").with_source(error)
        })?;
    }
    Ok(roots)
}
