//! `Material` is a certificate with its key and its trust, turned into TLS settings for QUIC.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme, version,
};

use super::quic;
use crate::error::{Error, Result};

/// Names the protocol inside TLS, so that another QUIC application is refused at once.
const ALPN: &[u8] = b"kvraft/1";
/// Handshakes that wait for this node at most; their packets are dropped beyond.
const MAX_INCOMING: usize = 1024;

/// What a node shows and whom it trusts.
pub(super) struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) trust: Trust,
}

pub(super) enum Trust {
    /// Peers whose certificate was issued by one of these.
    Roots(RootCertStore),
    /// Everybody.
    Anyone,
}

/// The settings of both sides of a connection.
#[derive(Clone)]
pub(super) struct TlsConfigs {
    pub(super) client: quinn::ClientConfig,
    pub(super) server: Arc<quinn::ServerConfig>,
}

impl Material {
    pub(super) fn configs(self) -> Result<TlsConfigs> {
        let provider = Arc::new(ring::default_provider());
        let (roots, client_verifier) = match self.trust {
            Trust::Roots(roots) => {
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::clone(&roots),
                    Arc::clone(&provider),
                )
                .build()
                .map_err(|error| {
                    Error::invalid("the CA certificates cannot be used").with_source(error)
                })?;
                (Some(roots), verifier)
            }
            Trust::Anyone => (None, WebPkiClientVerifier::no_client_auth()),
        };
        let verifier = IssuedBy { roots, provider: Arc::clone(&provider) };

        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(unusable)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would outlive the trust it was made under.
        client.resumption = Resumption::disabled();

        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(client_verifier)
            .with_single_cert(self.chain, self.key)
            .map_err(unusable)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});

        let client = QuicClientConfig::try_from(client)
            .map_err(|error| Error::internal("TLS lacks QUIC's cipher").with_source(error))?;
        let server = QuicServerConfig::try_from(server)
            .map_err(|error| Error::internal("TLS lacks QUIC's cipher").with_source(error))?;
        let mut client = quinn::ClientConfig::new(Arc::new(client));
        client.transport_config(quic::transport_config());
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
        server.transport_config(quic::transport_config()).max_incoming(MAX_INCOMING);
        Ok(TlsConfigs { client, server: Arc::new(server) })
    }
}

fn unusable(error: rustls::Error) -> Error {
    Error::invalid("the certificate and its key cannot be used").with_source(error)
}

/// Accepts each server whose certificate was issued by a root, whatever name it carries: nodes
/// are dialed by changing addresses, and say who they are right after the handshake.
#[derive(Debug)]
struct IssuedBy {
    /// `None` accepts everybody.
    roots: Option<Arc<RootCertStore>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for IssuedBy {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is never offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
