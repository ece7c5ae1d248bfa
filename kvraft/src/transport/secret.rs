//! A cluster secret becomes a certificate authority that every node derives alike.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519, SerialNumber,
    date_time_ymd,
};
use ring::hkdf;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Error, Result};

/// Shorter secrets could be guessed from one recorded handshake.
const MIN_SECRET_BYTES: usize = 32;
/// Versions of the derivation. Another one is another CA: all nodes would have to change at once.
const SALT: &[u8] = b"kvraft cluster secret, version 1";
const CA_SEED: &[u8] = b"Ed25519 seed of the cluster CA";
/// The name in each certificate; identities are exchanged after the handshake.
pub(super) const NODE_NAME: &str = "node.kvraft";
/// An Ed25519 private key as PKCS#8 (RFC 8410), up to its 32 bytes.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A certificate for this start of this node, and the key to it.
pub(super) struct Leaf {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// The authority that one secret stands for.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn derive(secret: &[u8]) -> Result<Self> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(Error::invalid(format!(
                "cluster_secret has {} bytes and needs at least {MIN_SECRET_BYTES} random ones: \
                 make one with `kvraft-server gen-secret`",
                secret.len()
            )));
        }
        let mut key = PKCS8_ED25519.to_vec();
        let mut seed = [0; 32];
        extract(secret)
            .expand(&[CA_SEED], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut seed))
            .map_err(|_| Error::internal("the CA key cannot be derived"))?;
        key.extend_from_slice(&seed);
        let key = PrivatePkcs8KeyDer::from(key);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519).map_err(failed)?;
        let mut params = params("kvraft cluster")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Ed25519 signs the same bytes alike everywhere: the certificate is the same on each node.
        params.serial_number = Some(SerialNumber::from(1));
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(failed)
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.0.as_ref().der().clone()
    }

    pub(super) fn issue(&self) -> Result<Leaf> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
        let certificate = leaf_params()?.signed_by(&key, &self.0).map_err(failed)?;
        Ok(Leaf { certificate: certificate.der().clone(), key: private_key(&key) })
    }
}

/// Makes a certificate that nobody vouches for.
pub(super) fn self_signed() -> Result<Leaf> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
    let certificate = leaf_params()?.self_signed(&key).map_err(failed)?;
    Ok(Leaf { certificate: certificate.der().clone(), key: private_key(&key) })
}

/// Derives the key by which a restarted node disowns the connections of its former start.
pub(super) fn reset_key(secret: &[u8], node_id: u64) -> Result<ring::hmac::Key> {
    let info = [b"stateless reset".as_slice(), &node_id.to_be_bytes()];
    let extracted = extract(secret);
    let expanded = extracted.expand(&info, ring::hmac::HMAC_SHA256);
    expanded.map(ring::hmac::Key::from).map_err(|_| Error::internal("no reset key can be derived"))
}

fn extract(secret: &[u8]) -> hkdf::Prk {
    hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret)
}

fn params(common_name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new([]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // A node with a dead clock battery must still join: the secret decides, not the date.
    params.not_before = date_time_ymd(1975, 1, 1);
    params.not_after = date_time_ymd(4096, 1, 1);
    Ok(params)
}

fn leaf_params() -> Result<CertificateParams> {
    let mut params = params("kvraft node")?;
    let name = NODE_NAME.try_into().map_err(failed)?;
    params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn private_key(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn failed(error: rcgen::Error) -> Error {
    Error::internal("a certificate cannot be made").with_source(error)
}
