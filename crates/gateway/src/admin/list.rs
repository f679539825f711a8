//! Lists, in pages (`kong-admin-api`, section 3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use weir_state::{Page, Reader, StateError, Stored};

use super::crud::parent_id;
use super::error::Refusal;
use super::resource::Below;
use super::view::View;
use super::{Answered, Call, Era, Inner};
use crate::entities::Entity;

const DEFAULT_SIZE: usize = 100;
const LARGEST_SIZE: usize = 1_000;
/// Records looked at in one step while looking for those that pass a filter.
const STEP: usize = 1_000;

/// Which of a collection are wanted.
#[derive(Debug, Default)]
struct Wanted {
    /// All of these tags, or any of them.
    tags: Vec<String>,
    any_tag: bool,
    /// Fields that must have these values.
    fields: Vec<(String, String)>,
}

impl Wanted {
    fn accepts(&self, stored: &Stored) -> bool {
        let tags = stored.body.get("tags").and_then(Value::as_array);
        let has = |tag: &String| tags.is_some_and(|tags| tags.iter().any(|own| own.as_str() == Some(tag)));
        let tagged = match (self.tags.is_empty(), self.any_tag) {
            (true, _) => true,
            (false, true) => self.tags.iter().any(has),
            (false, false) => self.tags.iter().all(has),
        };
        tagged && self.fields.iter().all(|(name, value)| equals(&stored.body, name, value))
    }
}

/// Whether a field, or the id of a parent, has this value as text.
fn equals(body: &Value, name: &str, wanted: &str) -> bool {
    let parent =
        name.strip_suffix("_id").and_then(|field| body.get(field)).and_then(|parent| parent.get("id"));
    match body.get(name).or(parent) {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Null) | None => false,
        Some(Value::Bool(flag)) => wanted.parse() == Ok(*flag),
        Some(Value::Number(number)) => {
            wanted.parse().is_ok_and(|wanted: serde_json::Number| wanted == *number)
        }
        Some(_) => false,
    }
}

impl Inner {
    pub(super) fn list(&self, call: &Call, entity: &'static Entity, below: Option<&Below>) -> Answered {
        let size = page_size(call)?;
        let after = offset(call)?;
        let wanted = wanted(call, entity)?;
        let (page, total) = self.state.read(|reader| {
            let parent = parent_id(reader, below)?;
            let parent = parent.as_ref().map(|(field, id)| (*field, id.as_str()));
            let page = filtered(reader, entity, parent, after, size, &wanted)?;
            let total = match call.era {
                Era::Legacy => filtered(reader, entity, parent, 0, usize::MAX, &wanted)?.records.len(),
                Era::Modern => 0,
            };
            Ok::<_, Refusal>((page, total))
        })?;
        let view = View { era: call.era, with_value: call.with_value };
        let data: Vec<Value> = page.records.iter().map(|stored| view.show(entity, &stored.body)).collect();
        let offset = page.next.map(encode);
        let path = path_of(entity, below);
        Ok((
            StatusCode::OK,
            match call.era {
                Era::Modern => modern_page(data, offset, &path, call.argument("tags")),
                Era::Legacy => {
                    let mut body = json!({"data": data, "total": total});
                    if let (Some(offset), Some(body)) = (offset, body.as_object_mut()) {
                        let next = format!("{}{path}?size={size}&offset={offset}", call.base);
                        body.insert("next".to_owned(), next.into());
                        body.insert("offset".to_owned(), offset.into());
                    }
                    body
                }
            },
        ))
    }

