//! HTTP under TLS, with the files that an operator has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvraft_server::demo::client::Failure;
use kvraft_server::demo::stop::Stop;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ran::ask;
use crate::single::{PATIENCE, Single, command, signal};
use crate::wire::{Wire, run};

/// An authority that issues certificates for `localhost`.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.as_ref().der().clone()
    }

    fn issue(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// Writes a new certificate and its key; returns the certificate.
    fn write(&self, dir: &Path) -> CertificateDer<'static> {
        let (certificate, key) = self.issue();
        std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
        certificate.der().clone()
    }

    /// What a client needs that trusts this authority, and may have a certificate of another.
    fn client(&self, http2: bool, own: Option<&Self>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let (certificate, key) = authority.issue();
                let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = if http2 { vec![b"h2".to_vec()] } else { Vec::new() };
        Arc::new(config)
    }
}

async fn connect(
    node: &Single,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(node.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

/// Asks whether the node lives; a failure anywhere on the way is one.
async fn live(node: &Single, config: Arc<ClientConfig>, http2: bool) -> Result<u16, String> {
    let stream = connect(node, config).await.map_err(|error| error.to_string())?;
    let mut wire = Wire::connect(stream, http2).await.map_err(|error| error.to_string())?;
    let answer = wire.send("GET", "/livez", "").await.map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}

/// A node with the certificate of an authority.
fn start(dir: &Path, flags: &[PathBuf]) -> Single {
    let mut command = command(&["--listen-http=127.0.0.1:0", "--data-dir"]);
    command.arg(dir.join("data"));
    command.arg("--http-tls-cert").arg(dir.join("cert.pem"));
    command.arg("--http-tls-key").arg(dir.join("key.pem"));
    Single::start(command.args(flags))
}

#[test]
fn both_versions_of_http_are_spoken_under_tls_and_nothing_in_clear_text() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write(dir.path());
    let node = start(dir.path(), &[]);
    run(async {
        for http2 in [false, true] {
            assert_eq!(live(&node, authority.client(http2, None), http2).await, Ok(200));
        }
        assert!(live(&node, Authority::new().client(false, None), false).await.is_err());
        let plain = TcpStream::connect(node.address()).await.unwrap();
        let mut plain = Wire::connect(plain, false).await.unwrap();
        assert!(plain.send("GET", "/livez", "").await.is_err());
    });
}

#[test]
fn a_client_shows_a_certificate_of_the_right_authority_if_one_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new(), Authority::new());
    servers.write(dir.path());
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, clients.0.as_ref().pem()).unwrap();
    let node = start(dir.path(), &["--http-client-ca".into(), ca]);
    run(async {
        assert_eq!(live(&node, servers.client(true, Some(&clients)), true).await, Ok(200));
        assert!(live(&node, servers.client(true, None), true).await.is_err());
        assert!(live(&node, servers.client(true, Some(&servers)), true).await.is_err());
    });
}

#[test]
fn a_changed_certificate_is_shown_to_new_clients_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let first = authority.write(dir.path());
    let node = start(dir.path(), &[]);
    let shown = || {
        run(async {
            let stream = connect(&node, authority.client(false, None)).await.unwrap();
            stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
        })
    };
    assert_eq!(shown(), first);
    // A certificate whose key is not there yet is not taken.
    let key = std::fs::read(dir.path().join("key.pem")).unwrap();
    let second = authority.write(dir.path());
    let second_key = std::fs::read(dir.path().join("key.pem")).unwrap();
    std::fs::write(dir.path().join("key.pem"), key).unwrap();
    signal("HUP", node.child.id());
    std::fs::write(dir.path().join("key.pem"), second_key).unwrap();
    let renewed = || match shown() {
        found if found == second => Ok(()),
        _ => Err(Failure::ForNow("the former one".to_owned())),
    };
    Stop::default().retry("the new certificate", PATIENCE, renewed).unwrap();
}

#[test]
fn commands_trust_an_authority_and_show_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new(), Authority::new());
    servers.write(dir.path());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (ca, client_ca) = (file("servers.pem"), file("clients.pem"));
    std::fs::write(&ca, servers.0.as_ref().pem()).unwrap();
    std::fs::write(&client_ca, clients.0.as_ref().pem()).unwrap();
    let (certificate, private) = clients.issue();
    let (cert, key) = (file("client-cert.pem"), file("client-key.pem"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&key, private.serialize_pem()).unwrap();
    let node = start(dir.path(), &["--http-client-ca".into(), client_ca.clone().into()]);
    let url = node.url.replace("http://127.0.0.1", "https://localhost");
    let run = |url: &str, ca: &str, own: &[&str]| {
        let flags = ["put", "k", "v", "--retries=1", "--ca", ca];
        ask(&[url], &[&flags, own].concat())
    };
    let own = ["--cert", cert.as_str(), "--key", key.as_str()];
    run(&url, &ca, &own).done();
    let said = run(&url, &ca, &[]).failed(5);
    assert!(said.contains("CertificateRequired"), "{said}");
    let said = run(&url, &client_ca, &own).failed(5);
    assert!(said.contains("certificate"), "{said}");
    let said = run(&node.url, &ca, &own).code;
    assert!(matches!(said, Some(3 | 4)), "nothing is said in clear text: {said:?}");
    let said = run(&url, &key, &own).failed(2);
    assert!(said.contains("client-key.pem holds no certificate"), "{said}");
}
