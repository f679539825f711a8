//! AWS Signature Version 4 for requests without a query, as the S3 documentation describes it under "Authenticating Requests:
//! Using the Authorization Header". Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use weir_kit::{Secret, Timestamp};

use crate::parts::aggregate::hex;
use crate::tyk::record::Time;

const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Who signs, for where.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Id of the key.
    pub key_id: String,
    /// The key.
    pub secret: Secret,
    /// Region of the bucket.
    pub region: String,
}

/// A path with everything escaped that is not a plain letter, as it is sent and signed.
pub fn escaped(path: &str) -> String {
    utf8_percent_encode(path, &PATH).to_string()
}

/// SHA-256 of a body in hexadecimal digits: the header `x-amz-content-sha256`.
pub fn digest(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// An instant as the header `x-amz-date` has it: `20130524T000000Z`.
pub fn date(now: Timestamp) -> String {
    let now = Time { nanos: 0, ..Time::of(now) };
    now.rfc3339().replace(['-', ':'], "")
}

impl Signer {
    /// The header `Authorization` for a request with an escaped path and these headers, whose names are in lower case and
    /// sorted; `x-amz-content-sha256` and `x-amz-date` must be among them.
    pub fn authorization(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let value =
            |name: &str| headers.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value);
        let date = value("x-amz-date");
        let day = date.get(..8).unwrap_or_default();
        let listed: String =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let request = format!("{method}\n{path}\n\n{listed}\n{names}\n{}", value("x-amz-content-sha256"));
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", digest(request.as_bytes()));
        let signature = hex(&hmac(&self.key(day), text.as_bytes()));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.key_id
        )
    }

    fn key(&self, day: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.secret.expose());
        let parts = [day, self.region.as_str(), "s3", "aws4_request"];
        let first = hmac(secret.as_bytes(), parts[0].as_bytes());
        parts[1..].iter().fold(first, |key, part| hmac(&key, part.as_bytes()))
    }
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let keyed = |mask: u8, text: &[u8]| -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(padded.map(|byte| byte ^ mask));
        hash.update(text);
        hash.finalize().into()
    };
    keyed(0x5C, &keyed(0x36, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, cases 2 and 6.
    #[test]
    fn hmac_gives_the_published_values() {
        for (key, text, expected) in [
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xAA; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac(&key, text.as_bytes())), expected);
        }
    }

    /// The example "PUT Object" of the documentation.
    #[test]
    fn a_request_is_signed_as_in_the_documentation() {
        let signer = Signer {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1".to_owned(),
        };
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let (date, body) = (date(now), digest(b"Welcome to Amazon S3."));
        assert_eq!(date, "20130524T000000Z");
        assert_eq!(body, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", body.as_str()),
            ("x-amz-date", date.as_str()),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        assert_eq!(
            signer.authorization("PUT", &escaped("/test$file.text"), &headers),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,\
             Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }
}
