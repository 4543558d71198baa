//! The foreign functions `verify_signature` and `sign`, with Envoy's arguments
//! and results: ECDSA, and RSA as in PKCS #1 1.5.

use rustls::SignatureScheme::{
    ECDSA_NISTP256_SHA256, ECDSA_NISTP384_SHA384, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use webpki::ring as algorithms;

use crate::abi::Status;
use crate::abi::protobuf::{Fields, Value, put_bool, put_bytes};

type Verifier = &'static dyn rustls::pki_types::SignatureVerificationAlgorithm;

/// What an argument says.
#[derive(Default)]
struct Arguments<'a> {
    hash: &'a [u8],
    key: &'a [u8],
    pem: &'a [u8],
    signature: &'a [u8],
    text: &'a [u8],
}

/// The numbers of its fields.
struct Numbers {
    pem: u64,
    signature: u64,
    text: u64,
}

impl<'a> Arguments<'a> {
    /// `None`: these bytes are no such message.
    fn parse(bytes: &'a [u8], numbers: &Numbers) -> Option<Self> {
        let mut arguments = Arguments::default();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(bytes)) => arguments.hash = bytes,
                (2, Value::Bytes(bytes)) => arguments.key = bytes,
                (number, Value::Bytes(bytes)) if number == numbers.pem => arguments.pem = bytes,
                (number, Value::Bytes(bytes)) if number == numbers.signature => {
                    arguments.signature = bytes;
                }
                (number, Value::Bytes(bytes)) if number == numbers.text => arguments.text = bytes,
                _ => {}
            }
        }
        Some(arguments)
    }

    fn hash(&self) -> String {
        String::from_utf8_lossy(self.hash).to_ascii_lowercase()
    }

    fn unsupported(&self) -> String {
        let hash = String::from_utf8_lossy(self.hash);
        format!("{hash} is not supported.")
    }
}

/// Appends whether a signature is right.
///
/// Errors: [`Status::BadArgument`] for what is no such message, or has no public
/// key, or two.
pub fn verify(argument: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let numbers = Numbers {
        pem: 5,
        signature: 3,
        text: 4,
    };
    let arguments = Arguments::parse(argument, &numbers).ok_or(Status::BadArgument)?;
    let from_pem;
    let der = match (arguments.key, arguments.pem) {
        (b"", b"") => return Err(Status::BadArgument),
        (der, b"") => der,
        (b"", pem) => {
            from_pem = SubjectPublicKeyInfoDer::from_pem_slice(pem);
            from_pem.as_deref().unwrap_or_default()
        }
        _ => return Err(Status::BadArgument),
    };
    let wrong = check(&arguments, der).err();
    put_bool(out, 1, wrong.is_none());
    put_bytes(out, 2, wrong.unwrap_or_default().as_bytes());
    Ok(())
}

/// Errors: why a signature is none of this key's, in Envoy's words.
fn check(arguments: &Arguments, der: &[u8]) -> Result<(), String> {
    let verifiers = verifiers(&arguments.hash());
    if verifiers.is_empty() {
        return Err(arguments.unsupported());
    }
    let (kind, key) = public_key(der).ok_or("Failed to initialize digest verify.")?;
    let mut verifiers = verifiers.iter();
    let verifier = verifiers.find(|each| each.public_key_alg_id().as_ref() == kind);
    let verifier = verifier.ok_or_else(|| arguments.unsupported())?;
    let verified = verifier.verify_signature(key, arguments.text, arguments.signature);
    verified.map_err(|_| "Failed to verify digest. Error code: 0".to_owned())
}

/// Those of a hash function, each for another kind of key.
fn verifiers(hash: &str) -> &'static [Verifier] {
    static SHA256: [Verifier; 3] = [
        algorithms::RSA_PKCS1_2048_8192_SHA256,
        algorithms::ECDSA_P256_SHA256,
        algorithms::ECDSA_P384_SHA256,
    ];
    static SHA384: [Verifier; 3] = [
        algorithms::RSA_PKCS1_2048_8192_SHA384,
        algorithms::ECDSA_P256_SHA384,
        algorithms::ECDSA_P384_SHA384,
    ];
    static SHA512: [Verifier; 1] = [algorithms::RSA_PKCS1_2048_8192_SHA512];
    match hash {
        "sha256" => &SHA256,
        "sha384" => &SHA384,
        "sha512" => &SHA512,
        _ => &[],
    }
}