    /// `/tags` and `/tags/{tag}`
    pub(super) fn tags(&self, call: &Call, wanted: Option<&str>) -> Answered {
        let size = page_size(call)?;
        let after = usize::try_from(offset(call)?).unwrap_or(0);
        let rows = self.state.read(|reader| {
            let mut rows = Vec::new();
            for entity in crate::entities::ENTITIES {
                for stored in reader.all(entity.name)? {
                    let tags = stored.body.get("tags").and_then(Value::as_array).into_iter().flatten();
                    let tags = tags.filter_map(Value::as_str).filter(|tag| wanted.is_none_or(|wanted| wanted == *tag));
                    let row = |tag| json!({"entity_name": entity.name, "entity_id": stored.id.to_string(), "tag": tag});
                    rows.extend(tags.map(row));
                }
            }
            Ok::<_, StateError>(rows)
        })?;
        let next = (rows.len() > after.saturating_add(size)).then(|| encode((after + size) as i64));
        let data: Vec<Value> = rows.into_iter().skip(after).take(size).collect();
        let path = wanted.map_or_else(|| "/tags".to_owned(), |tag| format!("/tags/{tag}"));
        Ok((StatusCode::OK, modern_page(data, next, &path, None)))
    }
}

fn modern_page(data: Vec<Value>, offset: Option<String>, path: &str, tags: Option<&str>) -> Value {
    let Some(offset) = offset else { return json!({"data": data, "next": null}) };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("offset", &offset);
    if let Some(tags) = tags {
        query.append_pair("tags", tags);
    }
    json!({"data": data, "next": format!("{path}?{}", query.finish()), "offset": offset})
}

/// One page of what is wanted.
fn filtered(
    reader: &Reader<'_>,
    entity: &Entity,
    parent: Option<(&str, &str)>,
    mut after: i64,
    size: usize,
    wanted: &Wanted,
) -> Result<Page, StateError> {
    let mut records = Vec::new();
    loop {
        let page = match (parent, wanted.tags.first()) {
            (Some(parent), _) => reader.list_by(entity.name, parent, after, STEP)?,
            (None, Some(tag)) if !wanted.any_tag => reader.list_by(entity.name, ("tag", tag), after, STEP)?,
            (None, _) => reader.list(entity.name, after, STEP)?,
        };
        for stored in page.records.into_iter().filter(|stored| wanted.accepts(stored)) {
            if records.len() == size {
                let next = records.last().map(|last: &Stored| last.sequence);
                return Ok(Page { records, next });
            }
            records.push(stored);
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(Page { records, next: None }),
        }
    }
}

fn page_size(call: &Call) -> Result<usize, Refusal> {
    let Some(text) = call.argument("size") else { return Ok(DEFAULT_SIZE) };
    let size: i64 = text.parse().map_err(|_| Refusal::BadSize("size must be a number".to_owned()))?;
    let in_bounds = usize::try_from(size).ok().filter(|size| (1..=LARGEST_SIZE).contains(size));
    in_bounds.ok_or_else(|| Refusal::BadSize(format!("size must be an integer between 1 and {LARGEST_SIZE}")))
}

fn encode(sequence: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{sequence}"))
}

fn offset(call: &Call) -> Result<i64, Refusal> {
    let Some(text) = call.argument("offset") else { return Ok(0) };
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let sequence = decoded.as_deref().and_then(|text| text.strip_prefix("after:")?.parse().ok());
    sequence.ok_or_else(|| Refusal::BadOffset(text.to_owned()))
}

fn wanted(call: &Call, entity: &Entity) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted::default();
    if let Some(tags) = call.argument("tags") {
        if tags.contains(',') && tags.contains('/') {
            let message = "invalid filter syntax: , and / cannot be mixed in tags";
            return Err(Refusal::message(StatusCode::BAD_REQUEST, message));
        }
        wanted.any_tag = tags.contains('/');
        wanted.tags = tags.split([',', '/']).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    }
    for (name, value) in &call.query {
        let is_filter = match call.era {
            Era::Legacy => !matches!(name.as_str(), "size" | "offset" | "tags"),
            Era::Modern => entity.name == "consumers" && name == "custom_id",
        };
        if is_filter {
            wanted.fields.push((name.clone(), value.clone()));
        }
    }
    Ok(wanted)
}

fn path_of(entity: &Entity, below: Option<&Below>) -> String {
    match below {
        None => format!("/{}", entity.path),
        Some(below) => {
            let segment = entity.nested.first().unwrap_or(&entity.path);
            format!("/{}/{}/{segment}", below.entity.path, below.key)
        }
    }
}
