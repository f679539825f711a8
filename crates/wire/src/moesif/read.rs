//! Events as they are met: `null` is absent, numbers are text and text is numbers where the other belongs, and nothing
//! unknown is an error (moesif-api, section 3).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::parts::lenient::{MAX_ITEMS, Number, Text, Unread};

use super::decode::MAX_EVENTS;

/// Most bytes of the header fields of a message. A name counts for each of its values, because it is kept for each.
pub(super) const MAX_HEADER_BYTES: usize = 2 * 1024 * 1024;

/// The events of a batch, unread.
pub(super) type Events<'a> = Unread<'a, { MAX_EVENTS + 1 }>;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) request: Option<Request<'a>>,
    #[serde(borrow)]
    pub(super) response: Option<Response<'a>>,
    #[serde(borrow)]
    pub(super) session_token: Text<'a>,
    #[serde(borrow)]
    pub(super) user_id: Text<'a>,
    #[serde(borrow)]
    pub(super) company_id: Text<'a>,
    #[serde(borrow)]
    pub(super) subscription_id: Text<'a>,
    #[serde(borrow)]
    pub(super) transaction_id: Text<'a>,
    #[serde(borrow)]
    pub(super) trace_id: Text<'a>,
    #[serde(borrow)]
    pub(super) span: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) action_name: Text<'a>,
    #[serde(borrow)]
    pub(super) direction: Text<'a>,
    pub(super) weight: Number,
    #[serde(borrow)]
    pub(super) blocked_by: Text<'a>,
    #[serde(borrow)]
    pub(super) tags: Text<'a>,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) time: Text<'a>,
    #[serde(borrow)]
    pub(super) uri: Text<'a>,
    #[serde(borrow)]
    pub(super) verb: Text<'a>,
    #[serde(borrow)]
    pub(super) headers: Fields<'a>,
    #[serde(borrow)]
    pub(super) api_version: Text<'a>,
    #[serde(borrow)]
    pub(super) ip_address: Text<'a>,
    #[serde(borrow)]
    pub(super) body: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) transfer_encoding: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) time: Text<'a>,
    #[serde(borrow)]
    pub(super) status: Text<'a>,
    #[serde(borrow)]
    pub(super) headers: Fields<'a>,
    #[serde(borrow)]
    pub(super) ip_address: Text<'a>,
    #[serde(borrow)]
    pub(super) body: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) transfer_encoding: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Kong<'a> {
    #[serde(borrow)]
    pub(super) route_hosts: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) service_name: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Capture<'a> {
    #[serde(borrow)]
    pub(super) request_body: Text<'a>,
    #[serde(borrow)]
    pub(super) response_body: Text<'a>,
}

/// Header fields in order. A list as a value is that many fields; `null` is none; encoders that cannot tell an empty
/// object from an empty list write `[]`.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(pub(super) Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with header fields")
            }
            fn visit_unit<E: Error>(self) -> Result<Fields<'de>, E> {
                Ok(Fields::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Fields<'de>, A::Error> {
                match items.next_element::<IgnoredAny>()? {
                    None => Ok(Fields::default()),
                    Some(_) => Err(A::Error::custom("an object with header fields, not a list")),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields<'de>, A::Error> {
                let (mut fields, mut bytes) = (Vec::with_capacity(16), 0);
                while let Some(name) = members.next_key::<Text<'de>>()? {
                    let before = fields.len();
                    match members.next_value::<Values<'de>>()? {
                        Values::None => {}
                        Values::One(value) => fields.push((name.0, value.0)),
                        Values::Many(values) => {
                            fields.extend(values.into_iter().map(|value| (name.0.clone(), value.0)));
                        }
                    }
                    if fields.len() > MAX_ITEMS {
                        return Err(A::Error::custom(format_args!("more than {MAX_ITEMS} header fields")));
                    }
                    let added = fields.iter().skip(before).map(|(name, value)| name.len() + value.len());
                    bytes += added.sum::<usize>();
                    if bytes > MAX_HEADER_BYTES {
                        let reason = format_args!("more than {MAX_HEADER_BYTES} bytes of header fields");
                        return Err(A::Error::custom(reason));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_any(FieldsVisitor)
    }
}

/// The value of a header.
enum Values<'a> {
    None,
    One(Text<'a>),
    Many(Vec<Text<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;
        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the value of a header")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Values<'de>, E> {
                Ok(Values::One(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Values<'de>, E> {
                Ok(Values::One(Text(Cow::Owned(text.to_owned()))))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Values<'de>, E> {
                Ok(Values::One(Text(value.to_string().into())))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Values<'de>, E> {
                Ok(Values::One(Text(value.to_string().into())))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Values<'de>, E> {
                Ok(Values::One(Text(value.to_string().into())))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Values<'de>, E> {
                Ok(Values::One(Text(value.to_string().into())))
            }
            fn visit_unit<E: Error>(self) -> Result<Values<'de>, E> {
                Ok(Values::None)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Values<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = items.next_element()? {
                    values.push(value);
                    if values.len() > MAX_ITEMS {
                        return Err(A::Error::custom(format_args!(
                            "more than {MAX_ITEMS} values of a header"
                        )));
                    }
                }
                Ok(Values::Many(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Values<'de>, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Values::None)
            }
        }
        deserializer.deserialize_any(ValuesVisitor)
    }
}