/// A `SubjectPublicKeyInfo` in DER: the kind of the key, and the key.
fn public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (info, b"") = element(der, SEQUENCE)? else {
        return None;
    };
    let (kind, rest) = element(info, SEQUENCE)?;
    let (key, b"") = element(rest, BIT_STRING)? else {
        return None;
    };
    // Whole bytes: no bits are unused.
    Some((kind, key.strip_prefix(&[0])?))
}

/// The contents of the first element, which must have this tag, and what is
/// behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (len, rest) = rest.split_first()?;
    let (len, rest) = match len {
        0..=0x7f => (usize::from(*len), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
            let add = |len: usize, byte: &u8| len << 8 | usize::from(*byte);
            (bytes.iter().fold(0, add), rest)
        }
        _ => return None,
    };
    (*first == tag).then(|| rest.split_at_checked(len))?
}

/// Appends a signature.
///
/// Errors: [`Status::BadArgument`] for what is no such message, or has no private
/// key, or two.
pub fn sign(argument: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let numbers = Numbers {
        pem: 4,
        signature: 0,
        text: 3,
    };
    let arguments = Arguments::parse(argument, &numbers).ok_or(Status::BadArgument)?;
    let key = match (arguments.key, arguments.pem) {
        (b"", b"") => return Err(Status::BadArgument),
        (der, b"") => PrivateKeyDer::try_from(der).ok(),
        (b"", pem) => PrivateKeyDer::from_pem_slice(pem).ok(),
        _ => return Err(Status::BadArgument),
    };
    let signature = make(&arguments, key);
    put_bool(out, 1, signature.is_ok());
    match signature {
        Ok(signature) => put_bytes(out, 2, &signature),
        Err(why) => put_bytes(out, 3, why.as_bytes()),
    }
    Ok(())
}

/// Errors: why there is no signature, in Envoy's words.
fn make(arguments: &Arguments, key: Option<PrivateKeyDer>) -> Result<Vec<u8>, String> {
    let schemes: &[_] = match &*arguments.hash() {
        "sha256" => &[RSA_PKCS1_SHA256, ECDSA_NISTP256_SHA256],
        "sha384" => &[RSA_PKCS1_SHA384, ECDSA_NISTP384_SHA384],
        "sha512" => &[RSA_PKCS1_SHA512],
        _ => return Err(arguments.unsupported()),
    };
    let key = key.and_then(|key| any_supported_type(&key).ok());
    let key = key.ok_or("Invalid key type: private key required for signing operation.")?;
    let signer = key.choose_scheme(schemes);
    let signer = signer.ok_or_else(|| arguments.unsupported())?;
    signer.sign(arguments.text).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Status, put_bytes, sign, verify};

    // Made by openssl, with its signature of "hello" with SHA-256.
    const RSA: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCvLvIeWRIPyaQK
