//! What `recording` adds to the record of a call.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderName;
use weir_model::recording::{DETAILED, ENDPOINT, KEEP_FOR};
use weir_pipeline::CaptureWish;

use crate::plugins::endpoints::Endpoints;
use crate::plugins::{Call, Notes, Phases, Plugin, Tag};

/// The plugin.
pub(super) struct Recording {
    pub(super) id: Arc<str>,
    /// Most of each body, where requests and responses are recorded whole.
    pub(super) detailed_bytes: Option<usize>,
    pub(super) tags: Vec<String>,
    pub(super) tag_headers: Vec<HeaderName>,
    pub(super) keep_for: Option<i64>,
    pub(super) tracked: Endpoints,
}

#[async_trait(?Send)]
impl Plugin for Recording {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        Phases::RECORD
    }

    fn bodies(&self) -> Option<CaptureWish> {
        self.detailed_bytes.map(|bytes| CaptureWish { request_body_bytes: bytes, response_body_bytes: bytes })
    }

    /// Narrower scopes come later: their tags go before those of wider ones, as Tyk has a key's before an API's.
    fn annotate(&self, call: &Call, notes: &mut Notes) {
        if self.detailed_bytes.is_some() {
            notes.attributes.set(DETAILED, true);
        }
        if let Some(seconds) = self.keep_for {
            notes.attributes.set(KEEP_FOR, seconds);
        }
        if let Some(template) = self.tracked.find(call) {
            notes.attributes.set(ENDPOINT, template);
        }
        let headers = self.tag_headers.iter().cloned().map(Tag::OfHeader);
        let tags = headers.chain(self.tags.iter().cloned().map(Tag::Plain));
        notes.tags.splice(..0, tags);
    }
}
