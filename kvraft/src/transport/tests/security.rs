//! Who gets in: cluster secrets, PEM files, insecure nodes.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use tempfile::TempDir;

use super::super::secret::Authority;
use super::*;
use crate::config::SecurityFiles;
use crate::environment::Clock;
use crate::error::ErrorKind;

#[tokio::test]
async fn nodes_with_another_secret_are_refused_clearly_in_both_directions() {
    let a = Node::start("a", 1, &secrets(&[1]));
    let b = Node::start("b", 2, &secrets(&[2]));
    for error in [unsent(a.ask(&b).await), unsent(b.ask(&a).await)] {
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().contains("the same cluster secret"), "{error}");
    }
}

#[tokio::test]
async fn secrets_rotate_one_node_at_a_time() {
    let steps = [&[1][..], &[1, 2], &[2, 1], &[2]];
    for step in steps.windows(2) {
        let (a, b) =
            (Node::start("a", 1, &secrets(step[0])), Node::start("b", 2, &secrets(step[1])));
        a.ask(&b).await.unwrap();
        b.ask(&a).await.unwrap();
    }
}

#[test]
fn every_node_derives_the_same_authority_from_a_secret() {
    let [one, same, other] =
        [1, 1, 2].map(|byte| Authority::derive(&secret(byte)).unwrap().certificate());
    assert_eq!(one, same);
    assert_ne!(one, other);
    // Another certificate would part a running cluster from its upgraded nodes.
    assert_eq!(crc32c::crc32c(&one), 1_507_244_776);
}

#[test]
fn a_secret_that_could_be_guessed_is_refused_with_what_to_do() {
    let clock = Environment::default().clock;
    for security in [Security::Secrets(vec![vec![1; 31]]), Security::Secrets(vec![])] {
        let Err(error) = Credentials::load(&security, Arc::clone(&clock)) else { panic!() };
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("kvraft-server gen-secret"), "{error}");
    }
    assert!(!format!("{:?}", secrets(&[1])).contains("1, 1"));
}

#[tokio::test]
async fn insecure_nodes_trust_each_other_and_are_refused_by_secure_ones() {
    let (a, b) = two(&Security::Insecure);
    a.ask(&b).await.unwrap();
    let secure = Node::start("c", 3, &secrets(&[1]));
    assert_eq!(unsent(a.ask(&secure).await).kind(), ErrorKind::Unauthorized);
    assert_eq!(unsent(secure.ask(&a).await).kind(), ErrorKind::Unauthorized);
}

/// An authority of the user's own, as a tool for certificates would keep it.
struct UserAuthority(CertifiedIssuer<'static, KeyPair>);

#[derive(Clone, Copy)]
enum KeyForm {
    Pkcs8,
    Sec1,
}

impl UserAuthority {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Writes what a node needs; the name in the certificate is nobody's address.
    fn write(&self, dir: &Path, form: KeyForm) -> Security {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let params = CertificateParams::new(["db.example".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = match form {
            KeyForm::Pkcs8 => key.serialize_pem(),
            KeyForm::Sec1 => sec1_pem(&key.serialize_der()),
        };
        let files = SecurityFiles {
            ca: dir.join("ca.pem"),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        };
        std::fs::write(&files.ca, self.0.pem()).unwrap();
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        std::fs::write(&files.key, key).unwrap();
        Security::Files(files)
    }
}

/// Takes the SEC1 key out of its PKCS#8 wrapping, as `openssl ec` prints it.
fn sec1_pem(pkcs8: &[u8]) -> String {
    // Sequence, version, algorithm with its curve, head of the octet string.
    let sec1 = &pkcs8[3 + 3 + 21 + 2..];
    assert_eq!(&sec1[2..7], [2, 1, 1, 4, 32]);
    format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", base64(sec1))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |group: &[u8]| {
        let mut bits = [0, 0, 0, 0];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        let digit = |place| match place {
            place if place > group.len() => '=',
            place => char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]),
        };
        (0..4).map(digit).collect::<String>()
    };
    let text: String = bytes.chunks(3).map(encode).collect();
    text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n").collect()
}

#[tokio::test]
async fn pem_files_with_pkcs8_and_sec1_keys_let_nodes_of_one_authority_in() {
    let authority = UserAuthority::new();
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap()];
    let a = Node::start("a", 1, &authority.write(dirs[0].path(), KeyForm::Pkcs8));
    let b = Node::start("b", 2, &authority.write(dirs[1].path(), KeyForm::Sec1));
    a.ask(&b).await.unwrap();
    b.ask(&a).await.unwrap();

    let stranger = UserAuthority::new().write(dirs[2].path(), KeyForm::Pkcs8);
    let stranger = Node::start("x", 9, &stranger);
    assert_eq!(unsent(stranger.ask(&a).await).kind(), ErrorKind::Unauthorized);
    assert_eq!(unsent(a.ask(&stranger).await).kind(), ErrorKind::Unauthorized);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let dir = TempDir::new().unwrap();
    let authority = UserAuthority::new();
    let clock = Environment::default().clock;
    for file in ["key.pem", "cert.pem", "ca.pem"] {
        let security = authority.write(dir.path(), KeyForm::Pkcs8);
        std::fs::write(dir.path().join(file), "nonsense").unwrap();
        let Err(error) = Credentials::load(&security, Arc::clone(&clock)) else { panic!() };
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(file), "{error}");
        std::fs::remove_file(dir.path().join(file)).unwrap();
        let Err(error) = Credentials::load(&security, Arc::clone(&clock)) else { panic!() };
        assert!(error.to_string().contains(file), "{error}");
    }
}

/// A clock that a test can push ahead.
struct PushedClock {
    start: Instant,
    ahead_ms: AtomicU64,
}

impl Clock for PushedClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }

    fn wall_ms(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn changed_files_are_taken_over_and_half_written_ones_are_not() {
    let (old, new) = (UserAuthority::new(), UserAuthority::new());
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let security = old.write(dirs[0].path(), KeyForm::Pkcs8);
    let clock = Arc::new(PushedClock { start: Instant::now(), ahead_ms: AtomicU64::new(0) });
    let environment =
        Environment { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Environment::default() };
    let fake = Arc::new(Fake::new(hello("a", 1)));
    let options = TransportOptions { listen: "127.0.0.1:0".parse().unwrap(), security };
    let handler = Arc::new(Arc::clone(&fake));
    let transport = Transport::start(&options, &environment, handler).unwrap();
    let a = Node { transport, fake };
    let b = Node::start("b", 2, &new.write(dirs[1].path(), KeyForm::Sec1));
    assert_eq!(unsent(b.ask(&a).await).kind(), ErrorKind::Unauthorized);

    std::fs::write(dirs[0].path().join("cert.pem"), "half").unwrap();
    clock.ahead_ms.fetch_add(1_000, Ordering::SeqCst);
    assert_eq!(unsent(b.ask(&a).await).kind(), ErrorKind::Unauthorized);

    new.write(dirs[0].path(), KeyForm::Sec1);
    clock.ahead_ms.fetch_add(1_000, Ordering::SeqCst);
    b.ask(&a).await.unwrap();
    a.ask(&b).await.unwrap();
}