MuljSqhEO7P/E3ucsAwbouKRodBdigjLQfZXFdA5Fh+gBxPa31kMxp5KnsrH+24e
Icz4JUypzMUNZcxWVHNgSl3xgYGS+nW94NcqqlhN+Lutd674mABxKxcxFklVfSDN
BdjJL90BSL5Xh2pWy4iY6w8OJy7ioKn2kLY64ialOMTuGzhr7nNUg8mi2Pg8iptb
7ALj5Ae72Q1fkLq/Y5MxfSyhNOpk9+MDSw0hQQuPh05pD3oOAWGNePhUdF4sWd6c
N0lINUbOkdkJS/lbdRvJ3ZGAEroLu905HyTeOq7J02piuv6KDiBDbVG4lnmnaCaq
RXSIHW7hAgMBAAECggEAGwCRIK0OrqZLBajBS/pho1rR13BeWPwocZ4SxEB9MzMn
6y84qZsFebciRXKx1HEhcxRY/nF+xNfJf8AqrYO6TwtEGFjnkoBOjw9cxEaiUqW5
E6fIzUfCeApDNhgWPTUuDu4waJ2Md4PjqWvMStPOLKN/df27yLMd/qFvXvlv2E3g
GNBv1lDFTKzqO5C43y0xTTYw59n4s7XSYXpfDC4fdXwJOxRC5kZhfYuNHmwtVJSR
pnfrmc8t/+Fr8zgUYHf+yVV/BeIyDCmyED3esvktwbA2qcjdZdy2zQEZ0W5eR27R
+RFRJeBsk5u5vxrkT1o3BAvMdrA12R9NIAJ5jmJfbQKBgQDckdhaPGrIXMEKIr2b
PWf84mB7Vs2PmqUANjnUsEqz44BgPKa8ZQ485EtPXsue9yzLpnJYUY+ADu1ih3Bu
rc7PJQRBRgT+/twy+26a1sef0bEY2QW09tekoRBOu3dtsXir72GgrbOzAdMG021T
eJsKIJeHid0qAR2Nw9Z8aKcfjwKBgQDLUr9SCEROBNT7wGbrosKyodQD3ZA/bOSM
PQRrhB2fretQe1isMBSeYrFG+tzCutyqILP97ku3O7fwgt2Or5pEL0sV3pD16dMr
dwV6rlq8oi/V1uVAg51JxRlZ/Ckp5FvfyAw1FS1Ev+A4cJj9+USiD715OgjqLca5
7iOlV2lSjwKBgQC8ryrULoDue6JLSGLIrSQKyaDdgekBIrppzvlzv4d4EXLdYKUF
3rDqWCUwdZhcmXfBktaYRNUsKBjcQ55jn92diD32lK5rcJvwJPR+EqPcTOZhqi1e
nBbm5z1rDKViugHPm0z5xf5GcJYUbcNFN5PxeuYFdWMzrpaYkmImNORacwKBgQDB
GpbQbz+IJbiuXV6iXxOxGldFUJHmWyJ5Op5PCswj0sdRycQ+zO9YOf2Kn0k5vMVE
4whvnHnWzeX1jCSmloraRVx3qclddTT06/aNPLi6vQLXgmB7NEUXQhXAy+fAfLzx
PYqyg6lZyS5IDFCRrcOMc4yNbRv4ZX9/KPg72VgTawKBgFlWtkCdGzvLf8FkT7qY
06Ihq6qs56bbs4nWQRuOWZSXyQGvlyJUmzUhm44VHvBpUf7FInw+HCrGhAkeY0d+
jPmUm9IV7KmDwrZLLXlt9Z9Io4bDG1bfBZjCy+0Mi6lerf2gSjnay7/XNaIrqpm3
wzNDVX0kJclSp83CwlboTzVO
-----END PRIVATE KEY-----
";
    const RSA_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAry7yHlkSD8mkCjLpY0qo
RDuz/xN7nLAMG6LikaHQXYoIy0H2VxXQORYfoAcT2t9ZDMaeSp7Kx/tuHiHM+CVM
qczFDWXMVlRzYEpd8YGBkvp1veDXKqpYTfi7rXeu+JgAcSsXMRZJVX0gzQXYyS/d
AUi+V4dqVsuImOsPDicu4qCp9pC2OuImpTjE7hs4a+5zVIPJotj4PIqbW+wC4+QH
u9kNX5C6v2OTMX0soTTqZPfjA0sNIUELj4dOaQ96DgFhjXj4VHReLFnenDdJSDVG
zpHZCUv5W3Ubyd2RgBK6C7vdOR8k3jquydNqYrr+ig4gQ21RuJZ5p2gmqkV0iB1u
4QIDAQAB
-----END PUBLIC KEY-----
";
    const RSA_SIGNATURE: &str = "\
        989ef25cdf141137e01abdec911cf346a7f504d13877fa89aea470063147b1d21e3158f9426a362c \
        197dee7748258d298534642e3641eaf0bca6a2da635b6bc30ad4deda57a5d8479209e8d9716c15a5 \
        a024b47c0bd3fce66a271602ef07e7b4615b41855a9ec54a2b742c3cf6314c16836fdeb49f50207c \
        2e63d880fac392e99331e027a9e79a95de07dd5b05e0d7d9fc04ab5dbb4995c1ea892eb2f21640cb \
        7dbc3a15ed4d4bae45e98eb7c28f86fa13fb59e1f5601a4fdc2e3362f671eac3939dcc3629b915eb \
        6662da5d0e54ac18a89c07d95b2f3648135515ae0258c777b13600af507a2f8bf86346db8084e223 \
        6cc82a11f8c28c8a0336188985b791fa";
    const EC: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQga6gv/sQM4w6bdZIL
