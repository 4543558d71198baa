//! TLS against a server of the same library, bytes carried by hand.

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::callout::{Tls, TlsConfig, TlsError, TlsOptions};

/// A CA, and what it has signed.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        Self::named("ca")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Authority { pem, issuer }
    }

    /// A certificate and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.pem)).unwrap();
        Arc::new(roots)
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A server that proves `name`; it asks for a certificate of `clients`.
fn server(ca: &Authority, name: &str, clients: Option<&Authority>) -> ServerConnection {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(clients.roots(), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let (chain, key) = ca.sign(name);
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = builder
        .with_single_cert(vec![certificate(&chain)], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    ServerConnection::new(Arc::new(config)).unwrap()
}

fn client(options: TlsOptions, name: &str) -> Tls {
    Tls::new(&TlsConfig::new(options).unwrap(), name.as_bytes()).unwrap()
}

fn trusting(ca: &Authority) -> TlsOptions<'_> {
    TlsOptions {
        ca: Some(ca.pem.as_bytes()),
        ..TlsOptions::default()
    }
}

/// Carries bytes both ways, in pieces of this size, until nothing is left. Gives
/// what the server has heard.
fn carry(tls: &mut Tls, server: &mut ServerConnection, size: usize) -> Result<Vec<u8>, TlsError> {
    let mut heard = Vec::new();
    loop {
        let to_server = tls.pull_encrypted();
        for mut piece in to_server.chunks(size) {
            while let Ok(1..) = server.read_tls(&mut piece) {
                let _ = server.process_new_packets();
                let _ = server.reader().read_to_end(&mut heard);
            }
        }
        let mut to_client = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut to_client).unwrap();
        }
        for piece in to_client.chunks(size) {
            tls.push_encrypted(piece)?;
        }
        if to_server.is_empty() && to_client.is_empty() {
            return Ok(heard);
        }
    }
}

#[test]
fn both_sides_hear_what_the_other_says_however_it_is_cut() {
    let ca = Authority::new();
    for size in [1, 7, 100_000] {
        let mut server = server(&ca, "a.example", None);
        let mut tls = client(trusting(&ca), "a.example");
        // More than one record, and more than rustls keeps by itself.
        let question = b"question ".repeat(20_000);
        tls.write(&question);
        assert!(tls.is_handshaking());
        let heard = carry(&mut tls, &mut server, size).unwrap();
        assert!(!tls.is_handshaking());
        assert!(heard == question);

        let answer = b"answer ".repeat(5000);
        server.writer().write_all(&answer).unwrap();
        carry(&mut tls, &mut server, size).unwrap();
        assert!(tls.read() == answer);
        assert!(tls.read().is_empty());
    }
}

#[test]
fn the_end_is_told_from_a_cut() {
    let ca = Authority::new();
    let mut server = server(&ca, "a.example", None);
    let mut tls = client(trusting(&ca), "a.example");
    carry(&mut tls, &mut server, 1000).unwrap();
    assert!(!tls.ended());
    server.writer().write_all(b"last words").unwrap();
    server.send_close_notify();
    carry(&mut tls, &mut server, 1000).unwrap();
    assert!(tls.ended());
    assert_eq!(tls.read(), b"last words");
    // What comes behind the end is not looked at.
    tls.push_encrypted(b"garbage").unwrap();

    tls.close();
    assert!(!tls.pull_encrypted().is_empty());
}

#[test]
fn the_protocol_is_agreed_on() {
    let ca = Authority::new();
    for (offered, agreed) in [(&[&b"h2"[..]][..], Some(&b"h2"[..])), (&[], None)] {
        let mut server = server(&ca, "a.example", None);
        let options = TlsOptions {
            alpn: offered,
            ..trusting(&ca)
        };
        let mut tls = client(options, "a.example");
        carry(&mut tls, &mut server, 1000).unwrap();
        assert_eq!(tls.alpn(), agreed);
    }
}

