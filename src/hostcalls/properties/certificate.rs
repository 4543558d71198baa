//! What Envoy tells of a client's certificate, and nginx has no variable for.

use std::fmt::Write;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

use crate::abi::Status;

/// Which part of a certificate.
#[derive(Clone, Copy)]
pub enum Detail {
    /// The first of its DNS names.
    DnsName,
    /// The first of its URIs, such as the id of a SPIFFE workload.
    Uri,
    /// SHA-256 of all of it, in hexadecimal digits.
    Digest,
}

/// Appends what a certificate in PEM says.
///
/// Errors: [`Status::NotFound`] for what is no certificate, or says nothing of
/// this.
pub fn read(pem: &[u8], detail: Detail, out: &mut Vec<u8>) -> Result<(), Status> {
    let der = CertificateDer::from_pem_slice(pem).map_err(|_| Status::NotFound)?;
    if let Detail::Digest = detail {
        let digits = Sha256::digest(&der)
            .iter()
            .fold(String::new(), |mut digits, byte| {
                _ = write!(digits, "{byte:02x}");
                digits
            });
        out.extend_from_slice(digits.as_bytes());
        return Ok(());
    }
    let certificate = EndEntityCert::try_from(&der).map_err(|_| Status::NotFound)?;
    let name = match detail {
        Detail::DnsName => certificate.valid_dns_names().next(),
        Detail::Uri | Detail::Digest => certificate.valid_uri_names().next(),
    };
    out.extend_from_slice(name.ok_or(Status::NotFound)?.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: Vec<SanType>) -> String {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.subject_alt_names = names;
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").pem()
    }

    fn get(pem: &str, detail: Detail) -> Option<String> {
        let mut out = Vec::new();
        read(pem.as_bytes(), detail, &mut out).ok()?;
        Some(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn the_first_name_of_a_kind_counts() {
        let name = |text: &str| text.try_into().expect("a name");
        let pem = certificate(vec![
            SanType::URI(name("spiffe://a/b")),
            SanType::DnsName(name("one.example")),
            SanType::DnsName(name("two.example")),
            SanType::URI(name("spiffe://c")),
        ]);

        assert_eq!(get(&pem, Detail::DnsName).as_deref(), Some("one.example"));
        assert_eq!(get(&pem, Detail::Uri).as_deref(), Some("spiffe://a/b"));
        assert_eq!(get(&pem, Detail::Digest).map(|it| it.len()), Some(64));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let pem = certificate(Vec::new());

        assert_eq!(get(&pem, Detail::DnsName), None);
        assert_eq!(get(&pem, Detail::Uri), None);
        for junk in [
            "",
            "x",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert_eq!(get(junk, Detail::DnsName), None);
        }
        assert_eq!(get("", Detail::Digest), None);
    }
}
