//! TLS of the HTTP interface, made of the files that the settings name.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::reloaded::Content;

/// What a client may choose from, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Makes TLS 1.3 of a certificate with its chain, its key, and, if clients have to show
/// certificates, the authority that has signed them.
pub(crate) fn server_config(files: &[Content]) -> Result<ServerConfig> {
    let (cert, key, client_ca) = match files {
        [cert, key] => (cert, key, None),
        [cert, key, client_ca] => (cert, key, Some(client_ca)),
        _ => bail!("TLS takes a certificate, its key, and perhaps the authority of clients"),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("TLS 1.3 is not there")?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                let wrong = || format!("{} cannot be trusted", file.path.display());
                roots.add(certificate).with_context(wrong)?;
            }
            let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(clients.build().context("http_client_ca")?)
        }
    };
    let private = PrivateKeyDer::from_pem_slice(key.bytes()?).map_err(|_| {
        anyhow!("{} holds no private key in PEM (PKCS#8 or SEC1)", key.path.display())
    })?;
    let mut config = builder
        .with_single_cert(certificates(cert)?, private)
        .with_context(|| format!("{} and its key do not fit", cert.path.display()))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn certificates(file: &Content) -> Result<Vec<CertificateDer<'static>>> {
    let none = || anyhow!("{} holds no certificate in PEM", file.path.display());
    let found = CertificateDer::pem_slice_iter(file.bytes()?).collect::<Result<Vec<_>, _>>();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_with_its_key_is_taken_and_what_is_wrong_is_named() {
        let (cert, key) = issued("a");
        let (_, other) = issued("b");
        let make = |cert: &str, key: &str, ca: Option<&str>| {
            let mut files =
                vec![Content::of("c.pem", cert.as_bytes()), Content::of("k.pem", key.as_bytes())];
            files.extend(ca.map(|ca| Content::of("ca.pem", ca.as_bytes())));
            server_config(&files).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(make(&cert, &key, None).unwrap().alpn_protocols, PROTOCOLS);
        assert!(make(&cert, &key, Some(&cert)).is_ok());
        for (wrong, said) in [
            (make("", &key, None), "c.pem holds no certificate"),
            (make(&cert, &cert, None), "k.pem holds no private key"),
            (make(&cert, &other, None), "c.pem and its key"),
            (make(&cert, &key, Some(&key)), "ca.pem holds no certificate"),
        ] {
            let error = wrong.unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