/// The handshake's error, as the log has it. A server that is refused hears why.
#[track_caller]
fn refused(options: TlsOptions, name: &str, server: &mut ServerConnection) -> String {
    let mut tls = client(options, name);
    let error = carry(&mut tls, server, 1000).unwrap_err().to_string();
    assert!(!tls.pull_encrypted().is_empty(), "no alert");
    error
}

#[test]
fn a_server_must_prove_the_name() {
    let (ca, other) = (Authority::new(), Authority::named("other"));
    let named = |name: &str| server(&ca, name, None);
    let wrong_name = refused(trusting(&ca), "b.example", &mut named("a.example"));
    assert!(wrong_name.contains("not valid for name"), "{wrong_name}");
    let wrong_ca = refused(trusting(&other), "a.example", &mut named("a.example"));
    assert!(
        wrong_ca.contains("no trusted CA has signed it"),
        "{wrong_ca}"
    );
    let wrong_address = refused(trusting(&ca), "127.0.0.2", &mut named("127.0.0.1"));
    assert!(wrong_address.contains("not valid"), "{wrong_address}");

    for (name, asked) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let mut tls = client(trusting(&ca), asked);
        carry(&mut tls, &mut named(name), 1000).unwrap();
        assert!(!tls.is_handshaking());
    }
}

#[test]
fn unverified_the_server_may_be_anybody() {
    let (ca, other) = (Authority::new(), Authority::new());
    let options = TlsOptions {
        unverified: true,
        ..trusting(&other)
    };
    let mut tls = client(options, "b.example");
    carry(&mut tls, &mut server(&ca, "a.example", None), 1000).unwrap();
    assert!(!tls.is_handshaking());
}

#[test]
fn a_client_proves_who_it_is() {
    let (ca, clients) = (Authority::new(), Authority::new());
    let (chain, key) = clients.sign("me.example");
    let mut server_side = server(&ca, "a.example", Some(&clients));
    let options = TlsOptions {
        client: Some((chain.as_bytes(), key.as_bytes())),
        ..trusting(&ca)
    };
    let mut tls = client(options, "a.example");
    carry(&mut tls, &mut server_side, 1000).unwrap();
    let proved = server_side.peer_certificates().unwrap();
    assert_eq!(proved[0], certificate(&chain));

    let mut tls = client(trusting(&ca), "a.example");
    let unproved = carry(
        &mut tls,
        &mut server(&ca, "a.example", Some(&clients)),
        1000,
    );
    let unproved = unproved.unwrap_err().to_string();
    assert!(unproved.contains("CertificateRequired"), "{unproved}");
}

#[test]
fn options_that_are_none_are_refused() {
    let ca = Authority::new();
    let (chain, key) = ca.sign("me.example");
    let (_, other) = ca.sign("me.example");
    let error = |options| TlsConfig::new(options).err().unwrap();
    for pem in [
        "",
        "no PEM",
        &key,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let options = TlsOptions {
            ca: Some(pem.as_bytes()),
            ..TlsOptions::default()
        };
        assert_eq!(error(options), TlsError::BadCa);
    }
    for (chain, key) in [("", &*key), (&*chain, ""), (&*chain, &*other)] {
        let options = TlsOptions {
            client: Some((chain.as_bytes(), key.as_bytes())),
            ..trusting(&ca)
        };
        assert!(
            matches!(error(options), TlsError::BadClient(_)),
            "{chain}{key}"
        );
    }
    let config = TlsConfig::new(trusting(&ca)).unwrap();
    for name in [&b""[..], b"a b", b"\xff", b"[::1", b"a.example:443"] {
        assert_eq!(Tls::new(&config, name).err(), Some(TlsError::BadName));
    }
}

#[test]
fn an_answer_that_is_no_tls_is_an_error_and_stays_one() {
    let ca = Authority::new();
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0; 100],
        &[22, 3, 3, 255, 255],
    ] {
        let mut tls = client(trusting(&ca), "a.example");
        tls.pull_encrypted();
        let first = tls.push_encrypted(garbage).unwrap_err();
        assert_eq!(tls.push_encrypted(b"more"), Err(first));
        assert!(tls.is_handshaking() && tls.read().is_empty());
    }
}
