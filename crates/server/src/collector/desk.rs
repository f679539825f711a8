//! What stands behind the desk at which receivers ask: the store and the settings.

use std::sync::Arc;

use async_trait::async_trait;
use weir_model::{Exchange, ExchangeId, ProjectId};
use weir_pipeline::governance::{Governance, Sampling};
use weir_pipeline::{Credential, Desk, DeskError, ProfileUpdate, Question};
use weir_query::json::MAX_PAGE;
use weir_query::{Filter, Listing, Order, TimeRange, check};

use crate::api::App;
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
        _project: &ProjectId,
        _updates: Vec<ProfileUpdate>,
    ) -> Result<Vec<(usize, String)>, DeskError> {
        Err(DeskError::Failed("there is no place for profiles".to_owned()))
    }

    fn governance(&self, _project: &ProjectId) -> Arc<Governance> {
        Arc::new(Governance { tag: "0".to_owned(), sampling: Sampling::default(), rules: Vec::new() })
    }
}

fn trouble(problem: Problem) -> DeskError {
    match problem.status {
        503 => DeskError::Busy(problem.detail),
        422 => DeskError::Question(problem.detail),
        _ => DeskError::Failed(problem.detail),
    }
}