gbtyMkesieiS4Gq6oSfNDRwG+T2hRANCAARlLjbRl3SwddfKaazemYFqwBurMb+t
eHBeNLtLYAJqf2bowxDmHgPwZprwIowv7s/wD2tbM1waaVlQ4AvCvtTx
-----END PRIVATE KEY-----
";
    const EC_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZS420Zd0sHXXymms3pmBasAbqzG/
rXhwXjS7S2ACan9m6MMQ5h4D8Gaa8CKML+7P8A9rWzNcGmlZUOALwr7U8Q==
-----END PUBLIC KEY-----
";

    fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
        let mut message = Vec::new();
        for (number, bytes) in fields {
            put_bytes(&mut message, *number, bytes);
        }
        message
    }

    fn signed(hash: &str, key: &str, text: &str) -> Vec<u8> {
        let parts = [hash, text, key].map(str::as_bytes);
        let argument = message(&[(1, parts[0]), (3, parts[1]), (4, parts[2])]);
        let mut out = Vec::new();
        assert_eq!(sign(&argument, &mut out), Ok(()));
        out
    }

    /// What `verify` says of what `sign` gave.
    fn verified(hash: &str, key: &str, text: &str, signed: &[u8]) -> Vec<u8> {
        let skip = match signed[3] {
            // A length of one byte, or of two.
            0..=0x7f => 4,
            _ => 5,
        };
        assert_eq!(signed[..3], [8, 1, 0x12]);
        let [hash, text, key] = [hash, text, key].map(str::as_bytes);
        let fields = [(1, hash), (3, &signed[skip..]), (4, text), (5, key)];
        let mut out = Vec::new();
        assert_eq!(verify(&message(&fields), &mut out), Ok(()));
        out
    }

    #[test]
    fn what_is_signed_is_verified_by_its_own_key_hash_and_text_alone() {
        for (private, public, other, hashes) in [
            (
                RSA,
                RSA_PUBLIC,
                EC_PUBLIC,
                &["sha256", "sha384", "sha512"][..],
            ),
            (EC, EC_PUBLIC, RSA_PUBLIC, &["sha256"]),
        ] {
            for hash in hashes {
                let signature = signed(hash, private, "hello");
                assert_eq!(verified(hash, public, "hello", &signature), [8, 1]);
                for (hash, key, text) in [
                    (*hash, public, "hullo"),
                    (*hash, other, "hello"),
                    ("sha1", public, "hello"),
                    (
                        if *hash == "sha256" {
                            "sha384"
                        } else {
                            "sha256"
                        },
                        public,
                        "hello",
                    ),
                ] {
                    let wrong = verified(hash, key, text, &signature);
                    assert_eq!(wrong[0], 0x12, "{hash} {text}");
                }
            }
        }
    }

    #[test]
    fn openssl_signs_the_same() {
        let signature: String = signed("SHA256", RSA, "hello")[5..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(signature, RSA_SIGNATURE.replace(' ', ""));
    }

    #[test]
    fn keys_that_are_cut_off_or_changed_do_no_harm() {
        for pem in [RSA, EC, RSA_PUBLIC, EC_PUBLIC] {
            for end in 0..pem.len() {
                for key in [&pem.as_bytes()[..end], &pem.as_bytes()[end..]] {
                    for (number, call) in [(5, verify as fn(&[u8], &mut Vec<u8>) -> _), (4, sign)] {
                        for number in [number, 2] {
                            let argument = message(&[(1, b"sha256"), (number, key)]);
                            let given: Result<(), Status> = call(&argument, &mut Vec::new());
                            let expected = if key.is_empty() {
                                Err(Status::BadArgument)
                            } else {
                                Ok(())
                            };
                            assert_eq!(given, expected);
                        }
                    }
                }
            }
        }
    }
}
