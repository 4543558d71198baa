//! TLS for callouts that the cosocket's own cannot do: with ALPN, with a CA
//! or a client certificate of the upstream's own.
//!
//! A layer between the plain cosocket's bytes and the protocol. What comes from
//! the wire goes into [`Tls::push_encrypted`], what [`Tls::pull_encrypted`] gives
//! goes to it; on the other side are [`Tls::read`] and [`Tls::write`]. The peer
//! must prove the server's name, unless the operator wants none of it.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// What an operator says of TLS to an upstream. All files are PEM.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsOptions<'a> {
    /// The certificates to trust; `None`: the system's.
    pub ca: Option<&'a [u8]>,
    /// The chain, own certificate first, and the private key, that prove who
    /// we are.
    pub client: Option<(&'a [u8], &'a [u8])>,
    /// Protocols to offer, the best first; none: no ALPN.
    pub alpn: &'a [&'a [u8]],
    /// The peer may be anybody.
    pub unverified: bool,
}

/// Why TLS is not to be had.
#[derive(Clone, Debug, PartialEq)]
pub enum TlsError {
    /// The system has no trusted certificates.
    NoSystemCa,
    /// The file is no PEM, or has no certificate that can be trusted.
    BadCa,
    /// No certificate and key, or they do not belong together.
    BadClient(String),
    /// Neither a DNS name nor an IP address.
    BadName,
    /// The peer cannot be trusted, refuses us, or does not speak TLS.
    Peer(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::NoSystemCa => f.write_str(
                "the system has no trusted certificates: install them (ca-certificates), \
                 or name a file of your own",
            ),
            TlsError::BadCa => {
                f.write_str("the trusted certificate is no PEM file with a CA certificate")
            }
            TlsError::BadClient(why) => write!(
                f,
                "the client certificate and key are no PEM files that belong together: {why}"
            ),
            TlsError::BadName => {
                f.write_str("the server name is neither a DNS name nor an IP address")
            }
            TlsError::Peer(why) => describe(why, f),
        }
    }
}

/// What rustls has no sentence for, with the way out.
fn describe(why: &rustls::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use rustls::{CertificateError, InvalidMessage};
    match why {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            f.write_str("the server does not speak TLS there")
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            f.write_str("invalid peer certificate: no trusted CA has signed it (option ca)")
        }
        // The only name that there is for it: its type is another crate's.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            f.write_str(
                "invalid peer certificate: it is a CA's own (CA:TRUE): sign one for the \
                 server with that CA, or make it with basicConstraints=CA:FALSE",
            )
        }
        why => write!(f, "{why}"),
    }
}

impl std::error::Error for TlsError {}

/// [`TlsOptions`], checked; for any number of connections, which resume each
/// other's sessions. A clone is the same one.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    config: Arc<ClientConfig>,
}

impl TlsConfig {
    /// Reads the system's certificates from disk when it is the first one that
    /// wants them.
    ///
    /// Errors: what is wrong with the options.
    pub fn new(options: TlsOptions) -> Result<TlsConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Peer)?;
        let builder = if options.unverified {
            let anybody = Arc::new(Anybody(algorithms));
            builder
                .dangerous()
                .with_custom_certificate_verifier(anybody)
        } else {
            builder.with_root_certificates(match options.ca {
                Some(pem) => Arc::new(trusted(pem)?),
                None => system()?,
            })
        };
        let mut config = match options.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let bad = |why: &dyn fmt::Display| TlsError::BadClient(why.to_string());
                let chain = certificates(chain).map_err(|why| bad(&why))?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|why| bad(&why))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|why| bad(&why))?
            }
        };
        config.alpn_protocols = options.alpn.iter().map(|name| name.to_vec()).collect();
        Ok(TlsConfig {
            config: Arc::new(config),
        })
    }
}

impl TlsConfig {
    /// The same, offering these protocols instead.
    pub fn with_alpn(&self, alpn: &[&[u8]]) -> TlsConfig {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsConfig {
            config: Arc::new(config),
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// Those that cannot be trusted are left out: bundles have some.
fn trusted(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let certificates = certificates(pem).map_err(|_| TlsError::BadCa)?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(TlsError::BadCa),
        _ => Ok(roots),
    }
}

/// The system's certificates, read once per process.
fn system() -> Result<Arc<RootCertStore>, TlsError> {
    static SYSTEM: OnceLock<Option<Arc<RootCertStore>>> = OnceLock::new();
    let roots = SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        (!roots.is_empty()).then(|| Arc::new(roots))
    });
    roots.clone().ok_or(TlsError::NoSystemCa)
}

/// Takes any certificate, but only from whoever has its key.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// One connection, from our first bytes on.
pub struct Tls {
    connection: ClientConnection,
    received: Vec<u8>,
    ended: bool,
}

impl Tls {
    /// `server_name` is what the peer's certificate must be for, and SNI if it
    /// is a name: a DNS name or an IP address, IPv6 also in brackets.
    ///
    /// Errors: [`TlsError::BadName`].
    pub fn new(config: &TlsConfig, server_name: &[u8]) -> Result<Tls, TlsError> {
        let name = str::from_utf8(server_name).map_err(|_| TlsError::BadName)?;
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let name =
            ServerName::try_from(bare.unwrap_or(name).to_owned()).map_err(|_| TlsError::BadName)?;
        let mut connection =
            ClientConnection::new(config.config.clone(), name).map_err(TlsError::Peer)?;
        // Whoever writes has limits of his own, and looks at no result.
        connection.set_buffer_limit(None);
        Ok(Tls {
            connection,
            received: Vec::new(),
            ended: false,
        })
    }

    /// Takes bytes from the wire. Afterwards there may be something to send
    /// and something to read; after an error too: an alert.
    ///
    /// Errors: [`TlsError::Peer`]; the connection must be closed.
    pub fn push_encrypted(&mut self, mut bytes: &[u8]) -> Result<(), TlsError> {
        while !bytes.is_empty() && !self.ended {
            // From a slice, and with room: what was there is read below.
            let Ok(1..) = self.connection.read_tls(&mut bytes) else {
                break;
            };
            let state = self
                .connection
                .process_new_packets()
                .map_err(TlsError::Peer)?;
            self.ended = state.peer_has_closed();
            let start = self.received.len();
            self.received
                .resize(start + state.plaintext_bytes_to_read(), 0);
            // So many are there.
            let _ = self
                .connection
                .reader()
                .read_exact(&mut self.received[start..]);
        }
        Ok(())
    }

    /// Gives the bytes for the wire, if there are any.
    pub fn pull_encrypted(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            // Into memory.
            let _ = self.connection.write_tls(&mut bytes);
        }
        bytes
    }

    /// Takes bytes for the peer; before the handshake is done they wait for it.
    pub fn write(&mut self, bytes: &[u8]) {
        // There is no limit to what is kept.
        let _ = self.connection.writer().write_all(bytes);
    }

    /// Gives what the peer has said since the last time.
    pub fn read(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }

    /// True until the peer has proved its name, and we may speak.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The protocol that the peer has chosen.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Tells the peer that nothing more comes.
    pub fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// True when the peer has said that nothing more comes. A connection that
    /// is closed without it may have been cut.
    pub fn ended(&self) -> bool {
        self.ended
    }
}
