//! Plugins that send exchanges elsewhere: "capture here, deliver to that target".
//!
//! On the call itself they do nothing. The record of the call carries the ids of the configurations that asked for it, and
//! the pipeline delivers it to their targets.

use std::sync::Arc;

use async_trait::async_trait;
use weir_pipeline::CaptureWish;

use super::{Phases, Plugin};

struct ExporterPlugin {
    id: Arc<str>,
    wish: CaptureWish,
}

/// The plugin for one configuration of an exporter.
pub(super) fn plugin(id: Arc<str>, wish: CaptureWish) -> Arc<dyn Plugin> {
    Arc::new(ExporterPlugin { id, wish })
}

#[async_trait(?Send)]
impl Plugin for ExporterPlugin {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        Phases::NONE
    }

    fn capture(&self) -> Option<CaptureWish> {
        Some(self.wish)
    }
}
