//! SOAP 1.1 and 1.2: the operation is the first element of the body, else what the action names; faults by their code.

use weir_model::{Request, Response};

use super::{Named, decoded};
use crate::media;
use crate::xml::{Scanner, Token, local};

/// Without the final slash, which some senders forget.
const NAMESPACES: [&[u8]; 2] =
    [b"http://schemas.xmlsoap.org/soap/envelope", b"http://www.w3.org/2003/05/soap-envelope"];

/// The call in an XML body, when its root is an envelope.
pub(super) fn named(
    request: &Request,
    media_type: &str,
    body: &[u8],
    response: Option<&Response>,
) -> Option<Named> {
    let envelope = Envelope::read(body)?;
    let action = request.headers.text("soapaction").map(|action| action.trim_matches(['"', ' ']).to_owned());
    let action = action.or_else(|| media::parameter(media_type, "action"));
    let name = envelope.first.or_else(|| action.as_deref().and_then(last_part).map(str::to_owned));
    Some(Named { name, kind: None, error: response.and_then(fault) })
}

/// `http://example.com/orders/PlaceOrder` and `urn:orders#PlaceOrder` name `PlaceOrder`.
fn last_part(action: &str) -> Option<&str> {
    action.rsplit(['/', '#', ':']).find(|part| !part.is_empty())
}

fn fault(response: &Response) -> Option<String> {
    let body = decoded(&response.body)?;
    Envelope::read(&body)?.fault
}

/// What matters of an envelope.
struct Envelope {
    /// Local name of the first element in the body.
    first: Option<String>,
    /// Code of the fault, when the first element is one.
    fault: Option<String>,
}

impl Envelope {
    /// `None` when the root is not a SOAP envelope. A text that was cut gives what it still has.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut scanner = Scanner::new(bytes);
        let root = scanner.find_map(|token| match token {
            Token::Start { name, attributes, .. } => Some((name, attributes)),
            _ => None,
        })?;
        let declared = NAMESPACES
            .iter()
            .any(|namespace| memchr::memmem::find(&bytes[root.1.clone()], namespace).is_some());
        if local(&bytes[root.0]) != b"Envelope" || !declared {
            return None;
        }
        let in_body = scanner.any(|token| match token {
            Token::Start { name, empty, .. } => !empty && local(&bytes[name]) == b"Body",
            _ => false,
        });
        let first = scanner.by_ref().take_while(|_| in_body).find_map(|token| match token {
            Token::Start { name, .. } => Some(Some(lossy(local(&bytes[name])))),
            Token::End { .. } => Some(None),
            Token::Text(_) => None,
        });
        let first = first.flatten();
        let fault = first.as_deref().filter(|first| *first == "Fault").map(|_| fault_code(bytes, scanner));
        Some(Self { first, fault })
    }
}

/// `faultcode` of SOAP 1.1 or `Code/Value` of 1.2, without the prefix; `Fault` when there is none.
fn fault_code(bytes: &[u8], scanner: Scanner<'_>) -> String {
    let mut expected = false;
    for token in scanner {
        match token {
            Token::Start { name, .. } => expected = matches!(local(&bytes[name]), b"faultcode" | b"Value"),
            Token::Text(span) if expected => {
                let code = lossy(local(bytes[span].trim_ascii()));
                if !code.is_empty() {
                    return code;
                }
            }
            Token::Text(_) | Token::End { .. } => {}
        }
    }
    "Fault".to_owned()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
