//! The lists in Redis: their names, for writers and readers alike (section 6).

/// What stands before every name unless a setting says otherwise.
pub const KEY_PREFIX: &str = "analytics-";

const BASE: &str = "tyk-system-analytics";

/// How records in a list are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// A map by field name.
    #[default]
    Msgpack,
    /// Protocol Buffers.
    Protobuf,
}

/// How many lists there are beside the plain one, when records are spread.
pub const SHARDS: usize = 10;

/// The name of a list: the plain one, or one of ten.
pub fn name(prefix: &str, shard: Option<usize>, encoding: Encoding) -> String {
    let suffix = match encoding {
        Encoding::Msgpack => "",
        Encoding::Protobuf => "_protobuf",
    };
    match shard {
        None => format!("{prefix}{BASE}{suffix}"),
        Some(shard) => format!("{prefix}{BASE}_{shard}{suffix}"),
    }
}

/// Every list that a gateway may write to.
pub fn all(prefix: &str) -> Vec<(String, Encoding)> {
    let shards = std::iter::once(None).chain((0..SHARDS).map(Some));
    let encodings = [Encoding::Msgpack, Encoding::Protobuf];
    shards.flat_map(|shard| encodings.map(|encoding| (name(prefix, shard, encoding), encoding))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_original() {
        let all: Vec<String> = all(KEY_PREFIX).into_iter().map(|(name, _)| name).collect();
        assert_eq!(all.len(), 22);
        for name in [
            "analytics-tyk-system-analytics",
            "analytics-tyk-system-analytics_9",
            "analytics-tyk-system-analytics_protobuf",
            "analytics-tyk-system-analytics_0_protobuf",
        ] {
            assert!(all.iter().any(|known| known == name), "{name}");
        }
    }
}
