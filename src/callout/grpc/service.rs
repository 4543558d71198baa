//! The upstream of a gRPC callout, where a guest gives it as on Envoy: a
//! serialized `envoy.config.core.v3.GrpcService`.

use crate::abi::protobuf::{Fields, Value};

/// What such a message says, as far as it means anything here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service<'a> {
    /// The name of an upstream, or an address.
    pub target: &'a [u8],
    pub authority: Option<&'a [u8]>,
    pub tls: bool,
    /// To be added to the guest's.
    pub metadata: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Service<'a> {
    /// `None`: these bytes are no such message, or it names no upstream.
    pub fn parse(bytes: &'a [u8]) -> Option<Service<'a>> {
        let mut service = Service::default();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(envoy)) => {
                    for field in Fields(envoy) {
                        match field? {
                            (1, Value::Bytes(name)) => service.target = name,
                            (2, Value::Bytes(name)) if !name.is_empty() => {
                                service.authority = Some(name);
                            }
                            _ => {}
                        }
                    }
                }
                (2, Value::Bytes(google)) => service.read_google(google)?,
                (5, Value::Bytes(header)) => service.metadata.push(read_header(header)?),
                _ => {}
            }
        }
        (!service.target.is_empty()).then_some(service)
    }

    fn read_google(&mut self, google: &'a [u8]) -> Option<()> {
        for field in Fields(google) {
            match field? {
                (1, Value::Bytes(uri)) => self.target = without_scheme(uri),
                // Channel credentials: for TLS, or Google's own, with it.
                (2, Value::Bytes(credentials)) => {
                    for field in Fields(credentials) {
                        self.tls |= matches!(field?, (1 | 2, Value::Bytes(_)));
                    }
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// gRPC's names for names: `dns:///host:port`, `dns:host:port`, `ipv4:…`.
fn without_scheme(uri: &[u8]) -> &[u8] {
    let schemes: [&[u8]; 5] = [
        b"dns:",
        b"ipv4:",
        b"ipv6:",
        b"passthrough:///",
        b"passthrough:",
    ];
    let rest = schemes.iter().find_map(|scheme| uri.strip_prefix(*scheme));
    let rest = rest.unwrap_or(uri);
    // After an authority that no resolver of ours would know.
    match rest.strip_prefix(b"//") {
        Some(rest) => {
            &rest[rest
                .iter()
                .position(|byte| *byte == b'/')
                .map_or(0, |at| at + 1)..]
        }
        None => rest,
    }
}

/// A `HeaderValue`: the key, and the value as text or as bytes.
fn read_header(header: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    for field in Fields(header) {
        match field? {
            (1, Value::Bytes(bytes)) => key = bytes,
            (2 | 3, Value::Bytes(bytes)) if !bytes.is_empty() => value = bytes,
            _ => {}
        }
    }
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::Service;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    #[test]
    fn envoys_own_clusters() {
        let header = [field(1, b"x-a"), field(2, b"b")].concat();
        let envoy = [field(1, b"auth"), field(2, b"auth.example")].concat();
        // A timeout and a retry policy say nothing here.
        let wire = [field(1, &envoy), field(3, &[8, 5]), field(5, &header)].concat();
        let expected = Service {
            target: b"auth",
            authority: Some(b"auth.example"),
            tls: false,
            metadata: vec![(b"x-a", b"b")],
        };
        assert_eq!(Service::parse(&wire), Some(expected));
    }

    #[test]
    fn googles_client() {
        for (uri, target) in [
            ("up.example:50051", "up.example:50051"),
            ("dns:///up.example:1", "up.example:1"),
            ("dns:up.example:1", "up.example:1"),
            ("dns://8.8.8.8/up.example:1", "up.example:1"),
            ("ipv4:127.0.0.1:1", "127.0.0.1:1"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            for (credentials, tls) in [(field(1, b""), true), (field(3, b""), false)] {
                let google = [field(1, uri.as_bytes()), field(2, &credentials)].concat();
                let wire = field(2, &google);
                let service = Service::parse(&wire).unwrap();
                assert_eq!((service.target, service.tls), (target.as_bytes(), tls));
            }
        }
    }

    #[test]
    fn what_is_none() {
        let whole = field(1, &field(1, b"auth"));
        for wire in [
            &b""[..],
            b"auth",
            b"127.0.0.1:50051",
            &whole[..3],
            &[0xff; 20],
            &[0, 0],
        ] {
            assert_eq!(Service::parse(wire), None, "{wire:?}");
        }
        assert_eq!(Service::parse(&field(1, b"")), None);
        assert_eq!(Service::parse(&field(5, &field(1, b"a"))), None);
    }
}
