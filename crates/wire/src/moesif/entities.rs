//! Users, companies and subscriptions, as SDKs send them (moesif-api, section 4). Pure and total.

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use weir_kit::Secret;
use weir_pipeline::{Malformed, ProfileKind, ProfileUpdate};

use super::session::SessionToken;
use crate::parts;
use crate::parts::lenient::Unread;

/// Most entities in one call.
const MAX_ENTITIES: usize = 50_000;
/// Longest reason for an entity left out, in characters; it may quote the entity.
const MAX_REASON: usize = 300;

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entity {
    User,
    Company,
    Subscription,
}

/// The entities of a call.
#[derive(Debug, Default)]
pub(super) struct Entities {
    /// In order.
    pub(super) updates: Vec<ProfileUpdate>,
    /// Why others cannot be used.
    pub(super) rejected: Vec<String>,
}

impl Entity {
    /// What is sent to a path, and whether many at once.
    pub(super) fn of(path: &str) -> Option<(Self, bool)> {
        let (path, is_batch) = match path.strip_suffix("/batch") {
            Some(path) => (path, true),
            None => (path, false),
        };
        Some(match path {
            "/v1/users" => (Self::User, is_batch),
            "/v1/companies" => (Self::Company, is_batch),
            "/v1/subscriptions" => (Self::Subscription, is_batch),
            _ => return None,
        })
    }

    fn kind(self) -> ProfileKind {
        match self {
            Self::User => ProfileKind::User,
            Self::Company => ProfileKind::Company,
            Self::Subscription => ProfileKind::Subscription,
        }
    }

    /// The member with its id.
    fn id_member(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Company => "company_id",
            Self::Subscription => "subscription_id",
        }
    }
}

/// Reads the body of a call.
pub(super) fn read(
    body: &[u8],
    entity: Entity,
    is_batch: bool,
    application_id: &str,
) -> Result<Entities, Malformed> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{FEFF}').trim_ascii();
    let malformed = |reason: String| Malformed { status: StatusCode::BAD_REQUEST, reason };
    let expected = if is_batch { ('[', "a batch must be an array") } else { ('{', "expected an object") };
    if !text.starts_with(expected.0) {
        return Err(malformed(format!("{}, not {:?}", expected.1, parts::shortened(text, 40))));
    }
    let not_json = |error: serde_json::Error| malformed(format!("not JSON: {error}"));
    let application_id = Secret::new(application_id);
    let mut entities = Entities::default();
    if !is_batch {
        let raw: &RawValue = serde_json::from_str(text).map_err(not_json)?;
        entities.add(raw, entity, None, &application_id);
        return Ok(entities);
    }
    let list: Unread<'_, { MAX_ENTITIES + 1 }> = serde_json::from_str(text).map_err(not_json)?;
    if list.count > MAX_ENTITIES {
        let reason = format!("{} entities in one call, more than {MAX_ENTITIES}", list.count);
        return Err(Malformed { status: StatusCode::PAYLOAD_TOO_LARGE, reason });
    }
    for (index, raw) in list.items.iter().enumerate() {
        entities.add(raw, entity, Some(index), &application_id);
    }
    Ok(entities)
}

impl Entities {
    fn add(&mut self, raw: &RawValue, entity: Entity, index: Option<usize>, application_id: &Secret) {
        match update(raw, entity, application_id) {
            Ok(update) => self.updates.push(update),
            Err(reason) => {
                let reason = parts::shortened(&reason, MAX_REASON);
                self.rejected.push(match index {
                    Some(index) => format!("[{index}]: {reason}"),
                    None => reason,
                });
            }
        }
    }
}

fn update(raw: &RawValue, entity: Entity, application_id: &Secret) -> Result<ProfileUpdate, String> {
    let mut properties: Map<String, Value> =
        serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    let name = entity.id_member();
    let id = take_text(&mut properties, name)?.ok_or_else(|| format!("{name} is missing"))?;
    let company = match entity {
        Entity::Company => None,
        Entity::User => take_text(&mut properties, "company_id")?,
        Entity::Subscription => {
            let company = take_text(&mut properties, "company_id")?;
            Some(company.ok_or("company_id is missing")?)
        }
    };
    let session = take_text(&mut properties, "session_token")?;
    let session = session.and_then(|token| SessionToken::Hashed.of(application_id, Some(&token), None));
    if let Some(metadata) = properties.get("metadata")
        && !metadata.is_object()
        && !metadata.is_null()
    {
        return Err(format!("metadata is no object: {metadata}"));
    }
    Ok(ProfileUpdate {
        kind: entity.kind(),
        id,
        company,
        sessions: session.into_iter().collect(),
        properties,
    })
}

/// Takes a member that is text; numbers are text, null and the empty text are absent.
fn take_text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(format!("{name} is no text: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_sdks_send_is_understood() {
        // As moesif-nodejs 3.11.0 sends it.
        let body = json!({
            "modified_time": null, "session_token": "s3cr3t", "ip_address": null, "user_id": 12345,
            "company_id": "67890", "user_agent_string": null, "campaign": {}, "metadata": {"email": "a@b.c"}
        });
        let read = read(body.to_string().as_bytes(), Entity::User, false, "app").unwrap();
        let [ann] = read.updates.as_slice() else { panic!("{read:?}") };
        assert_eq!((ann.id.as_str(), ann.company.as_deref()), ("12345", Some("67890")));
        assert_eq!(ann.properties["metadata"], json!({"email": "a@b.c"}));
        assert_eq!(ann.sessions.len(), 1);
        assert!(!ann.sessions[0].contains("s3cr3t"));
        assert!(!Value::Object(ann.properties.clone()).to_string().contains("s3cr3t"));
    }

    #[test]
    fn one_bad_element_does_not_hold_up_the_rest() {
        let body = json!([
            {"subscription_id": "s1", "company_id": "c1", "status": null},
            {"subscription_id": "s2"},
            5,
            {"company_id": "c1"},
            {"subscription_id": ["s3"], "company_id": "c1"},
            {"subscription_id": "s4", "company_id": "c1", "metadata": "gold"},
        ]);
        let read = read(body.to_string().as_bytes(), Entity::Subscription, true, "app").unwrap();
        assert_eq!(read.updates.len(), 1);
        assert_eq!(read.updates[0].company.as_deref(), Some("c1"));
        assert_eq!(read.rejected[0], "[1]: company_id is missing");
        assert!(read.rejected[1].starts_with("[2]: invalid type: integer `5`"), "{:?}", read.rejected);
        assert_eq!(read.rejected[2], "[3]: subscription_id is missing");
        assert_eq!(read.rejected[3], "[4]: subscription_id is no text: [\"s3\"]");
        assert_eq!(read.rejected[4], "[5]: metadata is no object: \"gold\"");
    }

    #[test]
    fn documents_of_the_wrong_form_are_refused() {
        for (body, is_batch, reason) in [
            ("{}", true, "a batch must be an array, not \"{}\""),
            ("[]", false, "expected an object, not \"[]\""),
            ("", false, "expected an object, not \"\""),
            ("[{]", true, "not JSON: "),
        ] {
            let refused = read(body.as_bytes(), Entity::Company, is_batch, "app").unwrap_err();
            assert!(refused.reason.starts_with(reason), "{body}: {}", refused.reason);
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let deep =
            format!("{{\"user_id\":\"u\",\"metadata\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        let read_deep = read(deep.as_bytes(), Entity::User, false, "app");
        let reason = match read_deep {
            Err(malformed) => malformed.reason,
            Ok(read) => read.rejected.concat(),
        };
        assert!(reason.contains("recursion limit"), "{reason}");
    }
}
