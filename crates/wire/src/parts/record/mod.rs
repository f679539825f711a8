//! What outputs in Tyk's formats share: the traffic record of every exchange, its JSON, its fields by name, and the
//! settings that change it on the way out.

mod json;
mod options;
mod time;
mod value;

use std::sync::Arc;

use weir_model::{Exchange, ExchangeId};

pub use json::{Json, city_names, graphql};
pub use options::{RECORD, RecordOptions};
pub use time::Civil;
pub use value::{FIELD_NAMES, members, text, unknown_field, value};

use crate::tyk::encode::{self, Dumps, Profile};
use crate::tyk::record::Record;

/// A record on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'a> {
    /// Of the exchange it was made from; the same when it is sent again.
    pub id: ExchangeId,
    /// How many calls it stands for (sampling).
    pub weight: u32,
    /// The record, changed as the settings say.
    pub record: Record<'a>,
}

/// The records of a batch, in its order.
pub fn entries<'a>(
    exchanges: &'a [Arc<Exchange>],
    options: &'a RecordOptions,
) -> impl Iterator<Item = Entry<'a>> {
    let dumps = if options.detailed_recording { Dumps::Always } else { Dumps::Never };
    let profile = Profile { dumps, templates: true, ..Profile::default() };
    exchanges.iter().map(move |exchange| {
        let (id, weight) = (exchange.id, exchange.weight);
        let mut entry = Entry { id, weight, record: encode::record(exchange, &profile) };
        options.apply(&mut entry.record);
        entry
    })
}
