//! Which receiver a call is for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use weir_pipeline::{Mount, Receiver};

/// The receivers, by what they answer.
pub(crate) struct Collector {
    receivers: Vec<Arc<dyn Receiver>>,
    /// Mounts without variable segments, by path.
    fixed: HashMap<&'static str, Vec<Place>>,
    /// Mounts with variable segments, those with fewer first.
    variable: Vec<Place>,
    /// Bytes of bodies that may still be held.
    pub(crate) room: Arc<Semaphore>,
}

#[derive(Clone, Copy)]
struct Place {
    mount: Mount,
    receiver: usize,
}

/// Two receivers want the same calls.
#[derive(Debug, thiserror::Error)]
#[error("two receivers answer {method} {path}")]
pub(crate) struct ConflictingMounts {
    method: &'static str,
    path: &'static str,
}

/// What a call is for.
pub(crate) enum Found {
    /// This receiver, with the values of the variable segments.
    Receiver(Arc<dyn Receiver>, Mount, Vec<(String, String)>),
    /// A path that is answered under these other methods.
    OtherMethods(Vec<&'static str>),
    /// Nobody here.
    Nobody,
}

impl Collector {
    /// `room` is how many bytes of bodies may be held at a time.
    pub(crate) fn new(receivers: Vec<Box<dyn Receiver>>, room: usize) -> Result<Self, ConflictingMounts> {
        let receivers: Vec<Arc<dyn Receiver>> = receivers.into_iter().map(Arc::from).collect();
        let room = Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS)));
        let mut collector = Self { receivers: Vec::new(), fixed: HashMap::new(), variable: Vec::new(), room };
        for (receiver, mounts) in receivers.iter().map(|receiver| receiver.mounts()).enumerate() {
            for mount in mounts {
                collector.add(Place { mount: *mount, receiver })?;
            }
        }
        // A fixed segment is more exact than a variable one.
        collector.variable.sort_by_key(|place| place.mount.path.matches('{').count());
        collector.receivers = receivers;
        Ok(collector)
    }

    fn add(&mut self, place: Place) -> Result<(), ConflictingMounts> {
        let Mount { method, path, .. } = place.mount;
        let places =
            if path.contains('{') { &mut self.variable } else { self.fixed.entry(path).or_default() };
        let same = |other: &Place| other.mount.method == method && shape(other.mount.path) == shape(path);
        if places.iter().any(same) {
            return Err(ConflictingMounts { method, path });
        }
        places.push(place);
        Ok(())
    }

    /// Whether a call is for a receiver.
    pub(crate) fn takes(&self, method: &Method, path: &str) -> bool {
        matches!(self.find(method, path), Found::Receiver(..))
    }

    /// Finds who answers. Slashes at the end and several in a row make no difference: senders put addresses and paths
    /// together as they come.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let path = single_slashes(path);
        let path = match path.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => shorter,
            _ => &path,
        };
        let mut others = Vec::new();
        let fixed = self.fixed.get(path).into_iter().flatten().map(|place| (place, Vec::new()));
        let variable =
            self.variable.iter().filter_map(|place| Some((place, parameters(place.mount.path, path)?)));
        for (place, parameters) in fixed.chain(variable) {
            if place.mount.method == method.as_str()
                && let Some(receiver) = self.receivers.get(place.receiver)
            {
                return Found::Receiver(receiver.clone(), place.mount, parameters);
            }
            others.push(place.mount.method);
        }
        if others.is_empty() { Found::Nobody } else { Found::OtherMethods(others) }
    }
}

fn single_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    Cow::Owned(segments.fold(String::new(), |path, segment| path + "/" + segment))
}

/// A path with its variable segments made equal.
fn shape(path: &str) -> Vec<&str> {
    path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment }).collect()
}

/// The values of the variable segments, when the path fits.
fn parameters(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    let mut segments = path.split('/');
    for expected in template.split('/') {
        let segment = segments.next()?;
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => {
                let value = percent_decode_str(segment).decode_utf8_lossy().into_owned();
                parameters.push((name.to_owned(), value));
            }
            None if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_pipeline::{Call, Decoded, Malformed, Outcome, Reply};

    struct Toy(&'static [Mount]);

    impl Receiver for Toy {
        fn mounts(&self) -> &'static [Mount] {
            self.0
        }
        fn decode(&self, _: &Call<'_>) -> Result<Decoded, Malformed> {
            Ok(Decoded::default())
        }
        fn reply(&self, _: &Call<'_>, _: &Outcome) -> Reply {
            Reply { status: http::StatusCode::OK, headers: Vec::new(), body: Vec::new() }
        }
        fn refuse(&self, _: &Call<'_>, malformed: &Malformed) -> Reply {
            Reply { status: malformed.status, headers: Vec::new(), body: Vec::new() }
        }
    }

    const fn mount(method: &'static str, path: &'static str) -> Mount {
        Mount::report(method, path, 10)
    }

    fn found(collector: &Collector, method: &str, path: &str) -> String {
        match collector.find(&method.parse().unwrap(), path) {
            Found::Receiver(_, mount, parameters) => format!("{} {parameters:?}", mount.path),
            Found::OtherMethods(methods) => methods.join(","),
            Found::Nobody => "nobody".to_owned(),
        }
    }

    #[test]
    fn calls_find_their_receiver() {
        static ONE: [Mount; 3] =
            [mount("POST", "/v1/events"), mount("GET", "/v1/events"), mount("POST", "/{bucket}/x")];
        static TWO: [Mount; 2] = [mount("POST", "/fixed/x"), mount("PUT", "/{bucket}/{key}")];
        let collector = Collector::new(vec![Box::new(Toy(&ONE)), Box::new(Toy(&TWO))], 10).unwrap();
        for (method, path, expected) in [
            ("POST", "/v1/events", "/v1/events []"),
            ("GET", "/v1/events/", "/v1/events []"),
            ("DELETE", "/v1/events", "POST,GET,PUT"),
            ("POST", "/fixed/x", "/fixed/x []"),
            ("POST", "/b%20c/x", "/{bucket}/x [(\"bucket\", \"b c\")]"),
            ("PUT", "/a/b", "/{bucket}/{key} [(\"bucket\", \"a\"), (\"key\", \"b\")]"),
            ("PUT", "//b", "nobody"),
            ("POST", "//v1///events//", "/v1/events []"),
            ("POST", "/", "nobody"),
            ("POST", "/a/b/c", "nobody"),
        ] {
            assert_eq!(found(&collector, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_same_calls_cannot_be_for_two() {
        static ONE: [Mount; 1] = [mount("POST", "/a/{b}")];
        static TWO: [Mount; 1] = [mount("POST", "/a/{c}")];
        let outcome = Collector::new(vec![Box::new(Toy(&ONE)), Box::new(Toy(&TWO))], 10);
        assert_eq!(outcome.err().unwrap().to_string(), "two receivers answer POST /a/{c}");
    }
}
