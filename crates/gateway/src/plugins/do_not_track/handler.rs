//! What `do-not-track` says of a call.

use std::sync::Arc;

use async_trait::async_trait;

use crate::plugins::endpoints::Endpoints;
use crate::plugins::{Call, Phases, Plugin};

/// The plugin.
pub(super) struct DoNotTrack {
    id: Arc<str>,
    /// `None` is every call.
    endpoints: Option<Endpoints>,
}

impl DoNotTrack {
    pub(super) fn new(id: Arc<str>, endpoints: Option<Endpoints>) -> Self {
        Self { id, endpoints }
    }
}

#[async_trait(?Send)]
impl Plugin for DoNotTrack {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        Phases::RECORD
    }

    fn untracked(&self, call: &Call) -> bool {
        self.endpoints.as_ref().is_none_or(|endpoints| endpoints.find(call).is_some())
    }
}
