//! What stands behind the desk at which receivers ask: the store and the settings.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use weir_model::{Exchange, ExchangeId, ProjectId};
use weir_pipeline::{Credential, Desk, DeskError, Governance, ProfileUpdate, Question};
use weir_query::json::MAX_PAGE;
use weir_query::{Filter, Listing, Order, TimeRange, check};
use weir_state::ProfileNews;

use crate::api::{App, state};
use crate::error::Problem;
use crate::parts::{Settings, UnknownCredentials};

/// The desk of one server.
pub(crate) struct FrontDesk<'a>(pub(crate) &'a App);

/// Whose the credential is; `None` when it is refused.
pub(crate) fn project_of(settings: &Settings, credential: &Credential) -> Option<ProjectId> {
    match (settings.credentials.get(&credential.token), settings.unknown_credentials) {
        (Some(project), _) => Some(project.clone()),
        (None, UnknownCredentials::Accept) => Some(ProjectId::default()),
        (None, UnknownCredentials::Refuse) => None,
    }
}

impl FrontDesk<'_> {
    /// What is to be kept of it: nothing unmasked.
    fn news(&self, update: ProfileUpdate) -> ProfileNews {
        let ProfileUpdate { id, company, sessions, mut properties, .. } = update;
        let text = Value::Object(std::mem::take(&mut properties)).to_string();
        let masked = (self.0.mask)(&text);
        // What cannot be read after masking is left out: nobody can say what is in it.
        if let Ok(Value::Object(read)) = serde_json::from_str(masked.as_deref().unwrap_or(&text)) {
            properties = read;
        }
        ProfileNews { id, company, sessions, properties }
    }

    fn filter(&self, text: &str) -> Result<Filter, DeskError> {
        check::text(text, self.0.now()).map_err(|mistakes| {
            let detail = mistakes.into_iter().map(|mistake| mistake.detail).collect::<Vec<_>>().join("; ");
            DeskError::Question(detail)
        })
    }
}

#[async_trait]
impl Desk for FrontDesk<'_> {
    fn project(&self, credential: &Credential) -> Option<ProjectId> {
        project_of(&self.0.settings, credential)
    }

    async fn list(&self, project: &ProjectId, question: &Question<'_>) -> Result<Vec<Exchange>, DeskError> {
        let listing = Listing {
            project: project.clone(),
            range: TimeRange {
                from: question.since.unwrap_or(TimeRange::ALL.from),
                to: question.before.unwrap_or(TimeRange::ALL.to),
            },
            filter: self.filter(question.text)?,
            order: Order::NewestFirst,
            limit: question.limit.min(MAX_PAGE),
            after: None,
        };
        Ok(self.0.ask(self.0.store.list(&listing)).await.map_err(trouble)?.exchanges)
    }

    async fn get(&self, project: &ProjectId, id: ExchangeId) -> Result<Option<Exchange>, DeskError> {
        self.0.ask(self.0.store.get(project, id)).await.map_err(trouble)
    }

    async fn erase(&self, project: &ProjectId, text: &str) -> Result<u64, DeskError> {
        let filter = self.filter(text)?;
        self.0.erase(project, &filter).await.map_err(trouble)
    }

    async fn upsert(
        &self,
        project: &ProjectId,
        updates: Vec<ProfileUpdate>,
    ) -> Result<Vec<(usize, String)>, DeskError> {
        let news = updates.into_iter().map(|update| (update.kind.name(), self.news(update))).collect();
        let (profiles, project, now) = (self.0.profiles.clone(), project.clone(), self.0.now());
        let kept = state(move || profiles.upsert(project.as_str(), news, now));
        kept.await.map_err(|problem| DeskError::Failed(problem.detail))
    }

    fn governance(&self, project: &ProjectId) -> Arc<Governance> {
        self.0.governed.current(project)
    }
}

fn trouble(problem: Problem) -> DeskError {
    match problem.status {
        503 => DeskError::Busy(problem.detail),
        422 => DeskError::Question(problem.detail),
        _ => DeskError::Failed(problem.detail),
    }
}
