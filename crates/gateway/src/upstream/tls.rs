//! TLS towards services.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Destination;
use crate::snapshot::UpstreamProtocol;

/// The configurations a worker may need. Shared by all workers.
#[derive(Debug)]
pub(crate) struct ClientTls {
    verified: Variants,
    unverified: Variants,
}

/// One for each list of protocols that is offered.
#[derive(Debug)]
struct Variants {
    http1: Arc<ClientConfig>,
    any: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts the usual authorities and those given as PEM.
    pub(crate) fn new(authorities: &[Vec<u8>]) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for pem in authorities {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| rustls::Error::General(error.to_string()))?;
                roots.add(certificate)?;
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let anything = Arc::new(AcceptAny(Arc::clone(&provider)));
        Ok(Self {
            verified: Variants::new(&provider, verifier)?,
            unverified: Variants::new(&provider, anything)?,
        })
    }

    pub(super) fn config(&self, destination: &Destination, http2: bool) -> &Arc<ClientConfig> {
        let variants = if destination.tls_verify { &self.verified } else { &self.unverified };
        match destination.protocol {
            UpstreamProtocol::Grpcs | UpstreamProtocol::Grpc => &variants.http2,
            _ if http2 => &variants.any,
            _ => &variants.http1,
        }
    }
}

impl Variants {
    fn new(
        provider: &Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<Self, rustls::Error> {
        let config = |protocols: &[&[u8]]| -> Result<Arc<ClientConfig>, rustls::Error> {
            let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&verifier))
                .with_no_client_auth();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Ok(Arc::new(config))
        };
        Ok(Self {
            http1: config(&[b"http/1.1"])?,
            any: config(&[b"h2", b"http/1.1"])?,
            http2: config(&[b"h2"])?,
        })
    }
}

/// For services with `tls_verify` off: any certificate will do, though the handshake must still be signed by its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
