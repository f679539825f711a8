//! Credentials as session tokens: a keyed hash, so that calls of one credential are seen together and nobody can call
//! with what is stored.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use weir_kit::Secret;

/// What becomes of the credential of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionToken {
    /// Its hash is sent, with the application id as the key.
    #[default]
    Hashed,
    /// It is sent as it is.
    Raw,
}

impl SessionToken {
    /// The `session_token` of a call: made from the key of the credential that was used, else from the credential's id.
    pub fn of(self, application_id: &Secret, key: Option<&str>, id: Option<&str>) -> Option<String> {
        let credential = key.or(id).filter(|text| !text.is_empty())?;
        Some(match self {
            Self::Raw => credential.to_owned(),
            Self::Hashed => {
                let mac = hmac_sha256(application_id.expose().as_bytes(), credential.as_bytes());
                mac.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
            }
        })
    }
}

/// RFC 2104 with SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let hashed: [u8; 32];
    let key = if key.len() > BLOCK {
        hashed = Sha256::digest(key).into();
        &hashed
    } else {
        key
    };
    let mut block = [0; BLOCK];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5C)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_keyed_hash_is_that_of_the_standard() {
        let short = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hmac_sha256(&[0xAA; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn keys_come_before_ids_and_are_hidden_unless_asked_for() {
        let application = Secret::new("app");
        let raw = |key, id| SessionToken::Raw.of(&application, key, id);
        assert_eq!(raw(Some("k"), Some("i")).as_deref(), Some("k"));
        assert_eq!(raw(None, Some("i")).as_deref(), Some("i"));
        assert_eq!(raw(None, None), None);
        let hashed = SessionToken::Hashed.of(&application, Some("k"), None).unwrap();
        assert_eq!((hashed.len(), hashed.contains('k')), (32, false));
        assert_ne!(SessionToken::Hashed.of(&Secret::new("other"), Some("k"), None), Some(hashed));
    }
}
