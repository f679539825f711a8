//! TLS towards the services of others, by Tyk Pump's names of settings.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde::Deserialize;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use weir_kit::{ConfigError, FieldKind, FieldSpec};

/// Whether any certificate of the other side will do.
pub const SSL_INSECURE_SKIP_VERIFY: FieldSpec = FieldSpec {
    default: Some("false"),
    ..FieldSpec::new(
        "ssl_insecure_skip_verify",
        FieldKind::Boolean,
        "accept any certificate of the other side",
    )
};

/// Authorities to trust.
pub const SSL_CA_FILE: FieldSpec =
    FieldSpec::new("ssl_ca_file", FieldKind::Text, "PEM file of authorities to trust beside the usual ones");

/// What to show to the other side.
pub const SSL_CERT_FILE: FieldSpec =
    FieldSpec::new("ssl_cert_file", FieldKind::Text, "PEM file of the certificate to show");

/// The key for it.
pub const SSL_KEY_FILE: FieldSpec =
    FieldSpec::new("ssl_key_file", FieldKind::Text, "PEM file of that certificate's key");

/// What settings say about TLS, by Tyk Pump's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TlsSettings {
    /// Whether any certificate will do.
    pub ssl_insecure_skip_verify: bool,
    /// Authorities to trust beside the usual ones.
    pub ssl_ca_file: Option<String>,
    /// Certificate to show.
    pub ssl_cert_file: Option<String>,
    /// Its key.
    pub ssl_key_file: Option<String>,
}

impl TlsSettings {
    /// A client's side of TLS, when anything is set; else whoever calls has a better one.
    ///
    /// # Errors
    /// As [`client`].
    pub fn chosen(&self) -> Result<Option<Arc<ClientConfig>>, ConfigError> {
        if *self == Self::default() { Ok(None) } else { client(self).map(Some) }
    }
}

/// Settles which cryptography is used by libraries that choose for themselves and find more than one; without it they
/// panic at their first handshake.
pub fn settle_provider() {
    // Whoever was first has settled it, and that is fine.
    let _settled_before = crypto::aws_lc_rs::default_provider().install_default();
}

/// A client's side of TLS. Reads the files it is given.
///
/// # Errors
/// A file that cannot be read or holds no certificate or key, named with its setting.
pub fn client(settings: &TlsSettings) -> Result<Arc<ClientConfig>, ConfigError> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if settings.ssl_insecure_skip_verify {
        Arc::new(AcceptAny(provider.clone()))
    } else {
        let roots = Arc::new(roots(given(settings.ssl_ca_file.as_ref()))?);
        WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| ConfigError::one("ssl_ca_file", error.to_string()))?
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::one("", format!("no TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(cert_file) = given(settings.ssl_cert_file.as_ref()) else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let key_file = given(settings.ssl_key_file.as_ref()).unwrap_or(cert_file);
    let chain = certificates("ssl_cert_file", cert_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| ConfigError::one("ssl_key_file", format!("{key_file}: {error}")))?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map(Arc::new).map_err(|error| ConfigError::one("ssl_cert_file", error.to_string()))
}

/// A setting that is not left empty.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn roots(ca_file: Option<&str>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(ca_file) = ca_file {
        for certificate in certificates("ssl_ca_file", ca_file)? {
            roots.add(certificate).map_err(|error| ConfigError::one("ssl_ca_file", error.to_string()))?;
        }
    }
    Ok(roots)
}

fn certificates(setting: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let failed = |cause: String| ConfigError::one(setting, format!("{path}: {cause}"));
    let found = CertificateDer::pem_file_iter(Path::new(path)).map_err(|error| failed(error.to_string()))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|error| failed(error.to_string()))?;
    if found.is_empty() { Err(failed("no certificate in it".to_owned())) } else { Ok(found) }
}

/// Any certificate will do, though the handshake must still be signed by its key.
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
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
