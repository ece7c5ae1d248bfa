//! `Transport` sends one request to one node, once.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use hyper::{Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::base::Base;
use super::options::Options;
use super::payload::{self, Body};
use super::request::Request;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a node may take to say that it objects to our certificate.
const OBJECTION: Duration = Duration::from_secs(1);
/// How long an idle connection is kept: less than servers and proxies keep theirs.
const IDLE: Duration = Duration::from_secs(20);

/// Why a request did not come to an answer.
#[derive(Debug)]
pub(super) struct Unsent {
    /// Whether it may have reached the node all the same.
    pub(super) perhaps_sent: bool,
    /// Whether this node will never do: it, or this client, is not who it has to be.
    pub(super) unfit: bool,
    pub(super) why: String,
}

/// Connections to nodes, with what shows who we are.
pub(super) struct Transport {
    tls: Arc<ClientConfig>,
    client: Client<HttpsConnector<HttpConnector>, Body>,
    token: Option<HeaderValue>,
}

impl Transport {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let tls = tls(options)?;
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https);
        let tls = Arc::new(tls);
        Ok(Self { tls, client, token: options.token.as_deref().map(authorization).transpose()? })
    }

    /// Sends a request to a node that is known: it gets the token.
    pub(super) async fn send(
        &self,
        base: &Base,
        request: &Request,
    ) -> Result<Response<Incoming>, Unsent> {
        let prepared = self.prepare(base, request).map_err(|error| Unsent {
            perhaps_sent: false,
            unfit: true,
            why: format!("{error:#}"),
        })?;
        self.client.request(prepared).await.map_err(|error| {
            let tls = causes(&error).any(|cause| cause.is::<rustls::Error>());
            Unsent { perhaps_sent: !error.is_connect() && !tls, unfit: tls, why: told(&error) }
        })
    }

    /// What a node under TLS objects to in this client, if it does.
    ///
    /// A server refuses a certificate after the client takes the connection for made. What it says
    /// is lost if the client writes on, as HTTP does: so this one only listens, for a moment.
    pub(super) async fn objection(&self, base: &Base) -> Option<String> {
        let uri: Uri = base.as_str().parse().ok().filter(|_| base.is_https())?;
        let host = uri.host()?.trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await.ok()?;
        let heard = async {
            let mut stream =
                TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
            stream.read_u8().await
        };
        // Nothing to hear is no objection, and neither is an end without a reason.
        let error = timeout(OBJECTION, heard).await.ok()?.err()?;
        let objects = causes(&error).any(|cause| cause.is::<rustls::Error>());
        objects.then(|| told(&error))
    }

    fn prepare(&self, base: &Base, request: &Request) -> Result<hyper::Request<Body>> {
        let uri: Uri = format!("{base}{}", request.path).parse().context("no URL can be made")?;
        let body = request.payload.as_ref().map_or_else(payload::none, payload::Payload::body);
        let agent = concat!("kvraft-server/", env!("CARGO_PKG_VERSION"));
        let mut builder = hyper::Request::builder()
            .method(request.method.clone())
            .uri(uri)
            .header(USER_AGENT, agent);
        if let Some(token) = &self.token {
            builder = builder.header(AUTHORIZATION, token.clone());
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value.clone());
        }
        builder.body(body).context("no request can be made")
    }
}

fn authorization(token: &str) -> Result<HeaderValue> {
    // What is wrong with it is not shown: it is a secret.
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| anyhow!("the token is not one"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Makes TLS 1.3 of the files that were named, or of what this machine trusts.
fn tls(options: &Options) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match &options.ca {
        Some(file) => {
            for certificate in certificates(file)? {
                let wrong = || format!("{} cannot be trusted", file.display());
                roots.add(certificate).with_context(wrong)?;
            }
        }
        None if options.bases.iter().any(Base::is_https) => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            ensure!(!roots.is_empty(), "this machine trusts no authority; name one with --ca");
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("TLS 1.3 is not there")?
        .with_root_certificates(roots);
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let bytes = read(key)?;
    let private = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| anyhow!("{} holds no private key in PEM (PKCS#8 or SEC1)", key.display()))?;
    builder
        .with_client_auth_cert(certificates(cert)?, private)
        .with_context(|| format!("{} and its key do not fit", cert.display()))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(file)?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let none = || anyhow!("{} holds no certificate in PEM", file.display());
    found.ok().filter(|found| !found.is_empty()).ok_or_else(none)
}

/// All causes of an error, also those that the standard library keeps inside of its own.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn std::error::Error + 'static)| {
        let error = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

/// The last cause, which is the one that says something.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// Tells why a body broke off.
pub(super) fn broke_off(error: &hyper::Error) -> String {
    let why = error.source().map_or_else(|| error.to_string(), told);
    format!("the answer broke off: {why}")
}
